"""Which paths a dialect answers. Routes are data: matched here, and read by whoever writes documentation."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from qrlogin.errors import MethodNotAllowed, NoSuchPath
from qrlogin.wire.message import Request

#: What may stand in a path in place of these words.
_PLACES: Final[Mapping[str, str]] = {
    "{login_id}": "([A-Za-z0-9_-]{22})",
    "{code}": "([0-9a-f]{32}|[A-Za-z0-9_-]{22}==)",  # a fixed code, in either of its spellings
}


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path below the mount. `{login_id}` and `{code}` stand for what their names say."""

    method: str
    path: str
    summary: str
    anybody: bool = False  # changes nothing and tells nothing: a page of another site may lead here


def match(routes: Sequence[Route], request: Request) -> tuple[Route, str]:
    """The route that a request asks for, and the login_id or code in its path, if any.

    Raises `NoSuchPath` or `MethodNotAllowed`.
    """
    found = [(route, fits) for route in routes if (fits := _form(route.path).fullmatch(request.path))]
    if not found:
        raise NoSuchPath
    for route, fits in found:
        if route.method == request.method:
            return route, "".join(fits.groups())
    raise MethodNotAllowed(tuple(route.method for route, _ in found))


def known(routes: Sequence[Route], path: str) -> bool:
    """Whether one of these answers that path, whatever the method: where several dialects are mounted in one place."""
    return any(_form(route.path).fullmatch(path) for route in routes)


@cache
def _form(path: str) -> re.Pattern[str]:
    return re.compile("".join(_PLACES.get(part) or re.escape(part) for part in re.split(r"(\{\w+\})", path)))
