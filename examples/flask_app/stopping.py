"""Lets `flask run` finish its last answers when it is stopped.

`flask run` exits at once on SIGTERM, because its threads are daemons. gunicorn needs none of this:
it finishes its requests itself.
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


class RequestCounter:
    """WSGI middleware that counts the requests in progress."""

    def __init__(self, application: Any) -> None:
        self._application, self._count, self._changed = application, 0, threading.Condition()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self._add(1)
        try:
            return ClosingIterator(
                self._application(environ, start_response), lambda: self._add(-1)
            )
        except BaseException:
            self._add(-1)
            raise

    def _add(self, number: int) -> None:
        with self._changed:
            self._count += number
            self._changed.notify_all()

    def wait(self) -> None:
        """Returns when no request is in progress, after `LAST_ANSWERS_S` at the latest."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count, LAST_ANSWERS_S)


def finish_requests_at_exit(app: Flask) -> None:
    """Call it before `adapter.close_at_exit`: exit functions run in reverse order, and the held
    requests must be answered first."""
    counter = RequestCounter(app.wsgi_app)
    app.wsgi_app = counter  # type: ignore[method-assign]
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # Without this, Python's last garbage collection takes a second. The system frees all memory.
    atexit.register(gc.freeze)
    atexit.register(counter.wait)
