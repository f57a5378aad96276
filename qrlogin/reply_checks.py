"""What a store's reply means: the state by the store's clock, the error of a refusal, the seals.

Nothing in a record is believed here before its seal is checked. This module makes no command and
reads no code.
"""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, NoReturn

from qrlogin import seals
from qrlogin.answers import Event, EventName, Redeemed, ScannedBy, Status
from qrlogin.arguments import MATCH_DIGITS, decode_context, decode_facts, needs_match
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

RECORD_FORMAT: Final = "4"
SUCCEEDED: Final = (Verdict.APPLIED, Verdict.REPEATED)
HAS_SCANNER: Final = (State.SCANNED, State.CONFIRMED, State.REDEEMED)  # the states with a scanner

_ENDED: Final[Mapping[str, type[LoginError]]] = {
    State.REDEEMED: AlreadyRedeemed,
    State.DENIED: Denied,
    State.CANCELLED: Cancelled,
    State.EXPIRED: Expired,
}
#: What can happen in a state that is not the end of a login.
_NEXT: Final[Mapping[str, str]] = {
    State.PENDING: "a phone must scan it first",
    State.SCANNED: "its phone must confirm or deny it first",
    State.CONFIRMED: "its browser can redeem it, and its phone can deny it",
}
#: The windows that follow after each state's own, as fields of the record.
_LATER_WINDOWS: Final[Mapping[str, tuple[str, ...]]] = {
    State.PENDING: ("decide_ms", "redeem_ms"),
    State.SCANNED: ("redeem_ms",),
    State.CONFIRMED: (),
}
_STORED: Final[Mapping[str, State]] = {
    state.value: state for state in State if state is not State.EXPIRED
}


def state_for_phone(reply: Reply, scan: ScanCode) -> State:
    """`current_state` for a phone. Raises `RecordLost` instead of `UnknownLogin` while a rotating
    code is valid: its signature says that there is a record.
    """
    require_record(reply, scan.deadline_ms or 0)
    return current_state(reply)


def state_before_scan(reply: Reply, scan: ScanCode) -> State:
    """`state_for_phone`, and `Expired` instead of `UnknownLogin` for a rotating code that is too
    old: its signature says that there was a login.
    """
    if not reply.record and scan.deadline_ms is not None and reply.now >= scan.deadline_ms:
        raise Expired
    return state_for_phone(reply, scan)


def current_state(reply: Reply, device: DeviceCode | None = None) -> State:
    """The state by the store's clock. Raises what `require_readable` raises.

    :param reply: the store's.
    :param device: the browser's device_code, if it asks: its signed end limits every deadline.
    """
    return state_and_end(reply, device)[0]


def state_and_end(reply: Reply, device: DeviceCode | None = None) -> tuple[State, int | None]:
    """The state by the store's clock, and the instant in ms at which it dies, as `deadline_of` has
    it. Raises what `require_readable` raises.

    :param reply: the store's.
    :param device: the browser's device_code, if it asks: its signed end limits every deadline.
    """
    require_readable(reply)
    state = _STORED[reply.record["state"]]
    dies_at = deadline_of(reply, state, device)
    if dies_at is not None and reply.now >= dies_at:
        return State.EXPIRED, None
    return state, dies_at


def deadline_of(reply: Reply, state: State, device: DeviceCode | None = None) -> int | None:
    """The instant in ms at which this state dies; None for a state without a deadline.

    The record's deadlines are not sealed. For a browser, none is later than the signed end allows:
    each later step has to fit in before that. How long those may take is sealed by `begin_seal`.

    :param reply: the store's.
    :param state: the state that the login is in.
    :param device: the browser's device_code, if it asks.
    """
    if not (name := DIES_AT.get(state)):
        return None
    dies_at = instant(reply.record, name)
    if device is None:
        return dies_at
    ends_at = device.ends_at
    for window in _LATER_WINDOWS[state]:
        ends_at -= instant(reply.record, window)
    return min(dies_at, ends_at)


def require_readable(reply: Reply) -> None:
    """Raise `UnknownLogin` if there is no record, and `Unavailable` for a record of another version
    of qrlogin.
    """
    record = reply.record
    if not record:
        raise UnknownLogin
    if record.get("v") != RECORD_FORMAT or record.get("state", "") not in _STORED:
        raise Unavailable("a process with another version of qrlogin wrote the record; begin again")


def require_record(reply: Reply, until: int) -> None:
    """Raise `RecordLost` if there is no record where there has to be one.

    :param until: until when a genuine code says that the record exists, in milliseconds.
    """
    if not reply.record and reply.now < until:
        raise RecordLost(
            "the store has lost its record, or the record is in the memory of another process: "
            "several processes need Redis or a database"
        )


def raise_refusal(reply: Reply, state: State) -> NoReturn:
    """Raise why a genuine call was refused."""
    if reply.verdict is Verdict.EXPIRED:
        raise Expired
    raise _ENDED[state] if state in _ENDED else WrongState(f"the login is {state}: {_NEXT[state]}")


def check_holder(reply: Reply, state: State, claim: str) -> None:
    """Raise `NotYours` if the decision was refused because this phone does not hold the login.

    :param reply: the store's, to a decision of a phone.
    :param state: the state that the login is in.
    :param claim: of the account and phone that decide.
    """
    if reply.verdict is Verdict.FORBIDDEN and not equal_in_constant_time(
        reply.record.get("claim", ""), claim
    ):
        if state is State.PENDING:
            raise NotYours("nobody has scanned it yet: scan it first, from the same phone")
        raise NotYours("another account, or another phone, scanned this login")


def raise_browser_refusal(reply: Reply, device: DeviceCode) -> NoReturn:
    """Raise why a cancel or a redeem was refused."""
    require_record(reply, device.ends_at)
    if not reply.record:
        raise Expired
    state = current_state(reply, device)
    if not equal_in_constant_time(reply.record.get("device_digest", ""), device.digest):
        check_begin_seal(reply, device.key)
        raise NotYours("another browser began this login")
    if reply.verdict is Verdict.FORBIDDEN and state is State.CONFIRMED:
        raise ScannerChanged  # or the browser acknowledged only the name from before the approval
    if reply.verdict is Verdict.SLOW and state not in _ENDED:
        raise TooFast(ceil_seconds(number(reply.record.get("pace_ms")) or 0))
    raise_refusal(reply, state)


def bare_status(reply: Reply, device: DeviceCode | None = None) -> Status:
    """What both devices may know of a login.

    :param reply: the store's.
    :param device: the browser's device_code, if it asks.
    """
    state, dies_at = state_and_end(reply, device)
    return Status(
        reply.login_id, state, version=version_of(reply), expires_in=seconds_until(reply, dies_at)
    )


def version_of(reply: Reply) -> int:
    """The version of the login."""
    return number(reply.record.get("version")) or 0


def check_replay_window(reply: Reply, device: DeviceCode, window: int) -> None:
    """Raise `Expired` if no honest redeem can still be repeated. The record's own `replay_by` has
    no seal; the end in the device_code is signed.

    :param window: how long a redeem may be repeated, in seconds.
    """
    if reply.now >= device.ends_at + window * 1000:
        raise Expired


def redeemed_from(reply: Reply, device: DeviceCode) -> Redeemed:
    """The result of a redeem, if every seal holds: of the beginning, the scanner and the approval.
    Raises `RecordForged`, also for times that the signed ones do not allow.
    """
    record, key = reply.record, device.key
    check_begin_seal(reply, key)
    check_begun_at(reply, device)
    if not device.begun_at <= instant(record, "redeemed_at") < device.ends_at:
        raise RecordForged("the login was redeemed at a time that its device_code does not allow")
    approver = checked_approver(reply, key)
    assurance, phone = decode_facts(record.get("facts", ""))
    return Redeemed(
        reply.login_id,
        subject=record["subject"],
        shown_as=approver.shown_as,
        name=approver.name,
        context=decode_context(record.get("context", "")),
        redeemed_at_ms=instant(record, "redeemed_at"),
        # A command that was resent after a lost reply is the same call, and no replay.
        replayed=record.get("mark") != reply.mark,
        assurance=assurance,
        phone=phone,
    )


def check_begin_seal(reply: Reply, key: Key) -> None:
    """Check who began, with which context and for whom. Raises `RecordForged`."""
    seal = seals.begin_seal(key, reply.login_id, reply.record)
    if not equal_in_constant_time(reply.record.get("begin_seal", ""), seal):
        raise RecordForged("the beginning does not carry the seal of this application")


def check_begun_at(reply: Reply, device: DeviceCode) -> None:
    """Check when the login began against the device_code, which is signed. Raises `RecordForged`.

    The phone has no such code, and shows its user how long ago that was.
    """
    if reply.record.get("begun_at") != str(device.begun_at):
        raise RecordForged("the login began at another time than its device_code says")


def check_approval(reply: Reply, key: Key) -> None:
    """Check who approved: for this scanner, with what the login needs, and for the account that it
    was begun for. Raises `RecordForged`.
    """
    record, login_id = reply.record, reply.login_id
    subject, met = record.get("subject", ""), record.get("met", "")
    seal = seals.approval_seal(key, login_id, record)
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


def checked_approver(reply: Reply, key: Key) -> ScannedBy:
    """Who scanned and then approved, with the full name. Its tag is the approval, so a browser that
    returns it has been shown that name. Raises `RecordForged`.
    """
    shown_as = checked_scanner(reply, key).shown_as
    check_approval(reply, key)
    return ScannedBy(shown_as, reply.record["approval"], reply.record.get("name", ""))


def checked_scanner(reply: Reply, key: Key) -> ScannedBy:
    """Who scanned. Raises `RecordForged`."""
    record = reply.record
    tag, seal = record.get("scanner_seal", ""), seals.scanner_seal(key, reply.login_id, record)
    if not equal_in_constant_time(tag, seal):
        raise RecordForged("the scanner does not carry the seal of this application")
    return ScannedBy(record.get("shown_as", ""), tag)


#: The field with the instant at which the step began that an event ends.
_STEP_BEGAN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scanned": "begun_at",
        "cancelled": "begun_at",
        **dict.fromkeys(("confirmed", "denied", "released"), "scanned_at"),
        "redeemed": "confirmed_at",
    }
)


def event_of(
    name: EventName,
    reply: Reply,
    key: Key,
    *,
    subject: str = "",
    phone: str = "",
    begin_holds: bool = False,
    scanner_holds: bool = False,
) -> Event:
    """The event of the change that this reply reports. Fields whose seal does not hold are left
    out: the change has happened all the same.

    :param name: what happened.
    :param reply: to the command that made the change.
    :param key: the login's.
    :param subject: whose phone made the change, or who is logged in; "" for the browser.
    :param phone: which phone made the change; "" for the browser.
    :param begin_holds: whether the seal of the beginning was checked before.
    :param scanner_holds: whether the seal of the scanner was.
    """
    record, context, shown_as = reply.record, {}, ""
    with suppress(RecordForged):
        if not begin_holds:
            check_begin_seal(reply, key)
        context = dict(decode_context(record.get("context", "")))
    if subject:
        with suppress(RecordForged):
            if not scanner_holds:
                checked_scanner(reply, key)
            shown_as = record.get("shown_as", "")
    at_ms, begun = instant(record, "changed_at"), number(record.get(_STEP_BEGAN.get(name, "")))
    return Event(
        name,
        reply.login_id,
        version_of(reply),
        at_ms,
        subject,
        phone,
        shown_as,
        context,
        None if begun is None else max(0, at_ms - begun),
    )


def match_digits_of(record: Record) -> int:
    """How many digits the approval needs; 0 for none. Check the seal of the beginning before.
    Raises `Unavailable` for a need of a newer version.
    """
    for digits in MATCH_DIGITS:
        if record.get("needs", "") == needs_match(digits):
            return digits
    raise Unavailable("the approval needs what this version does not know; upgrade this process")


def instant(record: Record, name: str) -> int:
    """A time of the record, in ms. One that is not a number has passed, as in the step."""
    return number(record.get(name)) or 0


def seconds_left(reply: Reply, state: State, device: DeviceCode | None = None) -> int:
    """How many seconds this state has left; 0 for a state without a deadline.

    :param reply: the store's.
    :param state: the state that the login is in.
    :param device: the browser's device_code, if it asks.
    """
    return seconds_until(reply, deadline_of(reply, state, device))


def seconds_until(reply: Reply, dies_at: int | None) -> int:
    """How many seconds are left until this instant; 0 for None."""
    return 0 if dies_at is None else ceil_seconds(dies_at - reply.now)


def ceil_seconds(ms: int) -> int:
    """Milliseconds as whole seconds, rounded up, and never below 0."""
    return max(0, -(-ms // 1000))
