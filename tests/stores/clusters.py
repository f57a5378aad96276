"""More than one Redis at a time: a Cluster of three masters, and a master with its replica behind three Sentinels."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from tests.servers import LOOPBACK, RedisServer, free_port, redis_binary

SLOTS = 16384
READY_SECONDS = 30  # a cluster needs two; only a broken one gets this far


@contextmanager
def cluster() -> Iterator[list[RedisServer]]:
    """Three masters that share all slots."""
    with ExitStack() as stack:
        buses = [free_port() for _ in range(3)]  # else each takes its port + 10 000, which may not exist
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port")
        nodes = [stack.enter_context(RedisServer(redis_binary(), *options, str(bus))) for bus in buses]
        clients = [stack.enter_context(redis.Redis(port=node.port, decode_responses=True)) for node in nodes]
        for place, client in enumerate(clients):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", place * SLOTS // 3, (place + 1) * SLOTS // 3 - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            client.execute_command("CLUSTER", "MEET", LOOPBACK, nodes[0].port, buses[0])
        _until(lambda: all("cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")) for client in clients))
        _until(lambda: all(len(client.execute_command("CLUSTER", "SLOTS")) == 3 for client in clients))
        yield nodes


@contextmanager
def sentinels() -> Iterator[tuple[list[tuple[str, int]], RedisServer]]:
    """(where the three Sentinels are, the master that they call `logins`)."""
    with ExitStack() as stack:
        master = stack.enter_context(RedisServer(redis_binary()))
        stack.enter_context(RedisServer(redis_binary(), "--replicaof", LOOPBACK, str(master.port)))
        watchers = [stack.enter_context(_Sentinel(redis_binary())) for _ in range(3)]
        for watcher in watchers:
            with redis.Redis(port=watcher.port) as client:
                client.execute_command("SENTINEL", "MONITOR", "logins", LOOPBACK, master.port, 2)
                for setting in (("down-after-milliseconds", 500), ("failover-timeout", 4000)):
                    client.execute_command("SENTINEL", "SET", "logins", *setting)
        with redis.Redis(port=master.port, decode_responses=True) as client:
            _until(lambda: dict(client.info("replication")).get("slave0", {}).get("state") == "online")
        yield [(LOOPBACK, watcher.port) for watcher in watchers], master


class _Sentinel(RedisServer):
    def _command(self, port: int, folder: str) -> list[str]:
        notes = Path(folder, "sentinel.conf")  # where a Sentinel keeps what it knows
        notes.write_text(f"port {port}\nbind {LOOPBACK}\ndir {folder}\n")
        return [self.binary, str(notes), "--sentinel"]


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while not holds():
        if time.monotonic() > give_up:
            raise RuntimeError("the servers did not find together")
        time.sleep(0.05)
