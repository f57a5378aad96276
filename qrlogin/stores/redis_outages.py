"""What a Redis store logs while it cannot reach its server: one line when that begins, and one when
it is over.
"""

import logging
import threading
from collections.abc import Callable

from redis.exceptions import ResponseError

from qrlogin.clock import monotonic
from qrlogin.errors import Unavailable
from qrlogin.stores.redis_client import LOST

QUIET_SECONDS = 10.0  # between two warnings of the same kind, if the server comes and goes

log = logging.getLogger("qrlogin")


class OutageLog:
    """Logs outages of one store. Calls and the subscription often fail together, and that is one
    outage.

    A service is `"calls"`, `"new logins"` or `"notifications"`. The kind of an error is `"lost"`
    for a connection that does not work, else the text that the log shows.

    :param is_closed: whether the store was closed. A store that was closed logs nothing.
    """

    def __init__(self, is_closed: Callable[[], bool]) -> None:
        self._is_closed = is_closed
        self._down: dict[str, str] = {}  # service → kind of the last error, while it fails
        self._logged: set[str] = set()  # the kinds in `_down` that the log shows already
        self._logged_at: dict[str, float] = {}  # kind → when it was last logged
        self._lock = threading.Lock()

    def unavailable(self, error: Exception) -> Unavailable:
        """Record that a call failed; return the error to raise."""
        return Unavailable(f"the store did not answer ({self.failed('calls', error)})")

    def full(self, error: Exception) -> Unavailable:
        """Record that no login can begin because the server is full; return the error to raise."""
        self.failed("new logins", error)
        return Unavailable(
            "Redis is full: it has reached its maxmemory. No login can begin until some have "
            "ended, and those under way go on"
        )

    def failed(self, service: str, error: Exception) -> str:
        """Record that a service failed; return what may be shown of the error: no address and no
        password.

        :param service: `"calls"`, `"new logins"` or `"notifications"`.
        :param error: what redis-py or the socket raised.
        """
        shown = type(error).__name__
        if isinstance(error, ResponseError):
            # The first word is the server's own code, such as OOM, READONLY or NOPERM.
            word = str(error).partition(" ")[0]
            shown += f": {word}" if word.isupper() else ""
        kind = "lost" if isinstance(error, LOST) else shown
        with self._lock:
            self._down[service] = kind
            self._logged &= set(self._down.values())
            quiet = monotonic() < self._logged_at.get(kind, -QUIET_SECONDS) + QUIET_SECONDS
            if self._is_closed() or kind in self._logged or quiet:
                return shown
            self._logged.add(kind)
            self._logged_at[kind] = monotonic()
        log.warning(
            "Redis does not serve %s (%s). Until it does, logins fail or news reaches browsers "
            "late. Check that the server runs, its address, its password, what its user may do, "
            "its memory, and its load",
            service,
            shown,
        )
        return shown

    def works(self, service: str) -> None:
        """Record that a service works, for the first time or again.

        :param service: `"calls"`, `"new logins"` or `"notifications"`.
        """
        if service not in self._down:
            return
        with self._lock:
            self._down.pop(service, None)
            over = self._logged - set(self._down.values())
            self._logged -= over
        if over:
            log.info("Redis answers again")
