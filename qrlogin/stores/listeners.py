"""The listeners of one process: the threads or tasks that wait until a login may have changed.

Stores use this module. `Listeners` is a registry for code that blocks, `AsyncListeners` is one for
asyncio.

- A login has at most one listener here. A newer one supersedes the older, whose `wait` raises
  `Superseded`.
- `notify(login_id)` notifies the listener of one login, and `notify_all()` notifies every listener.
- A store whose notifications can be lost gives the registry a `reread`. While the registry is not
  `reliable`, each `wait` then returns after about that many seconds. The time varies at random, so
  a thousand browsers do not read the store in the same instant. While it is reliable, a `wait`
  returns for a notification or at its end, and nothing reads the store meanwhile.

This module knows no state of a login and talks to no server.
"""

import threading
from collections import deque
from contextlib import suppress
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from qrlogin.clock import monotonic
from qrlogin.errors import Misconfigured, Superseded

if TYPE_CHECKING:  # the methods that need it import it: a program that blocks never loads it
    import asyncio


class _BaseListener:
    """What `LocalListener` and `AsyncLocalListener` have in common: all but the waiting itself."""

    timed_out: bool
    """Whether the last `wait` returned at its end, while a subscription was sure to notify: then
    nothing has changed, and a read of the server would be for nothing.
    """

    __slots__ = ("_ended", "_listeners", "_login_id", "_superseded", "timed_out")

    def __init__(self, listeners: "_Registry[Any]", login_id: str) -> None:
        self._listeners, self._login_id = listeners, login_id
        self._superseded = self._ended = False
        self.timed_out = False
        listeners._add(login_id, self)

    def notify(self) -> None:
        """Let `wait` return True: the login may have changed."""
        self._wake()

    def supersede(self) -> None:
        """Let `wait` raise `Superseded`, now and later."""
        self._superseded = True
        self._wake()

    def end(self) -> None:
        """Let `wait` return False, now and later."""
        self._ended = True
        self._wake()

    def remove(self) -> None:
        """Stop listening. It waits for no lock."""
        self._listeners._remove(self._login_id, self)

    def _wake(self) -> None:
        raise NotImplementedError

    def _slice(self, left: float) -> float:
        """Seconds until a `wait` that has `left` seconds looks whether it has to return."""
        reread = self._listeners.reread
        if reread is None:
            return left
        return min(left, reread * SystemRandom().uniform(0.75, 1.25))

    def _returned(self, notified: bool) -> bool:
        """What `wait` returns. Raises what it raises."""
        registry = self._listeners
        self.timed_out = not notified and registry.reliable and registry.reread is not None
        if self._superseded:
            raise Superseded
        if self._ended or self._listeners.closed:
            self._wake()  # so that the next `wait` returns at once, too
            return False
        return True


L = TypeVar("L", bound=_BaseListener)


class _Registry(Generic[L]):
    """The listeners of one store in this process, by login_id.

    A finalizer may remove a listener: the garbage collector closes a dropped stream in any thread
    and at any line, also in a method of this class. So `_remove` never waits for the lock. Methods
    that only read use single operations of the dict, which are atomic.

    :param reread: seconds after which each `wait` returns without a notification, give or take a
        quarter, while the registry is not `reliable`; None: never. `Misconfigured` is raised if it
        is not above 0.
    """

    def __init__(self, *, reread: float | None = None) -> None:
        if reread is not None and not reread > 0:
            raise Misconfigured("reread must be a number of seconds above 0")
        self.reread: float | None = reread
        self.closed: bool = False
        #: Whether every change is sure to be notified now. A store with a subscription sets it.
        self.reliable: bool = reread is None
        self._listeners: dict[str, L] = {}
        #: Removed by their owners, but still in `_listeners` until a thread has the lock.
        self._removed = deque[tuple[str, L]]()
        self._lock = threading.Lock()  # only the thread that holds it changes `_listeners`

    def __len__(self) -> int:
        """How many logins have a listener."""
        return len(self._listeners)

    def notify(self, login_id: str) -> None:
        """Notify the listener of this login, if it has one: the login may have changed."""
        if listener := self._listeners.get(login_id):
            listener.notify()

    def notify_all(self) -> None:
        """Notify every listener, for example after a (re)subscription: what was published before
        it is lost.
        """
        for listener in self.oldest_first():
            listener.notify()

    def oldest_first(self) -> list[L]:
        """A copy of all listeners, for a store that notifies thousands of them a few at a time."""
        return [*self._listeners.values()]

    def close(self) -> None:
        """Let `wait` of every listener return False, also of those that are made later."""
        self.closed = True
        self.notify_all()

    def _add(self, login_id: str, listener: L) -> None:
        with self._lock:
            older = self._listeners.get(login_id)
            self._listeners[login_id] = listener
        self._delete_removed()
        if older:
            older.supersede()
        if self.closed:
            listener.notify()

    def _remove(self, login_id: str, listener: L) -> None:
        self._removed.append((login_id, listener))
        self._delete_removed()

    def _delete_removed(self) -> None:
        # If another thread holds the lock, it comes here after it has released the lock, and then
        # sees what was appended.
        while self._removed and self._lock.acquire(blocking=False):
            try:
                while self._removed:
                    login_id, listener = self._removed.popleft()
                    if self._listeners.get(login_id) is listener:
                        del self._listeners[login_id]
            finally:
                self._lock.release()


class LocalListener(_BaseListener):
    """A `Listener` that this process notifies. It waits in the thread that calls `wait`."""

    __slots__ = ("_flag",)

    def __init__(self, listeners: "Listeners", login_id: str) -> None:
        self._flag = threading.Event()
        super().__init__(listeners, login_id)

    def wait(self, seconds: float) -> bool:
        """As `Listener.wait` promises."""
        ends, left = monotonic() + seconds, seconds
        while not (notified := self._flag.wait(self._slice(left))):
            left = ends - monotonic()
            if left <= 0 or not self._listeners.reliable:
                break
        if notified:  # a notification that came after the wait is for the next one
            self._flag.clear()
        return self._returned(notified)

    def _wake(self) -> None:
        self._flag.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class AsyncLocalListener(_BaseListener):
    """An `AsyncListener` that this process notifies. It waits in the task that awaits `wait`."""

    # A process has thousands, so a wait costs one future and one timer, and no task.
    __slots__ = ("_loop", "_notified", "_waiter")

    def __init__(self, listeners: "AsyncListeners", login_id: str) -> None:
        self._notified = False
        #: The future that `wait` awaits, and the event loop of the task that awaits it.
        self._waiter: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(listeners, login_id)

    async def wait(self, seconds: float) -> bool:
        """As `AsyncListener.wait` promises."""
        import asyncio

        self._loop = loop = asyncio.get_running_loop()
        ends, left = loop.time() + seconds, seconds
        while not self._notified and left > 0:
            self._waiter = loop.create_future()
            timer = loop.call_later(self._slice(left), _complete, self._waiter)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
            left = ends - loop.time()
            if not self._listeners.reliable:
                break
        notified, self._notified = self._notified, False
        return self._returned(notified)

    def _wake(self) -> None:
        # Tests run several loops in turn. The one in which this listener waits may be closed.
        if self._loop is None or self._loop is _running_loop():
            self._set()
        else:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._set)

    def _set(self) -> None:
        self._notified = True
        if self._waiter is not None:
            _complete(self._waiter)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.remove()


class Listeners(_Registry[LocalListener]):
    """The registry of a store that blocks. Every method may be called from any thread."""

    def listen(self, login_id: str) -> LocalListener:
        """A new listener of this login. It supersedes the older one, if there is one."""
        return LocalListener(self, login_id)


class AsyncListeners(_Registry[AsyncLocalListener]):
    """The registry of an asyncio store. Call its methods in one event loop at a time."""

    def listen(self, login_id: str) -> AsyncLocalListener:
        """A new listener of this login. It supersedes the older one, if there is one."""
        return AsyncLocalListener(self, login_id)


def _complete(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


def _running_loop() -> "asyncio.AbstractEventLoop | None":
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
