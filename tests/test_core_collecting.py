"""Collecting without a question to the browser, as RFC 8628 has it: which row does it, and how pollers keep to an interval."""

from dataclasses import replace

import pytest

from qrlogin import STANDARD, Begun, LoginError, Policy, TooFast
from qrlogin.step import Verdict
from qrlogin.table import TABLE
from tests.application import ALICE, OP, SHOWN, App


def test_the_flag_decides_which_row_redeems() -> None:
    """`collect` is no method: a client that leaves the acknowledgement out is refused, unless its login was begun so."""
    for asks, row in ((True, "redeem"), (False, "collect")):
        app = App()
        begun = app.qr.begin(ask_browser=asks)
        command = app.qr.core.redeem(app.device(begun), acknowledged="x" * 43, op=OP).command
        assert command.row is TABLE[row]
        assert command.deadline_ms == app.clock.ms + 150_000, "the signed end travels with it"
        assert set(command.values) == {*command.row.proves, "redeem_mark"}
        pace = {} if asks else {"pace": 5000, "pace_step": 5000, "pace_slack": 1000}
        assert command.durations == {"replay_by": 30_000, **pace}


def collecting(policy: Policy = STANDARD) -> tuple[App, Begun]:
    app = App(policy=policy)
    return app, app.qr.begin(ask_browser=False)


def poll(app: App, begun: Begun) -> str | int:
    """What the poller is told: an error's name, or how long to stay away."""
    try:
        app.qr.redeem(begun.device_code)
    except LoginError as refusal:
        return refusal.retry_after or type(refusal).__name__
    return "redeemed"


@pytest.mark.parametrize("interval", [1, 5, 60])
def test_a_poll_that_comes_too_soon_raises_with_the_time_to_wait(interval: int) -> None:
    """RFC 8628 section 3.5: five seconds more each time. Who then keeps to it is heard, and never slowed again."""
    app, begun = collecting(replace(STANDARD, interval=interval, lifetime=600))
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
    assert app.store.record(begun.login_id)["version"] == version, "a poll is no news to anybody"


def test_too_fast_is_429_and_nothing_to_give_up_for() -> None:
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
    assert poll(app, begun) == 20, "also while somebody looks at it"
    app.qr.confirm(begun.scan_code, subject=ALICE)
    assert [poll(app, begun) for _ in range(3)] == [
        "redeemed",
        "AlreadyRedeemed",
        "AlreadyRedeemed",
    ]


@pytest.mark.parametrize("end", ["Denied", "Cancelled", "Expired", "NotYours"])
def test_a_fast_poller_hears_of_the_end_at_once(end: str) -> None:
    """ "Too fast" would be a lie: there is nothing to come back for."""
    app, begun = collecting()
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    assert [poll(app, begun), poll(app, begun)] == ["WrongState", 10]
    device = app.device(begun)
    if end == "Denied":
        app.qr.deny(begun.scan_code, subject=ALICE)
    elif end == "Cancelled":
        app.qr.cancel(begun.device_code)
    elif end == "Expired":
        app.clock.ms += 120_000
        app.store.forge(
            begun.login_id, {**app.store.record(begun.login_id), "pace_at": str(app.clock.ms)}
        )
    else:
        begun = replace(
            begun,
            device_code=app.qr.core._codes.spell_device_code(replace(device, secret="A" * 43)),
        )
    assert [poll(app, begun), poll(app, begun)] == [end, end]


def test_the_same_poll_sent_again_is_not_a_second_one() -> None:
    """A resend after a lost reply has the mark of the first: it is neither slowed nor counted."""
    app, begun = collecting()
    for _ in range(2):
        operation = app.qr.core.redeem(app.device(begun))
        first = app.store.apply(operation.command)
        again = app.store.apply(operation.command)
        assert again.record == first.record
        assert again.verdict is Verdict.REFUSED
        app.clock.ms += 4000
