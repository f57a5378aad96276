"""Parked waits of one process, by login. For stores to use; it knows no login's state and talks to no server.

One waiter per login: the newest takes over and the older is told so. A store that hears of changes through a channel that may
lose messages gives `reread`: every wait then ends after about that many seconds, spread out so that a thousand browsers
do not ask in the same instant.
"""

import asyncio
import random
import threading
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
    def __init__(self, *, reread: float | None = None) -> None:
        if reread is not None and not reread > 0:
            raise Misconfigured("reread must be a number of seconds above 0")
        self.reread, self.closed = reread, False
        self._waiters: dict[str, _Waiter[F]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiters)

    def announce(self, login_id: str) -> None:
        """This login may have changed."""
        with self._lock:
            if waiter := self._waiters.get(login_id):
                waiter.wake()

    def announce_all(self) -> None:
        """Any login may have changed: say so after every (re)subscription, because what came in between is lost."""
        with self._lock:
            for waiter in self._waiters.values():
                waiter.wake()

    def close(self) -> None:
        """End every wait, now and later."""
        self.closed = True
        self.announce_all()

    def _park(self, login_id: str, waiter: "_Waiter[F]") -> None:
        with self._lock:
            older = self._waiters.get(login_id)
            self._waiters[login_id] = waiter
            if older:
                older.supersede()
        if self.closed:
            waiter.wake()

    def _leave(self, login_id: str, waiter: "_Waiter[F]") -> None:
        with self._lock:
            if self._waiters.get(login_id) is waiter:
                del self._waiters[login_id]


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
