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


class _BaseListener(Generic[F]):
    """What both colours of listener are made of."""

    def __init__(self, listeners: "_Registry[F]", login_id: str, flag: F) -> None:
        self._listeners, self._login_id, self._flag = listeners, login_id, flag
        self._superseded = self._ended = False
        listeners._add(login_id, self)

    def wake(self) -> None:
        self._flag.set()

    def supersede(self) -> None:
        self._superseded = True
        self._flag.set()

    def end(self) -> None:
        self._ended = True
        self._flag.set()

    def _patience(self, seconds: float) -> float:
        reread = self._listeners.reread
        return seconds if reread is None else min(seconds, reread * random.uniform(0.75, 1.25))  # noqa: S311 - to spread, not to hide

    def _heard(self) -> bool:
        self._flag.clear()
        if self._superseded:
            raise Superseded
        if self._ended or self._listeners.closed:
            self._flag.set()  # for the next wait, too
            return False
        return True


class _Registry(Generic[F]):
    """A finalizer may end a wait: the garbage collector closes a dropped stream in any thread, at any line, also in this class.

    So `_remove` waits for no lock. The other methods read the dict in single operations, which are atomic.
    """

    def __init__(self, *, reread: float | None = None) -> None:
        if reread is not None and not reread > 0:
            raise Misconfigured("reread must be a number of seconds above 0")
        self.reread, self.closed = reread, False
        self._listeners: dict[str, _BaseListener[F]] = {}
        self._left = deque[
            tuple[str, _BaseListener[F]]
        ]()  # they are still in _listeners, until a thread gets the lock
        self._lock = threading.Lock()  # only its holder changes _listeners

    def __len__(self) -> int:
        return len(self._listeners)

    def notify(self, login_id: str) -> None:
        """This login may have changed."""
        if waiter := self._listeners.get(login_id):
            waiter.wake()

    def notify_all(self) -> None:
        """Any login may have changed: say so after every (re)subscription, because what came in between is lost."""
        for waiter in self.parked():
            waiter.wake()

    def parked(self) -> "list[_BaseListener[F]]":
        """Every waiter of this moment, the oldest first: to wake thousands of them a few at a time."""
        return [*self._listeners.values()]

    def close(self) -> None:
        """End every wait, now and later."""
        self.closed = True
        self.notify_all()

    def _add(self, login_id: str, waiter: "_BaseListener[F]") -> None:
        with self._lock:
            older = self._listeners.get(login_id)
            self._listeners[login_id] = waiter
        self._forget_the_left()
        if older:
            older.supersede()
        if self.closed:
            waiter.wake()

    def _remove(self, login_id: str, waiter: "_BaseListener[F]") -> None:
        self._left.append((login_id, waiter))
        self._forget_the_left()

    def _forget_the_left(self) -> None:
        # If the lock is taken, its holder comes here after it has released the lock, and sees what was appended meanwhile.
        while self._left and self._lock.acquire(blocking=False):
            try:
                while self._left:
                    login_id, waiter = self._left.popleft()
                    if self._listeners.get(login_id) is waiter:
                        del self._listeners[login_id]
            finally:
                self._lock.release()


class LocalListener(_BaseListener[threading.Event]):
    """A `Listener` for a thread."""

    def wait(self, seconds: float) -> bool:
        self._flag.wait(self._patience(seconds))
        return self._heard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listeners._remove(self._login_id, self)


class AsyncLocalListener(_BaseListener[asyncio.Event]):
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
        self._listeners._remove(self._login_id, self)


class Listeners(_Registry[threading.Event]):
    """The parked waits of threads."""

    def listen(self, login_id: str) -> LocalListener:
        return LocalListener(self, login_id, threading.Event())


class AsyncListeners(_Registry[asyncio.Event]):
    """The parked waits of one event loop's tasks. Announce from that loop only."""

    def listen(self, login_id: str) -> AsyncLocalListener:
        return AsyncLocalListener(self, login_id, asyncio.Event())
