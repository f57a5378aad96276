"""The suite's `World` over a real server, in both colours, for the faults that only Redis has."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest

from qrlogin.clock import monotonic
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite.colours import PATIENCE, Awaited, Blocking
from qrlogin.stores.suite.world import World

Stores = type[RedisStore] | type[AsyncRedisStore]
both_colours = pytest.mark.parametrize(
    "stores", [RedisStore, AsyncRedisStore], ids=["sync", "async"]
)


@contextmanager
def world_at(stores: Stores, *urls: str, **options: Any) -> Iterator[World]:
    """A store at each address, under a prefix of its own; `world.elsewhere` is at the last. The
    clock is the server's.

    The default timeout is long enough for a server that is paused for a while.
    """
    options = {"prefix": f"{uuid.uuid4().hex}:", "reread": 600, "timeout": PATIENCE, **options}
    left = iter(urls)
    world = World(
        Awaited() if issubclass(stores, AsyncRedisStore) else Blocking(),
        lambda now: stores.from_url(next(left), **options),
        shared=len(urls) > 1,
    )
    try:
        yield world
    finally:
        world.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    ends, pause = monotonic() + PATIENCE, threading.Event()
    while not holds():
        assert monotonic() < ends, "the condition did not become true"
        pause.wait(0.01)


def outage_levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The levels of the log lines about outages of a Redis."""
    return [
        record.levelname for record in caplog.records if record.getMessage().startswith("Redis ")
    ]


class FakePubSub:
    """A PubSub of redis-py without a server. A test adds `get_message`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def subscribe(self, *_: object) -> None:
        pass
