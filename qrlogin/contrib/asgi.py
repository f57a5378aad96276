"""qrlogin as an ASGI application, to mount in any framework or server that speaks ASGI.

    from qrlogin.contrib.asgi import qrlogin_app

    app.mount("/qrlogin", qrlogin_app(endpoint, person, log_in))

It answers HTTP and websockets. If a server runs it directly, it answers the lifespan as well; a
framework that mounts it keeps the lifespan to itself, and enters `serving(qr)` there.

A middleware that reads bodies passes on a `receive` that returns them again, or puts the bytes into
`scope["qrlogin.body"]`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from qrlogin.aio import AsyncQRLogin
from qrlogin.answers import Redeemed
from qrlogin.contrib.shared import (
    REFUSALS,
    WRONG_IN_ASGI,
    AsyncLands,
    check_arguments,
    check_endpoint,
    granted_response,
    needs_csrf_token,
    needs_person,
    not_given,
    with_log_in,
)
from qrlogin.errors import Misconfigured
from qrlogin.wire.dialect import Person
from qrlogin.wire.endpoint import AsyncEndpoint, call
from qrlogin.wire.error_response import NO_STORE
from qrlogin.wire.message import Message, Receive, Request, Response, Scope, Send
from qrlogin.wire.shutdown import drain_on_signals

__all__ = ["landing_headers", "lifespan", "qrlogin_app", "serving", "socket"]

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
LogIn = Callable[[Scope, Redeemed], Any]

_BODY: Final = "qrlogin.body"


def qrlogin_app(
    endpoint: AsyncEndpoint,
    person: Callable[[Scope], Person | Awaitable[Person | None] | None],
    log_in: LogIn,
    *,
    log_out: Callable[[Scope], object] = not_given,
    tokens: Callable[[Redeemed], Any] = not_given,
    protect: Callable[[Scope], object] | None = None,
) -> Application:
    """Returns the ASGI application that answers every path below its mount.

    All functions may be async. A plain one may block, because it runs in a thread; an async one
    costs no thread.

    :param endpoint: The dialect that it speaks.
    :param person: Returns who is signed in on the phone that sent this scope, or None.
    :param log_in: Starts the application's own session for a `Redeemed`. It may return a mapping,
        which the browser gets as `session`, or a `qrlogin.wire.Response`, whose headers and cookies
        are sent, too.
    :param log_out: Ends the session, for dialects that log out. What it returns is ignored.
    :param tokens: Returns the mapping that an OAuth client gets in place of a session.
    :param protect: Checks the CSRF token of this scope, and raises `Forbidden` if it is wrong.
        None: the application uses no such token.

    Raises `Misconfigured` for an `Endpoint`, and for a `log_in` that does not take what it gets.
    """
    check_endpoint(endpoint, AsyncEndpoint, WRONG_IN_ASGI)
    check_arguments(log_in, "log_in", "scope", "redeemed")

    async def respond(scope: Scope, answer: Response) -> Response:
        redeemed = answer.redeemed
        if redeemed and answer.tokens_wanted:
            answer = answer.with_json(await call(tokens, redeemed))
        elif redeemed:
            granted = granted_response(await call(log_in, scope, redeemed))
            answer = with_log_in(answer, granted.header_list(), granted.body, granted.status)
        if answer.log_out:
            await call(log_out, scope)
        return answer

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(endpoint.qr, receive, send)
            return
        path = path_below(scope)
        if scope["type"] == "websocket":
            await socket(endpoint, scope, receive, send, path)
            return
        below = path.removeprefix("phone/")
        body = scope.get(_BODY)
        request = await Request.from_asgi(
            scope, receive, below, body=body if isinstance(body, bytes) else None
        )
        try:
            if protect and needs_csrf_token(request, phone=below != path):
                await call(protect, scope)
            if below != path:
                who = await call(person, scope) if needs_person(request) else None
                answer = await endpoint.phone(request, who)
            else:
                answer = await endpoint.browser(request)
            answer = await respond(scope, answer)
        except REFUSALS as error:
            answer = endpoint.dialect.refuse(request, error)
        await answer.to_asgi(send)

    return app


def path_below(scope: Scope) -> str:
    """The path below the mount, without a slash in front.

    Some frameworks leave the mount in `path`, as ASGI says, and some remove it.
    """
    path, root = scope["path"], scope.get("root_path", "")
    below = path[len(root) :] if path.startswith(f"{root}/") else path
    return str(below).removeprefix("/")


async def socket(
    endpoint: AsyncEndpoint, scope: Scope, receive: Receive, send: Send, path: str
) -> None:
    """Answer a websocket. A browser that disconnects at any moment causes no error.

    :param endpoint: The dialect.
    :param scope: The ASGI scope, of type "websocket".
    :param receive: ASGI's receive.
    :param send: ASGI's send.
    :param path: The part of the path below the mount.
    """

    async def sending(message: Message) -> None:
        # After the browser disconnected, some servers ignore what is sent, some raise OSError, as
        # ASGI says, and some raise RuntimeError.
        try:
            await send(message)
        except RuntimeError as error:
            if message["type"] == "websocket.accept":
                raise
            raise ConnectionResetError("the browser disconnected") from error

    with suppress(OSError):
        await endpoint.socket(scope, receive, sending, path)


@asynccontextmanager
async def serving(qr: AsyncQRLogin) -> AsyncIterator[None]:
    """For an application's lifespan: closes `qr` at the end, and answers held requests on SIGTERM.

    The server ends the lifespan only when all connections are closed, so the signal must end them.
    Raises `Misconfigured` for a `QRLogin`.
    """
    if not isinstance(qr, AsyncQRLogin):
        raise Misconfigured(f"serving takes an AsyncQRLogin, not {type(qr).__name__}")
    async with qr:
        with suppress(Misconfigured):  # only the main thread receives signals; tests use others
            drain_on_signals(qr)
        yield


async def lifespan(qr: AsyncQRLogin, receive: Receive, send: Send, *, problem: str = "") -> None:
    """Answer the messages of a server's lifespan, and serve `qr` in between.

    :param qr: The logins.
    :param receive: ASGI's receive.
    :param send: ASGI's send.
    :param problem: Why this application must not start. The server shows it and ends.
    """
    await receive()
    # A failure that is reported here is final: the server does not start the worker again.
    if problem:
        await send({"type": "lifespan.startup.failed", "message": problem})
        return
    async with serving(qr):
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def landing_headers(endpoint: AsyncLands, code: str) -> list[tuple[bytes, bytes]]:
    """The headers to add to the page behind `verification_uri` when it is opened with this code.

    They set the cookies by which this phone can hand the code in later, for example after it has
    signed in. Add them whether or not a user is signed in.

    No cache may keep the page with its cookie, so `Cache-Control: no-store` is one of them. Leave
    it out if your page has a Cache-Control of its own.
    """
    cookies = await endpoint.landing_cookies(code)
    headers = [NO_STORE, *(("Set-Cookie", cookie.header()) for cookie in cookies)]
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
