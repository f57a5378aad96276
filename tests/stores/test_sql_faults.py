"""What SQLStore and AsyncSQLStore do on bad days: restarts, silence, forks, full tables, wrong
addresses.
"""

import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from qrlogin import AsyncQRLogin, Misconfigured, QRLogin, State, Unavailable
from qrlogin.clock import monotonic
from qrlogin.stores import open_async_store, open_store
from qrlogin.stores.sql import AsyncSQLStore, SQLStore
from qrlogin.stores.suite.colours import PATIENCE
from tests.application import Clock
from tests.servers import PostgresServer
from tests.stores.fault_proxy import Proxy

WITH: dict[str, Any] = {
    "secret_keys": [bytes(range(32))],
    "verification_uri": "https://example.com/qr",
}
ALICE: dict[str, Any] = {"subject": "alice", "shown_as": "A•••e"}


@pytest.fixture
def sqlite_address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/logins.db"


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
        address = postgres_url.replace(f":{urlsplit(postgres_url).port}", f":{proxy.port}")
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
    """After half of its time. What is open on this side only says nothing."""
    with Proxy(urlsplit(postgres_url).port or 0) as proxy:
        address = postgres_url.replace(f":{urlsplit(postgres_url).port}", f":{proxy.port}")
        with QRLogin(SQLStore(address, timeout=4), **WITH) as qr:
            login = qr.begin()
            proxy.freeze()
            assert qr.scan(login.scan_code, **ALICE).state is State.SCANNED


def test_a_server_that_answers_late_but_in_time_is_waited_for(postgres_url: str) -> None:
    """Also if it takes more than half of the time: one call is two replies."""
    with Proxy(urlsplit(postgres_url).port or 0) as proxy:
        address = postgres_url.replace(f":{urlsplit(postgres_url).port}", f":{proxy.port}")
        with QRLogin(SQLStore(address, timeout=4), **WITH) as qr:
            qr.begin()  # it has connected
            proxy.delay = 1.2
            assert qr.begin().scan_code


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
        other = sqlite3.connect(sqlite_address.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            qr.begin()
        assert qr.status(device_code).state is State.PENDING  # readers do not wait for writers
        other.execute("COMMIT")
        other.close()
        qr.begin()


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
