"""The suite's `World` over a real server, in both colours, for the faults that only Redis has."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

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
