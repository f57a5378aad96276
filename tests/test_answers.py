"""Answers are frozen values, and nothing that can be printed or pickled shows a secret."""

import copy
import json
import logging
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace

import pytest

from qrlogin import (
    STANDARD,
    Begun,
    Expired,
    InvalidCode,
    QRLoginError,
    Redeemed,
    Scanned,
    ScannedBy,
    State,
    Status,
    TooFast,
    TooManyGuesses,
    errors,
)
from qrlogin.codes import fixed_as_base64
from tests.application import ALICE, BOB, KEY, OP, OTHER_OP, SHOWN, App, operations
from tests.security_rows import row


def secrets_of(app: App, begun: Begun) -> Mapping[str, str]:
    """The secrets of a login, and the fields that only its own answers may show."""
    device = app.qr.core._codes.read_device_code(begun.device_code)
    record = app.store.record(begun.login_id)
    named = (
        "subject",
        "shown_as",
        "context",
        "claim",
        "scanner_seal",
        "approval",
        "device_digest",
        "redeem_mark",
        "begin_seal",
    )
    return {
        "device_code": begun.device_code,
        "secret": device.secret,
        "scan_code": begun.scan_code,
        "signature": begun.scan_code[27:],
        "key": KEY.hex(),
        "key in repr": repr(KEY)[2:30],
        "op": OP,
        **{name: record[name] for name in named},
        "browser": json.loads(record["context"])["browser"],
    }


@row(39)
def test_no_repr_log_or_error_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = App()
    begun, tag = app.reach(State.CONFIRMED, ALICE)
    codes = app.qr.core._codes
    things: list[object] = [
        app.qr,
        app.qr.core,
        codes,
        codes.signing_key,
        app.store,
        begun,
        app.policy,
    ]
    things += [app.qr.status(begun.device_code), app.qr.status(begun.device_code).scanned_by]
    things += [codes.read_device_code(begun.device_code), codes.read_scan_code(begun.scan_code)]
    things += [app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])]
    things += [app.qr.core.redeem(app.device(begun), acknowledged=tag, op=OP)]
    things += [
        app.qr.redeem(begun.device_code, acknowledged=tag, op=OP),
        *app.store.commands,
        *app.store.replies,
    ]
    things += [operation.command for _, operation in operations(app, begun, tag)]
    for attempt in (
        lambda: app.qr.scan(begun.scan_code, subject=BOB, shown_as=SHOWN[BOB]),
        lambda: app.qr.confirm(begun.scan_code, subject=BOB),
        lambda: app.qr.redeem(begun.device_code, acknowledged=tag, op=OTHER_OP),
        lambda: app.qr.status(begun.device_code[:-1]),
        lambda: app.qr.scan(begun.device_code, subject=ALICE, shown_as=SHOWN[ALICE]),
    ):
        with pytest.raises(QRLoginError) as refusal:
            attempt()
        things += [refusal.value, str(refusal.value), refusal.value.args, refusal.value.wire_text]
    said = [repr(thing) for thing in things] + [str(thing) for thing in things] + [caplog.text]
    allowed = {"context", "browser"}  # the answer to a scan shows the browser to the phone
    for name, secret in secrets_of(app, begun).items():
        leaks = [
            text
            for text in said
            if secret in text and not (name in allowed and text.startswith("Scanned("))
        ]
        assert not leaks, f"{name} in {leaks[0]}"


def test_no_repr_log_or_error_shows_a_typed_or_fixed_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    app = App(policy=replace(STANDARD, user_codes=True))
    core, read = app.qr.core, app.qr.core._codes.read_scan_code
    fixed = app.qr.run(
        core.begin(fixed=True, begun_by="the télé in the living room", ask_browser=False)
    )
    typed = app.qr.begin(user_code=True)
    device = app.device(fixed)
    things: list[object] = [fixed, typed, *read(fixed.scan_code), *read(typed.user_code), device]
    things += [
        core.scan(code, subject=ALICE, shown_as="A") for code in (fixed.scan_code, typed.user_code)
    ]
    for code in (fixed.scan_code, typed.user_code):
        things += [
            app.qr.scan(code, subject=ALICE, shown_as="A"),
            app.qr.confirm(code, subject=ALICE),
        ]
    seen = app.qr.status(fixed.device_code)
    things += [
        seen,
        core.redeem_by_ticket(app.device(fixed), seen.ticket),
        core.status_or_redeem(app.device(fixed)),
    ]
    for attempt in (
        lambda: app.qr.scan("BBBB-BBBB", subject=BOB, shown_as="B"),
        lambda: app.qr.scan(fixed.scan_code[:-1], subject=BOB, shown_as="B"),
        lambda: app.qr.run(core.redeem_by_ticket(app.device(fixed), seen.ticket[:-1])),
        lambda: core.login_id_of(fixed.scan_code[:-1]),
    ):
        with pytest.raises(QRLoginError) as refusal:
            attempt()
        things += [refusal.value, str(refusal.value), refusal.value.args]
    said = " ".join(
        [
            *(repr(thing) for thing in [*things, *app.store.commands, *app.store.replies]),
            caplog.text,
        ]
    )
    spellings = (fixed_as_base64(fixed.scan_code), typed.user_code.replace("-", ""))
    for hidden in (
        fixed.scan_code,
        typed.user_code,
        *spellings,
        "BBBB",
        seen.ticket,
        device.secret,
    ):
        assert hidden
        assert hidden not in said


def test_values_that_hold_codes_or_keys_cannot_be_pickled() -> None:
    """Caches, queues and crash reports pickle what they get."""
    app = App()
    begun, tag = app.reach(State.CONFIRMED)
    codes = app.qr.core._codes
    seen = app.qr.status(begun.device_code)
    holders = [
        begun,
        seen,
        codes,
        codes.signing_key,
        codes.read_device_code(begun.device_code),
        app.qr.core,
    ]
    holders += [codes.read_scan_code(begun.scan_code), app.qr.core.status(app.device(begun))]
    for holder in holders:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
                pickle.dumps(holder, protocol)
        if holder in (begun, seen):
            with pytest.raises(TypeError, match="cookie"):
                copy.copy(holder)
    redeemed = app.qr.redeem(begun.device_code, acknowledged=tag)
    assert pickle.loads(pickle.dumps(redeemed)) == redeemed
    for error in (Expired(), InvalidCode("said"), TooFast(10), TooManyGuesses(600)):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back), back.retry_after) == (
            type(error),
            str(error),
            error.retry_after,
        )


@row(22, 435)
def test_records_and_commands_hold_no_code_secret_or_key() -> None:
    """Neither records nor commands hold a code, the browser's secret or the application's key."""
    app = App()
    begun, tag = app.reach(State.CONFIRMED)
    app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
    secret = app.qr.core._codes.read_device_code(begun.device_code).secret
    view = repr(
        [
            (one.login_id, one.mark, dict(one.values), dict(one.durations), one.deadline_ms)
            for one in app.store.commands
        ]
    )
    view += repr(app.store.record(begun.login_id)) + repr(
        [reply.record for reply in app.store.replies]
    )
    for hidden in (
        begun.device_code,
        secret,
        begun.scan_code,
        begun.scan_code[27:],
        OP,
        KEY.hex(),
        repr(KEY)[2:30],
    ):
        assert hidden not in view
    assert tag in view, "the acknowledgement is no secret: the device proof comes before it"


def test_a_repr_shows_the_fields_that_a_log_needs() -> None:
    app = App()
    begun, _ = app.reach(State.SCANNED)
    assert repr(begun) == (
        f"Begun(login_id='{begun.login_id}', verification_uri='https://example.com/qr', "
        "version=1, expires_in=220, code_expires_in=120, rotates_in=25, "
        "state=<State.PENDING: 'pending'>)"
    )
    seen = app.qr.status(begun.device_code)
    assert repr(seen) == (
        f"Status(login_id='{begun.login_id}', state=<State.SCANNED: 'scanned'>, version=2, "
        "expires_in=90, code_expires_in=0, rotates_in=0, "
        "scanned_by=ScannedBy())"
    )
    app.qr.confirm(begun.scan_code, subject=ALICE, name="alice@example.com")
    assert "alice@" not in repr(app.qr.status(begun.device_code))
    redeemed = app.qr.redeem(begun.device_code, acknowledged=app.tag(begun))
    assert repr(redeemed) == (
        f"Redeemed(login_id='{begun.login_id}', "
        f"redeemed_at_ms={redeemed.redeemed_at_ms}, replayed=False, assurance='')"
    )


@pytest.mark.parametrize("kind", [Begun, Status, Scanned, ScannedBy, Redeemed])
def test_answers_are_frozen_and_take_no_other_attribute(kind: type) -> None:
    assert is_dataclass(kind)
    answer = object.__new__(kind)
    assert not hasattr(answer, "__dict__")
    for one in fields(kind):
        with pytest.raises(FrozenInstanceError):
            setattr(answer, one.name, "changed")


def test_answers_to_phones_hold_no_field_of_the_browser() -> None:
    app = App()
    begun, _ = app.reach(State.SCANNED)
    for answer in (
        app.qr.confirm(begun.scan_code, subject=ALICE),
        app.qr.deny(begun.scan_code, subject=ALICE),
    ):
        assert (
            answer.scan_code,
            answer.verification_uri_complete,
            answer.rotates_in,
            answer.scanned_by,
        ) == ("", "", 0, None)
        assert answer.ticket == ""
    begun, _ = app.reach(State.SCANNED)
    released = app.qr.release(begun.scan_code, subject=ALICE)
    assert (released.scan_code, released.verification_uri_complete, released.scanned_by) == (
        "",
        "",
        None,
    )


@row(463)
def test_each_wire_code_has_one_status_and_one_line_of_text() -> None:
    """What goes over the wire is stable: clients switch on it."""
    found = [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, QRLoginError)
    ]
    codes: dict[str, tuple[str, int]] = {}
    for one in found:
        assert one.wire_text
        assert "\n" not in one.wire_text
        assert one.__doc__
        assert codes.setdefault(one.wire_code, (one.wire_text, one.http_status)) == (
            one.wire_text,
            one.http_status,
        ), one
    assert {code: status for code, (_, status) in codes.items()} == {
        "error": 500,
        "unknown_login": 404,
        "already_scanned": 409,
        "scanner_changed": 409,
        "match_needed": 409,
        "wrong_match": 409,
        "already_redeemed": 409,
        "wrong_state": 409,
        "denied": 409,
        "cancelled": 409,
        "superseded": 409,
        "expired": 410,
        "too_fast": 429,
        "too_many_guesses": 429,
        "too_many_logins": 429,
        "too_many_scans": 429,
        "too_many_waits": 429,
        "unavailable": 503,
        "crowded": 503,
        "paused": 503,
        "upgrade_required": 426,
        "invalid_request": 400,
        "unauthenticated": 401,
        "forbidden": 403,
        "invalid_csrf_token": 403,
        "denied_by_site": 403,
        "step_up_needed": 403,
        "not_found": 404,
        "method_not_allowed": 405,
        "too_large": 413,
        "unsupported_media_type": 415,
    }
