"""Logins in this process's memory: for one process, for tests and for the demo.

A second worker process would not see them.
One lock and no timers: `apply` first drops some of the records whose time to live is over. Times
are milliseconds, from `now`.

**When it is full.** Only what begins a login is refused (`Command.beginner`), and a login that is
under way goes on. A login is under way once any command after its begin has succeeded: its browser
waits for it, or a phone has scanned it. A flood begins logins and never asks for them again. So
first the oldest login of the address with most of those gives way to a begin of another address.

**No call does much.** What a call does for other records does not grow with their number: it drops
at most a slice of those that are over, and finds the login that gives way without a search.
"""

import heapq
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from qrlogin.clock import SteadyWallClock
from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Outcome, Record, Reply, Verdict, step
from qrlogin.stores.listeners import AsyncListeners, AsyncLocalListener, Listeners, LocalListener
from qrlogin.table import DIES_AT

#: How many other records one call looks at. A million records that end at once would keep the lock
#: for many seconds. A call makes at most one record, so this is enough.
_SLICE: Final = 100
#: For how long after its begin a login is not dropped, so that its browser can ask for it: the
#: clients of RFC 8628 come after five seconds.
_GRACE_MS: Final = 10_000


class _Idle:
    """The logins that no command has asked for since their begin. Those whose grace is over may be
    dropped: they are ripe. Each beginner with a ripe login is in `_by_count`.
    """

    def __init__(self) -> None:
        # OrderedDict, because the first key of a dict from which many were deleted takes a search.
        self._logins: dict[str, OrderedDict[str, None]] = {}  # by beginner, oldest first
        self._beginners: dict[str, str] = {}  # by login_id
        self._unripe = deque[tuple[int, str]]()  # (instant of the begin, login_id), oldest first
        self._ripe: set[str] = set()
        #: The beginners with a ripe login, by how many logins they have here.
        self._by_count: dict[int, OrderedDict[str, None]] = {}
        self._most = 0  # no key of `_by_count` is larger

    def add(self, login_id: str, beginner: str, begun_at: int) -> None:
        """Remember a login that begins."""
        self._take(beginner)
        self._logins.setdefault(beginner, OrderedDict())[login_id] = None
        self._put(beginner)
        self._beginners[login_id] = beginner
        self._unripe.append((begun_at, login_id))

    def remove(self, login_id: str) -> None:
        """Forget a login, if it is there."""
        beginner = self._beginners.pop(login_id, None)
        if beginner is not None:
            self._take(beginner)
            self._ripe.discard(login_id)
            del self._logins[beginner][login_id]
            self._put(beginner)

    def ripen(self, clock: int) -> None:
        """Let logins be dropped that nothing asked for in time."""
        for _ in range(_SLICE):
            if not self._unripe or self._unripe[0][0] + _GRACE_MS > clock:
                return
            _, login_id = self._unripe.popleft()
            beginner = self._beginners.get(login_id)
            if beginner is not None:
                self._ripe.add(login_id)
                self._put(beginner)

    def choose(self, newcomer: str) -> str | None:
        """The login that gives way to a begin of `newcomer`. None: that one must be refused.

        An address does not make room for itself. Callers without an address do, because they are
        not one caller.
        """
        while self._most and self._most not in self._by_count:
            self._most -= 1
        if self._most <= (len(self._logins.get(newcomer, ())) if newcomer else 0):
            return None
        return next(iter(self._logins[next(iter(self._by_count[self._most]))]))

    def _take(self, beginner: str) -> None:
        """Take a beginner out of `_by_count`, before its number of logins changes."""
        count = len(self._logins.get(beginner, ()))
        same = self._by_count.get(count)
        if same is not None:
            same.pop(beginner, None)
            if not same:
                del self._by_count[count]

    def _put(self, beginner: str) -> None:
        logins = self._logins[beginner]
        if not logins:
            del self._logins[beginner]
        elif next(iter(logins)) in self._ripe:
            self._by_count.setdefault(len(logins), OrderedDict())[beginner] = None
            self._most = max(self._most, len(logins))


class _Ends:
    """When each record is over: an instant in milliseconds by login_id."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._by_second: dict[int, dict[str, None]] = {}  # the second after which all are over
        self._seconds: list[int] = []  # a heap of those

    def set(self, login_id: str, instant: int) -> None:
        """Set the instant of a record, in place of an earlier one."""
        self.remove(login_id)
        self._at[login_id] = instant
        second = _second(instant)
        if second not in self._by_second:
            self._by_second[second] = {}
            heapq.heappush(self._seconds, second)
        self._by_second[second][login_id] = None

    def is_over(self, login_id: str, clock: int) -> bool:
        """Whether the time of this record has passed. False for a record without an instant."""
        return self._at.get(login_id, clock + 1) <= clock

    def take_over(self, clock: int) -> str | None:
        """Forget a record that is over, and return its login_id. None: none has been over for a
        second.
        """
        while self._seconds and self._seconds[0] * 1000 <= clock:
            if records := self._by_second[self._seconds[0]]:
                login_id, _ = records.popitem()
                del self._at[login_id]
                return login_id
            del self._by_second[heapq.heappop(self._seconds)]
        return None

    def remove(self, login_id: str) -> None:
        """Forget the instant of a record, if it has one."""
        instant = self._at.pop(login_id, None)
        if instant is not None:
            del self._by_second[_second(instant)][login_id]


def _second(instant: int) -> int:
    return -(-instant // 1000)


class _Records:
    """The records and their lock. Both stores use it as it is, because it does no I/O."""

    def __init__(self, capacity: int, now: Callable[[], int] | None) -> None:
        if capacity < 1:
            raise Misconfigured("capacity must be at least 1 record")
        self._capacity, self._now = capacity, now or SteadyWallClock()
        self._records: dict[str, Record] = {}
        self._idle = _Idle()
        self._counters = OrderedDict[str, None]()  # ids of the counts of beginners, oldest first
        self._accounts: set[str] = set()  # ids of the counts of accounts
        self._named: dict[str, str] = {}  # by login_id, the id of its name record
        self._ends = _Ends()
        self._lock = threading.Lock()

    def apply(self, command: Command) -> Outcome:
        with self._lock:
            clock = self._now()
            self._drop_expired(clock)
            self._idle.ripen(clock)
            login_id = command.login_id
            record = self._records.get(login_id, {})
            if self._ends.is_over(login_id, clock):
                record = {}  # it is not dropped yet
            outcome = step(record, command, clock)
            if record and outcome.reply.verdict in (Verdict.APPLIED, Verdict.REPEATED):
                self._idle.remove(login_id)
            if outcome.changes:
                if login_id not in self._records and command.beginner is not None:
                    self._make_room(command)
                self._records[login_id] = outcome.reply.record
                born = not record and outcome.reply.verdict is Verdict.APPLIED
                if born:
                    self._remember_birth(command, outcome)
            return outcome

    def _make_room(self, command: Command) -> None:
        """Drop one record if the store is full. Raises `Unavailable` if none may be dropped."""
        if command.row.count:
            # A count that is forgotten is a full allowance, so forgetting one refuses no caller.
            if len(self._counters) >= self._capacity:
                self._drop(next(iter(self._counters)))
        elif len(self._records) - len(self._counters) - len(self._accounts) >= self._capacity:
            dropped = self._idle.choose(command.beginner or "")
            if dropped is None:
                raise Unavailable(f"the memory store is full: it holds {self._capacity} records")
            self._drop(dropped)

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
            self._ends.set(login_id, now + command.ttl_ms)

    def _drop(self, login_id: str) -> None:
        self._ends.remove(login_id)
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
            if (login_id := self._ends.take_over(clock)) is None:
                return
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
