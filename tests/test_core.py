"""Each call of the core has its documented outcome at each point of a login."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

import qrlogin
from qrlogin import (
    STANDARD,
    AlreadyRedeemed,
    AlreadyScanned,
    BadArgument,
    Begun,
    Cancelled,
    Denied,
    Expired,
    InvalidCode,
    LoginError,
    MatchCodeNeeded,
    NotYours,
    QRLoginError,
    RecordForged,
    RecordLost,
    Redeemed,
    ScannerChanged,
    State,
    Superseded,
    TooFast,
    TooManyBegins,
    TooManyGuesses,
    TooManyScans,
    Unavailable,
    UnknownLogin,
    WrongMatchCode,
    WrongState,
    codes,
    seals,
)
from qrlogin.arguments import CONTEXT_BYTES, NAME_BYTES, SHOWN_AS_BYTES, SUBJECT_BYTES
from qrlogin.step import Reply, Verdict, number
from tests.application import (
    ALICE,
    BOB,
    NOON,
    OP,
    OTHER_OP,
    SHOWN,
    TO_END,
    TO_SCAN,
    App,
    answer_of,
)
from tests.security_rows import row
from tests.tables import for_each_row

# 1. Every call at every point

Call = Callable[[App, Begun, str], Any]
CALLS: Mapping[str, Call] = {
    "status": lambda app, begun, tag: app.qr.status(begun.device_code),
    "cancel": lambda app, begun, tag: app.qr.cancel(begun.device_code),
    "redeem": lambda app, begun, tag: app.qr.redeem(
        begun.device_code, acknowledged=tag, op=OTHER_OP
    ),
    "redeem blindly": lambda app, begun, tag: app.qr.redeem(
        begun.device_code, acknowledged="", op=OTHER_OP
    ),
    "alice scans": lambda app, begun, tag: app.qr.scan(
        begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE]
    ),
    "bob scans": lambda app, begun, tag: app.qr.scan(
        begun.scan_code, subject=BOB, shown_as=SHOWN[BOB]
    ),
    "alice releases": lambda app, begun, tag: app.qr.release(begun.scan_code, subject=ALICE),
    "bob releases": lambda app, begun, tag: app.qr.release(begun.scan_code, subject=BOB),
    "alice confirms": lambda app, begun, tag: app.qr.confirm(begun.scan_code, subject=ALICE),
    "bob confirms": lambda app, begun, tag: app.qr.confirm(begun.scan_code, subject=BOB),
    "alice denies": lambda app, begun, tag: app.qr.deny(begun.scan_code, subject=ALICE),
    "bob denies": lambda app, begun, tag: app.qr.deny(begun.scan_code, subject=BOB),
    "a landing": lambda app, begun, tag: [
        app.qr.land(begun.scan_code),
        app.qr.status(begun.device_code),
    ][-1],
    "alice looks": lambda app, begun, tag: app.qr.look(begun.scan_code, subject=ALICE),
    "bob looks": lambda app, begun, tag: app.qr.look(begun.scan_code, subject=BOB),
    "alice asks for the outcome": lambda app, begun, tag: app.qr.outcome(
        begun.scan_code, subject=ALICE
    ),
    "bob asks for the outcome": lambda app, begun, tag: app.qr.outcome(
        begun.scan_code, subject=BOB
    ),
}
P, S, C, R, D, X, E = (
    State.PENDING,
    State.SCANNED,
    State.CONFIRMED,
    State.REDEEMED,
    State.DENIED,
    State.CANCELLED,
    State.EXPIRED,
)
POINTS = (
    "pending",
    "scanned",
    "confirmed",
    "redeemed",
    "denied",
    "cancelled",
    "expired",
    "late scanned",
    "late confirmed",
    "gone",
    "long gone",
)
#: The outcome of each call at each point: a state or an error. Alice is the one who scanned.
OUTCOMES: Mapping[str, tuple[State | type[QRLoginError], ...]] = {
    "status": (P, S, C, R, D, X, E, E, E, RecordLost, E),
    "cancel": (X, X, X, AlreadyRedeemed, Denied, X, Expired, Expired, Expired, RecordLost, Expired),
    "redeem": (
        WrongState, WrongState, R, AlreadyRedeemed, Denied, Cancelled, Expired, Expired, Expired,
        RecordLost, Expired,
    ),
    "redeem blindly": (
        WrongState, WrongState, ScannerChanged, AlreadyRedeemed, Denied, Cancelled,
        *[Expired] * 3, RecordLost, Expired,
    ),
    "a landing": (P, *[WrongState] * 2, AlreadyRedeemed, Denied, Cancelled, *[Expired] * 5),
    "alice looks": (P, S, C, R, Denied, Cancelled, Expired, E, E, Expired, Expired),
    "bob looks": (
        P, AlreadyScanned, AlreadyScanned, AlreadyScanned, Denied, Cancelled, *[Expired] * 5,
    ),
    "alice scans": (S, S, C, R, Denied, Cancelled, Expired, E, E, Expired, Expired),
    "bob scans": (
        S, AlreadyScanned, AlreadyScanned, AlreadyScanned, Denied, Cancelled, *[Expired] * 5,
    ),
    "alice releases": (
        NotYours, P, WrongState, AlreadyRedeemed, Denied, NotYours, NotYours, Expired, Expired,
        UnknownLogin, UnknownLogin,
    ),
    "alice confirms": (
        NotYours, C, C, R, Denied, NotYours, NotYours, Expired, E, UnknownLogin, UnknownLogin,
    ),
    "alice denies": (
        NotYours, D, D, AlreadyRedeemed, D, NotYours, NotYours, Expired, Expired, UnknownLogin,
        UnknownLogin,
    ),
    "alice asks for the outcome": (
        NotYours, S, C, R, D, NotYours, NotYours, E, E, UnknownLogin, UnknownLogin,
    ),
    "bob releases": (*[NotYours] * 9, UnknownLogin, UnknownLogin),
    "bob confirms": (*[NotYours] * 9, UnknownLogin, UnknownLogin),
    "bob denies": (*[NotYours] * 9, UnknownLogin, UnknownLogin),
    "bob asks for the outcome": (*[NotYours] * 9, UnknownLogin, UnknownLogin),
}  # fmt: skip


def reach(point: str) -> tuple[App, Begun, str]:
    app = App()
    if point in ("gone", "long gone"):
        begun, tag = app.reach(State.SCANNED)
        app.store.forge(begun.login_id, None)
        app.clock.ms += TO_END * 1000 - (point == "gone")
    elif point.startswith("late"):
        begun, tag = app.reach(State(point.removeprefix("late ")))
        app.clock.ms += TO_END * 1000
    else:
        begun, tag = app.reach(State(point))
    return app, begun, tag


@row(307)
@for_each_row("point", POINTS)
@for_each_row("call", CALLS)
def test_each_call_has_its_documented_outcome_at_each_point(call: str, point: str) -> None:
    app, begun, tag = reach(point)
    before = app.store.record(begun.login_id)
    expected = OUTCOMES[call][POINTS.index(point)]
    if isinstance(expected, State):
        answer = CALLS[call](app, begun, tag)
        assert answer.login_id == begun.login_id
        assert (State.REDEEMED if isinstance(answer, Redeemed) else answer.state) is expected
    else:
        with pytest.raises(expected) as refusal:
            CALLS[call](app, begun, tag)
        assert type(refusal.value) is expected
        assert app.store.record(begun.login_id) == before, "refused, and yet it left a trace"


def test_every_login_error_is_raised_in_some_situation() -> None:
    """Forged records, bad codes, waits, fast polls, guesses, limits and digits have own tests."""
    raised = {each for row in OUTCOMES.values() for each in row if not isinstance(each, State)}
    elsewhere = {InvalidCode, RecordForged, Superseded, TooFast, TooManyGuesses}
    elsewhere |= {TooManyBegins, TooManyScans, MatchCodeNeeded, WrongMatchCode}
    every_error = {
        one
        for one in vars(qrlogin).values()
        if isinstance(one, type) and issubclass(one, LoginError) and one is not LoginError
    }
    assert raised | elsewhere == every_error


@row(30)
def test_a_stranger_gets_the_same_error_in_every_state() -> None:
    """Unknown, foreign, scanned by another, ended: status, code and text are the same."""
    answers = set()
    for point in POINTS:
        for call in ("bob releases", "bob confirms", "bob denies", "bob asks for the outcome"):
            app, begun, tag = reach(point)
            with pytest.raises(UnknownLogin) as refusal:
                CALLS[call](app, begun, tag)
            answers.add(
                (refusal.value.http_status, refusal.value.wire_code, refusal.value.wire_text)
            )
    for family in (UnknownLogin, InvalidCode, NotYours, RecordForged, RecordLost):
        answers.add((family.http_status, family.wire_code, family.wire_text))
    assert answers == {(404, "unknown_login", "There is no such login. Show a new code.")}


# 2. Time, to the millisecond

LIVES = {State.PENDING: TO_SCAN * 1000, State.SCANNED: 90_000, State.CONFIRMED: 30_000}


@pytest.mark.parametrize("state", LIVES)
def test_a_login_expires_at_the_exact_millisecond_and_expires_in_is_never_0_before(
    state: State,
) -> None:
    app = App()
    begun, _ = app.reach(state)
    dies = app.clock.ms + LIVES[state]
    for left in (1, 2, 999, 1000, 1001, 1999, 2000, 29_999, LIVES[state]):
        app.clock.ms = dies - left
        seen = app.qr.status(begun.device_code)
        assert (seen.state, seen.expires_in) == (state, -(-left // 1000))
        assert seen.expires_in > 0
    for late in (0, 1, 10_000):
        app.clock.ms = dies + late
        seen = app.qr.status(begun.device_code)
        assert (seen.state, seen.expires_in, seen.scan_code, seen.scanned_by) == (
            State.EXPIRED,
            0,
            "",
            None,
        )


@pytest.mark.parametrize("seconds", [1, 60, 350])
def test_each_step_starts_its_own_window_by_the_stores_clock(seconds: int) -> None:
    """However late the scan and the approval come, the person and the browser have all their time,
    and the login ends with its signed end.
    """
    app = App()
    begun = app.qr.begin(lifetime=seconds)
    assert (begun.code_expires_in, begun.expires_in) == (seconds, seconds + 100)
    to_scan = seconds + 100
    app.clock.ms += to_scan * 1000 - 1
    landing = seals.landing(app.device(begun).key, begun.login_id)
    scanned = app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A", landing=landing)
    assert scanned.expires_in == app.qr.status(begun.device_code).expires_in == 90
    app.clock.ms += 89_999
    assert app.qr.confirm(begun.scan_code, subject=ALICE).expires_in == 30
    app.clock.ms += 29_999
    assert app.clock.ms < app.device(begun).ends_at == NOON + (to_scan + 90 + 30) * 1000
    app.qr.redeem(begun.device_code, acknowledged=app.tag(begun), op=OP)
    keep = app.store.commands[0].ttl_ms
    assert keep is not None
    assert keep > (to_scan + 90 + 30 + STANDARD.replay_window) * 1000, (
        "the store drops the record before the last replay"
    )


def test_the_code_leaves_the_screen_before_the_time_to_scan_ends() -> None:
    """The phone that read the last code has time to scan it; no other phone can read it."""
    app = App()
    begun = app.begin()
    app.clock.ms += 119_999
    last = app.qr.status(begun.device_code)
    assert (last.code_expires_in, last.rotates_in) == (1, 1)
    app.clock.ms += 1
    bare = app.qr.status(begun.device_code)
    assert (bare.state, bare.scan_code, bare.verification_uri_complete) == (State.PENDING, "", "")
    assert (bare.code_expires_in, bare.rotates_in, bare.expires_in) == (0, 0, 100)
    app.clock.ms += STANDARD.rotation_grace * 1000 - 1
    app.qr.scan(last.scan_code, subject=ALICE, shown_as="A")


def test_a_code_never_outlives_the_time_to_scan() -> None:
    """The store may have dropped the record by then, and would seem to have lost it."""
    app = App(policy=replace(STANDARD, rotation=120, rotation_grace=120, late_window=140))
    begun = app.begin()
    app.clock.ms += 119_999
    code = app.qr.status(begun.device_code).scan_code
    (reading,) = app.qr.core._codes.read_scan_code(code)
    assert reading.deadline_ms == NOON + 240_000
    app.clock.ms = NOON + 260_000
    app.store.forge(begun.login_id, None)
    with pytest.raises(Expired):
        app.qr.scan(code, subject=ALICE, shown_as="A")


def test_nobody_is_asked_with_less_than_20_seconds_left() -> None:
    app = App()
    begun = app.begin()
    landing = seals.landing(app.device(begun).key, begun.login_id)
    app.clock.ms += (TO_SCAN - 20) * 1000
    look = partial(app.qr.look, begun.scan_code, subject=ALICE, landing=landing)
    assert (look().expires_in, look().state) == (20, State.PENDING)
    app.clock.ms += 1000
    with pytest.raises(Expired):
        look()
    scanned = app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A", landing=landing)
    assert scanned.expires_in == 90, "whoever was asked can still answer"


def test_a_scan_returns_how_long_ago_the_login_began_and_when_it_expires() -> None:
    app = App()
    begun = app.begin()
    app.clock.ms += 9_999
    scanned = app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A")
    assert (scanned.begun_ago, scanned.expires_in, scanned.state) == (9, 90, State.SCANNED)
    assert scanned.context == {"browser": "Firefox on Linux"}


@pytest.mark.parametrize(("redeem_window", "replay_window"), [(30, None), (1, None), (140, 150)])
def test_a_record_is_kept_for_as_long_as_its_redeem_may_be_repeated(
    redeem_window: int, replay_window: int | None
) -> None:
    """A redeem in the last millisecond starts a replay window, which the record must outlive."""
    app = App()
    begun = app.qr.run(
        app.qr.core.begin(
            redeem_window=redeem_window, replay_window=replay_window, ask_browser=False
        )
    )
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A")
    app.qr.confirm(begun.scan_code, subject=ALICE)

    def collect() -> Redeemed:
        return app.qr.run(app.qr.core.redeem(app.device(begun), op=OP, replay_window=replay_window))

    app.clock.ms += redeem_window * 1000 - 1
    assert collect().subject == ALICE
    app.clock.ms += (replay_window or STANDARD.replay_window) * 1000 - 1
    assert collect().replayed
    app.clock.ms += 1
    with pytest.raises(AlreadyRedeemed):  # the record is still there to say so
        collect()


# 3. Replies that must be refused


@for_each_row("call", CALLS)
def test_a_reply_to_another_question_is_not_believed(call: str) -> None:
    """The login_id alone cannot tell an old status reply from the reply to a confirm."""
    app, begun, tag = reach("confirmed")
    stale = app.store.apply(app.qr.core.status(app.device(begun)).command)

    def answer_with(reply: Reply) -> None:
        app.store.apply = lambda command: reply  # type: ignore[method-assign]
        with pytest.raises(Unavailable, match="another question"):
            CALLS[call](app, begun, tag)

    answer_with(stale)
    answer_with(replace(stale, login_id=codes.new_login_id()))


@row(54)
def test_a_reply_needs_the_login_id_and_the_mark_of_its_command() -> None:
    app, begun, _ = reach("pending")
    operation = app.qr.core.status(app.device(begun))
    reply = app.store.apply(operation.command)
    assert answer_of(operation, reply).state is State.PENDING
    for stray in (
        replace(reply, login_id=codes.new_login_id()),
        replace(reply, mark=codes.new_mark()),
    ):
        with pytest.raises(Unavailable):
            answer_of(operation, stray)


NEWER: Mapping[str, dict[str, str]] = {
    "another format": {"v": "5"},
    "no format": {"v": ""},
    "a state unheard of": {"state": "postponed"},
    "no state": {"state": ""},
    "a state that is only an answer": {"state": "expired"},
}


@for_each_row("fields", NEWER.values())
@for_each_row("call", set(CALLS) - {"alice scans", "bob scans"})
def test_a_record_of_a_newer_format_raises_unavailable(call: str, fields: dict[str, str]) -> None:
    """The HTTP status is 503, not 500."""
    app, begun, tag = reach("confirmed")
    app.store.forge(begun.login_id, {**app.store.record(begun.login_id), **fields})
    with pytest.raises(Unavailable, match=r"another version.*begin again") as refusal:
        CALLS[call](app, begun, tag)
    assert "upgrade" not in str(refusal.value)  # this process may be the newer one
    assert refusal.value.http_status == 503
    assert refusal.value.retry_after


def test_begin_raises_unavailable_when_its_login_id_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = App()
    begun = app.begin()
    before = app.store.record(begun.login_id)
    monkeypatch.setattr(codes, "new_login_id", lambda: begun.login_id)
    with pytest.raises(Unavailable, match="begin again"):
        app.begin()
    assert app.store.record(begun.login_id) == before


@row(411)
def test_the_largest_record_and_the_largest_codes_are_small(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A thousand logins a second cost a server little."""
    app = App()
    begun = app.qr.begin(context={"b": "x" * (CONTEXT_BYTES - 8)}, lifetime=350)
    subject, who = "x" * SUBJECT_BYTES, "x" * SHOWN_AS_BYTES
    app.qr.scan(begun.scan_code, subject=subject, phone=subject, shown_as=who)
    app.qr.confirm(
        begun.scan_code,
        subject=subject,
        phone=subject,
        name="x" * NAME_BYTES,
        assurance="x" * 64,
    )
    app.qr.redeem(begun.device_code, acknowledged=app.tag(begun), op=OP)
    record = app.store.record(begun.login_id)
    size = sum(len(name) + len(value.encode()) for name, value in record.items())
    with capsys.disabled():
        print(
            f"\nthe largest record has {size} bytes, "
            f"the largest codes {len(begun.device_code)} and {len(begun.scan_code)}",
            end=" ",
        )
    assert number(record["version"]) == 4
    assert {reply.verdict for reply in app.store.replies} == {Verdict.APPLIED}
    assert (
        len(begun.device_code) < codes.MAX_CODE_LENGTH // 2 > len(begun.verification_uri_complete)
    )
    assert size <= 2816


# 4. The options of begin


@for_each_row("asks", [True, False])
@for_each_row("fixed", [True, False])
@for_each_row("begun_by", ["", "tv", "é" * 64])
def test_the_device_code_carries_how_its_login_was_begun(
    asks: bool, fixed: bool, begun_by: str
) -> None:
    """It is signed into the device_code, so no writer of the store can turn the question off."""
    app = App()
    begun = app.qr.run(app.qr.core.begin(ask_browser=asks, fixed=fixed, begun_by=begun_by))
    device = app.device(begun)
    assert (device.login_id, device.begun_by) == (begun.login_id, begun_by)
    assert device.flags == ("" if asks else "c") + ("f" if fixed else "")
    assert (device.begun_at, device.ends_at) == (app.clock.ms, app.clock.ms + TO_END * 1000)
    assert len(begun.device_code) <= codes.MAX_CODE_LENGTH
    record = app.store.record(begun.login_id)
    assert "tv" not in record.values()
    assert "é" * 64 not in record.values()


BAD_BEGINS: Mapping[str, tuple[dict[str, Any], str]] = {
    "a code to type where there are none": ({"user_code": True}, "typed codes are off"),
    "two codes": ({"user_code": True, "fixed": True}, "not both"),
    "too long a begun_by": ({"begun_by": "x" * 129}, "128 bytes"),
    "too many bytes": ({"begun_by": "é" * 65}, "128 bytes"),
    "half a character": ({"begun_by": "\ud83d"}, "text"),
    "a begun_by that is none": ({"begun_by": None}, "text"),
    "a begun_by of bytes": ({"begun_by": b"tv"}, "text"),
    "no time to collect": ({"redeem_window": 0}, "redeem_window must lie between 1 and 150 s"),
    "too much time to collect": ({"redeem_window": 151}, "between 1 and 150 s, not 151"),
    "windows that add up to more than 10 minutes": ({"lifetime": 351}, "add up to 601 s"),
    "a negative time": ({"redeem_window": -1}, "redeem_window must lie"),
    "a time of True": ({"redeem_window": True}, "redeem_window must lie"),
    "a time as text": ({"redeem_window": "30"}, "redeem_window must lie"),
}


@for_each_row("arguments, remedy", BAD_BEGINS.values())
def test_the_core_refuses_a_begin_that_makes_no_sense(
    arguments: dict[str, Any], remedy: str
) -> None:
    core = App(policy=replace(STANDARD, user_codes="fixed" in arguments)).qr.core
    with pytest.raises(BadArgument, match=remedy):
        core.begin(**arguments)


@pytest.mark.parametrize("window", [1, 150])
def test_a_begin_may_have_a_redeem_window_of_its_own(window: int) -> None:
    app = App()
    begun = app.qr.run(app.qr.core.begin(redeem_window=window))
    before = TO_END - STANDARD.redeem_window
    assert app.device(begun).ends_at == NOON + (before + window) * 1000
    app.scan(begun)
    app.qr.confirm(begun.scan_code, subject=ALICE)
    app.clock.ms += window * 1000 - 1
    assert app.qr.redeem(begun.device_code, acknowledged=app.tag(begun)).subject == ALICE


def test_the_browser_is_asked_unless_the_begin_says_otherwise() -> None:
    app = App()
    begun = app.qr.run(app.qr.core.begin())
    with pytest.raises(BadArgument):
        app.qr.core.redeem(app.device(begun))


def test_a_look_at_a_fixed_code_gives_no_landing_because_none_is_needed() -> None:
    app = App()
    fixed = app.qr.run(app.qr.core.begin(fixed=True)).scan_code
    assert app.qr.look(fixed, subject=ALICE).landing == ""
    assert app.qr.look(app.begin().scan_code, subject=ALICE).landing != ""
