"""qrlogin in FastAPI: a lifespan, and a router with all routes of a dialect, for OpenAPI too.

You write two functions: `person`, a dependency, returns who is signed in on the phone; `log_in`
starts your own session. Some dialects need two more: `log_out` ends a session, and `tokens` returns
what an OAuth client receives instead of a session. All of them, `person` too, may be async or
plain. A plain one may block, because it runs in a thread; an async one costs no thread.

`log_in` may return a mapping or a model, which is `session` in the answer to a redeem, or a
response: its JSON is `session`, and its headers and cookies are sent with that answer. So a JWT
cookie is set as in any view: `response = JSONResponse({"name": ...})`, `response.set_cookie(...)`,
`return response`. Headers and cookies that a dependency sets are sent, too.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlencode

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    Request,
    Response,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from fastapi.security.base import SecurityBase
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from qrlogin import Redeemed, wire
from qrlogin.contrib import asgi
from qrlogin.contrib.asgi import serving
from qrlogin.contrib.shared import (
    REFUSALS,
    WRONG_IN_ASGI,
    AsyncLands,
    check_arguments,
    check_endpoint,
    extra_headers,
    is_mapping_to_send,
    needs_csrf_token,
    not_given,
    with_log_in,
)
from qrlogin.wire.endpoint import call
from qrlogin.wire.error_response import NO_STORE
from qrlogin.wire.message import BODY_CAP
from qrlogin.wire.openapi import SCHEMES, operation
from qrlogin.wire.routes import Route

__all__ = ["qrlogin_router", "serving", "set_landing_cookies"]

Page = TypeVar("Page", bound=Response)
_MakeView = Callable[[str], Callable[..., Awaitable[Response]]]

#: Paths of the native dialect, by how often they are asked.
_ASKED_BY_EACH_LOGIN: Final = (
    *("/begin", "/{login_id}", "/{login_id}/redeem"),
    *("/phone/look", "/phone/scan", "/phone/confirm", "/phone/outcome"),
)


def qrlogin_router(
    endpoint: wire.AsyncEndpoint,
    person: Callable[..., Any],
    log_in: Callable[[Request, Redeemed], Any],
    *,
    log_out: Callable[[Request], Any] = not_given,
    tokens: Callable[[Redeemed], Any] = not_given,
    protect: Callable[[Request], Any] | None = None,
) -> APIRouter:
    """The routes of one dialect.

    :param endpoint: The dialect. Each needs a router of its own.
    :param person: A dependency that returns the `Person` who is signed in on the phone, or None.
    :param log_in: Starts your own session. What it returns is described above.
    :param log_out: Ends the session, for dialects that log out.
    :param tokens: Returns the mapping that an OAuth client gets in place of a session.
    :param protect: Checks the request's CSRF token, and raises `HTTPException` if it is wrong.
        None: your application uses no such token.

    Raises `Misconfigured` for an `Endpoint`, and for a `log_in` that does not take what it gets.
    """
    check_endpoint(endpoint, wire.AsyncEndpoint, WRONG_IN_ASGI)
    check_arguments(log_in, "log_in", "request", "redeemed")
    router = APIRouter(default_response_class=Response)

    async def respond(
        request: Request,
        asked: wire.Request,
        added: "_Added",
        find: Callable[[], Awaitable[wire.Response]],
        *,
        phone: bool,
    ) -> Response:
        """`find` gets the answer."""
        try:
            if protect and needs_csrf_token(asked, phone=phone):
                await call(protect, request)
            answer = await find()
            redeemed = answer.redeemed
            if redeemed and answer.tokens_wanted:
                answer = answer.with_json(await call(tokens, redeemed))
            elif redeemed:
                granted = _granted(await call(log_in, request, redeemed))
                body, status = bytes(granted.body), granted.status_code
                answer = with_log_in(answer, _pairs(granted), body, status)
                if granted.background is not None:
                    added.tasks.add_task(granted.background)
            if answer.log_out:
                await call(log_out, request)
        except REFUSALS as error:
            answer = endpoint.dialect.refuse(asked, error)
        if more := _pairs(added.response):
            answer = answer.with_headers(*extra_headers(answer.headers, more))
        return _Answer(answer)

    def browser(path: str) -> Callable[..., Awaitable[Response]]:
        async def browser(request: Request, added: Response, tasks: BackgroundTasks) -> Response:
            asked = await read_request(request, path.format(**request.path_params))
            more = _Added(added, tasks)
            return await respond(request, asked, more, lambda: endpoint.browser(asked), phone=False)

        return browser

    def phone(path: str) -> Callable[..., Awaitable[Response]]:
        async def phone(
            request: Request,
            added: Response,
            tasks: BackgroundTasks,
            who: Annotated[Any, Depends(person)],
        ) -> Response:
            asked, more = await read_request(request, path), _Added(added, tasks)
            return await respond(
                request, asked, more, lambda: endpoint.phone(asked, who), phone=True
            )

        return phone

    def phone_of_no_one(path: str) -> Callable[..., Awaitable[Response]]:
        """For a preflight, which has no credentials, and for a wrong method, which needs none."""

        async def phone(request: Request, added: Response, tasks: BackgroundTasks) -> Response:
            asked, more = await read_request(request, path), _Added(added, tasks)
            # What acts is routed to the other view, so there is no token to ask for.
            return await respond(
                request, asked, more, lambda: endpoint.phone(asked, None), phone=False
            )

        return phone

    dialect, kind = endpoint.dialect, type(endpoint.dialect).__name__
    # FastAPI compares a request with one route after another, and newer versions do it twice. So
    # what each login asks comes first. The scripts, which browsers keep, come after all other
    # routes, and at the end comes what gets 405.
    mounted: list[tuple[str, Route, _MakeView, _MakeView]] = [
        *(("/", route, browser, browser) for route in dialect.browser_routes),
        *(("/phone/", route, phone, phone_of_no_one) for route in dialect.phone_routes),
    ]
    asked = {path: place for place, path in enumerate(_ASKED_BY_EACH_LOGIN)}
    mounted.sort(key=lambda mount: asked.get(mount[0] + mount[1].path, len(asked)))
    mounted.sort(key=lambda mount: mount[1].method == "GET" and "{" not in mount[1].path)
    # FastAPI calls a dependency at each request. One route that has it is enough to describe a
    # proof, which the others then name: the last one, so that what is asked often has none.
    described_by = {name: route for _, route, _, _ in mounted for name in route.proofs if name}
    for prefix, route, view, view_of_no_one in mounted:
        is_preflight = route.method == "OPTIONS"
        here = [name for name, last in described_by.items() if last is route]
        described = operation(route) | {
            "security": [{name: []} if name else {} for name in route.proofs if name not in here]
        }
        router.add_api_route(
            prefix + route.path,
            (view_of_no_one if is_preflight else view)(route.path),
            methods=[route.method],
            dependencies=[Depends(_Proof(name)) for name in here],
            name=kind,
            openapi_extra=described,
            status_code=int(min(described["responses"])),
        )
    gets = {prefix + route.path for prefix, route, _, _ in mounted if route.method == "GET"}
    # One row for each path: the last one replaces the others.
    paths = {
        prefix + each.path: (each.path, view, no_one) for prefix, each, view, no_one in mounted
    }
    for path, (below, view, view_of_no_one) in paths.items():
        head: dict[str, Any] = {"methods": ["HEAD"], "include_in_schema": False}
        if path in gets:
            router.add_api_route(path, view(below), **head)
        # A wrong method gets 405 and `Allow`.
        others = head | {"methods": [*wire.METHODS]}
        router.add_api_route(path, view_of_no_one(below), **others)

    @router.websocket("/{login_id}/socket")
    async def socket(websocket: WebSocket, login_id: str) -> None:
        path, receive = f"{login_id}/socket", websocket.receive
        with suppress(WebSocketDisconnect):  # Starlette raises it when the browser disconnects
            await asgi.socket(endpoint, websocket.scope, receive, websocket.send, path)

    return router


async def read_request(request: Request, path: str) -> wire.Request:
    """The request in qrlogin's form. `path` is the part of its path below the mount.

    A short body stays readable for the application, and one that a dependency has read is found.
    """
    body, length = b"", request.headers.get("content-length", "")
    try:
        if re.fullmatch("[0-9]{1,4}", length) and int(length) <= BODY_CAP:
            await request.body()
        async for part in request.stream():
            body += part
            if len(body) > BODY_CAP:
                break
    except ClientDisconnect:
        return await wire.Request.from_asgi(request.scope, _disconnected, path)
    except RuntimeError:  # the application parsed a form, and Starlette keeps only the fields
        if "form" not in request.headers.get("content-type", ""):
            raise
        body = urlencode((await request.form()).multi_items()).encode()
    return await wire.Request.from_asgi(request.scope, request.receive, path, body=body)


async def set_landing_cookies(page: Page, endpoint: AsyncLands, code: str) -> Page:
    """The page behind `verification_uri`, with the cookies of the code that it was opened with.

    Return it from the view, whether or not a user is signed in. By these cookies the phone can hand
    the code in later, for example after it has signed in. No cache may keep the page with its
    cookie, so it gets `Cache-Control: no-store`, unless it has a Cache-Control of its own.

    :param page: The view's response.
    :param endpoint: The native dialect's.
    :param code: The part of the page's path after `verification_uri`.
    """
    for cookie in await endpoint.landing_cookies(code):
        page.set_cookie(**asdict(cookie))
    page.headers.setdefault(*NO_STORE)
    return page


def _granted(returned: Any) -> Response:
    """What `log_in` returned, as a response."""
    is_model = hasattr(returned, "model_dump") or is_dataclass(returned)
    if is_model and not isinstance(returned, type):
        returned = jsonable_encoder(returned)
    if isinstance(returned, Response) and hasattr(returned, "body"):  # a stream has none
        return returned
    if is_mapping_to_send(returned, also="a model, or a response with a body"):
        return JSONResponse(jsonable_encoder(returned))
    return Response()


@dataclass(frozen=True, slots=True)
class _Added:
    """What dependencies have added to the answer."""

    response: Response
    """It holds their headers and cookies."""
    tasks: BackgroundTasks
    """FastAPI runs them after the answer."""


async def _disconnected() -> Message:
    return {"type": "http.disconnect"}


def _pairs(response: Response) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers
    ]


class _Proof(SecurityBase):
    """Names in the OpenAPI description what a route requires. The endpoint does the check."""

    def __init__(self, name: str) -> None:
        self.scheme_name, self.model = name, SCHEMES[name]  # type: ignore[assignment]

    async def __call__(self) -> None: ...


class _Answer(Response):
    """Lets qrlogin send its streams. A StreamingResponse would read `receive`, too."""

    def __init__(self, answer: wire.Response) -> None:
        self._answer = answer
        super().__init__(answer.body, answer.status)

    def init_headers(self, headers: object = None) -> None:
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in self._answer.header_list()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self.raw_headers  # the application may have added some
            await send(message)

        if self._answer.events is None:
            start = {"type": "http.response.start", "status": self.status_code}
            await send(start | {"headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body})
        else:
            await self._answer.to_asgi(sending)
        if self.background is not None:
            await self.background()
