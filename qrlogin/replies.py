"""What a store's reply says to whom: the state as the clock sees it, the errors that refusals stand for, and the seals.

Nothing of a record is believed here before its seal was checked. This module makes no command and reads no code.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NoReturn

from qrlogin import codes
from qrlogin.answers import Event, EventName, Redeemed, ScannedBy, Status
from qrlogin.arguments import thaw
from qrlogin.codes import DeviceCode, Key, ScanCode, same
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
from qrlogin.step import Record, Reply, Verdict, number
from qrlogin.table import DIES_AT, TERMINAL, State

RECORD_FORMAT: Final = "1"
DONE: Final = (Verdict.APPLIED, Verdict.REPEATED)
HELD: Final = (State.SCANNED, State.CONFIRMED, State.REDEEMED)  # somebody is its scanner

_ENDED: Final[Mapping[str, type[LoginError]]] = {
    State.REDEEMED: AlreadyRedeemed,
    State.DENIED: Denied,
    State.CANCELLED: Cancelled,
    State.EXPIRED: Expired,
}
_STORED: Final = frozenset(State) - {State.EXPIRED}


def scannable(reply: Reply, scan: ScanCode) -> State:
    """`known`, for who has a scan_code. A rotating one that is not over raises `RecordLost` where `known` says `UnknownLogin`."""
    gone(reply, scan.until or 0)
    return known(reply)


def known(reply: Reply) -> State:
    """The state as the clock sees it. Raises `UnknownLogin` without a record, `Unavailable` for one from a newer version."""
    record = reply.record
    if not record:
        raise UnknownLogin
    stored = record.get("state", "")
    if record.get("v") != RECORD_FORMAT or stored not in _STORED:
        raise Unavailable("the record was written by another version of qrlogin; upgrade this process")
    state = State(stored)
    dies_at = DIES_AT.get(state)
    return State.EXPIRED if dies_at and reply.now >= instant(record, dies_at) else state


def refuse(reply: Reply, state: State) -> NoReturn:
    """Raise what a genuine caller is told when the step said no."""
    if reply.verdict is Verdict.EXPIRED:
        raise Expired
    raise _ENDED.get(state, WrongState)


def gone(reply: Reply, until: int) -> bool:
    """Whether the record is gone. Raises `RecordLost` before `until`, to which a genuine code says that there is one."""
    if not reply.record and reply.now < until:
        raise RecordLost("the store has lost its record, or another process has it in a memory of its own: these need Redis")
    return not reply.record


def refuse_browser(reply: Reply, device: DeviceCode) -> NoReturn:
    if gone(reply, device.redeem_by):
        raise Expired
    state = known(reply)
    if not same(reply.record.get("device_digest", ""), device.digest):
        check_begin_seal(reply, device.key)
        raise NotYours("another browser began this login")
    if reply.verdict is Verdict.FORBIDDEN and state in (State.SCANNED, State.CONFIRMED):
        raise ScannerChanged
    if reply.verdict is Verdict.SLOW and state not in _ENDED:
        raise TooFast(ceil_seconds(number(reply.record.get("pace_ms")) or 0))
    refuse(reply, state)


def bare_status(reply: Reply) -> Status:
    state = known(reply)
    return Status(
        reply.login_id,
        state,
        version=number(reply.record.get("version")) or 0,
        expires_in=seconds_left(reply, state),
    )


def release_subject(reply: Reply, key: Key) -> Redeemed:
    """Release the subject, if every seal holds: who began, who scanned, who approved, and that it was for them."""
    record = reply.record
    check_begin_seal(reply, key)
    scanner = checked_scanner(reply, key)
    subject, met = record.get("subject", ""), record.get("met", "")
    approval = codes.approval_seal(key, reply.login_id, record.get("claim", ""), subject, met, record.get("facts", ""))
    needs, meant_for = record.get("needs", ""), record.get("only_for", "")
    if (
        not subject
        or not same(record.get("approval", ""), approval)
        or (needs and needs != met)
        or (meant_for and not same(meant_for, codes.only_for(key, reply.login_id, subject)))
    ):
        raise RecordForged("the approval does not carry the seal of this application")
    return Redeemed(
        reply.login_id,
        subject=subject,
        shown_as=scanner.shown_as,
        context=thaw(record.get("context", "")),
        redeemed_at_ms=instant(record, "redeemed_at"),
        replayed=record.get("mark") != reply.mark,  # a resend of this very call, after a lost reply, is no replay
    )


def check_begin_seal(reply: Reply, key: Key) -> None:
    digest, context, needs, meant_for = (reply.record.get(name, "") for name in ("device_digest", "context", "needs", "only_for"))
    seal = codes.begin_seal(key, reply.login_id, digest, context, needs, meant_for)
    if not same(reply.record.get("begin_seal", ""), seal):
        raise RecordForged("the beginning does not carry the seal of this application")


def checked_scanner(reply: Reply, key: Key) -> ScannedBy:
    who, tag = reply.record.get("who", ""), reply.record.get("scanner", "")
    if not same(tag, codes.scanner_seal(key, reply.login_id, reply.record.get("claim", ""), who)):
        raise RecordForged("the scanner does not carry the seal of this application")
    return ScannedBy(who, tag)


def told(name: EventName, reply: Reply, key: Key, *, subject: str = "", phone: str = "") -> Event:
    """The event of a change that this reply reports. What it shows of the login is left out where its seal does not hold: the
    change has happened all the same.
    """
    record, context, shown_as = reply.record, {}, ""
    with suppress(RecordForged):
        check_begin_seal(reply, key)
        context = dict(thaw(record.get("context", "")))
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


# What a wait asks


def is_news(seen: Status, after: int | State | None) -> bool:
    """Whether a browser has to hear of this at once that was last told the version `after`, or that state (None: pending)."""
    if seen.state is State.EXPIRED or seen.state in TERMINAL:
        return True
    return seen.version != after if isinstance(after, int) else seen.state is not (after or State.PENDING)


def patience(seen: Status, timeout: float) -> float:
    """Seconds to wait at most: nobody announces that a code rotates or that a login expires, and the browser must see both."""
    return min(timeout, seen.expires_in, seen.rotates_in or timeout)
