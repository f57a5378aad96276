"""A Redis store looks at its server once, and logs what the operator should mend."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import redis
import redis.asyncio

from qrlogin.clock import now_ms
from qrlogin.findings import Level
from qrlogin.stores import AsyncRedisStore, Durability, RedisStore
from qrlogin.stores.durability import NONE
from qrlogin.stores.server_checks import FirstLook, clock_finding, redis_findings
from tests.security_rows import row
from tests.servers import LOOPBACK, RedisServer
from tests.stores.redis_world import Stores, both_colours, until, world_at
from tests.stores.test_acl import with_rights
from tests.tables import for_each_row

HEALTHY: Mapping[str, Any] = {
    "redis_version": "7.4.1",
    "role": "master",
    "connected_slaves": 0,
    "maxmemory": 0,
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "cluster_enabled": 0,
}


@for_each_row(
    "changes, durability, is_cluster, level, says",
    [
        ({}, NONE, False, None, ""),
        ({"cluster_enabled": 1}, NONE, True, None, ""),
        ({"cluster_enabled": 1}, NONE, False, Level.PROBLEM, "one node of a Cluster"),
        ({"role": "slave"}, NONE, False, Level.PROBLEM, "accepts no writes"),
        ({"redis_version": "6.2.14"}, NONE, False, Level.WARNING, "logins under way fail, too"),
        ({"maxmemory_policy": "allkeys-lru"}, NONE, False, None, ""),  # it never is full
        *(
            (
                {"maxmemory": 10**8, "maxmemory_policy": policy},
                NONE,
                False,
                Level.PROBLEM,
                f"{policy}: when it is full, logins vanish",
            )
            for policy in ("allkeys-lru", "allkeys-lfu", "volatile-ttl", "volatile-random")
        ),
        ({"maxmemory": 100, "used_memory": 90}, NONE, False, Level.WARNING, "80 % of maxmemory"),
        ({"maxmemory": 100, "used_memory": 70}, NONE, False, None, ""),
        ({"aof_enabled": 0}, NONE, False, Level.WARNING, "a restart loses the logins under way"),
        ({"connected_slaves": 2}, NONE, False, Level.WARNING, "a failover can lose or repeat"),
        ({"connected_slaves": 2}, Durability.wait(2), False, None, ""),
        ({"connected_slaves": 1}, Durability.wait(2), False, Level.PROBLEM, "the server has 1: no"),
        (
            {"connected_slaves": 1, "aof_enabled": 0},
            Durability.wait(1),
            False,
            Level.WARNING,
            "if the master restarts before a replica takes over",
        ),
        ({}, Durability.aof(), False, None, ""),
        ({"aof_enabled": 0}, Durability.aof(), False, Level.PROBLEM, "needs an append-only file"),
        ({"redis_version": "7.0.15"}, Durability.aof(), False, Level.PROBLEM, "needs WAITAOF"),
        (
            {"redis_version": "7.2.4", "valkey_version": "9.1.2"},
            Durability.aof(),
            False,
            None,
            "",
        ),
    ],
)
def test_what_a_server_says_of_itself_is_judged(
    changes: dict[str, Any],
    durability: Durability,
    is_cluster: bool,
    level: Level | None,
    says: str,
) -> None:
    findings = list(redis_findings({**HEALTHY, **changes}, durability, is_cluster=is_cluster))
    wrong = [each for each in findings if each.level is not Level.OK]
    assert [each.level for each in wrong] == ([level] if level else [])
    assert all(says in each.seen and each.fix for each in wrong)


def test_nothing_is_said_of_what_a_managed_server_leaves_out() -> None:
    findings = list(redis_findings({"redis_version": "7.2.0"}, NONE))
    assert [(each.level, each.about) for each in findings] == [(Level.OK, "server")]


@for_each_row("ahead, level", [(0, Level.OK), (1900, Level.OK), (-3000, Level.WARNING)])
def test_clocks_that_differ_are_a_finding(ahead: int, level: Level) -> None:
    assert clock_finding(now_ms() + ahead, now_ms()).level is level


def test_the_nodes_of_a_cluster_say_the_same_once(caplog: pytest.LogCaptureFixture) -> None:
    evicting = {**HEALTHY, "maxmemory": 10**8, "maxmemory_policy": "volatile-lru"}
    FirstLook(NONE, is_cluster=True).log({"a:1": evicting, "b:2": evicting, "c:3": HEALTHY})
    assert len(caplog.records) == 1


@row(49)
@both_colours
def test_a_store_warns_once_of_a_server_that_evicts(
    own_redis: RedisServer, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    with redis.Redis.from_url(own_redis.url) as admin:
        admin.config_set("maxmemory", "50mb")
        admin.config_resetstat()
        admin.config_set("maxmemory-policy", "volatile-lru")
        with world_at(stores, own_redis.url) as world:
            for _ in range(3):
                world.begin().walk("scan", "confirm", "redeem")
            until(lambda: bool(warnings_of(caplog)))
            world.begin()
        (warned,) = warnings_of(caplog)
        assert "maxmemory-policy is volatile-lru: when it is full, logins vanish" in warned
        assert "Fix: set maxmemory-policy noeviction" in warned
        assert admin.info("commandstats")["cmdstat_info"]["calls"] == 1


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.getMessage().startswith("Redis: ")]


@both_colours
def test_the_first_look_uses_the_durability_and_the_clock_of_the_server(
    own_redis: RedisServer, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    with world_at(stores, own_redis.url, durability=Durability.wait(2, 100)) as world:
        world.begin()
        until(lambda: bool(warnings_of(caplog)))
    assert "wait(2, 100) needs 2 replicas, and the server has 0" in warnings_of(caplog)[0]


@both_colours
def test_a_login_does_not_wait_for_the_first_look_and_none_fails_by_it(
    own_redis: RedisServer,
    stores: Stores,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever INFO is answered: nothing, an error, no right to it, or what no server sends."""
    never, is_async = threading.Event(), issubclass(stores, AsyncRedisStore)

    async def hangs() -> None:
        await asyncio.sleep(3600)

    def answering(answer: object) -> Callable[[], Any]:
        def answered() -> object:
            if isinstance(answer, Exception):
                raise answer
            return answer

        async def awaited() -> object:
            return answered()

        return awaited if is_async else answered

    rights = with_rights(own_redis)
    answers: list[tuple[str, Callable[[], Any] | None]] = [
        (own_redis.url, hangs if is_async else never.wait),
        (rights, None),
        *(
            (own_redis.url, answering(answer))
            for answer in (
                redis.ConnectionError("cut"),
                redis.ResponseError("unknown command"),
                RuntimeError("anything"),
                {},
                None,
                b"text",
                {"redis_version": None, "connected_slaves": "many"},
            )
        ),
    ]
    try:
        for url, info in answers:
            with world_at(stores, url, prefix="qrlogin:") as world:
                if info is not None:
                    client = vars(getattr(world.store, "awaited", world.store))["_client"]
                    monkeypatch.setattr(client, "info", info)
                world.begin().walk("scan", "confirm", "redeem")
    finally:
        never.set()
    assert caplog.records == []


def test_a_thread_that_cannot_start_is_no_reason_to_fail(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "qrlogin-first-look":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with world_at(RedisStore, redis_url) as world:
        world.begin().walk("scan", "confirm", "redeem")


class NotOfRedisPy:
    """It wraps a client, as some tools for tracing do."""

    def __init__(self, client: Any) -> None:
        self._client, self.execute_command = client, client.execute_command

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@both_colours
def test_the_look_takes_no_connection_of_the_application(
    own_redis: RedisServer, stores: Stores
) -> None:
    is_async = issubclass(stores, AsyncRedisStore)
    client: Any = (redis.asyncio if is_async else redis).Redis(host=LOOPBACK, port=own_redis.port)
    assert stores(client)._look.is_due  # over a connection of the store
    assert not stores(NotOfRedisPy(client))._look.is_due  # type: ignore[arg-type]
