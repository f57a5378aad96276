"""Limits: an address and an account are slowed down, get back what they used, and share nothing.

`tests/wire/test_flood.py` shows the same at a real server, with people and a flood.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from qrlogin import (
    STANDARD,
    Begun,
    Limits,
    MemoryStore,
    Misconfigured,
    QRLogin,
    State,
    TooFast,
    TooManyBegins,
    TooManyGuesses,
    TooManyScans,
    UnknownLogin,
)
from qrlogin.allowances import LANE_AT_ONCE, LANES, TURN_SECONDS, lane_of, new_turn
from qrlogin.core import Core
from qrlogin.keys import key_ring
from qrlogin.limits import MAX_LIMIT, network_of
from qrlogin.stores import RedisStore
from qrlogin.wire import BrowserContext, Native, Request
from qrlogin.wire.endpoint import _log_once
from tests.application import ALICE, BOB, KEY, SHOWN, UNLIMITED, App, Clock
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import SPEAKERS
from tests.wire.mount import Mount, Tab, get, post, read

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
SMALL = Limits(begins=5, begins_per_minute=60, scans=3, scans_per_minute=30, waits=1)


def limited(**changes: Any) -> App:
    return App(policy=replace(STANDARD, limits=SMALL, **changes))


def granted(call: Callable[[], object], most: int = 10_000) -> tuple[int, int]:
    """How many calls in a row were granted, and the seconds that the refusal said."""
    for count in range(most):
        try:
            call()
        except TooFast as refusal:
            return count, refusal.retry_after or 0
    raise AssertionError("no call was refused")


# What counts as one address


@for_each_row(
    "address, network",
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("::FFFF:C633:6407", "198.51.100.7"),
        ("64:ff9b::198.51.100.7", "198.51.100.7"),
        ("64:ff9b:1::198.51.100.7", "0064ff9b00010000/64"),
        ("2001:db8:1:2::7", "20010db800010002/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "20010db800010002/64"),
        ("2001:db8:1:3::7", "20010db800010003/64"),
        ("fe80::1%eth0", "fe80000000000000/64"),
        ("::1", "0000000000000000/64"),
        ("a unix socket", "a unix socket"),
        ("", ""),
    ],
)
def test_an_ipv6_network_and_an_ipv4_address_within_ipv6_are_one_address(
    address: str, network: str
) -> None:
    assert network_of(address) == network


@for_each_row(
    "one, other, shared",
    [
        (HOME, ELSEWHERE, False),
        (HOME, f"::ffff:{HOME}", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_addresses_share_an_allowance_only_if_they_are_one(
    one: str, other: str, shared: bool
) -> None:
    app = limited()
    assert granted(lambda: app.begin(address=one)) == (5, 1)
    if shared:
        with pytest.raises(TooManyBegins):
            app.begin(address=other)
    else:
        assert granted(lambda: app.begin(address=other)) == (5, 1)


# The settings


@row(27, 121)
def test_limits_are_on_and_have_the_documented_values() -> None:
    assert STANDARD.limits == Limits()
    assert asdict(Limits()) == {
        "begins": 300,
        "begins_per_minute": 300,
        "scans": 60,
        "scans_per_minute": 30,
        "waits": 200,
    }


@for_each_row("name", [each.name for each in fields(Limits)])
@for_each_row("value", [0, -1, MAX_LIMIT + 1, 1.5, True, "9", None])
def test_a_limit_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(Misconfigured, match=rf"limits\.{name} must be a whole number from 1"):
        Limits(**{name: value})
    for accepted in (1, MAX_LIMIT):
        assert getattr(Limits(**{name: accepted}), name) == accepted


def test_one_setting_turns_all_limits_off() -> None:
    app = App(policy=replace(STANDARD, limits=None))
    for _ in range(400):
        begun = app.begin(address=HOME)
    for _ in range(100):
        app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A")
    with pytest.raises(Misconfigured, match=r"policy\.limits must be Limits"):
        replace(STANDARD, limits=300)  # type: ignore[arg-type]


def test_a_login_without_an_address_is_not_limited() -> None:
    app = limited()
    for _ in range(50):
        app.begin(browser="Firefox")


# Begins


@pytest.fixture(params=["memory", "redis"])
def qr(request: pytest.FixtureRequest) -> Iterator[tuple[QRLogin, Clock]]:
    clock = Clock()
    store: Any = MemoryStore(now=clock)
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        store = RedisStore.from_url(url, prefix=f"{uuid.uuid4().hex}:", now=clock)
    policy = replace(STANDARD, limits=SMALL)
    with QRLogin(
        store, secret_keys=[KEY], verification_uri="https://a.example/qr", policy=policy
    ) as made:
        yield made, clock


@row(27)
def test_what_was_used_comes_back_evenly_and_never_more(qr: tuple[QRLogin, Clock]) -> None:
    """Five at once, and one a second. A refusal takes nothing, so a flood locks no one out."""
    made, clock = qr

    def begin() -> Begun:
        return made.begin(context={"address": HOME})

    assert granted(begin) == (5, 1)
    for _ in range(20):
        with pytest.raises(TooManyBegins):
            begin()
    for milliseconds, more in ((999, 0), (1, 1), (500, 0), (2500, 3), (2000, 2), (60_000, 5)):
        clock.ms += milliseconds
        assert granted(begin)[0] == more
    clock.ms += 1
    assert granted(begin) == (0, 1)


def test_a_caller_that_waits_as_long_as_a_refusal_says_is_served() -> None:
    slow = Limits(begins=2, begins_per_minute=7, scans=2, scans_per_minute=7)
    app = App(policy=replace(STANDARD, limits=slow))
    for call in (
        lambda: app.begin(address=HOME),
        lambda: app.qr.scan(app.begin().scan_code, subject=ALICE, shown_as="A"),
    ):
        for ms in (0, 1, 4000, 8571, 8572):
            app.clock.ms += ms
            _, seconds = granted(call)
            app.clock.ms += seconds * 1000
            call()


def test_a_clock_that_is_set_back_locks_no_address_out() -> None:
    app = limited()
    assert granted(lambda: app.begin(address=HOME))[0] == 5
    app.clock.ms -= 3_600_000
    _, seconds = granted(lambda: app.begin(address=HOME))
    assert seconds <= 5


def test_the_store_is_shown_no_address_and_no_account_by_an_allowance() -> None:
    app = limited()
    begun = app.begin(address=HOME)
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A")
    taken = [command for command in app.store.commands if command.row.count]
    assert len(taken) == 2
    shown = repr(taken) + repr([command.values for command in taken])
    shown += repr([app.store.record(command.login_id) for command in taken])
    assert HOME not in shown
    assert f"'{ALICE}'" not in shown


def test_a_refused_begin_only_reads() -> None:
    app = limited()
    granted(lambda: app.begin(address=HOME))
    before = dict(app.store._records._records)
    app.store.commands.clear()
    with pytest.raises(TooManyBegins):
        app.begin(address=HOME)
    assert len(app.store.commands) == 1
    assert app.store._records._records == before


# Turns


def test_a_browser_with_a_turn_begins_while_first_requests_use_up_the_rest() -> None:
    app = App(policy=replace(STANDARD, limits=replace(SMALL, begins_per_minute=1)))

    def begin(turn: str = "") -> Begun:
        return app.qr.run(app.qr.core.begin(context={"address": HOME}, turn=turn))

    granted(begin)
    turns = []
    for _ in range(50):
        with pytest.raises(TooManyBegins) as refusal:
            begin()
        turns.append(refusal.value.turn)
    for turn in turns:
        begin(turn)
    with pytest.raises(TooManyBegins):
        begin()
    assert len(set(turns)) == 50


def test_a_flood_with_one_turn_uses_up_one_lane_and_gets_no_other_turn() -> None:
    (key,) = key_ring([KEY], "example.com")
    app = limited()
    turn = new_turn(key, HOME)

    def begin(turn: str) -> Begun:
        return app.qr.run(app.qr.core.begin(context={"address": HOME}, turn=turn))

    assert granted(lambda: begin(turn))[0] == LANE_AT_ONCE
    with pytest.raises(TooManyBegins) as refusal:
        begin(turn)
    assert refusal.value.turn == ""
    others = [new_turn(key, HOME) for _ in range(40)]
    for other in others:
        if lane_of(key, HOME, other) != lane_of(key, HOME, turn):
            begin(other)
    assert 1 < len({lane_of(key, HOME, other) for other in others}) <= LANES


def test_a_turn_keeps_no_browser_waiting_for_longer_than_its_cookie_lives() -> None:
    """A lane of a small allowance refills slowly. Without its cookie, the browser has another."""
    (key,) = key_ring([KEY], "example.com")
    app = App(policy=replace(STANDARD, limits=replace(SMALL, begins_per_minute=10)))
    turn = new_turn(key, HOME)

    def begin(turn: str) -> Begun:
        return app.qr.run(app.qr.core.begin(context={"address": HOME}, turn=turn))

    granted(lambda: begin(""))
    assert granted(lambda: begin(turn)) == (LANE_AT_ONCE, TURN_SECONDS)
    app.clock.ms += TURN_SECONDS * 1000
    begin("")


@for_each_row("wrong", ["", "x", "A" * 22 + "." + "A" * 43, "cut", "another network"])
def test_a_turn_of_another_network_or_of_no_application_is_no_turn(wrong: str) -> None:
    (key,) = key_ring([KEY], "example.com")
    turn = {"cut": new_turn(key, HOME)[:-1], "another network": new_turn(key, ELSEWHERE)}
    assert lane_of(key, HOME, turn.get(wrong, wrong)) == ""
    assert lane_of(key, HOME, new_turn(key, HOME)) != ""


@row(27)
@pytest.mark.matrix
def test_one_address_with_all_its_turns_has_fewer_records_than_the_documentation_says() -> None:
    """It takes what it can get, every ten seconds, for longer than a record lives."""
    app = App(policy=STANDARD)
    (key,) = key_ring([KEY], "example.com")
    turns = {lane_of(key, HOME, turn): turn for turn in (new_turn(key, HOME) for _ in range(1500))}
    assert len(turns) == LANES

    def begin(turn: str) -> Begun:
        return app.qr.run(app.qr.core.begin(context={"address": HOME}, turn=turn))

    most = 0
    for _ in range(60):
        for turn in ("", *turns.values()):
            granted(lambda turn=turn: begin(turn))  # type: ignore[misc]
        held = app.store._records
        most = max(most, len(held._records) - len(held._counters))
        app.clock.ms += 10_000
    assert 4500 < most < 6500


# Scans


@row(10, 114, 121, 405)
def test_an_account_is_slowed_down_and_its_decisions_are_not() -> None:
    app = limited()
    logins = [app.begin() for _ in range(4)]

    def scan(begun: Begun, who: str = ALICE) -> Any:
        return app.qr.scan(begun.scan_code, subject=who, shown_as=SHOWN[who])

    for begun in logins[:3]:
        scan(begun)
    with pytest.raises(TooManyScans) as refusal:
        scan(logins[3])
    assert refusal.value.retry_after == 2
    assert scan(logins[3], BOB).state is State.SCANNED  # another account is not slowed
    app.qr.confirm(logins[0].scan_code, subject=ALICE)
    app.qr.deny(logins[1].scan_code, subject=ALICE)
    app.qr.release(logins[2].scan_code, subject=ALICE)
    app.clock.ms += 2000
    scan(logins[2])


@row(10)
def test_an_account_holds_no_more_logins_than_the_documentation_says() -> None:
    """60 at once and 30 a minute, each for the 90 seconds of `decide_window`: 105."""
    app = App(policy=STANDARD)
    held = list[Begun]()
    most = 0
    for _ in range(400):
        begun = app.begin()
        try:
            app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A")
            held.append(begun)
        except TooManyScans:
            app.clock.ms += 1000
        states = [app.store.record(each.login_id) for each in held]
        now = app.clock.ms
        most = max(most, sum(int(each["decide_by"]) > now for each in states if each))
    assert 95 < most <= 60 + 45


@row(58)
@for_each_row("verb", ["confirm", "deny", "release"])
def test_a_spent_guesser_stops_costing_look_ups_after_a_while(verb: str) -> None:
    app = App(policy=replace(UNLIMITED, user_codes=True))
    costs = []
    for _ in range(110):
        app.store.commands.clear()
        with pytest.raises((UnknownLogin, TooManyGuesses)):
            getattr(app.qr, verb)("BBBB-BBBB", subject=ALICE)
        costs.append([command.row.name for command in app.store.commands])
    assert "look up" in costs[99]
    assert {tuple(each) for each in costs[100:]} == {("may guess",)}
    app.clock.ms += app.policy.guess_window * 1000
    with pytest.raises(UnknownLogin):
        getattr(app.qr, verb)("BBBB-BBBB", subject=ALICE)


# Over HTTP

#: The request that begins a login in each dialect.
BEGINNINGS = {
    "native": post("begin"),
    "wechat": get("jslogin", "appid=wx782c26e4c19acffb&fun=new&lang=en_US"),
    "wechat_open": get(
        "connect/qrconnect", "appid=demo&response_type=code&scope=snsapi_login&state=s"
    ),
    "taobao": get("qrcodelogin/generateQRCode4Login.do", "from=tb&callback=jsonp31"),
    "newlogin": get("newlogin/qrcode/generate.do", "appName=demo"),
    "rfc8628": Request(
        "POST",
        "device_authorization",
        headers=(("content-type", "application/x-www-form-urlencoded"),),
        body=b"client_id=demo",
    ),
    "bilibili": get("x/passport-login/web/qrcode/generate"),
    "jd": get("show", "appid=133&size=147"),
}


@row(27, 121, 405, 428)
@for_each_row("name", sorted(SPEAKERS))
@for_each_row("colour", ["sync", "async"])
def test_every_dialect_answers_429_and_says_when_to_ask_again(
    name: str, colour: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _log_once.cache_clear()
    caplog.clear()
    describe = BrowserContext(address=lambda _: HOME)
    policy = replace(STANDARD, user_codes=True, limits=SMALL)
    make: Any = SPEAKERS[name]
    with Mount(colour, policy=policy, make=lambda core: make(core, describe=describe)) as mount:
        request = BEGINNINGS[name]
        answers = [mount.browser(request) for _ in range(6)]
        assert [answer.status for answer in answers[:5]] == [answers[0].status] * 5
        assert answers[5].status == 429
        assert ("Retry-After", "1") in answers[5].headers
        for option in ("proxies=1", "address=...", "QRLOGIN_PROXIES", "PROXIES in QRLOGIN"):
            assert option in caplog.text
        if name == "rfc8628":
            assert read(answers[5])["error"] == "slow_down"
            return
        (turn,) = answers[5].cookies
        assert turn.httponly
        assert turn.secure
        again = replace(request, headers=(*request.headers, ("cookie", f"{turn.key}={turn.value}")))
        assert mount.browser(again).status == answers[0].status


@row(26, 28)
@for_each_row("colour", ["sync", "async"])
def test_an_address_holds_at_most_half_of_the_slots_and_its_other_browsers_poll(
    colour: Any,
) -> None:
    policy = replace(STANDARD, limits=replace(SMALL, begins=100, waits=200))

    def make(core: Core) -> Native:
        return Native(
            core,
            describe=BrowserContext(
                address=lambda request: next(iter(request.all("x-address")), None)
            ),
        )

    with Mount(colour, policy=policy, make=make, max_waiting=4) as mount:
        slots = mount.endpoint._slots
        at_home, elsewhere = ("x-address", HOME), ("x-address", ELSEWHERE)
        for _ in range(2):
            assert slots.acquire(HOME, 200)  # two browsers of that address wait already
        tab = Tab(mount)
        tab.begin()
        unheld = tab.send(get(tab.login_id, "wait=1", at_home))
        assert (unheld.status, read(unheld)["retry_after"]) == (200, 2)
        stream = tab.send(get(f"{tab.login_id}/events", "", at_home))
        assert (stream.status, read(stream)["error"]) == (429, "too_many_waits")
        assert ("Retry-After", "2") in stream.headers
        held = tab.send(get(tab.login_id, "wait=1", elsewhere))
        assert "retry_after" not in read(held)
        slots.release(HOME)
        held = tab.send(get(tab.login_id, "wait=1", at_home))
        assert "retry_after" not in read(held)
        slots.release(HOME)
        assert slots._held == {}
        assert len(slots._free) == 4
