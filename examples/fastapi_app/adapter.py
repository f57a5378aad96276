"""qrlogin in FastAPI: a router with every route of a dialect, described in /openapi.json, and a lifespan.

`person` is a dependency that says who is signed in on the phone; `log_in` starts your
own session. Some dialects ask for more: `log_out` ends a session, `tokens` are what an OAuth client gets in place of one.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, NoReturn
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.security.base import SecurityBase
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from qrlogin import AsyncQRLogin, Misconfigured, Redeemed
from qrlogin.wire import METHODS, AsyncEndpoint, Person, drain_on_signals
from qrlogin.wire import Request as Asked
from qrlogin.wire import Response as Answer
from qrlogin.wire.message import BODY_CAP
from qrlogin.wire.openapi import SCHEMES, operation


@asynccontextmanager
async def serving(qr: AsyncQRLogin) -> AsyncIterator[None]:
    """For the application's lifespan. Its end comes when all connections are closed, so what waits is ended by the signal."""
    async with qr:
        with suppress(Misconfigured):  # in tests: only the main thread hears signals
            drain_on_signals(qr)
        yield


class Proof(SecurityBase):
    """Only says in the description what a route asks for: it is the endpoint that looks at it."""

    def __init__(self, name: str) -> None:
        self.scheme_name, self.model = name, SCHEMES[name]  # type: ignore[assignment]

    async def __call__(self) -> None: ...


class Sent(Response):
    """An answer, sent by qrlogin itself: nobody else listens meanwhile whether the browser has left."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(status_code=answer.status)
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer.to_asgi(send)


async def disconnected() -> Message:
    return {"type": "http.disconnect"}


async def read(request: Request, path: str) -> Asked:
    """The request as qrlogin reads it. Starlette keeps a short body: the application may read it, too."""
    body, length = b"", request.headers.get("content-length", "")
    try:
        if re.fullmatch("[0-9]{1,4}", length) and int(length) <= BODY_CAP:
            await request.body()
        async for part in request.stream():
            body += part
            if len(body) > BODY_CAP:
                break
    except ClientDisconnect:
        return await Asked.from_asgi(request.scope, disconnected, path)
    except RuntimeError:  # the application parsed a form, and Starlette keeps only the fields
        if "form" not in request.headers.get("content-type", ""):
            raise
        body = urlencode((await request.form()).multi_items()).encode()
    return await Asked.from_asgi(request.scope, request.receive, path, body=body)


async def missing(*_: object) -> NoReturn:
    raise RuntimeError("this dialect needs log_out= or tokens=")


def qrlogin_router(
    endpoint: AsyncEndpoint,
    person: Callable[..., Any],
    log_in: Callable[[Request, Redeemed], Awaitable[None]],
    *,
    log_out: Callable[[Request], Awaitable[None]] = missing,
    tokens: Callable[[Redeemed], Awaitable[Mapping[str, object]]] = missing,
) -> APIRouter:
    router = APIRouter(default_response_class=Response)

    async def act(request: Request, answer: Answer) -> Response:
        if answer.redeemed and answer.tokens_wanted:
            answer = answer.with_json(await tokens(answer.redeemed))
        elif answer.redeemed:
            await log_in(request, answer.redeemed)
        if answer.log_out:
            await log_out(request)
        return Sent(answer)

    def browser(path: str) -> Callable[..., Awaitable[Response]]:
        async def browser(request: Request) -> Response:
            return await act(
                request,
                await endpoint.browser(await read(request, path.format(**request.path_params))),
            )

        return browser

    def phone(path: str) -> Callable[..., Awaitable[Response]]:
        async def phone(
            request: Request, who: Annotated[Person | None, Depends(person)]
        ) -> Response:
            return await act(request, await endpoint.phone(await read(request, path), who))

        return phone

    dialect, kind = endpoint.dialect, type(endpoint.dialect).__name__
    for below, door, routes in (
        ("/phone/", phone, dialect.phone_routes),
        ("/", browser, dialect.browser_routes),
    ):
        for route in routes:
            proofs = [Depends(Proof(name)) for name in route.proofs if name]
            says = operation(route) | {"security": [{}] if "" in route.proofs else []}
            options: dict[str, Any] = {
                "name": kind,
                "openapi_extra": says,
                "status_code": int(min(says["responses"])),
            }
            router.add_api_route(
                below + route.path,
                door(route.path),
                methods=[route.method],
                dependencies=proofs,
                **options,
            )
        for path in {
            route.path for route in routes
        }:  # who takes another method is told which ones there are
            router.add_api_route(
                below + path, door(path), methods=[*METHODS], include_in_schema=False
            )

    @router.websocket("/{login_id}/socket")
    async def socket(websocket: WebSocket, login_id: str) -> None:
        with suppress(WebSocketDisconnect):  # what Starlette raises when the browser left
            await endpoint.socket(
                websocket.scope, websocket.receive, websocket.send, f"{login_id}/socket"
            )

    return router
