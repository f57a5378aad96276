"""How the asyncio store sends commands: what many tasks ask at once goes out as one pipeline.

Commands that tasks give in one tick of the event loop leave together, over one connection of
redis-py's pool. While a few pipelines are under way, later commands wait, and leave together in
their turn. Each command has its own outcome: an error of one is not an error of its neighbours.

Over a client that the store made, these few connections stay taken from the pool. redis-py's
`execute_command` needs more CPU to take a connection, to give it back and to prepare retries and
metrics than for the command itself.

It decides nothing about a command's meaning and waits for no lock.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final

from redis.asyncio import Redis as AsyncRedis
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.utils import HIREDIS_AVAILABLE

from qrlogin.step import Command
from qrlogin.stores.redis_call_time import AsyncPool, CallTime, NotSent
from qrlogin.stores.redis_calls import RedisCalls, check_answers
from qrlogin.stores.redis_client import is_lost
from qrlogin.stores.redis_script import Script

#: Commands in one pipeline.
PIPELINE_COMMANDS: Final = 100
#: Pipelines that are under way at a time.
PIPELINES: Final = 3
#: Callers that one pipeline wakes in one turn of the event loop. A caller that answers a browser
#: runs for 0.2 to 0.5 ms then, and the callers of all pipelines come one after the other.
WOKEN_AT_ONCE: Final = 10
#: Silence is counted in ticks of the loop's timer: time in which the loop was busy does not
#: count as silence.
_TICKS: Final = 4


def _can_pipeline(client: Any) -> bool:
    return (
        isinstance(client, AsyncRedis)
        and not client.connection_pool.connection_kwargs.get("decode_responses")
        and not client.single_connection_client
    )


def _free_connections(client: Any, spare: int) -> int:
    """How many connections of its pool are left beside the subscription's and the spare ones: at
    least one.
    """
    return max(1, int(client.connection_pool.max_connections) - 1 - spare)


class _Call:
    """A command whose caller waits for its outcome: the script's answer, or an exception."""

    __slots__ = ("arguments", "command", "outcome", "queued_at", "script")

    def __init__(self, command: Command, script: Script, arguments: tuple[Any, ...]) -> None:
        self.command, self.script, self.arguments = command, script, arguments
        loop = asyncio.get_running_loop()
        self.queued_at, self.outcome = loop.time(), loop.create_future()

    def end(self, outcome: object) -> None:
        if not self.outcome.done():  # a cancelled caller needs no outcome
            self.outcome.set_result(outcome)


class _KeptConnections:
    """The connections for pipelines, of a pool that only the store uses.

    It uses `get_connection` and `ensure_connection` of redis-py's pool, and `pack_commands`,
    `send_packed_command`, `read_response`, `disconnect` and `socket_timeout` of its connections,
    and `redis.connection.HiredisRespSerializer`. redis-py 6.0 to 8.1 have all of them.

    :param pool: the pool of redis-py. A connection that is taken from it is not given back.
    """

    def __init__(self, pool: Any) -> None:
        self._pool, self._idle = pool, list[Any]()

    async def ask(self, commands: list[tuple[str | bytes | int, ...]]) -> list[object]:
        """Send commands together. Returns the reply of each, or its `ResponseError`."""
        connection = self._idle.pop() if self._idle else await self._pool.get_connection()
        try:
            # As the pool does for each command: it connects again if the server has closed the
            # connection, or if there is a reply that no command has asked for.
            await self._pool.ensure_connection(connection)
            return await _ask(connection, commands)
        finally:
            # One that a task is still connecting is used last.
            self._idle.insert(0 if connection.is_connecting else len(self._idle), connection)


async def _ask(connection: Any, commands: list[tuple[str | bytes | int, ...]]) -> list[object]:
    # One time-out for the round trip. redis-py would set one for writing and one for each reply,
    # and in Python 3.11 start a task for the first.
    seconds, connection.socket_timeout = connection.socket_timeout, None
    try:
        async with asyncio.timeout(seconds):
            await connection.send_packed_command(_pack(connection, commands))
            return [await _reply(connection) for _ in commands]
    except NotSent:
        raise
    except BaseException:
        # Replies may be on their way, and must not be read as those of later commands.
        await connection.disconnect(nowait=True)
        raise
    finally:
        connection.socket_timeout = seconds


def _pack(connection: Any, commands: list[tuple[str | bytes | int, ...]]) -> Any:
    if not HIREDIS_AVAILABLE:
        return connection.pack_commands(commands)
    # redis-py's clients that block pack with hiredis, in a tenth of the time. Its asyncio clients
    # do not.
    pack: Any = HiredisRespSerializer().pack
    return b"".join([part for command in commands for part in pack(*command)])


async def _reply(connection: Any) -> object:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


class CommandPipeline:
    """Sends commands for one asyncio store, in one event loop.

    Three kinds of client send each command on its own: one that is no `redis.asyncio.Redis`, such
    as one of a Cluster, whose pipelines have rules of their own; one that decodes replies, because
    a reply that it cannot decode would end the others of its pipeline; and one that has a single
    connection, because its pipelines would open another.

    :param client: the store's client.
    :param calls: spells the commands.
    :param call_time: how long a call may take, and how long a command waits for its turn while no
        reply arrives.
    :param resends: whether a command whose reply was lost is sent once more: not over a client
        with retries of its own.
    :param spare: how many connections of the pool are not for these commands, beside that of the
        subscription.
    """

    def __init__(
        self,
        client: Any,
        calls: RedisCalls,
        call_time: CallTime,
        *,
        resends: bool,
        spare: int = 0,
    ) -> None:
        self._client, self._calls, self._time = client, calls, call_time
        #: How many pipelines may be under way. 0: each command is sent on its own.
        most = min(PIPELINES, _free_connections(client, spare)) if _can_pipeline(client) else 0
        self._pipelines = most
        self._resends, self._patience = resends, call_time.seconds
        # Those of a small pool are given back, because the subscription needs one of them, too.
        # With Sentinels, a connection that is given back learns of another master.
        keeps = resends and most and type(client.connection_pool) is AsyncPool
        self._kept: _KeptConnections | None = None
        if keeps and _free_connections(client, spare) > 2 * PIPELINES:
            self._kept = _KeptConnections(client.connection_pool)
        self._queue = deque[_Call]()
        self._sending: set[asyncio.Task[bool]] = set()  # asyncio itself holds tasks weakly
        #: Commands under way, by login_id. Those of one login do not overtake each other.
        self._under_way = Counter[str]()
        self._is_starting = False  # whether a task begins to send after this tick
        self._silent_ticks = 0  # of `_timer`, since a reply arrived
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many commands wait for the server."""
        return len(self._queue) + self._under_way.total()

    async def send(self, command: Command) -> object:
        """The script's answer to this command, or the exception that redis-py raised. The exception
        is returned, not raised, because several callers may get the same one.

        A caller that is cancelled stops nothing: the command is sent all the same, unless it only
        reads.
        """
        try:
            # Here, because what cannot be spelled must not end the others of its pipeline.
            call = _Call(command, self._calls.script(command), self._calls.arguments(command))
        except ValueError as error:
            return error
        self._queue.append(call)
        self._start()
        return await call.outcome

    async def drain(self) -> None:
        """Return when no command is waiting or under way."""
        while self._queue or self._sending:
            if not self._sending:
                self._start()
            await asyncio.wait(self._sending)

    @property
    def _has_room(self) -> bool:
        return not self._pipelines or len(self._sending) < self._pipelines

    def _start(self) -> None:
        """Begin to send what waits once this tick is over, if there is room."""
        loop = asyncio.get_running_loop()
        if self._has_room and not self._is_starting:
            self._is_starting = True
            task = loop.create_task(self._send())
            self._sending.add(task)
            task.add_done_callback(self._sent)
        elif not self._has_room and self._timer is None:
            self._timer = loop.call_later(self._patience / _TICKS, self._tick)

    def _take(self) -> list[_Call]:
        """The next commands to send together, in their order."""
        if not self._pipelines:
            return [self._queue.popleft()] if self._queue else []
        batch, later = list[_Call](), list[_Call]()
        while self._queue and len(batch) < PIPELINE_COMMANDS:
            call = self._queue.popleft()
            if call.outcome.done() and call.command.row.reads:
                continue  # its caller was cancelled, and it changes nothing
            in_order = call.command.login_id not in self._under_way
            (batch if in_order else later).append(call)
        self._queue.extendleft(reversed(later))
        return batch

    def _sent(self, task: "asyncio.Task[bool]") -> None:
        self._sending.discard(task)
        if task.cancelled():  # by the application, perhaps as one of all tasks of its loop
            self._is_starting = False  # it may have been cancelled before it began
            # A loop that ends cancels the callers, too, and gets no new task.
            if any(not call.outcome.done() for call in self._queue):
                self._start()
        # A task that found no command that may leave must not be followed by another one.
        elif self._queue and task.result():
            self._start()

    async def _send(self) -> bool:
        """Send one batch. Returns whether there was one."""
        self._is_starting = False
        batch, under_way = self._take(), self._under_way
        if not batch:
            return False
        for call in batch:
            under_way[call.command.login_id] += 1
        if self._queue:
            self._start()
        try:
            await self._deliver(batch)
        finally:
            for call in batch:
                if not call.outcome.done():  # this task was cancelled, and the caller was not
                    call.end(RedisConnectionError("the task that sent the command was cancelled"))
                name = call.command.login_id
                under_way[name] -= 1
                if not under_way[name]:
                    del under_way[name]
        return True

    async def _deliver(self, batch: list[_Call]) -> None:
        """Give each call its outcome."""
        resent, by_text = not self._resends, False
        seconds = self._seconds_for(batch)
        self._time.limit_task(seconds)
        ends = asyncio.get_running_loop().time() + seconds
        while batch:
            try:
                async with asyncio.timeout_at(ends):
                    outcomes = await self._ask(batch, by_text=by_text)
                if not resent:
                    for outcome in outcomes:
                        if isinstance(outcome, ReadOnlyError):
                            raise outcome
            except Exception as error:
                if resent or not is_lost(error):
                    await _end_each((call, error) for call in batch)
                    return
                self._time.renew_after(error)
                resent = True  # harmless: a command cannot take effect twice
                continue
            self._silent_ticks = 0
            again, ended = list[_Call](), list[tuple[_Call, object]]()
            for call, outcome in zip(batch, outcomes, strict=True):
                if self._is_to_be_sent_again(call, outcome, by_text=by_text):
                    again.append(call)
                else:
                    ended.append((call, outcome))
            await _end_each(ended)
            # By its text, if the server has forgotten the script: it restarted, failed over or was
            # flushed.
            batch, by_text = again, True

    def _seconds_for(self, batch: list[_Call]) -> float:
        """How long these calls may take. While the server is silent, their wait counts."""
        if not self._silent_ticks:
            return self._patience
        left = batch[0].queued_at + self._patience - asyncio.get_running_loop().time()
        return max(left, self._patience / _TICKS)

    def _is_to_be_sent_again(self, call: _Call, outcome: object, *, by_text: bool) -> bool:
        if isinstance(outcome, NoScriptError):
            return not by_text
        if not (
            isinstance(outcome, ResponseError)
            and self._calls.must_do_without_flags(call.script, outcome)
        ):
            return False
        call.script = self._calls.script(call.command)
        return True

    async def _ask(self, batch: list[_Call], *, by_text: bool) -> list[object]:
        words = [self._words(call, by_text) for call in batch]
        answers = await self._send_together(words)
        check_answers(words, answers)
        return answers

    async def _send_together(self, commands: list[tuple[str | bytes | int, ...]]) -> list[object]:
        """The reply to each command, or its `ResponseError`. They go out over one connection."""
        if self._kept:
            return await self._kept.ask(commands)
        if len(commands) == 1:
            try:
                return [await self._client.execute_command(*commands[0])]
            except ResponseError as error:
                return [error]
        pipeline = self._client.pipeline(transaction=False)
        for each in commands:
            pipeline.execute_command(*each)
        replies: list[object] = await pipeline.execute(raise_on_error=False)
        return replies

    def _words(self, call: _Call, by_text: bool) -> tuple[str | bytes | int, ...]:
        name = ("EVAL", call.script.text) if by_text else ("EVALSHA", call.script.sha)
        return (*name, *call.arguments)

    def _tick(self) -> None:
        self._silent_ticks += 1
        self._give_up()

    def _give_up(self) -> None:
        """End the commands that wait for their turn if the server has not replied for long: some
        in this turn of the loop, and the others in later ones.
        """
        loop, self._timer = asyncio.get_running_loop(), None
        given_up = loop.time() - self._patience
        for _ in range(WOKEN_AT_ONCE):
            is_late = self._queue and self._queue[0].queued_at <= given_up
            if self._silent_ticks < _TICKS or not is_late:
                break
            self._queue.popleft().end(RedisTimeoutError("no reply while the command waited"))
        else:
            self._timer = loop.call_later(0, self._give_up)
            return
        if self._queue:
            self._timer = loop.call_later(self._patience / _TICKS, self._tick)


async def _end_each(ended: Iterable[tuple[_Call, object]]) -> None:
    """Give each call its outcome: a few callers in each turn of the loop, because in that turn all
    of them run.
    """
    for number, (call, outcome) in enumerate(ended):
        if number and number % WOKEN_AT_ONCE == 0:
            await asyncio.sleep(0)
        call.end(outcome)
