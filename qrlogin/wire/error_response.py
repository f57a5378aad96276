"""An error as JSON, and the headers that every answer carries.

Only a `BadRequest` explains what is wrong. All other errors of one kind have the same text, so that
it reveals nothing about the login. Which error has which status: `errors.py`.
"""

from typing import Final

from qrlogin.errors import (
    BadRequest,
    DeniedBySite,
    MethodNotAllowed,
    QRLoginError,
    StepUpNeeded,
    Unauthenticated,
    UpgradeRequired,
    WrongMatchCode,
)
from qrlogin.wire.message import Response, constant_header

NO_STORE: Final = constant_header("Cache-Control", "no-store")
NOSNIFF: Final = constant_header("X-Content-Type-Options", "nosniff")
SAME_ORIGIN: Final = constant_header("Cross-Origin-Resource-Policy", "same-origin")
SAME_SITE: Final = constant_header("Cross-Origin-Resource-Policy", "same-site")


def error_response(error: QRLoginError, *, policy: tuple[str, str] = SAME_ORIGIN) -> Response:
    """`error` as a response. `policy` is the header that says which pages may read it."""
    description = str(error) if isinstance(error, BadRequest) else error.wire_text
    payload: dict[str, object] = {"error": error.wire_code, "error_description": description}
    if isinstance(error, WrongMatchCode):
        payload["tries_left"] = error.tries_left
    headers: list[tuple[str, str]] = []
    if error.retry_after is not None:
        payload["retry_after"] = error.retry_after
        headers.append(("Retry-After", str(error.retry_after)))
    if isinstance(error, DeniedBySite) and error.words:
        payload["words"] = error.words
    if isinstance(error, StepUpNeeded):
        payload["step_up_uri"] = error.step_up_uri
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", ", ".join(error.allowed)))
    if isinstance(error, Unauthenticated):
        headers.append(("WWW-Authenticate", "Bearer"))
    if isinstance(error, UpgradeRequired):
        headers.append(("Upgrade", "websocket"))
    return Response.json(error.http_status, payload, NO_STORE, NOSNIFF, policy, *headers)
