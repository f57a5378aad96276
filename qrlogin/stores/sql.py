"""Logins in an SQL database that the application has already: SQLite or PostgreSQL.

`step` runs in Python, between the read and the write of one transaction. What a call has answered
is on the disk, so a restart loses no login. `sql_sqlite.py` and `sql_postgres.py` talk to the
databases, and `sql_records.py` says what is written. None of them knows a state or a secret.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, Protocol

from qrlogin.clock import monotonic
from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Outcome, Reply
from qrlogin.stores.addresses import SQL_SCHEMES, SQLITE, sqlite_hint
from qrlogin.stores.listeners import AsyncListeners, AsyncLocalListener, Listeners, LocalListener
from qrlogin.stores.one_loop import OneLoop
from qrlogin.stores.outages import OutageLog, pause_seconds
from qrlogin.stores.sql_sqlite import SQLiteDatabase

#: After the connection was lost, so many browsers read their logins again at a time.
_BATCH: Final = 20
_BATCH_PAUSE_SECONDS: Final = 0.01


class Database(Protocol):
    """One database, for code that blocks. Threads may call every method, also at the same time."""

    name: str
    """The product, for messages."""
    calls: int
    """How many calls it carries out at a time. In SQLite: how many that write, and that read."""
    errors: tuple[type[Exception], ...]
    """What its methods raise when the database fails."""

    def describe(self, error: Exception) -> tuple[str, str]:
        """What `OutageLog` may show of an error, and its kind."""
        ...

    def apply(self, command: Command, ends: float) -> Outcome:
        """Apply one command in one transaction.

        :param command: what to apply.
        :param ends: when to give up, by `monotonic`.
        :raises ValueError: another program has written the row.
        :raises Exception: one of `errors`, if the database fails or does not answer in time.
        """
        ...

    def changes(self, is_closed: Callable[[], bool]) -> Iterator[Iterable[str] | None]:
        """Yield the login_ids that have changed, several times a second; None: any may have.

        :param is_closed: whether to end.
        """
        ...

    def close(self) -> None:
        """Close the connections that no call uses."""
        ...


class SQLStore:
    """A `Store` in an SQL database: `SQLStore("sqlite:///logins.db")` for the processes of one
    machine, or `SQLStore("postgresql://user:password@host/database")` for those of several.

    It creates its table, `qrlogin_logins`, if that does not exist. PostgreSQL needs
    `qrlogin[postgres]`, and a connection that keeps `LISTEN` (a pooler in transaction mode does
    not: news then reaches browsers late, and the log says so).

    :param address: `sqlite:///` and a path, or `postgresql://…` as libpq reads it.
    :param timeout: seconds after which a call gives up and raises `Unavailable`.
    :param now: replaces the clock, in milliseconds since 1970: for tests. By default the clock is
        this machine's for SQLite, and the server's for PostgreSQL.
    :raises Misconfigured: for an argument that cannot work.
    :raises ImportError: for PostgreSQL, if psycopg is not installed.
    """

    def __init__(
        self, address: str, *, timeout: float = 2.0, now: Callable[[], int] | None = None
    ) -> None:
        self._database, self._timeout = _open_database(address, timeout, now), timeout
        self._listeners = Listeners()
        self._outages = _outages(self._database, self._listeners)
        self._follower = _Follower(self._database, self._listeners, self._outages, _call)

    def apply(self, command: Command) -> Reply:
        """As `Store.apply`. Raises `Unavailable`."""
        outcome = _apply(self._database, self._outages, command, monotonic() + self._timeout)
        if outcome.notify:
            self._listeners.notify(command.login_id)
        return outcome.reply

    def listen(self, login_id: str) -> LocalListener:
        """As `Store.listen`. The first call starts the thread that follows the changes of other
        processes. Raises `Unavailable` if the system gives this process no thread.
        """
        listener = self._listeners.listen(login_id)
        self._follower.start(listener)
        return listener

    def close(self) -> None:
        """As `Store.close`."""
        self._listeners.close()
        self._follower.close()
        self._database.close()


class AsyncSQLStore:
    """`SQLStore` for asyncio. Calls run in threads of its own, as many as the database can use.

    :param address: as for `SQLStore`.
    :param timeout: as for `SQLStore`.
    :param now: as for `SQLStore`.
    :raises Misconfigured: for an argument that cannot work.
    :raises ImportError: for PostgreSQL, if psycopg is not installed.
    """

    def __init__(
        self, address: str, *, timeout: float = 2.0, now: Callable[[], int] | None = None
    ) -> None:
        self._database, self._timeout = _open_database(address, timeout, now), timeout
        # Two pools: in SQLite, a call that writes may have to wait for another process, and a read
        # never.
        self._writes = ThreadPoolExecutor(self._database.calls, "qrlogin-sql-write")
        self._reads = ThreadPoolExecutor(self._database.calls, "qrlogin-sql-read")
        self._listeners = AsyncListeners()
        self._outages = _outages(self._database, self._listeners)
        self._follower = _Follower(
            self._database, self._listeners, self._outages, self._call_in_loop
        )
        self._one_loop = OneLoop("AsyncSQLStore")

    async def apply(self, command: Command) -> Reply:
        """As `AsyncStore.apply`. Raises `Unavailable`."""
        loop = self._one_loop.check()
        ends = monotonic() + self._timeout
        threads = self._reads if command.row.reads else self._writes
        try:
            call = loop.run_in_executor(
                threads, _apply, self._database, self._outages, command, ends
            )
        except RuntimeError as error:  # the store is closed, or the system has no thread
            raise Unavailable("the store was closed, or no thread can be started") from error
        call.add_done_callback(self._call_ended)
        # Not cancelled with its caller: the thread goes on, and its change notifies listeners.
        await asyncio.wait((call,), timeout=self._timeout)
        if not call.done():
            raise Unavailable(f"{self._database.name} did not answer in time")
        return call.result().reply

    def _call_ended(self, call: "asyncio.Future[Outcome]") -> None:
        if call.cancelled() or call.exception() is not None:
            return  # `exception` retrieves it: asyncio logs an error that no caller retrieves
        outcome = call.result()
        if outcome.notify:
            self._listeners.notify(outcome.reply.login_id)

    def listen(self, login_id: str) -> AsyncLocalListener:
        """As `AsyncStore.listen`. The first call starts the thread that follows the changes of
        other processes. Raises `Unavailable` if the system gives this process no thread.
        """
        self._one_loop.check()
        listener = self._listeners.listen(login_id)
        self._follower.start(listener)
        return listener

    async def close(self) -> None:
        """As `AsyncStore.close`."""
        self._listeners.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._follower.close()
        self._writes.shutdown()
        self._reads.shutdown()
        self._database.close()

    def _call_in_loop(self, notify: Callable[..., object], *arguments: str) -> None:
        if loop := self._one_loop.loop:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(notify, *arguments)


class _Follower:
    """A thread that notifies the listeners of a store when another process has changed a login.

    :param database: what it follows.
    :param listeners: the store's registry.
    :param outages: where it says that notifications fail or work.
    :param call: calls a function that notifies, where the listeners are.
    """

    def __init__(
        self,
        database: Database,
        listeners: Listeners | AsyncListeners,
        outages: OutageLog,
        call: Callable[..., object],
    ) -> None:
        self._database, self._listeners, self._call = database, listeners, call
        self._outages = outages
        self._thread: threading.Thread | None = None
        self._lock, self._closing = threading.Lock(), threading.Event()

    def start(self, listener: LocalListener | AsyncLocalListener) -> None:
        """Start the thread if it does not run. In a forked child, the parent's does not.

        Raises `Unavailable` if the system gives this process no thread. The next call tries again.

        :param listener: a new one, which is removed if no thread starts.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            alive = self._thread is not None and self._thread.is_alive()
            if alive or self._closing.is_set():
                return
            thread = threading.Thread(target=self._run, name="qrlogin-notifications", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                listener.remove()
                raise self._outages.unavailable(error) from error
            self._thread = thread

    def close(self) -> None:
        """End the thread. It is a daemon: one that hangs does not keep the process alive."""
        with self._lock:
            self._closing.set()
        if self._thread:
            self._thread.join(1)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            began, listened = monotonic(), False
            try:
                for changed in self._database.changes(self._closing.is_set):
                    failures, listened = 0, True
                    if changed is None:
                        self._outages.works("notifications")
                        self._notify_all()
                        continue
                    for login_id in changed:
                        self._call(self._listeners.notify, login_id)
            except self._database.errors as error:
                failures += 1
                self._outages.failed("notifications", error)
                took = 0.0 if listened else monotonic() - began
                self._closing.wait(pause_seconds(failures, took))
                self._notify_all()  # while nothing is heard, browsers read their logins again

    def _notify_all(self) -> None:
        """A few at a time: each of them reads its login again."""
        listeners: Sequence[Any] = self._listeners.oldest_first()
        for number, listener in enumerate(listeners):
            if number % _BATCH == 0 and self._closing.wait(_BATCH_PAUSE_SECONDS):
                return
            self._call(listener.notify)


def _call(notify: Callable[..., object], *arguments: str) -> None:
    notify(*arguments)


def _outages(database: Database, listeners: Listeners | AsyncListeners) -> OutageLog:
    return OutageLog(database.name, database.describe, lambda: listeners.closed)


def _apply(database: Database, outages: OutageLog, command: Command, ends: float) -> Outcome:
    if monotonic() >= ends:
        raise Unavailable(f"{database.name} did not answer in time")
    try:
        outcome = database.apply(command, ends)
    except ValueError as error:
        raise Unavailable("another program has written to the table of logins") from error
    except database.errors as error:
        raise outages.unavailable(error) from error
    outages.answered(command)
    return outcome


def _open_database(address: str, timeout: float, now: Callable[[], int] | None) -> Database:
    if not timeout > 0:
        raise Misconfigured("timeout must be a number of seconds above 0")
    if not isinstance(address, str) or not address.startswith(SQL_SCHEMES):
        # The message does not quote the address, which may hold a password.
        raise Misconfigured(
            "SQLStore takes an address such as sqlite:///logins.db or "
            "postgresql://user:password@host/database" + sqlite_hint(address)
        )
    if address.startswith(SQLITE):
        return SQLiteDatabase(address, now)
    try:
        from qrlogin.stores.sql_postgres import PostgresDatabase
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise ImportError("PostgreSQL needs psycopg: pip install 'qrlogin[postgres]'") from error
    return PostgresDatabase(address, now)
