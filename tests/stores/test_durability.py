"""With a durability, a call is answered only when enough copies have what it wrote."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.crc import key_slot

from qrlogin import AlreadyRedeemed, Misconfigured, NotYours, Unavailable, WrongState
from qrlogin.clock import monotonic
from qrlogin.operation import Operation
from qrlogin.stores import AsyncRedisStore, Durability, RedisStore, open_store
from qrlogin.stores.redis_calls import RedisCalls
from qrlogin.stores.suite import AsyncStoreSuite, StoreSuite
from qrlogin.stores.suite.colours import PATIENCE, Awaited, Blocking
from qrlogin.stores.suite.world import Login, World
from qrlogin.table import TABLE
from tests.faults import failover
from tests.security_rows import row
from tests.servers import LOOPBACK, RedisServer, redis_binary, valkey_binary
from tests.stores.clusters import cluster, promote_in_cluster, replica_of_node, replicated
from tests.stores.fault_proxy import Proxy
from tests.stores.redis_world import Stores, both_colours, outage_levels, until, world_at
from tests.tables import for_each_row

SOON = Durability.wait(1, 100)
PATIENT = Durability.wait(1, int(PATIENCE * 400))


@pytest.fixture(
    scope="module",
    params=[pytest.param(redis_binary, marks=pytest.mark.matrix), valkey_binary],
    ids=["redis", "valkey"],
)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A master and its replica. Redis 7.0 lets WAIT count also what other connections wrote before
    a read. Newer servers do not, so Valkey is the harder one.
    """
    with replicated(request.param()) as servers:
        yield servers


@contextmanager
def paused(server: RedisServer) -> Iterator[None]:
    """The server stays connected, and acknowledges nothing."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def insist(run: Callable[[Operation[Any]], Any], call: Operation[Any]) -> Any:
    """The answer of a call that is repeated for as long as too few copies have it: on a machine
    that is busy, a replica that runs is late, too.
    """
    give_up = monotonic() + PATIENCE
    while True:
        try:
            return run(call)
        except Unavailable:
            if monotonic() > give_up:
                raise


def calls_of(world: World) -> dict[str, Operation[Any]]:
    """One call of each durable row, by its name, ready to be carried out."""
    calls = {}
    for before, name in (("", "confirm"), ("", "deny"), ("", "cancel"), ("confirm", "redeem")):
        login = world.begin()
        login.walk("scan")
        if before:
            insist(world.run, login.call(before))
        calls[name] = login.call(name)
    return calls


@row(25)
@row(55)
@both_colours
def test_no_answer_is_given_until_a_replica_has_the_write(
    pair: tuple[RedisServer, RedisServer], stores: Stores
) -> None:
    master, replica = pair
    with world_at(stores, master.url, master.url, durability=SOON) as world:
        calls = calls_of(world)
        with paused(replica):
            for call in calls.values():
                with pytest.raises(Unavailable, match="0 of 1 replicas had the write after 100 ms"):
                    world.run(call)
                # Over a connection that has written nothing of this call, as in another process.
                with pytest.raises(Unavailable, match="0 of 1 replicas"):
                    world.elsewhere.run(call)
        for name, call in calls.items():
            answer = insist(world.elsewhere.run, call)
            assert name != "redeem" or answer.subject == "alice"
        with redis.Redis(port=replica.port) as copy:
            assert {json.loads(copy.get(key))["state"] for key in copy.scan_iter()} >= {
                *("confirmed", "denied", "cancelled", "redeemed")
            }


@both_colours
def test_a_refusal_that_rests_on_another_call_waits_for_the_copy_of_that_call(
    pair: tuple[RedisServer, RedisServer], stores: Stores
) -> None:
    """Else a person is answered that a login was redeemed, and a failover makes that untrue."""
    master, replica = pair
    with world_at(stores, master.url, master.url, durability=SOON) as world:
        login = world.begin()
        login.walk("scan")
        insist(world.run, login.call("confirm"))
        first, second = login.call("redeem"), login.call("redeem")
        with paused(replica):
            with pytest.raises(Unavailable):
                world.run(first)
            with pytest.raises(Unavailable):
                world.elsewhere.run(second)
        with pytest.raises(AlreadyRedeemed):
            insist(world.elsewhere.run, second)
        assert insist(world.run, first).subject == "alice"


@both_colours
def test_what_releases_nothing_goes_on_without_replicas(
    pair: tuple[RedisServer, RedisServer], stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    master, replica = pair
    with world_at(stores, master.url, durability=SOON) as world:
        with paused(replica):
            login = world.begin()
            login.walk("scan", "release", "scan")
            assert login.seen().state == "scanned"
            polls = world.qr.begin(ask_browser=False)
            with pytest.raises(WrongState):
                world.qr.redeem(polls.device_code, op="o" * 22)
            with pytest.raises(NotYours):
                world.run(login.confirm("mallory"))
            assert outage_levels(caplog) == []
            for _ in range(2):
                with pytest.raises(Unavailable):
                    login.walk("confirm")
            # One line begins the outage, and one ends it.
            assert outage_levels(caplog) == ["WARNING"]
            assert "does not serve durable answers (0 of 1 replicas" in caplog.text
        with caplog.at_level("INFO", "qrlogin"):
            insist(world.run, login.call("confirm"))
        assert outage_levels(caplog) == ["WARNING", "INFO"]


@both_colours
def test_a_call_whose_replies_are_lost_is_sent_again_with_its_wait(
    pair: tuple[RedisServer, RedisServer], stores: Stores
) -> None:
    master, _ = pair
    with (
        Proxy(master.port, losable=b"\r\nWAIT\r\n") as proxy,
        world_at(stores, proxy.url, durability=PATIENT) as world,
    ):
        world.begin().walk("scan", "confirm", "redeem")  # loads the scripts of its rows
        login = world.begin()
        login.walk("scan", "confirm")
        redeem = login.call("redeem")
        proxy.losing = 1
        assert world.run(redeem).subject == "alice"
        assert proxy.lost == 1


def test_one_wait_serves_all_calls_that_leave_together(
    pair: tuple[RedisServer, RedisServer],
) -> None:
    master, calls = pair[0], 40
    with (
        redis.Redis.from_url(master.url) as admin,
        world_at(AsyncRedisStore, master.url, durability=PATIENT) as world,
    ):
        logins = [world.begin() for _ in range(calls)]
        for login in logins:
            login.walk("scan")
        admin.config_resetstat()
        answers = world.at_once([login.call("confirm") for login in logins])
        assert [each.state for each in answers] == ["confirmed"] * calls
        assert admin.info("commandstats")["cmdstat_wait"]["calls"] < calls / 2


def test_three_connections_are_enough(pair: tuple[RedisServer, RedisServer]) -> None:
    """One is for the subscription, one for calls that wait for copies, and one for all others."""
    options: Any = {"durability": PATIENT, "max_connections": 3}
    with world_at(AsyncRedisStore, pair[0].url, **options) as world:
        logins = [world.begin() for _ in range(5)]
        waits = [world.start_wait(login) for login in logins]
        for event in ("scan", "confirm", "redeem"):
            world.at_once([login.call(event) for login in logins])
        assert {login.seen().state for login in logins} == {"redeemed"}
        assert all(wait.result(PATIENCE).state != "pending" for wait in waits)


@both_colours
@for_each_row(
    "binary, options, rights, finding",
    [
        (redis_binary, (), "+@all", "this server has no WAITAOF, which needs Redis 7.2 or newer"),
        (valkey_binary, (), "+@all", "keeps no append-only file: set appendonly yes"),
        (
            valkey_binary,
            ("--appendonly", "yes"),
            "+@all -waitaof",
            "this user may not run WAITAOF: give it +waitaof",
        ),
        (valkey_binary, ("--appendonly", "yes"), "+@all", ""),
    ],
)
def test_a_write_is_on_disk_before_it_is_answered_or_the_error_says_what_is_missing(
    stores: Stores,
    binary: Callable[[], str],
    options: tuple[str, ...],
    rights: str,
    finding: str,
) -> None:
    with RedisServer(binary(), *options) as server:
        with redis.Redis.from_url(server.url) as admin:
            admin.execute_command(*f"ACL SETUSER app on nopass ~* &* {rights}".split())
        url = server.url.replace("//", "//app:x@")
        with world_at(stores, url, durability=Durability.aof(1, 0, 3000)) as world:
            login = world.begin()
            login.walk("scan")
            if finding:
                with pytest.raises(Unavailable, match=re.escape(finding)):
                    login.walk("confirm")
            else:
                login.walk("confirm", "redeem")


@pytest.mark.matrix
@both_colours
def test_in_a_cluster_the_node_of_the_login_waits_for_its_own_replicas(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    """Of three masters only the first has a replica. Then the two change places, which the client
    learns from the answer to the call.
    """
    with cluster() as nodes, replica_of_node(nodes[0]) as replica:
        for node in nodes:
            with redis.Redis(port=node.port) as each:
                each.config_set("maxmemory", "50mb")
                each.config_set("maxmemory-policy", "volatile-lru")
        with redis.Redis(port=nodes[0].port) as first:
            (start, end, *_), *_ = (
                slots
                for slots in first.execute_command("CLUSTER", "SLOTS")
                if slots[2][1] == nodes[0].port
            )
        if issubclass(stores, AsyncRedisStore):
            world = World(
                Awaited(),
                lambda _: AsyncRedisStore(
                    redis.asyncio.RedisCluster(LOOPBACK, nodes[1].port), durability=SOON
                ),
                shared=False,
            )
        else:
            client = redis.RedisCluster(LOOPBACK, nodes[1].port)
            world = World(Blocking(), lambda _: RedisStore(client, durability=SOON), shared=False)
        try:
            calls, logins = RedisCalls("qrlogin:", None), dict[bool, Login]()
            while len(logins) < 2:
                login = world.begin()
                key = str(calls.arguments(login.status().command)[1])
                logins[start <= key_slot(key.encode()) <= end] = login
            for login in logins.values():
                login.walk("scan")
            with pytest.raises(Unavailable, match="0 of 1 replicas"):
                logins[False].walk("confirm")
            insist(world.run, logins[True].call("confirm"))
            redeem = logins[True].call("redeem")
            promote_in_cluster(replica)
            assert insist(world.run, redeem).subject == "alice"
            until(lambda: "maxmemory-policy is volatile-lru" in caplog.text)
            assert "this is one node of a Cluster" not in caplog.text
        finally:
            world.close()


@for_each_row(
    "make",
    [
        lambda: Durability.wait(0),
        lambda: Durability.wait(-1),
        lambda: Durability.wait(1, 0),
        lambda: Durability.wait(1, 60_001),
        lambda: Durability.wait(1, 0.5),  # type: ignore[arg-type]
        lambda: Durability.wait(True),
        lambda: Durability.aof(0, 0),
        lambda: Durability.aof(2),
        lambda: Durability.aof(1, -1),
        lambda: Durability("none", ms=5),
        lambda: Durability("wait", 1, 1, 5),
        lambda: Durability("sync"),  # type: ignore[arg-type]
        *(
            (lambda text=text: Durability.parse(text))
            for text in ("", "wait(", "wait(1,2,3)", "wait(x)", "sync", "wait()()", "aof(,)x", None)
        ),
        lambda: RedisStore(redis.Redis(), durability="wait"),  # type: ignore[arg-type]
        lambda: RedisStore(redis.Redis(), timeout=1, durability=Durability.wait(1, 500)),
        lambda: AsyncRedisStore(
            redis.asyncio.Redis(), timeout=1, durability=Durability.wait(1, 500)
        ),
        lambda: RedisStore.from_url("redis://h", durability=Durability.wait(1, 1000)),
        lambda: RedisStore.from_url("redis://h?durability=wait(1,1000)"),
        lambda: AsyncRedisStore.from_url("redis://h?durability=wait", max_connections=2),
        lambda: RedisStore(redis.Redis(max_connections=2), durability=Durability.wait()),
        lambda: RedisStore.from_url("redis://u:secret@h?durability=wait(0)"),
        lambda: AsyncRedisStore.from_url("redis://h?socket_timeout=0.1&durability=wait"),
    ],
)
def test_a_durability_that_cannot_work_is_refused_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(Misconfigured) as refused:
        make()
    assert "secret" not in str(refused.value)


@for_each_row(
    "option, durability",
    [
        ("wait", Durability.wait(1, 500)),
        ("wait(2)", Durability.wait(2)),
        ("wait(2,%20300)", Durability.wait(2, 300)),
        ("aof(0, 2, 400)", Durability.aof(0, 2, 400)),
        ("aof", Durability.aof()),
        ("none", Durability.none()),
        *((str(each), each) for each in (Durability.none(), SOON, Durability.aof(1, 1))),
    ],
)
def test_an_address_may_name_the_durability(option: str, durability: Durability) -> None:
    for address in (
        f"redis://h/0?durability={option}",
        f"redis://h?socket_timeout=0.7&durability={option}&db=3",
    ):
        store = open_store(address)
        assert isinstance(store, RedisStore)
        assert store._durability == durability
        wanted = {"db": 3, "socket_timeout": 0.7} if "db=3" in address else {"db": 0}
        assert wanted.items() <= store._client.connection_pool.connection_kwargs.items()
        store.close()


def test_the_rows_whose_answers_users_rely_on_are_durable() -> None:
    durable = {row.name for row in TABLE.values() if row.durable}
    assert durable == {"confirm", "miss", "deny", "cancel", "redeem", "collect"}


class TestConfirmedRedisStore(StoreSuite):
    """The whole suite, with a replica that must have every approval."""

    shared = True

    @pytest.fixture(autouse=True)
    def _servers(self, replicated_url: str) -> None:
        self.url = replicated_url

    def make_store(self, now: Callable[[], int]) -> RedisStore:
        options: Any = {"reread": 600, "timeout": PATIENCE, "durability": PATIENT}
        return RedisStore.from_url(self.url, now=now, **options)


class TestAsyncConfirmedRedisStore(AsyncStoreSuite):
    shared = True

    @pytest.fixture(autouse=True)
    def _servers(self, replicated_url: str) -> None:
        self.url = replicated_url

    def make_store(self, now: Callable[[], int]) -> AsyncRedisStore:
        options: Any = {"reread": 600, "timeout": PATIENCE, "durability": PATIENT}
        return AsyncRedisStore.from_url(self.url, now=now, **options)


@pytest.fixture(scope="module")
def replicated_url() -> Iterator[str]:
    with replicated(redis_binary()) as (master, _):
        yield master.url


@row(25)
@row(55)
@pytest.mark.matrix
@pytest.mark.parametrize("durability", [Durability.none(), Durability.wait(1, 200)], ids=str)
def test_a_failover_of_a_replica_without_its_link_undoes_nothing_that_was_confirmed(
    durability: Durability, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = failover.sentinel_failover(durability, logins=30)
    with capsys.disabled():
        print(f"\n{durability}: {counts}")
    undone = counts.doubled, counts.lost_approvals, counts.undone_denials
    # Without a durability the test shows that this can happen.
    assert (undone == (0, 0, 0)) is bool(durability)


@pytest.mark.parametrize(
    "durability",
    [
        Durability.none(),
        Durability.aof(1, 0, 900),
        pytest.param(Durability.wait(1, 900), marks=pytest.mark.matrix),
    ],
    ids=str,
)
def test_a_killed_server_loses_no_approval_that_was_confirmed(
    durability: Durability, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = failover.kill_without_persistence(durability, logins=60)
    with capsys.disabled():
        print(f"\n{durability}: {counts}")
    assert (counts.lost_approvals == 0) is bool(durability)
