"""A dialect's routes as OpenAPI 3.1.

It is computed from the routes alone, and knows no framework, no login and no dialect by name.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from qrlogin.errors import (
    BadRequest,
    DeniedBySite,
    Forbidden,
    NoSuchPath,
    QRLoginError,
    StepUpNeeded,
    TooLarge,
    UnsupportedMediaType,
)
from qrlogin.wire.dialect import Dialect
from qrlogin.wire.routes import JSON, PATH_PARAMETERS, Answer, Field, Route, an_object

SCHEMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "device_cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-qrl-*",
        "description": "The device_code of the browser that began the login: HttpOnly, one cookie "
        "for each login, whose name ends in 8 hexadecimal digits of SHA-256(login_id). On "
        "http://127.0.0.1 it begins with qrl-.",
    },
    "device_code": {
        "type": "http",
        "scheme": "bearer",
        "description": "The device_code of a command line or a television, "
        "which had it delivered in the body.",
    },
    "client": {
        "type": "http",
        "scheme": "basic",
        "description": "An OAuth client's id and secret (RFC 6749 section 2.3.1).",
    },
}
"""For `components.securitySchemes`. How a person signs in on the phone is up to the application."""


def paths(dialect: Dialect, prefix: str = "") -> dict[str, dict[str, Any]]:
    """The path items of a dialect that is mounted at `prefix`, such as /qrlogin.

    The routes of the phone are below phone/.
    """
    found: dict[str, dict[str, Any]] = {}
    for below, routes in (("", dialect.browser_routes), ("phone/", dialect.phone_routes)):
        for route in routes:
            found.setdefault(f"{prefix}/{below}{route.path}", {})[route.method.lower()] = operation(
                route
            )
    return found


def operation(route: Route) -> dict[str, Any]:
    """One route as an operation. It refers to nothing but SCHEMES."""
    described: dict[str, Any] = {"summary": route.summary, "responses": _responses(route)}
    if parameters := [*_path_parameters(route.path), *map(_parameter, route.query)]:
        described["parameters"] = parameters
    if route.body is not None:
        members = {each.name: _schema(each) for each in route.body}
        required = {each.name: members.pop(each.name) for each in route.body if each.required}
        schema = {**an_object(required, **members)}
        if route.media != JSON:  # a form may have other parameters (RFC 8628 section 3.1)
            schema["additionalProperties"] = {"type": "string"}
        described["requestBody"] = {"required": True, "content": {route.media: {"schema": schema}}}
    if route.proofs:
        described["security"] = [{name: []} if name else {} for name in route.proofs]
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": word[1:-1],
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{pattern}$"},
        }
        for word, pattern in PATH_PARAMETERS.items()
        if word in path
    ]


def _parameter(parameter: Field) -> dict[str, Any]:
    schema = _schema(parameter)
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": schema.pop("description"),
        "schema": schema,
    }


def _schema(described: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "description": described.meaning}
    if described.pattern:
        schema["pattern"] = f"^({described.pattern})$"
    elif described.required:
        schema["minLength"] = 1
    return schema


def _responses(route: Route) -> dict[str, Any]:
    refusals = [*_always(route), *route.errors]
    statuses = sorted(
        {answer.status for answer in route.answers} | {error.http_status for error in refusals}
    )
    return {str(status): _response(status, route.answers, refusals) for status in statuses}


def _always(route: Route) -> Iterable[type[QRLoginError]]:
    """The errors of every route of this kind."""
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
    described = [answer for answer in answers if answer.status == status]
    codes = sorted({error.wire_code for error in refusals if error.http_status == status})
    meanings = [answer.meaning for answer in described]
    if codes:
        described.append(Answer(status, "", JSON, _refusal(codes)))
        meanings += [error.wire_text for error in refusals if error.http_status == status]
    shapes: dict[str, list[Mapping[str, Any]]] = {}
    for answer in described:
        if answer.media:
            shapes.setdefault(answer.media, []).append(answer.shape)
    content = {
        media: {"schema": {"anyOf": several} if len(several) > 1 else several[0]}
        for media, several in shapes.items()
    }
    return {
        "description": " ".join(dict.fromkeys(map(_sentence, meanings))),
        **({"content": content} if content else {}),
    }


def _sentence(meaning: str) -> str:
    """`meaning` with a full stop: several may follow one another."""
    return meaning if meaning.endswith(".") else f"{meaning}."


def _refusal(codes: list[str]) -> Mapping[str, Any]:
    """The JSON of `error_response.py`."""
    text, seconds = {"type": "string"}, {"type": "integer", "minimum": 0}
    more: dict[str, Mapping[str, Any]] = {"retry_after": seconds}
    if DeniedBySite.wire_code in codes:
        more["words"] = text
    if StepUpNeeded.wire_code in codes:
        more["step_up_uri"] = {"type": "string", "format": "uri-reference"}
    return an_object(
        {"error": {"type": "string", "enum": codes}, "error_description": text}, **more
    )
