"""Over real stores, a lost reply neither loses nor doubles an event, and the events are the history
of the login.
"""

import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qrlogin import (
    STANDARD,
    AlreadyRedeemed,
    AsyncMemoryStore,
    Event,
    LoginError,
    MemoryStore,
    QRLogin,
    Redeemed,
    Unavailable,
)
from qrlogin.operation import Operation
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite.colours import PATIENCE, Awaited, Blocking, Colour
from qrlogin.stores.suite.stories import every_way
from qrlogin.table import State
from tests.application import ALICE, BOB, KEY, SHOWN, URI
from tests.stores.fault_proxy import Proxy
from tests.stores.redis_records import load_scripts
from tests.stores.redis_world import Stores, both_colours

NAMES: Final = {
    "scan": "scanned",
    "release": "released",
    "confirm": "confirmed",
    "deny": "denied",
    "cancel": "cancelled",
    "redeem": "redeemed",
}
STATES: Final = {
    "begun": "pending",
    "released": "pending",
}  # the other events are named after the state that they lead to
CALLERS: Final = 64


class EventRecorder:
    """A `QRLogin` of any colour with blocking methods, and the events that its application
    received.
    """

    def __init__(self, colour: Colour, make: Any) -> None:
        self.events: list[Event] = []

        async def awaited(event: Event) -> None:
            self.events.append(event)

        options = {
            "secret_keys": [KEY],
            "verification_uri": URI,
            "policy": replace(STANDARD, user_codes=True, limits=None),
            "on_event": awaited if isinstance(colour, Awaited) else self.events.append,
        }
        self.qr: QRLogin = colour.open(make, options, lambda login_id: None)[0]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def call(
        self, event: str, begun: Any, who: str = ALICE, op: str | None = None
    ) -> Operation[Any]:
        core, code = self.qr.core, begun.scan_code
        if event == "scan":
            return core.scan(code, subject=who, shown_as=SHOWN[who])
        if event == "cancel":
            return core.cancel(core.read_device_code(begun.device_code))
        if event == "redeem":
            scanner = self.qr.status(begun.device_code).scanned_by
            return core.redeem(
                core.read_device_code(begun.device_code),
                acknowledged=scanner.tag if scanner else "",
                op=op,
            )
        decide: Operation[Any] = getattr(core, event)(code, subject=who)
        return decide


@contextmanager
def recorder_over(stores: Any, url: str | None = None) -> Iterator[EventRecorder]:
    colour: Colour = Awaited() if stores in (AsyncRedisStore, AsyncMemoryStore) else Blocking()
    prefix = f"{uuid.uuid4().hex}:"
    recorder = EventRecorder(
        colour,
        stores if url is None else lambda: stores.from_url(url, prefix=prefix, timeout=PATIENCE),
    )
    try:
        yield recorder
    finally:
        recorder.qr.close()
        colour.close()


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    load_scripts(redis_url)
    with Proxy(urlsplit(redis_url).port or 6379) as proxy:
        yield proxy


# Lost replies


@both_colours
@every_way
def test_a_lost_reply_neither_loses_nor_doubles_an_event(
    proxy: Proxy, stores: Stores, way: Sequence[str]
) -> None:
    """The store resends the command itself. The verdict "repeated" means this call's own change."""
    expected = ["begun", *(NAMES[event] for event in way)]
    for lost in (1, 2):
        with recorder_over(stores, proxy.url) as recorder:
            begun = recorder.qr.begin()
            for event in way[:-1]:
                recorder.qr.run(recorder.call(event, begun))
            operation, before = recorder.call(way[-1], begun), proxy.lost
            proxy.losing = lost
            if lost == 2:  # the store gave up, and the outcome is unknown
                with pytest.raises(Unavailable):
                    recorder.qr.run(operation)
                assert recorder.names == expected[:-1]
            for _ in range(2):
                recorder.qr.run(operation)
            assert proxy.lost == before + lost
            assert recorder.names == expected
            assert [event.version for event in recorder.events] == list(range(1, len(expected) + 1))


@both_colours
def test_a_repeated_begin_after_a_lost_reply_emits_one_event(proxy: Proxy, stores: Stores) -> None:
    with recorder_over(stores, proxy.url) as recorder:
        proxy.losing = 1
        begun = recorder.qr.begin(user_code=True)
        assert [(event.name, event.login_id) for event in recorder.events] == [
            ("begun", begun.login_id)
        ]


@both_colours
@pytest.mark.parametrize(
    "lost", [1, 2, 3, 4], ids=["the guess", "the lookup", "the scan", "the right guess"]
)
def test_a_typed_scan_emits_one_event_whichever_of_its_replies_is_lost(
    proxy: Proxy, stores: Stores, lost: int
) -> None:
    with recorder_over(stores, proxy.url) as recorder:
        begun = recorder.qr.begin(user_code=True)
        operation: Operation[Any] | None = recorder.qr.core.scan(
            begun.user_code, subject=ALICE, shown_as=SHOWN[ALICE]
        )
        before, step = proxy.lost, 0
        genuine = Operation.resume

        def counting(self: Operation[Any], reply: Any, *, with_event: bool = True) -> Any:
            nonlocal step
            step += 1
            proxy.losing = int(step == lost - 1)
            return genuine(self, reply, with_event=with_event)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Operation, "resume", counting)
            proxy.losing = int(lost == 1)
            assert operation is not None
            recorder.qr.run(operation)
        assert (proxy.lost - before, step) == (1, 4)
        assert recorder.names == ["begun", "scanned"]


# Any sequence

ACTS = st.tuples(
    st.sampled_from([*NAMES, "again", "look"]), st.sampled_from([ALICE, BOB]), st.integers(0, 5)
)


def play(recorder: EventRecorder, acts: Sequence[tuple[str, str, int]]) -> None:
    """One login and any sequence of calls. After each call, the last event is the state of the
    login.
    """
    recorder.events.clear()
    begun, calls = recorder.qr.begin(user_code=True), list[Operation[Any]]()
    for act, who, number in acts:
        if act == "look":
            recorder.qr.status(begun.device_code)
        elif act == "again" and not calls:
            continue
        else:
            again = calls[-1 - number % len(calls)] if act == "again" else None
            calls.append(again or recorder.call(act, begun, who, f"op-of-click-{number:06}"))
            with suppress(LoginError):
                recorder.qr.run(calls[-1])
        seen = recorder.qr.status(begun.device_code)
        assert [event.version for event in recorder.events] == list(range(1, seen.version + 1))
        assert STATES.get(recorder.names[-1], recorder.names[-1]) == seen.state
        assert [event.at_ms for event in recorder.events] == sorted(
            event.at_ms for event in recorder.events
        )


@settings(max_examples=150)
@given(st.lists(ACTS, max_size=12))
def test_the_last_event_is_the_state_of_the_login_in_memory(
    acts: list[tuple[str, str, int]],
) -> None:
    with recorder_over(MemoryStore) as recorder:
        play(recorder, acts)


@pytest.fixture(params=[RedisStore, AsyncRedisStore], ids=["sync", "async"])
def shared_recorder(request: pytest.FixtureRequest, redis_url: str) -> Iterator[EventRecorder]:
    with recorder_over(request.param, redis_url) as recorder:
        yield recorder


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, max_size=12))
def test_the_last_event_is_the_state_of_the_login_in_redis(
    shared_recorder: EventRecorder, acts: list[tuple[str, str, int]]
) -> None:
    play(shared_recorder, acts)


# At the same time


@pytest.mark.parametrize("stores", [MemoryStore, AsyncMemoryStore, RedisStore, AsyncRedisStore])
def test_of_many_redeems_at_once_one_emits_an_event(
    request: pytest.FixtureRequest, stores: Any
) -> None:
    url = request.getfixturevalue("redis_url") if stores in (RedisStore, AsyncRedisStore) else None
    with recorder_over(stores, url) as recorder, ThreadPoolExecutor(CALLERS) as threads:
        for one_operation in (False, True):
            recorder.events.clear()
            begun, start = recorder.qr.begin(), threading.Barrier(CALLERS)
            for event in ("scan", "confirm"):
                recorder.qr.run(recorder.call(event, begun))
            same = recorder.call("redeem", begun)
            calls = [
                same if one_operation else recorder.call("redeem", begun) for _ in range(CALLERS)
            ]

            def redeem(call: Operation[Redeemed], start: threading.Barrier = start) -> type:
                start.wait(PATIENCE)
                try:
                    return type(recorder.qr.run(call))
                except AlreadyRedeemed as refused:
                    return type(refused)

            outcomes = list(threads.map(redeem, calls))
            assert outcomes.count(Redeemed) == (CALLERS if one_operation else 1)
            assert recorder.names == ["begun", "scanned", "confirmed", "redeemed"]
            assert recorder.qr.status(begun.device_code).state is State.REDEEMED
