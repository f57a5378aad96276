"""SQLStore and AsyncSQLStore pass the suite over SQLite and over a real PostgreSQL."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qrlogin.stores.sql import AsyncSQLStore, SQLStore
from qrlogin.stores.suite import AsyncStoreSuite, StoreSuite
from qrlogin.stores.suite.colours import PATIENCE


class TestSQLite(StoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.address = f"sqlite:///{tmp_path}/logins.db"

    def make_store(self, now: Callable[[], int]) -> SQLStore:
        return SQLStore(self.address, timeout=PATIENCE, now=now)


class TestAsyncSQLite(AsyncStoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.address = f"sqlite:///{tmp_path}/logins.db"

    def make_store(self, now: Callable[[], int]) -> AsyncSQLStore:
        return AsyncSQLStore(self.address, timeout=PATIENCE, now=now)


class TestPostgreSQL(StoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.address = postgres_url

    def make_store(self, now: Callable[[], int]) -> SQLStore:
        return SQLStore(self.address, timeout=PATIENCE, now=now)


class TestAsyncPostgreSQL(AsyncStoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.address = postgres_url

    def make_store(self, now: Callable[[], int]) -> AsyncSQLStore:
        return AsyncSQLStore(self.address, timeout=PATIENCE, now=now)
