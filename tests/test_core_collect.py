"""A login that does not ask its browser is redeemed by a ticket, or by the poll that returns it."""

from dataclasses import replace
from typing import Any

import pytest

from qrlogin import (
    STANDARD,
    AlreadyRedeemed,
    BadArgument,
    Begun,
    Denied,
    Expired,
    InvalidCode,
    LoginError,
    NotYours,
    Policy,
    QRLoginError,
    RecordForged,
    RecordLost,
    Redeemed,
    State,
    Status,
    TooFast,
    seals,
)
from qrlogin.step import Verdict
from qrlogin.table import TABLE
from tests.application import ALICE, OP, SHOWN, TO_END, TO_SCAN, App, Run, confirmed, events
from tests.security_rows import row
from tests.tables import for_each_row

# Tickets


@pytest.mark.parametrize("asks", [False, True])
def test_a_ticket_is_shown_once_confirmed_where_the_browser_is_not_asked(asks: bool) -> None:
    for state in State:
        app = App()
        begun = app.qr.begin(ask_browser=asks)
        if state not in (State.PENDING, State.CANCELLED, State.EXPIRED):
            app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        if state in (State.CONFIRMED, State.REDEEMED):
            assert app.qr.confirm(begun.scan_code, subject=ALICE).ticket == "", (
                "a phone got the ticket"
            )
        if state is State.REDEEMED:
            app.qr.redeem(begun.device_code, acknowledged=app.tag(begun))
        if state is State.DENIED:
            app.qr.deny(begun.scan_code, subject=ALICE)
        if state is State.CANCELLED:
            app.qr.cancel(begun.device_code)
        app.clock.ms += TO_SCAN * 1000 if state is State.EXPIRED else 0
        seen = app.qr.status(begun.device_code)
        assert seen.state is state
        assert len(seen.ticket) == (32 if state is State.CONFIRMED and not asks else 0)
        assert not seen.ticket or seen.ticket not in repr(seen)


def test_the_right_ticket_redeems_and_is_replayed_within_its_window(run: Run[Redeemed]) -> None:
    app = App()
    begun, ticket = confirmed(app)
    first = run(app, app.qr.core.redeem_by_ticket(app.device(begun), ticket))
    assert (first.subject, first.shown_as, first.replayed) == (ALICE, SHOWN[ALICE], False)
    assert events(app) == ["status", "collect"]
    app.clock.ms += 29_999
    assert run(app, app.qr.core.redeem_by_ticket(app.device(begun), ticket)) == replace(
        first, replayed=True
    )
    app.clock.ms += 1
    with pytest.raises(AlreadyRedeemed):
        run(app, app.qr.core.redeem_by_ticket(app.device(begun), ticket))


def test_a_wrong_ticket_changes_nothing(run: Run[Redeemed]) -> None:
    """The ticket is checked before the login is changed, because a redeem cannot be undone."""
    app = App()
    begun, ticket = confirmed(app)
    other, others = confirmed(app)
    before = app.store.record(begun.login_id)
    wrong = (
        "",
        "x",
        "0" * 32,
        ticket[:-1],
        ticket + "0",
        ticket.upper(),
        others,
        begun.login_id,
        app.tag(begun),
        "é" * 32,
    )
    for each in (*wrong, "\ud800" * 32, "\udcff", ticket[::-1]):
        events(app)
        with pytest.raises(NotYours):
            run(app, app.qr.core.redeem_by_ticket(app.device(begun), each))
        assert events(app) == ["status"]
        with pytest.raises(NotYours):
            run(app, app.qr.core.redeem_by_ticket(app.device(other), ticket))
    assert app.store.record(begun.login_id) == before
    assert run(app, app.qr.core.redeem_by_ticket(app.device(begun), ticket)).subject == ALICE


def test_a_ticket_needs_the_browsers_own_device_code(run: Run[Redeemed]) -> None:
    app = App()
    begun, ticket = confirmed(app)
    core = app.qr.core
    forged = core._codes.spell_device_code(replace(app.device(begun), secret="A" * 43))
    with pytest.raises(NotYours):
        run(app, core.redeem_by_ticket(core.read_device_code(forged), ticket))
    for text in (begun.login_id, begun.scan_code, begun.device_code[:-1], ""):
        with pytest.raises(InvalidCode):
            core.read_device_code(text)
    assert run(app, core.redeem_by_ticket(app.device(begun), ticket)).subject == ALICE


@for_each_row(
    "end, expected",
    [("deny", Denied), ("expire", Expired), ("vanish", RecordLost), ("later", Expired)],
)
def test_a_ticket_of_an_ended_login_raises_with_its_end(
    end: str, expected: type[QRLoginError], run: Run[Redeemed]
) -> None:
    app = App()
    begun, ticket = confirmed(app)
    if end == "deny":
        app.qr.deny(begun.scan_code, subject=ALICE)
    if end in ("vanish", "later"):
        app.store.forge(begun.login_id, None)
    app.clock.ms += {"expire": TO_END * 1000, "later": TO_END * 1000}.get(end, 0)
    with pytest.raises(expected) as refusal:
        run(app, app.qr.core.redeem_by_ticket(app.device(begun), ticket))
    assert type(refusal.value) is expected


def test_a_ticket_does_not_redeem_a_login_that_asks_the_browser() -> None:
    """Even the application, which can compute the ticket, must ask the person at the browser."""
    app = App()
    begun, ticket = confirmed(app, ask_browser=True)
    assert ticket == ""
    core = app.qr.core
    computed = seals.ticket(app.device(begun).key, begun.login_id, app.tag(begun))
    with pytest.raises(BadArgument, match="ask_browser=True"):
        core.redeem_by_ticket(app.device(begun), computed)
    with pytest.raises(BadArgument, match="ask_browser=True"):
        core.status_or_redeem(app.device(begun))
    assert app.qr.status(begun.device_code).state is State.CONFIRMED


@for_each_row(
    "name",
    [
        "context",
        "needs",
        "only_for",
        "begin_seal",
        "claim",
        "shown_as",
        "scanner_seal",
        "subject",
        "approval",
    ],
)
def test_every_way_to_collect_refuses_a_forged_record(name: str, run: Run[Any]) -> None:
    """This holds where no acknowledgement ties the redeem to the scanner, too."""
    for forged in ("x", "y" * 43):
        for call in ("redeem", "redeem_by_ticket", "status_or_redeem"):
            app = App()
            begun, ticket = confirmed(app)
            app.store.forge(begun.login_id, {**app.store.record(begun.login_id), name: forged})
            core = app.qr.core
            with pytest.raises(RecordForged):
                run(
                    app,
                    core.redeem_by_ticket(app.device(begun), ticket)
                    if call == "redeem_by_ticket"
                    else getattr(core, call)(app.device(begun)),
                )


# The poll that is the redeem


def test_a_poll_returns_the_status_until_it_redeems(run: Run[Any]) -> None:
    """One status command until the login is confirmed; then a redeem, replayed in its window."""
    app = App()
    begun = app.qr.begin(ask_browser=False)

    def poll() -> Status | Redeemed:
        events(app)
        answer: Status | Redeemed = run(app, app.qr.core.status_or_redeem(app.device(begun)))
        return answer

    for _ in range(3):  # a status is not paced
        seen = poll()
        assert isinstance(seen, Status)
        assert (seen.state, seen.scan_code, events(app)) == (
            State.PENDING,
            begun.scan_code,
            ["status"],
        )
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    seen = poll()
    assert isinstance(seen, Status)
    assert (seen.state, seen.ticket, events(app)) == (State.SCANNED, "", ["status"])
    app.qr.confirm(begun.scan_code, subject=ALICE)
    first = poll()
    assert isinstance(first, Redeemed)
    assert (first.subject, first.replayed, events(app)) == (ALICE, False, ["status", "collect"])
    app.clock.ms += 29_999
    assert poll() == replace(first, replayed=True)
    app.clock.ms += 1
    with pytest.raises(AlreadyRedeemed):
        poll()


def test_a_poll_after_the_end_returns_the_end(run: Run[Any]) -> None:
    for state in (State.DENIED, State.CANCELLED, State.EXPIRED):
        app = App()
        begun = app.qr.begin(ask_browser=False)
        app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        if state is State.CANCELLED:
            app.qr.cancel(begun.device_code)
        else:
            app.qr.confirm(begun.scan_code, subject=ALICE)
        if state is State.DENIED:
            app.qr.deny(begun.scan_code, subject=ALICE)
        app.clock.ms += TO_END * 1000 if state is State.EXPIRED else 0
        events(app)
        assert run(app, app.qr.core.status_or_redeem(app.device(begun))).state is state
        assert events(app) == ["status"]


def test_a_redeemed_login_is_not_redeemed_again_without_its_op(run: Run[Any]) -> None:
    app = App()
    begun, _ = confirmed(app)
    app.qr.redeem(begun.device_code, op=OP)
    with pytest.raises(AlreadyRedeemed):
        run(app, app.qr.core.status_or_redeem(app.device(begun)))


# The interval between polls (RFC 8628)


def test_the_flag_decides_which_row_redeems() -> None:
    """A client that omits the acknowledgement is refused unless its login was begun that way."""
    for asks, row in ((True, "redeem"), (False, "collect")):
        app = App()
        begun = app.qr.begin(ask_browser=asks)
        command = app.qr.core.redeem(app.device(begun), acknowledged="x" * 43, op=OP).command
        assert command.row is TABLE[row]
        assert command.deadline_ms == app.clock.ms + TO_END * 1000, "the signed end travels with it"
        assert set(command.values) == {*command.row.proves, "redeem_mark", "v"}
        pace = {} if asks else {"pace": 5000, "pace_step": 5000, "pace_slack": 1000}
        assert command.durations == {"replay_by": 30_000, **pace}


def collecting(policy: Policy = STANDARD) -> tuple[App, Begun]:
    app = App(policy=policy)
    return app, app.qr.begin(ask_browser=False)


def poll(app: App, begun: Begun) -> str | int:
    """The outcome of one poll: an error's name, or the seconds to wait."""
    try:
        app.qr.redeem(begun.device_code)
    except LoginError as refusal:
        return refusal.retry_after or type(refusal).__name__
    return "redeemed"


@pytest.mark.parametrize("interval", [1, 5, 60])
def test_a_poll_that_comes_too_soon_raises_with_the_time_to_wait(interval: int) -> None:
    """RFC 8628 section 3.5: five seconds more each time, until the client keeps to the interval."""
    app, begun = collecting(replace(STANDARD, interval=interval, lifetime=350))
    version = app.store.record(begun.login_id)["version"]
    assert poll(app, begun) == "WrongState", "the first one is free"
    if interval > 1:
        app.clock.ms += interval * 1000 - 1001
        assert [poll(app, begun), poll(app, begun)] == [interval + 5, interval + 10]
        app.clock.ms += 1001 + 10_000
    else:
        app.clock.ms += interval * 1000
    for _ in range(3):
        assert poll(app, begun) == "WrongState"
        app.clock.ms += (interval + (10 if interval > 1 else 0)) * 1000
    assert app.store.record(begun.login_id)["version"] == version, "a poll is not a change"


@row(26)
def test_a_poll_that_is_too_fast_gets_429_and_a_retry_after() -> None:
    app, begun = collecting()
    poll(app, begun)
    with pytest.raises(TooFast) as refusal:
        app.qr.redeem(begun.device_code)
    assert type(refusal.value) is TooFast
    assert (refusal.value.http_status, refusal.value.wire_code, refusal.value.retry_after) == (
        429,
        "too_fast",
        10,
    )


def test_an_approval_is_delivered_to_the_fastest_poller() -> None:
    app, begun = collecting()
    assert [poll(app, begun) for _ in range(3)] == ["WrongState", 10, 15]
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    assert poll(app, begun) == 20, "the same after the scan"
    app.qr.confirm(begun.scan_code, subject=ALICE)
    assert [poll(app, begun) for _ in range(3)] == [
        "redeemed",
        "AlreadyRedeemed",
        "AlreadyRedeemed",
    ]


@pytest.mark.parametrize("end", ["Denied", "Cancelled", "Expired", "NotYours"])
def test_a_fast_poll_after_the_end_raises_with_the_end(end: str) -> None:
    """Polling later would not help, so the error is not "too fast"."""
    app, begun = collecting()
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    assert [poll(app, begun), poll(app, begun)] == ["WrongState", 10]
    device = app.device(begun)
    if end == "Denied":
        app.qr.deny(begun.scan_code, subject=ALICE)
    elif end == "Cancelled":
        app.qr.cancel(begun.device_code)
    elif end == "Expired":
        app.clock.ms += TO_END * 1000
        app.store.forge(
            begun.login_id, {**app.store.record(begun.login_id), "pace_at": str(app.clock.ms)}
        )
    else:
        begun = replace(
            begun,
            device_code=app.qr.core._codes.spell_device_code(replace(device, secret="A" * 43)),
        )
    assert [poll(app, begun), poll(app, begun)] == [end, end]


def test_a_resent_poll_is_neither_slowed_nor_counted() -> None:
    """A resend after a lost reply has the mark of the first command."""
    app, begun = collecting()
    for _ in range(2):
        operation = app.qr.core.redeem(app.device(begun))
        first = app.store.apply(operation.command)
        again = app.store.apply(operation.command)
        assert again.record == first.record
        assert again.verdict is Verdict.REFUSED
        app.clock.ms += 4000
