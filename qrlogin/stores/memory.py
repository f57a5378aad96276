"""Logins in this process's memory: for one process, for tests and for the demo. A second worker would not see them.

One lock, no timers: a record is dropped when a later call finds that its time is over. Times come from `now`, milliseconds.
"""

import heapq
import threading
from collections.abc import Callable

from qrlogin.clock import now_ms
from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Outcome, Record, Reply, Verdict, step
from qrlogin.stores.listeners import AsyncListeners, AsyncLocalListener, Listeners, LocalListener


class _Records:
    """The records and their lock; colourless, because nothing here waits."""

    def __init__(self, capacity: int, now: Callable[[], int]) -> None:
        if capacity < 1:
            raise Misconfigured("capacity must be at least 1 record")
        self._capacity, self._now = capacity, now
        self._records: dict[str, Record] = {}
        self._garbage: list[tuple[int, str]] = []  # (instant, login_id), the earliest first
        self._lock = threading.Lock()

    def apply(self, command: Command) -> Outcome:
        with self._lock:
            clock = self._now()
            self._collect(clock)
            record = self._records.get(command.login_id, {})
            outcome = step(record, command, clock)
            if outcome.changes:
                if not record and len(self._records) >= self._capacity:
                    raise Unavailable(
                        f"the memory store is full: {self._capacity} records at a time"
                    )
                self._records[command.login_id] = outcome.reply.record
                if (
                    command.ttl_ms is not None
                    and not record
                    and outcome.reply.verdict is Verdict.APPLIED
                ):
                    heapq.heappush(
                        self._garbage, (outcome.reply.now + command.ttl_ms, command.login_id)
                    )
            return outcome

    def _collect(self, clock: int) -> None:
        while self._garbage and self._garbage[0][0] <= clock:
            self._records.pop(heapq.heappop(self._garbage)[1], None)


class MemoryStore:
    """A store in memory. At most `capacity` records at a time: logins (two records for one with a typed code) and, for each
    account that typed a code, its guesses.

    A begin beyond that raises `Unavailable`.
    """

    def __init__(self, *, capacity: int = 10_000, now: Callable[[], int] = now_ms) -> None:
        self._records, self._listeners = _Records(capacity, now), Listeners()

    def apply(self, command: Command) -> Reply:
        outcome = self._records.apply(command)
        if outcome.notify:
            self._listeners.notify(command.login_id)
        return outcome.reply

    def listen(self, login_id: str) -> LocalListener:
        return self._listeners.listen(login_id)

    def close(self) -> None:
        self._listeners.close()


class AsyncMemoryStore:
    """`MemoryStore`, awaited."""

    def __init__(self, *, capacity: int = 10_000, now: Callable[[], int] = now_ms) -> None:
        self._records, self._listeners = _Records(capacity, now), AsyncListeners()

    async def apply(self, command: Command) -> Reply:
        outcome = self._records.apply(command)
        if outcome.notify:
            self._listeners.notify(command.login_id)
        return outcome.reply

    def listen(self, login_id: str) -> AsyncLocalListener:
        return self._listeners.listen(login_id)

    async def close(self) -> None:
        self._listeners.close()
