"""Logins in this process's memory: for one process, for tests and for the demo.

A second worker process would not see them.
One lock and no timers: `apply` first drops some of the records whose time to live is over. Times
are milliseconds, from `now`.

**When it is full.** Only what begins a login is refused (`Command.beginner`), and a login that is
under way goes on. A login is under way once any command after its begin has succeeded: its browser
waits for it, or a phone has scanned it. A flood begins logins and never asks for them again. So
first the oldest login of the address with most of those gives way to a begin of another address.
"""

import heapq
import threading
from collections.abc import Callable
from typing import Final

from qrlogin.clock import SteadyWallClock
from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Outcome, Record, Reply, Verdict, step
from qrlogin.stores.listeners import AsyncListeners, AsyncLocalListener, Listeners, LocalListener
from qrlogin.table import DIES_AT

#: How many records one call drops at most. A million records that end at once would keep the lock
#: for many seconds. A call makes at most one record, so this is enough.
_SLICE: Final = 100
#: For how long after its begin a login is not dropped, so that its browser can ask for it: the
#: clients of RFC 8628 come after five seconds.
_GRACE_MS: Final = 10_000


class _Idle:
    """The logins that no command has asked for since their begin: those that may be dropped."""

    def __init__(self) -> None:
        self._begun_at: dict[str, dict[str, int]] = {}  # by beginner and login_id, oldest first
        self._beginners: dict[str, str] = {}  # by login_id

    def add(self, login_id: str, beginner: str, begun_at: int) -> None:
        self._begun_at.setdefault(beginner, {})[login_id] = begun_at
        self._beginners[login_id] = beginner

    def remove(self, login_id: str) -> None:
        """Forget a login, if it is there."""
        beginner = self._beginners.pop(login_id, None)
        if beginner is not None:
            begun = self._begun_at[beginner]
            del begun[login_id]
            if not begun:
                del self._begun_at[beginner]

    def choose(self, newcomer: str, clock: int) -> str | None:
        """The login that gives way to a begin of `newcomer`. None: that one must be refused.

        An address does not make room for itself. Callers without an address do, because they are
        not one caller.
        """
        most = len(self._begun_at.get(newcomer, ())) if newcomer else 0
        chosen = None
        for begun in self._begun_at.values():
            if len(begun) > most:
                login_id, begun_at = next(iter(begun.items()))
                if clock >= begun_at + _GRACE_MS:
                    most, chosen = len(begun), login_id
        return chosen


class _Records:
    """The records and their lock. Both stores use it as it is, because it does no I/O."""

    def __init__(self, capacity: int, now: Callable[[], int] | None) -> None:
        if capacity < 1:
            raise Misconfigured("capacity must be at least 1 record")
        self._capacity, self._now = capacity, now or SteadyWallClock()
        self._records: dict[str, Record] = {}
        self._idle = _Idle()
        self._counters: dict[str, None] = {}  # ids of the counts of beginners, oldest first
        self._accounts: set[str] = set()  # ids of the counts of accounts
        self._named: dict[str, str] = {}  # by login_id, the id of its name record
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
            if record and outcome.reply.verdict in (Verdict.APPLIED, Verdict.REPEATED):
                self._idle.remove(login_id)
            if outcome.changes:
                if login_id not in self._records and command.beginner is not None:
                    self._make_room(command, clock)
                self._records[login_id] = outcome.reply.record
                born = not record and outcome.reply.verdict is Verdict.APPLIED
                if born:
                    self._remember_birth(command, outcome)
            return outcome

    def _make_room(self, command: Command, clock: int) -> None:
        """Drop one record if the store is full. Raises `Unavailable` if none may be dropped."""
        if command.row.count:
            # A count that is forgotten is a full allowance, so forgetting one refuses no caller.
            if len(self._counters) >= self._capacity:
                self._drop(next(iter(self._counters)))
        elif len(self._records) - len(self._counters) - len(self._accounts) >= self._capacity:
            dropped = self._idle.choose(command.beginner or "", clock)
            if dropped is None:
                raise Unavailable(f"the memory store is full: it holds {self._capacity} records")
            self._drop(dropped)
            if len(self._garbage) > 2 * len(self._garbage_at) + _SLICE:
                # Most of the heap is of records that gave way: a flood makes thousands of them.
                self._garbage = [(at, login_id) for login_id, at in self._garbage_at.items()]
                heapq.heapify(self._garbage)

    def _remember_birth(self, command: Command, outcome: Outcome) -> None:
        login_id, now, record = command.login_id, outcome.reply.now, outcome.reply.record
        if command.row.count:
            if command.beginner is None:
                # Never forgotten early: a count of wrong guesses would start again.
                self._accounts.add(login_id)
            else:
                self._counters[login_id] = None
        elif command.beginner is not None:
            if record.get("state") in DIES_AT:
                self._idle.add(login_id, command.beginner, now)
            elif names := record.get("names"):
                self._named[names] = login_id
        if command.ttl_ms is not None:
            garbage_at = now + command.ttl_ms
            self._garbage_at[login_id] = garbage_at
            heapq.heappush(self._garbage, (garbage_at, login_id))

    def _drop(self, login_id: str) -> None:
        self._garbage_at.pop(login_id, None)
        record = self._records.pop(login_id, {})
        self._counters.pop(login_id, None)
        self._accounts.discard(login_id)
        self._idle.remove(login_id)
        self._named.pop(record.get("names", ""), None)
        named_by = self._named.pop(login_id, "")
        # The letters may name another login by now.
        if self._records.get(named_by, {}).get("names") == login_id:
            self._drop(named_by)

    def _drop_expired(self, clock: int) -> None:
        for _ in range(_SLICE):
            if not self._garbage or self._garbage[0][0] > clock:
                return
            garbage_at, login_id = heapq.heappop(self._garbage)
            # A record that was made again under the same id has a later instant.
            if self._garbage_at.get(login_id) == garbage_at:
                self._drop(login_id)


class MemoryStore:
    """A `Store` in this process's memory.

    :param capacity: how many records it holds at most. A login is one record, and a login with a
        typed code two. A begin beyond that takes the place of a login that no browser waits for, of
        the address that began most of them; if there is none, it raises `Unavailable`. The counts
        of addresses (at most as many again) and of accounts come on top: an account that scans has
        one, and one more if it types codes, each for about ten minutes.
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
