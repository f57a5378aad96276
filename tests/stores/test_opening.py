"""A setting names a store by its address, and any other address is refused."""

import asyncio
import sys
from typing import Any

import pytest
from redis import Redis

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, Misconfigured, QRLogin
from qrlogin.stores import AsyncRedisStore, AsyncStore, RedisStore, open_async_store, open_store
from qrlogin.stores.addresses import read_redis_address
from qrlogin.stores.redis_client import Target
from qrlogin.stores.suite.colours import PATIENCE
from tests.tables import for_each_row

WITH: dict[str, Any] = {
    "secret_keys": [bytes(range(32))],
    "verification_uri": "https://example.com/qr",
}


def test_the_address_opens_a_memory_or_redis_store_of_either_colour(redis_url: str) -> None:
    redis_url += f"?socket_timeout={PATIENCE}"
    for address, kind, twin in (
        ("memory", MemoryStore, AsyncMemoryStore),
        (redis_url, RedisStore, AsyncRedisStore),
    ):
        store, other = open_store(address), open_async_store(address)
        assert (type(store), type(other)) == (kind, twin)
        with QRLogin(store, **WITH) as qr:
            assert qr.status(qr.begin().device_code).version == 1
        assert asyncio.run(begun_version(other)) == 1


async def begun_version(store: AsyncStore) -> int:
    async with AsyncQRLogin(store, **WITH) as qr:
        return (await qr.status((await qr.begin()).device_code)).version


@pytest.mark.parametrize(
    "address", ["", "Memory", "redis", "mysql://u:secret@h/db", "redis:secret", None, 3]
)
def test_any_other_address_is_refused_without_its_secret(address: Any) -> None:
    for opening in (open_store, open_async_store):
        with pytest.raises(
            Misconfigured, match="a store is memory, or an address such as redis://"
        ) as refused:
            opening(address)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "option", ["rediss://h?ssl_cert_reqs=CERT_NONE", "redis://h?protocol=9", "redis://h?nothing=1"]
)
def test_an_unknown_option_of_an_address_is_refused(option: str) -> None:
    for opening in (open_store, open_async_store):
        with pytest.raises(Misconfigured, match="with options that redis-py knows"):
            opening(option.replace("h?", "u:secret@h?"))


@for_each_row(
    "address, kind, url, hosts, service",
    [
        ("redis://h", "server", "redis://h", (), ""),
        ("REDIS://h", "server", "redis://h", (), ""),
        ("valkey://u:p%2F@h:1/2?x=1", "server", "redis://u:p%2F@h:1/2?x=1", (), ""),
        ("valkeys://h", "server", "rediss://h", (), ""),
        ("unix:///run/r.sock?db=1", "server", "unix:///run/r.sock?db=1", (), ""),
        ("redis+unix:///r", "server", "unix:///r", (), ""),
        ("redis+sentinel://a/s", "sentinel", "redis://a:26379/0", (("a", 26379),), "s"),
        (
            "rediss+sentinel://u:p@a:1,[::1]:2,c/my%20s/3?client_name=x&sentinel_password=q%26",
            "sentinel",
            "rediss://u:p@a:1/3?client_name=x",
            (("a", 1), ("::1", 2), ("c", 26379)),
            "my s",
        ),
        ("valkeys+sentinel://a/s", "sentinel", "rediss://a:26379/0", (("a", 26379),), "s"),
        (
            "valkey+cluster://:p@a,b:2",
            "cluster",
            "redis://:p@a:6379/0",
            (("a", 6379), ("b", 2)),
            "",
        ),
        ("rediss+cluster://[::1]/0", "cluster", "rediss://[::1]:6379/0", (("::1", 6379),), ""),
    ],
)
def test_an_address_says_which_servers_to_ask(
    address: str, kind: str, url: str, hosts: tuple[tuple[str, int], ...], service: str
) -> None:
    found = read_redis_address(address)
    assert (found.kind, found.url, found.hosts, found.service) == (kind, url, hosts, service)
    assert found.sentinel_options == ((("password", "q&"),) if "q%26" in address else ())
    for opening in (open_store, open_async_store):  # it connects nowhere
        opening(address.replace("?x=1", ""))


@pytest.mark.parametrize(
    "address",
    [
        "redis+sentinel://u:secret@a:1,b:2",  # no service
        "redis+sentinel://u:secret@/service",
        "redis+sentinel://u:secret@a,,b/service",
        "redis+sentinel://u:secret@a:99999/service",
        "redis+sentinel://u:secret@a:x/service",
        "redis+sentinel://u:se/cret@a/service",
        "redis+sentinel://u:secret@a/service/two",
        "redis+sentinel://u:secret@a/service?nothing=1",
        "redis+cluster://u:secret@a/1",
        "redis+cluster://u:secret@a b",
        "redis+cluster://u:secret@a?nothing=1",
        "redis+cluster://",
        "redis://u:secret@a?timeout=-1",
        "redis://u:secret@a?socket_timeout=0",
        "redis://u:secret@a?timeout=soon",
    ],
)
def test_a_malformed_address_is_refused_without_its_secret(address: str) -> None:
    for opening in (open_store, open_async_store):
        with pytest.raises(Misconfigured, match="the URL must be redis://") as refused:
            opening(address)
        assert "cret" not in f"{refused.value}{refused.value.__cause__}"


def test_an_option_of_an_address_goes_where_it_belongs() -> None:
    """The user and the database are of the server; TLS is of both; Sentinels have a password of
    their own.
    """
    address = (
        "rediss+sentinel://u:p@a,b/s/3?ssl_ca_certs=/ca.pem&sentinel_username=w&sentinel_password=q"
        "&max_connections=7&timeout=5"
    )
    target, seconds = Target.at(address, 50, blocks=True)
    assert (target.max_connections, seconds) == (7, 5.0)
    assert target.options == {"username": "u", "password": "p", "db": 3, "ssl_ca_certs": "/ca.pem"}
    assert [options for _, options in target.sentinels] == [
        {"host": host, "port": 26379, "ssl_ca_certs": "/ca.pem", "username": "w", "password": "q"}
        for host in ("a", "b")
    ]
    assert "password" not in repr(target)
    assert Target.at("redis://a?socket_timeout=3", 50, blocks=True)[1] == 6.0


@for_each_row("theirs, ours", [(1, 2), (2, 2), (7, 7), (50, 50), (10_000, 50), (None, 50)])
def test_a_store_has_about_as_many_connections_as_the_client_that_it_is_given(
    theirs: int | None, ours: int
) -> None:
    client = Redis(max_connections=theirs) if theirs else Redis()
    store = RedisStore(client)
    assert store._client.connection_pool is not client.connection_pool
    assert store._client.connection_pool.max_connections == ours
    many = RedisStore.from_url("redis://h", max_connections=500)
    assert many._client.connection_pool.max_connections == 500


def test_without_redis_py_only_the_memory_store_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qrlogin.stores.redis", None)
    monkeypatch.delattr("qrlogin.stores.redis", raising=False)
    for opening in (open_store, open_async_store):
        with pytest.raises(ImportError, match="redis"):
            opening("redis://127.0.0.1:6379/0")
        opening("memory")
