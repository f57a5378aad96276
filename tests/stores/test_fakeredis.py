"""The fast lane: the same script in another Lua, without a server. It is never the proof."""

from collections.abc import Callable

import fakeredis
import pytest

from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite import AsyncStoreSuite, StoreSuite


class TestRedisStoreOnFakeredis(StoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self) -> None:
        self.server = fakeredis.FakeServer()

    def make_store(self, now: Callable[[], int]) -> RedisStore:
        return RedisStore(fakeredis.FakeRedis(server=self.server), reread=600, now=now)


class TestAsyncRedisStoreOnFakeredis(AsyncStoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self) -> None:
        self.server = fakeredis.FakeServer()

    async def make_store(self, now: Callable[[], int]) -> AsyncRedisStore:
        return AsyncRedisStore(fakeredis.FakeAsyncRedis(server=self.server), reread=600, now=now)
