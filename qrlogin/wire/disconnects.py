"""Notices which browsers disconnected while a blocking server holds their requests, and ends their waits."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_LOOK_SECONDS: Final = (
    0.5  # how often a blocking server looks whether browsers that wait are still there
)

log = logging.getLogger("qrlogin")


class DisconnectMonitor:
    """Looks twice a second which of the browsers that wait have left, and ends their waits; a thread, while there are any.

    A finalizer may leave `over`, in any thread, at any line, so it waits for a look at most, and for that not for ever.
    """

    def __init__(self) -> None:
        self._starting, self._looking = threading.Lock(), threading.Lock()
        self._waiting: dict[Callable[[], None], Callable[[], bool]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, end: Callable[[], None], left: Callable[[], bool] | None) -> Iterator[None]:
        """Within this, `end` is called when the browser has `left` (None: nobody can tell)."""
        if left is None:
            yield
            return
        self._waiting[end] = left
        with self._starting:
            if self._thread is None or not self._thread.is_alive():  # dead in a forked child
                self._thread = threading.Thread(
                    target=self._look, name="qrlogin-disconnects", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            self._waiting.pop(end, None)
            # No connection is looked at once its request is over. The look-out itself must not wait for its own look.
            if threading.current_thread() is not self._thread and self._looking.acquire(
                timeout=_LOOK_SECONDS
            ):
                self._looking.release()

    def _look(self) -> None:
        while True:
            threading.Event().wait(_LOOK_SECONDS)  # sleeps
            for end in [*self._waiting]:
                try:
                    with self._looking:
                        gone = (left := self._waiting.get(end)) is not None and left()
                    if gone:
                        end()
                except Exception:  # the server's mistake; the others are looked after all the same
                    log.exception(
                        "whether a browser is still there could not be told; its wait goes on to its end"
                    )
                    self._waiting.pop(end, None)
            with self._starting:
                if not self._waiting:
                    self._thread = None
                    return
