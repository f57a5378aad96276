"""RedisStore passes the suite over a real Valkey."""

from collections.abc import Callable

import pytest

from qrlogin.stores import RedisStore
from qrlogin.stores.suite import StoreSuite
from qrlogin.stores.suite.colours import PATIENCE


class TestRedisStoreOnValkey(StoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self, valkey_url: str) -> None:
        self.url = valkey_url

    def make_store(self, now: Callable[[], int]) -> RedisStore:
        return RedisStore.from_url(self.url, prefix="suite:", reread=600, timeout=PATIENCE, now=now)
