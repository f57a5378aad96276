"""What `flask run` lacks: told to stop, it would leave at once, as its threads do not count. Here the last answers get a moment.

Gunicorn lets its requests end by itself.
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


def await_last_answers(app: Flask) -> None:
    """Call it before `adapter.stop_politely`, which ends the waits: what is registered last is called first."""
    busy = Busy(app.wsgi_app)
    app.wsgi_app = busy  # type: ignore[method-assign]
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    atexit.register(
        gc.freeze
    )  # the system takes all memory back at once; tidying it up would take Python a second
    atexit.register(busy.wait)
