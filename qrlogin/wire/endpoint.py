"""The one coloured file of the wire: carries a dialect's exchanges to a `QRLogin` and back, blocking or awaited.

Two doors. What comes through `browser` can never act for a phone, and what comes through `phone` acts only for the person
that the application names. Whatever is refused becomes the dialect's answer. A `BadArgument` is the application's own mistake
(a `Person` without a subject, a context that is too large) and propagates like any other bug, so that its log has the reason.

A wait and a stream each take one of `max_waiting` slots and give it back when they end, however they end.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing, suppress
from dataclasses import replace
from typing import Any, Final

from qrlogin.aio import AsyncQRLogin, AsyncWatch
from qrlogin.answers import Status
from qrlogin.clock import monotonic
from qrlogin.errors import (
    BadRequest,
    Crowded,
    LoginError,
    Misconfigured,
    NoSuchPath,
    Superseded,
    Unavailable,
)
from qrlogin.login import QRLogin, Watch
from qrlogin.news import is_news
from qrlogin.wire import streams
from qrlogin.wire.dialect import Dialect, Exchange, HeldStatus, Person
from qrlogin.wire.dialects.native import Native
from qrlogin.wire.disconnects import DisconnectMonitor
from qrlogin.wire.message import BODY_CAP, Receive, Request, Response, Scope, Send
from qrlogin.wire.slots import WaitSlots, as_wait_slots
from qrlogin.wire.streams import STREAMING, Feed, ItemKind, Stream, Streaming, StreamItem, is_over

_REFUSALS: Final = (LoginError, Unavailable, BadRequest)
_CLIENT_GONE: Final = Response(499)  # as nginx calls it: nobody hears the answer
_MAX_MESSAGES: Final = 32  # that a socket may be sent in its life; none of them means anything


class Endpoint:
    """Answers HTTP requests for one `QRLogin`, in the native dialect or another.

    At most `max_waiting` requests are parked at a time: give half of your server's threads, so that the other half can answer.
    CombinedDialect endpoints in one process share them: give each the same `WaitSlots(8)`.
    Beyond that a held status is answered at once and says when to ask again, and a stream is refused. Each stream takes one
    place for its life, which `streaming` sets.
    With `max_waiting=0`, for a server with one thread, no request is held.
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
        self._slots, self._streaming, self._disconnects = (
            as_wait_slots(max_waiting),
            streaming,
            DisconnectMonitor(),
        )

    def browser(self, request: Request) -> Response:
        """Answer a request of the browser that is to be logged in."""
        return self._answer(request, lambda: self.dialect.browser(request))

    def phone(self, request: Request, person: Person | None) -> Response:
        """Answer a request of the phone on which `person` is signed in (None: nobody)."""
        return self._answer(request, lambda: self.dialect.phone(request, person))

    def _answer(self, request: Request, ask: Callable[[], Exchange[Any] | Response]) -> Response:
        try:
            answer = self._execute(request, ask())
        except _REFUSALS as error:
            answer = self.dialect.refuse(request, error)
        # PEP 3333 keeps this header for servers, and some of them fall over it.
        headers = tuple(header for header in answer.headers if header[0] != "Upgrade")
        return _without_head_body(
            request, answer if headers == answer.headers else replace(answer, headers=headers)
        )

    def _execute(self, request: Request, asked: Exchange[Any] | Response) -> Response:
        if isinstance(asked, Response):
            return asked
        if isinstance(asked.operation, HeldStatus):
            return self._wait(request, asked, asked.operation)
        if isinstance(asked.operation, Stream):
            return self._stream(request, asked, asked.operation)
        return asked.answer(self._qr.run(asked.operation))

    def _wait(self, request: Request, asked: Exchange[Status], wait: HeldStatus) -> Response:
        if self._qr.draining or not self._slots.acquire():
            return _crowded(asked, wait, self._qr.run(self._qr.core.status(wait.device)))
        try:
            with (
                Watch(self._qr, wait.device) as watch,
                self._disconnects.watching(watch.end, request.is_disconnected),
            ):
                seen = watch.wait(after=wait.after, timeout=wait.timeout)
                left = watch.ended and not self._qr.draining  # so it was the look-out that ended it
            return _CLIENT_GONE if left else asked.answer(seen)
        finally:
            self._slots.release()

    def _stream(self, request: Request, asked: Exchange[Status], stream: Stream) -> Response:
        if stream.has_nothing_to_send(self._qr.run(self._qr.core.status(stream.device))):
            return stream.nothing
        events = self._events(request, asked, stream)
        next(events)
        return replace(stream.opened, events=events)

    def _events(
        self, request: Request, asked: Exchange[Status], stream: Stream
    ) -> Generator[bytes, None, None]:
        if not self._slots.acquire():
            raise Crowded
        try:
            yield b""  # for nobody: from here on it gives its place back however it ends, even closed or dropped unread
            with closing(self._follow(request, stream)) as follow:
                for told in follow:
                    if part := streams.event(told, asked.answer, self._streaming):
                        yield part
        finally:
            self._slots.release()

    def _follow(self, request: Request, stream: Stream) -> Generator[StreamItem, None, None]:
        feed, ends = Feed(stream.cursor), monotonic() + self._streaming.life
        try:
            yield StreamItem(ItemKind.OPEN)
            with (
                Watch(self._qr, stream.device) as watch,
                self._disconnects.watching(watch.end, request.is_disconnected),
            ):
                seen = watch.wait(after=None, timeout=0)
                while True:
                    yield feed.tell(seen)
                    if is_over(seen):
                        yield StreamItem(ItemKind.OVER)
                        return
                    if watch.ended or (left := ends - monotonic()) <= 0:
                        break
                    seen = watch.wait(
                        after=seen.version, timeout=min(left, self._streaming.heartbeat), seen=seen
                    )
            yield StreamItem(ItemKind.LATER)
        except Superseded:
            yield StreamItem(ItemKind.SUPERSEDED)
        except _REFUSALS:
            yield StreamItem(ItemKind.LATER)  # it comes back, and hears why then


class AsyncEndpoint:
    """`Endpoint`, awaited. A parked request costs a few kilobytes, so `max_waiting` may be thousands."""

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

    async def browser(self, request: Request) -> Response:
        """Answer a request of the browser that is to be logged in."""
        return await self._answer(request, lambda: self.dialect.browser(request))

    async def phone(self, request: Request, person: Person | None) -> Response:
        """Answer a request of the phone on which `person` is signed in (None: nobody)."""
        return await self._answer(request, lambda: self.dialect.phone(request, person))

    async def _answer(
        self, request: Request, ask: Callable[[], Exchange[Any] | Response]
    ) -> Response:
        try:
            answer = await self._execute(request, ask())
        except _REFUSALS as error:
            answer = self.dialect.refuse(request, error)
        return _without_head_body(request, answer)

    async def _execute(self, request: Request, asked: Exchange[Any] | Response) -> Response:
        if isinstance(asked, Response):
            return asked
        if isinstance(asked.operation, HeldStatus):
            return await self._wait(request, asked, asked.operation)
        if isinstance(asked.operation, Stream):
            return await self._stream(request, asked, asked.operation)
        return asked.answer(await self._qr.run(asked.operation))

    async def _wait(self, request: Request, asked: Exchange[Status], wait: HeldStatus) -> Response:
        if self._qr.draining or not self._slots.acquire():
            return _crowded(asked, wait, await self._qr.run(self._qr.core.status(wait.device)))
        waiting = asyncio.ensure_future(self._held(wait))
        racing: list[asyncio.Future[Any]] = [waiting]
        if (
            request.wait_disconnect is not None
        ):  # not every framework cancels the handler of a browser that left
            racing.append(asyncio.ensure_future(request.wait_disconnect()))
        try:
            await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            return asked.answer(waiting.result()) if waiting.done() else _CLIENT_GONE
        finally:
            self._slots.release()
            for task in racing:
                task.cancel()
            await asyncio.gather(*racing, return_exceptions=True)

    async def _held(self, wait: HeldStatus) -> Status:
        async with AsyncWatch(self._qr, wait.device) as watch:
            return await watch.wait(after=wait.after, timeout=wait.timeout)

    async def _stream(self, request: Request, asked: Exchange[Status], stream: Stream) -> Response:
        if stream.has_nothing_to_send(await self._qr.run(self._qr.core.status(stream.device))):
            return stream.nothing
        events = self._events(request, asked, stream)
        await anext(events)
        return replace(stream.opened, events=events)

    async def _events(
        self, request: Request, asked: Exchange[Status], stream: Stream
    ) -> AsyncGenerator[bytes, None]:
        if not self._slots.acquire():
            raise Crowded
        try:
            yield b""  # as above
            async with aclosing(
                self._follow(request.wait_disconnect, stream, self._streaming.heartbeat)
            ) as follow:
                async for told in follow:
                    if part := streams.event(told, asked.answer, self._streaming):
                        yield part
        finally:
            self._slots.release()

    async def _follow(
        self,
        wait_disconnect: Callable[[], Awaitable[None]] | None,
        stream: Stream,
        heartbeat: float,
    ) -> AsyncGenerator[StreamItem, None]:
        feed, ends = Feed(stream.cursor), monotonic() + self._streaming.life
        leaving = asyncio.ensure_future(wait_disconnect()) if wait_disconnect is not None else None
        try:
            yield StreamItem(ItemKind.OPEN)
            async with AsyncWatch(self._qr, stream.device) as watch:
                if leaving is not None:
                    leaving.add_done_callback(lambda _: watch.end())
                seen = await watch.wait(after=None, timeout=0)
                while True:
                    yield feed.tell(seen)
                    if is_over(seen):
                        yield StreamItem(ItemKind.OVER)
                        return
                    if watch.ended or (left := ends - monotonic()) <= 0:
                        break
                    seen = await watch.wait(
                        after=seen.version, timeout=min(left, heartbeat), seen=seen
                    )
            yield StreamItem(ItemKind.LATER)
        except Superseded:
            yield StreamItem(ItemKind.SUPERSEDED)
        except _REFUSALS:
            yield StreamItem(ItemKind.LATER)  # it comes back, and hears why then
        finally:
            if leaving is not None:
                leaving.cancel()
                await asyncio.gather(leaving, return_exceptions=True)

    async def socket(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Speak with a browser over an ASGI websocket: what `GET {login_id}/events` tells, one message for each news.

        Whoever may not listen is refused before the socket is opened. What the browser sends means nothing.
        """
        if (await receive())["type"] != "websocket.connect":
            return
        request = Request.from_websocket(scope, path)
        try:
            asked, stream = self._open_socket(request)
            seen = await self._qr.run(self._qr.core.status(stream.device))
        except _REFUSALS as error:
            if "websocket.http.response" in scope.get("extensions", {}):
                await self.dialect.refuse(request, error).to_asgi(send, "websocket.http.response")
            else:
                await send({"type": "websocket.close"})  # the server answers 403
            return
        with suppress(OSError):  # it left while it was told something
            await send({"type": "websocket.accept"})
            if stream.has_nothing_to_send(seen):
                code = streams.DONE
            elif not self._slots.acquire():
                code = streams.CROWDED
            else:
                try:
                    code = await self._pump(receive, send, asked, stream)
                finally:
                    self._slots.release()
            if code:
                await send({"type": "websocket.close", "code": code})

    def _open_socket(self, request: Request) -> tuple[Exchange[Status], Stream]:
        socket: Callable[[Request], Exchange[Status]] | None = getattr(self.dialect, "socket", None)
        asked = socket(request) if socket else None
        if asked is None or not isinstance(asked.operation, Stream):
            raise NoSuchPath("this dialect speaks no websocket")
        return asked, asked.operation

    async def _pump(
        self, receive: Receive, send: Send, asked: Exchange[Status], stream: Stream
    ) -> int:
        """Tell until there is nothing more to tell, and return the code to close with: 0 when the browser closed."""
        ending = list[int]()

        async def wait_disconnect() -> None:
            for _ in range(_MAX_MESSAGES + 1):
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    ending.append(0)
                    return
                if len(message.get("text") or message.get("bytes") or "") > BODY_CAP:
                    ending.append(streams.TOO_LONG)
                    return
            ending.append(streams.TOO_MUCH)

        code = streams.COME_BACK
        async with aclosing(self._follow(wait_disconnect, stream, self._streaming.life)) as follow:
            async for told in follow:
                code = streams.close_code(told)
                if text := streams.message(told, asked.answer):
                    await send({"type": "websocket.send", "text": text})
        return ending[0] if ending else code


def _crowded(asked: Exchange[Status], wait: HeldStatus, seen: Status) -> Response:
    """Whoever has news to hear is answered, however many wait."""
    return asked.answer(seen) if is_news(seen, wait.after) else wait.crowded(seen)


def _without_head_body(request: Request, answer: Response) -> Response:
    """A HEAD is answered without a body (RFC 9110 section 9.3.2), and not every server sees to that."""
    return replace(answer, body=b"") if request.method == "HEAD" else answer
