"""How the Redis stores send commands that must have copies: WAIT or WAITAOF goes out behind them,
over the connection that carried them.

WAIT counts the copies of what its own connection has written, and answers at once on a connection
that has written nothing. So a client's own `wait()`, over another connection of its pool, would
confirm nothing. For the same reason the script of a durable row writes the record also when it
changes nothing (`redis_script.py`): the write of an earlier call, over another connection, comes
before it in the stream that replicas receive.
"""

from collections.abc import Sequence
from typing import Any, Final

from redis import RedisCluster
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio.cluster import PipelineCommand
from redis.exceptions import ClusterDownError, MovedError

from qrlogin.stores.durability import Durability
from qrlogin.stores.redis_calls import RedisCalls
from qrlogin.stores.redis_client import LOST
from qrlogin.stores.redis_pipeline import PIPELINES, CommandPipeline, _Call

Words = Sequence[str | bytes | int]

#: What a node of a Cluster answers, or does, when the key is at another node.
_ELSEWHERE: Final = (MovedError, ClusterDownError, *LOST)


def send_confirmed(client: Any, durability: Durability, words: Words) -> object:
    """The script's answer, or a `Shortfall`. Raises what redis-py raises.

    :param client: the store's client, which blocks.
    :param durability: what must be confirmed.
    :param words: EVALSHA or EVAL, with its arguments.
    """
    send = _send_to_node if isinstance(client, RedisCluster) else _send_together
    answer, copies = send(client, words, durability.words)
    if isinstance(answer, Exception):
        raise answer
    return durability.released(answer, copies)


def _send_together(client: Any, *commands: Words) -> list[Any]:
    """The replies to commands that go out over one connection. An error of one is its reply."""
    pipeline = client.pipeline(transaction=False)
    for each in commands:
        pipeline.execute_command(*each)
    replies: list[Any] = pipeline.execute(raise_on_error=False)
    return replies


def _send_to_node(client: Any, *commands: Words) -> list[Any]:
    key = commands[0][3]
    for is_last in (False, True):
        try:
            node = client.get_redis_connection(client.get_node_from_key(key))
            replies = _send_together(node, *commands)
        except LOST:
            if is_last:
                raise
        else:
            if is_last or not isinstance(replies[0], _ELSEWHERE):
                return replies
        client.execute_command("GET", key)  # it finds the node, and the client remembers it
    return replies


class ConfirmingPipeline(CommandPipeline):
    """A `CommandPipeline` for commands of durable rows. One WAIT serves a whole batch, because it
    counts the copies of the last write of its connection.

    The outcome of a call is the script's answer, a `Shortfall`, or an exception of redis-py.

    :param client: the store's client.
    :param calls: spells the commands.
    :param durability: what must be confirmed.
    """

    def __init__(self, client: Any, calls: RedisCalls, durability: Durability) -> None:
        super().__init__(client, calls, spare=PIPELINES)
        self._durability = durability

    async def _ask(self, batch: list[_Call], *, by_text: bool) -> list[object]:
        words = [self._words(call, by_text) for call in batch]
        is_cluster = isinstance(self._client, AsyncRedisCluster)
        send = self._send_to_node if is_cluster else self._send_together
        *answers, copies = await send(*words, self._durability.words)
        return [
            answer if isinstance(answer, Exception) else self._durability.released(answer, copies)
            for answer in answers
        ]

    async def _send_together(self, *commands: Words) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for each in commands:
            pipeline.execute_command(*each)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def _send_to_node(self, *commands: Words) -> list[Any]:
        client, key = self._client, commands[0][3]
        await client.initialize()
        for is_last in (False, True):
            asked = [PipelineCommand(at, *each) for at, each in enumerate(commands)]
            await client.get_node_from_key(key).execute_pipeline(asked)
            replies = [each.result for each in asked]
            lost = next((each for each in replies if isinstance(each, LOST)), None)
            if not (lost or isinstance(replies[0], _ELSEWHERE)):
                break
            if is_last and lost:
                raise lost
            if not is_last:
                await client.execute_command("GET", key)  # it finds the node and remembers it
        return replies
