"""Ends held requests when a server gets the signal to stop.

When a server stops, it first waits for its requests, and runs its shutdown hooks after that: too
late to end a request that is held. Only the signal itself comes earlier. This module handles the
signals; `QRLogin.drain` ends the requests.
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
from typing import Final

from qrlogin.aio import AsyncQRLogin
from qrlogin.errors import Misconfigured
from qrlogin.login import QRLogin

log: Final = logging.getLogger("qrlogin")


def drain_on_signals(qr: QRLogin | AsyncQRLogin) -> None:
    """On SIGTERM and SIGINT (and SIGBREAK on Windows), call `qr.drain()` and then the old handler.

    Call it in the process that serves, after the server has installed its handlers. Under uvicorn
    that is in the lifespan. Under gunicorn it is where the application is made, or in
    `post_worker_init` with `preload_app`. For an `AsyncQRLogin`, call it in its event loop.

    A handler that Python did not install (uWSGI has such) cannot be called afterwards, so it stays
    as it is, and a warning is logged. The handlers do not keep `qr` alive.

    Raises `Misconfigured` in any thread but the main one, because only that gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise Misconfigured(
            "signals reach the main thread only: "
            "call drain_on_signals there, or qr.drain() when the server stops"
        )
    drain = _drain_in_loop(qr) if isinstance(qr, AsyncQRLogin) else _drain_in_thread(qr)
    for number in (
        signal.Signals[name] for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)
    ):
        before = signal.getsignal(number)
        if before is None:
            log.warning(
                "%s has a handler that is not Python's: "
                "call qr.drain() yourself when the server stops",
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
            else:  # the default action of the system: the process ends here
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)

    return handle


def _drain_in_thread(qr: QRLogin) -> Callable[[], None]:
    # A handler interrupts the main thread at any line, perhaps while it holds a lock that drain()
    # or Thread.start() needs. So drain() runs in a thread of its own, which `_thread` starts.
    reference = weakref.ref(qr)

    def drain() -> None:
        with suppress(RuntimeError):  # no thread can be started any more: the waits time out
            if (qr := reference()) is not None:
                _thread.start_new_thread(qr.drain, ())

    return drain


def _drain_in_loop(qr: AsyncQRLogin) -> Callable[[], None]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise Misconfigured(
            "call drain_on_signals in the event loop that uses this AsyncQRLogin: in the lifespan"
        ) from None
    reference = weakref.ref(qr)
    tasks = list[asyncio.Task[None]]()  # asyncio holds tasks only weakly

    def drain() -> None:
        with suppress(RuntimeError):  # the loop is closed, so no request is held
            if (qr := reference()) is not None:
                draining = qr.drain
                loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(draining())))

    return drain
