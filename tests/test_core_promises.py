"""The promises of docs/security/index.md hold for whole logins of two phones and two browsers."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from qrlogin import (
    STANDARD,
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
    RecordForged,
    Redeemed,
    ScannerChanged,
    State,
    Status,
    UnknownLogin,
)
from tests.application import (
    ALICE,
    BOB,
    KEY,
    NAMES,
    NOON,
    OP,
    SHOWN,
    TO_END,
    TO_SCAN,
    URI,
    App,
    Clock,
)
from tests.security_rows import row

ALIVE = (State.PENDING, State.SCANNED, State.CONFIRMED)
STATES = (*ALIVE, State.REDEEMED, State.DENIED, State.CANCELLED)


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


# Only the right browser and account


@row(1)
@pytest.mark.parametrize("state", STATES)
def test_another_browser_gets_nothing_of_this_login(state: State) -> None:
    """Two browsers of one application: a device_code returns nothing of another login."""
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
    # A device_code that is signed for this login but has another secret is refused, too.
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


@row(5)
def test_the_subject_is_the_account_that_scanned_and_confirmed() -> None:
    app = App()
    begun, _ = app.reach(State.SCANNED, ALICE)
    for call in list(phone_calls(app, begun, BOB)):
        with pytest.raises((NotYours, AlreadyScanned)):
            call()
    app.qr.confirm(begun.scan_code, subject=ALICE)
    redeemed = app.qr.redeem(begun.device_code, acknowledged=app.tag(begun))
    assert (redeemed.subject, redeemed.shown_as) == (ALICE, SHOWN[ALICE])


@row(8, 113)
def test_one_account_holds_a_login() -> None:
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


@row(9)
def test_the_browser_must_acknowledge_the_current_scanner() -> None:
    """Alice released and Bob confirmed: "continue as Alice" does not log Bob in."""
    app = App()
    begun, alice = app.reach(State.SCANNED, ALICE)
    app.qr.release(begun.scan_code, subject=ALICE)
    scanned = app.scan(begun, BOB)
    app.qr.confirm(begun.scan_code, subject=BOB)
    bob = app.tag(begun)
    for stale in (alice, scanned, "", "A" * 43, bob[:-1]):
        with pytest.raises(ScannerChanged):
            app.qr.redeem(begun.device_code, acknowledged=stale, op=OP)
    assert app.store.record(begun.login_id)["state"] == State.CONFIRMED, (
        "a wrong tag ended the login"
    )
    assert app.qr.redeem(begun.device_code, acknowledged=bob, op=OP).subject == BOB


@row(302, 307)
def test_a_login_id_is_refused_as_a_code() -> None:
    app = App()
    begun, tag = app.reach(State.CONFIRMED)
    for code in (
        begun.login_id,
        f"{URI}/{begun.login_id}",
        f"{begun.login_id}.",
        f"{begun.login_id}.0.{tag}",
    ):
        stolen = Begun(begun.login_id, code, code, "", "", 0, 0, 0, 0)
        for call in (*browser_calls(app, stolen, tag), *phone_calls(app, stolen, ALICE)):
            with pytest.raises(InvalidCode):
                call()


# Ends and deadlines


@row(55)
@pytest.mark.parametrize(
    ("state", "stop"),
    [*((state, Cancelled) for state in ALIVE), *((state, Denied) for state in ALIVE[1:])],
)
def test_a_denied_or_cancelled_login_stays_so(state: State, stop: type[LoginError]) -> None:
    """Deny and cancel win until redeemed, and a confirm together with a deny ends denied."""
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


@row(14, 309)
@pytest.mark.parametrize("state", ALIVE)
def test_no_call_succeeds_after_the_deadline(state: State) -> None:
    """Each state has a deadline of its own, whenever it was reached."""
    life = {State.PENDING: TO_SCAN, State.SCANNED: 90, State.CONFIRMED: 30}[state] * 1000
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


def test_an_approval_in_the_last_moment_can_be_redeemed() -> None:
    """A confirmed login outlives the deadline of its former state and ends at its own."""
    app = App()
    begun, _ = app.reach(State.SCANNED)
    app.clock.ms += 89_999
    assert app.qr.confirm(begun.scan_code, subject=ALICE).expires_in == 30
    app.clock.ms += 29_999
    assert app.qr.redeem(begun.device_code, acknowledged=app.tag(begun)).subject == ALICE
    for late in (0, 1):
        app = App()
        begun, tag = app.reach(State.CONFIRMED)
        app.clock.ms += 30_000 + late
        with pytest.raises(Expired):
            app.qr.redeem(begun.device_code, acknowledged=tag)


@row(57)
def test_a_writer_of_the_store_cannot_extend_a_login() -> None:
    app = App()
    begun, tag = app.reach(State.CONFIRMED)
    app.store.forge(
        begun.login_id, {**app.store.record(begun.login_id), "redeem_by": "999999999999999"}
    )
    app.clock.ms = NOON + TO_END * 1000
    with pytest.raises(Expired):
        app.qr.redeem(begun.device_code, acknowledged=tag)


@row(67, 464)
@pytest.mark.parametrize("state", STATES)
def test_every_call_is_refused_when_the_record_is_absent(state: State) -> None:
    app = App()
    begun, tag = app.reach(state)
    app.store.forge(begun.login_id, None)
    for call in (*browser_calls(app, begun, tag), *phone_calls(app, begun, ALICE)):
        with pytest.raises(UnknownLogin):
            call()
    assert app.store.record(begun.login_id) == {}


def test_a_released_login_can_be_scanned_by_another_account() -> None:
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
def test_the_applications_clock_is_never_used(skew: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login runs the same on a node whose clock is wrong: only the store's clock counts."""

    def story() -> list[object]:
        app = App()
        monkeypatch.setattr("qrlogin.codes.new_login_id", lambda: "AAECAwQFBgcICQoLDA0ODw")
        monkeypatch.setattr("qrlogin.codes.new_secret", lambda: "A" * 43)
        begun = app.begin()
        answers: list[object] = [begun]
        for wait in (24_999, 1, 2_999, 1, 60_000):
            app.clock.ms += wait
            answers.append(app.qr.status(begun.device_code))
            try:
                answers.append(app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE]))
            except Expired as error:
                answers.append(str(error))
        answers += [
            app.qr.confirm(begun.scan_code, subject=ALICE),
            app.qr.redeem(begun.device_code, acknowledged=app.tag(begun), op=OP),
        ]
        return answers

    right = story()
    monkeypatch.setattr("qrlogin.clock.now_ms", lambda: NOON + skew)
    monkeypatch.setattr("time.time", lambda: (NOON + skew) / 1000)
    monkeypatch.setattr("time.time_ns", lambda: (NOON + skew) * 1_000_000)
    assert story() == right


def test_times_of_a_login_never_decrease_when_the_stores_clock_goes_back() -> None:
    """After a failover the next server can be seconds behind; time within a login goes forward."""
    app = App()
    begun, _ = app.reach(State.SCANNED)
    app.clock.ms += 60_000
    app.qr.confirm(begun.scan_code, subject=ALICE)
    app.clock.ms -= 45_000
    app.qr.redeem(begun.device_code, acknowledged=app.tag(begun), op=OP)
    record = app.store.record(begun.login_id)
    times = [
        int(record[name])
        for name in ("begun_at", "scanned_at", "confirmed_at", "redeemed_at", "changed_at")
    ]
    assert times == sorted(times)
    assert times[3] == times[2] == NOON + 60_000


# Rare orders of calls


@row(10)
def test_a_browser_starts_over_with_cancel_and_begin() -> None:
    app = App()
    begun, _ = app.reach(State.SCANNED, BOB)
    app.qr.cancel(begun.device_code)
    again = app.begin()
    assert again.login_id != begun.login_id
    app.scan(again, ALICE)
    app.qr.confirm(again.scan_code, subject=ALICE)
    assert app.qr.redeem(again.device_code, acknowledged=app.tag(again)).subject == ALICE


@row(11)
def test_a_late_confirm_succeeds_only_while_the_same_account_holds_the_login() -> None:
    """It may succeed after the same account scanned again, but not after another account did."""
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


def test_a_policy_without_names_still_ties_the_redeem_to_the_scanner() -> None:
    app = App(policy=Policy(names_scanner=False))
    begun = app.begin()
    app.qr.scan(begun.scan_code, subject=ALICE)
    app.qr.confirm(begun.scan_code, subject=ALICE)
    with pytest.raises(ScannerChanged):
        app.qr.redeem(begun.device_code, acknowledged="")
    assert app.qr.redeem(begun.device_code, acknowledged=app.tag(begun)).shown_as == ""


@row(21)
def test_two_applications_on_one_store_and_one_key_do_not_mix() -> None:
    """Their audience alone distinguishes them."""
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


def test_a_redeem_returns_subject_name_context_and_time() -> None:
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
        name=NAMES[ALICE],
    )


@row(430)
def test_a_redeem_returns_what_the_first_confirm_said_of_the_approval() -> None:
    """A repeated confirm changes neither the assurance, nor the name, nor the phone."""
    app = App(policy=STANDARD)
    begun = app.begin()
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A", phone="7\n")
    for said in ({"assurance": "passkey", "name": "first"}, {"assurance": "", "name": "second"}):
        app.qr.confirm(begun.scan_code, subject=ALICE, phone="7\n", **said)
    redeemed = app.qr.redeem(begun.device_code, acknowledged=app.tag(begun))
    facts = (redeemed.assurance, redeemed.name, redeemed.phone)
    assert facts == ("passkey", "first", "7\n")
    assert "phone" not in repr(redeemed), "a phone is no more for logs than its user is"


@row(24)
def test_a_writer_of_the_store_cannot_change_what_an_approval_met() -> None:
    app = App(policy=STANDARD)
    begun, tag = app.reach(State.CONFIRMED)
    record = app.store.record(begun.login_id)
    app.store.forge(begun.login_id, {**record, "facts": "passkey\n"})
    with pytest.raises(RecordForged):
        app.qr.redeem(begun.device_code, acknowledged=tag)
