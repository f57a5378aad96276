"""Each change of a login emits one event with the right fields. Delivery has its own file."""

import inspect
import pickle
import re
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any, get_args

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
    WrongMatchCode,
)
from qrlogin.answers import EventName
from qrlogin.operation import Operation
from qrlogin.step import Command, Reply, Verdict
from qrlogin.table import TABLE
from tests.application import ALICE, BOB, KEY, NOON, OP, OTHER_KEY, SHOWN, TO_END, URI, App
from tests.security_rows import row

ROOT = Path(__file__).resolve().parent.parent
TYPING = replace(STANDARD, user_codes=True, limits=None)
BROWSER = {"browser": "Firefox on Linux"}
NAMES = {
    "begin": "begun",
    "scan": "scanned",
    "release": "released",
    "confirm": "confirmed",
    "miss": "denied",  # the third one
    "deny": "denied",
    "cancel": "cancelled",
    "redeem": "redeemed",
    "collect": "redeemed",
    **dict.fromkeys(("status", "land", "look", "outcome")),
}


class RecordingApp(App):
    """An application that keeps its events in a list."""

    def __post_init__(self) -> None:
        self.events: list[Event] = []
        super().__post_init__()

    def another(self, *keys: bytes | str) -> QRLogin:
        return QRLogin(
            self.store,
            secret_keys=keys or self.keys,
            verification_uri=URI,
            policy=self.policy,
            on_event=self.events.append,
        )

    @property
    def names(self) -> list[str]:
        """The names of the events since the last read of this property."""
        names = [str(event.name) for event in self.events]
        self.events.clear()
        return names


@pytest.fixture
def app() -> RecordingApp:
    return RecordingApp(policy=TYPING)


# Which replies are events


def made(app: App, row: str) -> Operation[Any]:
    """An operation of this row that will be applied and has not run yet."""
    if row == "begin":
        return app.qr.core.begin(context=BROWSER)
    begun = app.qr.begin(context=BROWSER, ask_browser=row != "collect")
    core, code, tag = app.qr.core, begun.scan_code, ""
    if row in ("release", "confirm", "miss", "outcome", "deny", "redeem", "collect"):
        tag = app.scan(begun)
    if row in ("redeem", "collect"):
        app.qr.confirm(code, subject=ALICE)
        tag = app.tag(begun)
    if row == "scan":
        return core.scan(code, subject=ALICE, shown_as=SHOWN[ALICE])
    if row in ("status", "cancel"):
        by_browser: Operation[Any] = getattr(core, row)(app.device(begun))
        return by_browser
    if row in ("redeem", "collect"):
        return core.redeem(app.device(begun), acknowledged=tag if row == "redeem" else "", op=OP)
    if row == "land":
        return core.land(code)
    if row == "miss":
        wrong = app.wrong_digits(begun, 3)
        for digits in wrong[:2]:
            with pytest.raises(WrongMatchCode):
                app.qr.confirm(code, subject=ALICE, match_code=digits)
        return core.confirm(code, subject=ALICE, match_code=wrong[2])
    decide: Operation[Any] = getattr(core, row)(code, subject=ALICE)
    return decide


@pytest.mark.parametrize("own", [True, False], ids=["own mark", "another's mark"])
@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("row", TABLE)
def test_an_event_is_a_change_that_this_command_made(
    app: RecordingApp, row: str, verdict: Verdict, own: bool
) -> None:
    """A reply is an event if it is applied, or repeated with the command's own mark."""
    operation = made(app, row)
    assert operation.command.row.name == row
    reply = app.store.apply(operation.command)
    assert reply.verdict is Verdict.APPLIED
    other = dict(reply.record) | ({} if own else {"mark": "another's"})
    event = None
    with suppress(QRLoginError):
        event = operation.resume(replace(reply, verdict=verdict, record=other)).event
    is_event = verdict is Verdict.APPLIED or (verdict is Verdict.REPEATED and own)
    if not (is_event and NAMES[row]):
        assert event is None
        return
    assert event is not None
    assert (event.name, event.login_id, event.at_ms) == (NAMES[row], reply.login_id, NOON)
    assert str(event.version) == reply.record["version"]
    assert event.context == BROWSER


@row(116, 462)
def test_every_row_has_its_documented_event() -> None:
    """A new row needs a line above, and one in docs/events.md."""
    assert NAMES.keys() == TABLE.keys()
    assert set(NAMES.values()) - {None} == set(
        inspect.signature(Event).parameters["name"].annotation.__args__
    )


def test_a_reply_to_another_question_is_no_event(app: RecordingApp) -> None:
    operation = made(app, "scan")
    with pytest.raises(Unavailable, match="another question"):
        operation.resume(Reply("another", operation.command.mark, Verdict.APPLIED, NOON, {}))


def test_an_operation_that_runs_twice_emits_one_event(app: RecordingApp) -> None:
    """The same operation can run again, after an `Unavailable` and after an answer."""
    for row in NAMES:
        app.events.clear()
        operation = made(app, row)
        app.events.clear()
        for _ in range(3):
            with suppress(WrongMatchCode):
                app.qr.run(operation)
        assert app.names == ([NAMES[row]] if NAMES[row] else []), row


def test_a_repeated_call_emits_no_second_event(app: RecordingApp) -> None:
    """This includes a redeem with the same op, which is answered as a replay."""
    begun = app.begin()
    for _ in range(2):
        app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    for _ in range(2):
        app.qr.confirm(begun.scan_code, subject=ALICE)
    tag = app.tag(begun)
    assert [
        app.qr.redeem(begun.device_code, acknowledged=tag, op=OP).replayed for _ in range(2)
    ] == [False, True]
    app.qr.confirm(begun.scan_code, subject=ALICE)
    assert app.names == ["begun", "scanned", "confirmed", "redeemed"]


def test_a_refused_or_expired_call_emits_no_event(app: RecordingApp) -> None:
    begun = app.begin()
    app.scan(begun)
    app.events.clear()
    for refused in (
        lambda: app.qr.scan(begun.scan_code, subject=BOB, shown_as=SHOWN[BOB]),
        lambda: app.qr.confirm(begun.scan_code, subject=BOB),
        lambda: app.qr.redeem(begun.device_code, acknowledged="x", op=OP),
    ):
        with pytest.raises(LoginError):
            refused()
    app.clock.ms += TO_END * 1000
    with pytest.raises(LoginError):
        app.qr.confirm(begun.scan_code, subject=ALICE)
    assert app.qr.status(begun.device_code).state is State.EXPIRED
    assert app.names == []


def test_a_redeem_that_fails_its_seal_emits_no_event(app: RecordingApp) -> None:
    """The browser is refused, so the application must not see a successful login."""
    begun, tag = app.reach(State.CONFIRMED)
    app.store.forge(begun.login_id, {**app.store.record(begun.login_id), "subject": "mallory"})
    app.events.clear()
    with pytest.raises(RecordForged):
        app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
    assert app.store.record(begun.login_id)["state"] == "redeemed"
    assert app.events == []


def test_an_event_leaves_out_fields_that_fail_their_seal(app: RecordingApp) -> None:
    """Confirm reads no seal of the beginning, so its event leaves out fields that fail theirs."""
    begun, _ = app.reach(State.SCANNED)
    app.store.forge(
        begun.login_id,
        {**app.store.record(begun.login_id), "context": '{"browser":"mine"}', "shown_as": "E•e"},
    )
    app.events.clear()
    app.qr.confirm(begun.scan_code, subject=ALICE)
    [event] = app.events
    assert (event.name, event.subject, event.context, event.shown_as) == (
        "confirmed",
        ALICE,
        {},
        "",
    )


# The fields of events


@row(431)
def test_an_event_names_the_subject_and_the_browser(app: RecordingApp) -> None:
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
        (e.name, e.version, e.at_ms - NOON, (e.subject, e.phone, e.shown_as)) for e in app.events
    ] == [
        ("begun", 1, 0, ("", "", "")),
        ("scanned", 2, 1, old),
        ("released", 3, 2, old),
        ("scanned", 4, 3, old),
        ("confirmed", 5, 3, old),
        ("redeemed", 6, 3, (ALICE, "", SHOWN[ALICE])),
    ]
    assert {event.login_id for event in app.events} == {begun.login_id}
    assert all(event.context == BROWSER for event in app.events)


def test_an_event_of_the_browser_names_no_subject(app: RecordingApp) -> None:
    begun, _ = app.reach(State.CONFIRMED)
    app.events.clear()
    app.qr.cancel(begun.device_code)
    [event] = app.events
    assert (event.name, event.subject, event.shown_as, event.context) == (
        "cancelled",
        "",
        "",
        BROWSER,
    )


def test_the_repr_of_an_event_shows_no_person() -> None:
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
    assert pickle.loads(pickle.dumps(event)) == event  # it holds no code, so a queue may take it
    with pytest.raises(FrozenInstanceError):
        event.version = 3  # type: ignore[misc]
    assert not hasattr(event, "__dict__")


# Operations of more than one command


def test_a_typed_code_emits_events_of_its_login_only(app: RecordingApp) -> None:
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
    assert {event.login_id for event in app.events} == {begun.login_id}
    assert app.names == ["begun", "scanned", "released", "scanned", "confirmed", "denied"]


def test_a_scan_emits_its_event_even_if_the_next_command_fails(
    app: RecordingApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store fails at the next command, which returns the guess, but the scan has happened."""
    begun = app.qr.begin(user_code=True)
    genuine = app.store.apply

    def apply(command: Command) -> Reply:
        if command.row.name == "guessed right":
            raise Unavailable
        return genuine(command)

    monkeypatch.setattr(app.store, "apply", apply)
    app.events.clear()
    operation = app.qr.core.scan(begun.user_code, subject=ALICE, shown_as=SHOWN[ALICE])
    for _ in range(2):  # a repeat is safe and emits no second event
        with pytest.raises(Unavailable):
            app.qr.run(operation)
    assert app.names == ["scanned"]


def test_a_begin_that_draws_again_emits_one_event(
    app: RecordingApp, monkeypatch: pytest.MonkeyPatch
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
    assert [(event.name, event.login_id) for event in app.events] == [("begun", drawn[3])]


@pytest.mark.parametrize("yields", ["redeem_by_ticket", "status_or_redeem"])
def test_a_redeem_in_the_second_command_emits_its_event_after_a_lost_reply(
    app: RecordingApp, monkeypatch: pytest.MonkeyPatch, yields: str
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

    app.events.clear()
    with monkeypatch.context() as losing:
        losing.setattr(app.store, "apply", apply)
        with pytest.raises(Unavailable):
            app.qr.run(operation)
    for _ in range(2):
        assert isinstance(app.qr.run(operation), Redeemed)
    assert app.names == ["redeemed"]


@pytest.mark.parametrize("yields", ["redeem_by_ticket", "status_or_redeem"])
def test_redeem_by_ticket_and_status_or_redeem_emit_one_redeemed_event(
    app: RecordingApp, yields: str
) -> None:
    begun = app.qr.begin(ask_browser=False)
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    app.events.clear()
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


def test_a_call_that_raises_emits_no_event() -> None:
    """A callback does not change what an operation raises."""
    app = RecordingApp()
    begun, tag = app.reach(State.DENIED)
    app.events.clear()
    for call in (
        lambda: app.qr.redeem(begun.device_code, acknowledged=tag),
        lambda: app.qr.cancel(begun.device_code),
        lambda: app.qr.confirm(begun.scan_code, subject=ALICE),
    ):
        with pytest.raises(QRLoginError):
            call()
    assert app.events == []


# Names and times


def test_the_names_of_events_are_those_of_the_docs_and_of_the_code() -> None:
    """Dashboards, audit trails and alerts know them, so a name stays for ever."""
    stable = [
        *("begun", "scanned", "released", "confirmed", "denied", "cancelled", "redeemed"),
    ]
    assert list(get_args(EventName)) == stable
    page = (ROOT / "docs" / "events.md").read_text("utf-8")
    table = page.partition("| `name` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == stable
    assert {name for name in NAMES.values() if name} == set(stable)


def test_an_event_says_how_long_its_step_took() -> None:
    app = RecordingApp()
    begun = app.begin()
    app.clock.ms += 4_000
    app.scan(begun)
    app.clock.ms += 1_500
    app.qr.release(begun.scan_code, subject=ALICE)
    app.clock.ms += 500
    tag = app.scan(begun)
    app.clock.ms += 7_000
    app.qr.confirm(begun.scan_code, subject=ALICE)
    app.clock.ms += 20
    assert tag
    app.qr.redeem(begun.device_code, acknowledged=app.tag(begun))
    assert [(event.name, event.step_ms) for event in app.events] == [
        ("begun", None),
        ("scanned", 4_000),
        ("released", 1_500),
        ("scanned", 6_000),
        ("confirmed", 7_000),
        ("redeemed", 20),
    ]


@pytest.mark.parametrize(("field", "step_ms"), [({}, None), ({"scanned_at": "x"}, None)])
def test_a_record_without_the_time_of_a_step_has_an_event_without_its_length(
    field: dict[str, str], step_ms: int | None
) -> None:
    app = RecordingApp()
    begun = app.begin()
    app.scan(begun)
    record = {k: v for k, v in app.store.record(begun.login_id).items() if k != "scanned_at"}
    app.store.forge(begun.login_id, record | field)
    app.qr.deny(begun.scan_code, subject=ALICE)
    assert app.events[-1].step_ms is step_ms
    cancelled = app.begin()
    app.clock.ms += 9_000
    later = dict(app.store.record(cancelled.login_id)) | {"begun_at": str(app.clock.ms + 60_000)}
    app.store.forge(cancelled.login_id, later)
    app.qr.cancel(cancelled.device_code)
    assert app.events[-1].step_ms == 0  # and never below
