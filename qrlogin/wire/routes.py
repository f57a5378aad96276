"""Which paths a dialect answers, what it reads there, and what it says. Routes are data: a request is matched and read by them,
and `openapi.py` describes them, so that what is promised is what is done.

Nothing here knows what a login is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from qrlogin.errors import BadRequest, MethodNotAllowed, NoSuchPath, QRLoginError
from qrlogin.wire.message import Request
from qrlogin.wire.validation import read_form, read_json, read_query

#: What may stand in a path in place of these words.
PATH_PARAMETERS: Final[Mapping[str, str]] = {
    "{login_id}": "([A-Za-z0-9_-]{22})",
    "{code}": "([0-9a-f]{32}|[A-Za-z0-9_-]{22}==)",  # a fixed code, in either of its spellings
}

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
SCRIPT: Final = "application/javascript"
PNG_IMAGE: Final = "image/png"


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of a query, or a field of a body. All of them are text."""

    name: str
    meaning: str  # ends the sentence "{name} must be ..."
    required: bool = False
    pattern: str = ""  # what it matches from end to end, in what Python and JSON Schema both read; "": the dialect judges

    def read(self, text: str) -> str:
        """`text`, if it is such a field. Raises `BadRequest`."""
        if self.pattern and not _whole(self.pattern).fullmatch(text):
            raise BadRequest(f"{self.name} must be {self.meaning}")
        return text


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that a route may say when it does not refuse."""

    status: int
    meaning: str
    media: str = ""  # its Content-Type, without parameters; "": it has no body
    shape: Mapping[str, Any] = field(
        default_factory=dict, compare=False
    )  # the JSON Schema of its body


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path below the mount. `{login_id}` and `{code}` stand for what their names say.

    What follows `cross_site` is what the route reads and says; a dialect of your own works without it, and is described as far.
    """

    method: str
    path: str
    summary: str
    cross_site: bool = (
        False  # changes nothing and tells nothing: a page of another site may lead here
    )
    query: tuple[Field, ...] = ()
    body: tuple[Field, ...] | None = None  # None: it reads no body; (): an object without fields
    media: str = JSON  # of the body
    answers: tuple[Answer, ...] = ()
    errors: tuple[type[QRLoginError], ...] = ()  # beside those of every route
    proofs: tuple[
        str, ...
    ] = ()  # what the caller must have, in one of these ways: names of `openapi.SCHEMES`

    def read_query(self, request: Request) -> Mapping[str, str]:
        """The query, which holds these parameters and no others."""
        read = read_query(request, [one.name for one in self.query])
        return {one.name: one.read(read[one.name]) for one in self.query if one.name in read}

    def read_json(self, request: Request) -> Mapping[str, str]:
        """The body's JSON object, which has these fields and no others."""
        fields = self.body or ()
        read = read_json(request, {one.name: one.required for one in fields})
        return {one.name: one.read(read[one.name]) for one in fields if one.name in read}

    def read_form(self, request: Request) -> Mapping[str, str]:
        """The body's form, which may have other parameters, too."""
        return read_form(request, [one.name for one in self.body or ()])


def an_object(required: Mapping[str, Any], **optional: Any) -> Mapping[str, Any]:
    """The JSON Schema of an object with these members and no others."""
    members = {"properties": {**required, **optional}, "required": list(required)}
    return {"type": "object", **members, "additionalProperties": False}


def match(routes: Sequence[Route], request: Request) -> tuple[Route, str]:
    """The route that a request asks for, and the login_id or code in its path, if any.

    Raises `NoSuchPath` or `MethodNotAllowed`.
    """
    found = [
        (route, fits) for route in routes if (fits := _form(route.path).fullmatch(request.path))
    ]
    if not found:
        raise NoSuchPath
    for route, fits in found:
        if route.method == request.method:
            return route, "".join(fits.groups())
    raise MethodNotAllowed(tuple(route.method for route, _ in found))


def handles(routes: Sequence[Route], path: str) -> bool:
    """Whether one of these answers that path, whatever the method: where several dialects are mounted in one place."""
    return any(_form(route.path).fullmatch(path) for route in routes)


@cache
def _form(path: str) -> re.Pattern[str]:
    return re.compile(
        "".join(
            PATH_PARAMETERS.get(part) or re.escape(part) for part in re.split(r"(\{\w+\})", path)
        )
    )


@cache
def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
