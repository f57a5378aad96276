"""A Redis store survives lost replies, flushed scripts, lost subscriptions and a stopped server."""

import asyncio
import gc
import inspect
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio

from qrlogin.aio import AsyncQRLogin
from qrlogin.answers import Status
from qrlogin.clock import monotonic
from qrlogin.errors import AlreadyRedeemed, LoginError, Unavailable
from qrlogin.limits import Limits
from qrlogin.step import Command, Reply
from qrlogin.stores import (
    AsyncRedisStore,
    RedisStore,
    redis_calls,
    redis_script,
    redis_subscription,
)
from qrlogin.stores.suite.colours import PATIENCE, Awaited
from qrlogin.stores.suite.world import Login, World
from qrlogin.table import TABLE, State
from tests.application import KEY, URI
from tests.security_rows import row
from tests.servers import RedisServer
from tests.stores.fault_proxy import Proxy
from tests.stores.redis_records import load_scripts
from tests.stores.redis_world import Stores, both_colours, outage_levels, until, world_at


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    load_scripts(redis_url)
    with Proxy(urlsplit(redis_url).port or 6379) as proxy:
        yield proxy


class UnforgivingStore(RedisStore):
    """A store that refuses a resent command, as a tutorial writes it."""

    def apply(self, command: Command) -> Reply:
        return super().apply(replace(command, row=replace(command.row, repeats=())))


# Lost replies


@both_colours
def test_a_begin_whose_replies_are_lost_begins_one_login(proxy: Proxy, stores: Stores) -> None:
    with world_at(stores, proxy.url) as world:
        operation = world.core.begin()
        proxy.losing = 2
        with pytest.raises(Unavailable):
            world.run(operation)
        login = Login(world, world.run(operation))
        login.walk("scan", "confirm", "redeem")


def test_a_store_that_expects_no_repeats_loses_logins(proxy: Proxy) -> None:
    """The test of lost replies in test_events.py can fail."""
    with world_at(UnforgivingStore, proxy.url) as world:
        world.begin().walk("scan", "confirm", "redeem")  # loads the scripts of its rows
        login = world.begin()
        login.walk("scan", "confirm")
        operation = login.call("redeem")
        proxy.losing = 1
        with pytest.raises(AlreadyRedeemed):
            world.run(operation)


# Faults of the server


@both_colours
def test_a_store_survives_flushed_scripts(redis_url: str, stores: Stores) -> None:
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
def test_a_stopped_server_is_unavailable_until_it_continues(
    own_redis: RedisServer, stores: Stores
) -> None:
    """After two tries of a second each. redis-py alone would take a minute."""
    as_it_comes = inspect.signature(stores.from_url).parameters["timeout"].default
    with (
        Proxy(own_redis.port) as proxy,
        world_at(
            stores, f"{proxy.url}?socket_timeout={PATIENCE}", proxy.url, timeout=as_it_comes
        ) as world,
    ):
        login = world.begin()
        login.walk("scan", "confirm")
        operation, waiting = login.call("redeem"), _add(world, login)
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
        assert waiting.result(PATIENCE).state is State.REDEEMED


@both_colours
def test_a_store_connects_to_a_server_that_starts_later(
    own_redis: RedisServer, stores: Stores
) -> None:
    own_redis.stop()
    with world_at(stores, own_redis.url) as world:
        with pytest.raises(Unavailable, match="ConnectionError"):
            world.begin()
        own_redis.start()
        login = world.begin()
        waiting = _add(world, login)
        own_redis.stop()
        own_redis.start()  # empty: the wait ends by the subscription, before its timer
        with pytest.raises(LoginError):
            waiting.result(PATIENCE)


@both_colours
def test_a_full_server_begins_no_login_and_finishes_those_under_way(
    own_redis: RedisServer, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    """Before, scan, confirm and deny of a login under way were refused, too."""
    caplog.set_level("INFO", "qrlogin")
    with redis.Redis.from_url(own_redis.url) as client, world_at(stores, own_redis.url) as world:
        core, limited = world.core, replace(world.core.policy, limits=Limits())
        logins = {event: world.begin() for event in ("redeem", "deny", "cancel", "release")}
        typed = world.qr.begin(user_code=True)
        waiting = _add(world, logins["redeem"])
        client.config_set("maxmemory-policy", "noeviction", "maxmemory", "1")
        core.policy = limited  # an allowance to scan is a record, too
        for _ in range(2):
            with pytest.raises(Unavailable, match="Redis is full: it has reached its maxmemory"):
                world.begin()
        with pytest.raises(Unavailable, match="Redis is full"):
            world.run(core.begin(user_code=True, context={"address": "192.0.2.7"}))
        for event, login in logins.items():
            login.walk("scan", *(("confirm",) if event == "redeem" else ()), event)
        assert waiting.result(PATIENCE).state is not State.PENDING
        scanned = world.run(core.scan(typed.user_code, subject="bob", shown_as="B"))
        assert scanned.login_id == typed.login_id
        assert world.run(core.confirm(typed.user_code, subject="bob")).state is State.CONFIRMED
        client.config_set("maxmemory", "0")
        world.begin()
    assert outage_levels(caplog) == ["WARNING", "INFO"]


@both_colours
def test_a_server_without_script_flags_still_serves_logins(
    own_redis: RedisServer, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first line that its Lua cannot read stands for a Redis before 7.0."""
    monkeypatch.setattr(redis_script, "ALLOW_OOM", "#lua\n")
    monkeypatch.setattr(redis_calls, "ALLOW_OOM", "#lua\n")
    with world_at(stores, own_redis.url) as world:
        world.begin().walk("scan", "confirm", "redeem")


@both_colours
def test_an_outage_logs_one_line_and_its_end_another(
    own_redis: RedisServer, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "qrlogin")
    with world_at(stores, own_redis.url) as world:
        waiting = _add(world, world.begin())
        own_redis.stop()
        for _ in range(5):
            with pytest.raises(Unavailable):
                world.begin()
        assert outage_levels(caplog) == ["WARNING"]
        own_redis.start()
        world.begin()
        until(lambda: len(outage_levels(caplog)) > 1)
        with pytest.raises(LoginError):
            waiting.result(PATIENCE)
    assert outage_levels(caplog) == ["WARNING", "INFO"]
    assert str(own_redis.port) not in caplog.text
    assert "ConnectionError" in caplog.text


# Lost notifications


@both_colours
def test_a_change_while_the_subscription_was_down_is_found_when_it_is_back(
    proxy: Proxy, redis_url: str, stores: Stores
) -> None:
    """Redis does not keep messages, so the store re-reads the logins after each subscription."""
    with world_at(stores, proxy.url, redis_url) as world:
        login = world.begin()
        waiting = _add(world, login)
        proxy.refusing = True
        proxy.cut()
        world.elsewhere.run(login.scan("alice"))
        assert not waiting.done()
        proxy.refusing = False
        assert waiting.result(PATIENCE).state is State.SCANNED


@both_colours
def test_a_killed_subscription_is_renewed(redis_url: str, stores: Stores) -> None:
    with redis.Redis.from_url(redis_url) as client, world_at(stores, redis_url, redis_url) as world:
        for _ in range(20):
            login = world.begin()
            waiting = world.start_wait(login)
            client.client_kill_filter(_type="pubsub")
            world.elsewhere.run(login.scan("alice"))
            assert waiting.result(PATIENCE).state is State.SCANNED


def test_when_the_subscription_is_back_few_waits_re_read_at_a_time(redis_url: str) -> None:
    """All at once would compete for the connections, and most would time out."""
    many = 300

    async def scenario() -> int:
        store = AsyncRedisStore.from_url(
            redis_url, prefix=f"{uuid.uuid4().hex}:", reread=600, timeout=PATIENCE
        )
        read, at_once, genuine = set[str](), list[int](), store.apply

        async def apply(command: Command) -> Reply:
            at_once.append(len(store._pipeline))
            reply = await genuine(command)
            read.add(command.login_id)
            return reply

        async def quiet_after(reads: int) -> None:
            async with asyncio.timeout(PATIENCE):
                while len(at_once) < reads or len(store._pipeline):
                    await asyncio.sleep(0.01)
            read.clear()
            at_once.clear()

        store.apply = apply  # type: ignore[method-assign]
        async with AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
            first, *logins = [await qr.begin() for _ in range(many)]
            await quiet_after(many)
            waiting = [asyncio.create_task(qr.wait(first.device_code, after=1, timeout=500))]
            await quiet_after(2)  # the second read follows the subscription
            waiting += [
                asyncio.create_task(qr.wait(login.device_code, after=1, timeout=500))
                for login in logins
            ]
            await quiet_after(many - 1)
            async with redis.asyncio.Redis.from_url(redis_url) as client:
                await client.client_kill_filter(_type="pubsub")
            async with asyncio.timeout(PATIENCE):
                while len(read) < many:
                    await asyncio.sleep(0.01)
            assert not any(task.done() for task in waiting)
            await qr.drain()
            await asyncio.gather(*waiting)
            return max(at_once)

    # At least one is notified each time, also while many calls are running.
    assert asyncio.run(scenario()) < 150


def test_a_forked_child_subscribes_again(redis_url: str) -> None:
    """The child has its parent's store, but not the thread that listened."""
    script = f"""if True:
        import os, threading
        from qrlogin import QRLogin
        from qrlogin.stores import RedisStore
        from qrlogin.stores.suite.colours import PATIENCE
        options = {{"prefix": "{uuid.uuid4().hex}:", "reread": 600, "timeout": PATIENCE}}
        store = RedisStore.from_url({redis_url!r}, **options)
        uri = "https://x.example/qr"
        qr = QRLogin(store, secret_keys=[bytes(range(32))], verification_uri=uri)
        begun = qr.begin()
        qr.wait(begun.device_code, after=1, timeout=0.5)  # begins to listen
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            os._exit(0)
        subscribed = threading.Event()
        listeners, copied = store._listeners, store._listeners.oldest_first
        # The store calls this once it has subscribed.
        listeners.oldest_first = lambda: subscribed.set() or copied()
        wait = lambda: qr.wait(begun.device_code, after=1, timeout=600)
        threading.Thread(target=wait, daemon=True).start()
        os._exit(0 if subscribed.wait(PATIENCE) else 1)
    """
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("0\n", "")


@both_colours
def test_a_silent_subscription_is_renewed(
    proxy: Proxy, redis_url: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a connection that is open on one side only, an unanswered PING is the only sign."""
    monkeypatch.setattr(redis_subscription, "SILENCE_SECONDS", 0.2)
    with world_at(stores, proxy.url, redis_url) as world:
        login = world.begin()
        waiting = _add(world, login)
        proxy.mute = True
        world.elsewhere.run(login.scan("alice"))
        before = proxy.connected
        until(lambda: proxy.connected > before)  # it connects again
        assert not waiting.done()
        proxy.mute = False
        proxy.cut()
        assert waiting.result(PATIENCE).state is State.SCANNED


@both_colours
def test_while_it_cannot_subscribe_the_timer_finds_a_change(
    own_redis: RedisServer, stores: Stores
) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.execute_command(
            "ACL", "SETUSER", "deaf", "on", "nopass", "~*", "&*", "+@all", "-subscribe"
        )
    url = own_redis.url.replace("://", "://deaf:any@")
    with world_at(stores, url, own_redis.url, reread=0.2) as world:
        login = world.begin()
        waiting = world.start_wait(login)
        world.elsewhere.run(login.scan("alice"))
        assert waiting.result(PATIENCE).state is State.SCANNED


# Cancelled calls


@row(54)
def test_no_call_gets_the_reply_of_a_cancelled_call(proxy: Proxy) -> None:
    """A thousand calls, half of them cancelled in the middle of their round trip."""
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
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(outcome, asyncio.CancelledError):
                return "cancelled"
            assert isinstance(outcome, Status)  # Unavailable, if a call read another reply
            assert outcome.login_id == login.begun.login_id
            return "answered"

        async def storm() -> list[str]:
            return await asyncio.gather(*(ask(dice.choice(logins)) for _ in range(calls)))

        outcomes = colour.call(storm)
        print(
            {kind: outcomes.count(kind) for kind in sorted(set(outcomes))},
            f"over {proxy.connected} connections",
        )
        assert outcomes.count("cancelled") > calls / 10
        assert outcomes.count("answered") > calls / 10
        assert proxy.connected <= 50  # the store discarded no connection
        until(lambda: colour.alive() <= before)


def test_the_error_of_a_cancelled_call_is_not_logged() -> None:
    strange = list[dict[str, object]]()

    class Client:
        async def execute_command(self, *arguments: object) -> object:
            await asyncio.sleep(0.01)
            raise redis.ConnectionError

        def pubsub(self) -> None:
            raise AssertionError("no test waits")

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: strange.append(context))
        store = AsyncRedisStore(Client())  # type: ignore[arg-type]
        call = asyncio.create_task(store.apply(Command("id", TABLE["status"], "mark")))
        await asyncio.sleep(0)
        call.cancel()
        while not call.done() or len(store._pipeline):
            await asyncio.sleep(0.01)

    asyncio.run(scenario())
    gc.collect()
    assert strange == []


def _add(world: World, login: Login) -> "Future[Status]":
    """Start the first wait of a store, and return once it has read the login before and after the
    subscription.
    """
    after, login_id = login.seen().version, login.begun.login_id
    before = world.ran[login_id]
    waiting = world.start_wait(login, after=after)
    until(lambda: world.ran[login_id] >= before + 2)
    return waiting
