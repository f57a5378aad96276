"""A login over the Redis stores without a server, for `make check`. The proof is test_redis.py."""

from collections.abc import Callable

import fakeredis
import pytest

from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite.colours import Awaited, Blocking
from qrlogin.stores.suite.world import World, new_op
from qrlogin.table import State


@pytest.mark.parametrize("colour", [Blocking, Awaited])
def test_a_login_succeeds_on_fakeredis(colour: type[Blocking | Awaited]) -> None:
    server = fakeredis.FakeServer()

    def make_store(now: Callable[[], int]) -> RedisStore | AsyncRedisStore:
        if colour is Awaited:
            return AsyncRedisStore(fakeredis.FakeAsyncRedis(server=server), reread=600, now=now)
        return RedisStore(fakeredis.FakeRedis(server=server), reread=600, now=now)

    world = World(colour(), make_store, shared=True)
    try:
        login = world.begin()
        login.walk("scan", "confirm")
        assert world.elsewhere.status(login.begun.device_code).state is State.CONFIRMED
        tag, op = login.tag(), new_op()
        first, again = (world.run(login.redeem(tag, op=op)) for _ in range(2))
        assert (first.subject, again.subject) == ("alice", "alice")
    finally:
        world.close()
