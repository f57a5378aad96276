"""Which paths a dialect answers, what it reads there, and what it answers.

Routes are data: a request is matched and read by them, and `openapi.py` describes them, so the
description follows what the code does. Nothing here knows what a login is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from qrlogin.errors import BadRequest, MethodNotAllowed, NoSuchPath, QRLoginError
from qrlogin.wire.message import Request
from qrlogin.wire.validation import json_pairs, query_pairs, read_form, read_unique

PATH_PARAMETERS: Final[Mapping[str, str]] = {
    "{login_id}": "([A-Za-z0-9_-]{22})",
    "{code}": "([0-9a-f]{32}|[A-Za-z0-9_-]{22}==)",  # a fixed code, in either of its spellings
    "{version}": "([0-9a-f]{16})",  # of the modules of the elements
    "{module}": "(qr-[A-Za-z-]{1,60}\\.js)",
}
"""What the placeholders in `Route.path` match, as regular expressions with one group each."""

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
SCRIPT: Final = "application/javascript"
PNG_IMAGE: Final = "image/png"


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of a query, or a field of a body. All of them are text."""

    name: str
    """Its key in the query or body."""
    meaning: str
    """The end of the sentence "{name} must be ..."."""
    required: bool = False
    """Whether a request without it is refused."""
    pattern: str = ""
    """A regular expression for the whole value, which Python and JSON Schema must read alike. "":
    the dialect checks the value."""

    def read(self, value: object) -> str:
        """`value`, if it is valid for this field. Raises `BadRequest`."""
        if not isinstance(value, str):
            raise BadRequest(f"the field {self.name} must be text")
        if not _is_unicode(value):
            raise BadRequest(f"the field {self.name} is not valid Unicode")
        if self.pattern and not _compiled(self.pattern).fullmatch(value):
            raise BadRequest(f"{self.name} must be {self.meaning}")
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a route to a request that it does not refuse."""

    status: int
    """The HTTP status code."""
    meaning: str
    """A sentence for readers of the OpenAPI description."""
    media: str = ""
    """The Content-Type, without parameters. "": the answer has no body."""
    shape: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The JSON Schema of the body."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path below the mount.

    The fields after `same_site` describe input and answers. A custom dialect may leave them out;
    then OpenAPI shows less of it.
    """

    method: str
    """GET or POST. A route for GET answers HEAD, too."""
    path: str
    """Without a slash in front. `{login_id}` and `{code}` match what PATH_PARAMETERS says."""
    summary: str
    """A line for readers of the OpenAPI description."""
    cross_site: bool = False
    """Whether a page of another site may send a browser here: the route changes nothing and reveals
    nothing."""
    same_site: bool = False
    """Whether a page of another origin of this site may link here: the answer is a page, which no
    other page can read or frame."""
    query: tuple[Field, ...] = ()
    """The parameters that the route reads from the query."""
    body: tuple[Field, ...] | None = None
    """None: the route reads no body. (): it reads an object without fields."""
    media: str = JSON
    """The Content-Type of the body that the route reads."""
    answers: tuple[Answer, ...] = ()
    """What the route answers to a request that it does not refuse."""
    errors: tuple[type[QRLoginError], ...] = ()
    """What the route raises besides the errors of every route."""
    proofs: tuple[str, ...] = ()
    """Names of `openapi.SCHEMES`, of which the caller must use one. "" allows a caller without."""

    def read_query(self, request: Request) -> Mapping[str, str]:
        """The parameters of the query, by name.

        Raises `BadRequest` for one that is not in `query`, and if a required one is missing.
        """
        return _read_fields(query_pairs(request), self.query, "query parameter")

    def read_json(self, request: Request) -> Mapping[str, str]:
        """The fields of the JSON object in the body, by name.

        Raises `BadRequest` for a field that is not in `body`, if a required one is missing, and for
        anything in the query.
        """
        _read_fields(query_pairs(request), (), "query parameter")
        return _read_fields(json_pairs(request), self.body or (), "field")

    def read_form(self, request: Request) -> Mapping[str, str]:
        """The parameters of `body` that are in the form in the body; all others are ignored."""
        return read_form(request, [each.name for each in self.body or ()])


def _read_fields(
    pairs: Sequence[tuple[str, object]], fields: Sequence[Field], kind: str
) -> Mapping[str, str]:
    """What was sent, by name: these fields and no others, each at most once and each valid."""
    sent = read_unique(pairs, [each.name for each in fields], kind)
    for each in fields:
        if each.required and each.name not in sent:
            raise BadRequest(f"the {kind} {each.name} is missing")
    return {each.name: each.read(sent[each.name]) for each in fields if each.name in sent}


def an_object(required: Mapping[str, Any], **optional: Any) -> Mapping[str, Any]:
    """The JSON Schema of an object with these members and no others."""
    members = {"properties": {**required, **optional}, "required": list(required)}
    return {"type": "object", **members, "additionalProperties": False}


def match(routes: Sequence[Route], request: Request) -> tuple[Route, str]:
    """The route for a request, and what the placeholders in its path match, joined ("" for none).

    A path with a login_id or a code has no other placeholder, so this is the login_id or the code.
    HEAD matches wherever GET does (RFC 9110 section 9.1). Raises `NoSuchPath` or
    `MethodNotAllowed`.
    """
    found = _paths_of(routes).find(request.path)
    if not found:
        raise NoSuchPath
    method = "GET" if request.method == "HEAD" else request.method
    for _, route, argument in found:
        if route.method == method:
            return route, argument
    allowed = [route.method for _, route, _ in found]
    raise MethodNotAllowed((*allowed, *(["HEAD"] if "GET" in allowed else [])))


def handles(routes: Sequence[Route], path: str) -> bool:
    """Whether one of these routes answers that path, with any method."""
    return bool(_paths_of(routes).find(path))


class _Paths:
    """Routes by their paths, so that a request costs the same however many routes there are."""

    def __init__(self, routes: Sequence[Route]) -> None:
        #: By the whole path, the routes without a placeholder, each after its place in the list.
        self._plain: dict[str, list[tuple[int, Route]]] = {}
        #: By the path up to its last placeholder and by what follows, the other routes.
        below: dict[str, dict[str, list[tuple[int, Route]]]] = {}
        for at, route in enumerate(routes):
            parts = re.split(r"(\{\w+\})", route.path)
            last = max((n for n, part in enumerate(parts) if part in PATH_PARAMETERS), default=-1)
            rest = "".join(parts[last + 1 :])
            if last < 0:
                by_rest = self._plain
            else:
                begin = (PATH_PARAMETERS.get(part) or re.escape(part) for part in parts[: last + 1])
                by_rest = below.setdefault("".join(begin), {})
            by_rest.setdefault(rest, []).append((at, route))
        self._below = [
            (re.compile(f"{begin}(.*)", re.DOTALL), by_rest) for begin, by_rest in below.items()
        ]

    def find(self, path: str) -> list[tuple[int, Route, str]]:
        """The routes of this path in the order of the list, each after its place in it and before
        what the placeholders match.
        """
        found = [(at, route, "") for at, route in self._plain.get(path, ())]
        for pattern, by_rest in self._below:
            if fits := pattern.fullmatch(path):
                *arguments, rest = fits.groups()
                found += [(at, route, "".join(arguments)) for at, route in by_rest.get(rest, ())]
        return found if len(found) < 2 else sorted(found, key=lambda each: each[0])


#: The paths of each list of routes that was asked for, with the list, so that its `id` is its own.
_known_paths: Final[dict[int, tuple[Sequence[Route], _Paths]]] = {}
_MOST_KNOWN: Final = 100  # a process has a few dialects


def _paths_of(routes: Sequence[Route]) -> _Paths:
    known = _known_paths.get(id(routes))
    if known:
        return known[1]
    paths = _Paths(routes)
    if isinstance(routes, tuple):  # a list may change
        if len(_known_paths) >= _MOST_KNOWN:
            _known_paths.clear()
        _known_paths[id(routes)] = routes, paths
    return paths


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can encode it: JSON may escape half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
