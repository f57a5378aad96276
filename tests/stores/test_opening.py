"""A setting names a store by its address, and any other address is refused."""

import asyncio
import sys
from typing import Any

import pytest

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, Misconfigured, QRLogin
from qrlogin.stores import AsyncRedisStore, AsyncStore, RedisStore, open_async_store, open_store
from qrlogin.stores.suite.colours import PATIENCE

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


def test_without_redis_py_only_the_memory_store_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qrlogin.stores.redis", None)
    monkeypatch.delattr("qrlogin.stores.redis", raising=False)
    for opening in (open_store, open_async_store):
        with pytest.raises(ImportError, match="redis"):
            opening("redis://127.0.0.1:6379/0")
        opening("memory")
