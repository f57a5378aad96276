"""`Listener.end`: the wait of one browser, let go from outside. What has ended stays ended, however often it is asked."""

import asyncio
import threading

import pytest

from qrlogin import AsyncMemoryStore, MemoryStore, Superseded
from tests.application import Clock

LONG = 500.0  # seconds; a wait that is to end for another reason


def test_a_thread_is_let_go_and_does_not_wait_again() -> None:
    store, heard = MemoryStore(now=Clock()), list[bool]()
    with store.listen("L") as listener, store.listen("M") as other:
        thread = threading.Thread(
            target=lambda: heard.extend(listener.wait(LONG) for _ in range(3))
        )
        thread.start()
        listener.end()
        thread.join(LONG / 10)
        assert heard == [False, False, False]
        assert other.wait(0.01), "another login's wait goes on"


def test_a_task_is_let_go_and_does_not_wait_again() -> None:
    async def story() -> None:
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

    asyncio.run(story())


def test_who_was_taken_over_from_hears_that_also_when_it_is_let_go() -> None:
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
