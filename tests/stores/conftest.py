"""What `make test` proves with a Cluster, Valkey and databases; `make matrix` runs the whole suite
there.

The whole suite passes with Redis in `make test`, blocking and in asyncio. The client of a Cluster
finds each record's node, Valkey runs the script with a Lua of its own, and a database has its own
transactions and notifications: those parts stay. Random
sequences, and the rest, would only prove the same script on the same rows again.
"""

from pathlib import Path

import pytest

#: The modules of `qrlogin.stores.suite` that stay in `make test`.
KEPT = {
    Path(__file__).with_name("test_cluster.py"): ("stories", "devices", "races", "waits"),
    Path(__file__).with_name("test_valkey.py"): ("cases", "waits"),
    Path(__file__).with_name("test_sql.py"): ("races", "waits"),
    Path(__file__).with_name("test_acl.py"): ("test_acl",),
    Path(__file__).with_name("test_deployments.py"): ("test_deployments",),
    Path(__file__).with_name("test_durability.py"): ("test_durability",),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        kept = KEPT.get(item.path)
        if kept is not None and isinstance(item, pytest.Function):
            module = item.function.__module__.rpartition(".")[2]
            if module not in kept:
                item.add_marker(pytest.mark.matrix)
