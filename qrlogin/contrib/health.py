"""A health check for load balancers: WSGI and ASGI applications, to mount in any framework.

    from qrlogin.contrib.health import health_app

    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/health": health_app(qr)})

`GET live` answers 200 as long as the process answers at all. `GET ready` answers 200 if logins work
here: the store answers, and the process does not drain; otherwise 503. Neither needs or says a
secret. In a view of your own, `qr.ready()` is all that you need. docs/observability.md shows what
to write for nginx, Kubernetes and a cloud's load balancer.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from qrlogin.aio import AsyncQRLogin
from qrlogin.login import QRLogin
from qrlogin.wire.error_response import NO_STORE, NOSNIFF
from qrlogin.wire.message import Receive, Response, Scope, Send, StartResponse

__all__ = ["async_health_app", "health_app"]

_LIVE: Final = "live"
_READY: Final = "ready"


def health_app(
    qr: QRLogin,
) -> Callable[[Mapping[str, Any], StartResponse], Iterable[bytes]]:
    """Returns the WSGI application that answers `live` and `ready` below its mount."""

    def app(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        asked = environ.get("PATH_INFO", "").strip("/")
        ready = asked != _READY or qr.ready()
        response = _response(environ["REQUEST_METHOD"], asked, ready, draining=qr.draining)
        return response.to_wsgi(start_response)

    return app


def async_health_app(qr: AsyncQRLogin) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Returns the ASGI application that answers `live` and `ready` below its mount."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        asked = path.removeprefix(str(scope.get("root_path", ""))).strip("/")
        ready = asked != _READY or await qr.ready()
        response = _response(scope["method"], asked, ready, draining=qr.draining)
        await response.to_asgi(send)

    return app


def _response(method: str, asked: str, ready: bool, *, draining: bool) -> Response:
    if asked not in (_LIVE, _READY):
        status, said = 404, "not_found"
    elif method not in ("GET", "HEAD"):
        status, said = 405, "method_not_allowed"
    elif ready:
        status, said = 200, "ok"
    else:
        status, said = 503, "draining" if draining else "unavailable"
    response = Response.json(status, {"status": said}).with_headers(NO_STORE, NOSNIFF)
    if status == 405:
        response = response.with_headers(("Allow", "GET, HEAD"))
    return replace(response, body=b"", answers_head=True) if method == "HEAD" else response
