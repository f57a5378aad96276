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
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.cluster import PipelineCommand
from redis.exceptions import ClusterDownError, MovedError

from qrlogin.stores.durability import Durability, Shortfall
from qrlogin.stores.redis_calls import RedisCalls
from qrlogin.stores.redis_client import LOST
from qrlogin.stores.redis_pipeline import CommandPipeline, _Call

Words = Sequence[str | bytes | int]

#: What a node of a Cluster answers, or does, when the key is at another node.
_ELSEWHERE: Final = (MovedError, ClusterDownError, *LOST)


def send_confirmed(client: Any, durability: Durability, words: Words) -> object:
    """The script's answer, or a `Shortfall`. Raises what redis-py raises.

    :param client: the store's client, which blocks.
    :param durability: what must be confirmed.
    :param words: EVALSHA or EVAL, with its arguments.
    """
    is_cluster, key = isinstance(client, RedisCluster), words[3]
    if not is_cluster:
        return _send(client, durability, words)
    try:
        return _send(_node_of(client, key), durability, words)
    except _ELSEWHERE:
        client.execute_command("GET", key)  # it finds the node, and the client remembers it
        return _send(_node_of(client, key), durability, words)


def _node_of(client: Any, key: object) -> Any:
    return client.get_redis_connection(client.get_node_from_key(key))


def _send(client: Any, durability: Durability, words: Words) -> object:
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command(*words)
    pipeline.execute_command(*durability.words)
    answer, copies = pipeline.execute(raise_on_error=False)
    if isinstance(answer, Exception):
        raise answer
    missing = durability.shortfall(copies)
    return Shortfall(missing, answer) if missing else answer


class ConfirmingPipeline(CommandPipeline):
    """A `CommandPipeline` for commands of durable rows. One WAIT serves a whole batch, because it
    counts the copies of the last write of its connection.

    The outcome of a call is the script's answer, a `Shortfall`, or an exception of redis-py.

    :param client: the store's client.
    :param calls: spells the commands.
    :param durability: what must be confirmed.
    """

    def __init__(self, client: Any, calls: RedisCalls, durability: Durability) -> None:
        super().__init__(client, calls)
        self._durability = durability

    async def _ask(self, batch: list[_Call], *, by_text: bool) -> list[object]:
        words = [self._words(call, by_text) for call in batch]
        if isinstance(self._client, AsyncRedis):
            pipeline = self._client.pipeline(transaction=False)
            for each in (*words, self._durability.words):
                pipeline.execute_command(*each)
            *answers, copies = await pipeline.execute(raise_on_error=False)
        else:
            *answers, copies = await self._ask_cluster(words[0])
        missing = self._durability.shortfall(copies)
        return [
            Shortfall(missing, answer) if missing and not isinstance(answer, Exception) else answer
            for answer in answers
        ]

    async def _ask_cluster(self, words: Words) -> list[Any]:
        client, key = self._client, words[3]
        await client.initialize()
        for is_last in (False, True):
            asked = [PipelineCommand(0, *words), PipelineCommand(1, *self._durability.words)]
            await client.get_node_from_key(key).execute_pipeline(asked)
            lost = next((one.result for one in asked if isinstance(one.result, LOST)), None)
            if not is_last and (lost or isinstance(asked[0].result, _ELSEWHERE)):
                await client.execute_command("GET", key)  # it finds the node and remembers it
            elif lost:
                raise lost
            else:
                break
        return [one.result for one in asked]
