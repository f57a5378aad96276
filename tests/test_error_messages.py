"""The text of an error says what is so, and what to do. It holds no secret."""

from collections.abc import Callable

import pytest

from qrlogin import BadArgument, Begun, LoginError, NotYours, WrongState
from tests.application import ALICE, SHOWN, App
from tests.tables import for_each_row


@pytest.mark.parametrize("act", ["confirm", "deny", "release"])
def test_a_decision_before_any_scan_says_that_nobody_has_scanned(act: str) -> None:
    app = App()
    begun = app.begin()
    with pytest.raises(NotYours, match="nobody has scanned it yet"):
        getattr(app.qr, act)(begun.scan_code, subject=ALICE)
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    with pytest.raises(NotYours, match="another account, or another phone, scanned"):
        getattr(app.qr, act)(begun.scan_code, subject="mallory")


@for_each_row("steps", [(), ("scan",), ("scan", "confirm"), ("scan", "deny")])
def test_redeem_without_acknowledged_names_what_is_missing(
    steps: tuple[str, ...],
) -> None:
    """In every state, so that the first trial shows it."""
    app = App()
    begun = app.begin()
    go(app, begun, steps)
    with pytest.raises(BadArgument, match=r"needs acknowledged: the scanned_by\.tag"):
        app.qr.redeem(begun.device_code)


Act = Callable[[App, Begun], object]


def redeem(app: App, begun: Begun) -> object:
    seen = app.qr.status(begun.device_code)
    return app.qr.redeem(
        begun.device_code, acknowledged=seen.scanned_by.tag if seen.scanned_by else ""
    )


def release(app: App, begun: Begun) -> object:
    return app.qr.release(begun.scan_code, subject=ALICE)


@for_each_row(
    "steps, act, text",
    [
        ((), redeem, "the login is pending: a phone must scan it first"),
        (("scan",), redeem, "the login is scanned: its phone must confirm or deny it first"),
        (("scan", "confirm"), release, "the login is confirmed: its browser can redeem it"),
    ],
)
def test_a_wrong_state_is_named(steps: tuple[str, ...], act: Act, text: str) -> None:
    app = App()
    begun = app.begin()
    go(app, begun, steps)
    with pytest.raises(LoginError) as refused:
        act(app, begun)
    assert type(refused.value) is WrongState
    assert str(refused.value).startswith(text)
    assert refused.value.wire_text == WrongState.wire_text  # a stranger learns no state


def go(app: App, begun: Begun, steps: tuple[str, ...]) -> None:
    for step in steps:
        if step == "scan":
            app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        else:
            getattr(app.qr, step)(begun.scan_code, subject=ALICE)
