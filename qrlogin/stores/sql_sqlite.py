"""The logins of one machine in a file of SQLite.

A command is one transaction, which is on the disk before it is answered (`synchronous = FULL`).
Writers wait for each other; readers wait for no one (WAL). SQLite cannot notify other processes, so
each process looks ten times a second whether the file has changed. That takes some microseconds,
however many browsers wait.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final
from urllib.parse import unquote

from qrlogin.clock import monotonic, now_ms
from qrlogin.errors import Misconfigured
from qrlogin.step import Command, Outcome
from qrlogin.stores.addresses import SQLITE
from qrlogin.stores.forks import in_each_child
from qrlogin.stores.sql_records import SLICE, TABLE_NAME, StoredRow, apply

_LOOK_SECONDS: Final = 0.1
#: For a connection that no call waits for.
_OPEN_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.02
_CREATING: Final = threading.Lock()

# AUTOINCREMENT: the number of a row that was written later is higher, also after others were
# deleted. So a process finds what has changed since it looked last.
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS {TABLE_NAME} (
    change INTEGER PRIMARY KEY AUTOINCREMENT,
    login_id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,
    garbage_at INTEGER
);
CREATE INDEX IF NOT EXISTS {TABLE_NAME}_garbage ON {TABLE_NAME} (garbage_at);
"""
_FIND: Final = f"SELECT record, garbage_at FROM {TABLE_NAME} WHERE login_id = ?"  # noqa: S608
_WRITE: Final = f"REPLACE INTO {TABLE_NAME} (login_id, record, garbage_at) VALUES (?, ?, ?)"  # noqa: S608
_DELETE_EXPIRED: Final = (
    f"DELETE FROM {TABLE_NAME} WHERE change IN "  # noqa: S608
    f"(SELECT change FROM {TABLE_NAME} WHERE garbage_at <= ? LIMIT {SLICE})"
)
_CHANGED: Final = f"SELECT change, login_id FROM {TABLE_NAME} WHERE change > ?"  # noqa: S608
_LAST: Final = "SELECT seq FROM sqlite_sequence WHERE name = ?"


class _Line:
    """One connection, and the lock of the call that uses it. The other calls queue for the lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None


class SQLiteDatabase:
    """A `Database` in a file: `sqlite:///logins.db`, or `sqlite:////srv/logins.db` for an
    absolute path.

    :param address: names the file. `Misconfigured` is raised if its folder does not exist.
    :param now: returns milliseconds since 1970; None: this machine's clock.
    """

    name = "SQLite"
    calls = 1
    #: What its methods raise when the file fails.
    errors: tuple[type[Exception], ...] = (sqlite3.Error, TimeoutError)

    def __init__(self, address: str, now: Callable[[], int] | None) -> None:
        self._path = unquote(address.removeprefix(SQLITE))
        if self._path in ("", ":memory:"):
            raise Misconfigured("sqlite:/// needs the path of a file; in memory, use MemoryStore")
        if "?" in self._path:
            raise Misconfigured("the address of an SQLite file takes no options")
        if not os.path.isdir(os.path.dirname(self._path) or "."):
            raise Misconfigured("the folder of the SQLite file does not exist: create it")
        self._now = now or now_ms
        # Two, because a call that writes may have to wait for another process, and a read never.
        self._writes, self._reads = _Line(), _Line()
        self._inherited: list[_Line] = []
        in_each_child(self._begin_afresh)

    def _begin_afresh(self) -> None:
        # In a forked child. Closing the connections would end the parent's locks.
        self._inherited += self._writes, self._reads
        self._writes, self._reads = _Line(), _Line()

    def describe(self, error: Exception) -> tuple[str, str]:
        """What `OutageLog` may show of an error, and its kind."""
        # Such as SQLITE_BUSY, SQLITE_FULL, SQLITE_READONLY: never a path.
        shown = getattr(error, "sqlite_errorname", "") or type(error).__name__
        return shown, shown

    def apply(self, command: Command, ends: float) -> Outcome:
        """Apply one command in one transaction.

        :param command: what to apply.
        :param ends: when to give up, by `monotonic`.
        """
        reads = command.row.reads
        line = self._reads if reads else self._writes
        if not line.lock.acquire(timeout=max(0.0, ends - monotonic())):
            raise TimeoutError
        try:
            connection = line.connection = line.connection or self._open(ends)
            with _transaction(connection, ends, writes=not reads):
                found = connection.execute(_FIND, [command.login_id]).fetchone()
                clock = self._now()
                applied = apply(StoredRow(*found) if found else None, command, clock)
                if applied.row:
                    if applied.born:
                        connection.execute(_DELETE_EXPIRED, [clock])
                    row = applied.row
                    connection.execute(_WRITE, [command.login_id, row.record, row.garbage_at])
            return applied.outcome
        finally:
            line.lock.release()

    def changes(self, is_closed: Callable[[], bool]) -> Iterator[Iterable[str] | None]:
        """Yield the login_ids that have changed, every tenth of a second; None: any may have.

        :param is_closed: whether to end.
        """
        pause = threading.Event()  # never set
        with closing(self._open(monotonic() + _OPEN_SECONDS)) as connection:
            seen = _version(connection)
            last = _last_change(connection)
            yield None
            while not is_closed():
                pause.wait(_LOOK_SECONDS)
                if (version := _version(connection)) == seen:
                    yield ()
                    continue
                seen = version
                changed = connection.execute(_CHANGED, [last]).fetchall()
                last = max([last, *(change for change, _ in changed)])
                yield [login_id for _, login_id in changed]

    def close(self) -> None:
        """Close the connections for calls. A call that comes later opens one again."""
        for line in (self._writes, self._reads):
            with line.lock:
                if line.connection:
                    line.connection.close()
                line.connection = None

    def _open(self, ends: float) -> sqlite3.Connection:
        self._create_file()
        while True:
            connection = sqlite3.connect(
                self._path, timeout=0.1, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.executescript(_SCHEMA)
                return connection
            except sqlite3.OperationalError:
                # While another process makes the file, SQLite refuses this at once.
                connection.close()
                if monotonic() >= ends:
                    raise
                threading.Event().wait(_PAUSE_SECONDS)
            except sqlite3.Error:
                connection.close()
                raise

    def _create_file(self) -> None:
        # SQLite would let every user of the machine read it. Its other files get the same rights.
        # If this fails, SQLite reports why. The lock: closing a file ends the locks that another
        # connection of this process has on it.
        with _CREATING, suppress(OSError):
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextmanager
def _transaction(connection: sqlite3.Connection, ends: float, *, writes: bool) -> Iterator[None]:
    left = max(1, int((ends - monotonic()) * 1000))
    connection.execute(f"PRAGMA busy_timeout = {left}")
    # IMMEDIATE: no other process writes until the end, so what is read here stays true.
    connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection changes the file."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _last_change(connection: sqlite3.Connection) -> int:
    found = connection.execute(_LAST, [TABLE_NAME]).fetchone()
    return int(found[0]) if found else 0
