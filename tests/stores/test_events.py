"""Events over real stores: a lost reply costs none and doubles none, and told one after the other they are what happened."""

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
}  # the others are called as the state that they lead to
CALLERS: Final = 64


class Desk:
    """A `QRLogin` with blocking methods, whatever its colour, and what its application was told."""

    def __init__(self, colour: Colour, make: Any) -> None:
        self.told: list[Event] = []

        async def awaited(event: Event) -> None:
            self.told.append(event)

        options = {
            "secret_keys": [KEY],
            "verification_uri": URI,
            "policy": replace(STANDARD, user_codes=True),
            "on_event": awaited if isinstance(colour, Awaited) else self.told.append,
        }
        self.qr: QRLogin = colour.open(make, options, lambda login_id: None)[0]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.told]

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
def desk_of(stores: Any, url: str | None = None) -> Iterator[Desk]:
    colour: Colour = Awaited() if stores in (AsyncRedisStore, AsyncMemoryStore) else Blocking()
    prefix = f"{uuid.uuid4().hex}:"
    desk = Desk(
        colour,
        stores if url is None else lambda: stores.from_url(url, prefix=prefix, timeout=PATIENCE),
    )
    try:
        yield desk
    finally:
        desk.qr.close()
        colour.close()


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(redis_url).port or 6379) as proxy:
        yield proxy


# Lost replies


@both_colours
@every_way
def test_a_lost_reply_neither_loses_nor_doubles_an_event(
    proxy: Proxy, stores: Stores, way: Sequence[str]
) -> None:
    """The store asks again by itself and is told "repeated": that is this call's own change, and its event."""
    expected = ["begun", *(NAMES[event] for event in way)]
    for lost in (1, 2):
        with desk_of(stores, proxy.url) as desk:
            begun = desk.qr.begin()
            for event in way[:-1]:
                desk.qr.run(desk.call(event, begun))
            operation, before = desk.call(way[-1], begun), proxy.lost
            proxy.losing = lost
            if lost == 2:  # it gave up, and nobody knows whether it happened
                with pytest.raises(Unavailable):
                    desk.qr.run(operation)
                assert desk.names == expected[:-1]
            for _ in range(2):
                desk.qr.run(operation)
            assert proxy.lost == before + lost
            assert desk.names == expected
            assert [event.version for event in desk.told] == list(range(1, len(expected) + 1))


@both_colours
def test_a_repeated_begin_after_a_lost_reply_emits_one_event(proxy: Proxy, stores: Stores) -> None:
    with desk_of(stores, proxy.url) as desk:
        proxy.losing = 1
        begun = desk.qr.begin(user_code=True)
        assert [(event.name, event.login_id) for event in desk.told] == [("begun", begun.login_id)]


@both_colours
@pytest.mark.parametrize(
    "lost", [1, 2, 3, 4], ids=["the guess", "the lookup", "the scan", "the right guess"]
)
def test_a_typed_scan_emits_one_event_whichever_of_its_replies_is_lost(
    proxy: Proxy, stores: Stores, lost: int
) -> None:
    with desk_of(stores, proxy.url) as desk:
        begun = desk.qr.begin(user_code=True)
        operation: Operation[Any] | None = desk.qr.core.scan(
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
            desk.qr.run(operation)
        assert (proxy.lost - before, step) == (1, 4)
        assert desk.names == ["begun", "scanned"]


# Any sequence

ACTS = st.tuples(
    st.sampled_from([*NAMES, "again", "look"]), st.sampled_from([ALICE, BOB]), st.integers(0, 5)
)


def play(desk: Desk, acts: Sequence[tuple[str, str, int]]) -> None:
    """One login, whatever its people do; after each call the events that were told, folded, are where the login stands."""
    desk.told.clear()
    begun, calls = desk.qr.begin(user_code=True), list[Operation[Any]]()
    for act, who, number in acts:
        if act == "look":
            desk.qr.status(begun.device_code)
        elif act == "again" and not calls:
            continue
        else:
            again = calls[-1 - number % len(calls)] if act == "again" else None
            calls.append(again or desk.call(act, begun, who, f"op-of-click-{number:06}"))
            with suppress(LoginError):
                desk.qr.run(calls[-1])
        seen = desk.qr.status(begun.device_code)
        assert [event.version for event in desk.told] == list(range(1, seen.version + 1))
        assert STATES.get(desk.names[-1], desk.names[-1]) == seen.state
        assert [event.at_ms for event in desk.told] == sorted(event.at_ms for event in desk.told)


@settings(max_examples=150)
@given(st.lists(ACTS, max_size=12))
def test_the_events_are_what_happened_in_memory(acts: list[tuple[str, str, int]]) -> None:
    with desk_of(MemoryStore) as desk:
        play(desk, acts)


@pytest.fixture(params=[RedisStore, AsyncRedisStore], ids=["sync", "async"])
def shared_desk(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Desk]:
    with desk_of(request.param, redis_url) as desk:
        yield desk


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, max_size=12))
def test_the_events_are_what_happened_in_redis(
    shared_desk: Desk, acts: list[tuple[str, str, int]]
) -> None:
    play(shared_desk, acts)


# At the same time


@pytest.mark.parametrize("stores", [MemoryStore, AsyncMemoryStore, RedisStore, AsyncRedisStore])
def test_of_many_redeems_at_once_one_emits_an_event(
    request: pytest.FixtureRequest, stores: Any
) -> None:
    url = request.getfixturevalue("redis_url") if stores in (RedisStore, AsyncRedisStore) else None
    with desk_of(stores, url) as desk, ThreadPoolExecutor(CALLERS) as threads:
        for one_operation in (False, True):
            desk.told.clear()
            begun, start = desk.qr.begin(), threading.Barrier(CALLERS)
            for event in ("scan", "confirm"):
                desk.qr.run(desk.call(event, begun))
            same = desk.call("redeem", begun)
            calls = [same if one_operation else desk.call("redeem", begun) for _ in range(CALLERS)]

            def redeem(call: Operation[Redeemed], start: threading.Barrier = start) -> type:
                start.wait(PATIENCE)
                try:
                    return type(desk.qr.run(call))
                except AlreadyRedeemed as refused:
                    return type(refused)

            told = list(threads.map(redeem, calls))
            assert told.count(Redeemed) == (CALLERS if one_operation else 1)
            assert desk.names == ["begun", "scanned", "confirmed", "redeemed"]
            assert desk.qr.status(begun.device_code).state is State.REDEEMED
