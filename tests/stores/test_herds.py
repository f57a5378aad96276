"""Hundreds of browsers wait for one real server, and all of them are woken at once. Every one gets
its news: from memory and from Redis, and also if Redis failed while they waited.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.waiting import measure
from tests.faults.herds import DURABLE, kill_subscriptions, restart
from tests.servers import RedisServer, free_port, redis_binary
from tests.tables import in_matrix

#: In `make matrix`, beside other tests. `make bench` wakes ten thousand on an idle machine.
SOME, MANY = 300, 1000


def woken(url: str, **options: Any) -> dict[str, Any]:
    options = {"parked": SOME, "idle": 1, **options}
    figures = asyncio.run(measure(url, port=free_port(), **options))
    print(figures)
    return figures


@pytest.mark.parametrize("fault", [restart, *in_matrix([kill_subscriptions])])
def test_a_redis_that_fails_under_waiting_browsers_costs_none_its_news(
    fault: Callable[[str], None],
) -> None:
    """None is answered 503, and none costs Redis a command before that."""
    with RedisServer(redis_binary(), *DURABLE) as server:
        figures = woken(server.url, fault=lambda: fault(server.url))
    assert figures["answers"] == {"200 scanned": SOME}
    assert figures["idle EVALSHA"] == 0


@pytest.mark.matrix
@pytest.mark.parametrize("kind", ["poll", "events", "socket"])
@pytest.mark.parametrize("store", ["memory", "Redis"])
def test_a_thousand_browsers_that_are_woken_at_once_all_get_their_news(
    own_redis: RedisServer, store: str, kind: str
) -> None:
    figures = woken(own_redis.url if store == "Redis" else "", kind=kind, parked=MANY)
    status = 101 if kind == "socket" else 200
    assert figures["answers"] == {f"{status} scanned": MANY}
