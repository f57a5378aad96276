"""Ends held requests when a server stops, or when it replaces one of its workers.

When a server stops, it first waits for its requests, and runs its shutdown hooks after that: too
late to end a request that is held. Only the signal itself comes earlier. This module handles the
signals; `QRLogin.drain` ends the requests.

A worker of gunicorn or uvicorn that has served its number of requests ends without a signal, and
then, too, waits for its requests. Meanwhile it takes no new connection. The server object that owns
the old signal handler shows that; this module looks at it a few times a second.
"""

import _thread
import asyncio
import logging
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

from qrlogin.aio import AsyncQRLogin
from qrlogin.errors import Misconfigured
from qrlogin.login import QRLogin

log: Final = logging.getLogger("qrlogin")

_CHECK_SECONDS: Final = 0.05  # between two checks whether the server is about to end this process

_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers


def drain_on_signals(qr: QRLogin | AsyncQRLogin) -> None:
    """On SIGTERM and SIGINT (and SIGBREAK on Windows), call `qr.drain()` and then the old handler.

    It also calls `qr.drain()` when this process has served as many requests as gunicorn's
    `--max-requests` or uvicorn's `--limit-max-requests` allows, or gunicorn's `--reload` has seen a
    change, because such a worker is about to end.

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
            signal.signal(number, _Chained(drain, before))
    if is_leaving := _leaving(signal.getsignal(signal.SIGTERM)):
        check = _check_in_loop if isinstance(qr, AsyncQRLogin) else _check_in_thread
        check(weakref.ref(qr), is_leaving, drain)


class _Chained:
    """A handler that drains and then calls the handler that was there before."""

    def __init__(self, drain: Callable[[], None], before: _Handler) -> None:
        self._drain, self.before = drain, before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            self._drain()
        finally:
            if callable(self.before):
                self.before(number, frame)
            else:  # the default action of the system: the process ends here
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)


def _leaving(handler: Any) -> Callable[[], bool] | None:
    """What says that the server which owns this handler ends its process without a signal. None if
    it never does, or is not known.
    """
    while isinstance(handler, _Chained):
        handler = handler.before
    server: Any = getattr(handler, "__self__", None)
    if hasattr(server, "max_requests") and hasattr(server, "alive"):  # a worker of gunicorn
        reloads = getattr(getattr(server, "cfg", None), "reload", False)
        ends = reloads or server.max_requests < sys.maxsize
        return (lambda: not server.alive) if ends else None
    limit = getattr(getattr(server, "config", None), "limit_max_requests", None)
    if not isinstance(limit, int):
        return None
    most = getattr(server, "limit_max_requests", limit)  # uvicorn; newer versions add a jitter
    return lambda: bool(server.server_state.total_requests >= most)


def _check_in_thread(
    qr: "weakref.ref[Any]", is_leaving: Callable[[], bool], drain: Callable[[], None]
) -> None:
    def run() -> None:
        while (alive := qr()) is not None and not alive.draining:
            del alive  # while this thread sleeps, it keeps nothing alive
            if is_leaving():
                drain()
                return
            threading.Event().wait(_CHECK_SECONDS)

    threading.Thread(target=run, name="qrlogin-leaving", daemon=True).start()


def _check_in_loop(
    qr: "weakref.ref[Any]", is_leaving: Callable[[], bool], drain: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()

    def check() -> None:
        if (alive := qr()) is None or alive.draining:
            return
        if is_leaving():
            drain()
        else:
            loop.call_later(_CHECK_SECONDS, check)

    check()


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
