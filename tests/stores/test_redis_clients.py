"""A Redis store takes any client of redis-py, and an error says how to correct a wrong one."""

import asyncio
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from qrlogin import QRLogin
from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite.colours import PATIENCE, Awaited, Blocking
from qrlogin.stores.suite.world import World
from qrlogin.table import TABLE, State
from tests.security_rows import row
from tests.servers import LOOPBACK, RedisServer, free_port, redis_binary
from tests.stores.clusters import sentinels
from tests.stores.deployments import listed
from tests.stores.fault_proxy import Proxy
from tests.stores.redis_world import FakePubSub, Stores, both_colours

SENTINELS: tuple[Any, Any] = (
    redis.sentinel.Sentinel,
    redis.asyncio.sentinel.Sentinel,
)  # redis-py has no types for them
Clients = tuple[Callable[[], Any], Callable[[], Any]]  # a blocking one, an awaited one


@pytest.fixture(scope="module")
def watched() -> Iterator[list[tuple[str, int]]]:
    """The addresses of the Sentinels."""
    with sentinels() as (addresses, _):
        yield addresses


@pytest.fixture(params=["as it comes", "decoding", "RESP3", "one connection", "Sentinel"])
def clients(request: pytest.FixtureRequest, redis_url: str) -> Clients:
    def plain(**options: Any) -> Clients:
        return (
            lambda: redis.Redis.from_url(redis_url, **options),
            lambda: redis.asyncio.Redis.from_url(redis_url, **options),
        )

    if request.param == "Sentinel":
        at = request.getfixturevalue("watched")
        return (
            lambda: SENTINELS[0](at).master_for("logins"),
            lambda: SENTINELS[1](at).master_for("logins"),
        )
    return {
        "as it comes": plain(),
        "decoding": plain(decode_responses=True),
        "RESP3": plain(protocol=3),
        "one connection": plain(max_connections=2, single_connection_client=True),
    }[request.param]


@both_colours
def test_an_application_can_use_its_own_client_and_keeps_it(
    clients: Clients, stores: Stores
) -> None:
    """Two clients, as in two processes. They still work after their stores are closed."""
    awaited = issubclass(stores, AsyncRedisStore)
    colour = Awaited() if awaited else Blocking()
    inside = colour.call if isinstance(colour, Awaited) else _call
    prefix, made = f"{uuid.uuid4().hex}:", []

    def make(now: object) -> Any:
        made.append(clients[awaited]())
        return stores(made[-1], prefix=prefix, reread=600)

    world = World(colour, make, shared=True)
    try:
        logins = [world.begin() for _ in range(8)]
        waiting = [world.start_wait(login) for login in logins]
        for login, wait in zip(logins, waiting, strict=True):
            world.elsewhere.run(login.scan("alice"))
            assert wait.result(PATIENCE).state is State.SCANNED
            login.walk("confirm")
            assert world.elsewhere.run(login.call("redeem")).subject == "alice"
    finally:
        world.close_stores()
        for client in made:
            assert inside(client.set, f"{prefix}mine", "1", ex=1)
            inside(client.aclose if awaited else client.close)
            manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
            for watcher in manager.sentinels if manager else ():  # redis-py leaves these open
                inside(watcher.aclose if awaited else watcher.close)
        world.close()


def _call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return function(*arguments, **options)


@both_colours
def test_an_address_names_sentinels_and_their_own_password(
    watched: list[tuple[str, int]], stores: Stores
) -> None:
    for host, port in watched:
        with redis.Redis(host, port) as sentinel:
            sentinel.execute_command("ACL", "SETUSER", "watcher", "on", ">secret", "+@all")
    silent = f"{LOOPBACK}:{free_port()}"  # no Sentinel is there, and the next one is asked
    address = f"redis+sentinel://{silent},{listed(watched)}/logins?sentinel_username=watcher"
    for password, works in (("secret", True), ("wrong", False)):
        url = f"{address}&sentinel_password={password}"
        open_it = partial(_open, stores, url)
        colour = Awaited() if issubclass(stores, AsyncRedisStore) else Blocking()
        world = World(colour, open_it, shared=False)
        try:
            if works:
                world.begin().walk("scan", "confirm", "redeem")
            else:
                with pytest.raises(Unavailable) as raised:
                    world.begin()
                assert "secret" not in str(raised.value)
        finally:
            world.close()


def _open(stores: Stores, url: str, now: object) -> Any:
    return stores.from_url(url, timeout=PATIENCE)


# Refused at construction


@both_colours
@pytest.mark.parametrize("prefix", ["", "with space", "br{ace", "br}ace", "line\n", "é:", "x" * 65])
def test_a_prefix_that_redis_or_cluster_would_misread_is_refused(
    stores: Stores, prefix: str
) -> None:
    with pytest.raises(Misconfigured, match="prefix must be 1 to 64 printable ASCII"):
        stores.from_url("redis://localhost", prefix=prefix)


@both_colours
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reread": 0}, "reread must be a number of seconds above 0"),
        ({"reread": float("nan")}, "reread must be a number of seconds above 0"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"timeout": float("inf")}, "timeout must be a number of seconds above 0"),
        ({"max_connections": 1}, "max_connections must be at least 2"),
    ],
    ids=["reread", "reread nan", "timeout", "endless timeout", "max_connections"],
)
def test_a_number_out_of_range_is_refused(
    stores: Stores, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(Misconfigured, match=message):
        stores.from_url("redis://localhost", **options)


@both_colours
@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis://:pass/word@localhost",
        "redis://:pass@localhost?nonsense=1",
        "redis://h:x",
    ],
)
def test_an_error_about_a_malformed_url_does_not_repeat_it(stores: Stores, url: str) -> None:
    """redis-py reads a part of a password with a slash as a port, and its own error shows it."""
    with pytest.raises(Misconfigured, match="the URL must be redis://") as raised:
        stores.from_url(url)
    assert "pass" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_client_of_the_other_colour_is_refused() -> None:
    with pytest.raises(Misconfigured, match="this client is awaited: give it to AsyncRedisStore"):
        RedisStore(redis.asyncio.Redis())  # type: ignore[arg-type]
    with pytest.raises(Misconfigured, match="this client blocks: give it to RedisStore"):
        AsyncRedisStore(redis.Redis())  # type: ignore[arg-type]


@both_colours
def test_an_object_that_is_not_a_client_is_refused(stores: Stores) -> None:
    with pytest.raises(Misconfigured, match="not str; or use from_url"):
        stores("redis://localhost")  # type: ignore[arg-type]


@both_colours
def test_a_client_of_valkey_py_is_refused_with_what_to_use(stores: Stores) -> None:
    """Its errors are classes of its own: a script that the server does not know would stay so."""
    module = pytest.importorskip("valkey")
    client = module.asyncio.Valkey() if issubclass(stores, AsyncRedisStore) else module.Valkey()
    with pytest.raises(Misconfigured, match="use from_url\\('valkey://"):
        stores(client)


@both_colours
def test_no_error_and_no_repr_shows_the_password(stores: Stores) -> None:
    taken = socket.socket()  # no server listens at this port
    taken.bind((LOOPBACK, 0))
    store = stores.from_url(
        f"redis://someone:s3cret@{LOOPBACK}:{taken.getsockname()[1]}", timeout=PATIENCE
    )
    world = World(
        Awaited() if issubclass(stores, AsyncRedisStore) else Blocking(),
        lambda now: store,
        shared=False,
    )
    try:
        with pytest.raises(Unavailable) as raised:
            world.begin()
        assert str(raised.value) == "the store did not answer (ConnectionError)"
        assert "s3cret" not in f"{store!r} {raised.value!r} {raised.value.__cause__!r}"
    finally:
        world.close()
        taken.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "OutOfStep"),
        ("OK", "OutOfStep"),
        (7, "OutOfStep"),
        ([], "OutOfStep"),
        ('["id","mark","granted","1",{}]', "cannot read"),
        ('["id","mark","applied","soon",{}]', "cannot read"),
        ('["id","mark","applied","1",["state"]]', "cannot read"),
        ('["id","mark","', "cannot read"),
    ],
    ids=["nothing", "OK", "number", "empty", "unknown verdict", "no time", "no record", "cut"],
)
def test_an_answer_that_is_not_from_the_script_is_unavailable(answer: object, said: str) -> None:
    """For example from a newer version, or to another command."""

    class Client:
        def execute_command(self, *arguments: object) -> object:
            return answer

        def pubsub(self) -> None:
            raise AssertionError("no test waits")

    store: Any = RedisStore(Client())  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match=said):
        store.apply(Command("id", TABLE["status"], "mark"))


def test_an_awaited_store_may_be_made_before_there_is_a_loop() -> None:
    store = AsyncRedisStore.from_url("redis://localhost")
    asyncio.run(store.close())
    asyncio.run(store.close())


def test_a_url_that_leaves_one_connection_is_refused() -> None:
    """The subscriber takes it, and every call would time out."""
    for store in (RedisStore, AsyncRedisStore):
        with pytest.raises(Misconfigured, match="at least 2"):
            store.from_url("redis://127.0.0.1:1/0?max_connections=1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "5",
        "null",
        "[1]",
        '{"state":5}',
        '{"a":{}}',
        '{"state":null}',
        '{"a":"' + "\n" + '"}',
    ],
)
def test_a_text_that_is_no_record_is_unavailable(redis_url: str, text: str) -> None:
    """Another program may write anything into a key."""
    with redis.Redis.from_url(redis_url) as client:
        prefix = f"{uuid.uuid4().hex}:"
        with QRLogin(
            RedisStore.from_url(redis_url, prefix=prefix),
            secret_keys=[bytes(range(32))],
            verification_uri="https://x.example/qr",
        ) as qr:
            begun = qr.begin()
            client.set(next(iter(client.scan_iter(f"{prefix}*"))), text)
            for ask in (
                lambda: qr.status(begun.device_code),
                lambda: qr.look(begun.scan_code, subject="alice"),
                lambda: qr.cancel(begun.device_code),
            ):
                with pytest.raises(Unavailable):
                    ask()


def test_a_call_during_close_raises_only_unavailable(redis_url: str) -> None:
    strange: list[Exception] = []
    for _ in range(20):
        qr = QRLogin(
            RedisStore.from_url(redis_url),
            secret_keys=[bytes(range(32))],
            verification_uri="https://x.example/qr",
        )
        running, closed = threading.Event(), threading.Event()

        def begin(
            qr: QRLogin = qr, running: threading.Event = running, closed: threading.Event = closed
        ) -> None:
            try:
                while not closed.is_set():
                    qr.begin()
                    running.set()
            except Unavailable:
                pass
            except Exception as error:
                strange.append(error)

        threads = [threading.Thread(target=begin) for _ in range(6)]
        for thread in threads:
            thread.start()
        running.wait(10)
        qr.close()
        closed.set()
        for thread in threads:
            thread.join()
    assert not strange


@both_colours
def test_close_raises_nothing_that_a_client_raises(stores: Stores) -> None:
    """A call that runs may disconnect the same connection in another thread."""

    def broken(*_: object) -> None:
        raise TypeError("argument must be an int, or have a fileno() method.")

    async def awaited() -> None:
        store = AsyncRedisStore.from_url("redis://localhost")
        store._client.aclose = broken
        await store.close()

    if issubclass(stores, AsyncRedisStore):
        asyncio.run(awaited())
    else:
        store = RedisStore.from_url("redis://localhost")
        store._client.close = broken
        store.close()


@both_colours
def test_a_client_of_another_class_gets_no_second_try(stores: Stores) -> None:
    """It has its own retries."""
    asked = list[object]()
    awaited = issubclass(stores, AsyncRedisStore)

    class Client:
        def execute_command(self, *arguments: object) -> object:
            asked.append(arguments)
            raise redis.ConnectionError

        def pubsub(self) -> None:
            raise AssertionError("no test waits")

    class AwaitedClient(Client):
        async def execute_command(self, *arguments: object) -> object:
            return super().execute_command(*arguments)

    store: Any = stores(AwaitedClient() if awaited else Client())  # type: ignore[arg-type]
    command = Command("id", TABLE["status"], "mark")
    with pytest.raises(Unavailable):
        asyncio.run(store.apply(command)) if awaited else store.apply(command)
    assert len(asked) == 1


def test_close_ends_a_subscriber_that_swallows_its_cancellation() -> None:
    """As asyncio.wait_for of Python 3.11 may, which redis-py uses."""
    cancelled = list[int]()

    class PubSub(FakePubSub):
        async def get_message(self, timeout: float) -> None:
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                cancelled.append(1)
                if len(cancelled) > 1:
                    raise

    class Client:
        pubsub = PubSub

        async def execute_command(self, *_: object) -> None:
            raise AssertionError("no test asks")

    async def scenario() -> None:
        store = AsyncRedisStore(Client())  # type: ignore[arg-type]
        async with store.listen("id"):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                await store.close()
            assert store._subscriber is not None
            assert store._subscriber.done()

    asyncio.run(scenario())
    assert len(cancelled) == 2


@row(54)
def test_a_connection_with_an_unread_reply_is_not_used_again(redis_url: str) -> None:
    """Else each call would get the reply to the call before it."""
    store = RedisStore.from_url(redis_url, timeout=PATIENCE)
    with QRLogin(
        store, secret_keys=[bytes(range(32))], verification_uri="https://x.example/qr"
    ) as qr:
        begun = qr.begin()
        pool = store._client.connection_pool
        connection = pool.get_connection()
        connection.send_command("ECHO", "stray")
        assert connection.can_read(timeout=PATIENCE)
        pool.release(connection)
        assert qr.status(begun.device_code).version == 1


@both_colours
@row(54)
def test_a_connection_that_answers_the_call_before_is_made_anew(
    redis_url: str, stores: Stores
) -> None:
    """The parser of redis-py 6.0 that is written in Python does not see an unread reply."""

    def blind(connection: Any, see: object) -> None:
        connection.can_read = connection.can_read_destructive = see

    async def awaited() -> list[str]:
        async def see() -> bool:
            return False

        store = AsyncRedisStore.from_url(redis_url, timeout=PATIENCE)
        await store.apply(Command("first", TABLE["status"], "mark"))
        (connection,) = store._client.connection_pool._in_use_connections
        await connection.send_command("ECHO", "stray")
        blind(connection, see)
        names = ["second", "third"]
        found = [
            (await store.apply(Command(name, TABLE["status"], "mark"))).login_id for name in names
        ]
        await store.close()
        return found

    def blocking() -> list[str]:
        store = RedisStore.from_url(redis_url, timeout=PATIENCE)
        store._look.is_due = False
        store.apply(Command("first", TABLE["status"], "mark"))
        pool = store._client.connection_pool
        connection = pool.get_connection()
        connection.send_command("ECHO", "stray")
        blind(connection, lambda timeout=0: False)
        pool.release(connection)
        names = ["second", "third"]
        found = [store.apply(Command(name, TABLE["status"], "mark")).login_id for name in names]
        store.close()
        return found

    is_awaited = issubclass(stores, AsyncRedisStore)
    assert (asyncio.run(awaited()) if is_awaited else blocking()) == ["second", "third"]


@both_colours
@row(54)
def test_no_approval_is_answered_with_the_reply_to_another_command(stores: Stores) -> None:
    """Also not one of a client of another class, which the store cannot connect again."""

    class Client:
        def execute_command(self, *arguments: object) -> object:
            return b'["other","mark","applied",1,{}]'

        def pubsub(self) -> None:
            raise AssertionError("no test waits")

    class AwaitedClient(Client):
        async def execute_command(self, *arguments: object) -> object:
            return super().execute_command(*arguments)

    awaited = issubclass(stores, AsyncRedisStore)
    store: Any = stores(AwaitedClient() if awaited else Client())  # type: ignore[arg-type]
    command = Command("id", TABLE["confirm"], "mark")
    with pytest.raises(Unavailable, match="OutOfStep"):
        asyncio.run(store.apply(command)) if awaited else store.apply(command)


@both_colours
def test_an_address_that_leads_to_a_new_master_leaves_the_demoted_one(stores: Stores) -> None:
    """As the name of a managed Redis after a failover: the old master closes no connection."""
    binary = redis_binary()
    with RedisServer(binary) as old, RedisServer(binary) as new:
        ports = [urlsplit(each.url).port or 0 for each in (old, new)]
        with Proxy(ports[0]) as proxy, redis.Redis.from_url(old.url) as client:

            def fail_over() -> None:
                client.execute_command("REPLICAOF", LOOPBACK, free_port())
                proxy.upstream = ports[1]

            def begin(number: int) -> Command:
                values = dict.fromkeys(TABLE["begin"].writes, "x")
                return Command(f"login {number}", TABLE["begin"], "mark", values)

            async def awaited() -> None:
                store = AsyncRedisStore.from_url(proxy.url, timeout=PATIENCE)
                await store.apply(begin(1))
                fail_over()
                await store.apply(begin(2))
                await store.close()

            if issubclass(stores, AsyncRedisStore):
                asyncio.run(awaited())
            else:
                store = RedisStore.from_url(proxy.url, timeout=PATIENCE)
                store.apply(begin(1))
                fail_over()
                store.apply(begin(2))
                store.close()
