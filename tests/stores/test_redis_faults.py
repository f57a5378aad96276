"""What a network and a server do to a store: replies lost, scripts flushed, subscriptions killed, a server that stops."""

import asyncio
import inspect
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import redis

import qrlogin.stores.redis as redis_module
from qrlogin.answers import Status
from qrlogin.clock import monotonic
from qrlogin.errors import AlreadyRedeemed, LoginError, Unavailable
from qrlogin.step import Command, Reply
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite.colours import PATIENCE, Awaited
from qrlogin.stores.suite.stories import every_way
from qrlogin.stores.suite.world import Login, World
from qrlogin.table import State
from tests.servers import RedisServer
from tests.stores.fault_proxy import Proxy
from tests.stores.redis_world import Stores, both_colours, world_at


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(redis_url).port or 6379) as proxy:
        yield proxy


class UnforgivingStore(RedisStore):
    """As from a tutorial: the second arrival of a call is refused."""

    def apply(self, command: Command) -> Reply:
        return super().apply(replace(command, row=replace(command.row, repeats=())))


# Lost replies


@both_colours
@every_way
def test_a_lost_reply_loses_no_login(proxy: Proxy, stores: Stores, way: Sequence[str]) -> None:
    """The server did it and the answer was lost: the store asks once more by itself, and whoever asks again is answered."""
    for lost in (1, 2):
        with world_at(stores, proxy.url) as world:
            login = world.begin()
            login.walk(*way[:-1])
            operation, before = login.call(way[-1]), proxy.lost
            proxy.losing = lost
            if lost == 2:
                with pytest.raises(Unavailable):
                    world.run(operation)
            world.run(operation)
            assert proxy.lost == before + lost
            if way[-1] == "redeem":
                with pytest.raises(AlreadyRedeemed):
                    login.walk("redeem")


@both_colours
def test_a_lost_begin_is_begun_once(proxy: Proxy, stores: Stores) -> None:
    with world_at(stores, proxy.url) as world:
        operation = world.core.begin()
        proxy.losing = 2
        with pytest.raises(Unavailable):
            world.run(operation)
        login = Login(world, world.run(operation))
        login.walk("scan", "confirm", "redeem")


def test_a_store_that_expects_no_repeats_loses_logins(proxy: Proxy) -> None:
    """So the tests above can fail."""
    with world_at(UnforgivingStore, proxy.url) as world:
        login = world.begin()
        login.walk("scan", "confirm")
        operation = login.call("redeem")
        proxy.losing = 1
        with pytest.raises(AlreadyRedeemed):
            world.run(operation)


# A server that forgets, dies or stops


@both_colours
def test_flushed_scripts_are_no_error(redis_url: str, stores: Stores) -> None:
    with redis.Redis.from_url(redis_url) as client, world_at(stores, redis_url) as world:
        client.script_flush()
        login = world.begin()
        for event in ("scan", "release", "scan", "confirm"):
            client.script_flush()
            login.walk(event)
        operation = login.call("redeem")
        client.script_flush()
        assert world.run(operation).subject == "alice"


@both_colours
def test_a_stopped_server_is_unavailable_and_then_back(own_redis: RedisServer, stores: Stores) -> None:
    """After two tries of a second each, not after the minute that redis-py would take by itself."""
    as_it_comes = inspect.signature(stores.from_url).parameters["timeout"].default
    with (
        Proxy(own_redis.port) as proxy,
        world_at(stores, f"{proxy.url}?socket_timeout={PATIENCE}", proxy.url, timeout=as_it_comes) as world,
    ):
        login = world.begin()
        login.walk("scan", "confirm")
        operation, parked = login.call("redeem"), _park(world, login)
        own_redis.process.send_signal(signal.SIGSTOP)
        try:
            started = monotonic()
            with pytest.raises(Unavailable, match=r"^the store did not answer \(TimeoutError\)$"):
                world.elsewhere.run(operation)
            took = monotonic() - started
            print(f"unavailable after {took:.2f} s")
            assert took < PATIENCE
        finally:
            own_redis.process.send_signal(signal.SIGCONT)
        assert world.run(operation).subject == "alice"
        assert parked.result(PATIENCE).state is State.REDEEMED


@both_colours
def test_a_server_that_is_down_at_start_is_found_later(own_redis: RedisServer, stores: Stores) -> None:
    own_redis.stop()
    with world_at(stores, own_redis.url) as world:
        with pytest.raises(Unavailable, match="ConnectionError"):
            world.begin()
        own_redis.start()
        login = world.begin()
        parked = _park(world, login)
        own_redis.stop()
        own_redis.start()  # empty: the login is gone, and the wait hears of it without its timer
        with pytest.raises(LoginError):
            parked.result(PATIENCE)


@both_colours
def test_a_full_server_is_unavailable_and_says_why(own_redis: RedisServer, stores: Stores) -> None:
    with redis.Redis.from_url(own_redis.url) as client, world_at(stores, own_redis.url) as world:
        client.config_set("maxmemory", "1")
        with pytest.raises(Unavailable, match="OutOfMemoryError"):
            world.begin()


# Wake-ups that are lost


@both_colours
def test_what_changed_while_the_subscription_was_down_is_heard_when_it_is_back(
    proxy: Proxy, redis_url: str, stores: Stores
) -> None:
    """Pub/sub forgets what it cannot deliver at once, so the first thing after each subscription is to look (I15)."""
    with world_at(stores, proxy.url, redis_url) as world:
        login = world.begin()
        parked = _park(world, login)
        proxy.refusing = True
        proxy.cut()
        world.elsewhere.run(login.scan("alice"))
        assert not parked.done()
        proxy.refusing = False
        assert parked.result(PATIENCE).state is State.SCANNED


@both_colours
def test_a_killed_subscription_is_made_again(redis_url: str, stores: Stores) -> None:
    with redis.Redis.from_url(redis_url) as client, world_at(stores, redis_url, redis_url) as world:
        for _ in range(20):
            login = world.begin()
            parked = world.park(login)
            client.client_kill_filter(_type="pubsub")
            world.elsewhere.run(login.scan("alice"))
            assert parked.result(PATIENCE).state is State.SCANNED


@both_colours
def test_a_subscription_that_fell_silent_is_made_again(
    proxy: Proxy, redis_url: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is open on this side only: nothing arrives and nothing fails. A PING without an answer tells."""
    monkeypatch.setattr(redis_module, "SILENCE_SECONDS", 0.2)
    with world_at(stores, proxy.url, redis_url) as world:
        login = world.begin()
        parked = _park(world, login)
        proxy.mute = True
        world.elsewhere.run(login.scan("alice"))
        before = proxy.connected
        _until(lambda: proxy.connected > before)  # it gave up and tries anew
        assert not parked.done()
        proxy.mute = False
        proxy.cut()
        assert parked.result(PATIENCE).state is State.SCANNED


@both_colours
def test_without_any_wake_up_the_timer_finds_out(proxy: Proxy, redis_url: str, stores: Stores) -> None:
    with world_at(stores, redis_url, reread=0.2) as world:
        login = world.begin()
        parked = world.park(login)
        with redis.Redis.from_url(redis_url) as client:
            (key,) = client.keys(f"*{login.begun.login_id}")
            client.hset(key, mapping={"state": "denied", "version": "2"})  # a change that nobody publishes
        assert parked.result(PATIENCE).state is State.DENIED


# Cancelled calls


def test_a_cancelled_call_never_gets_another_ones_reply(proxy: Proxy) -> None:
    """A thousand calls, half of them cancelled in the middle of their round trip (I17, I34)."""
    calls, dice = 1000, random.Random(7)
    with world_at(AsyncRedisStore, proxy.url, timeout=PATIENCE) as world:
        colour = world.colour
        assert isinstance(colour, Awaited)
        logins = [world.begin() for _ in range(20)]
        before = colour.alive()
        proxy.delay = 0.003

        async def ask(login: Login) -> str:
            task = asyncio.ensure_future(colour.shell(world.qr).status(login.begun.device_code))
            if dice.random() < 0.5:
                await asyncio.sleep(dice.random() * 0.02)
                task.cancel()
            (told,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(told, asyncio.CancelledError):
                return "cancelled"
            assert isinstance(told, Status)  # Unavailable, if a reply had gone astray
            assert told.login_id == login.begun.login_id
            return "answered"

        async def storm() -> list[str]:
            return await asyncio.gather(*(ask(dice.choice(logins)) for _ in range(calls)))

        told = colour.call(storm)
        print({kind: told.count(kind) for kind in sorted(set(told))}, f"over {proxy.connected} connections")
        assert told.count("cancelled") > calls / 10
        assert told.count("answered") > calls / 10
        assert proxy.connected <= 50  # none had to be thrown away
        _until(lambda: colour.alive() <= before)


def _park(world: World, login: Login) -> "Future[Status]":
    """The first wait of a store: it reads the login, and again when it is subscribed. When this returns, all is quiet."""
    after, login_id = login.seen().version, login.begun.login_id
    before = world.ran[login_id]
    parked = world.park(login, after=after)
    _until(lambda: world.ran[login_id] >= before + 2)
    return parked


def _until(holds: Callable[[], bool]) -> None:
    ends, pause = monotonic() + PATIENCE, threading.Event()
    while not holds():
        assert monotonic() < ends, "what should have happened did not"
        pause.wait(0.01)
