"""While the application pauses logins, none begins, and those that have begun go on."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from qrlogin import STANDARD, MemoryStore, QRLogin
from qrlogin.wire import Endpoint
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import (
    SPEAKERS,
    TYPED,
    InProcessClient,
    NativeClient,
    client,
)
from tests.wire.mount import HISTORIES, KEY, URI, Colour, Mount, Tab, post, reach, read

REFUSAL = {
    "error": "paused",
    "error_description": "Login by phone is paused. Log in another way, or try again later.",
    "retry_after": 60,
}


class Switch:
    """An operator's switch, which counts how often it was asked, and from which thread."""

    def __init__(self) -> None:
        self.is_on, self.threads = False, list[int]()

    def __call__(self) -> bool:
        self.threads.append(threading.get_ident())
        return self.is_on


class AwaitedSwitch(Switch):
    async def __call__(self) -> bool:  # type: ignore[override]  # the other colour
        await asyncio.sleep(0)
        return super().__call__()


@pytest.fixture(params=["blocking", "async with a plain switch", "async"])
def switch_and_mount(request: pytest.FixtureRequest) -> Iterator[tuple[Switch, Mount]]:
    switch = AwaitedSwitch() if request.param == "async" else Switch()
    colour: Colour = "sync" if request.param == "blocking" else "async"
    with Mount(colour, paused=switch) as mount:
        yield switch, mount


def test_a_paused_begin_is_refused_before_the_store_is_asked(
    switch_and_mount: tuple[Switch, Mount],
) -> None:
    switch, mount = switch_and_mount
    switch.is_on = True
    refused = Tab(mount).send(post("begin"))
    assert (refused.status, read(refused)) == (503, REFUSAL)
    assert dict(refused.headers)["Retry-After"] == "60"
    assert refused.cookies == ()
    assert mount.store.calls == [], "not even an allowance is used"
    switch.is_on = False
    assert Tab(mount).begin().status == 201


@pytest.mark.parametrize("history", ["pending", "scanned", "confirmed"])
def test_a_login_that_has_begun_goes_on_while_logins_are_paused(
    switch_and_mount: tuple[Switch, Mount], history: str
) -> None:
    switch, mount = switch_and_mount
    tab = reach(mount, history)
    asked, switch.is_on = len(switch.threads), True
    for verb in ("scan", "confirm")[len(HISTORIES[history]) :]:
        assert tab.phone(verb).status == 200
    assert tab.redeem().status == 200
    assert len(switch.threads) == asked, "only a begin asks"


def test_a_plain_switch_of_an_async_endpoint_may_block_because_it_runs_in_a_thread() -> None:
    for switch, runs_here in ((Switch(), False), (AwaitedSwitch(), True)):
        with Mount("async", paused=switch) as mount:  # the loop runs in this thread
            assert Tab(mount).begin().status == 201
        assert [each == threading.get_ident() for each in switch.threads] == [runs_here]


@for_each_row("kind", sorted(SPEAKERS))
def test_a_pause_refuses_the_begin_of_each_dialect(kind: str) -> None:
    """Whether its first command takes from an allowance, reserves a typed code or begins."""
    for limits in (STANDARD.limits, None):
        policy, store, switch = replace(TYPED, limits=limits), MemoryStore(), Switch()
        with QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=policy) as qr:
            make: Any = SPEAKERS[kind]
            dialect = make(qr.core, describe=lambda _: {"address": "203.0.113.7"})
            endpoint = Endpoint(qr, dialect, max_waiting=1, paused=switch)
            player = client(kind)
            player.client = InProcessClient(endpoint.browser)
            if isinstance(player, NativeClient):
                player.below = ""
            switch.is_on = True
            with suppress(Exception):  # a client that fails without a code
                player.begin()
            assert len(switch.threads) == 1
            assert not store._records._records
            switch.is_on = False
            player.begin()
            assert store._records._records
