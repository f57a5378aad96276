"""Parked waits: woken by each change wherever it is made, ended by `close`, and nothing left of them.

Give your store a slow timer here, if it has one, or these tests prove the timer and not the wake-ups.
"""

import asyncio
import threading
from typing import Any, Final

import pytest

from qrlogin.clock import monotonic
from qrlogin.errors import Denied, NotYours, Superseded
from qrlogin.stores.suite.colours import LIMIT, PATIENCE, Awaited, Colour
from qrlogin.stores.suite.stories import every_way
from qrlogin.stores.suite.world import World
from qrlogin.table import State

MANY: Final = 30
SHORT_SECONDS: Final = 0.3


class Waking:
    """What a browser that waits is owed."""

    @every_way
    def test_a_parked_wait_hears_each_change(self, world: World, way: tuple[str, ...]) -> None:
        """Also one that is made by another process, if the store is shared (I15, I22)."""
        login = world.begin()
        login.walk(*way[:-1])
        before, call = login.seen(), login.call(way[-1])
        parked = world.park(login, after=before.version)
        world.elsewhere.run(call)
        assert parked.result(PATIENCE).version != before.version

    def test_many_wait_and_each_hears_its_own(self, world: World) -> None:
        logins = [world.begin() for _ in range(MANY)]
        parked = [world.park(login) for login in logins]
        world.elsewhere.run(logins[0].scan("alice"))
        assert parked[0].result(PATIENCE).state is State.SCANNED
        assert not any(one.done() for one in parked[1:])
        for login in logins[1:]:
            world.elsewhere.run(login.cancel())
        assert {one.result(PATIENCE).state for one in parked[1:]} == {State.CANCELLED}

    def test_news_from_before_the_wait_is_told_at_once(self, world: World) -> None:
        login = world.begin()
        login.walk("scan")
        assert world.park(login, after=login.begun.version).result(PATIENCE).state is State.SCANNED

    def test_a_wait_returns_at_its_limit_and_not_before(self, world: World) -> None:
        """Neither refusals nor repeats nor other people's logins count as news (I22)."""
        login, other = world.begin(), world.begin()
        login.walk("scan")
        before, started = login.seen(), monotonic()
        parked = world.park(login, after=before.version, timeout=SHORT_SECONDS)
        world.elsewhere.run(login.scan("alice"))
        with pytest.raises(NotYours):
            world.elsewhere.run(login.deny("bob"))
        world.elsewhere.run(other.scan("bob"))
        assert parked.result(PATIENCE) == before
        assert monotonic() - started >= SHORT_SECONDS

    def test_the_newest_wait_wins_and_the_older_is_told(self, world: World) -> None:
        login = world.begin()
        older, newer = world.park(login), world.park(login)
        with pytest.raises(Superseded):
            older.result(PATIENCE)
        assert not newer.done()
        login.walk("scan")
        assert newer.result(PATIENCE).state is State.SCANNED

    def test_an_ended_wait_does_not_disturb_the_next(self, world: World) -> None:
        login = world.begin()
        for _ in range(3):
            world.park(login, timeout=0.01).result(PATIENCE)
        parked = world.park(login)
        login.walk("scan", "deny")
        with pytest.raises(Denied):
            login.walk("confirm")
        assert parked.result(PATIENCE).state in (State.SCANNED, State.DENIED)

    def test_close_ends_every_parked_wait_at_once(self, world: World) -> None:
        parked = [world.park(world.begin()) for _ in range(MANY)]
        world.qr.close()
        assert {one.result(PATIENCE).state for one in parked} == {State.PENDING}
        world.qr.close()

    def test_drain_ends_every_parked_wait_at_once_and_all_else_goes_on(self, world: World) -> None:
        """A listener without `end` fails this; its waits then keep a server that is told to stop for as long as they last."""
        login = world.begin()
        parked = [world.park(login), *(world.park(world.begin()) for _ in range(MANY))]
        world.qr.drain()
        assert {one.result(PATIENCE).state for one in parked} == {State.PENDING}
        login.walk("scan")
        assert world.park(login, after=login.seen().version).result(PATIENCE).state is State.SCANNED
        login.walk("confirm")
        assert login.seen().state is State.CONFIRMED

    def test_nothing_is_left_behind(self, world: World) -> None:
        """Neither a thread nor a task outlives the store (I22)."""
        before = world.colour.alive()
        ended = [world.park(world.begin(), timeout=0.01) for _ in range(MANY)]
        parked = [world.park(world.begin()) for _ in range(MANY)]
        for one in ended:
            one.result(PATIENCE)
        world.qr.close()
        for one in parked:
            one.result(PATIENCE)
        _wait_until_gone(world.colour, before)


class Cancelling:
    """What asyncio adds: anything awaited may be cancelled."""

    def test_a_cancelled_wait_leaves_nothing_behind(self, world: World) -> None:
        """Wherever in its course it is cancelled (I34), the login and its next wait are none the worse."""
        colour = world.colour
        assert isinstance(colour, Awaited)
        login = world.begin()
        world.park(login, timeout=0.01).result(
            PATIENCE
        )  # whatever the store starts on first use, it has started now
        before = colour.alive()

        async def wait_and_be_cancelled(steps: int) -> Any:
            task = asyncio.ensure_future(
                colour.shell(world.qr).wait(login.begun.device_code, timeout=LIMIT)
            )
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            return await asyncio.gather(task, return_exceptions=True)

        for steps in range(MANY):
            (ended,) = colour.call(wait_and_be_cancelled, steps)
            assert isinstance(ended, asyncio.CancelledError)
        _wait_until_gone(colour, before)
        parked = world.park(login)
        login.walk("scan")
        assert parked.result(PATIENCE).state is State.SCANNED


def _wait_until_gone(colour: Colour, before: int) -> None:
    ends, pause = monotonic() + PATIENCE, threading.Event()
    while (alive := colour.alive()) > before:
        assert monotonic() < ends, f"{alive - before} threads or tasks are still there"
        pause.wait(0.01)
