"""A Cluster while its masters are killed and its slots move."""

import contextlib
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from random import Random
from time import sleep
from typing import Any

import redis
import redis.asyncio

from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.redis_calls import BUCKETS
from tests.faults.nemesis import Strike, crash
from tests.servers import LOOPBACK, RedisServer
from tests.stores.clusters import SLOTS, cluster

TIMES: dict[str, Any] = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}


class _Closing(AsyncRedisStore):
    """Closes its client, too, while its event loop still exists."""

    async def close(self) -> None:
        await super().close()
        await self._client.aclose()


def on_cluster(port: int) -> RedisStore:
    return RedisStore(redis.RedisCluster(LOOPBACK, port, **TIMES))


def on_cluster_awaited(port: int) -> AsyncRedisStore:
    return _Closing(redis.asyncio.RedisCluster(LOOPBACK, port, **TIMES))


@contextlib.contextmanager
def kept_cluster() -> Any:
    """Three masters that find what they have answered when they start again."""
    with ExitStack() as stack:
        folders = [
            stack.enter_context(tempfile.TemporaryDirectory(prefix="qrlogin-shard-"))
            for _ in range(3)
        ]
        yield stack.enter_context(cluster(*folders))


def moves_and_kills(nodes: Sequence[RedisServer]) -> Strike:
    """Moves the slot of one part of the logins to another master; every third time, kills one."""
    strikes, owners = 0, dict[int, int]()

    def strike(draw: Random) -> float | None:
        nonlocal strikes
        strikes += 1
        if strikes % 3 == 0:
            node = draw.choice(nodes[1:])
            since = crash(node)
            with redis.Redis(port=node.port, decode_responses=True) as client:
                while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
                    sleep(0.02)
            return since
        move_slot(nodes, draw, owners)
        return None

    return strike


def move_slot(nodes: Sequence[RedisServer], draw: Random, owners: dict[int, int]) -> None:
    """Move a slot that has logins, with its keys, as `redis-cli --cluster reshard` does.

    :param owners: by slot, which node has it, for those that have moved.
    """
    with ExitStack() as stack:
        clients: list[Any] = [
            stack.enter_context(redis.Redis(port=node.port, decode_responses=True))
            for node in nodes
        ]
        ids = [client.execute_command("CLUSTER", "MYID") for client in clients]
        slot = clients[0].execute_command(
            "CLUSTER", "KEYSLOT", f"qrlogin:{{b{draw.randrange(BUCKETS):02}}}"
        )
        owner = owners.get(slot, max(at for at in range(3) if slot >= at * SLOTS // 3))
        target = draw.choice([at for at in range(len(nodes)) if at != owner])
        clients[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner])
        clients[owner].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        sleep(draw.uniform(0, 0.1))
        where = (LOOPBACK, nodes[target].port, "", 0, 5000, "KEYS")
        while keys := clients[owner].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 3):
            clients[owner].execute_command("MIGRATE", *where, *keys)
            sleep(0.002)
        for at in (target, owner, *{0, 1, 2} - {target, owner}):
            clients[at].execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        owners[slot] = target
