"""The connections of one PostgreSQL store, and the time of a call over them.

A connection may be open on this side only: the server has restarted, or the network has forgotten
it. A server may also be slow. So a call whose connection is silent opens another one beside it, and
goes on with the first of the two that answers. This module knows no table and no login.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from qrlogin.clock import monotonic

_NEVER: Final = float("inf")
#: A connection is silent if a reply takes longer than one part in so many of the call's time.
_PARTS: Final = 4
#: Seconds until a call whose connection is silent tries again to open another one, if that failed.
_AGAIN_SECONDS: Final = 0.2


class _GivenUp(Exception):
    """No OSError: psycopg turns those into errors of its own."""


class Connection(psycopg.Connection[Any]):
    """A connection whose queries end in time, also if the server falls silent."""

    ends = _NEVER
    """When to give up, by `monotonic`."""
    call: "Call | None" = None
    """The call that uses it."""
    idle_since: float | None = None
    """When a call has left it, by `monotonic`. None: none has used it."""

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """As psycopg's. Raises TimeoutError if the connection is given up."""
        try:
            return super().wait(self._bounded(gen), *arguments, **options)
        except _GivenUp:
            raise TimeoutError from None

    def _bounded(self, gen: Any) -> Any:
        # psycopg resumes a generator ten times a second while it waits.
        asked = monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                wanted = gen.send(ready)
                if monotonic() >= self.ends or (self.call and self.call.gives_up(asked)):
                    raise _GivenUp
        except StopIteration as end:
            if self.call:
                self.call.replied(monotonic() - asked)
            return end.value


class Pool:
    """The connections that no call uses, and those that are being opened.

    :param connect: returns a new connection. It may block for long.
    :param size: how many calls run at a time, and how many connections are kept.
    """

    def __init__(self, connect: Callable[[], Connection], size: int) -> None:
        self.reply_seconds: float = 0.0
        """How long the last reply to a call took, or how long a call has waited for one."""
        self.closings: int = 0
        """How often it was closed."""
        self._connect, self._size = connect, size
        self._slots = threading.BoundedSemaphore(size)
        self._idle: list[Connection] = []
        self._opening = set[Future[Connection]]()

    @property
    def opens_many(self) -> bool:
        """Whether so many connections are being opened that only a call without one opens more."""
        return len(self._opening) >= self._size

    @contextmanager
    def call(self, ends: float) -> Iterator["Call"]:
        """The time of a call. Raises TimeoutError if too many others run.

        :param ends: when to give up, by `monotonic`.
        """
        if not self._slots.acquire(timeout=max(0.0, ends - monotonic())):
            raise TimeoutError
        call = Call(self, ends)
        try:
            yield call
        finally:
            self._slots.release()
            call.leave()

    def open(self) -> Future[Connection]:
        """Begin to open a connection. Raises OSError if the system gives this process no thread."""
        # In a thread, because the lookup of a name may take twenty seconds.
        opened: Future[Connection] = Future()

        def connect() -> None:
            try:
                opened.set_result(self._connect())
            except BaseException as error:
                opened.set_exception(error)

        self._opening.add(opened)
        opened.add_done_callback(self._opening.discard)
        try:
            threading.Thread(target=connect, name="qrlogin-connecting", daemon=True).start()
        except RuntimeError as error:
            self._opening.discard(opened)
            raise OSError("no thread can be started") from error
        return opened

    def take(self) -> Connection | None:
        """A connection that no call uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def put_back(self, connection: Connection) -> None:
        """Keep a connection for the next call, or close it if it is of no use."""
        is_usable = connection.info.transaction_status is TransactionStatus.IDLE
        if is_usable and len(self._idle) < self._size:
            connection.idle_since = monotonic()
            self._idle.append(connection)
        else:
            connection.close()

    def close_idle(self, before: float = _NEVER) -> None:
        """Close the connections that no call uses.

        :param before: only those that were used last before this time.
        """
        for connection in [*self._idle]:
            if (connection.idle_since or 0.0) < before:
                with suppress(ValueError):  # another thread has taken it
                    self._idle.remove(connection)
                    connection.close()

    def close(self) -> None:
        """Close the connections that no call uses, and those that are opened for no call."""
        self.closings += 1
        self.close_idle()


class Call:
    """The time of one call, and the connections that it opens: the first if none is idle, and
    another one each time that the server is silent.

    :param pool: opens them. Those that the call does not use are idle afterwards.
    :param ends: when to give up, by `monotonic`.
    """

    def __init__(self, pool: Pool, ends: float) -> None:
        self.ends: float = ends
        self.seconds: float = max(0.0, ends - monotonic())
        """How long it may take."""
        self.silence: float = min(
            max(self.seconds / _PARTS, 2 * pool.reply_seconds), self.seconds / 2
        )
        """After how many seconds without a reply a connection is silent."""
        self._pool, self._closings = pool, pool.closings
        self._opened: list[Future[Connection]] = []
        self._opened_at = 0.0
        self._gave_up = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection: an idle one, if there is one and none was silent. Raises TimeoutError, or
        what the last attempt to open one raises.
        """
        idle = None if self._gave_up else self._pool.take()
        connection = self._use(idle) if idle else self.new_connection()
        try:
            yield connection
        finally:
            connection.call = None
            self._pool.put_back(connection)

    def new_connection(self) -> Connection:
        """Open a connection, and another one beside it whenever that takes long. Returns the first
        that is there. Raises as `connection`.
        """
        if not self._opened:
            self._opened_at = monotonic()
            self._opened.append(self._pool.open())
        while True:
            left = min(self.ends, self._opened_at + self.silence) - monotonic()
            ended, _ = wait_for(self._opened, max(0.0, left), FIRST_COMPLETED)
            for each in ended:
                self._opened.remove(each)
                if not each.exception() or not self._opened:
                    return self._use(each.result())
            if monotonic() >= self.ends:
                raise TimeoutError
            if not ended:
                self._open_another()

    def replied(self, seconds: float) -> None:
        """Say after how many seconds a reply came."""
        self._pool.reply_seconds = seconds

    def gives_up(self, asked: float) -> bool:
        """Whether to give up a connection: it is silent, and another one is there. Opens that one.

        :param asked: since when the connection has not replied, by `monotonic`.
        """
        now = monotonic()
        if now < asked + self.silence:
            return False
        self._opened = [each for each in self._opened if not (each.done() and each.exception())]
        if now >= self._opened_at + (self.silence if self._opened else _AGAIN_SECONDS):
            with suppress(OSError):  # no thread; the reply may still come
                self._open_another()
        if not any(each.done() and not each.exception() for each in self._opened):
            return False
        self._gave_up = True
        self._pool.close_idle(before=asked)  # they may be silent, too
        # Perhaps it is the server that is slow: then the next one gets more time.
        self._pool.reply_seconds = now - asked
        self.silence *= 2
        return True

    def leave(self) -> None:
        """Leave the connections that it has not used to the calls that come next."""
        for each in self._opened:
            each.add_done_callback(partial(_keep, self._pool, self._closings))

    def _open_another(self) -> None:
        self._opened_at = monotonic()
        if not self._pool.opens_many:
            self._opened.append(self._pool.open())

    def _use(self, connection: Connection) -> Connection:
        connection.ends, connection.call = self.ends, self
        return connection


def _keep(pool: Pool, closings: int, opened: Future[Connection]) -> None:
    if opened.exception() is None:
        if closings == pool.closings:
            pool.put_back(opened.result())
        else:
            opened.result().close()
