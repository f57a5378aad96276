"""Keeps each call of a Redis store within its time, whatever redis-py does meanwhile.

redis-py has a time-out for each read and each connection, and several of both in one call: the
lookup of a host name, each of its addresses, TLS, AUTH, each Sentinel, each retry. A `CallTime`
ends them all. In a store that blocks, the connections of `BoundedPool` read it before they wait for
anything. An asyncio store cancels the call.

To connect takes several round trips, and a lookup that nothing can interrupt. So it goes on when
the call is over, in a thread or a task, and a later call over the same connection waits for the
rest. A slow network is not asked again and again, and serves the call after the first.

A `CallTime` also says which connections are stale: those that were made before it last ran out
without an answer. They may be open on this side only, and are made anew before they are used again.
"""

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context, ContextVar
from queue import LifoQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis import BlockingConnectionPool
from redis.asyncio import BlockingConnectionPool as AsyncBlockingConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelConnectionPool
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import SentinelConnectionPool

from qrlogin.clock import monotonic
from qrlogin.stores.forks import in_each_child
from qrlogin.stores.redis_calls import OutOfStep

if TYPE_CHECKING:
    from redis.asyncio.connection import Connection as _AsyncBase
    from redis.connection import Connection as _Base
else:
    _Base = _AsyncBase = object

T = TypeVar("T")

#: When the call must end that runs in this thread or task.
_ends: ContextVar[float | None] = ContextVar("ends", default=None)

#: How many threads of one store may wait at a time for clients that it cannot interrupt.
_THREADS: Final = 50
#: After a master was found demoted, its connections are not made anew for so many seconds.
_DEMOTED_SECONDS: Final = 1.0


class CallTime:
    """The time that one call of a store may take, and how old a connection may be.

    :param seconds: for each call. A single read takes at most half of it, so that the call can be
        sent once more.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        #: Grows when connections may have died without a sign.
        self.generation: int = 0
        self._demoted_at = -_DEMOTED_SECONDS
        self._make_semaphore()
        in_each_child(self._make_semaphore)

    def _make_semaphore(self) -> None:
        # The threads of the parent do not run in a forked child, and release nothing there.
        self._threads = threading.BoundedSemaphore(_THREADS)

    def left(self) -> float | None:
        """Seconds until the call of this thread or task must end; None outside of a call."""
        ends = _ends.get()
        return None if ends is None else ends - monotonic()

    def limit_task(self, seconds: float) -> None:
        """Say how long the call may take that the current task runs. It may be said again."""
        _ends.set(monotonic() + seconds)

    def spend(self, call: Callable[[], T], seconds: float | None = None) -> T:
        """Run the call. What it asks of connections in this thread ends in time.

        :param call: a function without arguments. Its result is returned, its exception raised.
        :param seconds: how much time it has; None: all. Inside another call, it has at most what is
            left of that one's.
        """
        before, ends = _ends.get(), monotonic() + (self.seconds if seconds is None else seconds)
        token = _ends.set(ends if before is None else min(before, ends))
        try:
            return call()
        finally:
            _ends.reset(token)

    def renew(self) -> None:
        """Have every connection made anew before it is used again."""
        self.generation += 1

    def renew_after(self, error: Exception) -> None:
        """Have every connection made anew if this error of a call says that they may be useless.

        They may be open on this side only, deliver the replies to earlier commands, or lead to a
        master that was demoted. A server that stays read-only gets new connections only from time
        to time.
        """
        if isinstance(error, ReadOnlyError):
            if monotonic() < self._demoted_at + _DEMOTED_SECONDS:
                return
            self._demoted_at = monotonic()
        elif not isinstance(error, (TimeoutError, RedisTimeoutError, OutOfStep)):
            return
        self.renew()

    def interrupt(self, call: Callable[[], T]) -> T:
        """Run a call that cannot end in time by itself in a thread, and wait for it while there is
        time.

        Raises what the call raises, or as `Attempt` does.

        :param call: a function without arguments. It may still be running when this returns.
        """
        if not self._threads.acquire(timeout=max(0.0, self.left() or 0.0)):
            raise RedisTimeoutError("too many calls are waiting for the client")
        try:
            attempt = Attempt(call, self._threads.release)
        except BaseException:
            self._threads.release()
            raise
        result: T = attempt.result(self.left())
        return result


class NotSent(RedisError):
    """The time of the call does not suffice for a reply, so the command was not sent. It is no
    TimeoutError, after which redis-py would close the connection.
    """


class Attempt:
    """A call that runs in a thread of its own. OSError is raised if no thread can start.

    :param call: a function without arguments.
    :param ended: is called in the thread after the call.
    """

    def __init__(self, call: Callable[[], Any], ended: Callable[[], None] = lambda: None) -> None:
        self._call, self._ended = call, ended
        self._done = threading.Event()
        self._began = monotonic()
        self.took: float = 0.0
        self._error: BaseException | None = None
        self._result: Any = None
        self._thread = threading.Thread(target=self._run, name="qrlogin-connecting", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # the system gives this process no thread
            raise OSError("no thread can be started") from error

    @property
    def is_this_thread(self) -> bool:
        """Whether the caller is the call itself."""
        return threading.current_thread() is self._thread

    @property
    def is_done(self) -> bool:
        """Whether the call has returned or raised."""
        return self._done.is_set()

    def _run(self) -> None:
        _ends.set(None)  # some builds of Python copy the caller's
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error
        finally:
            self.took = monotonic() - self._began
            self._done.set()
            self._ended()

    def result(self, seconds: float | None) -> Any:
        """What the call returned. Raises what it raised, or TimeoutError of redis-py.

        :param seconds: how long to wait for it at most.
        """
        if not self._done.wait(None if seconds is None else max(0.0, seconds)):
            raise RedisTimeoutError("the time of this call is over")
        if self._error is not None:
            raise self._error
        return self._result


class BoundedConnection(_Base):
    """Comes before a connection class of redis-py that blocks: `bounded` makes the class.

    It connects in a thread, and never has two of them.
    """

    _time: CallTime
    _generation = 0
    _attempt: Attempt | None = None
    _took = 0.0

    @property
    def is_connecting(self) -> bool:
        """Whether a thread is still connecting it."""
        return self._attempt is not None and not self._attempt.is_done

    def connect(self) -> None:
        """Connect, if it is not connected or is stale."""
        self._finish_attempt()
        stale = self._attempt is None and self._generation != self._time.generation
        if stale and self._sock is not None:
            self.disconnect()
        self._within(super().connect)

    def connect_check_health(self, *args: Any, **options: Any) -> None:
        """As redis-py's."""
        connect = super().connect_check_health
        self._within(lambda: connect(*args, **options))

    def _within(self, connect: Callable[[], Any]) -> None:
        attempt = self._attempt
        if attempt is None and self._sock is not None:
            return
        if attempt is None:
            self._generation = self._time.generation
        # A thread without a call's time connects, or subscribes.
        if attempt.is_this_thread if attempt else self._time.left() is None:
            connect()
            return
        if attempt is None:
            attempt = self._attempt = Attempt(connect)
        try:
            attempt.result(self._time.left())
        finally:
            self._finish_attempt()

    def _finish_attempt(self) -> None:
        attempt = self._attempt
        if attempt is not None and attempt.is_done:
            self._attempt, self._took = None, attempt.took

    def send_packed_command(self, *args: Any, **options: Any) -> None:
        """As redis-py's. Raises `NotSent`."""
        self._took = _check_time(self._time, self._took)
        self._limit()
        super().send_packed_command(*args, **options)  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **options: Any) -> Any:
        """As redis-py's."""
        self._limit()
        return super().read_response(*args, **options)

    def _limit(self) -> None:
        left = self._time.left()
        if left is not None and left <= 0:
            # A reply may still arrive on it.
            self.disconnect()  # type: ignore[no-untyped-call]
            raise RedisTimeoutError("the time of this call is over")
        longest: Any = self.socket_timeout
        if limit := getattr(self._sock, "settimeout", None):  # fakeredis has no socket
            limit(longest if left is None else min(left, longest))


class RenewedConnection(_AsyncBase):
    """Comes before a connection class of `redis.asyncio`: `renewed` makes the class. It connects
    in a task, and never has two of them.
    """

    _time: CallTime
    _generation = 0
    _attempt: asyncio.Task[None] | None = None
    _took = 0.0

    @property
    def is_connecting(self) -> bool:
        """Whether a task is still connecting it."""
        return self._attempt is not None and not self._attempt.done()

    async def connect(self) -> None:
        """Connect, if it is not connected or is stale."""
        attempt = self._attempt if self.is_connecting else None
        if attempt is not None and attempt is asyncio.current_task():
            return  # a subscription subscribes again as soon as there is a connection
        if attempt is None:
            if self.is_connected and self._generation != self._time.generation:
                await self.disconnect(nowait=True)
            if self.is_connected:
                return
            # In a context of its own: the time of a call is not that of the connection.
            attempt = self._attempt = asyncio.create_task(self._connect_anew(), context=Context())
            attempt.add_done_callback(_retrieve)
        await asyncio.shield(attempt)

    async def _connect_anew(self) -> None:
        began, self._generation = monotonic(), self._time.generation
        await super().connect()  # type: ignore[no-untyped-call]
        self._took = monotonic() - began

    async def disconnect(self, *args: Any, **options: Any) -> None:
        """As redis-py's. A task that connects ends."""
        attempt = self._attempt
        if attempt is not None and attempt is not asyncio.current_task():
            attempt.cancel()
        await super().disconnect(*args, **options)

    async def send_packed_command(self, *args: Any, **options: Any) -> None:
        """As redis-py's. Raises `NotSent`."""
        self._took = _check_time(self._time, self._took)
        await super().send_packed_command(*args, **options)


def _retrieve(attempt: "asyncio.Task[None]") -> None:
    if not attempt.cancelled():
        attempt.exception()  # asyncio logs an error that no caller retrieves


def _check_time(call_time: CallTime, took: float) -> float:
    """Raise `NotSent` if there is no time for the first reply over a new connection, which stays as
    it is.

    :param call_time: of the store.
    :param took: how many seconds it took to connect, which is two round trips or more; 0: it has
        been used.
    :returns: `took` for the next command over this connection.
    """
    left = call_time.left()
    if left is None:
        return took
    if left < min(took, call_time.seconds) / 2:
        raise NotSent("the time of this call is over")
    return 0.0


def bounded(kind: type, call_time: CallTime) -> type:
    """This connection class of redis-py, whose calls end in time."""
    return type(f"Bounded{kind.__name__}", (BoundedConnection, kind), {"_time": call_time})


def renewed(kind: type, call_time: CallTime) -> type:
    """This connection class of `redis.asyncio`, which connects in a task."""
    return type(f"Renewed{kind.__name__}", (RenewedConnection, kind), {"_time": call_time})


class _Idle(LifoQueue[Any]):
    """Idle connections. One that a thread is still connecting is used last."""

    def _put(self, item: Any) -> None:
        if item is not None and item.is_connecting:
            self.queue.insert(0, item)
        else:
            self.queue.append(item)


class BoundedPool(BlockingConnectionPool):
    """A pool of redis-py that waits for a free connection as long as the call may.

    :param call_time: of the store.
    :param connection_class: made by `bounded`.
    :param options: as redis-py takes them.
    """

    def __init__(self, *, call_time: CallTime, **options: Any) -> None:
        self._time = call_time
        super().__init__(queue_class=_Idle, **options)  # type: ignore[no-untyped-call]

    @property
    def timeout(self) -> float:
        """Seconds to wait for a free connection."""
        left = self._time.left()
        return self._time.seconds if left is None else max(0.0, left)

    @timeout.setter
    def timeout(self, _: object) -> None:
        """redis-py sets it once."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        """Close every connection, or have those that are idle made anew."""
        if inuse_connections:
            super().disconnect()
        else:  # redis-py closes them in another thread's hands: a master has changed
            self._time.renew()


class BoundedSentinelPool(SentinelConnectionPool, BoundedPool):
    """`BoundedPool` for the master that Sentinels name."""


class AsyncPool(AsyncBlockingConnectionPool):
    """A pool of `redis.asyncio` that waits for a free connection.

    :param call_time: of the store.
    :param options: as redis-py takes them.
    """

    def __init__(self, *, call_time: CallTime, **options: Any) -> None:
        super().__init__(timeout=call_time.seconds, **options)

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connection. One that a task is still connecting is used last."""
        idle: list[Any] = self._available_connections
        if idle and idle[-1].is_connecting:
            idle.sort(key=lambda connection: not connection.is_connecting)
        return await super().get_connection(*args, **options)  # type: ignore[no-untyped-call]


class AsyncSentinelPool(AsyncSentinelConnectionPool, AsyncPool):
    """`AsyncPool` for the master that Sentinels name."""


class ForeignClient:
    """A client that is not redis-py's own, such as a wrapper: each call runs in a thread, because
    nothing else can end it in time.

    :param client: has `execute_command` and `pubsub`.
    :param call_time: of the store.
    """

    def __init__(self, client: Any, call_time: CallTime) -> None:
        self._client, self._time = client, call_time

    def execute_command(self, *args: Any) -> Any:
        """As the client's."""
        return self._time.interrupt(lambda: self._client.execute_command(*args))

    def pubsub(self) -> Any:
        """As the client's."""
        return self._client.pubsub()
