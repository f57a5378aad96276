"""What a store's reply says to whom: the state as the clock sees it, the errors that refusals stand for, and the seals.

Nothing of a record is believed here before its seal was checked. This module makes no command and reads no code.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NoReturn

from qrlogin import seals
from qrlogin.answers import Event, EventName, Redeemed, ScannedBy, Status
from qrlogin.arguments import decode_context
from qrlogin.codes import DeviceCode, ScanCode
from qrlogin.errors import (
    AlreadyRedeemed,
    Cancelled,
    Denied,
    Expired,
    LoginError,
    NotYours,
    RecordForged,
    RecordLost,
    ScannerChanged,
    TooFast,
    Unavailable,
    UnknownLogin,
    WrongState,
)
from qrlogin.keys import Key, equal_in_constant_time
from qrlogin.step import Record, Reply, Verdict, number
from qrlogin.table import DIES_AT, State

RECORD_FORMAT: Final = "1"
SUCCEEDED: Final = (Verdict.APPLIED, Verdict.REPEATED)
HAS_SCANNER: Final = (State.SCANNED, State.CONFIRMED, State.REDEEMED)  # somebody is its scanner

_ENDED: Final[Mapping[str, type[LoginError]]] = {
    State.REDEEMED: AlreadyRedeemed,
    State.DENIED: Denied,
    State.CANCELLED: Cancelled,
    State.EXPIRED: Expired,
}
_STORED: Final = frozenset(State) - {State.EXPIRED}


def state_for_phone(reply: Reply, scan: ScanCode) -> State:
    """`current_state` for a phone. A rotating code that is not over raises `RecordLost` in place of
    `UnknownLogin`.
    """
    is_absent(reply, scan.deadline_ms or 0)
    return current_state(reply)


def current_state(reply: Reply) -> State:
    """The state as the clock sees it. Raises `UnknownLogin` without a record, `Unavailable` for one from a newer version."""
    record = reply.record
    if not record:
        raise UnknownLogin
    stored = record.get("state", "")
    if record.get("v") != RECORD_FORMAT or stored not in _STORED:
        raise Unavailable(
            "the record was written by another version of qrlogin; upgrade this process"
        )
    state = State(stored)
    dies_at = DIES_AT.get(state)
    return State.EXPIRED if dies_at and reply.now >= instant(record, dies_at) else state


def raise_refusal(reply: Reply, state: State) -> NoReturn:
    """Raise what a genuine caller is told when the step said no."""
    if reply.verdict is Verdict.EXPIRED:
        raise Expired
    raise _ENDED.get(state, WrongState)


def is_absent(reply: Reply, until: int) -> bool:
    """Whether the record is gone. Raises `RecordLost` before `until`, to which a genuine code says that there is one."""
    if not reply.record and reply.now < until:
        raise RecordLost(
            "the store has lost its record, or another process has it in a memory of its own: these need Redis"
        )
    return not reply.record


def raise_browser_refusal(reply: Reply, device: DeviceCode) -> NoReturn:
    if is_absent(reply, device.redeem_by):
        raise Expired
    state = current_state(reply)
    if not equal_in_constant_time(reply.record.get("device_digest", ""), device.digest):
        check_begin_seal(reply, device.key)
        raise NotYours("another browser began this login")
    if reply.verdict is Verdict.FORBIDDEN and state in (State.SCANNED, State.CONFIRMED):
        raise ScannerChanged
    if reply.verdict is Verdict.SLOW and state not in _ENDED:
        raise TooFast(ceil_seconds(number(reply.record.get("pace_ms")) or 0))
    raise_refusal(reply, state)


def bare_status(reply: Reply) -> Status:
    state = current_state(reply)
    return Status(
        reply.login_id,
        state,
        version=number(reply.record.get("version")) or 0,
        expires_in=seconds_left(reply, state),
    )


def check_replay_window(reply: Reply, device: DeviceCode, window: int) -> None:
    """Raise `Expired` if no honest redeem can still be repeated. The record's own `replay_by` is not
    sealed; the end in the device_code is signed.

    :param window: how long a redeem may be repeated, in seconds.
    """
    if reply.now >= device.redeem_by + window * 1000:
        raise Expired


def release_subject(reply: Reply, key: Key) -> Redeemed:
    """Release the subject, if every seal holds: who began, who scanned, who approved, and that it was for them."""
    record = reply.record
    check_begin_seal(reply, key)
    scanner = checked_scanner(reply, key)
    check_approval(reply, key)
    return Redeemed(
        reply.login_id,
        subject=record["subject"],
        shown_as=scanner.shown_as,
        context=decode_context(record.get("context", "")),
        redeemed_at_ms=instant(record, "redeemed_at"),
        replayed=record.get("mark")
        != reply.mark,  # a resend of this very call, after a lost reply, is no replay
    )


def check_begin_seal(reply: Reply, key: Key) -> None:
    digest, context, needs, meant_for = (
        reply.record.get(name, "") for name in ("device_digest", "context", "needs", "only_for")
    )
    seal = seals.begin_seal(key, reply.login_id, digest, context, needs, meant_for)
    if not equal_in_constant_time(reply.record.get("begin_seal", ""), seal):
        raise RecordForged("the beginning does not carry the seal of this application")


def check_approval(reply: Reply, key: Key) -> None:
    """Check who approved: for this scanner, with what the login needs, and for the account that it
    was begun for.
    """
    record, login_id = reply.record, reply.login_id
    subject, met = record.get("subject", ""), record.get("met", "")
    seal = seals.approval_seal(
        key, login_id, record.get("claim", ""), subject, met, record.get("facts", "")
    )
    needs, only_for = record.get("needs", ""), record.get("only_for", "")
    if (
        not subject
        or not equal_in_constant_time(record.get("approval", ""), seal)
        or (needs and needs != met)
        or (
            only_for
            and not equal_in_constant_time(only_for, seals.account_digest(key, login_id, subject))
        )
    ):
        raise RecordForged("the approval does not carry the seal of this application")


def checked_scanner(reply: Reply, key: Key) -> ScannedBy:
    who, tag = reply.record.get("shown_as", ""), reply.record.get("scanner_seal", "")
    if not equal_in_constant_time(
        tag, seals.scanner_seal(key, reply.login_id, reply.record.get("claim", ""), who)
    ):
        raise RecordForged("the scanner does not carry the seal of this application")
    return ScannedBy(who, tag)


def event_of(
    name: EventName, reply: Reply, key: Key, *, subject: str = "", phone: str = ""
) -> Event:
    """The event of a change that this reply reports. What it shows of the login is left out where its seal does not hold: the
    change has happened all the same.
    """
    record, context, shown_as = reply.record, {}, ""
    with suppress(RecordForged):
        check_begin_seal(reply, key)
        context = dict(decode_context(record.get("context", "")))
    if subject:
        with suppress(RecordForged):
            shown_as = checked_scanner(reply, key).shown_as
    version, at_ms = number(record.get("version")) or 0, instant(record, "changed_at")
    return Event(name, reply.login_id, version, at_ms, subject, phone, shown_as, context)


def instant(record: Record, name: str) -> int:
    """A time of the record; one that is no number has passed long ago, as in the step."""
    return number(record.get(name)) or 0


def seconds_left(reply: Reply, state: State) -> int:
    dies_at = DIES_AT.get(state)
    return ceil_seconds(instant(reply.record, dies_at) - reply.now) if dies_at else 0


def ceil_seconds(ms: int) -> int:
    return max(0, -(-ms // 1000))
