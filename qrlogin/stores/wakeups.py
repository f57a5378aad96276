"""Parked waits of one process, by login. For stores to use; it knows no login's state and talks to no server.

One waiter per login: the newest takes over and the older is told so. A store that hears of changes through a channel that may
lose messages gives `reread`: every wait then ends after about that many seconds, spread out so that a thousand browsers
do not ask in the same instant.
"""

import asyncio
import random
import threading
from collections import deque
from typing import Generic, Protocol, Self, TypeVar

from qrlogin.errors import Misconfigured, Superseded


class _Flag(Protocol):
    def set(self) -> None: ...
    def clear(self) -> None: ...


F = TypeVar("F", bound=_Flag)


class _Waiter(Generic[F]):
    """What both colours of listener are made of."""

    def __init__(self, wakeups: "_Registry[F]", login_id: str, flag: F) -> None:
        self._wakeups, self._login_id, self._flag = wakeups, login_id, flag
        self._superseded = self._ended = False
        wakeups._park(login_id, self)

    def wake(self) -> None:
        self._flag.set()

    def supersede(self) -> None:
        self._superseded = True
        self._flag.set()

    def end(self) -> None:
        self._ended = True
        self._flag.set()

    def _patience(self, seconds: float) -> float:
        reread = self._wakeups.reread
        return seconds if reread is None else min(seconds, reread * random.uniform(0.75, 1.25))  # noqa: S311 - to spread, not to hide

    def _heard(self) -> bool:
        self._flag.clear()
        if self._superseded:
            raise Superseded
        if self._ended or self._wakeups.closed:
            self._flag.set()  # for the next wait, too
            return False
        return True


class _Registry(Generic[F]):
    """A finalizer may end a wait: the garbage collector closes a dropped stream in any thread, at any line, also in this class.

    So `_leave` waits for no lock. The other methods read the dict in single operations, which are atomic.
    """

    def __init__(self, *, reread: float | None = None) -> None:
        if reread is not None and not reread > 0:
            raise Misconfigured("reread must be a number of seconds above 0")
        self.reread, self.closed = reread, False
        self._waiters: dict[str, _Waiter[F]] = {}
        self._left = deque[tuple[str, _Waiter[F]]]()  # they are still in _waiters, until a thread gets the lock
        self._lock = threading.Lock()  # only its holder changes _waiters

    def __len__(self) -> int:
        return len(self._waiters)

    def announce(self, login_id: str) -> None:
        """This login may have changed."""
        if waiter := self._waiters.get(login_id):
            waiter.wake()

    def announce_all(self) -> None:
        """Any login may have changed: say so after every (re)subscription, because what came in between is lost."""
        for waiter in self.parked():
            waiter.wake()

    def parked(self) -> "list[_Waiter[F]]":
        """Every waiter of this moment, the oldest first: to wake thousands of them a few at a time."""
        return [*self._waiters.values()]

    def close(self) -> None:
        """End every wait, now and later."""
        self.closed = True
        self.announce_all()

    def _park(self, login_id: str, waiter: "_Waiter[F]") -> None:
        with self._lock:
            older = self._waiters.get(login_id)
            self._waiters[login_id] = waiter
        self._forget_the_left()
        if older:
            older.supersede()
        if self.closed:
            waiter.wake()

    def _leave(self, login_id: str, waiter: "_Waiter[F]") -> None:
        self._left.append((login_id, waiter))
        self._forget_the_left()

    def _forget_the_left(self) -> None:
        # If the lock is taken, its holder comes here after it has released the lock, and sees what was appended meanwhile.
        while self._left and self._lock.acquire(blocking=False):
            try:
                while self._left:
                    login_id, waiter = self._left.popleft()
                    if self._waiters.get(login_id) is waiter:
                        del self._waiters[login_id]
            finally:
                self._lock.release()


class Waiter(_Waiter[threading.Event]):
    """A `Listener` for a thread."""

    def wait(self, seconds: float) -> bool:
        self._flag.wait(self._patience(seconds))
        return self._heard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._wakeups._leave(self._login_id, self)


class AsyncWaiter(_Waiter[asyncio.Event]):
    """An `AsyncListener` for a task."""

    async def wait(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(self._patience(seconds)):
                await self._flag.wait()
        except TimeoutError:
            pass
        return self._heard()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._wakeups._leave(self._login_id, self)


class Wakeups(_Registry[threading.Event]):
    """The parked waits of threads."""

    def listen(self, login_id: str) -> Waiter:
        return Waiter(self, login_id, threading.Event())


class AsyncWakeups(_Registry[asyncio.Event]):
    """The parked waits of one event loop's tasks. Announce from that loop only."""

    def listen(self, login_id: str) -> AsyncWaiter:
        return AsyncWaiter(self, login_id, asyncio.Event())
