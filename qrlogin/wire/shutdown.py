"""Ends the waits of a server that is told to stop, so that it need not wait for browsers that wait for a phone.

Servers let their requests end before they end themselves, and their own shutdown hooks come after that: too late to end a
request that is held. Only the signal comes first. This module knows signals; what is to end is its `QRLogin`'s business.
"""

import _thread
import asyncio
import logging
import signal
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from qrlogin.aio import AsyncQRLogin
from qrlogin.errors import Misconfigured
from qrlogin.login import QRLogin

log = logging.getLogger("qrlogin")


def drain_on_signals(qr: QRLogin | AsyncQRLogin) -> None:
    """On SIGTERM and SIGINT (on Windows SIGBREAK, too), `drain` first and then do what would have been done without this.

    Call it in the process that serves, after the server has installed its own handlers: in the lifespan under uvicorn, where the
    application is made under gunicorn (with `preload_app`: in `post_worker_init`). An `AsyncQRLogin` wants it called in its event
    loop. Raises `Misconfigured` in any thread but the main one, which alone hears signals (`signal.signal`). A handler that was
    not installed by Python (uWSGI has such) cannot be called afterwards, so it is left alone, and that is logged. `qr` is not
    kept alive by this.
    """
    if threading.current_thread() is not threading.main_thread():
        raise Misconfigured(
            "signals reach the main thread only: call drain_on_signals there, or qr.drain() when you stop"
        )
    drain = _soon(qr) if isinstance(qr, AsyncQRLogin) else _beside(qr)
    for number in (
        signal.Signals[name] for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)
    ):
        before = signal.getsignal(number)
        if before is None:
            log.warning(
                "%s has a handler that is not Python's: call qr.drain() yourself when the server is to stop",
                number.name,
            )
        elif before != signal.SIG_IGN:
            signal.signal(number, _chained(drain, before))


def _chained(
    drain: Callable[[], None],
    before: Callable[[int, FrameType | None], object] | int | signal.Handlers,
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
    known = weakref.ref(qr)

    def drain() -> None:
        with suppress(
            RuntimeError
        ):  # no thread can be begun any more: the waits go on to their ends
            if (qr := known()) is not None:
                _thread.start_new_thread(qr.drain, ())

    return drain


def _soon(qr: AsyncQRLogin) -> Callable[[], None]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise Misconfigured(
            "call drain_on_signals in the event loop that uses this AsyncQRLogin: in the lifespan"
        ) from None
    known, tasks = weakref.ref(qr), list[asyncio.Task[None]]()  # asyncio itself holds tasks weakly

    def drain() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if (qr := known()) is not None:
                draining = qr.drain
                loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(draining())))

    return drain
