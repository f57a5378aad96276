"""What a load balancer asks: whether the process lives, and whether logins work there."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from werkzeug.test import Client

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin, Unavailable
from qrlogin.contrib.health import async_health_app, health_app
from qrlogin.step import Command, Reply
from qrlogin.stores import AsyncRedisStore, RedisStore
from tests.application import KEY, URI
from tests.servers import RedisServer

Asked = tuple[int, Any, dict[str, str]]


class Store(MemoryStore):
    """A memory store that can be away."""

    away = False

    def apply(self, command: Command) -> Reply:
        if self.away:
            raise Unavailable("the secret reason")
        return super().apply(command)


class AsyncStore(AsyncMemoryStore):
    away = False

    async def apply(self, command: Command) -> Reply:
        if self.away:
            raise Unavailable("the secret reason")
        return await super().apply(command)


def blocking(method: str, path: str, *, away: bool, drained: bool) -> Asked:
    store = Store()
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
        store.away = away
        if drained:
            qr.drain()
        answer = Client(health_app(qr)).open(path, method=method)
        return answer.status_code, answer.data, dict(answer.headers)


def awaited(method: str, path: str, *, away: bool, drained: bool) -> Asked:
    async def ask() -> Asked:
        store = AsyncStore()
        async with AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
            store.away = away
            if drained:
                await qr.drain()
            transport = httpx2.ASGITransport(async_health_app(qr))
            async with httpx2.AsyncClient(transport=transport, base_url=URI) as client:
                answer = await client.request(method, f"https://example.com{path}")
                headers = {name.title(): value for name, value in answer.headers.items()}
                return answer.status_code, answer.content, headers

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [blocking, awaited])
@pytest.mark.parametrize(
    ("path", "away", "drained", "status", "said"),
    [
        ("/live", False, False, 200, "ok"),
        ("/live", True, True, 200, "ok"),  # a restart would not bring the store back
        ("/ready", False, False, 200, "ok"),
        ("/ready", True, False, 503, "unavailable"),
        ("/ready", False, True, 503, "draining"),
        ("/", False, False, 404, "not_found"),
        ("/ready/more", False, False, 404, "not_found"),
    ],
)
def test_live_asks_no_store_and_ready_asks_it(
    ask: Callable[..., Asked], path: str, away: bool, drained: bool, status: int, said: str
) -> None:
    answered, body, headers = ask("GET", path, away=away, drained=drained)
    assert (answered, json.loads(body)) == (status, {"status": said})
    assert headers["Cache-Control"] == "no-store"
    assert b"secret" not in body
    answered, body, _ = ask("HEAD", path, away=away, drained=drained)
    assert (answered, body) == (status, b"")
    if status != 404:
        answered, _, headers = ask("POST", path, away=away, drained=drained)
        assert (answered, headers["Allow"]) == (405, "GET, HEAD")


def test_ready_follows_a_real_redis_that_stops_and_comes_back(own_redis: RedisServer) -> None:
    async def awaited_ready() -> bool:
        store = AsyncRedisStore.from_url(own_redis.url)
        async with AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
            return await qr.ready()

    with QRLogin(RedisStore.from_url(own_redis.url), secret_keys=[KEY], verification_uri=URI) as qr:
        assert qr.ready()
        assert asyncio.run(awaited_ready())
        own_redis.stop()
        assert not qr.ready()
        assert not asyncio.run(awaited_ready())
        own_redis.start()
        assert qr.ready()
        qr.drain()
        assert not qr.ready()


def test_a_health_check_writes_nothing() -> None:
    store = MemoryStore()
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
        assert all(qr.ready() for _ in range(10))
    assert store._records._records == {}
