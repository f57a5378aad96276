"""The whole suite over a Cluster of three masters, and what a login notices of its bad days."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.crc import key_slot

from qrlogin.errors import Unavailable
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.redis_calls import RedisCalls
from qrlogin.stores.redis_cluster import SlotMap
from qrlogin.stores.suite import StoreSuite
from qrlogin.stores.suite.colours import PATIENCE, Awaited, Blocking
from qrlogin.stores.suite.world import World
from qrlogin.table import State
from tests.servers import LOOPBACK, RedisServer
from tests.stores.clusters import cluster
from tests.stores.redis_world import Stores, both_colours


@pytest.fixture(scope="module")
def nodes() -> Iterator[Sequence[RedisServer]]:
    with cluster() as running:
        yield running


def address_of(nodes: Sequence[RedisServer]) -> str:
    return "redis+cluster://" + ",".join(f"{LOOPBACK}:{node.port}" for node in nodes)


class TestRedisStoreOnCluster(StoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _servers(self, nodes: Sequence[RedisServer]) -> None:
        self.address = address_of(nodes[:1])  # it finds the others

    def make_store(self, now: Callable[[], int]) -> RedisStore:
        return RedisStore.from_url(self.address, reread=600, timeout=PATIENCE, now=now)


def world_of(make: Callable[[], Any], stores: Stores) -> World:
    colour = Awaited() if issubclass(stores, AsyncRedisStore) else Blocking()
    return World(colour, lambda now: make(), shared=True)


@both_colours
def test_an_application_can_use_its_own_client_of_a_cluster(
    nodes: Sequence[RedisServer], stores: Stores
) -> None:
    if issubclass(stores, AsyncRedisStore):
        client: Any = redis.asyncio.RedisCluster(LOOPBACK, nodes[0].port)
    else:
        client = redis.RedisCluster(LOOPBACK, nodes[0].port)
    world = world_of(lambda: stores(client, reread=600, timeout=PATIENCE), stores)
    try:
        login = world.begin()
        waiting = world.start_wait(login)
        world.elsewhere.run(login.scan("alice"))
        assert waiting.result(PATIENCE).state is State.SCANNED
        login.walk("confirm", "redeem")
    finally:
        world.close()
        if isinstance(client, redis.RedisCluster):
            assert client.ping()
            client.close()


# Bad days


def slot_of(login_id: str) -> int:
    return key_slot(RedisCalls("qrlogin:", None).channel(login_id).encode())


def move(slot: int, source: RedisServer, target: RedisServer, done: threading.Event) -> None:
    """Migrate one slot, and stay in the middle of it for a while."""
    with (
        redis.Redis(port=source.port, decode_responses=True) as old,
        redis.Redis(port=target.port, decode_responses=True) as new,
    ):
        ids: list[Any] = [each.execute_command("CLUSTER", "MYID") for each in (old, new)]
        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        done.wait(0.2)  # what begins now begins at the target
        while keys := old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 5):
            for key in keys:
                old.execute_command("MIGRATE", LOOPBACK, target.port, key, 0, 5000)
        done.wait(0.2)
        for each in (new, old):
            each.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])


@both_colours
def test_no_login_notices_that_its_slot_moves(nodes: Sequence[RedisServer], stores: Stores) -> None:
    """While the slot moves, records are at either node, and new ones begin at the target."""
    world = world_of(lambda: stores.from_url(address_of(nodes), timeout=PATIENCE), stores)
    try:
        login = world.begin()
        slot = slot_of(login.begun.login_id)
        with redis.Redis(port=nodes[0].port, decode_responses=True) as admin:
            slots: Any = admin.execute_command("CLUSTER", "SLOTS")
        port = next(master[1] for first, last, master, *_ in slots if first <= slot <= last)
        source = next(node for node in nodes if node.port == port)
        target = next(node for node in nodes if node.port != port)
        done = threading.Event()
        moving = threading.Thread(target=move, args=(slot, source, target, done))
        waiting = world.start_wait(login)
        moving.start()
        in_slot = 0
        while moving.is_alive() or in_slot < 2:
            other = world.begin()
            in_slot += slot_of(other.begun.login_id) == slot
            other.walk("scan", "confirm", "redeem")
        moving.join()
        login.walk("scan")
        assert waiting.result(PATIENCE).state is State.SCANNED
        login.walk("confirm", "redeem")
    finally:
        world.close()
        with suppress(UnboundLocalError):  # back, for the tests after this one
            move(slot, target, source, threading.Event())


@pytest.mark.matrix
@both_colours
def test_a_master_that_dies_makes_its_own_logins_unavailable_and_nothing_else(
    stores: Stores,
) -> None:
    """In an asyncio Cluster of redis-py it raised AttributeError."""
    with cluster() as nodes:
        world = world_of(
            lambda: stores.from_url(address_of(nodes), timeout=1.0, reread=600), stores
        )
        try:
            logins = [world.begin() for _ in range(40)]
            waiting = world.start_wait(logins[0])
            victim = random.Random(7).choice(nodes)
            victim.process.kill()
            answered, refused = 0, 0
            for _ in range(3):
                results = world.colour.at_once(
                    [(world.qr, login.scan("alice")) for login in logins]
                )
                refused += sum(isinstance(result, Unavailable) for result in results)
                answered += sum(getattr(result, "login_id", "") != "" for result in results)
                assert all(
                    isinstance(result, Unavailable) or hasattr(result, "login_id")
                    for result in results
                )
            assert refused
            assert answered > refused / 4
        finally:
            world.close()
            waiting.cancel()


def test_a_subscription_is_not_at_a_node_that_has_left_the_cluster() -> None:
    left, serving = ("left.example", 7000), ("serving.example", 7001)
    slots = SlotMap([left])
    assert slots.any_node() == left, "no other node is known yet"
    slots.learn([[0, 16383, [*serving, "id"]]], serving)
    assert {slots.any_node() for _ in range(100)} == {serving}


def test_a_map_of_slots_reads_what_servers_say() -> None:
    """Decoded or not, with an unknown host, and with addresses that are reached elsewhere."""
    asked = ("cluster.example", 7000)
    slots = SlotMap([asked], lambda node: (node[0], node[1] + 1))
    slots.learn(
        [
            [5461, 16383, ["10.0.0.2", 7001, "id", []]],
            [0, 99, [b"", 7002, b"id"], [b"10.0.0.9", 7009, b"replica"]],
            [200, 5460, [None, 7003, "id"]],
        ],
        asked,
    )
    owners = [slots.owner(slot) for slot in (0, 99, 100, 199, 200, 5460, 5461, 16383)]
    assert owners == [
        ("cluster.example", 7003),
        ("cluster.example", 7003),
        None,
        None,
        ("cluster.example", 7004),
        ("cluster.example", 7004),
        ("10.0.0.2", 7002),
        ("10.0.0.2", 7002),
    ]
    slots.avoid(("10.0.0.2", 7002))
    assert slots.is_stale
    assert slots.nodes[-1] == ("10.0.0.2", 7002)
    for reply in (None, "OK", [[1]], [[0, 1, []]], [["a", "b", ["h", 1]]], 7):
        with pytest.raises(ValueError, match="no reply to CLUSTER SLOTS"):
            SlotMap([asked]).learn(reply, asked)
