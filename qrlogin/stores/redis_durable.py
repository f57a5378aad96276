"""How the Redis stores send commands that must have copies: WAIT or WAITAOF goes out behind them,
over the connection that carried them.

WAIT counts the copies of what its own connection has written, and answers at once on a connection
that has written nothing. So a client's own `wait()`, over another connection of its pool, would
confirm nothing. For the same reason the script of a durable row writes the record also when it
changes nothing (`redis_script.py`): the write of an earlier call, over another connection, comes
before it in the stream that replicas receive.
"""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from qrlogin.stores.durability import Durability
from qrlogin.stores.redis_call_time import CallTime
from qrlogin.stores.redis_calls import RedisCalls, check_answers
from qrlogin.stores.redis_cluster import AsyncClusterClient, ClusterClient, send_together
from qrlogin.stores.redis_pipeline import PIPELINES, CommandPipeline, _Call

Words = Sequence[str | bytes | int]


def send_confirmed(client: Any, durability: Durability, words: Words) -> object:
    """The script's answer, or a `Shortfall`. Raises what redis-py raises.

    :param client: the store's client, which blocks.
    :param durability: what must be confirmed.
    :param words: EVALSHA or EVAL, with its arguments.
    """
    if isinstance(client, ClusterClient):
        answer, copies = client.send_together(words, durability.words)
    else:
        answer, copies = send_together(client, words, durability.words)
    if isinstance(answer, Exception):
        raise answer
    check_answers([words], [answer])
    return durability.released(answer, copies)


class ConfirmingPipeline(CommandPipeline):
    """A `CommandPipeline` for commands of durable rows. One WAIT serves a whole batch, because it
    counts the copies of the last write of its connection.

    The outcome of a call is the script's answer, a `Shortfall`, or an exception of redis-py.

    :param client: the store's client.
    :param calls: spells the commands.
    :param call_time: how long a call may take.
    :param durability: what must be confirmed.
    :param resends: as for `CommandPipeline`.
    """

    def __init__(
        self,
        client: Any,
        calls: RedisCalls,
        call_time: CallTime,
        durability: Durability,
        *,
        resends: bool,
    ) -> None:
        super().__init__(client, calls, call_time, resends=resends, spare=PIPELINES)
        self._durability = durability

    async def _ask(self, batch: list[_Call], *, by_text: bool) -> list[object]:
        words = [self._words(call, by_text) for call in batch]
        if isinstance(self._client, AsyncClusterClient):  # which sends each command on its own
            try:
                *answers, copies = await self._client.send_together(
                    words[0], self._durability.words
                )
            except ResponseError as error:
                return [error]
        else:
            *answers, copies = await self._send_together([*words, self._durability.words])
        check_answers(words, answers)
        return [
            answer if isinstance(answer, Exception) else self._durability.released(answer, copies)
            for answer in answers
        ]
