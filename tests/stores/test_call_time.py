"""Each call of a Redis store ends within its time, whatever client, network and server do, and
raises nothing but `Unavailable`.

A call may take longer than its time by what a busy machine adds: `SLACK`.
"""

import asyncio
import gc
import inspect
import os
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio
from redis import exceptions

from qrlogin.clock import monotonic
from qrlogin.errors import Unavailable
from qrlogin.step import Command
from qrlogin.stores import AsyncRedisStore, RedisStore, SQLStore
from qrlogin.stores.redis_call_time import CallTime
from qrlogin.stores.suite.colours import PATIENCE
from qrlogin.stores.suite.world import World
from qrlogin.table import TABLE, State
from tests.security_rows import row
from tests.servers import LOOPBACK
from tests.stores.fault_proxy import Proxy
from tests.stores.redis_records import load_scripts
from tests.stores.redis_world import Stores, both_colours, until, world_at

TIMEOUT = 0.3
SLACK = 3.0
COMMAND = Command("id", TABLE["status"], "mark")


def apply(store: Any) -> object:
    """What a call of this store returns, in either colour. An asyncio store is closed."""
    if isinstance(store, RedisStore):
        return store.apply(COMMAND)

    async def scenario() -> object:
        try:
            return await store.apply(COMMAND)
        finally:
            await store.close()

    return asyncio.run(scenario())


def refused_after(store: Any) -> float:
    """Seconds until `Unavailable`."""
    started = monotonic()
    with pytest.raises(Unavailable):
        apply(store)
    return monotonic() - started


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Connections to it are accepted, and nothing answers."""
    with socket.create_server((LOOPBACK, 0), backlog=100) as listening:
        yield listening.getsockname()[1]


def own_client(stores: Stores, port: int, kind: str) -> Any:
    """A client of the application with redis-py's defaults: no time-out, or long retries."""
    module: Any = redis.asyncio if issubclass(stores, AsyncRedisStore) else redis
    if kind == "Sentinel":
        sentinel: Any = module.sentinel.Sentinel([(LOOPBACK, port), (LOOPBACK, port)])
        return sentinel.master_for("logins")
    return module.Redis(host=LOOPBACK, port=port, socket_timeout=None)


@both_colours
@pytest.mark.parametrize("kind", ["server", "Sentinel"])
def test_a_server_that_is_silent_is_unavailable_in_time_whatever_the_client(
    stores: Stores, kind: str, silent_port: int
) -> None:
    """redis-py's defaults took a minute, or for ever."""
    client = own_client(stores, silent_port, kind)
    pool = client.connection_pool
    before = (dict(pool.connection_kwargs), pool.connection_class, pool.max_connections)
    store: Any = stores(client, timeout=TIMEOUT)
    assert refused_after(store) < TIMEOUT + SLACK
    after = (dict(pool.connection_kwargs), pool.connection_class, pool.max_connections)
    assert after == before


@both_colours
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+sentinel", "redis+cluster"])
def test_an_address_that_is_silent_is_unavailable_in_time(
    stores: Stores, scheme: str, silent_port: int
) -> None:
    """TLS, Sentinels and the map of a Cluster have no time of their own."""
    hosts = ",".join([f"{LOOPBACK}:{silent_port}"] * (3 if "+" in scheme else 1))
    service = "/logins" if "sentinel" in scheme else ""
    store = stores.from_url(f"{scheme}://{hosts}{service}", timeout=TIMEOUT)
    assert refused_after(store) < TIMEOUT + SLACK
    del store
    gc.collect()  # redis-py closes no TLS socket whose handshake failed


def test_a_wrapper_of_a_client_is_unavailable_in_time() -> None:
    """Nothing but a thread can end its call, and at most fifty wait."""
    released = threading.Event()

    class Wrapper:
        def execute_command(self, *_: object) -> None:
            released.wait(PATIENCE)

        def pubsub(self) -> None:
            raise AssertionError("no test waits")

    store: Any = RedisStore(Wrapper(), timeout=0.02)  # type: ignore[arg-type]
    took = [refused_after(store) for _ in range(60)]
    assert max(took) < SLACK
    assert sum(thread.name == "qrlogin-connecting" for thread in threading.enumerate()) <= 50
    released.set()


@both_colours
def test_the_lookup_of_a_host_name_counts(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver may take twenty seconds. Calls share the thread that waits for it."""
    released, asked, resolver = threading.Event(), list[object](), socket.getaddrinfo

    def resolve(*arguments: Any, **options: Any) -> object:
        if arguments[0] != "redis.invalid":  # of a thread that another test left
            return resolver(*arguments, **options)
        asked.append(arguments)
        released.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    store: Any = stores.from_url("redis://redis.invalid", timeout=TIMEOUT, max_connections=2)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    awaited = isinstance(store, AsyncRedisStore)
    if awaited:  # a loop waits for its threads when it ends
        threading.Timer(2 * TIMEOUT, released.set).start()
    for _ in range(1 if awaited else 4):
        assert refused_after(store) < TIMEOUT + SLACK
    assert awaited or len(asked) <= 2
    released.set()


@both_colours
def test_late_replies_of_the_handshake_count(redis_url: str, stores: Stores) -> None:
    """AUTH and SELECT are replies, too: with them, a first call took twice its time."""
    with redis.Redis.from_url(redis_url) as admin, Proxy(urlsplit(redis_url).port or 0) as proxy:
        admin.execute_command("ACL", "SETUSER", "late", "on", ">right", "~*", "&*", "+@all")
        proxy.delay = 0.45 * TIMEOUT
        address = proxy.url.replace("://", "://late:right@").replace("/0", "/1")
        assert refused_after(stores.from_url(address, timeout=TIMEOUT)) < TIMEOUT + SLACK / 2
        # A server with half of the delay has time for all of it.
        proxy.delay = 0.1
        assert apply(stores.from_url(address, timeout=PATIENCE))


@both_colours
def test_a_slow_network_serves_the_calls_after_the_first(redis_url: str, stores: Stores) -> None:
    """To connect takes more than half of a call's time. It goes on when the call is over, and a
    command without time for its reply is not sent: it would cost the connection.
    """
    load_scripts(redis_url)
    with redis.Redis.from_url(redis_url) as admin, Proxy(urlsplit(redis_url).port or 0) as proxy:
        admin.execute_command("ACL", "SETUSER", "slow", "on", ">right", "~*", "&*", "+@all")
        address = proxy.url.replace("://", "://slow:right@").replace("/0", "/1")
        proxy.delay = 0.25
        with world_at(stores, address, timeout=0.6) as world:
            with pytest.raises(Unavailable, match="TimeoutError"):
                world.begin()
            until(lambda: _begins(world))
            assert proxy.connected <= 20  # the subscription and the look at the server are some


def _begins(world: World) -> bool:
    try:
        return bool(world.begin())
    except Unavailable:
        return False


@row(54)
@both_colours
def test_no_call_gets_the_reply_of_a_call_that_timed_out(redis_url: str, stores: Stores) -> None:
    """Its connection is closed, because the reply may still arrive."""
    dice = random.Random(11)
    with (
        Proxy(urlsplit(redis_url).port or 0) as proxy,
        world_at(stores, proxy.url, timeout=1) as world,
    ):
        logins = [world.begin() for _ in range(8)]
        answered = late = 0
        for _ in range(8):
            proxy.delay = dice.choice([0.0, 0.3, 0.6, 1.2])
            results = world.colour.at_once([(world.qr, login.status()) for login in logins])
            for login, result in zip(logins, results, strict=True):
                late += isinstance(result, Unavailable)
                if not isinstance(result, Unavailable):
                    answered += 1
                    assert result.login_id == login.begun.login_id
        print(f"{answered} answered, {late} too late")
        assert late
        proxy.delay = 0.0
        until(lambda: _begins(world))


# Connections that are open on this side only


@both_colours
def test_a_wait_hears_in_time_although_every_connection_died_without_a_sign(
    redis_url: str, stores: Stores
) -> None:
    """The subscription is replaced, and the read after it uses no old connection either."""
    with (
        Proxy(urlsplit(redis_url).port or 0) as proxy,
        world_at(stores, proxy.url, redis_url, timeout=2) as world,
    ):
        logins = [world.begin() for _ in range(4)]
        waiting = [world.start_wait(login) for login in logins]
        until(lambda: all(world.ran[login.begun.login_id] >= 2 for login in logins))
        proxy.freeze()
        for login in logins:
            world.elsewhere.run(login.scan("alice"))
        started = monotonic()
        assert [wait.result(PATIENCE).state for wait in waiting] == [State.SCANNED] * 4
        took = monotonic() - started
        print(f"heard after {took:.2f} s")
        assert took < 2 + SLACK / 2


@both_colours
def test_a_call_over_a_connection_that_died_without_a_sign_succeeds(
    redis_url: str, stores: Stores
) -> None:
    """The second try goes over a new one, also if the pool holds more dead ones."""
    with (
        Proxy(urlsplit(redis_url).port or 0) as proxy,
        world_at(stores, proxy.url, timeout=1.2) as world,
    ):
        logins = world.colour.at_once([(world.qr, world.core.begin()) for _ in range(8)])
        assert len({begun.login_id for begun in logins}) == 8
        proxy.freeze()
        started = monotonic()
        world.begin()
        assert monotonic() - started < 1.2 + SLACK


# Threads that cannot start


def test_a_connection_of_before_the_renewal_is_stale_although_its_call_had_left(
    redis_url: str,
) -> None:
    """Its call ended while a thread connected it, and no other call has used it since."""
    store = RedisStore.from_url(redis_url, timeout=PATIENCE)
    pool, call_time = store._client.connection_pool, store._time
    connection = pool.connection_class(**pool.connection_kwargs)
    has_left, connect = threading.Event(), connection._connect

    def connect_late() -> Any:
        has_left.wait(PATIENCE)
        return connect()

    connection._connect = connect_late
    with pytest.raises(exceptions.TimeoutError):
        call_time.spend(connection.connect, 0)
    has_left.set()
    until(lambda: not connection.is_connecting)
    made = connection._sock
    call_time.renew()
    call_time.spend(connection.connect)
    assert made is not None
    assert connection._sock is not made
    connection.disconnect()
    store.close()


def test_a_thread_that_cannot_start_is_unavailable_and_leaks_no_waiter(
    redis_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    stores: list[Any] = [
        RedisStore.from_url(redis_url),
        SQLStore(f"sqlite:///{tmp_path}/logins.db"),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Unavailable):  # it connects in a thread
            stores[0].apply(COMMAND)
        for store in stores:
            for _ in range(3):
                with pytest.raises(Unavailable):
                    store.listen("login")
    for store in stores:
        assert len(store._listeners) == 0
        assert store.apply(COMMAND).login_id == "id"
        with store.listen("login") as listener:
            assert listener.wait(0.01)
        store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12, for threads
def test_a_forked_child_has_threads_for_a_wrapper_although_its_parent_had_none_left() -> None:
    call_time, ended = CallTime(PATIENCE), threading.Event()
    callers = [
        threading.Thread(target=lambda: call_time.spend(lambda: call_time.interrupt(ended.wait)))
        for _ in range(50)
    ]
    for caller in callers:
        caller.start()
    until(lambda: not call_time._threads._value)
    if not (child := os.fork()):
        with suppress(BaseException):
            os._exit(call_time.spend(lambda: call_time.interrupt(lambda: 0)))
        os._exit(1)
    ended.set()
    assert os.waitpid(child, 0)[1] == 0
    for caller in callers:
        caller.join()


# No other error leaves a store


def _error_of(kind: type[BaseException]) -> BaseException:
    for arguments in ((), ("1 127.0.0.1:1",), ("utf-8", b"\xff", 0, 1, "why"), (b"", 1)):
        try:
            return kind(*arguments)
        except (TypeError, ValueError, AttributeError, IndexError):
            continue
    raise AssertionError(f"{kind} needs other arguments")


ERRORS = [
    *(
        kind
        for _, kind in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(kind, Exception)
    ),
    AttributeError,  # redis-py, if a connection is closed while another task uses it
    RuntimeError,
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AssertionError,
    RecursionError,
    MemoryError,
    EOFError,
    OSError,
    BrokenPipeError,
    TimeoutError,
    ssl.SSLError,
    socket.gaierror,
    UnicodeDecodeError,
    asyncio.IncompleteReadError,
    asyncio.InvalidStateError,
    asyncio.CancelledError,  # of a task of redis-py, and not of the caller
]
assert {exceptions.RedisClusterException, exceptions.AskError} < {*ERRORS}


class _Raising:
    """A client each of whose methods raises the error."""

    error: BaseException

    def pubsub(self) -> Any:
        raise self.error

    def execute_command(self, *_: object) -> object:
        raise self.error


class _AsyncRaising(_Raising):
    async def execute_command(self, *_: object) -> object:
        raise self.error


@both_colours
@pytest.mark.parametrize("own", [True, False], ids=["redis-py's", "a wrapper"])
def test_whatever_a_client_raises_a_store_raises_unavailable(
    stores: Stores, own: bool, redis_url: str
) -> None:
    awaited = issubclass(stores, AsyncRedisStore)
    for kind in ERRORS:
        if kind is asyncio.CancelledError and not awaited:
            continue
        client: Any = _AsyncRaising() if awaited else _Raising()
        client.error = _error_of(kind)
        store: Any = stores.from_url(redis_url) if own else stores(client)
        if own:
            store._client.execute_command = client.execute_command
            if awaited:
                store._pipeline._kept.ask = client.execute_command
        with pytest.raises(Unavailable) as raised:
            apply(store)
        assert "127.0.0.1" not in str(raised.value), kind


@both_colours
def test_whatever_a_subscription_raises_the_store_subscribes_again(
    stores: Stores, redis_url: str
) -> None:
    left = [kind for kind in ERRORS if kind is not asyncio.CancelledError]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qrlogin.stores.outages.pause_seconds", lambda *_: 0.0)
        patch.setattr("qrlogin.stores.redis_subscription.pause_seconds", lambda *_: 0.0)
        with world_at(stores, redis_url, redis_url) as world:
            store: Any = world.qr._store
            client = store._client
            genuine = client.pubsub

            def pubsub() -> Any:
                if left:
                    raise _error_of(left.pop())
                return genuine()

            client.pubsub = pubsub
            login = world.begin()
            waiting = world.start_wait(login)
            world.elsewhere.run(login.scan("alice"))
            assert waiting.result(PATIENCE).state is State.SCANNED
            assert not left
