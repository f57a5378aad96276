"""Redeeming without a question to the browser: by the ticket in a redirect, or by the very poll that says "done"."""

from dataclasses import replace
from typing import Any

import pytest

from qrlogin import (
    AlreadyRedeemed,
    BadArgument,
    Denied,
    Expired,
    InvalidCode,
    NotYours,
    QRLoginError,
    RecordForged,
    RecordLost,
    Redeemed,
    State,
    Status,
    seals,
)
from tests.application import ALICE, OP, SHOWN, App, Run, confirmed, events
from tests.tables import for_each_row

# Tickets


@pytest.mark.parametrize("asks", [False, True])
def test_a_ticket_is_shown_once_confirmed_where_the_browser_is_not_asked(asks: bool) -> None:
    for state in (
        State.PENDING,
        State.SCANNED,
        State.CONFIRMED,
        State.REDEEMED,
        State.DENIED,
        State.CANCELLED,
        State.EXPIRED,
    ):
        app = App()
        begun = app.qr.begin(ask_browser=asks)
        if state not in (State.PENDING, State.CANCELLED, State.EXPIRED):
            app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        if state in (State.CONFIRMED, State.REDEEMED):
            assert app.qr.confirm(begun.scan_code, subject=ALICE).ticket == "", "a phone was told"
        if state is State.REDEEMED:
            app.qr.redeem(begun.device_code, acknowledged=app.tag(begun))
        if state is State.DENIED:
            app.qr.deny(begun.scan_code, subject=ALICE)
        if state is State.CANCELLED:
            app.qr.cancel(begun.device_code)
        app.clock.ms += 120_000 if state is State.EXPIRED else 0
        seen = app.qr.status(begun.device_code)
        assert seen.state is state
        assert len(seen.ticket) == (32 if state is State.CONFIRMED and not asks else 0)
        assert not seen.ticket or seen.ticket not in repr(seen)


def test_the_right_ticket_redeems_and_once_more_to_its_own_browser(run: Run[Redeemed]) -> None:
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
    """What was redeemed by mistake would be lost: so the ticket is looked at before the login is touched."""
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


def test_a_ticket_opens_nothing_without_the_browsers_own_code(run: Run[Redeemed]) -> None:
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
    "end, told", [("deny", Denied), ("expire", Expired), ("vanish", RecordLost), ("later", Expired)]
)
def test_a_ticket_of_an_ended_login_raises_with_its_end(
    end: str, told: type[QRLoginError], run: Run[Redeemed]
) -> None:
    app = App()
    begun, ticket = confirmed(app)
    if end == "deny":
        app.qr.deny(begun.scan_code, subject=ALICE)
    if end in ("vanish", "later"):
        app.store.forge(begun.login_id, None)
    app.clock.ms += {"expire": 150_000, "later": 150_000}.get(end, 0)
    with pytest.raises(told) as refusal:
        run(app, app.qr.core.redeem_by_ticket(app.device(begun), ticket))
    assert type(refusal.value) is told


def test_a_ticket_does_not_redeem_a_login_that_asks_the_browser() -> None:
    """The application itself can compute it. Its browser must acknowledge the scanner all the same."""
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
def test_no_way_to_collect_believes_what_is_not_sealed(name: str, run: Run[Any]) -> None:
    """I12: also where no acknowledgement ties the redeem to the scanner."""
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


def test_a_poll_tells_until_it_redeems(run: Run[Any]) -> None:
    """Status, one command, while there is nothing to collect; then the yield, and the same yield again for its window."""
    app = App()
    begun = app.qr.begin(ask_browser=False)

    def poll() -> Status | Redeemed:
        events(app)
        answer: Status | Redeemed = run(app, app.qr.core.status_or_redeem(app.device(begun)))
        return answer

    for _ in range(3):  # as often as it likes: a look is not paced
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


def test_a_poll_after_the_end_tells_the_end(run: Run[Any]) -> None:
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
        app.clock.ms += 150_000 if state is State.EXPIRED else 0
        events(app)
        assert run(app, app.qr.core.status_or_redeem(app.device(begun))).state is state
        assert events(app) == ["status"]


def test_a_redeemed_login_is_not_redeemed_again_without_its_op(run: Run[Any]) -> None:
    app = App()
    begun, _ = confirmed(app)
    app.qr.redeem(begun.device_code, op=OP)
    with pytest.raises(AlreadyRedeemed):
        run(app, app.qr.core.status_or_redeem(app.device(begun)))
