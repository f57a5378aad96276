"""What `make test` proves with each store; `make matrix` runs the whole suite with all of them.

The whole suite passes with MemoryStore and RedisStore in `make test`. The other stores keep what is
their own. The client of a Cluster finds each record's node, Valkey runs the script with a Lua of
its own, and a database has its own transactions and notifications. The asyncio stores run the step,
the script and the transactions of their twins, and wait in ways of their own. Every row in every
situation, or random sequences, would only prove the same script on the same rows again.
"""

from pathlib import Path

import pytest

#: The modules of `qrlogin.stores.suite` that stay in `make test`, by module or by class.
KEPT = {
    "test_async_memory.py": ("stories", "devices", "races", "waits"),
    "test_async_redis.py": ("stories", "devices", "races", "waits"),
    "test_in_the_docs.py": ("stories", "devices", "races", "waits"),
    "test_cluster.py": ("stories", "devices", "waits"),
    "test_valkey.py": ("cases", "waits"),
    "test_sql.py": ("races", "waits"),
    "test_sql.py::TestAsyncSQLite": ("waits",),
    "test_sql.py::TestAsyncPostgreSQL": ("waits",),
    "test_acl.py": ("test_acl",),
    "test_deployments.py": ("test_deployments",),
    "test_durability.py": ("test_durability",),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.parent != here or not isinstance(item, pytest.Function):
            continue
        name = item.path.name
        of_class = f"{name}::{item.cls.__name__}" if item.cls else ""
        kept = KEPT.get(of_class, KEPT.get(name))
        if kept is not None:
            module = item.function.__module__.rpartition(".")[2]
            if module not in kept:
                item.add_marker(pytest.mark.matrix)
