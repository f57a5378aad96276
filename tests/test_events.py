"""The events of a login: which replies are events, and what is in them. Delivery is in test_events_on_event.py."""

import inspect
import pickle
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from qrlogin import (
    STANDARD,
    Event,
    LoginError,
    QRLogin,
    QRLoginError,
    RecordForged,
    Redeemed,
    State,
    Unavailable,
)
from qrlogin.operation import Operation
from qrlogin.step import Command, Reply, Verdict
from qrlogin.table import TABLE
from tests.application import ALICE, BOB, KEY, NOON, OP, OTHER_KEY, SHOWN, URI, App

TYPING = replace(STANDARD, user_codes=True)
BROWSER = {"browser": "Firefox on Linux"}
NAMES = {
    "begin": "begun",
    "scan": "scanned",
    "release": "released",
    "confirm": "confirmed",
    "deny": "denied",
    "cancel": "cancelled",
    "redeem": "redeemed",
    "collect": "redeemed",
    "status": None,
}


class Telling(App):
    """An application that keeps what it is told."""

    def __post_init__(self) -> None:
        self.told: list[Event] = []
        super().__post_init__()

    def another(self, *keys: bytes | str) -> QRLogin:
        return QRLogin(
            self.store,
            secret_keys=keys or self.keys,
            verification_uri=URI,
            policy=self.policy,
            on_event=self.told.append,
        )

    @property
    def names(self) -> list[str]:
        """Of the events since this was last asked."""
        told = [str(event.name) for event in self.told]
        self.told.clear()
        return told


@pytest.fixture
def app() -> Telling:
    return Telling(policy=TYPING)


# Which replies are events


def made(app: App, row: str) -> Operation[Any]:
    """An operation of this row that applies, and that nobody has carried out."""
    if row == "begin":
        return app.qr.core.begin(context=BROWSER)
    begun = app.qr.begin(context=BROWSER, ask_browser=row != "collect")
    core, code, tag = app.qr.core, begun.scan_code, ""
    if row in ("release", "confirm", "deny", "redeem", "collect"):
        tag = app.scan(begun)
    if row in ("redeem", "collect"):
        app.qr.confirm(code, subject=ALICE)
    if row == "scan":
        return core.scan(code, subject=ALICE, shown_as=SHOWN[ALICE])
    if row in ("status", "cancel"):
        by_browser: Operation[Any] = getattr(core, row)(app.device(begun))
        return by_browser
    if row in ("redeem", "collect"):
        return core.redeem(app.device(begun), acknowledged=tag if row == "redeem" else "", op=OP)
    decide: Operation[Any] = getattr(core, row)(code, subject=ALICE)
    return decide


@pytest.mark.parametrize("own", [True, False], ids=["own mark", "another's mark"])
@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("row", TABLE)
def test_an_event_is_what_this_very_command_changed(
    app: Telling, row: str, verdict: Verdict, own: bool
) -> None:
    """PROTOCOL 5: applied, or repeated with my own mark. Each row of the table, each verdict."""
    operation = made(app, row)
    assert operation.command.row.name == row
    reply = app.store.apply(operation.command)
    assert reply.verdict is Verdict.APPLIED
    other = dict(reply.record) | ({} if own else {"mark": "another's"})
    event = None
    with suppress(QRLoginError):
        event = operation.resume(replace(reply, verdict=verdict, record=other)).event
    told = verdict is Verdict.APPLIED or (verdict is Verdict.REPEATED and own)
    if not (told and NAMES[row]):
        assert event is None
        return
    assert event is not None
    assert (event.name, event.login_id, event.at_ms) == (NAMES[row], reply.login_id, NOON)
    assert str(event.version) == reply.record["version"]
    assert event.context == BROWSER


def test_every_row_has_its_documented_event() -> None:
    """A row that is new needs a line above, and docs/events.md too."""
    assert NAMES.keys() == TABLE.keys()
    assert set(NAMES.values()) - {None} == set(
        inspect.signature(Event).parameters["name"].annotation.__args__
    )


def test_a_reply_to_another_question_is_no_event(app: Telling) -> None:
    operation = made(app, "scan")
    with pytest.raises(Unavailable, match="another question"):
        operation.resume(Reply("another", operation.command.mark, Verdict.APPLIED, NOON, {}))


def test_an_operation_that_runs_twice_emits_one_event(app: Telling) -> None:
    """After an `Unavailable` the same operation may be run again; after an answer, too."""
    for row in NAMES:
        app.told.clear()
        operation = made(app, row)
        app.told.clear()
        for _ in range(3):
            app.qr.run(operation)
        assert app.names == ([NAMES[row]] if NAMES[row] else []), row


def test_the_same_call_again_is_no_second_event(app: Telling) -> None:
    """Also of a redeem with the same op: it is answered, and says that it is a replay."""
    begun = app.begin()
    for _ in range(2):
        tag = (
            app.scan(begun)
            if app.qr.status(begun.device_code).state is State.PENDING
            else app.tag(begun)
        )
        app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    for _ in range(2):
        app.qr.confirm(begun.scan_code, subject=ALICE)
    assert [
        app.qr.redeem(begun.device_code, acknowledged=tag, op=OP).replayed for _ in range(2)
    ] == [False, True]
    app.qr.confirm(begun.scan_code, subject=ALICE)
    assert app.names == ["begun", "scanned", "confirmed", "redeemed"]


def test_what_is_refused_or_expired_is_no_event(app: Telling) -> None:
    begun = app.begin()
    app.scan(begun)
    app.told.clear()
    for refused in (
        lambda: app.qr.scan(begun.scan_code, subject=BOB, shown_as=SHOWN[BOB]),
        lambda: app.qr.confirm(begun.scan_code, subject=BOB),
        lambda: app.qr.redeem(begun.device_code, acknowledged="x", op=OP),
    ):
        with pytest.raises(LoginError):
            refused()
    app.clock.ms += 121_000
    with pytest.raises(LoginError):
        app.qr.confirm(begun.scan_code, subject=ALICE)
    assert app.qr.status(begun.device_code).state is State.EXPIRED
    assert app.names == []


def test_a_change_that_fails_its_seal_is_no_success(app: Telling) -> None:
    """The browser is refused, so nobody may be told that somebody was logged in."""
    begun, tag = app.reach(State.CONFIRMED)
    app.store.forge(begun.login_id, {**app.store.record(begun.login_id), "subject": "mallory"})
    app.told.clear()
    with pytest.raises(RecordForged):
        app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
    assert app.store.record(begun.login_id)["state"] == "redeemed"
    assert app.told == []


def test_what_an_event_shows_is_sealed_or_left_out(app: Telling) -> None:
    """Confirm itself looks at no seal of the beginning: the change has happened, and is told without what cannot be believed."""
    begun, _ = app.reach(State.SCANNED)
    app.store.forge(
        begun.login_id,
        {**app.store.record(begun.login_id), "context": '{"browser":"mine"}', "shown_as": "E•e"},
    )
    app.told.clear()
    app.qr.confirm(begun.scan_code, subject=ALICE)
    [event] = app.told
    assert (event.name, event.subject, event.context, event.shown_as) == (
        "confirmed",
        ALICE,
        {},
        "",
    )


# What is in them


def test_an_event_names_the_subject_and_the_browser(app: Telling) -> None:
    begun = app.qr.begin(context=BROWSER)
    phone = {"subject": ALICE, "phone": "her old one"}
    app.clock.ms += 1
    app.qr.scan(begun.scan_code, **phone, shown_as=SHOWN[ALICE])
    app.clock.ms += 1
    app.qr.release(begun.scan_code, **phone)
    app.clock.ms += 1
    app.qr.scan(begun.scan_code, **phone, shown_as=SHOWN[ALICE])
    app.qr.confirm(begun.scan_code, **phone)
    app.qr.redeem(begun.device_code, acknowledged=app.tag(begun))
    old = ("alice", "her old one", SHOWN[ALICE])
    assert [
        (e.name, e.version, e.at_ms - NOON, (e.subject, e.phone, e.shown_as)) for e in app.told
    ] == [
        ("begun", 1, 0, ("", "", "")),
        ("scanned", 2, 1, old),
        ("released", 3, 2, old),
        ("scanned", 4, 3, old),
        ("confirmed", 5, 3, old),
        ("redeemed", 6, 3, (ALICE, "", SHOWN[ALICE])),
    ]
    assert {event.login_id for event in app.told} == {begun.login_id}
    assert all(event.context == BROWSER for event in app.told)


def test_an_event_of_the_browser_names_no_subject(app: Telling) -> None:
    begun, _ = app.reach(State.CONFIRMED)
    app.told.clear()
    app.qr.cancel(begun.device_code)
    [event] = app.told
    assert (event.name, event.subject, event.shown_as, event.context) == (
        "cancelled",
        "",
        "",
        BROWSER,
    )


def test_an_event_is_a_value_that_shows_no_person() -> None:
    event = Event(
        "scanned",
        "L",
        2,
        NOON,
        subject=ALICE,
        phone="+49 170",
        shown_as="A•••e",
        context={"address": "192.0.2.7"},
    )
    assert repr(event) == f"Event(name='scanned', login_id='L', version=2, at_ms={NOON})"
    assert pickle.loads(pickle.dumps(event)) == event  # it holds no code, so it may go into a queue
    with pytest.raises(FrozenInstanceError):
        event.version = 3  # type: ignore[misc]
    assert not hasattr(event, "__dict__")


# Operations of more than one command


def test_a_typed_code_tells_of_its_login_and_not_of_its_guesses(app: Telling) -> None:
    begun = app.qr.begin(user_code=True)
    ring = app.another(OTHER_KEY, KEY)
    for qr, act in (
        (ring, "scan"),
        (app.qr, "release"),
        (ring, "scan"),
        (ring, "confirm"),
        (app.qr, "deny"),
    ):
        shown = {"shown_as": SHOWN[ALICE]} if act == "scan" else {}
        getattr(qr, act)(begun.user_code, subject=ALICE, **shown)
    with pytest.raises(LoginError):
        app.qr.scan("BBBB-BBBB", subject=ALICE, shown_as=SHOWN[ALICE])
    assert {event.login_id for event in app.told} == {begun.login_id}
    assert app.names == ["begun", "scanned", "released", "scanned", "confirmed", "denied"]


def test_a_scan_emits_its_event_even_if_the_next_command_fails(
    app: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guess that was right is to be given back, and just then the store goes away: the scan has happened."""
    begun = app.qr.begin(user_code=True)
    genuine = app.store.apply

    def apply(command: Command) -> Reply:
        if command.row.name == "guessed right":
            raise Unavailable
        return genuine(command)

    monkeypatch.setattr(app.store, "apply", apply)
    app.told.clear()
    operation = app.qr.core.scan(begun.user_code, subject=ALICE, shown_as=SHOWN[ALICE])
    for _ in range(2):  # "the same call again is then safe", and no second event
        with pytest.raises(Unavailable):
            app.qr.run(operation)
    assert app.names == ["scanned"]


def test_a_login_that_is_drawn_again_begins_once(
    app: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, drawn = app.store.apply, list[str]()

    def apply(command: Command) -> Reply:
        drawn.append(command.login_id)
        if len(drawn) < 3:
            return Reply(
                command.login_id, command.mark, Verdict.REFUSED, NOON, {"state": "pending"}
            )
        return genuine(command)

    monkeypatch.setattr(app.store, "apply", apply)
    app.qr.begin(user_code=True)
    assert [(event.name, event.login_id) for event in app.told] == [("begun", drawn[3])]


@pytest.mark.parametrize("yields", ["redeem_by_ticket", "status_or_redeem"])
def test_a_redeem_in_the_second_command_emits_its_event_after_a_lost_reply(
    app: Telling, monkeypatch: pytest.MonkeyPatch, yields: str
) -> None:
    begun = app.qr.begin(ask_browser=False)
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    app.qr.confirm(begun.scan_code, subject=ALICE)
    core, ticket, genuine = app.qr.core, app.qr.status(begun.device_code).ticket, app.store.apply
    operation: Operation[Any] = (
        core.redeem_by_ticket(app.device(begun), ticket)
        if yields == "redeem_by_ticket"
        else core.status_or_redeem(app.device(begun))
    )

    def apply(command: Command) -> Reply:
        reply = genuine(command)
        if command.row.name != "status":
            raise Unavailable
        return reply

    app.told.clear()
    with monkeypatch.context() as losing:
        losing.setattr(app.store, "apply", apply)
        with pytest.raises(Unavailable):
            app.qr.run(operation)
    for _ in range(2):
        assert isinstance(app.qr.run(operation), Redeemed)
    assert app.names == ["redeemed"]


@pytest.mark.parametrize("yields", ["redeem_by_ticket", "status_or_redeem"])
def test_what_looks_first_tells_of_the_redeem_alone(app: Telling, yields: str) -> None:
    begun = app.qr.begin(ask_browser=False)
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    app.told.clear()
    app.qr.run(app.qr.core.status_or_redeem(app.device(begun)))
    assert app.names == []
    app.qr.confirm(begun.scan_code, subject=ALICE)
    ticket = app.qr.status(begun.device_code).ticket
    for _ in range(2):
        core = app.qr.core
        operation = (
            core.redeem_by_ticket(app.device(begun), ticket)
            if yields == "redeem_by_ticket"
            else core.status_or_redeem(app.device(begun))
        )
        assert isinstance(app.qr.run(operation), Redeemed)
    assert app.names == ["confirmed", "redeemed"]


def test_errors_are_no_events() -> None:
    """Whatever an operation raises, it raises as it did without a listener."""
    app = Telling()
    begun, tag = app.reach(State.DENIED)
    app.told.clear()
    for call in (
        lambda: app.qr.redeem(begun.device_code, acknowledged=tag),
        lambda: app.qr.cancel(begun.device_code),
        lambda: app.qr.confirm(begun.scan_code, subject=ALICE),
    ):
        with pytest.raises(QRLoginError):
            call()
    assert app.told == []
