"""Ends the waits of a server that is told to stop, so that it need not wait for browsers that wait for a phone.

Servers let their requests end before they end themselves, and their own shutdown hooks come after that: too late to end a
request that is held. Only the signal comes first. This module knows signals; what is to end is its `QRLogin`'s business.
"""

import _thread
import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from qrlogin.aio import AsyncQRLogin
from qrlogin.errors import Misconfigured
from qrlogin.login import QRLogin


def drain_on_signals(qr: QRLogin | AsyncQRLogin) -> None:
    """On SIGTERM and SIGINT, `drain` first and then do what would have been done without this.

    Call it in the process that serves, after the server has installed its own handlers: in the lifespan under uvicorn, where the
    application is made under gunicorn (with `preload_app`: in `post_worker_init`). An `AsyncQRLogin` wants it called in its event
    loop. Raises `Misconfigured` in any thread but the main one, which alone hears signals (`signal.signal`).
    """
    if threading.current_thread() is not threading.main_thread():
        raise Misconfigured("signals reach the main thread only: call drain_on_signals there, or qr.drain() when you stop")
    drain = _soon(qr) if isinstance(qr, AsyncQRLogin) else _beside(qr)
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if before is not None and before != signal.SIG_IGN:
            signal.signal(number, _chained(drain, before))


def _chained(
    drain: Callable[[], None], before: Callable[[int, FrameType | None], object] | int | signal.Handlers
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        try:
            drain()
        finally:
            if callable(before):
                before(number, frame)
            else:  # the system's own: the process ends here
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)

    return handle


def _beside(qr: QRLogin) -> Callable[[], None]:
    # A handler interrupts the main thread wherever it is, perhaps within a lock that drain() needs; so does Thread.start().
    def drain() -> None:
        _thread.start_new_thread(qr.drain, ())

    return drain


def _soon(qr: AsyncQRLogin) -> Callable[[], None]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise Misconfigured("call drain_on_signals in the event loop that uses this AsyncQRLogin: in the lifespan") from None
    tasks: list[asyncio.Task[None]] = []  # asyncio itself holds them weakly

    def drain() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(qr.drain())))

    return drain
