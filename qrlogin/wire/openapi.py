"""A dialect's routes as OpenAPI 3.1: what `routes.py` holds as data, in the words of that standard.

A pure function of the routes. It knows no framework, no dialect by name and no login.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from qrlogin.errors import (
    BadRequest,
    Forbidden,
    NoSuchPath,
    QRLoginError,
    TooLarge,
    UnsupportedMediaType,
)
from qrlogin.wire.dialect import Dialect
from qrlogin.wire.routes import JSON, PATH_PARAMETERS, Answer, Field, Route, an_object

#: For `components.securitySchemes`. Who is signed in on the phone is the application's to say, and so is how.
SCHEMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "device_cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-qrl-*",
        "description": "The device_code of the browser that began the login: HttpOnly, one cookie for each login, whose name "
        "ends in 8 hexadecimal digits of SHA-256(login_id). On http://127.0.0.1 it begins with qrl-.",
    },
    "device_code": {
        "type": "http",
        "scheme": "bearer",
        "description": "The device_code of a command line or a television, which had it delivered in the body.",
    },
    "client": {
        "type": "http",
        "scheme": "basic",
        "description": "An OAuth client's id and secret (RFC 6749 section 2.3.1).",
    },
}


def paths(dialect: Dialect, prefix: str = "") -> dict[str, dict[str, Any]]:
    """The path items of a dialect that is mounted at `prefix`, such as /qrlogin; its phone door is below phone/."""
    found: dict[str, dict[str, Any]] = {}
    for below, routes in (("", dialect.browser_routes), ("phone/", dialect.phone_routes)):
        for route in routes:
            found.setdefault(f"{prefix}/{below}{route.path}", {})[route.method.lower()] = operation(
                route
            )
    return found


def operation(route: Route) -> dict[str, Any]:
    """One route as an operation: complete in itself, but for the SCHEMES that it names."""
    made: dict[str, Any] = {"summary": route.summary, "responses": _responses(route)}
    if parameters := [*_path_parameters(route.path), *map(_parameter, route.query)]:
        made["parameters"] = parameters
    if route.body is not None:
        fields = {one.name: _schema(one) for one in route.body}
        shape = an_object(
            {one.name: fields.pop(one.name) for one in route.body if one.required}, **fields
        )
        exact = (
            {} if route.media == JSON else {"additionalProperties": {"type": "string"}}
        )  # RFC 8628 section 3.1: ignored
        made["requestBody"] = {
            "required": True,
            "content": {route.media: {"schema": {**shape, **exact}}},
        }
    if route.proofs:
        made["security"] = [{name: []} if name else {} for name in route.proofs]
    return made


def _path_parameters(path: str) -> list[dict[str, Any]]:
    """The parameters in a path."""
    return [
        {
            "name": place[1:-1],
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{pattern}$"},
        }
        for place, pattern in PATH_PARAMETERS.items()
        if place in path
    ]


def _parameter(one: Field) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": "query",
        "required": one.required,
        "description": one.meaning,
        "schema": _schema(one, {}),
    }


def _schema(one: Field, described: Mapping[str, Any] | None = None) -> dict[str, Any]:
    described = {"description": one.meaning} if described is None else described
    shape: dict[str, Any] = (
        {"pattern": f"^({one.pattern})$"}
        if one.pattern
        else {"minLength": 1}
        if one.required
        else {}
    )
    return {"type": "string", **described, **shape}


def _responses(route: Route) -> dict[str, Any]:
    refusals = [*_always(route), *route.errors]
    statuses = sorted(
        {answer.status for answer in route.answers} | {error.http_status for error in refusals}
    )
    return {str(status): _response(status, route.answers, refusals) for status in statuses}


def _always(route: Route) -> Iterable[type[QRLoginError]]:
    """What any route of this kind refuses."""
    yield BadRequest
    if not route.cross_site:
        yield Forbidden
    if route.body is not None:
        yield from (TooLarge, UnsupportedMediaType)
    if "{" in route.path:
        yield NoSuchPath


def _response(
    status: int, answers: Iterable[Answer], refusals: Iterable[type[QRLoginError]]
) -> dict[str, Any]:
    said = [answer for answer in answers if answer.status == status]
    codes = sorted({error.wire_code for error in refusals if error.http_status == status})
    meanings = [answer.meaning for answer in said]
    if codes:
        said.append(Answer(status, "", JSON, _refusal(codes)))
        meanings += [error.wire_text for error in refusals if error.http_status == status]
    shapes: dict[str, list[Mapping[str, Any]]] = {}
    for answer in said:
        if answer.media:
            shapes.setdefault(answer.media, []).append(answer.shape)
    content = {
        media: {"schema": {"anyOf": several} if len(several) > 1 else several[0]}
        for media, several in shapes.items()
    }
    return {
        "description": " ".join(dict.fromkeys(meanings)),
        **({"content": content} if content else {}),
    }


def _refusal(codes: list[str]) -> Mapping[str, Any]:
    """The JSON of `refusals.py`."""
    text, seconds = {"type": "string"}, {"type": "integer", "minimum": 0}
    return an_object(
        {"error": {"type": "string", "enum": codes}, "error_description": text}, retry_after=seconds
    )
