"""What SQLStore and AsyncSQLStore do on bad days: restarts, silence, forks, full tables, wrong
addresses.
"""

import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from qrlogin import AsyncQRLogin, Misconfigured, QRLogin, State, Unavailable
from qrlogin.clock import monotonic
from qrlogin.stores import open_async_store, open_store
from qrlogin.stores.sql import AsyncSQLStore, SQLStore
from qrlogin.stores.sql_postgres_pool import Call, Connection, Pool
from qrlogin.stores.suite.colours import PATIENCE
from tests.application import Clock
from tests.servers import PostgresServer
from tests.stores.fault_proxy import CHUNK, Cut, Proxy

WITH: dict[str, Any] = {
    "secret_keys": [bytes(range(32))],
    "verification_uri": "https://example.com/qr",
}
ALICE: dict[str, Any] = {"subject": "alice", "shown_as": "A•••e"}


@pytest.fixture
def sqlite_address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/logins.db"


def through(proxy: Proxy, url: str) -> str:
    """The address of the same server behind the proxy."""
    return url.replace(f":{urlsplit(url).port}", f":{proxy.port}")


@contextmanager
def locked(sqlite_address: str) -> Iterator[None]:
    """Another program writes to the file all the time."""
    other = sqlite3.connect(sqlite_address.removeprefix("sqlite:///"), isolation_level=None)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")


def confirmed(qr: QRLogin) -> str:
    login = qr.begin(ask_browser=False)
    qr.scan(login.scan_code, **ALICE)
    qr.confirm(login.scan_code, subject="alice")
    return login.device_code


def test_an_approval_survives_a_server_that_crashes(own_postgres: PostgresServer) -> None:
    with QRLogin(SQLStore(own_postgres.url, timeout=PATIENCE), **WITH) as qr:
        device_code = confirmed(qr)
        own_postgres.stop()
        own_postgres.start()
        # Its idle connections are lost, and it notices that by itself.
        assert qr.redeem(device_code).subject == "alice"


def test_an_approval_survives_a_process_that_is_killed(sqlite_address: str) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # the process that is killed
        os.write(writing, confirmed(QRLogin(SQLStore(sqlite_address), **WITH)).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with QRLogin(SQLStore(sqlite_address), **WITH) as qr:
        assert qr.redeem(os.read(reading, 1000).decode()).subject == "alice"


def test_a_wait_outlives_a_server_that_restarts(own_postgres: PostgresServer) -> None:
    with (
        QRLogin(SQLStore(own_postgres.url), **WITH) as qr,
        QRLogin(SQLStore(own_postgres.url), **WITH) as other,
    ):
        login = qr.begin()
        seen: list[State] = []
        waiting = threading.Thread(
            target=lambda: seen.append(qr.wait(login.device_code, timeout=PATIENCE).state)
        )
        waiting.start()
        waiting.join(0.5)  # its first read has succeeded by now
        own_postgres.stop()
        own_postgres.start()
        other.scan(login.scan_code, **ALICE)
        waiting.join(PATIENCE)
        assert seen == [State.SCANNED]


@pytest.mark.matrix
def test_a_connection_that_cannot_listen_is_given_up_within_seconds(postgres_url: str) -> None:
    """Nothing arrives on it, and browsers wait. A call would have given up by then, too."""
    with Proxy(urlsplit(postgres_url).port or 0) as proxy:
        address = through(proxy, postgres_url)
        with QRLogin(SQLStore(address), **WITH) as qr:
            device_code = qr.begin().device_code
            qr.wait(device_code, timeout=0.5)  # begins to listen
            proxy.mute, before = True, proxy.connected
            give_up = monotonic() + 9  # it was ten seconds for the first of these two
            while proxy.connected < before + 2:
                assert monotonic() < give_up
                threading.Event().wait(0.05)
            proxy.mute = False
            proxy.cut()


def test_a_call_over_a_connection_that_falls_silent_is_made_again_over_a_new_one(
    postgres_url: str,
) -> None:
    """What is open on this side only says nothing."""
    with Proxy(urlsplit(postgres_url).port or 0) as proxy:
        address = through(proxy, postgres_url)
        with QRLogin(SQLStore(address, timeout=4), **WITH) as qr:
            login = qr.begin()
            proxy.freeze()
            assert qr.scan(login.scan_code, **ALICE).state is State.SCANNED


def test_a_server_that_answers_late_but_in_time_is_waited_for(postgres_url: str) -> None:
    """Also if it takes more than half of the time: one call is two replies."""
    with Proxy(urlsplit(postgres_url).port or 0) as proxy:
        address = through(proxy, postgres_url)
        with QRLogin(SQLStore(address, timeout=4), **WITH) as qr:
            qr.begin()  # it has connected
            proxy.delay = 1.2
            assert qr.begin().scan_code


def test_a_call_that_waits_for_the_lock_of_a_row_waits_in_one_connection(
    postgres_url: str,
) -> None:
    """The server says that it waits. Else the call opens one connection after the other."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with (
        psycopg.connect(postgres_url) as other,
        psycopg.connect(postgres_url, autocommit=True) as observer,
        QRLogin(SQLStore(postgres_url, timeout=6), **WITH) as qr,
        ThreadPoolExecutor() as threads,
    ):
        login = qr.begin()
        qr.scan(login.scan_code, **ALICE)
        other.execute("SELECT 1 FROM qrlogin_logins FOR UPDATE")
        confirm = threads.submit(qr.confirm, login.scan_code, subject="alice")
        seen, ends = set[int](), monotonic() + 2.5
        while monotonic() < ends:
            seen |= {count for (count,) in observer.execute(waiting)}
        other.rollback()
        assert confirm.result().state is State.CONFIRMED
    assert seen >= {1}
    assert max(seen) == 1


class SlowQueries(Proxy):
    """Only queries are late. A new connection is there at once."""

    delay_up = 0.0

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Any
    ) -> None:
        while data := await reader.read(CHUNK):
            if data.startswith(b"Q"):
                await asyncio.sleep(self.delay_up)
            writer.write(data)
        raise Cut


def test_a_server_whose_queries_take_long_is_waited_for_though_new_connections_come_at_once(
    postgres_url: str,
) -> None:
    """One is tried. Then the call knows that the server is slow."""
    with SlowQueries(urlsplit(postgres_url).port or 0) as proxy:
        address = through(proxy, postgres_url)
        with QRLogin(SQLStore(address, timeout=5), **WITH) as qr:
            device_code = qr.begin().device_code
            proxy.delay_up, before = 1.6, proxy.connected
            for _ in range(2):
                assert qr.status(device_code).state is State.PENDING
            assert proxy.connected == before + 1


def test_a_connection_that_is_there_first_is_not_given_up_for_one_that_comes_later() -> None:
    late = Future[Connection]()
    call = Call(Pool(lambda: late.result(), 10), monotonic() + 8)
    call._opened.append(late)
    late.set_result(None)  # type: ignore[arg-type]  # any
    assert not call.gives_up(monotonic())
    assert call.gives_up(monotonic() - 3), "it has been silent for three of eight seconds"


def test_a_connection_that_could_not_be_opened_is_tried_again_soon() -> None:
    """When a link comes back, the call that waited for it goes on."""
    tried, silent_since = list[float](), monotonic() - 30

    def connect() -> Connection:
        tried.append(monotonic())
        raise OSError("no route")

    call = Call(Pool(connect, 10), monotonic() + 80)
    while len(tried) < 3:
        assert not call.gives_up(silent_since)
        assert monotonic() < silent_since + 30 + call.silence
        threading.Event().wait(0.02)


@pytest.mark.parametrize("colour", ["blocks", "awaited"])
def test_a_silent_server_costs_no_more_than_the_timeout(
    own_postgres: PostgresServer, colour: str
) -> None:
    async def seconds_until_unavailable(store: AsyncSQLStore) -> float:
        async with AsyncQRLogin(store, **WITH) as qr:
            await qr.begin()
            own_postgres.pause()
            began = monotonic()
            with pytest.raises(Unavailable):
                await qr.begin()
            ended = monotonic()
            own_postgres.resume()
            return ended - began

    if colour == "awaited":
        seconds = asyncio.run(seconds_until_unavailable(AsyncSQLStore(own_postgres.url)))
    else:
        with QRLogin(SQLStore(own_postgres.url), **WITH) as qr:
            qr.begin()
            own_postgres.pause()
            began = monotonic()
            with pytest.raises(Unavailable):
                qr.begin()
            seconds = monotonic() - began
            own_postgres.resume()
            # A connection that was given up is not used again.
            assert qr.status(qr.begin().device_code).state is State.PENDING
    assert seconds < PATIENCE  # without a timeout, it lasts until the server goes on


def test_a_forked_child_uses_connections_of_its_own(postgres_url: str, sqlite_address: str) -> None:
    for address in (postgres_url, sqlite_address):
        with QRLogin(SQLStore(address, timeout=PATIENCE), **WITH) as qr:
            device_code = confirmed(qr)
            child = os.fork()
            if not child:
                try:
                    ended = qr.redeem(device_code).subject == "alice"
                finally:
                    os._exit(0 if ended else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert qr.status(device_code).state is State.REDEEMED


def test_a_file_that_another_process_keeps_locked_costs_no_more_than_the_timeout(
    sqlite_address: str,
) -> None:
    with QRLogin(SQLStore(sqlite_address, timeout=0.1), **WITH) as qr:
        device_code = qr.begin().device_code
        with locked(sqlite_address):
            with pytest.raises(Unavailable):
                qr.begin()
            assert qr.status(device_code).state is State.PENDING
        qr.begin()


@pytest.mark.parametrize("colour", ["blocks", "awaited"])
def test_a_read_does_not_wait_behind_writes_that_wait_for_the_file(
    sqlite_address: str, colour: str
) -> None:
    async def state_in_between(store: AsyncSQLStore) -> State:
        async with AsyncQRLogin(store, **WITH) as qr:
            device_code = (await qr.begin()).device_code
            with locked(sqlite_address):
                writes = [asyncio.create_task(qr.begin()) for _ in range(3)]
                await asyncio.sleep(0.1)
                state = (await qr.status(device_code)).state
                assert not any(write.done() for write in writes)
            await asyncio.gather(*writes)
            return state

    if colour == "awaited":
        state = asyncio.run(state_in_between(AsyncSQLStore(sqlite_address, timeout=PATIENCE)))
    else:
        store = SQLStore(sqlite_address, timeout=PATIENCE)
        with QRLogin(store, **WITH) as qr, ThreadPoolExecutor() as threads:
            device_code = qr.begin().device_code
            with locked(sqlite_address):
                writes = [threads.submit(qr.begin) for _ in range(3)]
                threading.Event().wait(0.1)
                state = qr.status(device_code).state
                assert not any(write.done() for write in writes)
            assert all(write.result() for write in writes)
    assert state is State.PENDING


def test_what_is_over_is_deleted_in_slices(postgres_url: str, sqlite_address: str) -> None:
    for address in (postgres_url, sqlite_address):
        clock = Clock()
        with QRLogin(SQLStore(address, timeout=PATIENCE, now=clock), **WITH) as qr:
            for _ in range(130):
                qr.begin()
            before = rows(address)
            clock.ms += 3_600_000
            left = []
            for _ in range(3):
                qr.begin()
                left.append(before - rows(address))
            # Each begin deletes at most a hundred rows, and adds its own.
            assert left[0] <= 100
            assert left[1] >= 127


def rows(address: str) -> int:
    count = "SELECT count(*) FROM qrlogin_logins"
    if address.startswith("sqlite"):
        with sqlite3.connect(address.removeprefix("sqlite:///")) as connection:
            return int(connection.execute(count).fetchone()[0])
    with psycopg.connect(address) as server:
        found = server.execute(count).fetchone()
        assert found
        return int(found[0])


def test_a_user_who_may_not_create_tables_uses_one_that_exists(
    own_postgres: PostgresServer,
) -> None:
    with QRLogin(SQLStore(own_postgres.url), **WITH) as qr:
        qr.begin()
    with psycopg.connect(own_postgres.url, autocommit=True) as server:
        server.execute("CREATE USER app")
        server.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        server.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON qrlogin_logins TO app")
    address = own_postgres.url.replace("qrlogin@", "app@")
    with QRLogin(SQLStore(address, timeout=PATIENCE), **WITH) as qr:
        assert qr.redeem(confirmed(qr)).subject == "alice"


def test_processes_that_make_the_database_in_one_moment_all_succeed(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    for number, address in enumerate([own_postgres.url, f"sqlite:///{tmp_path}/new.db"] * 3):
        if address.startswith("sqlite"):
            address = address.replace("new", f"new{number}")
        else:
            with psycopg.connect(address) as server:
                server.execute("DROP TABLE IF EXISTS qrlogin_logins")
        start = threading.Barrier(8)

        def begin(address: str = address, start: threading.Barrier = start) -> None:
            start.wait(PATIENCE)
            with QRLogin(SQLStore(address, timeout=PATIENCE), **WITH) as qr:
                qr.begin()

        with ThreadPoolExecutor(8) as threads:
            for done in [threads.submit(begin) for _ in range(8)]:
                done.result(PATIENCE)


@pytest.mark.parametrize("written", ["{", "[]", '{"state": 1}', "null", "[" * 100_000])
def test_a_row_that_another_program_wrote_is_no_login(written: str, sqlite_address: str) -> None:
    with QRLogin(SQLStore(sqlite_address), **WITH) as qr:
        device_code = qr.begin().device_code
        with sqlite3.connect(sqlite_address.removeprefix("sqlite:///")) as other:
            other.execute("UPDATE qrlogin_logins SET record = ?", [written])
        with pytest.raises(Unavailable):
            qr.status(device_code)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:secret@h/db?nothing=1",
        "sqlite://secret",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:////secret/nowhere/x.db",
        "sqlite:///secret.db?mode=ro",
        "mysql://u:secret@h/db",
    ],
)
def test_an_address_that_cannot_work_is_refused_without_its_secret(address: str) -> None:
    for opening in (SQLStore, AsyncSQLStore, open_store, open_async_store):
        with pytest.raises(Misconfigured) as refused:
            opening(address)
        assert "secret" not in str(refused.value)
        slashes_are_missing = address == "sqlite://secret"
        assert ("sqlite needs three slashes" in str(refused.value)) == slashes_are_missing


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = {thread.name for thread in threading.enumerate()}
    yield
    left = {thread.name for thread in threading.enumerate()} - before
    assert not {name for name in left if name.startswith("qrlogin-notifications")}
