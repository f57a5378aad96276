"""Logins in this process's memory: for one process, for tests and for the demo.

A second worker process would not see them.
One lock and no timers: `apply` first drops some of the records whose time to live is over. Times
are milliseconds, from `now`.
"""

import heapq
import threading
from collections.abc import Callable
from typing import Final

from qrlogin.clock import SteadyWallClock
from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Outcome, Record, Reply, Verdict, step
from qrlogin.stores.listeners import AsyncListeners, AsyncLocalListener, Listeners, LocalListener

#: How many records one call drops at most. A million records that end at once would keep the lock
#: for many seconds. A call makes at most one record, so this is enough.
_SLICE: Final = 100


class _Records:
    """The records and their lock. Both stores use it as it is, because it does no I/O."""

    def __init__(self, capacity: int, now: Callable[[], int] | None) -> None:
        if capacity < 1:
            raise Misconfigured("capacity must be at least 1 record")
        self._capacity, self._now = capacity, now or SteadyWallClock()
        self._records: dict[str, Record] = {}
        self._garbage_at: dict[str, int] = {}  # the instant for each record
        self._garbage: list[tuple[int, str]] = []  # a heap of (instant, login_id)
        self._lock = threading.Lock()

    def apply(self, command: Command) -> Outcome:
        with self._lock:
            clock = self._now()
            self._drop_expired(clock)
            login_id = command.login_id
            record = self._records.get(login_id, {})
            if self._garbage_at.get(login_id, clock + 1) <= clock:
                record = {}  # its time to live is over, but it is not dropped yet
            outcome = step(record, command, clock)
            if outcome.changes:
                if login_id not in self._records and len(self._records) >= self._capacity:
                    raise Unavailable(
                        f"the memory store is full: it holds {self._capacity} records"
                    )
                self._records[login_id] = outcome.reply.record
                born = not record and outcome.reply.verdict is Verdict.APPLIED
                if born and command.ttl_ms is not None:
                    garbage_at = outcome.reply.now + command.ttl_ms
                    self._garbage_at[login_id] = garbage_at
                    heapq.heappush(self._garbage, (garbage_at, login_id))
            return outcome

    def _drop_expired(self, clock: int) -> None:
        for _ in range(_SLICE):
            if not self._garbage or self._garbage[0][0] > clock:
                return
            garbage_at, login_id = heapq.heappop(self._garbage)
            # A record that was made again under the same id has a later instant.
            if self._garbage_at.get(login_id) == garbage_at:
                del self._garbage_at[login_id]
                self._records.pop(login_id, None)


class MemoryStore:
    """A `Store` in this process's memory.

    :param capacity: how many records it holds at most. A login is one record, a login with a typed
        code two, and the guesses of an account one. A begin beyond that raises `Unavailable`.
    :param now: returns the time in milliseconds since 1970. None: this machine's clock, which goes
        on when it is set back.
    """

    def __init__(self, *, capacity: int = 10_000, now: Callable[[], int] | None = None) -> None:
        self._records, self._listeners = _Records(capacity, now), Listeners()

    def apply(self, command: Command) -> Reply:
        """As `Store.apply`. Raises `Unavailable` only when the store is full."""
        outcome = self._records.apply(command)
        if outcome.notify:
            self._listeners.notify(command.login_id)
        return outcome.reply

    def listen(self, login_id: str) -> LocalListener:
        """As `Store.listen`."""
        return self._listeners.listen(login_id)

    def close(self) -> None:
        """Let `wait` of every listener return False, now and later. Records stay readable."""
        self._listeners.close()


class AsyncMemoryStore:
    """`MemoryStore` for asyncio, with the same arguments. One event loop uses it at a time."""

    def __init__(self, *, capacity: int = 10_000, now: Callable[[], int] | None = None) -> None:
        self._records, self._listeners = _Records(capacity, now), AsyncListeners()

    async def apply(self, command: Command) -> Reply:
        """As `AsyncStore.apply`. Raises `Unavailable` only when the store is full."""
        outcome = self._records.apply(command)
        if outcome.notify:
            self._listeners.notify(command.login_id)
        return outcome.reply

    def listen(self, login_id: str) -> AsyncLocalListener:
        """As `AsyncStore.listen`."""
        return self._listeners.listen(login_id)

    async def close(self) -> None:
        """Let `wait` of every listener return False, now and later. Records stay readable."""
        self._listeners.close()
