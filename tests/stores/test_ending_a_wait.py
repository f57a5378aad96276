"""`Listener.end` ends the wait of one browser, and every later wait of it returns at once."""

import asyncio
import threading

import pytest

from qrlogin import AsyncMemoryStore, MemoryStore, Superseded
from tests.application import Clock

LONG = 500.0  # seconds; a wait that is to end for another reason


def test_an_ended_listener_releases_its_thread_and_does_not_wait_again() -> None:
    store, returned = MemoryStore(now=Clock()), list[bool]()
    with store.listen("L") as listener, store.listen("M") as other:
        thread = threading.Thread(
            target=lambda: returned.extend(listener.wait(LONG) for _ in range(3))
        )
        thread.start()
        listener.end()
        thread.join(LONG / 10)
        assert returned == [False, False, False]
        assert other.wait(0.01), "another login's wait goes on"


def test_an_ended_listener_releases_its_task_and_does_not_wait_again() -> None:
    async def scenario() -> None:
        store = AsyncMemoryStore(now=Clock())
        async with store.listen("L") as listener, store.listen("M") as other:
            waiting = asyncio.ensure_future(listener.wait(LONG))
            await asyncio.sleep(0)
            listener.end()
            async with asyncio.timeout(LONG / 10):
                assert [await waiting, await listener.wait(LONG), await listener.wait(LONG)] == [
                    False
                ] * 3
            assert await other.wait(0.01)

    asyncio.run(scenario())


def test_a_superseded_listener_raises_superseded_even_if_it_is_ended() -> None:
    store = MemoryStore(now=Clock())
    with store.listen("L") as older, store.listen("L") as newer:
        older.end()
        with pytest.raises(Superseded):
            older.wait(LONG)
        assert newer.wait(0.01)


def test_a_wait_on_a_closed_store_returns_at_once() -> None:
    store = MemoryStore(now=Clock())
    with store.listen("L") as listener:
        store.close()
        assert [listener.wait(LONG) for _ in range(3)] == [False] * 3
