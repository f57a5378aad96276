"""The logins of several machines in a table of PostgreSQL. Only this module and its pool know
psycopg.

A command is one transaction that locks one row, and is committed before it is answered: what the
server has acknowledged survives its restart. It takes two round trips, or one if it only reads.
Times are those of the server's clock. `NOTIFY` carries the login_id to the other processes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import LockNotAvailable
from psycopg.pq import TransactionStatus

from qrlogin.clock import monotonic
from qrlogin.errors import Misconfigured
from qrlogin.step import Command, Outcome
from qrlogin.stores.forks import in_each_child
from qrlogin.stores.outages import LOST_CONNECTION
from qrlogin.stores.sql_postgres_pool import Call, Connection, Pool
from qrlogin.stores.sql_records import SLICE, TABLE_NAME, Applied, StoredRow, apply

#: Seconds to wait for one notification. The thread that listens sees after each that the store was
#: closed.
_TICK_SECONDS: Final = 0.25
_NEVER: Final = float("inf")
#: Seconds for a new connection, also if no call waits for it any more.
_CONNECT_SECONDS: Final = 5.0
#: The part of the time until a connection is silent in which the server may wait for a lock. A
#: call may wait for two in a row.
_LOCK_PART: Final = 0.4
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
# A server that waits for a lock says so before the call takes the connection for a silent one.
_LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = %(lock_ms)s; "
# A process that stops in the middle of a transaction would keep the row locked.
_LOCK: Final = (
    f"BEGIN; SET LOCAL idle_in_transaction_session_timeout = %(idle_ms)s; {_LOCK_TIMEOUT}"
    f"{_FIND} FOR UPDATE; "
)
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
        self._begin_afresh()
        in_each_child(self._begin_afresh)

    def _begin_afresh(self) -> None:
        # A forked child must neither use nor close the parent's connections. psycopg closes none
        # when it collects them in another process.
        self._pool = Pool(self._connect, self.calls)

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
        with self._pool.call(ends) as call:
            while True:
                with call.connection() as connection:
                    try:
                        applied = self._try(connection, command, call)
                    except (psycopg.OperationalError, TimeoutError) as error:
                        # The connection was silent, or lost while it was idle. The same command
                        # again is harmless.
                        is_silent = isinstance(error, TimeoutError)
                        if not (is_silent or connection.idle_since) or monotonic() >= ends:
                            raise
                        applied = None
                if applied is not None:
                    return applied.outcome
                if monotonic() >= ends:
                    raise TimeoutError

    def _try(self, connection: Connection, command: Command, call: Call) -> Applied | None:
        """None: another process has made or locked the row in this moment, so try again."""
        try:
            return self._transact(connection, command, call)
        except LockNotAvailable:
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
            return None

    def _transact(self, connection: Connection, command: Command, call: Call) -> Applied | None:
        values: dict[str, object] = {
            "id": command.login_id,
            "idle_ms": max(1, int(1000 * call.seconds)),
            "lock_ms": max(1, int(1000 * call.silence * _LOCK_PART)),
        }
        if command.row.reads:
            found, clock = self._read(
                connection.execute(_LOCK_TIMEOUT + f"{_FIND}; {_CLOCK}", values), skip=1
            )
            return apply(found, command, clock)
        cursor = connection.execute(_LOCK + _CLOCK, values)
        found, clock = self._read(cursor, skip=3)
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
        connection = self._listen()
        try:
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

    def _listen(self) -> Connection:
        call = Call(self._pool, monotonic() + _LISTEN_SECONDS)
        try:
            while True:
                connection = call.new_connection()
                try:
                    connection.execute(f"LISTEN {TABLE_NAME}")
                except BaseException as error:
                    connection.close()
                    if not isinstance(error, TimeoutError) or monotonic() >= call.ends:
                        raise
                else:
                    connection.call = None
                    return connection
        finally:
            call.leave()

    def close(self) -> None:
        """Close the connections that no call uses. A call that comes later opens one again."""
        self._pool.close()

    def _connect(self) -> Connection:
        connection = Connection.connect(
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
