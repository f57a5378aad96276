"""Logins in this process's memory: for one process, for tests and for the demo.

A second worker process would not see them.
One lock and no timers: `apply` first drops the records whose time to live is over. Times are
milliseconds, from `now`.
"""

import heapq
import threading
from collections.abc import Callable

from qrlogin.clock import now_ms
from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Outcome, Record, Reply, Verdict, step
from qrlogin.stores.listeners import AsyncListeners, AsyncLocalListener, Listeners, LocalListener


class _Records:
    """The records and their lock. Both stores use it as it is, because it does no I/O."""

    def __init__(self, capacity: int, now: Callable[[], int]) -> None:
        if capacity < 1:
            raise Misconfigured("capacity must be at least 1 record")
        self._capacity, self._now = capacity, now
        self._records: dict[str, Record] = {}
        self._garbage: list[tuple[int, str]] = []  # a heap of (instant, login_id)
        self._lock = threading.Lock()

    def apply(self, command: Command) -> Outcome:
        with self._lock:
            clock = self._now()
            self._drop_expired(clock)
            record = self._records.get(command.login_id, {})
            outcome = step(record, command, clock)
            if outcome.changes:
                if not record and len(self._records) >= self._capacity:
                    raise Unavailable(
                        f"the memory store is full: it holds {self._capacity} records"
                    )
                self._records[command.login_id] = outcome.reply.record
                born = not record and outcome.reply.verdict is Verdict.APPLIED
                if born and command.ttl_ms is not None:
                    garbage_at = outcome.reply.now + command.ttl_ms
                    heapq.heappush(self._garbage, (garbage_at, command.login_id))
            return outcome

    def _drop_expired(self, clock: int) -> None:
        while self._garbage and self._garbage[0][0] <= clock:
            self._records.pop(heapq.heappop(self._garbage)[1], None)


class MemoryStore:
    """A `Store` in this process's memory.

    :param capacity: how many records it holds at most. A login is one record, a login with a typed
        code two, and the guesses of an account one. A begin beyond that raises `Unavailable`.
    :param now: returns the time in milliseconds since 1970; the default is this machine's clock.
    """

    def __init__(self, *, capacity: int = 10_000, now: Callable[[], int] = now_ms) -> None:
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

    def __init__(self, *, capacity: int = 10_000, now: Callable[[], int] = now_ms) -> None:
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
