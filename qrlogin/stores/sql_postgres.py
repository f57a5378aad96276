"""The logins of several machines in a table of PostgreSQL. Only this module knows psycopg.

A command is one transaction that locks one row, and is committed before it is answered: what the
server has acknowledged survives its restart. It takes two round trips, or one if it only reads.
Times are those of the server's clock. `NOTIFY` carries the login_id to the other processes.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from qrlogin.clock import monotonic
from qrlogin.errors import Misconfigured
from qrlogin.step import Command, Outcome
from qrlogin.stores.forks import in_each_child
from qrlogin.stores.outages import LOST_CONNECTION, attempt_seconds
from qrlogin.stores.sql_records import SLICE, TABLE_NAME, Applied, StoredRow, apply

#: Seconds to wait for one notification. The thread that listens sees after each that the store was
#: closed.
_TICK_SECONDS: Final = 0.25
_NEVER: Final = float("inf")
#: Seconds for a connection that no call waits for.
_CONNECT_SECONDS: Final = 10.0
#: Seconds for the connection that listens, at most: browsers wait for it. After them it is tried
#: again.
_LISTEN_SECONDS: Final = 2.0
#: Seconds of silence after which the listening connection notifies itself.
_SILENCE_SECONDS: Final = 0.5
#: If that does not arrive within so many seconds, the connection is dead, or leads to a pooler that
#: does not keep LISTEN.
_ANSWER_SECONDS: Final = 0.75
_ALIVE: Final = "alive"  # no login_id is so short

_EXISTS: Final = f"SELECT to_regclass('{TABLE_NAME}')"
# The lock: two processes that create one table at the same time disturb each other.
_SCHEMA: Final = f"""
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('{TABLE_NAME}'));
CREATE TABLE IF NOT EXISTS {TABLE_NAME} (
    login_id text PRIMARY KEY,
    record text NOT NULL,
    garbage_at bigint
);
CREATE INDEX IF NOT EXISTS {TABLE_NAME}_garbage ON {TABLE_NAME} (garbage_at);
COMMIT
"""
_CLOCK: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_FIND: Final = f"SELECT record, garbage_at FROM {TABLE_NAME} WHERE login_id = %(id)s"  # noqa: S608
# A process that stops in the middle of a transaction would keep the row locked.
_LOCK: Final = f"BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000; {_FIND} FOR UPDATE; "
_INSERT: Final = (
    f"INSERT INTO {TABLE_NAME} VALUES (%(id)s, %(record)s, %(garbage_at)s) "  # noqa: S608
    "ON CONFLICT DO NOTHING; "
)
_UPDATE: Final = (
    f"UPDATE {TABLE_NAME} SET record = %(record)s, garbage_at = %(garbage_at)s "  # noqa: S608
    "WHERE login_id = %(id)s; "
)
_DELETE_EXPIRED: Final = (
    f"DELETE FROM {TABLE_NAME} WHERE login_id IN "  # noqa: S608
    f"(SELECT login_id FROM {TABLE_NAME} WHERE garbage_at <= %(clock)s LIMIT {SLICE} "
    "FOR UPDATE SKIP LOCKED); "
)
_NOTIFY: Final = f"SELECT pg_notify('{TABLE_NAME}', %(id)s); "


class _Connection(psycopg.Connection[Any]):
    """A connection whose queries end in time, also if the server falls silent."""

    ends = _NEVER
    """When to give up, by `monotonic`."""
    was_idle = False
    """Whether a call has used it before."""

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        return super().wait(self._bounded(gen), *arguments, **options)

    def _bounded(self, gen: Any) -> Any:
        # psycopg resumes a generator ten times a second while it waits.
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                wanted = gen.send(ready)
                if monotonic() >= self.ends:
                    raise TimeoutError
        except StopIteration as end:
            return end.value


class PostgresDatabase:
    """A `Database` in PostgreSQL: `postgresql://user:password@host/database`.

    :param address: as libpq reads it. `Misconfigured` is raised for one that it cannot read.
    :param now: returns milliseconds since 1970, in place of the server's clock: for tests.
    """

    name = "PostgreSQL"
    calls = 10
    errors: tuple[type[Exception], ...] = (psycopg.Error, OSError)

    def __init__(self, address: str, now: Callable[[], int] | None) -> None:
        try:
            options = conninfo_to_dict(address)
        except psycopg.Error:
            # Not "from error": its text may quote the password.
            raise Misconfigured(
                "the URL of PostgreSQL must be postgresql://user:password@host/database, with "
                "options that libpq knows"
            ) from None
        defaults: dict[str, Any] = {
            "fallback_application_name": "qrlogin",
            "connect_timeout": int(_CONNECT_SECONDS),
        }
        self._options = {**defaults, **options}
        self._now = now
        self._is_made = False
        self._failed = 0  # attempts to listen since the last one that worked
        self._took = _LISTEN_SECONDS / 2  # the seconds of that one
        self._begin_afresh()
        in_each_child(self._begin_afresh)

    def _begin_afresh(self) -> None:
        # A forked child must neither use nor close the parent's connections. psycopg closes none
        # when it collects them in another process.
        self._idle: list[_Connection] = []
        self._slots = threading.BoundedSemaphore(self.calls)

    def describe(self, error: Exception) -> tuple[str, str]:
        """What `OutageLog` may show of an error, and its kind."""
        shown = type(error).__name__  # such as InsufficientPrivilege: never an address
        lost = isinstance(error, OSError) or type(error) is psycopg.OperationalError
        return shown, LOST_CONNECTION if lost else shown

    def apply(self, command: Command, ends: float) -> Outcome:
        """Apply one command in one transaction.

        :param command: what to apply.
        :param ends: when to give up, by `monotonic`.
        """
        while True:
            with self._connection(ends) as connection:
                was_idle = connection.was_idle
                if was_idle:
                    # It may be open on this side only, or lost, if the server has restarted. So it
                    # gets half of the time for its first reply. The same command again is harmless.
                    connection.ends -= (ends - monotonic()) / 2
                try:
                    applied = self._try(connection, command, ends)
                except (psycopg.OperationalError, TimeoutError) as error:
                    if not was_idle or monotonic() >= ends:
                        raise
                    if isinstance(error, TimeoutError):
                        self.close()  # the other idle ones may be silent, too
                    applied = None
            if applied is not None:
                return applied.outcome

    def _try(self, connection: _Connection, command: Command, ends: float) -> Applied | None:
        """None: another process has made the row in this moment, so try again."""
        values: dict[str, object] = {"id": command.login_id}
        if command.row.reads:
            found, clock = self._read(connection.execute(f"{_FIND}; {_CLOCK}", values))
            return apply(found, command, clock)
        cursor = connection.execute(_LOCK + _CLOCK, values)
        connection.ends = ends  # it has answered
        found, clock = self._read(cursor, skip=2)
        applied = apply(found, command, clock)
        if applied.row is None:
            connection.execute("ROLLBACK")
            return applied
        values |= {
            "record": applied.row.record,
            "garbage_at": applied.row.garbage_at,
            "clock": clock,
        }
        write = _UPDATE if found else _INSERT
        notify = _NOTIFY if applied.outcome.notify else ""
        clean = _DELETE_EXPIRED if applied.born else ""
        cursor = connection.execute(f"{clean}{write}{notify}COMMIT", values)
        if clean:
            cursor.nextset()
        return applied if cursor.rowcount else None

    def _read(self, cursor: psycopg.Cursor[Any], skip: int = 0) -> tuple[StoredRow | None, int]:
        for _ in range(skip):
            cursor.nextset()
        found = cursor.fetchone()
        cursor.nextset()
        read = cursor.fetchone() or (0,)
        return (StoredRow(*found) if found else None), self._now() if self._now else read[0]

    def changes(self, is_closed: Callable[[], bool]) -> Iterator[Iterable[str] | None]:
        """Yield the login_ids that have changed, as notifications arrive; None: any may have.

        :param is_closed: whether to end.
        """
        began = monotonic()
        ends = began + min(attempt_seconds(self._failed, self._took), _LISTEN_SECONDS)
        self._failed += 1
        connection = self._open(ends)
        try:
            connection.ends = ends
            connection.execute(f"LISTEN {TABLE_NAME}")
            self._failed, self._took = 0, monotonic() - began
            yield None  # what was published before is lost
            silent_seconds, asked = 0.0, False
            while not is_closed():
                connection.ends = _NEVER
                arrived = {
                    notice.payload
                    for notice in connection.notifies(timeout=_TICK_SECONDS, stop_after=1)
                }
                if arrived:
                    silent_seconds, asked = 0.0, False
                else:
                    silent_seconds += _TICK_SECONDS
                if silent_seconds >= (_ANSWER_SECONDS if asked else _SILENCE_SECONDS):
                    if asked:
                        raise ConnectionError("no notification arrives")
                    connection.ends = monotonic() + _ANSWER_SECONDS
                    connection.execute(_NOTIFY, {"id": _ALIVE})
                    silent_seconds, asked = 0.0, True
                yield arrived - {_ALIVE}
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connections that no call uses. A call that comes later opens one again."""
        with suppress(IndexError):  # other threads take from it, too
            while True:
                self._idle.pop().close()

    @contextmanager
    def _connection(self, ends: float) -> Iterator[_Connection]:
        """A connection for one call, from those that are idle, or a new one."""
        if not self._slots.acquire(timeout=max(0.0, ends - monotonic())):
            raise TimeoutError
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._open(ends)
            connection.ends = ends
            try:
                yield connection
            finally:
                if connection.info.transaction_status is TransactionStatus.IDLE:
                    connection.was_idle = True
                    self._idle.append(connection)
                else:
                    connection.close()
        finally:
            self._slots.release()

    def _open(self, ends: float) -> _Connection:
        # In a thread, because the lookup of a name may take twenty seconds.
        made: Future[_Connection] = Future()

        def connect() -> None:
            try:
                made.set_result(self._connect())
            except BaseException as error:
                made.set_exception(error)

        try:
            threading.Thread(target=connect, name="qrlogin-connecting", daemon=True).start()
        except RuntimeError as error:  # the system gives this process no thread
            raise OSError("no thread can be started") from error
        try:
            return made.result(max(0.0, ends - monotonic()))
        except TimeoutError:
            made.add_done_callback(_close_late)
            raise

    def _connect(self) -> _Connection:
        connection = _Connection.connect(
            autocommit=True, cursor_factory=psycopg.ClientCursor, **self._options
        )
        try:
            connection.ends = monotonic() + _CONNECT_SECONDS
            if not self._is_made:
                # Asked first, because a user who may not create tables can use one that exists.
                if connection.execute(_EXISTS).fetchone() == (None,):
                    connection.execute(_SCHEMA)
                self._is_made = True
        except BaseException:
            connection.close()
            raise
        return connection


def _close_late(made: "Future[_Connection]") -> None:
    """Close a connection for which no call waits any more."""
    if made.exception() is None:
        made.result().close()
