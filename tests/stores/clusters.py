"""Several Redis servers: a Cluster of three masters, or a master and a replica with three
Sentinels.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.servers import LOOPBACK, RedisServer, free_port, redis_binary

SLOTS = 16384
READY_SECONDS = 60  # a cluster needs two
PATIENT_MS = 60_000


@contextmanager
def cluster(*folders: str) -> Iterator[Sequence[RedisServer]]:
    """Three masters that share all slots.

    :param folders: where each keeps what it has answered, so that it can be killed and started
        again; none: it keeps nothing.
    """
    kept = [("--dir", folder, "--appendonly", "yes") for folder in folders]
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(_Node(redis_binary(), *options)) for options in kept or ((), (), ())
        ]
        clients = [
            stack.enter_context(redis.Redis(port=node.port, decode_responses=True))
            for node in nodes
        ]
        for place, client in enumerate(clients):
            client.execute_command(
                "CLUSTER", "ADDSLOTSRANGE", place * SLOTS // 3, (place + 1) * SLOTS // 3 - 1
            )
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            client.execute_command("CLUSTER", "MEET", LOOPBACK, nodes[0].port, nodes[0].bus)
        _until(
            lambda: all(
                "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO"))
                for client in clients
            )
        )
        _until(
            lambda: all(len(client.execute_command("CLUSTER", "SLOTS")) == 3 for client in clients)
        )
        yield nodes


@contextmanager
def replica_of_node(master: RedisServer) -> Iterator[RedisServer]:
    """A replica of one of the masters of a Cluster, which is online."""
    with (
        _Node(redis_binary()) as node,
        redis.Redis(port=node.port, decode_responses=True) as client,
    ):
        assert isinstance(master, _Node)
        client.execute_command("CLUSTER", "MEET", LOOPBACK, master.port, master.bus)
        with redis.Redis(port=master.port, decode_responses=True) as other:
            name = other.execute_command("CLUSTER", "MYID")
        _until(lambda: name in str(client.execute_command("CLUSTER", "NODES")))
        client.execute_command("CLUSTER", "REPLICATE", name)
        wait_for_replicas(master.port)
        yield node


def promote_in_cluster(replica: RedisServer) -> None:
    """Let a replica and its master change places. Returns when the replica is the master."""
    with redis.Redis(port=replica.port, decode_responses=True) as client:
        client.execute_command("CLUSTER", "FAILOVER")
        _until(lambda: client.info("replication")["role"] == "master")
    wait_for_replicas(replica.port)


class _Node(RedisServer):
    """A master that the others do not declare dead while it is paused."""

    bus = 0  # the port for the other nodes; the default, its port + 10 000, may not exist

    def _command(self, port: int, folder: str) -> list[str]:
        if not self.port:  # it has not started yet, and another process may take a port before it
            self.bus = free_port()
        options = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            str(self.bus),
            "--cluster-node-timeout",
            str(PATIENT_MS),
        ]
        return [*super()._command(port, folder), *options]


@contextmanager
def replicated(binary: str, *options: str) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A master and its replica, which is online."""
    with ExitStack() as stack:
        delay = ("--repl-diskless-sync-delay", "0")
        master = stack.enter_context(RedisServer(binary, *delay, *options))
        where = ("--replicaof", LOOPBACK, str(master.port))
        replica = stack.enter_context(RedisServer(binary, *where, *options))
        wait_for_replicas(master.port)
        yield master, replica


def wait_for_replicas(port: int, count: int = 1) -> None:
    """Returns when so many replicas of the master at this port are online."""
    with redis.Redis(port=port, decode_responses=True) as client:
        _until(
            lambda: (
                [
                    each["state"]
                    for each in client.info("replication").values()
                    if isinstance(each, dict)
                ]
                == ["online"] * count
            )
        )


def cut_link(port: int) -> None:
    """The replica at this port loses its master, and cannot come back: its password is wrong from
    now on.
    """
    with redis.Redis(port=port) as client:
        client.config_set("masteruser", "nobody")
        client.config_set("masterauth", "wrong")
        client.execute_command("CLIENT", "KILL", "TYPE", "master")


@contextmanager
def sentinels() -> Iterator[tuple[list[tuple[str, int]], RedisServer]]:
    """The addresses of three Sentinels, and the master that they call `logins`. They know each
    other and its replica.

    They do not declare a paused master dead until `lose_patience` is called.
    """
    with ExitStack() as stack:
        master = stack.enter_context(RedisServer(redis_binary(), "--repl-diskless-sync-delay", "0"))
        stack.enter_context(RedisServer(redis_binary(), "--replicaof", LOOPBACK, str(master.port)))
        with redis.Redis(port=master.port, decode_responses=True) as client:
            _until(
                lambda: dict(client.info("replication")).get("slave0", {}).get("state") == "online"
            )
        watchers = [stack.enter_context(_Sentinel(redis_binary())) for _ in range(3)]
        for watcher in watchers:
            with redis.Redis(port=watcher.port) as client:
                client.execute_command("SENTINEL", "MONITOR", "logins", LOOPBACK, master.port, 2)
                for setting in (
                    ("down-after-milliseconds", PATIENT_MS),
                    ("failover-timeout", 4000),
                ):
                    client.execute_command("SENTINEL", "SET", "logins", *setting)
        for watcher in watchers:
            with redis.Redis(port=watcher.port, decode_responses=True) as client:
                _until(lambda: _knows_all(client.sentinel_master("logins")))
        yield [(LOOPBACK, watcher.port) for watcher in watchers], master


def lose_patience(addresses: list[tuple[str, int]]) -> None:
    """From now on a master that is silent for half a second is dead."""
    for host, port in addresses:
        with redis.Redis(host, port) as client:
            client.execute_command("SENTINEL", "SET", "logins", "down-after-milliseconds", 500)


def _knows_all(master: Any) -> bool:
    return (master["num-slaves"], master["num-other-sentinels"]) == (1, 2)


class _Sentinel(RedisServer):
    def _command(self, port: int, folder: str) -> list[str]:
        notes = Path(folder, "sentinel.conf")  # a Sentinel keeps its state in this file
        notes.write_text(f"port {port}\nbind {LOOPBACK}\ndir {folder}\n")
        return [self.binary, str(notes), "--sentinel"]


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while not holds():
        if time.monotonic() > give_up:
            raise RuntimeError("the servers did not find each other")
        time.sleep(0.05)
