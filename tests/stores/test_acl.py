"""The whole suite passes with the rights that docs/stores.md gives to a user of Redis."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite import AsyncStoreSuite, StoreSuite
from qrlogin.stores.suite.colours import PATIENCE
from tests.servers import RedisServer, redis_binary

DOCS = Path(__file__).parents[2] / "docs" / "stores.md"


@pytest.fixture(scope="module")
def least_url() -> Iterator[str]:
    with RedisServer(redis_binary()) as server:
        found = re.search("^ACL SETUSER .*$", DOCS.read_text("utf-8"), re.MULTILINE)
        assert found
        with Redis.from_url(server.url) as admin:
            admin.execute_command(*found[0].replace(">PASSWORD", ">right").split())
        yield server.url.replace("://", "://qrlogin:right@")


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
