"""AsyncMemoryStore passes the suite."""

from collections.abc import Callable

from qrlogin.stores import AsyncMemoryStore
from qrlogin.stores.suite import AsyncStoreSuite


class TestAsyncMemoryStore(AsyncStoreSuite):
    def make_store(self, now: Callable[[], int]) -> AsyncMemoryStore:
        return AsyncMemoryStore(now=now)
