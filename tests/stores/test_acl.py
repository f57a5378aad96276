"""The whole suite passes with the rights that docs/stores.md gives to a user of Redis."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from qrlogin import QRLogin, Unavailable
from qrlogin.step import Command
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.redis_calls import RedisCalls
from qrlogin.stores.redis_script import RowScripts
from qrlogin.stores.suite import AsyncStoreSuite, StoreSuite
from qrlogin.stores.suite.colours import PATIENCE, Awaited, Blocking
from qrlogin.stores.suite.world import World
from qrlogin.table import ANY
from tests.application import KEY, URI
from tests.cases import ROWS
from tests.servers import LOOPBACK, RedisServer, redis_binary
from tests.stores.clusters import cluster
from tests.stores.redis_records import as_text_of
from tests.stores.redis_world import Stores, both_colours

DOCS = Path(__file__).parents[2] / "docs" / "stores.md"


def with_rights(server: RedisServer, *more: str) -> str:
    """The address for a user with the rights in the docs, changed by `more`."""
    found = re.search("^ACL SETUSER .*$", DOCS.read_text("utf-8"), re.MULTILINE)
    assert found
    with Redis.from_url(server.url) as admin:
        admin.execute_command(*found[0].replace(">PASSWORD", ">right").split(), *more)
    return server.url.replace("://", "://qrlogin:right@")


@pytest.fixture(scope="module")
def least_url() -> Iterator[str]:
    with RedisServer(redis_binary()) as server:
        yield with_rights(server)


@pytest.fixture(scope="module")
def least_rights() -> Iterator[RedisServer]:
    with RedisServer(redis_binary()) as server:
        yield server


def test_a_user_without_get_begins_no_login() -> None:
    with RedisServer(redis_binary()) as server:
        store = RedisStore.from_url(with_rights(server, "-get"))
        qr = QRLogin(store, secret_keys=[KEY], verification_uri=URI)
        with pytest.raises(Unavailable):
            qr.begin()
        qr.close()
        store.close()
        with Redis.from_url(server.url) as admin:
            assert admin.dbsize() == 0  # no hash, which processes with the right could not read


@pytest.mark.parametrize("less", ["pexpire", "set", "hset", "publish", "time", "get", "hgetall"])
def test_no_missing_right_leaves_a_key_for_ever(least_rights: RedisServer, less: str) -> None:
    """Whichever row writes. Without pexpire, each begin with an allowance left one."""
    store = RedisStore.from_url(with_rights(least_rights, f"-{less}"), timeout=PATIENCE)
    refused = set[str]()
    with Redis.from_url(least_rights.url) as admin:
        admin.flushdb()
        for row in ROWS:
            for state in ("", *row.sources):
                values = dict.fromkeys(RowScripts.of(row).values, "x")
                durations = dict.fromkeys(RowScripts.of(row).durations, 1000)
                command = Command(
                    f"{row.name} {state}", row, "mark", values, durations, ttl_ms=60_000
                )
                if state not in ("", ANY):  # a record to start from, which has its time
                    held = {"state": state, "version": "1", **dict.fromkeys(row.proves, "x")}
                    admin.set(_key_of(command), as_text_of(held), px=60_000)
                try:
                    store.apply(command)
                except Unavailable:
                    refused.add(row.name)
        keys = [*admin.scan_iter()]
        assert [key for key in keys if admin.pttl(key) < 0] == []
    store.close()
    assert refused, "some row needs the right"


@pytest.mark.matrix
@both_colours
def test_a_user_with_the_least_rights_logs_in_over_a_cluster(stores: Stores) -> None:
    with cluster() as nodes:
        for node in nodes:
            with_rights(node, "+cluster|slots", "+asking")
        assert "`+cluster\\|slots +asking`" in DOCS.read_text("utf-8")
        address = f"redis+cluster://qrlogin:right@{LOOPBACK}:{nodes[0].port}"
        world = World(
            Awaited() if issubclass(stores, AsyncRedisStore) else Blocking(),
            lambda now: stores.from_url(address, timeout=PATIENCE, reread=600),
            shared=True,
        )
        try:
            login = world.begin()
            waiting = world.start_wait(login)
            world.elsewhere.run(login.scan("alice"))
            assert waiting.result(PATIENCE).state == "scanned"
            login.walk("confirm", "redeem")
        finally:
            world.close()


def _key_of(command: Command) -> str:
    return str(RedisCalls("qrlogin:", None).arguments(command)[1])


class TestLeastRights(StoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self, least_url: str) -> None:
        self.url = least_url

    def make_store(self, now: Callable[[], int]) -> RedisStore:
        return RedisStore.from_url(self.url, reread=600, timeout=PATIENCE, now=now)


class TestAsyncLeastRights(AsyncStoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self, least_url: str) -> None:
        self.url = least_url

    def make_store(self, now: Callable[[], int]) -> AsyncRedisStore:
        return AsyncRedisStore.from_url(self.url, reread=600, timeout=PATIENCE, now=now)
