"""The store in docs/stores.md passes the suite. Its code is read from the page."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qrlogin.stores.suite import StoreSuite
from qrlogin.stores.suite.colours import PATIENCE

PAGE = Path(__file__).parent.parent.parent / "docs" / "stores.md"


def shown() -> Any:
    """The class SQLiteStore of the example."""
    page = PAGE.read_text(encoding="utf-8")
    example = re.search(r"^```python\n(import json\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {}
    exec(compile(example[1], str(PAGE), "exec"), names)
    return names["SQLiteStore"]


class TestTheStoreInTheDocs(StoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> Iterator[None]:
        self.path, self.opened = tmp_path / "logins.db", list[Any]()
        yield
        for store in self.opened:
            store._db.close()

    def make_store(self, now: Callable[[], int]) -> Any:
        store = shown()(self.path, now=now)
        # A thread may be paused while it writes.
        store._db.execute(f"PRAGMA busy_timeout = {1000 * PATIENCE:.0f}")
        self.opened.append(store)
        return store
