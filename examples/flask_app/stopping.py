"""How this process ends: nobody's wait is cut off in the middle.

Told to stop, gunicorn lets its requests end, so it is enough that no wait is held any longer. `flask run` would leave at once, as
its threads do not count: it gets a moment for the last answers.
"""

import atexit
import gc
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

from flask import Flask
from werkzeug.wsgi import ClosingIterator

from qrlogin.wire import drain_on_signals

LAST_ANSWERS_S = 1.0


class Busy:
    """Counts the answers that are being given, around a WSGI application."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._count, self._fewer = inner, 0, threading.Condition()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self._add(1)
        try:
            return ClosingIterator(self._inner(environ, start_response), lambda: self._add(-1))
        except BaseException:
            self._add(-1)
            raise

    def _add(self, number: int) -> None:
        with self._fewer:
            self._count += number
            self._fewer.notify_all()

    def wait(self) -> None:
        with self._fewer:
            self._fewer.wait_for(lambda: not self._count, LAST_ANSWERS_S)


def stop_politely(app: Flask) -> None:
    """Call it once, in the main thread of the process that serves."""
    qr, busy = app.extensions["qrlogin"], Busy(app.wsgi_app)
    app.wsgi_app = busy  # type: ignore[method-assign]
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    drain_on_signals(qr)
    atexit.register(gc.freeze)  # the system takes all memory back at once; tidying it up would take Python a second
    atexit.register(busy.wait)
    atexit.register(qr.close)  # the last registered is called first
