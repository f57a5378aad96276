"""An application for real servers that are stopped or flooded while requests are held.

Start it as `uvicorn tests.wire.stopped:asgi` or `gunicorn "tests.wire.stopped:wsgi()"`; as
`tests.wire.stopped:lazy_asgi` for a server without lifespan events, such as daphne. Its codes do
not rotate, so a poll is held for as long as it asks. The environment configures it: ORIGIN,
STORE (memory, or the URL of a Redis), DRAIN (1, or 0 to leave out `drain_on_signals`) and BEGINS
(how many logins an address may begin at once).
GET /held returns the number of held requests in this process, and its process id. A request comes
from the address that its header X-Address names, and from the phone of the user that the token in
Authorization names.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from qrlogin import STANDARD, AsyncMemoryStore, AsyncQRLogin, Limits, MemoryStore, QRLogin
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.wire import (
    AsyncEndpoint,
    BrowserContext,
    Endpoint,
    Native,
    Person,
    Request,
    Response,
    drain_on_signals,
)

KEY = bytes(range(32))
MOST = 256


def _options() -> dict[str, Any]:
    limits = Limits(begins=int(os.environ.get("BEGINS", "300")))
    policy = replace(STANDARD, rotation=STANDARD.lifetime, limits=limits)
    return {
        "secret_keys": [KEY],
        "verification_uri": f"{os.environ['ORIGIN']}/scan",
        "policy": policy,
    }


def _held(store: Any) -> Response:
    return Response.json(200, {"pid": os.getpid(), "held": len(store._listeners)})


def _header(request: Request, name: str) -> str:
    return next(iter(request.all(name)), "")


def _native(qr: Any) -> Native:
    describe = BrowserContext(address=lambda request: _header(request, "x-address"))
    return Native(qr.core, describe=describe)


def _person(request: Request) -> Person | None:
    user = _header(request, "authorization").removeprefix("Bearer ")
    return Person(user, user) if user else None


def wsgi() -> Any:
    """Called in each worker, after gunicorn has installed its signal handlers."""
    where = os.environ["STORE"]
    store = MemoryStore() if where == "memory" else RedisStore.from_url(where)
    qr = QRLogin(store, **_options())
    if os.environ["DRAIN"] == "1":
        drain_on_signals(qr)
    endpoint = Endpoint(qr, _native(qr), max_waiting=MOST)

    def app(environ: Any, start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        request = Request.from_wsgi(environ, path.removeprefix("/qr/").removeprefix("/phone/"))
        if path == "/held":
            answer = _held(store)
        elif path.startswith("/phone/"):
            answer = endpoint.phone(request, _person(request))
        else:
            answer = endpoint.browser(request)
        return answer.to_wsgi(start_response)

    return app


class _Door:
    """The bare ASGI application behind the framework's lifespan."""

    def __init__(self) -> None:
        self.store: Any = None
        self.life: Any = None
        self.endpoint: AsyncEndpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] == "websocket":
            return await self.endpoint.socket(scope, receive, send, path.removeprefix("/qr/"))
        if path == "/held":
            return await _held(self.store).to_asgi(send)
        below = path.removeprefix("/qr/").removeprefix("/phone/")
        request = await Request.from_asgi(scope, receive, below)
        if path.startswith("/phone/"):
            answer = await self.endpoint.phone(request, _person(request))
        else:
            answer = await self.endpoint.browser(request)
        return await answer.to_asgi(send)


_door = _Door()


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    where = os.environ["STORE"]
    _door.store = AsyncMemoryStore() if where == "memory" else AsyncRedisStore.from_url(where)
    async with AsyncQRLogin(_door.store, **_options()) as qr:
        _door.endpoint = AsyncEndpoint(qr, _native(qr), max_waiting=MOST)
        if os.environ["DRAIN"] == "1":
            drain_on_signals(qr)
        yield


asgi = Starlette(lifespan=_lifespan)
asgi.mount("/", _door)


async def lazy_asgi(scope: Any, receive: Any, send: Any) -> None:
    """The same without a lifespan: the first request makes the application."""
    if _door.store is None:
        _door.life = _lifespan(asgi)  # kept: a generator that is dropped closes the application
        await _door.life.__aenter__()
    await _door(scope, receive, send)
