"""A repeated call, such as a redeem, returns the same, and nothing is handed out twice."""

import pytest

from qrlogin import AlreadyRedeemed, Begun, State
from qrlogin.step import Verdict
from tests.application import OP, OTHER_OP, App, answer_of, operations
from tests.security_rows import row
from tests.tables import for_each_row


@row(13)
@for_each_row("index", range(10))
@for_each_row("later", [0, 29_999])
def test_a_resent_command_returns_the_same_and_changes_nothing(index: int, later: int) -> None:
    """redis-py resends a command when its reply was lost; the caller made only one call."""
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
        assert again == first, "not a replay: the application has not seen the first answer"


def _at(state: State) -> tuple[App, Begun, str]:
    app = App()
    return app, *app.reach(state)


def test_a_resent_begin_returns_the_same_login() -> None:
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


@row(53)
def test_a_repeated_redeem_returns_the_same_login() -> None:
    """The answer was lost on its way to the browser, which repeats the request with the same op."""
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


@row(2, 310)
def test_without_an_op_a_login_is_redeemed_strictly_once() -> None:
    app = App()
    begun, tag = app.reach(State.CONFIRMED)
    app.qr.redeem(begun.device_code, acknowledged=tag)
    with pytest.raises(AlreadyRedeemed):
        app.qr.redeem(begun.device_code, acknowledged=tag)
