"""qrlogin in FastAPI: a router with two routes.

`person` is a dependency that says who is signed in on the phone, without touching the request's body; `log_in` starts your
own session. Some dialects ask for more: `log_out` ends a session, `tokens` are what an OAuth client gets in place of one.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any, NoReturn

from fastapi import APIRouter, Depends, Request, Response

from qrlogin import Redeemed
from qrlogin.wire import METHODS, AsyncEndpoint, Person
from qrlogin.wire import Request as Asked
from qrlogin.wire import Response as Answer


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
    router = APIRouter()

    async def send(request: Request, answer: Answer) -> Response:
        if answer.redeemed and answer.tokens_wanted:
            answer = answer.with_json(await tokens(answer.redeemed))
        elif answer.redeemed:
            await log_in(request, answer.redeemed)
        if answer.log_out:
            await log_out(request)
        response = Response(answer.body, answer.status, dict(answer.headers))
        for cookie in answer.cookies:
            response.set_cookie(**asdict(cookie))
        return response

    @router.api_route("/phone/{path:path}", methods=[*METHODS], include_in_schema=False)
    async def phone(path: str, request: Request, who: Annotated[Person | None, Depends(person)]) -> Response:
        asked = await Asked.from_asgi(request.scope, request.receive, path)
        return await send(request, await endpoint.phone(asked, who))

    @router.api_route("/{path:path}", methods=[*METHODS], include_in_schema=False)
    async def browser(path: str, request: Request) -> Response:
        asked = await Asked.from_asgi(request.scope, request.receive, path)
        return await send(request, await endpoint.browser(asked))

    return router
