from collections.abc import Callable

from qrlogin.stores import MemoryStore
from qrlogin.stores.suite import StoreSuite


class TestMemoryStore(StoreSuite):
    def make_store(self, now: Callable[[], int]) -> MemoryStore:
        return MemoryStore(now=now)
