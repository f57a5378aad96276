"""The one coloured file of the wire: carries a dialect's exchanges to a `QRLogin` and back, blocking or awaited.

Two doors. What comes through `browser` can never act for a phone, and what comes through `phone` acts only for the person
that the application names. Whatever is refused becomes the dialect's answer. A `BadArgument` is the application's own mistake
(a `Person` without a subject, a context that is too large) and propagates like any other bug, so that its log has the reason.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from qrlogin.aio import AsyncQRLogin
from qrlogin.answers import Status
from qrlogin.errors import BadRequest, LoginError, Misconfigured, Unavailable
from qrlogin.login import QRLogin
from qrlogin.replies import is_news
from qrlogin.wire.dialect import Dialect, Exchange, Person, Wait
from qrlogin.wire.message import Request, Response
from qrlogin.wire.native import Native

_REFUSALS: Final = (LoginError, Unavailable, BadRequest)


class Endpoint:
    """Answers HTTP requests for one `QRLogin`, in the native dialect or another.

    At most `max_waiting` requests are parked at a time: give half of your server's threads, so that the other half can answer.
    Beyond that a held status is answered at once and says when to ask again.
    """

    def __init__(self, qr: QRLogin, dialect: Dialect | None = None, *, max_waiting: int) -> None:
        if not isinstance(qr, QRLogin):
            raise Misconfigured("Endpoint takes a QRLogin; for AsyncQRLogin there is AsyncEndpoint")
        self._qr, self.dialect = qr, dialect or Native(qr.core)
        self._places = threading.BoundedSemaphore(_positive(max_waiting))

    def browser(self, request: Request) -> Response:
        """Answer a request of the browser that is to be logged in."""
        return self._answer(request, lambda: self.dialect.browser(request))

    def phone(self, request: Request, person: Person | None) -> Response:
        """Answer a request of the phone on which `person` is signed in (None: nobody)."""
        return self._answer(request, lambda: self.dialect.phone(request, person))

    def _answer(self, request: Request, ask: Callable[[], Exchange[Any] | Response]) -> Response:
        try:
            answer = self._carry(ask())
        except _REFUSALS as error:
            answer = self.dialect.refuse(request, error)
        return _fitting(request, answer)

    def _carry(self, asked: Exchange[Any] | Response) -> Response:
        if isinstance(asked, Response):
            return asked
        if isinstance(asked.operation, Wait):
            return self._wait(asked, asked.operation)
        return asked.answer(self._qr.run(asked.operation))

    def _wait(self, asked: Exchange[Status], wait: Wait) -> Response:
        if not self._places.acquire(blocking=False):
            return _crowded(asked, wait, self._qr.status(wait.device_code))
        try:
            return asked.answer(self._qr.wait(wait.device_code, after=wait.after, timeout=wait.timeout))
        finally:
            self._places.release()


class AsyncEndpoint:
    """`Endpoint`, awaited. A parked request costs a few kilobytes, so `max_waiting` may be thousands."""

    def __init__(self, qr: AsyncQRLogin, dialect: Dialect | None = None, *, max_waiting: int) -> None:
        if not isinstance(qr, AsyncQRLogin):
            raise Misconfigured("AsyncEndpoint takes an AsyncQRLogin; for QRLogin there is Endpoint")
        self._qr, self.dialect = qr, dialect or Native(qr.core)
        self._free = _positive(max_waiting)

    async def browser(self, request: Request) -> Response:
        """Answer a request of the browser that is to be logged in."""
        return await self._answer(request, lambda: self.dialect.browser(request))

    async def phone(self, request: Request, person: Person | None) -> Response:
        """Answer a request of the phone on which `person` is signed in (None: nobody)."""
        return await self._answer(request, lambda: self.dialect.phone(request, person))

    async def _answer(self, request: Request, ask: Callable[[], Exchange[Any] | Response]) -> Response:
        try:
            answer = await self._carry(request, ask())
        except _REFUSALS as error:
            answer = self.dialect.refuse(request, error)
        return _fitting(request, answer)

    async def _carry(self, request: Request, asked: Exchange[Any] | Response) -> Response:
        if isinstance(asked, Response):
            return asked
        if isinstance(asked.operation, Wait):
            return await self._wait(request, asked, asked.operation)
        return asked.answer(await self._qr.run(asked.operation))

    async def _wait(self, request: Request, asked: Exchange[Status], wait: Wait) -> Response:
        if self._free < 1:
            return _crowded(asked, wait, await self._qr.status(wait.device_code))
        self._free -= 1
        waiting = asyncio.ensure_future(self._qr.wait(wait.device_code, after=wait.after, timeout=wait.timeout))
        racing: list[asyncio.Future[Any]] = [waiting]
        if request.gone is not None:  # not every framework cancels the handler of a browser that left
            racing.append(asyncio.ensure_future(request.gone()))
        try:
            await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            return asked.answer(waiting.result()) if waiting.done() else Response(499)  # nobody is there to hear it
        finally:
            self._free += 1
            for task in racing:
                task.cancel()
            await asyncio.gather(*racing, return_exceptions=True)


def _crowded(asked: Exchange[Status], wait: Wait, seen: Status) -> Response:
    """Whoever has news to hear is answered, however many wait."""
    return asked.answer(seen) if is_news(seen, wait.after) else wait.crowded(seen)


def _fitting(request: Request, answer: Response) -> Response:
    """A HEAD is answered without a body (RFC 9110 section 9.3.2), and not every server sees to that."""
    return replace(answer, body=b"") if request.method == "HEAD" else answer


def _positive(max_waiting: int) -> int:
    if max_waiting < 1:
        raise Misconfigured("max_waiting must be at least 1: give half of your server's threads")
    return max_waiting
