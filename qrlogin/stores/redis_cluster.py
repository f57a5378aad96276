"""A client of a Redis Cluster for what a store sends: commands with one key, and subscriptions.

redis-py's own connects in its constructor, asks for the table of all commands, and tries again and
again in one call. This one connects on first use, sends a command to the node that serves its slot,
and follows MOVED and ASK. Each node has a plain client of redis-py, with its pool.

A plain PUBLISH reaches every node of a Cluster, so any node serves for the subscription.
"""

import asyncio
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from random import SystemRandom
from typing import Any, Final

from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from qrlogin.stores.forks import in_each_child
from qrlogin.stores.redis_call_time import CallTime, NotSent

Node = tuple[str, int]
Words = Sequence[Any]

#: How often one command is sent: to other nodes, or again after a pause.
_TRIES: Final = 16
_SOON: Final = (BusyLoadingError, ClusterDownError, MasterDownError, TryAgainError)
#: MOVED replies after which the whole map of slots is read again.
_MOVES: Final = 5
#: The part of a call's time that one node has to say which node serves what.
_SHARE: Final = 0.5


class SlotMap:
    """Which node serves which slot.

    :param nodes: some nodes of the Cluster.
    :param remap: returns where a node is reached that the Cluster calls by another address; None:
        there.
    """

    def __init__(self, nodes: Iterable[Node], remap: Callable[[Node], Node] | None = None) -> None:
        self._remap = remap or (lambda node: node)
        #: Nodes to ask for the map: those that did not answer last.
        self.nodes: list[Node] = list(nodes)
        self.is_stale: bool = True
        self._starts: list[int] = []
        self._ranges: list[tuple[int, Node]] = []  # the last slot of a range, and its node
        self._moved: dict[int, Node] = {}

    def owner(self, slot: int) -> Node | None:
        """The node that serves a slot, as far as is known."""
        if slot in self._moved:
            return self._moved[slot]
        at = bisect_right(self._starts, slot) - 1
        return self._ranges[at][1] if at >= 0 and slot <= self._ranges[at][0] else None

    @property
    def owners(self) -> list[Node]:
        """The nodes that serve slots."""
        return [*dict.fromkeys(node for _, node in self._ranges)]

    def any_node(self) -> Node:
        """A node at random: one that serves slots, if the map is up to date. A node that has left
        the Cluster may still answer, but receives no messages.
        """
        nodes = self.nodes if self.is_stale else self.owners or self.nodes
        return SystemRandom().choice(nodes)

    def learn(self, reply: Any, asked: Node) -> None:
        """Read the reply to CLUSTER SLOTS. Raises ValueError if it is none.

        :param reply: as redis-py returns it, decoded or not.
        :param asked: the node that sent it. A node without a host in the reply is at this host.
        """
        try:
            ranges = sorted(
                (int(first), int(last), self.address(master[0], master[1], asked))
                for first, last, master, *_ in reply
            )
        except (TypeError, ValueError, IndexError) as error:
            raise ValueError("this is no reply to CLUSTER SLOTS") from error
        self._starts = [first for first, _, _ in ranges]
        self._ranges = [(last, node) for _, last, node in ranges]
        self._moved = {}
        self.nodes = [*dict.fromkeys([*self.owners, *self.nodes])]
        self.is_stale = False

    def move(self, slot: int, node: Node) -> None:
        """A node said that another one serves this slot now."""
        self._moved[slot] = node
        self.is_stale = self.is_stale or len(self._moved) >= _MOVES

    def avoid(self, node: Node) -> None:
        """A node did not answer: read the map again, and ask the others first."""
        self.is_stale = True
        if node in self.nodes:
            self.nodes.remove(node)
            self.nodes.append(node)

    def address(self, host: Any, port: Any, asked: Node) -> Node:
        """Where a node is that the Cluster calls by this host and port."""
        host = host.decode() if isinstance(host, bytes) else host
        return self._remap((host if host and host != "?" else asked[0], int(port)))


class _Route:
    """Where one command goes next.

    :param slots: of the Cluster.
    :param key: the key of the command.
    """

    def __init__(self, slots: SlotMap, key: str) -> None:
        self._slots, self._slot = slots, key_slot(key.encode())
        self._redirected: Node | None = None
        self._tries = 0
        self.asks = False
        """Whether the node needs an ASKING first, because the slot is on its way to it."""
        self.pause = 0.0
        """Seconds to wait before the command is sent."""

    def next_node(self) -> Node:
        """The node to send the command to. Raises ConnectionError if there is none."""
        node, self._redirected = self._redirected or self._slots.owner(self._slot), None
        if node is None:
            self._slots.is_stale = True
            raise RedisConnectionError("no node of the Cluster serves this slot")
        return node

    @property
    def prelude(self) -> list[Words]:
        """What is sent before the command, over its connection."""
        return [("ASKING",)] if self.asks else []

    def replies(self, received: list[Any]) -> list[Any]:
        """The replies without that to the prelude. Raises the error of the command."""
        kept = received[len(self.prelude) :]
        if isinstance(kept[0], Exception):
            raise kept[0]
        return kept

    def goes_on(self, node: Node, error: Exception) -> bool:
        """Whether to send the command again after this error."""
        self._tries += 1
        self.asks, self.pause = False, 0.0
        match error:
            case MovedError() | AskError():
                target = self._slots.address(error.host, error.port, node)
                self.asks = not isinstance(error, MovedError)
                if self.asks:
                    self._redirected = target
                else:
                    self._slots.move(self._slot, target)
            case _ if isinstance(error, _SOON):
                self._slots.is_stale = True
                self.pause = min(0.25, 0.02 * 2.0**self._tries)
            case ResponseError() | NotSent():
                return False
            case _:
                self._slots.avoid(node)
                return False
        return self._tries < _TRIES


def send_together(client: Any, *commands: Words) -> list[Any]:
    """The replies to commands that go out over one connection. An error of one is its reply.

    :param client: a client of redis-py for one server, which blocks.
    :param commands: what to send.
    """
    pipeline = client.pipeline(transaction=False)
    for each in commands:
        pipeline.execute_command(*each)
    replies: list[Any] = pipeline.execute(raise_on_error=False)
    return replies


class ClusterClient:
    """A client of a Cluster that blocks.

    :param slots: of the Cluster.
    :param open_node: returns a client of redis-py for one node.
    :param call_time: of the store.
    """

    def __init__(
        self, slots: SlotMap, open_node: Callable[[Node], Any], call_time: CallTime
    ) -> None:
        self._slots, self._open_node, self._time = slots, open_node, call_time
        self._clients: dict[Node, Any] = {}
        self._lock = threading.Lock()
        in_each_child(self._after_fork)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may hold the old one

    def execute_command(self, *args: Any) -> Any:
        """The reply to EVALSHA or EVAL with one key."""
        return self.send_together(args)[0]

    def send_together(self, command: Words, *more: Words) -> list[Any]:
        """The replies to commands that go out over one connection, to the node of the first.

        Raises what redis-py raises for the first one. An error of another one is returned.

        :param command: EVALSHA or EVAL with one key.
        :param more: commands without a key, such as WAIT.
        """
        route, pause = _Route(self._slots, command[3]), threading.Event()
        while True:
            if self._slots.is_stale:
                self._read_slots()
            node = route.next_node()
            try:
                client = self._client(node)
                if not (route.asks or more):
                    return [client.execute_command(*command)]
                return route.replies(send_together(client, *route.prelude, command, *more))
            except Exception as error:
                left = self._time.left()
                if not route.goes_on(node, error) or (left is not None and left < route.pause):
                    raise
            pause.wait(route.pause)

    def _read_slots(self) -> None:
        left = self._time.left()
        if not self._lock.acquire(timeout=self._time.seconds if left is None else max(0, left)):
            raise RedisTimeoutError("the map of the Cluster was not read in time")
        try:
            failure: Exception | None = None
            for node in [*self._slots.nodes] if self._slots.is_stale else ():
                try:
                    ask = partial(self._client(node).execute_command, "CLUSTER", "SLOTS")
                    reply = self._time.spend(ask, _SHARE * self._time.seconds)
                    self._slots.learn(reply, node)
                    return
                except Exception as error:
                    self._slots.avoid(node)
                    failure = error
            if failure:
                raise failure
        finally:
            self._lock.release()

    def _client(self, node: Node) -> Any:
        client = self._clients.get(node)
        if client is None:  # two threads may make two; the one that loses is not connected
            client = self._clients.setdefault(node, self._open_node(node))
        return client

    def masters(self) -> dict[str, Any]:
        """A client of redis-py for each node that serves slots, by its host and port. Raises what
        redis-py raises.
        """
        self._slots.is_stale = True
        self._read_slots()
        return {f"{node[0]}:{node[1]}": self._client(node) for node in self._slots.owners}

    def info(self) -> dict[str, Any]:
        """What each node that serves slots answers to INFO, by its host and port."""
        return {name: client.info() for name, client in self.masters().items()}

    def pubsub(self) -> Any:
        """A subscription at any node that serves slots."""
        return self._client(self._slots.any_node()).pubsub()

    def close(self) -> None:
        """Close every connection."""
        for client in [*self._clients.values()]:
            with suppress(Exception):  # the others are closed all the same
                client.close()


class AsyncClusterClient:
    """`ClusterClient` for asyncio. The caller ends a call in time.

    :param slots: of the Cluster.
    :param open_node: returns a client of `redis.asyncio` for one node.
    :param call_time: of the store.
    """

    def __init__(
        self, slots: SlotMap, open_node: Callable[[Node], Any], call_time: CallTime
    ) -> None:
        self._slots, self._open_node, self._time = slots, open_node, call_time
        self._clients: dict[Node, Any] = {}
        self._reading: asyncio.Lock | None = None

    async def execute_command(self, *args: Any) -> Any:
        """The reply to EVALSHA or EVAL with one key."""
        return (await self.send_together(args))[0]

    async def send_together(self, command: Words, *more: Words) -> list[Any]:
        """As `ClusterClient.send_together`.

        :param command: EVALSHA or EVAL with one key.
        :param more: commands without a key.
        """
        route = _Route(self._slots, command[3])
        while True:
            if self._slots.is_stale:
                await self._read_slots()
            node = route.next_node()
            try:
                client = self._client(node)
                if not (route.asks or more):
                    return [await client.execute_command(*command)]
                pipeline = client.pipeline(transaction=False)
                for each in (*route.prelude, command, *more):
                    pipeline.execute_command(*each)
                return route.replies(await pipeline.execute(raise_on_error=False))
            except Exception as error:
                if not route.goes_on(node, error):
                    raise
            await asyncio.sleep(route.pause)

    async def _read_slots(self) -> None:
        self._reading = self._reading or asyncio.Lock()
        async with self._reading:
            failure: Exception | None = None
            for node in [*self._slots.nodes] if self._slots.is_stale else ():
                try:
                    async with asyncio.timeout(_SHARE * self._time.seconds):
                        reply = await self._client(node).execute_command("CLUSTER", "SLOTS")
                    self._slots.learn(reply, node)
                    return
                except Exception as error:
                    self._slots.avoid(node)
                    failure = error
            if failure:
                raise failure

    def _client(self, node: Node) -> Any:
        if node not in self._clients:
            self._clients[node] = self._open_node(node)
        return self._clients[node]

    async def info(self) -> dict[str, Any]:
        """As `ClusterClient.info`."""
        await self._read_slots()
        return {f"{at[0]}:{at[1]}": await self._client(at).info() for at in self._slots.owners}

    def pubsub(self) -> Any:
        """A subscription at any node that serves slots."""
        return self._client(self._slots.any_node()).pubsub()

    async def aclose(self) -> None:
        """Close every connection."""
        for client in [*self._clients.values()]:
            with suppress(Exception):
                await client.aclose()
