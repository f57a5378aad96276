"""`get_asgi_application` for your asgi.py, in place of Django's function of the same name."""

from contextlib import suppress

from django.core.asgi import get_asgi_application as django_application
from django.core.handlers.asgi import ASGIHandler
from django.urls import Resolver404, resolve

from qrlogin import AsyncQRLogin, Misconfigured
from qrlogin.wire import AsyncEndpoint, drain_on_signals
from qrlogin.wire.message import Receive, Scope, Send

from . import registry
from .conf import unshared_memory


class Application:
    """Passes HTTP to Django and websockets to qrlogin, and closes the store at the end."""

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
            match = resolve(scope["path"].removeprefix(scope.get("root_path", "")))
        except Resolver404:
            match = None
        endpoint = registry.endpoint()
        is_ours = match is not None and match.view_name == "qrlogin:browser"
        if match is None or not is_ours or not isinstance(endpoint, AsyncEndpoint):
            await send({"type": "websocket.close", "code": 1000})
        else:
            await endpoint.socket(scope, receive, send, match.kwargs["path"])

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        # A failure that is reported here is final: the server does not start the worker again.
        if message := unshared_memory():
            await send({"type": "lifespan.startup.failed", "message": message})
            return
        with suppress(Misconfigured):  # only the main thread receives signals
            drain_on_signals(self._qr)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._qr.close()
        await send({"type": "lifespan.shutdown.complete"})


def get_asgi_application() -> Application:
    """Raises ImproperlyConfigured."""
    registry.use_asyncio = True
    django = django_application()
    qr = registry.qrlogin()
    if not isinstance(qr, AsyncQRLogin):
        raise RuntimeError("this process serves WSGI already")
    return Application(django, qr)
