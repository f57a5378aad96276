"""Runs a dialect's exchanges against `QRLogin` or `AsyncQRLogin`.

Browsers and phones have separate methods. A request to `browser` can never act for a phone. A
request to `phone` acts only for the person that the application names. Each error becomes the
dialect's answer, except `BadArgument`: that is a mistake of the application (a `Person` without a
subject, a context that is too large), so it propagates like any other bug, and the log has the
reason.

A held status and a stream each take one of the endpoint's slots, and give it back however they end.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import aclosing, asynccontextmanager, closing, suppress
from dataclasses import replace
from typing import Any, Final

from qrlogin.aio import AsyncQRLogin, AsyncWatch
from qrlogin.answers import Status
from qrlogin.errors import BadRequest, Crowded, LoginError, Misconfigured, NoSuchPath, Unavailable
from qrlogin.login import QRLogin, Watch
from qrlogin.news import is_news, known
from qrlogin.wire import streams
from qrlogin.wire.cookies import LandingCookie
from qrlogin.wire.dialect import Dialect, Exchange, HeldStatus, Person
from qrlogin.wire.dialects.native import Native
from qrlogin.wire.disconnects import DisconnectMonitor
from qrlogin.wire.message import BODY_CAP, Cookie, Receive, Request, Response, Scope, Send
from qrlogin.wire.slots import WaitSlots, as_wait_slots
from qrlogin.wire.streams import STREAMING, Stream, Streaming, StreamItem, WaitForNews

_REFUSALS: Final = (LoginError, Unavailable, BadRequest)
_CLIENT_GONE: Final = Response(499)  # nginx's status for a client that did not wait for its answer
_MAX_MESSAGES: Final = 32  # from one browser over one websocket; their content is ignored


class Endpoint:
    """Answers HTTP requests for one `QRLogin`, in the native dialect or another.

    Beyond `max_waiting`, a held status is answered at once and says when to ask again, and a stream
    is refused. A stream takes one slot for as long as it lives.

    Raises `Misconfigured` for an `AsyncQRLogin`, and for a `max_waiting` below 0.

    :param qr: The logins.
    :param dialect: How requests and answers are spelled; `Native(qr.core)` by default.
    :param max_waiting: How many requests to hold at a time: half of your server's threads, so that
        the other half can answer. 0, for a server with one thread, holds no request. The
        endpoints of one process share its threads: give each the same `WaitSlots(8)`.
    :param streaming: How long streams live, and how often they send a heartbeat.
    """

    def __init__(
        self,
        qr: QRLogin,
        dialect: Dialect | None = None,
        *,
        max_waiting: int | WaitSlots,
        streaming: Streaming = STREAMING,
    ) -> None:
        if not isinstance(qr, QRLogin):
            raise Misconfigured("Endpoint takes a QRLogin; for AsyncQRLogin there is AsyncEndpoint")
        self._qr, self.dialect = qr, dialect or Native(qr.core)
        self._slots, self._streaming = as_wait_slots(max_waiting), streaming
        self._disconnects, self._landing = DisconnectMonitor(), LandingCookie(qr.core)

    def browser(self, request: Request) -> Response:
        """Answer a request of the browser that is to be logged in.

        Refusals become responses. Raises `BadArgument` for a mistake of the application.
        """
        return self._respond(request, self.dialect.browser)

    def phone(self, request: Request, person: Person | None) -> Response:
        """Answer a request of the phone on which `person` is signed in (None: no one is).

        Refusals become responses. Raises `BadArgument` for a mistake of the application.
        """
        return self._respond(request, lambda request: self.dialect.phone(request, person))

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
        self, request: Request, read: Callable[[Request], Exchange[Any] | Response]
    ) -> Response:
        try:
            response = self._execute(request, read(request))
        except _REFUSALS as error:
            response = self.dialect.refuse(request, error)
        # PEP 3333 reserves this header for servers; some fail when an application sets it.
        headers = tuple(header for header in response.headers if header[0] != "Upgrade")
        if headers != response.headers:
            response = replace(response, headers=headers)
        return _without_head_body(request, response)

    def _execute(self, request: Request, exchange: Exchange[Any] | Response) -> Response:
        if isinstance(exchange, Response):
            return exchange
        if isinstance(exchange.operation, HeldStatus):
            return self._hold(request, exchange, exchange.operation)
        if isinstance(exchange.operation, Stream):
            return self._stream(request, exchange, exchange.operation)
        return exchange.answer(self._qr.run(exchange.operation))

    def _hold(self, request: Request, exchange: Exchange[Status], held: HeldStatus) -> Response:
        if self._qr.draining or not self._slots.acquire():
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
            self._slots.release()

    def _stream(self, request: Request, exchange: Exchange[Status], stream: Stream) -> Response:
        if stream.is_finished(self._qr.run(self._qr.core.status(stream.device))):
            return stream.finished_response
        events = self._events(request, exchange, stream)
        next(events)  # takes the slot, or raises `Crowded` while there can still be a refusal
        return replace(stream.response, events=events)

    def _events(
        self, request: Request, exchange: Exchange[Status], stream: Stream
    ) -> Generator[bytes, None, None]:
        if not self._slots.acquire():
            raise Crowded
        try:
            # `_stream` takes this part, so `finally` runs even if the response is dropped unread.
            yield b""
            yield streams.encode_opening(self._streaming)
            with closing(self._items(request, stream)) as items:
                for item in items:
                    if part := streams.encode_sse(item, exchange.answer):
                        yield part
        finally:
            self._slots.release()

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
    """

    def __init__(
        self,
        qr: AsyncQRLogin,
        dialect: Dialect | None = None,
        *,
        max_waiting: int | WaitSlots,
        streaming: Streaming = STREAMING,
    ) -> None:
        if not isinstance(qr, AsyncQRLogin):
            raise Misconfigured(
                "AsyncEndpoint takes an AsyncQRLogin; for QRLogin there is Endpoint"
            )
        self._qr, self.dialect = qr, dialect or Native(qr.core)
        self._slots, self._streaming = as_wait_slots(max_waiting), streaming
        self._landing = LandingCookie(qr.core)

    async def browser(self, request: Request) -> Response:
        """Answer a request of the browser that is to be logged in.

        Refusals become responses. Raises `BadArgument` for a mistake of the application.
        """
        return await self._respond(request, self.dialect.browser)

    async def phone(self, request: Request, person: Person | None) -> Response:
        """Answer a request of the phone on which `person` is signed in (None: no one is).

        Refusals become responses. Raises `BadArgument` for a mistake of the application.
        """
        return await self._respond(request, lambda request: self.dialect.phone(request, person))

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
        self, request: Request, read: Callable[[Request], Exchange[Any] | Response]
    ) -> Response:
        try:
            response = await self._execute(request, read(request))
        except _REFUSALS as error:
            response = self.dialect.refuse(request, error)
        return _without_head_body(request, response)

    async def _execute(self, request: Request, exchange: Exchange[Any] | Response) -> Response:
        if isinstance(exchange, Response):
            return exchange
        if isinstance(exchange.operation, HeldStatus):
            return await self._hold(request, exchange, exchange.operation)
        if isinstance(exchange.operation, Stream):
            return await self._stream(request, exchange, exchange.operation)
        return exchange.answer(await self._qr.run(exchange.operation))

    async def _hold(
        self, request: Request, exchange: Exchange[Status], held: HeldStatus
    ) -> Response:
        if self._qr.draining or not self._slots.acquire():
            return _answer_unheld(
                exchange, held, await self._qr.run(self._qr.core.status(held.device))
            )
        waiting = asyncio.ensure_future(self._held_status(held))
        racing: list[asyncio.Future[Any]] = [waiting]
        if request.wait_disconnect is not None:
            # Not every framework cancels the handler of a browser that disconnected.
            racing.append(asyncio.ensure_future(request.wait_disconnect()))
        try:
            await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            return exchange.answer(waiting.result()) if waiting.done() else _CLIENT_GONE
        finally:
            self._slots.release()
            for task in racing:
                task.cancel()
            await asyncio.gather(*racing, return_exceptions=True)

    async def _held_status(self, held: HeldStatus) -> Status:
        async with AsyncWatch(self._qr, held.device) as watch:
            return await watch.wait(after=held.after, timeout=held.timeout)

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
        if not self._slots.acquire():
            raise Crowded
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
            self._slots.release()

    async def _items(
        self,
        stream: Stream,
        heartbeat: float,
        wait_disconnect: Callable[[], Awaitable[None]] | None,
    ) -> AsyncGenerator[StreamItem, None]:
        try:
            async with (
                AsyncWatch(self._qr, stream.device) as watch,
                _ending_on_disconnect(watch.end, wait_disconnect),
            ):
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
            if "websocket.http.response" in scope.get("extensions", {}):
                await self.dialect.refuse(request, error).to_asgi(send, "websocket.http.response")
            else:
                await send({"type": "websocket.close"})  # the server answers 403
            return
        with suppress(OSError):  # the browser disconnected while a message was sent
            await send({"type": "websocket.accept"})
            if stream.is_finished(status):
                code = streams.CLOSE_DONE
            elif not self._slots.acquire():
                code = streams.CLOSE_CROWDED
            else:
                try:
                    code = await self._send_items(receive, send, exchange, stream)
                finally:
                    self._slots.release()
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


@asynccontextmanager
async def _ending_on_disconnect(
    end: Callable[[], None], wait_disconnect: Callable[[], Awaitable[None]] | None
) -> AsyncIterator[None]:
    """Within this, `end` is called when the browser disconnects (None: the server does not say)."""
    if wait_disconnect is None:
        yield
        return
    leaving = asyncio.ensure_future(wait_disconnect())
    leaving.add_done_callback(lambda _: end())
    try:
        yield
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


def _answer_unheld(exchange: Exchange[Status], held: HeldStatus, status: Status) -> Response:
    """The answer to a status that cannot be held: its news, or "ask again later"."""
    seen = known(status, held.after)
    return exchange.answer(status) if is_news(status, seen) else held.crowded(status)


def _without_head_body(request: Request, response: Response) -> Response:
    """A HEAD is answered without a body (RFC 9110 section 9.3.2); not every server removes it."""
    return replace(response, body=b"") if request.method == "HEAD" else response
