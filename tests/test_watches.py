"""A watch hides no news and returns nothing outdated, whatever the store and its notifications do.

Time is simulated here: a listener that waits turns the clock. No test waits.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest

from qrlogin import (
    AsyncMemoryStore,
    AsyncQRLogin,
    MemoryStore,
    Policy,
    QRLogin,
    State,
    Status,
    Unavailable,
)
from qrlogin.aio import AsyncWatch
from qrlogin.login import Watch
from qrlogin.step import Command, Reply
from tests.application import ALICE, KEY, URI
from tests.tables import for_each_row

HEARTBEAT = 15.0
PAUSE = 1.5  # seconds: the longest pause of a wait between two reads that fail


class World:
    """A login, what happens to it, and when its store does not answer. Its subscription works."""

    def __init__(self, options: Any) -> None:
        self.seconds, self.reads, self.timed_out, self._notified = 1_000.0, 0, False, False
        self.outage = (0.0, 0.0)
        self._store = MemoryStore(now=lambda: round(self.seconds * 1000))
        self.qr = QRLogin(self._store, **options)
        self.began = self.qr.begin()
        self._events = list[tuple[float, Callable[[], object], bool]]()

    def at(self, seconds: float, action: Callable[[], object], *, notified: bool = True) -> None:
        self._events.append((seconds, action, notified))

    def scan(self) -> None:
        self.qr.scan(self.began.scan_code, subject=ALICE, shown_as="A")

    def apply(self, command: Command) -> Reply:
        begins, ends = self.outage
        if begins <= self.seconds < ends:
            raise Unavailable("an outage")
        self.reads += 1
        return self._store.apply(command)

    def wait(self, seconds: float) -> bool:
        ends = self.seconds + seconds
        while not self._notified and self._events and self._events[0][0] <= ends:
            self.seconds, action, notified = self._events.pop(0)
            action()
            self._notified = notified
        self.timed_out, self._notified = not self._notified, False
        if self.timed_out:
            self.seconds = ends
        return True


class Scripted:
    """The store of the watch, and its listener."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.apply, self.wait = world.apply, world.wait

    @property
    def timed_out(self) -> bool:
        return self._world.timed_out

    def listen(self, _: str) -> Self:
        return self

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class AsyncScripted(AsyncMemoryStore):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def apply(self, command: Command) -> Reply:
        return self._world.apply(command)

    def listen(self, _: str) -> Any:
        return self

    async def wait(self, seconds: float) -> bool:
        return self._world.wait(seconds)

    @property
    def timed_out(self) -> bool:
        return self._world.timed_out


Wait = Callable[..., Status]
Watching = Callable[..., tuple[World, Wait]]


@pytest.fixture(params=["sync", "async"])
def watching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Watching:
    """Returns a new world and the `wait` of a watch in it, as a blocking call."""

    def watch(**policy: Any) -> tuple[World, Wait]:
        options: Any = {
            "secret_keys": [KEY],
            "verification_uri": URI,
            "policy": Policy(names_scanner=False, limits=None, **policy),
        }
        world = World(options)
        monkeypatch.setattr("qrlogin.login.monotonic", lambda: world.seconds)
        monkeypatch.setattr("qrlogin.aio.monotonic", lambda: world.seconds)
        device = world.qr.core.read_device_code(world.began.device_code)
        if request.param == "sync":
            scripted: Any = Scripted(world)
            return world, Watch(QRLogin(scripted, **options), device).wait
        awaited = AsyncWatch(AsyncQRLogin(AsyncScripted(world), **options), device)

        def wait(**arguments: Any) -> Status:
            waiting: Coroutine[Any, Any, Status] = awaited.wait(**arguments)
            return asyncio.run(waiting)

        return world, wait

    return watch


def stream_until_news(wait: Wait) -> State:
    """What a stream does: it waits for news for one heartbeat after another."""
    status = wait(after=None, timeout=0)
    while status.state is State.PENDING:
        status = wait(after=status.version, timeout=HEARTBEAT, status=status)
    return status.state


def test_a_stream_returns_news_as_soon_as_the_store_answers_again(watching: Watching) -> None:
    """Also if the store did not answer when the notification arrived, just before a heartbeat."""
    chance = random.Random(1)
    for _ in range(60):
        world, wait = watching(lifetime=350, rotation=350)
        phone, lasts = world.seconds + chance.uniform(0, 45), chance.choice((0.1, 1, 10, 40))
        world.outage = (phone - chance.uniform(0, 1), phone + lasts)
        if world.outage[0] <= world.seconds:
            continue  # the first read would fail
        world.at(phone, world.scan)
        assert stream_until_news(wait) is State.SCANNED
        assert world.seconds <= phone + lasts + PAUSE


def test_a_stream_returns_within_two_heartbeats_what_it_is_not_notified_of(
    watching: Watching,
) -> None:
    for tenths in range(1, 450, 37):
        world, wait = watching(lifetime=350, rotation=350)
        happens = world.seconds + tenths / 10
        world.at(happens, world.scan, notified=False)
        assert stream_until_news(wait) is State.SCANNED
        assert world.seconds <= happens + 2 * HEARTBEAT


def test_a_stream_reads_nothing_at_every_second_heartbeat(watching: Watching) -> None:
    world, wait = watching(lifetime=350, rotation=350)
    status = wait(after=None, timeout=0)
    for heartbeats in range(1, 11):
        status = wait(after=status.version, timeout=HEARTBEAT, status=status)
        assert world.reads == 1 + heartbeats // 2


@for_each_row("state", [State.PENDING, State.SCANNED])
def test_a_wait_whose_last_read_failed_returns_what_is_left_or_is_unavailable(
    watching: Watching, state: State
) -> None:
    outcomes = set[str]()
    for timeout in (1, 4, 9, 11, 25, 40, 200, 300):
        world, wait = watching(lifetime=120, rotation=10, rotation_grace=2)
        if state is State.SCANNED:
            world.scan()
        started = world.seconds
        world.outage = (started + 0.1, started + 1_000)
        world.at(started + 0.2, lambda: None)  # a notification, after which it reads
        try:
            returned = wait(after=world.qr.status(world.began.device_code).version, timeout=timeout)
        except Unavailable:
            outcomes.add("unavailable")
            assert world.seconds - started >= timeout
            fresh = world.qr.status(world.began.device_code)
            assert fresh.state is State.EXPIRED or timeout >= 10, "what was read was not outdated"
        else:
            outcomes.add("returned")
            fresh = world.qr.status(world.began.device_code)
            assert returned.state is fresh.state is state
            for name in ("expires_in", "code_expires_in", "rotates_in"):
                assert abs(getattr(returned, name) - getattr(fresh, name)) <= 1, name
            assert returned.scan_code == fresh.scan_code
    assert outcomes == {"returned", "unavailable"}
