"""A wait holds while there is no news and returns at once when there is, in a thread and in a task.

The tests use tiny policies and a clock that they set; no test measures a duration.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Self

import pytest

from qrlogin import (
    AsyncMemoryStore,
    AsyncQRLogin,
    Expired,
    InvalidCode,
    MemoryStore,
    Misconfigured,
    Policy,
    QRLogin,
    State,
    Status,
    Superseded,
)
from qrlogin.news import is_news, wait_limit
from qrlogin.stores.listeners import AsyncLocalListener, LocalListener
from tests.application import ALICE, KEY, SHOWN, URI, Clock
from tests.tables import for_each_row

LONG = 500.0  # seconds: for a wait that should end for another reason
TOO_LONG = 30.0  # seconds: a wait that lasts longer missed its notification
CALM = Policy(
    lifetime=350, rotation=350, names_scanner=False
)  # nothing changes by itself while a test runs
#: Seconds in which a wait could return too early. A shorter time makes the test less strict.
SOON = 0.05


@dataclass
class Colour:
    """One shell behind blocking calls, so that each test runs with both."""

    name: str
    clock: Clock
    begin: Callable[[], Any]
    call: Callable[..., Any]  # name of a method, its arguments
    hold: Callable[..., "HeldWait"]  # a wait that runs while the test goes on
    close: Callable[[], None]


class Listening(MemoryStore):
    """A store that signals each new listener."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(now=clock)
        self.listened = threading.Semaphore(0)

    def listen(self, login_id: str) -> LocalListener:
        try:
            return super().listen(login_id)
        finally:
            self.listened.release()


class AsyncListening(AsyncMemoryStore):
    def __init__(self, clock: Clock) -> None:
        super().__init__(now=clock)
        self.listened = threading.Semaphore(0)

    def listen(self, login_id: str) -> AsyncLocalListener:
        try:
            return super().listen(login_id)
        finally:
            self.listened.release()


class HeldWait:
    """A wait in a thread of its own, which listens by the time this exists."""

    def __init__(self, wait: Callable[[], Status], listened: threading.Semaphore) -> None:
        self.answer: Status | None = None
        self.error: Exception | None = None
        while listened.acquire(blocking=False):
            pass  # earlier waits
        self.thread = threading.Thread(target=self._run, args=(wait,), daemon=True)
        self.thread.start()
        listened.acquire()
        self.thread.join(SOON)

    def _run(self, wait: Callable[[], Status]) -> None:
        try:
            self.answer = wait()
        except Exception as error:
            self.error = error

    @property
    def waiting(self) -> bool:
        return self.thread.is_alive()

    def result(self) -> Status:
        self.thread.join(TOO_LONG)
        assert not self.waiting, "the wait was not notified"
        if self.error:
            raise self.error
        assert self.answer is not None
        return self.answer


def blocking(policy: Policy) -> Iterator[Colour]:
    store = Listening(clock := Clock())
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=policy) as qr:
        yield Colour(
            "sync",
            clock,
            qr.begin,
            lambda name, /, *arguments, **named: getattr(qr, name)(*arguments, **named),
            lambda *arguments, **named: HeldWait(
                lambda: qr.wait(*arguments, **named), store.listened
            ),
            qr.close,
        )


def awaited(policy: Policy) -> Iterator[Colour]:
    """The shell runs in an event loop in its own thread, as in a server."""
    store, loop = AsyncListening(clock := Clock()), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    try:
        qr = AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=policy)
        yield Colour(
            "async",
            clock,
            lambda: run(qr.begin()),
            lambda name, /, *arguments, **named: run(getattr(qr, name)(*arguments, **named)),
            lambda *arguments, **named: HeldWait(
                lambda: run(qr.wait(*arguments, **named)), store.listened
            ),
            lambda: run(qr.close()),
        )
        run(qr.close())
        assert len(store._listeners) == 0, "a listener was left behind"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        assert not asyncio.all_tasks(loop), "a task was left behind"
        loop.close()


@pytest.fixture(params=[blocking, awaited], ids=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Colour]:
    before = {*threading.enumerate()}  # a thread of an earlier test may end meanwhile
    yield from request.param(CALM)
    assert {*threading.enumerate()} <= before, "a thread was left behind"


def test_wait_returns_at_once_when_the_cursor_is_old(colour: Colour) -> None:
    """The cursor is any other version. Without a cursor the browser last saw pending."""
    begun = colour.begin()
    colour.call("scan", begun.scan_code, subject=ALICE)
    for after in (None, begun.version, 0, 99):
        assert (
            colour.call("wait", begun.device_code, after=after, timeout=LONG).state is State.SCANNED
        )


def test_wait_without_a_cursor_holds_only_while_pending(colour: Colour) -> None:
    begun = colour.begin()
    held = colour.hold(begun.device_code, timeout=LONG)
    assert held.waiting
    colour.call("scan", begun.scan_code, subject=ALICE)
    assert held.result().state is State.SCANNED


@pytest.mark.parametrize("stop", ["cancel", "deny", "redeem"])
def test_wait_returns_at_once_in_a_final_state(colour: Colour, stop: str) -> None:
    begun = colour.begin()
    colour.call("scan", begun.scan_code, subject=ALICE)
    if stop == "deny":
        colour.call("deny", begun.scan_code, subject=ALICE)
    elif stop == "cancel":
        colour.call("cancel", begun.device_code)
    else:
        colour.call("confirm", begun.scan_code, subject=ALICE)
        tag = colour.call("status", begun.device_code).scanned_by.tag
        colour.call("redeem", begun.device_code, acknowledged=tag)
    seen = colour.call("status", begun.device_code)
    assert colour.call("wait", begun.device_code, after=seen.version, timeout=LONG) == seen


def test_wait_returns_at_once_when_the_login_is_expired_or_unknown(colour: Colour) -> None:
    begun = colour.begin()
    colour.clock.ms += 600_000
    assert (
        colour.call("wait", begun.device_code, after=begun.version, timeout=LONG).state
        is State.EXPIRED
    )
    colour.clock.ms += 10_000_000
    other = colour.begin()  # the store drops the first record here
    assert colour.call("wait", begun.device_code, after=0, timeout=LONG).state is State.EXPIRED
    with pytest.raises(Expired):
        colour.call("cancel", begun.device_code)
    with pytest.raises(InvalidCode):
        colour.call("wait", other.login_id, timeout=LONG)
    with pytest.raises(Expired):
        colour.call("scan", begun.scan_code, subject=ALICE)


def test_wait_returns_at_each_change_of_the_version(colour: Colour) -> None:
    begun = colour.begin()
    after, steps = (
        begun.version,
        (("scan", State.SCANNED), ("release", State.PENDING), ("scan", State.SCANNED)),
    )
    for event, state in (*steps, ("confirm", State.CONFIRMED), ("deny", State.DENIED)):
        held = colour.hold(begun.device_code, after=after, timeout=LONG)
        assert held.waiting, event
        colour.call(event, begun.scan_code, subject=ALICE)
        seen = held.result()
        assert seen.state is state
        assert seen.version != after
        after = seen.version


def test_wait_with_a_state_as_cursor_returns_when_the_state_changes(colour: Colour) -> None:
    begun = colour.begin()
    colour.call("scan", begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    assert (
        colour.call("wait", begun.device_code, after=State.PENDING, timeout=LONG).state
        is State.SCANNED
    )
    held = colour.hold(begun.device_code, after=State.SCANNED, timeout=LONG)
    assert held.waiting
    colour.call("release", begun.scan_code, subject=ALICE)
    assert held.result().state is State.PENDING


def test_a_change_of_another_login_does_not_end_a_wait(colour: Colour) -> None:
    begun, other = colour.begin(), colour.begin()
    held = colour.hold(begun.device_code, timeout=LONG)
    colour.call("scan", other.scan_code, subject=ALICE)
    colour.call("status", begun.device_code)
    assert held.waiting
    colour.call("cancel", begun.device_code)
    assert held.result().state is State.CANCELLED


def test_wait_returns_the_current_status_at_its_timeout(colour: Colour) -> None:
    begun = colour.begin()
    for timeout in (0, -1, 0.01):
        seen = colour.call("wait", begun.device_code, after=begun.version, timeout=timeout)
        assert (seen.state, seen.version) == (State.PENDING, begun.version)


def test_wait_returns_when_the_login_expires() -> None:
    """An expiry is not notified. This runs by the real clock, with the shortest lifetime."""
    brief: Any = {"lifetime": 1, "late_window": 0}
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
        begun = qr.run(qr.core.begin(**brief))
        assert qr.wait(begun.device_code, after=begun.version, timeout=LONG).state is State.EXPIRED

    async def story() -> Status:
        async with AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
            begun = await qr.run(qr.core.begin(**brief))
            return await qr.wait(begun.device_code, after=begun.version, timeout=LONG)

    assert asyncio.run(story()).state is State.EXPIRED


def test_wait_returns_when_the_code_rotates() -> None:
    policy = Policy(lifetime=350, rotation=1, rotation_grace=0, names_scanner=False)
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=policy) as qr:
        begun = qr.begin()
        seen = qr.wait(begun.device_code, after=begun.version, timeout=LONG)
        assert (seen.state, seen.version) == (State.PENDING, begun.version)
        assert seen.scan_code != begun.scan_code

    async def story() -> bool:
        async with AsyncQRLogin(
            AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=policy
        ) as qr:
            begun = await qr.begin()
            return (
                await qr.wait(begun.device_code, after=begun.version, timeout=LONG)
            ).scan_code != begun.scan_code

    assert asyncio.run(story())


@pytest.mark.parametrize(
    ("state", "expires_in", "rotates_in", "timeout", "longest"),
    [
        (State.PENDING, 120, 25, 60.0, 25),
        (State.PENDING, 7, 25, 60.0, 7),
        (State.PENDING, 120, 25, 3.5, 3.5),
        (State.SCANNED, 44, 0, 60.0, 44),
        (State.CONFIRMED, 30, 0, 60.0, 30),
        (State.PENDING, 120, 25, float("inf"), 25),
    ],
)
def test_wait_limit_is_the_shortest_time_to_the_next_change(
    state: State, expires_in: int, rotates_in: int, timeout: float, longest: float
) -> None:
    seen = Status("L", state, version=1, expires_in=expires_in, rotates_in=rotates_in)
    assert wait_limit(seen, timeout) == longest


@for_each_row(
    "state, version, after, news",
    [
        (State.PENDING, 1, None, False),
        (
            State.PENDING,
            3,
            None,
            False,
        ),  # scanned and released before the browser asked: its last state was pending, too
        (State.SCANNED, 2, None, True),
        (State.CONFIRMED, 3, None, True),
        (State.PENDING, 1, 1, False),
        (State.PENDING, 3, 1, True),
        (State.SCANNED, 2, 2, False),
        (State.SCANNED, 2, 9, True),  # after a failover a version can go back
        (State.CONFIRMED, 3, 3, False),  # the phone may still deny
        *(
            (state, 4, after, True)
            for state in (State.REDEEMED, State.DENIED, State.CANCELLED)
            for after in (None, 4, 1)
        ),
        *(
            (State.EXPIRED, version, after, True)
            for version in (0, 1)
            for after in (None, 0, 1, *State)
        ),
        *(
            (state, 4, after, True)
            for state in (State.REDEEMED, State.DENIED, State.CANCELLED)
            for after in State
        ),
        (State.PENDING, 1, 0, True),  # 0 is a version like any other
        (State.PENDING, 3, State.PENDING, False),  # as without a cursor
        (State.PENDING, 3, State.SCANNED, True),  # released
        (State.SCANNED, 2, State.PENDING, True),
        (State.SCANNED, 2, State.SCANNED, False),
        (
            State.SCANNED,
            4,
            State.SCANNED,
            False,
        ),  # by somebody else, meanwhile: such a client knows states, not versions
        (State.CONFIRMED, 3, State.SCANNED, True),
        (State.CONFIRMED, 3, State.CONFIRMED, False),
    ],
)
def test_is_news_compares_the_status_with_the_cursor(
    state: State, version: int, after: int | State | None, news: bool
) -> None:
    """The cursor is a version or a state: both are compared, and a final state is always news."""
    assert is_news(Status("L", state, version, expires_in=0), after) is news


def test_a_newer_wait_ends_the_older_with_superseded(colour: Colour) -> None:
    begun = colour.begin()
    older = colour.hold(begun.device_code, timeout=LONG)
    newer = colour.hold(begun.device_code, timeout=LONG)
    with pytest.raises(Superseded) as refusal:
        older.result()
    assert (refusal.value.http_status, refusal.value.wire_code) == (409, "superseded")
    assert newer.waiting, "the older wait ended the newer one"
    colour.call("cancel", begun.device_code)
    assert newer.result().state is State.CANCELLED


def test_close_ends_every_wait_and_can_be_repeated(colour: Colour) -> None:
    held = [colour.hold(colour.begin().device_code, timeout=LONG) for _ in range(3)]
    assert all(one.waiting for one in held)
    colour.close()
    assert {one.result().state for one in held} == {State.PENDING}
    colour.close()
    begun = colour.begin()
    assert colour.call("wait", begun.device_code, timeout=LONG).state is State.PENDING, (
        "a wait after close was held"
    )


def test_a_bad_code_is_refused_before_the_wait(colour: Colour) -> None:
    begun = colour.begin()
    held = colour.hold(begun.device_code, timeout=LONG)
    for code in (begun.device_code[:-1], begun.scan_code, begun.login_id, ""):
        with pytest.raises(InvalidCode):
            colour.call("wait", code, timeout=LONG)
    assert held.waiting, "a forged code ended a genuine wait"
    colour.call("cancel", begun.device_code)
    assert held.result().state is State.CANCELLED


def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    """A browser disconnected, and the server cancelled its handler."""

    async def story() -> None:
        store = AsyncMemoryStore()
        async with AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
            begun = await qr.begin()
            wait = asyncio.create_task(qr.wait(begun.device_code, timeout=LONG))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(store._listeners) == 1
            wait.cancel()
            with pytest.raises(asyncio.CancelledError):
                await wait
            assert len(store._listeners) == 0
            await qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
            assert (await qr.wait(begun.device_code, timeout=LONG)).state is State.SCANNED
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())


def test_leaving_the_block_closes_the_store() -> None:
    with QRLogin(store := MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
        assert isinstance(qr, QRLogin)
        assert not store._listeners.closed
    assert store._listeners.closed

    async def story() -> bool:
        store = AsyncMemoryStore()
        async with AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
            assert isinstance(qr, AsyncQRLogin)
            assert not store._listeners.closed
        return store._listeners.closed

    assert asyncio.run(story())


def test_a_whole_login_works_alike_in_each_colour(colour: Colour) -> None:
    begun = colour.begin()
    scanned = colour.call("scan", begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    assert scanned.context == {}
    seen = colour.call("wait", begun.device_code, after=begun.version)
    assert (seen.scanned_by.shown_as, seen.scanned_by.name) == (SHOWN[ALICE], "")
    confirm = {"subject": ALICE, "name": "alice@example.com"}
    assert colour.call("confirm", begun.scan_code, **confirm).state is State.CONFIRMED
    seen = colour.call("wait", begun.device_code, after=seen.version)
    assert seen.scanned_by.name == "alice@example.com"
    redeemed = colour.call("redeem", begun.device_code, acknowledged=seen.scanned_by.tag)
    assert (redeemed.subject, redeemed.shown_as, redeemed.replayed) == (ALICE, SHOWN[ALICE], False)
    assert redeemed.name == "alice@example.com"


# A process that ends


def test_drain_ends_every_wait_and_other_calls_keep_working(colour: Colour) -> None:
    begun = [colour.begin() for _ in range(3)]
    held = [colour.hold(one.device_code, timeout=LONG) for one in begun]
    assert all(one.waiting for one in held)
    colour.call("drain")
    assert {one.result().state for one in held} == {State.PENDING}
    colour.call("scan", begun[0].scan_code, subject=ALICE)
    assert colour.call("status", begun[0].device_code).state is State.SCANNED
    assert (
        colour.call("wait", begun[0].device_code, after=2, timeout=LONG).state is State.SCANNED
    )  # it is not held
    colour.call("confirm", begun[0].scan_code, subject=ALICE)
    colour.call("drain")  # a second call is allowed
    assert colour.begin().state is State.PENDING


def test_a_drain_ends_few_waits_in_one_turn_of_the_event_loop() -> None:
    """So phones are answered while thousands of browsers are."""

    async def scenario() -> list[int]:
        turns = [0]

        async def wait(device_code: str) -> None:
            await qr.wait(device_code, timeout=LONG)
            turns[-1] += 1

        async with AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
            begun = [await qr.begin() for _ in range(300)]
            waiting = [asyncio.create_task(wait(each.device_code)) for each in begun]
            await asyncio.sleep(SOON)
            assert len(qr._watches) == len(waiting)
            draining = asyncio.create_task(qr.drain())
            while not all(task.done() for task in waiting):
                turns.append(0)
                await asyncio.sleep(0)
            await draining
        return turns

    turns = asyncio.run(scenario())
    assert sum(turns) == 300
    assert max(turns) <= 50


def test_a_listener_without_an_end_method_still_works() -> None:
    """An application's own store can have listeners from before `end` existed."""

    waiting = threading.Event()

    class Bare:
        def __init__(self, inner: LocalListener) -> None:
            self._inner = inner

        def wait(self, seconds: float) -> bool:
            waiting.set()
            return self._inner.wait(seconds)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *error: object) -> None:
            self._inner.__exit__(*error)

    class Old(Listening):
        def listen(self, login_id: str) -> Any:
            return Bare(super().listen(login_id))

    store = Old(Clock())
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=CALM) as qr:
        begun = qr.begin()
        held = HeldWait(lambda: qr.wait(begun.device_code, timeout=LONG), store.listened)
        assert waiting.wait(TOO_LONG)
        qr.drain()
        qr.scan(begun.scan_code, subject=ALICE)
        assert held.result().state is State.SCANNED
        assert qr.wait(begun.device_code, after=2, timeout=LONG).state is State.SCANNED


def test_a_shell_forgets_a_watch_that_has_ended() -> None:
    """`drain` ends every watch in this set, so a watch that stays would be a leak."""
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
        qr.wait(qr.begin().device_code, timeout=0)
        assert not qr._watches


# Where a wait would stop everything


def test_a_wait_inside_an_event_loop_is_refused_with_what_to_use() -> None:
    """Calls that do not wait work there, for example in a notebook."""

    async def in_a_loop() -> None:
        qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=CALM)
        begun = qr.begin()
        with pytest.raises(Misconfigured, match="use AsyncQRLogin"):
            qr.wait(begun.device_code, timeout=LONG)
        assert qr.wait(begun.device_code, timeout=0).state is State.PENDING
        waiting = asyncio.create_task(asyncio.to_thread(qr.wait, begun.device_code, timeout=LONG))
        await asyncio.sleep(SOON)
        qr.scan(begun.scan_code, subject=ALICE)
        assert (await waiting).state is State.SCANNED
        assert qr.wait(begun.device_code, timeout=LONG).state is State.SCANNED

    asyncio.run(in_a_loop())
