"""Operations of more than one command send the right commands and survive a failure half way.

Each test runs through both shells, because the shells send one command after the other.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from qrlogin import (
    STANDARD,
    AlreadyScanned,
    Begun,
    Expired,
    InvalidCode,
    NotYours,
    QRLogin,
    QRLoginError,
    RecordForged,
    State,
    TooManyGuesses,
    Unavailable,
    UnknownLogin,
    WrongState,
    codes,
    seals,
)
from qrlogin.operation import Operation
from qrlogin.step import Command, Reply, Verdict
from tests.application import (
    ALICE,
    BOB,
    KEY,
    NOON,
    OTHER_KEY,
    SHOWN,
    URI,
    App,
    Run,
    Untouched,
    confirmed,
    events,
)
from tests.tables import for_each_row

TYPING = replace(STANDARD, user_codes=True, limits=None)
THIRD_KEY = bytes(range(2, 34))
WRONG = "BBBB-BBBB"


# A user_code that is taken


class Taken(App):
    """An application whose first `refusals` commands of the row `refused` find their id taken."""

    refusals, refused = 0, "name"

    def __post_init__(self) -> None:
        super().__post_init__()
        genuine = self.store.apply

        def apply(command: Command) -> Reply:
            if command.row.name == self.refused and self.refusals > 0:
                self.refusals -= 1
                self.store.commands.append(command)
                return Reply(
                    command.login_id, command.mark, Verdict.REFUSED, NOON, {"state": "pending"}
                )
            return genuine(command)

        self.store.apply = apply  # type: ignore[method-assign]


@pytest.mark.parametrize("refusals", [0, 1, 2])
def test_a_code_that_is_taken_is_drawn_again(refusals: int, run: Run[Begun]) -> None:
    """Two logins can draw the same of 20 ** 8 codes; then one draws new letters and a secret."""
    app = Taken(policy=TYPING)
    app.refusals = refusals
    begun = run(app, app.qr.core.begin(user_code=True))
    asked = list(app.store.commands)
    assert [one.row.name for one in asked] == ["name"] * (refusals + 1) + ["begin"]
    for each in ("login_id", "mark"):
        assert len({getattr(one, each) for one in asked}) == refusals + 2
    assert len({one.values["names"] for one in asked[:-1]}) == refusals + 1
    assert begun.login_id == asked[-2].values["names"] == asked[-1].login_id
    assert [one.login_id for one in app.qr.core._codes.read_scan_code(begun.user_code)] == [
        asked[-2].login_id
    ]
    assert asked[-2].ttl_ms == asked[-1].ttl_ms, (
        "the letters must lead to the login for as long as its record is kept"
    )
    assert app.qr.status(begun.device_code).state is State.PENDING


def test_begin_gives_up_after_three_codes_that_are_taken(run: Run[Begun]) -> None:
    app = Taken(policy=TYPING)
    app.refusals = 100
    with pytest.raises(Unavailable, match="begin again"):
        run(app, app.qr.core.begin(user_code=True))
    assert events(app) == ["name"] * 3


@pytest.mark.parametrize("arguments", [{}, {"fixed": True}, {"user_code": True}])
def test_a_taken_login_id_is_not_drawn_again(arguments: dict[str, Any], run: Run[Begun]) -> None:
    app = Taken(policy=TYPING)
    app.refusals, app.refused = 1, "begin"
    with pytest.raises(Unavailable):
        run(app, app.qr.core.begin(**arguments))
    assert events(app) == [*(["name"] if "user_code" in arguments else []), "begin"]


# What a typed code costs


def typed(app: App) -> Begun:
    begun = app.qr.begin(user_code=True)
    app.store.commands.clear()
    return begun


def test_a_right_guess_is_given_back(run: Run[Any]) -> None:
    app = App(policy=TYPING)
    begun = typed(app)
    for _ in range(3 * TYPING.guesses):
        run(app, app.qr.core.scan(begun.user_code, subject=ALICE, shown_as=SHOWN[ALICE]))
        assert events(app) == ["guess of 5", "look up", "scan", "guessed right"]
    for event, call in (
        ("release", app.qr.core.release),
        ("scan", app.qr.core.scan),
        ("confirm", app.qr.core.confirm),
    ):
        named: dict[str, Any] = {"shown_as": SHOWN[ALICE]} if event == "scan" else {}
        run(app, call(begun.user_code, subject=ALICE, **named))
        looked = ["look up", event]
        assert events(app) == (
            ["guess of 5", *looked, "guessed right"] if event == "scan" else ["may guess", *looked]
        )
    with pytest.raises(WrongState):
        run(app, app.qr.core.release(begun.user_code, subject=ALICE))
    assert events(app) == ["may guess", "look up", "release"]  # refused, but no guess


@pytest.mark.parametrize("minted_by", range(3))
def test_a_code_may_belong_to_any_key_of_the_ring(minted_by: int, run: Run[Any]) -> None:
    """The signing key comes first: one lookup for each key at most, and two counting commands."""
    ring = [KEY, OTHER_KEY, THIRD_KEY]
    app = App(policy=TYPING, keys=tuple(ring))
    begun = app.another(ring[minted_by]).begin(user_code=True)
    events(app)
    scanned = run(app, app.qr.core.scan(begun.user_code, subject=ALICE, shown_as=SHOWN[ALICE]))
    assert scanned.login_id == begun.login_id
    assert events(app) == ["guess of 5", *["look up"] * (minted_by + 1), "scan", "guessed right"]
    run(app, app.qr.core.confirm(begun.user_code, subject=ALICE))
    assert app.qr.redeem(begun.device_code, acknowledged=app.tag(begun)).subject == ALICE


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_wrong_guess_costs_one_lookup_for_each_key_as_a_right_one_does(
    size: int, run: Run[Any]
) -> None:
    """The number of round trips, which can be timed, does not show whether a code exists."""
    app = App(policy=TYPING, keys=(KEY, OTHER_KEY, THIRD_KEY)[:size])
    for event, call in (
        ("scan", app.qr.core.scan),
        ("confirm", app.qr.core.confirm),
        ("deny", app.qr.core.deny),
    ):
        named = {"shown_as": "A"} if event == "scan" else {}
        with pytest.raises(UnknownLogin) as refusal:
            run(app, call(WRONG, subject=ALICE, **named))
        assert type(refusal.value) is UnknownLogin
        looked = [*["look up"] * size, event]
        assert events(app) == (
            ["guess of 5", *looked] if event == "scan" else ["may guess", *looked, "guess of 5"]
        )
    assert [*app.store._records._records] == [
        seals.guess_record_id(app.qr.core._codes.signing_key, ALICE)
    ]


def test_the_lookup_ends_at_the_first_login_that_is_found(run: Run[Any]) -> None:
    """Another account holds the login, so no other key could find more."""
    app = App(policy=TYPING, keys=(KEY, OTHER_KEY))
    begun = typed(app)
    app.qr.scan(begun.user_code, subject=BOB, shown_as=SHOWN[BOB])
    events(app)
    for expected, call in ((AlreadyScanned, app.qr.core.scan), (NotYours, app.qr.core.confirm)):
        named = {"shown_as": "A"} if expected is AlreadyScanned else {}
        with pytest.raises(expected):
            run(app, call(begun.user_code, subject=ALICE, **named))
        assert events(app) == (
            ["guess of 5", "look up", "scan"]
            if expected is AlreadyScanned
            else ["may guess", "look up", "confirm", "guess of 5"]
        )
    app.clock.ms += 120_000
    with pytest.raises(Expired):
        run(app, app.qr.core.deny(begun.user_code, subject=BOB))


def guess(app: App, who: str, code: str = WRONG) -> Operation[Any]:
    return app.qr.core.scan(code, subject=who, shown_as=SHOWN[who])


def test_the_sixth_guess_is_refused_before_the_lookup(run: Run[Any]) -> None:
    """RFC 8628 section 5.1: the account is stopped in every call, even for a right code."""
    app = App(policy=TYPING)
    begun = typed(app)
    for call in (
        guess(app, ALICE),
        guess(app, ALICE),
        *(app.qr.core.confirm(WRONG, subject=ALICE) for _ in range(3)),
    ):
        with pytest.raises(UnknownLogin):
            run(app, call)
    events(app)
    core = app.qr.core
    for call in (
        guess(app, ALICE),
        guess(app, ALICE, begun.user_code),
        core.confirm(begun.user_code, subject=ALICE),
    ):
        with pytest.raises(TooManyGuesses) as refusal:
            run(app, call)
        assert (refusal.value.retry_after, refusal.value.http_status, refusal.value.wire_code) == (
            600,
            429,
            "too_many_guesses",
        )
        assert events(app) in (
            ["guess of 5"],
            [*("may guess", "look up", "confirm", "guess of 5", "guess on of 100")],
        )
    run(app, guess(app, BOB, begun.user_code))
    other = app.begin()
    assert app.qr.scan(other.scan_code, subject=ALICE, shown_as="A").login_id == other.login_id
    app.qr.confirm(other.scan_code, subject=ALICE)


def test_the_budget_is_back_when_its_window_is_over_and_not_before(run: Run[Any]) -> None:
    app = App(policy=replace(TYPING, guesses=2, guess_window=60))
    for ms in (0, 30_000):
        app.clock.ms += ms
        with pytest.raises(UnknownLogin):
            run(app, guess(app, ALICE))
    for ms, expected in (
        (29_999, TooManyGuesses),
        (1, UnknownLogin),
        (59_999, UnknownLogin),
        (0, TooManyGuesses),
        (1, UnknownLogin),
    ):
        app.clock.ms += ms
        with pytest.raises(QRLoginError) as refusal:
            run(app, guess(app, ALICE))
        assert type(refusal.value) is expected
    assert {one.ttl_ms for one in app.store.commands if one.row.name.startswith("guess")} == {
        60_000
    }


def test_a_right_guess_gives_back_one_guess_only() -> None:
    app = App(policy=TYPING)
    begun = typed(app)
    for _ in range(4):
        with pytest.raises(UnknownLogin):
            app.qr.run(guess(app, ALICE))
        for _ in range(3):
            app.qr.run(guess(app, ALICE, begun.user_code))
    with pytest.raises(UnknownLogin):
        app.qr.run(guess(app, ALICE))
    with pytest.raises(TooManyGuesses):
        app.qr.run(guess(app, ALICE, begun.user_code))


def test_the_record_of_a_guess_budget_holds_no_subject() -> None:
    """Neither the account nor the letters that it typed can be read in the store."""
    app = App(policy=TYPING)
    begun = typed(app)
    app.qr.run(guess(app, ALICE, begun.user_code))
    key = app.qr.core._codes.signing_key
    (named_at,) = (one.login_id for one in app.qr.core._codes.read_scan_code(begun.user_code))
    (guesser,) = {one.login_id for one in app.store.commands} - {begun.login_id, named_at}
    assert guesser == seals.guess_record_id(key, ALICE) != seals.guess_record_id(key, BOB)
    view = (
        repr(app.store._records._records)
        + repr(app.store.commands)
        + repr([one.values for one in app.store.commands])
    )
    for hidden in (begun.user_code, begun.user_code.replace("-", ""), "'alice'"):
        assert hidden not in view
    assert set(app.store.record(guesser)) == {"state", "guesses", "mark", "changed_at", "version"}


@pytest.mark.parametrize("event", ["scan", "confirm", "deny", "release"])
def test_without_typed_codes_no_typed_code_is_looked_up(event: str) -> None:
    """A policy without typed codes refuses them before any store call."""
    qr = QRLogin(Untouched(), secret_keys=[KEY], verification_uri=URI)
    named = {"shown_as": "A"} if event == "scan" else {}
    for text in (WRONG, "bbbb bbbb", f"{URI}?user_code={WRONG}"):
        with pytest.raises(InvalidCode, match="typed codes are off"):
            getattr(qr, event)(text, subject=ALICE, **named)


def test_a_forged_login_is_refused_by_its_typed_code_too(
    run: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = App(policy=TYPING)
    begun = typed(app)
    app.store.forge(
        begun.login_id, {**app.store.record(begun.login_id), "context": '{"browser":"yours"}'}
    )
    with pytest.raises(RecordForged):
        run(app, guess(app, ALICE, begun.user_code))
    assert f"record {begun.login_id} fails its seal" in caplog.text
    assert begun.user_code not in caplog.text


def test_a_forged_record_is_an_error_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    """A browser polls its login many times, and would fill the log."""
    app = App()
    logins = [app.qr.begin() for _ in range(2)]
    for begun in logins:
        app.store.forge(
            begun.login_id, {**app.store.record(begun.login_id), "context": '{"browser":"yours"}'}
        )
    for begun in logins * 5:
        with pytest.raises(RecordForged):
            app.qr.status(begun.device_code)
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [error.split()[1] for error in errors] == [begun.login_id for begun in logins]


def test_the_log_does_not_call_a_name_record_a_login(
    run: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = App(policy=TYPING)
    begun = typed(app)
    record_id = app.qr.core._codes.read_scan_code(begun.user_code)[0].login_id
    app.store.forge(record_id, {**app.store.record(record_id), "names": "another-login"})
    with pytest.raises(RecordForged):
        run(app, guess(app, ALICE, begun.user_code))
    assert f"record {record_id} fails its seal: the login that a typed code names" in caplog.text
    assert f"login {record_id}" not in caplog.text


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_a_repeated_scan_succeeds_after_any_lost_reply(lost: int, run: Run[Any]) -> None:
    """The command was applied, its reply was lost: a repeat succeeds for at most one guess."""
    app = App(policy=TYPING)
    begun = typed(app)
    genuine, numbers = app.store.apply, itertools.count(1)

    def apply(command: Command) -> Reply:
        reply = genuine(command)
        if next(numbers) == lost:
            raise Unavailable("the reply was lost")
        return reply

    app.store.apply = apply  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        run(app, guess(app, ALICE, begun.user_code))
    assert run(app, guess(app, ALICE, begun.user_code)).state is State.SCANNED
    guesser = seals.guess_record_id(app.qr.core._codes.signing_key, ALICE)
    assert int(app.store.record(guesser)["guesses"]) <= 1


# Every reply must belong to its command


def chains(app: App, begun: Begun, ticket: str) -> Iterator[Operation[Any]]:
    core = app.qr.core
    yield core.begin(user_code=True)
    yield core.status(app.device(begun))
    yield guess(app, ALICE, begun.user_code)
    yield guess(app, ALICE)
    yield core.redeem_by_ticket(app.device(begun), ticket)
    yield core.status_or_redeem(app.device(begun))


class Stray(App):
    """An application that gets the reply to another command for its command number `stray`."""

    stray, asked = 0, 0
    changes: Mapping[str, str] = MappingProxyType({})

    def __post_init__(self) -> None:
        super().__post_init__()
        genuine = self.store.apply

        def apply(command: Command) -> Reply:
            self.asked += 1
            reply = genuine(command)
            if self.asked != self.stray:
                return reply
            return replace(reply, **self.changes)  # type: ignore[arg-type]

        self.store.apply = apply  # type: ignore[method-assign]


@for_each_row("index", range(6))
@for_each_row("stray", [1, 2, 3, 4])
@for_each_row("changes", [{"login_id": codes.new_login_id()}, {"mark": codes.new_mark()}])
def test_every_command_of_a_chain_refuses_a_reply_to_another_question(
    index: int, stray: int, changes: dict[str, str], run: Run[Any]
) -> None:
    """This holds at every command of every chain, whatever the next command depends on."""
    app = Stray(policy=TYPING)
    begun, ticket = confirmed(app, user_code=True)
    operation = list(chains(app, begun, ticket))[index]
    app.asked, app.stray, app.changes = 0, stray, changes
    refusal: Exception | None = None
    try:
        run(app, operation)
    except (Unavailable, UnknownLogin) as error:
        refusal = error
    if isinstance(refusal, Unavailable):
        assert "another question" in str(refusal)
        assert app.asked == stray, "a command was sent after a reply to another question"
    else:
        assert app.asked < stray


def test_resume_itself_checks_the_echo() -> None:
    app = App(policy=TYPING)
    begun, ticket = confirmed(app, user_code=True)
    for operation in chains(app, begun, ticket):
        reply = app.store.apply(operation.command)
        for stray in (
            replace(reply, login_id=codes.new_login_id()),
            replace(reply, mark=codes.new_mark()),
        ):
            with pytest.raises(Unavailable, match="another question"):
                operation.resume(stray)
