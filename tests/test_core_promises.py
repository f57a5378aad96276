"""The numbered promises, each as a person would test it: with whole logins, two phones, two browsers and a clock."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from qrlogin import (
    STANDARD,
    AlreadyRedeemed,
    AlreadyScanned,
    Begun,
    Cancelled,
    Denied,
    Expired,
    InvalidCode,
    LoginError,
    MemoryStore,
    NotYours,
    Policy,
    QRLogin,
    Redeemed,
    ScannerChanged,
    State,
    Status,
    UnknownLogin,
)
from qrlogin.step import Verdict
from tests.application import (
    ALICE,
    BOB,
    KEY,
    NOON,
    OP,
    OTHER_OP,
    SHOWN,
    URI,
    App,
    Clock,
    answer_of,
    operations,
)
from tests.tables import for_each_row

ALIVE = (State.PENDING, State.SCANNED, State.CONFIRMED)
EVERY = (*ALIVE, State.REDEEMED, State.DENIED, State.CANCELLED)


def browser_calls(app: App, begun: Begun, tag: str) -> Iterator[Callable[[], object]]:
    yield lambda: app.qr.status(begun.device_code)
    yield lambda: app.qr.cancel(begun.device_code)
    yield lambda: app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
    yield lambda: app.qr.redeem(begun.device_code, acknowledged=tag)


def phone_calls(app: App, begun: Begun, who: str) -> Iterator[Callable[[], object]]:
    yield lambda: app.qr.scan(begun.scan_code, subject=who, shown_as=SHOWN[who])
    yield lambda: app.qr.release(begun.scan_code, subject=who)
    yield lambda: app.qr.confirm(begun.scan_code, subject=who)
    yield lambda: app.qr.deny(begun.scan_code, subject=who)


# Who gets what


@pytest.mark.parametrize("state", EVERY)
def test_i2_another_browser_gets_nothing_of_this_login(state: State) -> None:
    """I2: two browsers of the same application; the one's device_code says nothing about the other's login."""
    app = App()
    begun, tag = app.reach(state)
    other = app.begin()
    for call in browser_calls(app, other, tag):
        try:
            answer = call()
        except LoginError:
            continue
        assert isinstance(answer, Status)
        assert (answer.login_id, answer.scanned_by) == (other.login_id, None)
    # Not even with this login's record under the other's name, or with a secret of its own signed for this login.
    codes = app.qr.core._codes
    mine = codes.read_device_code(begun.device_code)
    forged = codes.spell_device_code(replace(mine, secret="A" * 43))
    for attempt in (
        app.qr.status,
        app.qr.cancel,
        lambda code: app.qr.redeem(code, acknowledged=tag, op=OP),
    ):
        with pytest.raises(NotYours):
            attempt(forged)


def test_i3_the_subject_is_the_one_that_scanned_and_confirmed() -> None:
    app = App()
    begun, tag = app.reach(State.SCANNED, ALICE)
    for call in list(phone_calls(app, begun, BOB)):
        with pytest.raises((NotYours, AlreadyScanned)):
            call()
    app.qr.confirm(begun.scan_code, subject=ALICE)
    redeemed = app.qr.redeem(begun.device_code, acknowledged=tag)
    assert (redeemed.subject, redeemed.shown_as) == (ALICE, SHOWN[ALICE])


def test_i6_one_account_holds_a_login_and_its_other_phone_is_a_repeat() -> None:
    app = App()
    begun, _ = app.reach(State.SCANNED, ALICE)
    before = app.store.record(begun.login_id)
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as="another name")
    assert app.store.record(begun.login_id) == before
    with pytest.raises(AlreadyScanned):
        app.qr.scan(begun.scan_code, subject=BOB, shown_as=SHOWN[BOB])
    with pytest.raises(AlreadyScanned):
        app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE], phone="another phone")
    with pytest.raises(NotYours):
        app.qr.confirm(begun.scan_code, subject=ALICE, phone="another phone")


def test_i31_the_browser_acknowledges_the_scanner_of_now() -> None:
    """I31: shown Alice, who let go; Bob scanned and confirmed; "continue as Alice" does not log Bob in."""
    app = App()
    begun, alice = app.reach(State.SCANNED, ALICE)
    app.qr.release(begun.scan_code, subject=ALICE)
    bob = app.scan(begun, BOB)
    app.qr.confirm(begun.scan_code, subject=BOB)
    for stale in (alice, "", "A" * 43, bob[:-1]):
        with pytest.raises(ScannerChanged):
            app.qr.redeem(begun.device_code, acknowledged=stale, op=OP)
    assert app.store.record(begun.login_id)["state"] == State.CONFIRMED, (
        "a wrong tag burned the login"
    )
    assert app.qr.redeem(begun.device_code, acknowledged=bob, op=OP).subject == BOB


def test_i36_a_login_id_alone_opens_nothing() -> None:
    app = App()
    begun, tag = app.reach(State.CONFIRMED)
    for code in (
        begun.login_id,
        f"{URI}/{begun.login_id}",
        f"{begun.login_id}.",
        f"{begun.login_id}.0.{tag}",
    ):
        stolen = Begun(begun.login_id, code, code, "", "", 0, 0, 0)
        for call in (*browser_calls(app, stolen, tag), *phone_calls(app, stolen, ALICE)):
            with pytest.raises(InvalidCode):
                call()


# Ends and deadlines


@pytest.mark.parametrize(
    ("state", "stop"),
    [*((state, Cancelled) for state in ALIVE), *((state, Denied) for state in ALIVE[1:])],
)
def test_i4_after_a_stop_nothing_goes_on(state: State, stop: type[LoginError]) -> None:
    """I4: deny and cancel win until redeemed, and confirm against deny ends denied in either order."""
    app = App()
    begun, tag = app.reach(state)
    stopped = (
        app.qr.cancel(begun.device_code)
        if stop is Cancelled
        else app.qr.deny(begun.scan_code, subject=ALICE)
    )
    for call in (
        lambda: app.qr.confirm(begun.scan_code, subject=ALICE),
        lambda: app.qr.redeem(begun.device_code, acknowledged=tag, op=OP),
        lambda: app.qr.scan(begun.scan_code, subject=BOB, shown_as=SHOWN[BOB]),
        lambda: app.qr.release(begun.scan_code, subject=ALICE),
    ):
        with pytest.raises((stop, NotYours)):
            call()
    assert app.qr.status(begun.device_code).state is stopped.state


@pytest.mark.parametrize("state", ALIVE)
def test_i8_nothing_succeeds_from_the_deadline_on(state: State) -> None:
    """I8: the state's own, which nobody moves; a confirm at the last moment still gets its window."""
    life = 150_000 if state is State.CONFIRMED else 120_000
    for late in (0, 1, 1_000_000_000):
        app = App()
        begun, tag = app.reach(state)
        app.clock.ms = NOON + life + late
        for call in (*browser_calls(app, begun, tag), *phone_calls(app, begun, BOB)):
            try:
                answer = call()
            except (Expired, UnknownLogin):
                continue
            assert isinstance(answer, Status)
            assert answer.state is State.EXPIRED


def test_i8_an_approval_in_the_last_moment_can_be_collected() -> None:
    """R5: not killed by the deadline of the state it has left, and dead at its own."""
    app = App()
    begun, tag = app.reach(State.SCANNED)
    app.clock.ms = NOON + 119_999
    assert app.qr.confirm(begun.scan_code, subject=ALICE).expires_in == 31
    app.clock.ms = NOON + 149_999
    assert app.qr.redeem(begun.device_code, acknowledged=tag).subject == ALICE
    for late in (0, 1):
        app = App()
        begun, tag = app.reach(State.CONFIRMED)
        app.clock.ms = NOON + 150_000 + late
        with pytest.raises(Expired):
            app.qr.redeem(begun.device_code, acknowledged=tag)


def test_i8_a_writer_of_the_store_cannot_extend_what_was_signed() -> None:
    app = App()
    begun, tag = app.reach(State.CONFIRMED)
    app.store.forge(
        begun.login_id, {**app.store.record(begun.login_id), "redeem_by": "999999999999999"}
    )
    app.clock.ms = NOON + 150_000
    with pytest.raises(Expired):
        app.qr.redeem(begun.device_code, acknowledged=tag)


@pytest.mark.parametrize("state", EVERY)
def test_i13_absence_is_refusal(state: State) -> None:
    app = App()
    begun, tag = app.reach(state)
    app.store.forge(begun.login_id, None)
    for call in (*browser_calls(app, begun, tag), *phone_calls(app, begun, ALICE)):
        with pytest.raises(UnknownLogin):
            call()
    assert app.store.record(begun.login_id) == {}


# Repeats


@for_each_row("index", range(10))
@for_each_row("later", [0, 29_999])
def test_i18_a_resend_returns_the_same_and_changes_nothing(index: int, later: int) -> None:
    """I18: redis-py sends a command again when its reply was lost; to the caller there was only one."""
    state, _ = list(operations(*_at(State.CONFIRMED)))[index]
    app, begun, tag = _at(state)
    operation = list(operations(app, begun, tag))[index][1]
    first = answer_of(operation, app.store.apply(operation.command))
    record = app.store.record(begun.login_id)
    app.clock.ms += later
    reply = app.store.apply(operation.command)
    again = answer_of(operation, reply)
    assert reply.verdict is Verdict.REPEATED
    assert app.store.record(begun.login_id) == record
    if later == 0:
        assert again == first, "also no replay: the application has not seen the first answer"


def _at(state: State) -> tuple[App, Begun, str]:
    app = App()
    return app, *app.reach(state)


def test_i18_a_begin_that_is_sent_again_is_the_same_login() -> None:
    app = App()
    operation = app.qr.core.begin(context={"browser": "Firefox"})
    first = answer_of(operation, app.store.apply(operation.command))
    app.clock.ms += 300
    again = answer_of(operation, app.store.apply(operation.command))
    assert (again.login_id, again.device_code, again.scan_code) == (
        first.login_id,
        first.device_code,
        first.scan_code,
    )


def test_a_repeated_redeem_returns_the_same_login() -> None:
    """I1, row 53: the answer was lost on its way to the browser, which clicks nothing new and asks again."""
    app = App()
    begun, tag = app.reach(State.CONFIRMED)
    first = app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
    assert not first.replayed
    app.clock.ms += 29_999
    again = app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
    assert again.replayed
    assert (again.subject, again.context, again.redeemed_at_ms) == (
        first.subject,
        first.context,
        first.redeemed_at_ms,
    )
    for other in (OTHER_OP, None):
        with pytest.raises(AlreadyRedeemed):
            app.qr.redeem(begun.device_code, acknowledged=tag, op=other)
    with pytest.raises(AlreadyRedeemed):
        app.qr.redeem(begun.device_code, acknowledged="", op=OP)
    app.clock.ms += 1
    with pytest.raises(AlreadyRedeemed):
        app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)


def test_i1_without_an_op_a_login_is_redeemed_strictly_once() -> None:
    app = App()
    begun, tag = app.reach(State.CONFIRMED)
    app.qr.redeem(begun.device_code, acknowledged=tag)
    with pytest.raises(AlreadyRedeemed):
        app.qr.redeem(begun.device_code, acknowledged=tag)


def test_released_it_may_be_scanned_again_by_anybody_and_starts_afresh() -> None:
    app = App()
    begun, alice = app.reach(State.SCANNED, ALICE)
    seen = app.qr.status(begun.device_code)
    released = app.qr.release(begun.scan_code, subject=ALICE)
    assert released.state is State.PENDING
    assert released.version != seen.version
    assert app.qr.status(begun.device_code).scanned_by is None
    assert app.scan(begun, BOB) != alice
    for call in phone_calls(app, begun, ALICE):
        with pytest.raises((NotYours, AlreadyScanned)):
            call()


# Clocks


@pytest.mark.parametrize("skew", [-5_000, 5_000, -86_400_000])
def test_i27_the_applications_clock_is_never_used(
    skew: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I27: a whole login tells the same on a node whose clock is wrong; only the store's counts."""

    def story() -> list[object]:
        app = App()
        monkeypatch.setattr("qrlogin.codes.new_login_id", lambda: "AAECAwQFBgcICQoLDA0ODw")
        monkeypatch.setattr("qrlogin.codes.new_secret", lambda: "A" * 43)
        begun = app.begin()
        told: list[object] = [begun]
        for wait in (24_999, 1, 2_999, 1, 60_000):
            app.clock.ms += wait
            told.append(app.qr.status(begun.device_code))
            try:
                told.append(app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE]))
            except Expired as error:
                told.append(str(error))
        tag = app.tag(begun)
        told += [
            app.qr.confirm(begun.scan_code, subject=ALICE),
            app.qr.redeem(begun.device_code, acknowledged=tag, op=OP),
        ]
        return told

    right = story()
    monkeypatch.setattr("qrlogin.clock.now_ms", lambda: NOON + skew)
    monkeypatch.setattr("time.time", lambda: (NOON + skew) / 1000)
    monkeypatch.setattr("time.time_ns", lambda: (NOON + skew) * 1_000_000)
    assert story() == right


def test_i26_a_stores_clock_that_goes_back_takes_nothing_back() -> None:
    """I26: after a failover the next server may be seconds behind; time inside a login goes on."""
    app = App()
    begun, tag = app.reach(State.SCANNED)
    app.clock.ms += 60_000
    app.qr.confirm(begun.scan_code, subject=ALICE)
    app.clock.ms -= 45_000
    app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
    record = app.store.record(begun.login_id)
    times = [
        int(record[name])
        for name in ("begun_at", "scanned_at", "confirmed_at", "redeemed_at", "changed_at")
    ]
    assert times == sorted(times)
    assert times[3] == times[2] == NOON + 60_000


# The odd ways round


def test_refresh_is_cancel_and_begin() -> None:
    app = App()
    begun, _ = app.reach(State.SCANNED, BOB)
    app.qr.cancel(begun.device_code)
    again = app.begin()
    assert again.login_id != begun.login_id
    tag = app.scan(again, ALICE)
    app.qr.confirm(again.scan_code, subject=ALICE)
    assert app.qr.redeem(again.device_code, acknowledged=tag).subject == ALICE


def test_a_stale_confirm_lands_only_while_the_same_person_holds_it() -> None:
    """PROTOCOL section 5: after their own re-scan it may land; after somebody else's it may not."""
    for holder in (ALICE, BOB):
        app = App()
        begun, _ = app.reach(State.SCANNED, ALICE)
        confirm = app.qr.core.confirm(begun.scan_code, subject=ALICE)
        app.qr.release(begun.scan_code, subject=ALICE)
        app.scan(begun, holder)
        if holder == ALICE:
            assert app.qr.run(confirm).state is State.CONFIRMED
        else:
            with pytest.raises(NotYours):
                app.qr.run(confirm)


def test_a_policy_that_does_not_ask_still_ties_the_redeem_to_the_scanner() -> None:
    app = App(policy=Policy(names_scanner=False))
    begun = app.begin()
    app.qr.scan(begun.scan_code, subject=ALICE)
    app.qr.confirm(begun.scan_code, subject=ALICE)
    with pytest.raises(ScannerChanged):
        app.qr.redeem(begun.device_code)
    assert app.qr.redeem(begun.device_code, acknowledged=app.tag(begun)).shown_as == ""


def test_two_applications_on_one_store_and_one_key_do_not_mix() -> None:
    """T13: told apart by their audience alone."""
    store = MemoryStore(now=Clock())
    shop, forum = (
        QRLogin(store, secret_keys=[KEY], verification_uri=URI, audience=name)
        for name in ("shop", "forum")
    )
    begun = shop.begin()
    with pytest.raises(InvalidCode):
        forum.status(begun.device_code)
    with pytest.raises(InvalidCode):
        forum.scan(begun.scan_code, subject=ALICE, shown_as="A")
    assert shop.status(begun.device_code).state is State.PENDING


def test_the_answer_of_a_redeem_is_all_an_application_needs() -> None:
    app = App(policy=STANDARD)
    begun, tag = app.reach(State.CONFIRMED)
    app.clock.ms += 1234
    redeemed = app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
    assert redeemed == Redeemed(
        begun.login_id,
        ALICE,
        SHOWN[ALICE],
        {"browser": "Firefox on Linux"},
        NOON + 1234,
        replayed=False,
    )
