"""An application that several event loops use in turn, as the first tests of a new user do.

`asyncio.run` twice, a `TestClient` without `with`, and pytest-asyncio each make a new loop.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastapi
import pytest
from fastapi.testclient import TestClient

from examples.fastapi_app.adapter import qrlogin_router
from qrlogin import AsyncMemoryStore, AsyncQRLogin, Misconfigured, State
from qrlogin.stores import open_async_store
from qrlogin.wire import AsyncEndpoint
from tests.application import ALICE, KEY, SHOWN, URI
from tests.tables import for_each_row

Run = Callable[[Any], Any]
SOON = 0.05


def logins(store: Any) -> AsyncQRLogin:
    return AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI)


async def wait_for_a_scan(qr: AsyncQRLogin) -> State:
    begun = await qr.begin()
    wait = asyncio.create_task(qr.wait(begun.device_code, timeout=30))
    await asyncio.sleep(SOON)
    await qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    return (await wait).state


def test_loops_may_use_a_memory_store_in_turn() -> None:
    qr = logins(AsyncMemoryStore())
    assert [asyncio.run(wait_for_a_scan(qr)) for _ in range(2)] == [State.SCANNED] * 2
    asyncio.run(qr.close())


@for_each_row("drained", [False, True])
def test_a_wait_in_a_loop_that_was_closed_harms_no_call(drained: bool) -> None:
    qr, loop = logins(AsyncMemoryStore()), asyncio.new_event_loop()
    begun = loop.run_until_complete(qr.begin())
    abandoned = loop.create_task(qr.wait(begun.device_code, timeout=30))
    loop.run_until_complete(asyncio.sleep(SOON))
    loop.close()
    if drained:
        asyncio.run(qr.drain())
    assert asyncio.run(qr.scan(begun.scan_code, subject=ALICE, shown_as="A")).state == "scanned"
    asyncio.run(qr.close())
    abandoned._log_destroy_pending = False  # type: ignore[attr-defined]  # the test abandons it


def test_an_event_in_a_loop_that_was_closed_does_not_stop_close() -> None:
    async def on_event(_: object) -> None:
        await asyncio.sleep(30)

    qr, loop = logins(AsyncMemoryStore()), asyncio.new_event_loop()
    qr._on_event = on_event
    begin = loop.create_task(qr.begin())
    loop.run_until_complete(asyncio.sleep(SOON))
    loop.close()
    asyncio.run(asyncio.wait_for(qr.close(), 10))
    for task in (begin, *qr._emitting):
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # as above


@for_each_row("store", ["AsyncRedisStore", "AsyncSQLStore"])
def test_a_store_with_connections_says_what_to_do_in_a_second_loop(
    store: str, redis_url: str, tmp_path: Path
) -> None:
    sqlite = f"sqlite:///{tmp_path}/logins.db"
    qr = logins(open_async_store(redis_url if store == "AsyncRedisStore" else sqlite))
    with asyncio.Runner() as first:
        assert first.run(wait_for_a_scan(qr)) is State.SCANNED
        for _ in range(2):
            with pytest.raises(Misconfigured, match=f"this {store} is used in a second event loop"):
                asyncio.run(wait_for_a_scan(qr))
        asyncio.run(qr.close())
        first.run(qr.close())


def test_a_test_client_without_its_lifespan_works_over_memory() -> None:
    qr = logins(AsyncMemoryStore())
    app = fastapi.FastAPI()
    endpoint = AsyncEndpoint(qr, max_waiting=8)

    async def log_in(request: fastapi.Request, redeemed: object) -> None: ...

    app.include_router(qrlogin_router(endpoint, lambda: None, log_in), prefix="/qr")
    client = TestClient(app, base_url="https://example.com")
    begun = client.post("/qr/begin", json={}).json()
    for wait in (0, 1, 0):
        path = f"/qr/{begun['login_id']}?after=1&wait={wait}"
        assert client.get(path).json()["state"] == "pending"
