"""What a store logs while its server or database fails: one line when that begins, and one when it
is over.
"""

import logging
import threading
from collections.abc import Callable
from random import SystemRandom
from typing import Final

from qrlogin.clock import monotonic
from qrlogin.errors import Unavailable
from qrlogin.step import Command

#: The kind of an error that means that the server cannot be reached.
LOST_CONNECTION: Final = "lost"

QUIET_SECONDS = 10.0  # between two warnings of the same kind, if the server comes and goes

log: Final = logging.getLogger("qrlogin")


def pause_seconds(failures: int, took: float = 0.0) -> float:
    """Seconds until a subscription is tried again: longer after each failure. It is random, so that
    the processes do not come back in the same instant. Attempts begin at most a second apart, or
    one right after the other if they take longer: then a server that answers again is heard soon.

    :param failures: how many attempts have failed since the last one that worked.
    :param took: seconds that the last attempt took.
    """
    # Not the shared generator, whose numbers an application may have chosen with a seed.
    apart = min(1.0, 0.05 * 2.0 ** min(failures, 5)) * SystemRandom().uniform(0.5, 1.0)
    return max(apart - took, 0.05 * SystemRandom().uniform(0.5, 1.0))


def attempt_seconds(failures: int, took: float = 0.0) -> float:
    """Seconds that an attempt to subscribe may take: half a second for the first ones, because
    browsers wait and the next connection may work, and longer for those that come later, because
    the network may be slow.

    :param failures: how many attempts have failed since the last one that worked.
    :param took: seconds that the last one that worked has taken.
    """
    return float(max(0.5, 2 * took) * 2.0 ** min(8, max(0, failures - 2)))


class OutageLog:
    """Logs outages of one store. Calls and the subscription often fail together, and that is one
    outage.

    A service is `"calls"`, `"new logins"`, `"durable answers"` or `"notifications"`.

    :param server: its name in the log, such as "Redis".
    :param describe: returns what may be shown of an error, and its kind: errors of one kind are one
        outage. What is shown holds no address and no password.
    :param is_closed: whether the store was closed. A store that was closed logs nothing.
    """

    def __init__(
        self,
        server: str,
        describe: Callable[[Exception], tuple[str, str]],
        is_closed: Callable[[], bool],
    ) -> None:
        self._server, self._describe, self._is_closed = server, describe, is_closed
        self._down: dict[str, str] = {}  # service → kind of the last error, while it fails
        self._logged: set[str] = set()  # the kinds in `_down` that the log shows already
        self._logged_at: dict[str, float] = {}  # kind → when it was last logged
        self._lock = threading.Lock()

    def unavailable(self, error: Exception) -> Unavailable:
        """Record that a call failed; return the error to raise."""
        return Unavailable(f"the store did not answer ({self.failed('calls', error)})")

    def failed(self, service: str, error: Exception) -> str:
        """Record that a service failed; return what may be shown of the error.

        :param service: one of those above.
        :param error: what the client or the socket raised.
        """
        shown, kind = self._describe(error)
        with self._lock:
            self._down[service] = kind
            self._logged &= set(self._down.values())
            quiet = monotonic() < self._logged_at.get(kind, -QUIET_SECONDS) + QUIET_SECONDS
            if self._is_closed() or kind in self._logged or quiet:
                return shown
            self._logged.add(kind)
            self._logged_at[kind] = monotonic()
        log.warning(
            "%s does not serve %s (%s). Until it does, logins fail or news reaches browsers late. "
            "`python -m qrlogin doctor --store ADDRESS` looks at the server, its address and "
            "password, what its user may do, its memory and its load",
            self._server,
            service,
            shown,
        )
        return shown

    def answered(self, command: Command) -> None:
        """Record that the server has carried out a command."""
        self.works("calls")
        if command.beginner is not None:
            self.works("new logins")
        if command.row.durable:
            self.works("durable answers")

    def works(self, service: str) -> None:
        """Record that a service works, for the first time or again.

        :param service: one of those above.
        """
        if service not in self._down:
            return
        with self._lock:
            self._down.pop(service, None)
            over = self._logged - set(self._down.values())
            self._logged -= over
        if over:
            log.info("%s answers again", self._server)
