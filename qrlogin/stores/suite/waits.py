"""Waits: each one is notified of a change wherever it is made, `close` ends it, and nothing of it
is left.

If your store has a timer that re-reads, set it to minutes here. Else these tests check the timer
and not the notifications.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from qrlogin.clock import monotonic
from qrlogin.errors import Denied, NotYours, Superseded
from qrlogin.stores.suite.colours import LIMIT, PATIENCE, Awaited
from qrlogin.stores.suite.stories import every_way
from qrlogin.stores.suite.world import World
from qrlogin.table import State

MANY: Final = 30
SHORT_SECONDS: Final = 0.3


class Waits:
    """What `listen` and `notify` do for a browser that waits."""

    @every_way
    def test_a_wait_is_notified_of_each_change(self, world: World, way: tuple[str, ...]) -> None:
        """Also of a change that another process makes, if the store is shared."""
        login = world.begin()
        login.walk(*way[:-1])
        before, call = login.seen(), login.call(way[-1])
        waiting = world.start_wait(login, after=before.version)
        world.elsewhere.run(call)
        assert waiting.result(PATIENCE).version != before.version, (
            f"the wait was not notified of {way[-1]}"
        )

    def test_each_wait_is_notified_of_its_own_login_only(self, world: World) -> None:
        logins = [world.begin() for _ in range(MANY)]
        waiting = [world.start_wait(login) for login in logins]
        world.elsewhere.run(logins[0].scan("alice"))
        assert waiting[0].result(PATIENCE).state is State.SCANNED
        assert not any(wait.done() for wait in waiting[1:]), (
            "a wait returned for a change of another login"
        )
        for login in logins[1:]:
            world.elsewhere.run(login.cancel())
        assert {wait.result(PATIENCE).state for wait in waiting[1:]} == {State.CANCELLED}

    def test_a_wait_returns_at_once_if_the_login_has_changed_already(self, world: World) -> None:
        login = world.begin()
        login.walk("scan")
        waiting = world.start_wait(login, after=login.begun.version)
        assert waiting.result(PATIENCE).state is State.SCANNED

    def test_a_wait_without_news_returns_at_its_timeout_and_not_before(self, world: World) -> None:
        """Refused calls, repeated calls and changes of other logins are not news."""
        login, other = world.begin(), world.begin()
        login.walk("scan")
        before, started = login.seen(), monotonic()
        waiting = world.start_wait(login, after=before.version, timeout=SHORT_SECONDS)
        world.elsewhere.run(login.scan("alice"))
        with pytest.raises(NotYours):
            world.elsewhere.run(login.deny("bob"))
        world.elsewhere.run(other.scan("bob"))
        assert waiting.result(PATIENCE) == before
        assert monotonic() - started >= SHORT_SECONDS, "the wait returned before its timeout"

    def test_a_newer_wait_supersedes_the_older(self, world: World) -> None:
        login = world.begin()
        older, newer = world.start_wait(login), world.start_wait(login)
        with pytest.raises(Superseded):
            older.result(PATIENCE)
        assert not newer.done(), "the newer wait ended together with the older one"
        login.walk("scan")
        assert newer.result(PATIENCE).state is State.SCANNED

    def test_a_wait_that_ended_does_not_disturb_the_next(self, world: World) -> None:
        login = world.begin()
        for _ in range(3):
            world.start_wait(login, timeout=0.01).result(PATIENCE)
        waiting = world.start_wait(login)
        login.walk("scan", "deny")
        with pytest.raises(Denied):
            login.walk("confirm")
        assert waiting.result(PATIENCE).state in (State.SCANNED, State.DENIED)

    def test_close_ends_every_wait_at_once(self, world: World) -> None:
        """And closing a store twice is allowed."""
        waiting = [world.start_wait(world.begin()) for _ in range(MANY)]
        world.qr.close()
        assert {wait.result(PATIENCE).state for wait in waiting} == {State.PENDING}
        world.qr.close()

    def test_drain_ends_every_wait_at_once_and_other_calls_still_work(self, world: World) -> None:
        """A listener without `end` fails here: a server that stops then waits until its waits time
        out.
        """
        login = world.begin()
        waiting = [
            world.start_wait(login),
            *(world.start_wait(world.begin()) for _ in range(MANY)),
        ]
        world.qr.drain()
        assert {wait.result(PATIENCE).state for wait in waiting} == {State.PENDING}
        login.walk("scan")
        late = world.start_wait(login, after=login.seen().version)
        assert late.result(PATIENCE).state is State.SCANNED
        login.walk("confirm")
        assert login.seen().state is State.CONFIRMED

    def test_no_thread_or_task_outlives_the_store(self, world: World) -> None:
        before = world.colour.alive()
        ended = [world.start_wait(world.begin(), timeout=0.01) for _ in range(MANY)]
        waiting = [world.start_wait(world.begin()) for _ in range(MANY)]
        for wait in ended:
            wait.result(PATIENCE)
        world.qr.close()
        for wait in waiting:
            wait.result(PATIENCE)
        _wait_until_gone(world.colour.alive, before)


class CancelledWaits:
    """What asyncio adds: a caller can be cancelled at any await."""

    def test_a_cancelled_wait_leaves_nothing_behind(self, world: World) -> None:
        """Wherever a wait is cancelled, no task is left, and the next wait of the login works."""
        colour = world.colour
        assert isinstance(colour, Awaited)
        login = world.begin()
        # Whatever the store starts on first use has been started after this.
        world.start_wait(login, timeout=0.01).result(PATIENCE)
        before = colour.tasks()

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
            assert isinstance(ended, asyncio.CancelledError), (
                f"a wait that was cancelled after {steps} steps returned or raised another error"
            )
        _wait_until_gone(colour.tasks, before)
        waiting = world.start_wait(login)
        login.walk("scan")
        assert waiting.result(PATIENCE).state is State.SCANNED


def _wait_until_gone(count: Callable[[], int], before: int) -> None:
    ends, pause = monotonic() + PATIENCE, threading.Event()
    while (alive := count()) > before:
        assert monotonic() < ends, f"the store left {alive - before} threads or tasks behind"
        pause.wait(0.01)
