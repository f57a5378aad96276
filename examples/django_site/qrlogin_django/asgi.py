"""In asgi.py, in place of the function of the same name in django.core.asgi: waits are awaited, and sockets are served."""

from contextlib import suppress

from django.core.asgi import get_asgi_application as django_application
from django.core.handlers.asgi import ASGIHandler
from django.urls import Resolver404, resolve

from qrlogin import AsyncQRLogin, Misconfigured
from qrlogin.wire import AsyncEndpoint, drain_on_signals
from qrlogin.wire.message import Receive, Scope, Send

from . import registry
from .conf import several


class Application:
    """Django for HTTP, qrlogin for its sockets; and when the server ends, the store is closed."""

    def __init__(self, django: ASGIHandler, qr: AsyncQRLogin) -> None:
        self._django, self._qr = django, qr

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._django(scope, receive, send)  # type: ignore[arg-type]
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._lifespan(receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            found = resolve(scope["path"].removeprefix(scope.get("root_path", "")))
        except Resolver404:
            found = None
        endpoint = registry.endpoint()
        if (
            found is None
            or found.view_name != "qrlogin:door"
            or not isinstance(endpoint, AsyncEndpoint)
        ):
            await send({"type": "websocket.close", "code": 1000})
        else:
            await endpoint.socket(scope, receive, send, found.kwargs["path"])

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        if wrong := several():  # said here, the server does not try again
            await send({"type": "lifespan.startup.failed", "message": wrong})
            return
        with suppress(Misconfigured):  # signals reach the main thread only
            drain_on_signals(self._qr)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._qr.close()
        await send({"type": "lifespan.shutdown.complete"})


def get_asgi_application() -> Application:
    registry.awaited = True
    django = django_application()
    qr = registry.qrlogin()
    if not isinstance(qr, AsyncQRLogin):
        raise RuntimeError("this process serves WSGI already")
    return Application(django, qr)
