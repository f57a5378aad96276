"""What many tasks ask an asyncio store at once is one pipeline, and each has its own outcome."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from qrlogin.errors import Unavailable
from qrlogin.step import Command, Reply
from qrlogin.stores import AsyncRedisStore
from qrlogin.stores.redis_pipeline import PIPELINE_COMMANDS, PIPELINES
from qrlogin.stores.suite.colours import PATIENCE
from qrlogin.table import TABLE
from tests.security_rows import row
from tests.stores.fault_proxy import Proxy
from tests.tables import for_each_row

CALLERS = 50


def asking(login_id: str) -> Command:
    return Command(login_id, TABLE["status"], f"mark of {login_id}")


class Asked:
    """What an asyncio store sends to a real server: the login_ids of each pipeline."""

    def __init__(self, store: AsyncRedisStore) -> None:
        self.batches, self.at_once = list[list[str]](), 0
        self._under_way, genuine = list[list[str]](), store._pipeline._ask

        async def ask(batch: Any, *, by_text: bool) -> list[object]:
            ids = [call.command.login_id for call in batch]
            assert not any(set(ids) & set(others) for others in self._under_way)
            self.batches.append(ids)
            self._under_way.append(ids)
            self.at_once = max(self.at_once, len(self._under_way))
            try:
                return await genuine(batch, by_text=by_text)
            finally:
                self._under_way.remove(ids)

        store._pipeline._ask = ask  # type: ignore[method-assign]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[AsyncRedisStore, Asked]]:
    store = AsyncRedisStore.from_url(url, prefix=f"{uuid.uuid4().hex}:", timeout=PATIENCE)
    await store.apply(asking("warm"))
    try:
        yield store, Asked(store)
    finally:
        await store.close()


async def ask_together(store: AsyncRedisStore, *login_ids: str) -> list[Reply | BaseException]:
    calls = (store.apply(asking(login_id)) for login_id in login_ids)
    return await asyncio.gather(*calls, return_exceptions=True)


def test_what_many_tasks_ask_in_one_tick_is_one_pipeline(redis_url: str) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, asked):
            names = [f"login {number}" for number in range(CALLERS)]
            replies = await ask_together(store, *names)
            assert asked.batches == [names]
            assert [getattr(reply, "login_id", reply) for reply in replies] == names

    asyncio.run(scenario())


def test_pipelines_are_few_and_short_and_keep_the_order_within_a_login(redis_url: str) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, asked):
            names = [f"login {number % 700}" for number in range(2000)]
            await ask_together(store, *names)
            assert max(map(len, asked.batches)) == PIPELINE_COMMANDS
            assert 1 < asked.at_once <= PIPELINES
            assert sum(map(len, asked.batches)) == len(names)

    asyncio.run(scenario())


@for_each_row("silent", [False, True])
def test_few_callers_run_in_one_turn_of_the_event_loop(redis_url: str, silent: bool) -> None:
    """In that turn each answers its browser, and no other request is answered. The same with a
    server that falls silent: all of them hear that their time is over.
    """

    async def scenario(url: str) -> tuple[list[int], set[type]]:
        timeout = 0.4 if silent else PATIENCE
        store = AsyncRedisStore.from_url(url, prefix=f"{uuid.uuid4().hex}:", timeout=timeout)
        turns, kinds = [0], set[type]()

        async def ask(login_id: str) -> None:
            (outcome,) = await ask_together(store, login_id)
            kinds.add(type(outcome))
            turns[-1] += 1

        async def count_turns() -> None:
            while True:
                await asyncio.sleep(0)
                turns.append(0)

        await store.apply(asking("connects"))
        proxy.mute = silent
        counting = asyncio.create_task(count_turns())
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(ask(f"login {number}") for number in range(1000)))
        counting.cancel()
        proxy.mute = False
        await store.close()
        return turns, kinds

    with Proxy(urlsplit(redis_url).port or 6379) as proxy:
        turns, kinds = asyncio.run(scenario(proxy.url))
    assert sum(turns) == 1000
    assert kinds == {Unavailable if silent else Reply}
    assert max(turns) <= 50


def test_a_server_that_forgot_the_script_gets_it_again_for_each_command(redis_url: str) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, asked):
            await store._client.script_flush()
            replies = await ask_together(store, *(f"login {number}" for number in range(CALLERS)))
            assert all(isinstance(reply, Reply) for reply in replies)
            assert len(asked.batches) == 2

    asyncio.run(scenario())


def test_an_error_of_one_command_is_not_an_error_of_its_neighbours(redis_url: str) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, asked):
            await store._client.set(f"{store._calls.channel('bad')}:bad", "no hash")
            good, bad, other = await ask_together(store, "good", "bad", "other")
            assert len(asked.batches) == 1
            assert isinstance(good, Reply)
            assert isinstance(other, Reply)
            assert isinstance(bad, Unavailable)

    asyncio.run(scenario())


def test_a_command_that_cannot_be_sent_ends_none_of_its_neighbours(redis_url: str) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, asked):
            good, bad, other = await ask_together(store, "good", "bad \ud800", "other")
            assert asked.batches == [["good", "other"]]
            assert isinstance(good, Reply)
            assert isinstance(other, Reply)
            assert isinstance(bad, Unavailable)

    asyncio.run(scenario())


def test_a_change_of_a_cancelled_caller_is_made_all_the_same(redis_url: str) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, asked):
            begin = Command("new", TABLE["begin"], "mark", ttl_ms=60_000)
            call = asyncio.create_task(store.apply(begin))
            reading = asyncio.create_task(store.apply(asking("not read")))
            await asyncio.sleep(0)
            call.cancel()
            reading.cancel()
            await asyncio.wait([call, reading])
            await store._pipeline.drain()
            # Sent twice if the server did not know the script of this row.
            assert {login_id for batch in asked.batches for login_id in batch} == {"new"}
            reply = await store.apply(asking("new"))
            assert reply.record["mark"] == "mark"

    asyncio.run(scenario())


@pytest.mark.parametrize("ticks", [0, 1, 2, 5])
def test_a_cancelled_sender_costs_its_callers_one_refusal_and_the_store_goes_on(
    redis_url: str, ticks: int
) -> None:
    """An application may cancel every task of its loop. The ticks say how far the sender came."""

    async def scenario() -> None:
        async with opened(redis_url) as (store, _), asyncio.timeout(PATIENCE):
            calls = [asyncio.create_task(store.apply(asking(f"login {n}"))) for n in range(3)]
            while not len(store._pipeline):
                await asyncio.sleep(0)
            senders = [*store._pipeline._sending]
            for _ in range(ticks):
                await asyncio.sleep(0)
            for sender in senders:
                sender.cancel()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(outcome, Reply | Unavailable) for outcome in outcomes), outcomes
            assert isinstance(await store.apply(asking("later")), Reply)

    asyncio.run(scenario())


def test_a_change_is_made_although_its_caller_and_its_sender_were_cancelled(redis_url: str) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, _), asyncio.timeout(PATIENCE):
            begin = Command("new", TABLE["begin"], "mark", ttl_ms=60_000)
            call = asyncio.create_task(store.apply(begin))
            while not len(store._pipeline):
                await asyncio.sleep(0)
            cancelled = [call, *store._pipeline._sending]
            for task in cancelled:
                task.cancel()
            await asyncio.wait(cancelled)
            assert len(store._pipeline) == 1
            await store._pipeline.drain()
            assert (await store.apply(asking("new"))).record["mark"] == "mark"

    asyncio.run(scenario())


def test_a_cancelled_subscription_is_no_longer_reliable(redis_url: str) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, _), asyncio.timeout(PATIENCE):
            async with store.listen("a"):
                while not store._listeners.reliable:
                    await asyncio.sleep(0.01)
                subscriber = store._subscriber
                assert subscriber
                while not subscriber.done():  # redis-py may swallow a cancellation
                    subscriber.cancel()
                    await asyncio.sleep(0.01)
                assert not store._listeners.reliable
            async with store.listen("b"):  # subscribes again
                while not store._listeners.reliable:
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


@pytest.mark.parametrize("client", ["the store's", "of the application", "with one connection"])
def test_a_client_with_two_connections_has_one_beside_the_subscription(
    redis_url: str, client: str
) -> None:
    async def scenario() -> None:
        prefix, single = f"{uuid.uuid4().hex}:", client == "with one connection"
        own = Redis.from_url(redis_url, max_connections=2, single_connection_client=single)
        store = AsyncRedisStore(own, prefix=prefix)
        if client == "the store's":
            store = AsyncRedisStore.from_url(redis_url, prefix=prefix, max_connections=2)
        await store.apply(asking("opens the connection"))
        store.listen("login")
        give_up = asyncio.get_running_loop().time() + PATIENCE
        while not store._listeners.reliable:  # the subscription has the other connection
            assert asyncio.get_running_loop().time() < give_up
            await asyncio.sleep(0.01)
        names = [f"login {number}" for number in range(3 * PIPELINE_COMMANDS)]
        replies = await ask_together(store, *names)
        assert [getattr(reply, "login_id", reply) for reply in replies] == names
        await store.close()
        await own.aclose()

    asyncio.run(scenario())


# The connections that stay taken


def test_the_connections_of_pipelines_stay_open_and_are_opened_again_when_redis_closes_them(
    redis_url: str,
) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, _):
            names = [f"login {number}" for number in range(PIPELINES * PIPELINE_COMMANDS)]
            for _ in range(3):
                await ask_together(store, *names)
            pool = store._client.connection_pool
            kept = [*pool._in_use_connections]
            assert 1 < len(kept) <= PIPELINES
            assert len(pool._available_connections) <= 1, "that of the look at the server"
            async with Redis.from_url(redis_url) as other:
                for connection in kept:
                    port = connection._writer.get_extra_info("sockname")[1]
                    await other.client_kill(f"127.0.0.1:{port}")
            replies = await ask_together(store, *names)
            assert [getattr(reply, "login_id", reply) for reply in replies] == names
            assert [*pool._in_use_connections] == kept

    asyncio.run(scenario())


@row(54)
def test_a_reply_that_no_command_asked_for_is_not_read_as_a_later_reply(redis_url: str) -> None:
    async def scenario() -> None:
        async with opened(redis_url) as (store, _), asyncio.timeout(PATIENCE):
            (connection,) = store._client.connection_pool._in_use_connections
            await connection.send_command("ECHO", "stray")
            while not connection._reader._buffer:  # `can_read` has another name in redis-py 6
                await asyncio.sleep(0.01)
            assert (await store.apply(asking("login"))).login_id == "login"

    asyncio.run(scenario())


@row(54)
def test_a_reply_after_its_time_out_is_not_read_as_a_later_reply(redis_url: str) -> None:
    async def scenario() -> None:
        store = AsyncRedisStore.from_url(proxy.url, prefix=f"{uuid.uuid4().hex}:", timeout=0.2)
        proxy.delay = 0.5
        for number in range(2):
            with pytest.raises(Unavailable, match="TimeoutError"):
                await store.apply(asking(f"late {number}"))
        proxy.delay = 0
        async with asyncio.timeout(PATIENCE):
            while isinstance(await _outcome(store, "login"), Unavailable):
                await asyncio.sleep(0.1)
        await store.close()

    async def _outcome(store: AsyncRedisStore, login_id: str) -> object:
        try:
            reply = await store.apply(asking(login_id))
        except Unavailable as error:  # on a machine that is slower than the time-out
            return error
        assert reply.login_id == login_id
        return reply

    with Proxy(urlsplit(redis_url).port or 6379) as proxy:
        asyncio.run(scenario())
