"""qrlogin in FastAPI: a lifespan, and a router with all routes of a dialect, for OpenAPI too.

You write two functions: `person`, a dependency, returns who is signed in on the phone; `log_in`
starts your own session. Some dialects need two more: `log_out` ends a session, and `tokens` returns
what an OAuth client receives instead of a session.
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

from qrlogin import AsyncQRLogin, Misconfigured, Redeemed, wire
from qrlogin.wire.message import BODY_CAP
from qrlogin.wire.openapi import SCHEMES, operation


@asynccontextmanager
async def serving(qr: AsyncQRLogin) -> AsyncIterator[None]:
    """For the application's lifespan: closes `qr` at the end, and answers held requests on SIGTERM.

    The server ends the lifespan only when all connections are closed, so the signal must end them.
    """
    async with qr:
        with suppress(Misconfigured):  # only the main thread receives signals; tests use others
            wire.drain_on_signals(qr)
        yield


class Proof(SecurityBase):
    """Names in the OpenAPI description what a route requires. The endpoint does the check."""

    def __init__(self, name: str) -> None:
        self.scheme_name, self.model = name, SCHEMES[name]  # type: ignore[assignment]

    async def __call__(self) -> None: ...


class SentByQRLogin(Response):
    """Lets qrlogin send its answer. A StreamingResponse would read `receive`, too."""

    def __init__(self, answer: wire.Response) -> None:
        super().__init__(status_code=answer.status)
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer.to_asgi(send)


async def disconnected() -> Message:
    return {"type": "http.disconnect"}


async def read_request(request: Request, path: str) -> wire.Request:
    """The request in qrlogin's form. A short body stays readable for the application."""
    body, length = b"", request.headers.get("content-length", "")
    try:
        if re.fullmatch("[0-9]{1,4}", length) and int(length) <= BODY_CAP:
            await request.body()
        async for part in request.stream():
            body += part
            if len(body) > BODY_CAP:
                break
    except ClientDisconnect:
        return await wire.Request.from_asgi(request.scope, disconnected, path)
    except RuntimeError:  # the application parsed a form, and Starlette keeps only the fields
        if "form" not in request.headers.get("content-type", ""):
            raise
        body = urlencode((await request.form()).multi_items()).encode()
    return await wire.Request.from_asgi(request.scope, request.receive, path, body=body)


async def not_given(*_: object) -> NoReturn:
    raise RuntimeError("this dialect needs log_out= or tokens=")


def qrlogin_router(
    endpoint: wire.AsyncEndpoint,
    person: Callable[..., Any],
    log_in: Callable[[Request, Redeemed], Awaitable[None]],
    *,
    log_out: Callable[[Request], Awaitable[None]] = not_given,
    tokens: Callable[[Redeemed], Awaitable[Mapping[str, object]]] = not_given,
) -> APIRouter:
    router = APIRouter(default_response_class=Response)

    async def respond(request: Request, answer: wire.Response) -> Response:
        if answer.redeemed and answer.tokens_wanted:
            answer = answer.with_json(await tokens(answer.redeemed))
        elif answer.redeemed:
            await log_in(request, answer.redeemed)
        if answer.log_out:
            await log_out(request)
        return SentByQRLogin(answer)

    def browser(path: str) -> Callable[..., Awaitable[Response]]:
        async def browser(request: Request) -> Response:
            asked = await read_request(request, path.format(**request.path_params))
            return await respond(request, await endpoint.browser(asked))

        return browser

    def phone(path: str) -> Callable[..., Awaitable[Response]]:
        async def phone(request: Request, who: Annotated[Any, Depends(person)]) -> Response:
            asked = await read_request(request, path)
            return await respond(request, await endpoint.phone(asked, who))

        return phone

    dialect, kind = endpoint.dialect, type(endpoint.dialect).__name__
    mounts = (("/phone/", phone, dialect.phone_routes), ("/", browser, dialect.browser_routes))
    for prefix, view, routes in mounts:
        for route in routes:
            described = operation(route) | {"security": [{}] if "" in route.proofs else []}
            router.add_api_route(
                prefix + route.path,
                view(route.path),
                methods=[route.method],
                dependencies=[Depends(Proof(name)) for name in route.proofs if name],
                name=kind,
                openapi_extra=described,
                status_code=int(min(described["responses"])),
            )
        for path in {route.path for route in routes}:  # a wrong method gets 405 and `Allow`
            options: dict[str, Any] = {"methods": [*wire.METHODS], "include_in_schema": False}
            router.add_api_route(prefix + path, view(path), **options)

    @router.websocket("/{login_id}/socket")
    async def socket(websocket: WebSocket, login_id: str) -> None:
        path, receive = f"{login_id}/socket", websocket.receive
        with suppress(WebSocketDisconnect):  # Starlette raises it when the browser disconnects
            await endpoint.socket(websocket.scope, receive, websocket.send, path)

    return router
