"""The protocol without I/O: arguments in, an `Operation` out; the store's reply in, an answer or an error out.

An operation is one command for one atomic step in one round trip, and what its reply means. The core draws random numbers,
checks signatures before and seals after; it reads no clock (the reply says what time it is), opens no socket, knows no store
and has no sync/async colour. `login.py` and `aio.py` only carry commands to a store and replies back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NoReturn, TypeVar

from qrlogin import codes
from qrlogin.answers import Begun, Redeemed, Scanned, ScannedBy, Status
from qrlogin.arguments import check_person, check_redeem, check_shown_as, freeze, thaw
from qrlogin.codes import Codes, DeviceCode, Key, same
from qrlogin.errors import (
    AlreadyRedeemed,
    AlreadyScanned,
    BadArgument,
    Cancelled,
    Denied,
    Expired,
    LoginError,
    NotYours,
    RecordForged,
    ScannerChanged,
    Unavailable,
    UnknownLogin,
    WrongState,
)
from qrlogin.policy import Policy, check_lifetime
from qrlogin.step import Command, Record, Reply, Verdict, number
from qrlogin.table import DIES_AT, TABLE, TERMINAL, State

T_co = TypeVar("T_co", covariant=True)

RECORD_FORMAT: Final = "1"
_KEPT_BEYOND: Final = 60  # seconds that a record outlives its last deadline, so that a late caller hears "expired"

_ENDED: Final[Mapping[str, type[LoginError]]] = {
    State.REDEEMED: AlreadyRedeemed,
    State.DENIED: Denied,
    State.CANCELLED: Cancelled,
    State.EXPIRED: Expired,
}
_STORED: Final = frozenset(State) - {State.EXPIRED}
_HELD: Final = (State.SCANNED, State.CONFIRMED, State.REDEEMED)  # somebody is its scanner


@dataclass(frozen=True, slots=True)
class Operation(Generic[T_co]):
    """One command, and what its reply means. Give it to `QRLogin.run`, or apply `command` to a store and call `finish`."""

    command: Command
    meaning: Callable[[Reply], T_co] = field(repr=False)

    def finish(self, reply: Reply) -> T_co:
        """The answer. Raises the `LoginError` that the verdict stands for; `Unavailable` for a reply to another question."""
        if (reply.login_id, reply.mark) != (self.command.login_id, self.command.mark):
            raise Unavailable("the store answered another question; the connection must not be used again")
        return self.meaning(reply)


class Core:
    """Makes the operations of one application. Every method raises `InvalidCode` or `BadArgument` before there is a command."""

    def __init__(
        self, *, secret_keys: Sequence[str | bytes], verification_uri: str, audience: str | None, policy: Policy
    ) -> None:
        self.policy = policy
        self._codes = Codes(secret_keys, verification_uri=verification_uri, audience=audience, plain_http=policy.plain_http)
        self.verification_uri, self.origin = self._codes.verification_uri, self._codes.origin

    # The browser's side

    def begin(self, *, context: Mapping[str, str] | None = None, lifetime: int | None = None) -> Operation[Begun]:
        seconds = self.policy.lifetime if lifetime is None else lifetime
        check_lifetime(seconds, "lifetime", BadArgument)
        login_id, secret, key = codes.new_login_id(), codes.new_secret(), self._codes.signing_key
        digest, frozen = codes.device_digest(key, login_id, secret), freeze({} if context is None else context)
        collectable = seconds + self.policy.redeem_window
        command = _command(
            "begin",
            login_id,
            values={
                "v": RECORD_FORMAT,
                "device_digest": digest,
                "context": frozen,
                "begin_seal": codes.begin_seal(key, login_id, digest, frozen, "", ""),
            },
            seconds={"expires_at": seconds, "redeem_by": collectable},
            keep=collectable + self.policy.replay_window + _KEPT_BEYOND,
        )

        def finish(reply: Reply) -> Begun:
            if reply.verdict not in _DONE:
                raise Unavailable("the login_id that was drawn is taken: begin again")
            status = self._status(reply, key)
            begun_at, redeem_by = _instant(reply.record, "begun_at"), _instant(reply.record, "redeem_by")
            return Begun(
                login_id,
                device_code=self._codes.device_code(key, login_id, secret, begun_at, redeem_by),
                scan_code=status.scan_code,
                verification_uri=self.verification_uri,
                verification_uri_complete=status.verification_uri_complete,
                version=status.version,
                expires_in=status.expires_in,
                rotates_in=status.rotates_in,
                state=status.state,
            )

        return Operation(command, finish)

    def login_id(self, device_code: str) -> str:
        """Which login a genuine device_code is for; the store is not asked."""
        return self._codes.read_device_code(device_code).login_id

    def status(self, device_code: str) -> Operation[Status]:
        device = self._codes.read_device_code(device_code)

        def finish(reply: Reply) -> Status:
            if not reply.record and reply.now >= device.redeem_by:
                return Status(device.login_id, State.EXPIRED, version=0, expires_in=0)
            _known(reply)
            _check_begin_seal(reply, device.key)
            if reply.verdict not in _DONE:
                raise NotYours("another browser began this login")
            return self._status(reply, device.key)

        return Operation(_command("status", device.login_id, values={"device_digest": device.digest}), finish)

    def cancel(self, device_code: str) -> Operation[Status]:
        device = self._codes.read_device_code(device_code)

        def finish(reply: Reply) -> Status:
            if reply.verdict not in _DONE:
                _refuse_browser(reply, device)
            return _bare_status(reply)

        return Operation(_command("cancel", device.login_id, values={"device_digest": device.digest}), finish)

    def redeem(self, device_code: str, *, acknowledged: str = "", op: str | None = None) -> Operation[Redeemed]:
        device = self._codes.read_device_code(device_code)
        check_redeem(acknowledged, op)
        key, login_id = device.key, device.login_id
        command = _command(
            "redeem",
            login_id,
            values={
                "device_digest": device.digest,
                "scanner": acknowledged,
                "redeem_mark": codes.redeem_mark(key, login_id, codes.new_secret() if op is None else op),
            },
            seconds={"replay_by": self.policy.replay_window},
            until=device.redeem_by,
        )

        def finish(reply: Reply) -> Redeemed:
            if reply.verdict not in _DONE:
                _refuse_browser(reply, device)
            _known(reply)
            return _yield(reply, key)

        return Operation(command, finish)

    # The phone's side

    def scan(self, code: str, *, subject: str, shown_as: str = "", phone: str = "") -> Operation[Scanned]:
        scan = self._codes.read_scan_code(code)
        check_person(subject, phone)
        check_shown_as(shown_as, required=self.policy.names_scanner)
        login_id, key = scan.login_id, scan.key
        claim = codes.claim(key, login_id, subject, phone)
        command = _command(
            "scan",
            login_id,
            values={
                "claim": claim,
                "who": shown_as,
                "scanner": codes.scanner_seal(key, login_id, claim, shown_as),
                "only_for": codes.only_for(key, login_id, subject),
            },
            until=scan.until,
        )

        def finish(reply: Reply) -> Scanned:
            state = _known(reply)
            if reply.verdict is Verdict.FORBIDDEN:
                raise NotYours("this login was begun for another account")
            if reply.verdict not in _DONE:
                if reply.verdict is Verdict.REFUSED and state in _HELD:
                    raise AlreadyScanned
                _refuse(reply, state)
            _check_begin_seal(reply, key)
            return Scanned(
                login_id,
                state,
                context=thaw(reply.record.get("context", "")),
                begun_ago=max(0, reply.now - _instant(reply.record, "begun_at")) // 1000,
                expires_in=_seconds_left(reply, state),
            )

        return Operation(command, finish)

    def release(self, code: str, *, subject: str, phone: str = "") -> Operation[Status]:
        return self._by_scanner("release", code, subject, phone)

    def confirm(self, code: str, *, subject: str, phone: str = "") -> Operation[Status]:
        return self._by_scanner("confirm", code, subject, phone)

    def deny(self, code: str, *, subject: str, phone: str = "") -> Operation[Status]:
        return self._by_scanner("deny", code, subject, phone)

    def _by_scanner(self, event: str, code: str, subject: str, phone: str) -> Operation[Status]:
        scan = self._codes.read_scan_code(code)
        check_person(subject, phone)
        claim = codes.claim(scan.key, scan.login_id, subject, phone)
        values = {"claim": claim}
        if event == "confirm":
            values |= {
                "subject": subject,
                "approval": codes.approval_seal(scan.key, scan.login_id, claim, subject, "", ""),
            }

        def finish(reply: Reply) -> Status:
            state = _known(reply)
            if reply.verdict is Verdict.FORBIDDEN and not same(reply.record.get("claim", ""), claim):
                raise NotYours("another account, or another phone, scanned this login")
            if reply.verdict not in _DONE:
                _refuse(reply, state)
            return _bare_status(reply)

        return Operation(_command(event, scan.login_id, values=values), finish)

    def _status(self, reply: Reply, key: Key) -> Status:
        """All that the login's own browser may know."""
        state, record = _known(reply), reply.record
        bare = _bare_status(reply)
        if state == State.PENDING:
            rotation = self.policy.rotation * 1000
            begun_at = _instant(record, "begun_at")
            rotates_at = begun_at + ((reply.now - begun_at) // rotation + 1) * rotation
            code = self._codes.scan_code(key, reply.login_id, rotates_at + self.policy.rotation_grace * 1000)
            return Status(
                bare.login_id,
                bare.state,
                bare.version,
                bare.expires_in,
                scan_code=code,
                verification_uri_complete=f"{self.verification_uri}/{code}",
                rotates_in=_ceil_seconds(rotates_at - reply.now),
            )
        if state in _HELD:
            return Status(bare.login_id, bare.state, bare.version, bare.expires_in, scanned_by=_checked_scanner(reply, key))
        return bare


_DONE: Final = (Verdict.APPLIED, Verdict.REPEATED)


def _command(
    event: str,
    login_id: str,
    *,
    values: Mapping[str, str],
    seconds: Mapping[str, int] | None = None,
    until: int | None = None,
    keep: int | None = None,
) -> Command:
    durations = {name: value * 1000 for name, value in (seconds or {}).items()}
    return Command(login_id, TABLE[event], codes.new_mark(), values, durations, until, None if keep is None else keep * 1000)


# What a reply says


def _known(reply: Reply) -> State:
    """The state as the clock sees it. Raises `UnknownLogin` without a record, `Unavailable` for one from a newer version."""
    record = reply.record
    if not record:
        raise UnknownLogin
    stored = record.get("state", "")
    if record.get("v") != RECORD_FORMAT or stored not in _STORED:
        raise Unavailable("the record was written by another version of qrlogin; upgrade this process")
    state = State(stored)
    dies_at = DIES_AT.get(state)
    return State.EXPIRED if dies_at and reply.now >= _instant(record, dies_at) else state


def _refuse(reply: Reply, state: State) -> NoReturn:
    """Raise what a genuine caller is told when the step said no."""
    if reply.verdict is Verdict.EXPIRED:
        raise Expired
    raise _ENDED.get(state, WrongState)


def _refuse_browser(reply: Reply, device: DeviceCode) -> NoReturn:
    if not reply.record and reply.now >= device.redeem_by:
        raise Expired
    state = _known(reply)
    if not same(reply.record.get("device_digest", ""), device.digest):
        _check_begin_seal(reply, device.key)
        raise NotYours("another browser began this login")
    if reply.verdict is Verdict.FORBIDDEN and state in (State.SCANNED, State.CONFIRMED):
        raise ScannerChanged
    _refuse(reply, state)


def _bare_status(reply: Reply) -> Status:
    state = _known(reply)
    return Status(
        reply.login_id,
        state,
        version=number(reply.record.get("version")) or 0,
        expires_in=_seconds_left(reply, state),
    )


def _yield(reply: Reply, key: Key) -> Redeemed:
    """Release the subject, if every seal holds: who began, who scanned, who approved, and that it was for them."""
    record = reply.record
    _check_begin_seal(reply, key)
    scanner = _checked_scanner(reply, key)
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
        redeemed_at_ms=_instant(record, "redeemed_at"),
        replayed=record.get("mark") != reply.mark,  # a resend of this very call, after a lost reply, is no replay
    )


def _check_begin_seal(reply: Reply, key: Key) -> None:
    digest, context, needs, meant_for = (reply.record.get(name, "") for name in ("device_digest", "context", "needs", "only_for"))
    seal = codes.begin_seal(key, reply.login_id, digest, context, needs, meant_for)
    if not same(reply.record.get("begin_seal", ""), seal):
        raise RecordForged("the beginning does not carry the seal of this application")


def _checked_scanner(reply: Reply, key: Key) -> ScannedBy:
    who, tag = reply.record.get("who", ""), reply.record.get("scanner", "")
    if not same(tag, codes.scanner_seal(key, reply.login_id, reply.record.get("claim", ""), who)):
        raise RecordForged("the scanner does not carry the seal of this application")
    return ScannedBy(who, tag)


def _instant(record: Record, name: str) -> int:
    """A time of the record; one that is no number has passed long ago, as in the step."""
    return number(record.get(name)) or 0


def _seconds_left(reply: Reply, state: State) -> int:
    dies_at = DIES_AT.get(state)
    return _ceil_seconds(_instant(reply.record, dies_at) - reply.now) if dies_at else 0


def _ceil_seconds(ms: int) -> int:
    return max(0, -(-ms // 1000))


# What a wait asks


def is_news(seen: Status, after: int | None) -> bool:
    """Whether a browser that was last told version `after` (None: that it is pending) has to hear of this at once."""
    if seen.state is State.EXPIRED or seen.state in TERMINAL:
        return True
    return seen.state is not State.PENDING if after is None else seen.version != after


def patience(seen: Status, timeout: float) -> float:
    """Seconds to wait at most: nobody announces that a code rotates or that a login expires, and the browser must see both."""
    return min(timeout, seen.expires_in, seen.rotates_in or timeout)
