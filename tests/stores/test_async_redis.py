"""AsyncRedisStore passes the suite over a real Redis."""

from collections.abc import Callable

import pytest

from qrlogin.stores import AsyncRedisStore
from qrlogin.stores.suite import AsyncStoreSuite
from qrlogin.stores.suite.colours import PATIENCE


class TestAsyncRedisStore(AsyncStoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        self.url = redis_url

    async def make_store(self, now: Callable[[], int]) -> AsyncRedisStore:
        return AsyncRedisStore.from_url(
            self.url, prefix="suite-async:", reread=600, timeout=PATIENCE, now=now
        )
