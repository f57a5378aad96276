"""A hundred waits cost no Redis command while nothing happens, as the server counts commands."""

import threading
from typing import Any

import pytest
import redis

from qrlogin.clock import monotonic
from qrlogin.stores.suite.colours import PATIENCE
from qrlogin.stores.suite.world import Login
from qrlogin.table import State
from tests.servers import RedisServer
from tests.stores.redis_world import Stores, both_colours, until, world_at

WAITS = 100
SECONDS = 4
LOOP_SECONDS = 0.1  # the interval of a polling loop without notifications
LIFETIME = 350  # a hundred waits may take long to start, and none may time out meanwhile


@pytest.mark.long
@both_colours
def test_a_hundred_waits_cost_no_command_beyond_their_first_read(
    own_redis: RedisServer, stores: Stores
) -> None:
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        with world_at(stores, own_redis.url, reread=2, max_connections=WAITS) as world:
            logins = [Login(world, world.qr.begin(lifetime=LIFETIME)) for _ in range(WAITS)]
            for login in logins:
                login.walk("scan")  # so that no rotating code ends the wait
            version = logins[0].seen().version
            before, started = _calls(client), monotonic()
            waiting = [world.start_wait(login, after=version, timeout=LIFETIME) for login in logins]
            threading.Event().wait(SECONDS)
            spent = {name: calls - before.get(name, 0) for name, calls in _calls(client).items()}
            took, subscribers = monotonic() - started, client.client_list(_type="pubsub")
            loop_would = WAITS * took / LOOP_SECONDS
            asked = spent["evalsha"]
            share = f"{asked / loop_would:.1%} of a loop every {LOOP_SECONDS} s"
            print(f"{WAITS} waits, {took:.1f} s: {asked} EVALSHA ({share})")
            print(f"all commands: {spent}; subscribed connections: {len(subscribers)}")
            assert not any(wait.done() for wait in waiting)
            # One more for those that listened before the subscription was made.
            assert WAITS <= asked <= 2 * WAITS
            assert sum(spent.values()) < loop_would / 10
            before = _calls(client)
            threading.Event().wait(SECONDS)
            spent_later = {
                name: calls - before.get(name, 0) for name, calls in _calls(client).items()
            }
            assert spent_later["evalsha"] == 0
            assert {name for name, calls in spent_later.items() if calls} <= {"ping", "info"}
            assert spent["subscribe"] == len(subscribers) == 1
            for login in logins:
                login.walk("confirm")
            assert {wait.result(PATIENCE).state for wait in waiting} == {State.CONFIRMED}
        until(
            lambda: not client.client_list(_type="pubsub")
        )  # the subscription ends with its store


def _calls(client: Any) -> dict[str, int]:
    return {
        name.removeprefix("cmdstat_"): figures["calls"]
        for name, figures in client.info("commandstats").items()
    }
