"""Runs a dialect's exchanges against `QRLogin` or `AsyncQRLogin`.

Browsers and phones have separate methods. A request to `browser` can never act for a phone. A
request to `phone` acts only for the person that the application names. Each error becomes the
dialect's answer, except `BadArgument`: that is a mistake of the application (a `Person` without a
subject, a context that is too large), so it propagates like any other bug, and the log has the
reason.

HEAD is answered wherever GET is, and changes nothing, in every dialect.

A held status and a stream each take one of the endpoint's slots, and give it back however they end.
A server that handles one request at a time gets no slot: a request that is held would stop all
others.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import aclosing, closing, suppress
from dataclasses import replace
from functools import cache
from inspect import isawaitable
from typing import Any, Final

from qrlogin.aio import AsyncQRLogin, AsyncWatch
from qrlogin.answers import Scanned, Status
from qrlogin.arguments import check_callback, is_async
from qrlogin.core import Core
from qrlogin.errors import (
    BadRequest,
    Crowded,
    LoginError,
    Misconfigured,
    NoSuchPath,
    QRLoginError,
    TooManyBegins,
    TooManyWaits,
    Unavailable,
)
from qrlogin.limits import network_of
from qrlogin.login import QRLogin, Watch
from qrlogin.news import is_news, known
from qrlogin.operation import Operation
from qrlogin.step import Reply
from qrlogin.wire import streams
from qrlogin.wire.cookies import LandingCookie
from qrlogin.wire.dialect import Dialect, Exchange, HeldStatus, Person
from qrlogin.wire.dialects.native import Native
from qrlogin.wire.disconnects import DisconnectMonitor
from qrlogin.wire.error_response import NO_STORE, NOSNIFF, SAME_ORIGIN
from qrlogin.wire.judge import JUDGE_CALL, Judge, JudgeCalls
from qrlogin.wire.message import BODY_CAP, Cookie, Receive, Request, Response, Scope, Send
from qrlogin.wire.pause import PAUSE_CALL, Pause, begins, refuse_if
from qrlogin.wire.slots import WaitSlots, as_wait_slots
from qrlogin.wire.streams import STREAMING, Stream, Streaming, StreamItem, WaitForNews
from qrlogin.wire.unrouted import UnroutedLog

_REFUSALS: Final = (LoginError, Unavailable, BadRequest)
_CLIENT_GONE: Final = Response(499)  # nginx's status for a client that did not wait for its answer
#: The answer to a HEAD of what changes something. What a GET would answer is not known.
_UNCHANGED: Final = Response(200, (NO_STORE, NOSNIFF, SAME_ORIGIN), answers_head=True)
_RETRY_STREAM: Final = 2  # seconds
_MAX_MESSAGES: Final = 32  # from one browser over one websocket; their content is ignored

log: Final = logging.getLogger("qrlogin")


class Endpoint:
    """Answers HTTP requests for one `QRLogin`, in the native dialect or another.

    Beyond `max_waiting`, a held status is answered at once and says when to ask again, and a stream
    is refused. A stream takes one slot for as long as it lives. On a server that handles one
    request at a time, no request is held, whatever `max_waiting` is; the log says so once.

    Raises `Misconfigured` for an `AsyncQRLogin`, for a `max_waiting` below 0, for an async `judge`
    or `paused`, and for a `judge` beside a dialect other than the native one. So does a request
    that would have to wait while an event loop runs in this thread, because it would stop that
    loop: use `AsyncEndpoint` there.

    :param qr: The logins.
    :param dialect: How requests and answers are spelled; `Native(qr.core)` by default.
    :param max_waiting: How many requests to hold at a time: half of your server's threads, so that
        the other half can answer. 0 holds no request. The endpoints of one process share its
        threads: give each the same `WaitSlots(8)`.
    :param streaming: How long streams live, and how often they send a heartbeat.
    :param judge: A function of your own that may refuse a phone, or ask for one more step. It is
        asked when a phone looks at a login, scans it or confirms it (docs/judge.md).
    :param paused: A function of your own that returns whether no new login may begin now. It is
        asked before each begin, which is then refused with `Paused`: 503 in the native dialect. The
        other requests go on. Give it to each endpoint of the site.
    """

    dialect: Dialect
    """How requests and answers are spelled."""

    def __init__(
        self,
        qr: QRLogin,
        dialect: Dialect | None = None,
        *,
        max_waiting: int | WaitSlots,
        streaming: Streaming = STREAMING,
        judge: Judge | None = None,
        paused: Pause | None = None,
    ) -> None:
        if not isinstance(qr, QRLogin):
            raise Misconfigured("Endpoint takes a QRLogin; for AsyncQRLogin there is AsyncEndpoint")
        self._qr, self.dialect = qr, dialect or Native(qr.core)
        self._slots, self._streaming = as_wait_slots(max_waiting), streaming
        self._waits = _Waits(self._slots, qr.core, self.dialect)
        self._unrouted = UnroutedLog(self.dialect)
        self._disconnects, self._landing = DisconnectMonitor(), LandingCookie(qr.core)
        self._judge = _judge_calls(judge, self.dialect, awaited=False)
        self._paused = _checked_pause(paused, awaited=False)

    @property
    def qr(self) -> QRLogin:
        """The logins that it answers for."""
        return self._qr

    def browser(self, request: Request) -> Response:
        """Answer a request of the browser that is to be logged in.

        Refusals become responses. Raises `BadArgument` for a mistake of the application.
        """
        return self._respond(request, self.dialect.browser, "browser")

    def phone(self, request: Request, person: Person | None) -> Response:
        """Answer a request of the phone on which `person` is signed in (None: no one is).

        Refusals become responses. Raises `BadArgument` for a mistake of the application.
        """
        return self._respond(
            request, lambda request: self.dialect.phone(request, person), "phone", person
        )

    def landing_cookies(self, code: str) -> tuple[Cookie, ...]:
        """The cookie for the page behind `verification_uri`, opened with this code. Set it on the
        page's response, also if the browser is not signed in: it lets this browser scan the login
        after the code's own deadline, so that its user can sign in first.

        Returns () for a code that needs no cookie (a fixed or typed one) or is not valid.
        """
        with suppress(*_REFUSALS):
            return (self._landing.make(self._qr.run(self._qr.core.land(code))),)
        return ()

    def _respond(
        self,
        request: Request,
        read: Callable[[Request], Exchange[Any] | Response],
        side: str,
        person: Person | None = None,
    ) -> Response:
        try:
            response = self._execute(request, read(request), person)
        except _REFUSALS as error:
            self._unrouted.note(error, request, side)
            _note_limit(error)
            response = self.dialect.refuse(request, error)
        except _WouldChange:
            return _UNCHANGED
        if request.method == "HEAD":
            response = _without_body(response)
        # PEP 3333 reserves this header for servers; some fail when an application sets it.
        headers = tuple(header for header in response.headers if header[0] != "Upgrade")
        if headers != response.headers:
            response = replace(response, headers=headers)
        return response

    def _execute(
        self, request: Request, exchange: Exchange[Any] | Response, person: Person | None
    ) -> Response:
        if isinstance(exchange, Response):
            return exchange
        if request.method == "HEAD":
            exchange = _for_head(self._qr.core, exchange)
        if isinstance(exchange.operation, HeldStatus):
            return self._hold(request, exchange, exchange.operation)
        if isinstance(exchange.operation, Stream):
            return self._stream(request, exchange, exchange.operation)
        if self._paused and begins(exchange.operation):
            refuse_if(self._paused())
        if self._judge and exchange.look and person:
            looking = exchange.look()
            looked = self._qr.run(looking)
            if self._judge.concerns(looked):
                self._judge.enforce(self._judge.call(looked, person, request))
            if looking is exchange.operation:
                return exchange.answer(looked)
        return exchange.answer(self._qr.run(exchange.operation))

    def _hold(self, request: Request, exchange: Exchange[Status], held: HeldStatus) -> Response:
        address = self._waits.address_of(request)
        if self._qr.draining or not self._waits.acquire(request, address):
            return _answer_unheld(exchange, held, self._qr.run(self._qr.core.status(held.device)))
        try:
            with (
                Watch(self._qr, held.device) as watch,
                self._disconnects.watching(watch.end, request.is_disconnected),
            ):
                status = watch.wait(after=held.after, timeout=held.timeout)
                client_gone = watch.ended and not self._qr.draining
            return _CLIENT_GONE if client_gone else exchange.answer(status)
        finally:
            self._waits.release(address)

    def _stream(self, request: Request, exchange: Exchange[Status], stream: Stream) -> Response:
        if stream.is_finished(self._qr.run(self._qr.core.status(stream.device))):
            return stream.finished_response
        events = self._events(request, exchange, stream)
        next(events)  # takes the slot, or raises `Crowded` while there can still be a refusal
        return replace(stream.response, events=events)

    def _events(
        self, request: Request, exchange: Exchange[Status], stream: Stream
    ) -> Generator[bytes, None, None]:
        address = self._waits.address_of(request)
        if not self._waits.acquire(request, address):
            raise self._waits.refusal(address)
        try:
            # `_stream` takes this part, so `finally` runs even if the response is dropped unread.
            yield b""
            yield streams.encode_opening(self._streaming)
            with closing(self._items(request, stream)) as items:
                for item in items:
                    if part := streams.encode_sse(item, exchange.answer):
                        yield part
        finally:
            self._waits.release(address)

    def _items(self, request: Request, stream: Stream) -> Generator[StreamItem, None, None]:
        times = self._streaming
        try:
            with (
                Watch(self._qr, stream.device) as watch,
                self._disconnects.watching(watch.end, request.is_disconnected),
            ):
                steps = streams.conversation(
                    stream.cursor, times.life, times.heartbeat, lambda: watch.ended
                )
                step = next(steps, None)
                while step is not None:
                    if isinstance(step, WaitForNews):
                        status = watch.wait(
                            after=step.after, timeout=step.timeout, status=step.status
                        )
                        step = steps.send(status)
                    else:
                        yield step
                        step = next(steps, None)
        except _REFUSALS as error:
            yield streams.last_item(error)


class AsyncEndpoint:
    """`Endpoint`, awaited. A held request costs a few kilobytes, so `max_waiting` may be thousands.

    :param qr: The logins.
    :param dialect: How requests and answers are spelled; `Native(qr.core)` by default.
    :param max_waiting: How many requests to hold at a time.
    :param streaming: How long streams live, and how often they send a heartbeat.
    :param judge: As of `Endpoint`. It may be async; a plain one may block, because it runs in a
        thread.
    :param paused: As of `Endpoint`, and async or plain as `judge` is.
    """

    dialect: Dialect
    """How requests and answers are spelled."""

    def __init__(
        self,
        qr: AsyncQRLogin,
        dialect: Dialect | None = None,
        *,
        max_waiting: int | WaitSlots,
        streaming: Streaming = STREAMING,
        judge: Judge | None = None,
        paused: Pause | None = None,
    ) -> None:
        if not isinstance(qr, AsyncQRLogin):
            raise Misconfigured(
                "AsyncEndpoint takes an AsyncQRLogin; for QRLogin there is Endpoint"
            )
        self._qr, self.dialect = qr, dialect or Native(qr.core)
        self._slots, self._streaming = as_wait_slots(max_waiting), streaming
        self._waits = _Waits(self._slots, qr.core, self.dialect)
        self._unrouted, self._landing = UnroutedLog(self.dialect), LandingCookie(qr.core)
        self._judge = _judge_calls(judge, self.dialect, awaited=True)
        self._paused = _checked_pause(paused, awaited=True)

    @property
    def qr(self) -> AsyncQRLogin:
        """The logins that it answers for."""
        return self._qr

    # `browser` and `phone` return the coroutine of `_respond`. A coroutine of their own would cost
    # memory in each of thousands of requests that are held.

    def browser(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Answer a request of the browser that is to be logged in. Await it.

        Refusals become responses. Raises `BadArgument` for a mistake of the application.
        """
        return self._respond(request, self.dialect.browser, "browser")

    def phone(self, request: Request, person: Person | None) -> Coroutine[Any, Any, Response]:
        """Answer a request of the phone on which `person` is signed in (None: no one is). Await it.

        Refusals become responses. Raises `BadArgument` for a mistake of the application.
        """
        return self._respond(
            request, lambda request: self.dialect.phone(request, person), "phone", person
        )

    async def landing_cookies(self, code: str) -> tuple[Cookie, ...]:
        """The cookie for the page behind `verification_uri`, opened with this code. Set it on the
        page's response, also if the browser is not signed in: it lets this browser scan the login
        after the code's own deadline, so that its user can sign in first.

        Returns () for a code that needs no cookie (a fixed or typed one) or is not valid.
        """
        with suppress(*_REFUSALS):
            return (self._landing.make(await self._qr.run(self._qr.core.land(code))),)
        return ()

    async def _respond(
        self,
        request: Request,
        read: Callable[[Request], Exchange[Any] | Response],
        side: str,
        person: Person | None = None,
    ) -> Response:
        try:
            exchange = read(request)
            if isinstance(exchange, Response):
                response = exchange
            else:
                if request.method == "HEAD":
                    exchange = _for_head(self._qr.core, exchange)
                operation = exchange.operation
                if isinstance(operation, HeldStatus):
                    response = await self._hold(request, exchange, operation)
                elif isinstance(operation, Stream):
                    response = await self._stream(request, exchange, operation)
                else:
                    response = await self._run(request, exchange, operation, person)
        except _REFUSALS as error:
            self._unrouted.note(error, request, side)
            _note_limit(error)
            response = self.dialect.refuse(request, error)
        except _WouldChange:
            return _UNCHANGED
        return _without_body(response) if request.method == "HEAD" else response

    async def _run(
        self,
        request: Request,
        exchange: Exchange[Any],
        operation: Operation[Any],
        person: Person | None,
    ) -> Response:
        if self._paused and begins(operation):
            refuse_if(await call(self._paused))
        if self._judge and exchange.look and person:
            looking = exchange.look()
            looked = await self._qr.run(looking)
            if self._judge.concerns(looked):
                await _ask_judge(self._judge, looked, person, request)
            if looking is operation:
                return exchange.answer(looked)
        return exchange.answer(await self._qr.run(operation))

    async def _hold(
        self, request: Request, exchange: Exchange[Status], held: HeldStatus
    ) -> Response:
        address = self._waits.address_of(request)
        if self._qr.draining or not self._waits.acquire(request, address):
            return _answer_unheld(
                exchange, held, await self._qr.run(self._qr.core.status(held.device))
            )
        try:
            # Not every framework cancels the handler of a browser that disconnected.
            async with AsyncWatch(self._qr, held.device, request.wait_disconnect) as watch:
                status = await watch.wait(after=held.after, timeout=held.timeout)
                client_gone = watch.ended and not self._qr.draining
            return _CLIENT_GONE if client_gone else exchange.answer(status)
        finally:
            self._waits.release(address)

    async def _stream(
        self, request: Request, exchange: Exchange[Status], stream: Stream
    ) -> Response:
        if stream.is_finished(await self._qr.run(self._qr.core.status(stream.device))):
            return stream.finished_response
        events = self._events(request, exchange, stream)
        await anext(events)  # takes the slot, or raises `Crowded` while there can be a refusal
        return replace(stream.response, events=events)

    async def _events(
        self, request: Request, exchange: Exchange[Status], stream: Stream
    ) -> AsyncGenerator[bytes, None]:
        address = self._waits.address_of(request)
        if not self._waits.acquire(request, address):
            raise self._waits.refusal(address)
        try:
            # `_stream` takes this part, so `finally` runs even if the response is dropped unread.
            yield b""
            yield streams.encode_opening(self._streaming)
            heartbeat = self._streaming.heartbeat
            async with aclosing(self._items(stream, heartbeat, request.wait_disconnect)) as items:
                async for item in items:
                    if part := streams.encode_sse(item, exchange.answer):
                        yield part
        finally:
            self._waits.release(address)

    async def _items(
        self,
        stream: Stream,
        heartbeat: float,
        wait_disconnect: Callable[[], Awaitable[None]] | None,
    ) -> AsyncGenerator[StreamItem, None]:
        try:
            async with AsyncWatch(self._qr, stream.device, wait_disconnect) as watch:
                steps = streams.conversation(
                    stream.cursor, self._streaming.life, heartbeat, lambda: watch.ended
                )
                step = next(steps, None)
                while step is not None:
                    if isinstance(step, WaitForNews):
                        status = await watch.wait(
                            after=step.after, timeout=step.timeout, status=step.status
                        )
                        step = steps.send(status)
                    else:
                        yield step
                        step = next(steps, None)
        except _REFUSALS as error:
            yield streams.last_item(error)

    async def socket(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answer an ASGI websocket: one message for each event of `GET {login_id}/events`.

        A browser that may not read this login is refused before the socket is opened. What a
        browser sends is ignored.

        :param scope: The ASGI scope, of type "websocket".
        :param receive: ASGI's receive.
        :param send: ASGI's send.
        :param path: The part of the path below the mount.
        """
        if (await receive())["type"] != "websocket.connect":
            return
        request = Request.from_websocket(scope, path)
        try:
            exchange, stream = self._read_socket(request)
            status = await self._qr.run(self._qr.core.status(stream.device))
        except _REFUSALS as error:
            self._unrouted.note(error, request, "browser")
            if "websocket.http.response" in scope.get("extensions", {}):
                await self.dialect.refuse(request, error).to_asgi(send, "websocket.http.response")
            else:
                await send({"type": "websocket.close"})  # the server answers 403
            return
        with suppress(OSError):  # the browser disconnected while a message was sent
            await send({"type": "websocket.accept"})
            if stream.is_finished(status):
                code = streams.CLOSE_DONE
            elif not self._waits.acquire(request, address := self._waits.address_of(request)):
                code = streams.CLOSE_CROWDED
            else:
                try:
                    code = await self._send_items(receive, send, exchange, stream)
                finally:
                    self._waits.release(address)
            if code:
                await send({"type": "websocket.close", "code": code})

    def _read_socket(self, request: Request) -> tuple[Exchange[Status], Stream]:
        # `socket` is optional: see `Dialect`.
        read: Callable[[Request], Exchange[Status]] | None = getattr(self.dialect, "socket", None)
        exchange = read(request) if read else None
        if exchange is None or not isinstance(exchange.operation, Stream):
            raise NoSuchPath("this dialect has no websocket")
        return exchange, exchange.operation

    async def _send_items(
        self, receive: Receive, send: Send, exchange: Exchange[Status], stream: Stream
    ) -> int:
        """Send until the stream ends. Returns the code to close with, 0 if the browser closed."""
        # The code if the browser ends the stream, 0 if it closed. None: it neither closed nor sent
        # too much.
        early_code: int | None = None

        async def wait_disconnect() -> None:
            nonlocal early_code
            for _ in range(_MAX_MESSAGES + 1):
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    early_code = 0
                    return
                if len(message.get("text") or message.get("bytes") or "") > BODY_CAP:
                    early_code = streams.CLOSE_TOO_LONG
                    return
            early_code = streams.CLOSE_TOO_MANY_MESSAGES

        code = streams.CLOSE_COME_BACK
        # A websocket has no message for a heartbeat, so the stream's life is passed as its
        # interval: none is due before the stream ends.
        items = self._items(stream, self._streaming.life, wait_disconnect)
        async with aclosing(items):
            async for item in items:
                code = streams.close_code(item)
                if text := streams.encode_message(item, exchange.answer):
                    await send({"type": "websocket.send", "text": text})
        return code if early_code is None else early_code


def _judge_calls(judge: Judge | None, dialect: Dialect, *, awaited: bool) -> JudgeCalls | None:
    """How the judge is asked. Another dialect that answered phones would pass them all."""
    if judge is None:
        return None
    if not isinstance(dialect, Native):
        raise Misconfigured(
            "give judge to the endpoint of the native dialect: it answers all phones"
        )
    return JudgeCalls(check_callback(judge, JUDGE_CALL, awaited=awaited))


def _checked_pause(paused: Pause | None, *, awaited: bool) -> Pause | None:
    return None if paused is None else check_callback(paused, PAUSE_CALL, awaited=awaited)


async def _ask_judge(judge: JudgeCalls, looked: Scanned, person: Person, request: Request) -> None:
    """Raise the refusal of a judge of either colour."""
    if judge.is_async:
        returned = judge.call(looked, person, request)
    else:
        returned = await asyncio.to_thread(judge.call, looked, person, request)
    if isawaitable(returned):
        try:
            returned = await returned
        except Exception as error:
            returned = judge.failed(error)
    judge.enforce(returned)


async def call(function: Callable[..., Any], *arguments: object) -> Any:
    """What an async function returns. It is called in this thread. A plain function may block, so
    it runs in another thread.
    """
    if is_async(function):
        return await function(*arguments)
    returned = await asyncio.to_thread(function, *arguments)
    return await returned if isawaitable(returned) else returned


class _Waits:
    """The slots of an endpoint, and how many of them one address may have."""

    def __init__(self, slots: WaitSlots, core: Core, dialect: Dialect) -> None:
        self._slots, limits = slots, core.policy.limits
        self._most = limits.waits if limits else None
        # `address_of` is optional: see `Dialect`.
        self._find: Callable[[Request], str] | None = getattr(dialect, "address_of", None)

    def address_of(self, request: Request) -> str:
        """What counts as one address; "" if it is not known or not limited."""
        if self._most is None or self._find is None:
            return ""
        return network_of(self._find(request))

    def acquire(self, request: Request, address: str) -> bool:
        """Take a slot for this request, which then forgets its headers. Returns False if none is
        free for this address, or if the request must not be held.
        """
        slots = self._slots
        if not request.one_at_a_time and slots.max_waiting:
            if not slots.acquire(address, self._most):
                return False
            request._release_headers()
            return True
        if slots.max_waiting:
            _log_once(
                logging.WARNING,
                "this server handles one request at a time, so qrlogin holds no request: browsers "
                "ask again every few seconds. Give it threads (gunicorn --threads 16), and "
                "browsers get news at once",
            )
        else:
            _log_once(
                logging.INFO,
                "max_waiting is 0, so qrlogin holds no request: browsers ask again every few "
                "seconds. Set it to half of the server's threads, and browsers get news at once",
            )
        return False

    def refusal(self, address: str) -> TooManyWaits | Crowded:
        """Why `acquire` returned False."""
        is_limited = self._slots.is_share_used(address, self._most)
        return TooManyWaits(_RETRY_STREAM) if is_limited else Crowded()

    def release(self, address: str) -> None:
        """Give a slot back."""
        self._slots.release(address)


def _note_limit(error: QRLoginError) -> None:
    if isinstance(error, TooManyBegins):
        _log_once(
            logging.WARNING,
            "an address has begun so many logins that it is slowed down. If that is the address of "
            "a proxy of yours, all browsers behind it are: say where the address of a browser is. "
            "With one proxy that is BrowserContext(proxies=1), QRLOGIN_PROXIES=1 or PROXIES in "
            "QRLOGIN (Django); with a header of another kind, BrowserContext(address=...)",
        )


@cache
def _log_once(level: int, message: str) -> None:
    """Log this message, once in the life of the process."""
    log.log(level, message)


def _answer_unheld(exchange: Exchange[Status], held: HeldStatus, status: Status) -> Response:
    """The answer to a status that cannot be held: its news, or "ask again later"."""
    seen = known(status, held.after)
    return exchange.answer(status) if is_news(status, seen) else held.crowded(status)


class _WouldChange(Exception):
    """A HEAD came to an address whose GET changes something, as in some dialects."""


def _for_head(core: Core, exchange: Exchange[Any]) -> Exchange[Any]:
    """What a HEAD asks in place of a GET: it holds nothing, and raises `_WouldChange` before it
    changes anything.
    """
    operation = exchange.operation
    if isinstance(operation, HeldStatus):
        return Exchange(core.status(operation.device), exchange.answer)
    if isinstance(operation, Stream):
        stream = operation
        return Exchange(
            core.status(stream.device),
            lambda status: (
                stream.finished_response
                if stream.is_finished(status)
                else replace(stream.response, events=())
            ),
        )
    return Exchange(_stop_before_a_change(operation), exchange.answer)


def _stop_before_a_change(operation: Operation[Any]) -> Operation[Any]:
    if not operation.command.row.reads:
        raise _WouldChange

    def interpret(reply: Reply) -> Any:
        meaning = operation.interpret(reply)
        return _stop_before_a_change(meaning) if isinstance(meaning, Operation) else meaning

    return replace(operation, interpret=interpret)


def _without_body(response: Response) -> Response:
    """The answer to a HEAD (RFC 9110 section 9.3.2); not every server removes the body. It sets no
    cookie: some say what the browser has seen.
    """
    unknown = response.status in (204, 304) or response.events is not None
    length = () if unknown else (("Content-Length", str(len(response.body))),)
    return replace(
        response.with_headers(*length), body=b"", cookies=(), events=None, answers_head=True
    )
