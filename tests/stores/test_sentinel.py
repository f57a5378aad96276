"""Behind Sentinel, a login goes on when the master dies and a replica takes over."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest
import redis

from qrlogin import Unavailable
from qrlogin.stores import AsyncRedisStore
from qrlogin.stores.suite.colours import PATIENCE, Awaited, Blocking
from qrlogin.stores.suite.world import World
from qrlogin.table import State
from tests.stores.clusters import READY_SECONDS, lose_patience, sentinels
from tests.stores.deployments import listed
from tests.stores.redis_world import Stores, both_colours

T = TypeVar("T")


def until_it_answers(call: Callable[[], T]) -> T:
    """Repeat the call, which is safe after `Unavailable`."""
    give_up = time.monotonic() + READY_SECONDS
    while True:
        try:
            return call()
        except Unavailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


@pytest.mark.matrix
@both_colours
def test_a_login_survives_the_death_of_the_master(stores: Stores) -> None:
    """The store finds the new master by itself, and a wait that goes on hears from it."""
    with sentinels() as (addresses, master):
        address = f"redis+sentinel://{listed(addresses)}/logins"
        world = World(
            Awaited() if issubclass(stores, AsyncRedisStore) else Blocking(),
            lambda now: stores.from_url(address, reread=600),
            shared=True,
        )
        try:
            login = until_it_answers(world.begin)
            until_it_answers(lambda: world.run(login.scan("alice")))
            waiting = world.start_wait(login, after=login.seen().version)
            with redis.Redis(port=master.port, socket_timeout=2 * PATIENCE) as direct:
                assert direct.wait(1, int(PATIENCE * 1000)) == 1, (
                    "the replica has not confirmed the write"
                )
            master.process.kill()
            lose_patience(addresses)

            confirm = login.call("confirm")
            until_it_answers(lambda: world.elsewhere.run(confirm))
            assert waiting.result(2 * PATIENCE).state is State.CONFIRMED
            redeem = login.call("redeem")
            assert until_it_answers(lambda: world.run(redeem)).subject == "alice"
        finally:
            world.close()
