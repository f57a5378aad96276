"""Which paths a dialect answers. Routes are data: matched here, and read by whoever writes documentation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from qrlogin.errors import MethodNotAllowed, NoSuchPath
from qrlogin.wire.message import Request

_LOGIN_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path below the mount. `{login_id}` stands for 22 letters, digits, - or _."""

    method: str
    path: str
    summary: str


def match(routes: Sequence[Route], request: Request) -> tuple[Route, str]:
    """The route that a request asks for, and the login_id in its path, if any. Raises `NoSuchPath` or `MethodNotAllowed`."""
    first, slash, rest = request.path.partition("/")
    login_id, template = "", request.path
    if _LOGIN_ID.fullmatch(first):
        login_id, template = first, "{login_id}" + slash + rest
    elif first == "{login_id}":  # our own placeholder, sent as it is
        raise NoSuchPath
    found = [route for route in routes if route.path == template]
    if not found:
        raise NoSuchPath
    for route in found:
        if route.method == request.method:
            return route, login_id
    raise MethodNotAllowed(tuple(route.method for route in found))
