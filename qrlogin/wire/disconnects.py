"""Ends held requests of a blocking server when their browser disconnects."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_CHECK_SECONDS: Final = 0.5  # between two checks of all held requests

log: Final = logging.getLogger("qrlogin")


class DisconnectMonitor:
    """Checks twice a second which of the watched browsers have disconnected, and ends their waits.

    It has a thread while it watches any. A finalizer may leave `watching` in any thread and at any
    line, so leaving it waits for a running check, but not for longer than `_CHECK_SECONDS`.
    """

    def __init__(self) -> None:
        self._starting, self._checking = threading.Lock(), threading.Lock()
        #: What ends a wait, and what says whether its browser has disconnected.
        self._watched: dict[Callable[[], None], Callable[[], bool]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(
        self, end: Callable[[], None], is_disconnected: Callable[[], bool] | None
    ) -> Iterator[None]:
        """Within this, `end` is called once the browser disconnects.

        :param end: Ends the wait. It is called in another thread.
        :param is_disconnected: Whether the browser has disconnected. None: the server does not
            show that, and nothing is watched.
        """
        if is_disconnected is None:
            yield
            return
        self._watched[end] = is_disconnected
        with self._starting:
            if self._thread is None or not self._thread.is_alive():  # a fork does not copy threads
                self._thread = threading.Thread(
                    target=self._run, name="qrlogin-disconnects", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            self._watched.pop(end, None)
            # A connection must not be checked once its request is over, so this waits for a check
            # that is running. The monitor's own thread must not wait for itself.
            if threading.current_thread() is not self._thread and self._checking.acquire(
                timeout=_CHECK_SECONDS
            ):
                self._checking.release()

    def _run(self) -> None:
        while True:
            threading.Event().wait(_CHECK_SECONDS)  # sleeps
            for end in [*self._watched]:
                try:
                    with self._checking:
                        is_disconnected = self._watched.get(end)
                        gone = is_disconnected is not None and is_disconnected()
                    if gone:
                        end()
                except Exception:  # a fault of one server connection must not stop the others
                    log.exception(
                        "qrlogin cannot check whether a browser is still connected; "
                        "its wait goes on until it times out"
                    )
                    self._watched.pop(end, None)
            with self._starting:
                if not self._watched:
                    self._thread = None
                    return
