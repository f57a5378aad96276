"""The whole suite passes with the rights that docs/stores.md gives to a user of Redis."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from qrlogin import QRLogin, Unavailable
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite import AsyncStoreSuite, StoreSuite
from qrlogin.stores.suite.colours import PATIENCE
from tests.application import KEY, URI
from tests.servers import RedisServer, redis_binary

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
