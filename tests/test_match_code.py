"""Match codes: a scanned browser shows digits, and its user types them on the phone."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from qrlogin import (
    STANDARD,
    STRICT,
    BadArgument,
    Begun,
    Denied,
    Event,
    Expired,
    MatchCodeNeeded,
    Misconfigured,
    NotYours,
    QRLogin,
    State,
    Status,
    UnknownLogin,
    WrongMatchCode,
    WrongState,
)
from qrlogin.wire.dialects import DIALECTS
from tests.application import ALICE, BOB, SHOWN, URI, App
from tests.security_rows import row
from tests.tables import for_each_row

MATCHED = replace(STANDARD, match_digits=3, user_codes=True, limits=None)


@pytest.fixture
def app() -> App:
    return App(policy=MATCHED)


def confirm(app: App, begun: Begun, digits: str, who: str = ALICE) -> Status:
    return app.qr.confirm(begun.scan_code, subject=who, match_code=digits)


def miss(app: App, begun: Begun, digits: str, who: str = ALICE) -> int:
    """Types wrong digits. Returns how many tries are left."""
    with pytest.raises(WrongMatchCode) as caught:
        confirm(app, begun, digits, who)
    assert digits not in f"{caught.value} {caught.value!r}"
    return caught.value.tries_left


@row(31)
@for_each_row("digits", [2, 3])
def test_the_browser_shows_the_digits_while_scanned_and_the_phone_confirms_only_with_them(
    digits: int,
) -> None:
    app = App(policy=replace(MATCHED, match_digits=digits))
    begun = app.begin()
    assert app.digits(begun) == "", "the digits are shown before the scan"
    assert app.qr.look(begun.scan_code, subject=ALICE).match_digits == digits
    scanned = app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    assert scanned.match_digits == digits
    seen = app.qr.status(begun.device_code)
    assert len(seen.match_code) == digits
    assert seen.match_code.isdigit()
    assert "match_code" not in repr(seen)
    assert seen.match_code not in app.store.record(begun.login_id).values()
    for _ in range(4):  # it costs no try
        with pytest.raises(MatchCodeNeeded):
            app.qr.confirm(begun.scan_code, subject=ALICE)
    assert confirm(app, begun, seen.match_code).state is State.CONFIRMED
    assert confirm(app, begun, seen.match_code).state is State.CONFIRMED
    assert app.digits(begun) == "", "the digits are shown after the approval"
    assert app.qr.redeem(begun.device_code, acknowledged=app.tag(begun)).subject == ALICE


@row(31)
def test_three_wrong_tries_deny_the_login_and_the_same_digits_again_are_no_other_try(
    app: App,
) -> None:
    """A lost answer costs no try. The third try emits the event of a denial, once."""
    begun, told = app.begin(), list[Event]()
    app.scan(begun)
    right, wrong = app.digits(begun), app.wrong_digits(begun, 3)
    app.qr = QRLogin(
        app.store,
        secret_keys=app.keys,
        verification_uri=URI,
        policy=app.policy,
        on_event=told.append,
    )
    assert [miss(app, begun, wrong[0]) for _ in range(3)] == [2, 2, 2]
    assert miss(app, begun, wrong[1]) == 1
    assert told == []
    assert app.qr.status(begun.device_code).state is State.SCANNED
    assert [miss(app, begun, wrong[2]) for _ in range(2)] == [0, 0]
    assert [(event.name, event.subject) for event in told] == [("denied", ALICE)]
    assert app.qr.status(begun.device_code).state is State.DENIED
    for digits in (right, wrong[0], ""):
        with pytest.raises(Denied):
            confirm(app, begun, digits)


@row(31)
def test_a_release_gives_no_try_back_and_another_account_has_other_digits(app: App) -> None:
    for_alice, for_bob = list[str](), list[str]()
    for _ in range(4):  # one time in a thousand, both get the same digits
        begun = app.begin()
        app.scan(begun)
        for_alice.append(app.digits(begun))
        wrong = app.wrong_digits(begun, 2)
        assert [miss(app, begun, digits) for digits in wrong] == [2, 1]
        app.qr.release(begun.scan_code, subject=ALICE)
        app.scan(begun, BOB)
        for_bob.append(app.digits(begun))
        assert miss(app, begun, app.wrong_digits(begun, 1, BOB)[0], BOB) == 0
    assert for_alice != for_bob


@row(31)
def test_only_the_phone_that_holds_the_login_has_tries(app: App) -> None:
    begun = app.begin()
    app.scan(begun)
    for digits in app.wrong_digits(begun, 4):
        with pytest.raises(NotYours):
            confirm(app, begun, digits, BOB)
    assert confirm(app, begun, app.digits(begun)).state is State.CONFIRMED
    with pytest.raises(WrongState):
        confirm(app, begun, app.wrong_digits(begun, 1)[0])


@row(31)
def test_phones_that_type_every_code_at_once_have_three_tries_together(app: App) -> None:
    """A login ends with a confirm after at most two wrong tries, or with the third wrong try."""
    ends = Counter[State]()
    for _ in range(20):
        begun = app.begin()
        app.scan(begun)
        wrong = app.wrong_digits(begun, 40)

        def attempt(digits: str, begun: Begun = begun) -> int:
            """How many tries this one used up."""
            try:
                confirm(app, begun, digits)
            except WrongMatchCode:
                return 1
            except (Denied, WrongState):
                return 0
            return 0

        typed = [*wrong, app.digits(begun)]
        with ThreadPoolExecutor(8) as phones:
            used = sum(phones.map(attempt, random.sample(typed, len(typed))))
        state = app.qr.status(begun.device_code).state
        ends[state] += 1
        assert used == 3 if state is State.DENIED else used < 3, (state, used)
    assert {*ends} <= {State.CONFIRMED, State.DENIED}


@row(31)
def test_two_phones_of_one_account_have_their_own_digits_and_three_tries_together(
    app: App,
) -> None:
    def scan(begun: Begun, phone: str) -> str:
        app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE], phone=phone)
        return app.digits(begun)

    def release(begun: Begun, phone: str) -> None:
        app.qr.release(begun.scan_code, subject=ALICE, phone=phone)

    shown: dict[str, list[str]] = {"phone 1": [], "phone 2": []}
    for _ in range(4):  # one time in a thousand, both get the same digits
        begun = app.begin()
        for phone in shown:
            shown[phone].append(scan(begun, phone))
            release(begun, phone)
    assert shown["phone 1"] != shown["phone 2"]
    for number, phone in enumerate(("phone 1", "phone 2", "phone 1")):
        wrong = f"{(int(scan(begun, phone)) + 1) % 1000:03}"
        with pytest.raises(WrongMatchCode) as caught:
            app.qr.confirm(begun.scan_code, subject=ALICE, phone=phone, match_code=wrong)
        assert caught.value.tries_left == 2 - number
        if caught.value.tries_left:
            release(begun, phone)
    assert app.qr.status(begun.device_code).state is State.DENIED


@row(31)
def test_a_wrong_try_after_the_time_to_decide_is_expired(app: App) -> None:
    """Also the repeat of one that came in time."""
    begun = app.begin()
    app.scan(begun)
    wrong = app.wrong_digits(begun, 2)
    assert miss(app, begun, wrong[0]) == 2
    app.clock.ms += MATCHED.decide_window * 1000
    for digits in wrong:
        with pytest.raises(Expired):
            confirm(app, begun, digits)


@row(31)
def test_fewer_digits_tell_nothing_of_the_whole_code_and_the_digits_are_spread_evenly(
    app: App,
) -> None:
    """Two digits of a login that needs three are a wrong try, or too few: no part of the code."""
    drawn = Counter[str]()
    for _ in range(2000):
        begun = app.begin()
        app.scan(begun)
        drawn.update(enumerate_digits(app.digits(begun)))
    assert len(drawn) == 30
    assert all(120 < times < 280 for times in drawn.values()), drawn  # 200 expected, ± 6 sigma
    with pytest.raises((WrongMatchCode, MatchCodeNeeded)):
        confirm(app, begun, app.digits(begun)[:2])


def enumerate_digits(code: str) -> list[str]:
    return [f"{place}:{digit}" for place, digit in enumerate(code)]


@row(31)
def test_a_login_with_a_typed_code_asks_for_the_digits_too(app: App) -> None:
    begun = app.qr.begin(user_code=True)
    app.qr.scan(begun.user_code, subject=ALICE, shown_as=SHOWN[ALICE])
    wrong = app.wrong_digits(begun, 1)[0]
    with pytest.raises(WrongMatchCode):
        app.qr.confirm(begun.user_code, subject=ALICE, match_code=wrong)
    done = app.qr.confirm(begun.user_code, subject=ALICE, match_code=app.digits(begun))
    assert done.state is State.CONFIRMED


@row(31)
@for_each_row("field", ["needs", "met"])
def test_a_record_whose_need_was_removed_logs_no_one_in(app: App, field: str) -> None:
    """A program that writes to the store can neither turn the match code off nor claim it met."""
    begun = app.begin()
    tag = app.scan(begun)
    record = dict(app.store.record(begun.login_id))
    if field == "needs":
        app.store.forge(begun.login_id, {**record, "needs": ""})
        app.qr.confirm(begun.scan_code, subject=ALICE)
    else:
        confirm(app, begun, app.digits(begun))
        tag = app.tag(begun)
        confirmed = dict(app.store.record(begun.login_id))
        app.store.forge(begun.login_id, {**confirmed, "met": "match2"})
    tag = app.store.record(begun.login_id).get("approval", tag)
    with pytest.raises(UnknownLogin):
        app.qr.redeem(begun.device_code, acknowledged=tag)


def test_a_login_keeps_the_digits_that_it_was_begun_with(app: App) -> None:
    """A phone's process with another policy asks for what the login needs."""
    begun = app.begin()
    app.scan(begun)
    app.policy = STANDARD
    other = app.another()
    with pytest.raises(MatchCodeNeeded):
        other.confirm(begun.scan_code, subject=ALICE)
    done = other.confirm(begun.scan_code, subject=ALICE, match_code=app.digits(begun))
    assert done.state is State.CONFIRMED


@for_each_row("digits", ["1", "1234", "12 ", "١٢٣", "abc", None, 123])
def test_what_cannot_be_a_match_code_is_refused_before_the_store_is_asked(
    app: App, digits: object
) -> None:
    begun = app.begin()
    app.scan(begun)
    with pytest.raises(BadArgument, match="2 or 3 digits"):
        app.qr.confirm(begun.scan_code, subject=ALICE, match_code=digits)  # type: ignore[arg-type]


@row(31)
def test_the_standard_policy_asks_for_none_and_the_strict_one_for_three() -> None:
    assert (STANDARD.match_digits, STRICT.match_digits) == (0, 3)
    for refused in (1, 4, -1, True, "3", 2.0):
        with pytest.raises(Misconfigured, match="match_digits"):
            replace(STANDARD, match_digits=refused)  # type: ignore[arg-type]


@row(31)
@for_each_row("dialect", sorted(set(DIALECTS) - {"native"}))
def test_a_dialect_that_cannot_show_the_digits_is_not_mounted_beside_them(
    app: App, dialect: str
) -> None:
    """An attacker would begin there: the logins of such a dialect would need no match code."""
    options = {"clients": lambda client: True} if dialect == "rfc8628" else {}
    with pytest.raises(Misconfigured, match="match_digits=0"):
        DIALECTS[dialect](app.qr.core, **options)
