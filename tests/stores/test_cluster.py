"""The whole suite over a Cluster of three masters, with a client of the application's own."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import redis
import redis.asyncio

from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite import AsyncStoreSuite, StoreSuite
from tests.servers import LOOPBACK, RedisServer
from tests.stores.clusters import cluster


@pytest.fixture(scope="module")
def nodes() -> Iterator[Sequence[RedisServer]]:
    with cluster() as running:
        yield running


class TestRedisStoreOnCluster(StoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _servers(self, nodes: Sequence[RedisServer]) -> Iterator[None]:
        self.client = redis.RedisCluster(LOOPBACK, nodes[0].port)
        yield
        self.client.close()

    def make_store(self, now: Callable[[], int]) -> RedisStore:
        return RedisStore(self.client, reread=600, now=now)


class ClosingItsClient(AsyncRedisStore):
    """Closes the client too, while its event loop still exists. An application does this itself."""

    async def close(self) -> None:
        await super().close()
        await self._client.aclose()


@pytest.mark.matrix
class TestAsyncRedisStoreOnCluster(AsyncStoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _servers(self, nodes: Sequence[RedisServer]) -> None:
        self.port = nodes[0].port

    async def make_store(self, now: Callable[[], int]) -> AsyncRedisStore:
        return ClosingItsClient(
            redis.asyncio.RedisCluster(LOOPBACK, self.port), reread=600, now=now
        )
