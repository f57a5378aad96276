"""The phone's side of the core: what a phone reads of a login, and how it decides.

A phone names a login by a code of any kind: rotating, fixed or typed. It may look at the login,
scan it for its account, and then confirm, deny or release it. Later it may ask what became of it.
Like `core.py`, this module does no I/O.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, NoReturn

from qrlogin import codes, seals
from qrlogin.allowances import limit_scan
from qrlogin.answers import Event, EventName, Landing, Scanned, Status
from qrlogin.arguments import (
    ShownAs,
    check_assurance,
    check_match_code,
    check_person,
    clean_account_name,
    clean_name,
    decode_context,
    encode_facts,
    needs_match,
)
from qrlogin.codes import Codes, ScanCode
from qrlogin.commands import login_command, wrote
from qrlogin.errors import (
    AlreadyScanned,
    Expired,
    InvalidCode,
    MatchCodeNeeded,
    NotYours,
    RecordForged,
    WrongMatchCode,
)
from qrlogin.keys import Key, equal_in_constant_time
from qrlogin.known_browsers import is_known
from qrlogin.operation import Operation
from qrlogin.policy import MIN_TO_DECIDE, Policy
from qrlogin.reply_checks import (
    HAS_SCANNER,
    SUCCEEDED,
    bare_status,
    check_begin_seal,
    check_holder,
    event_of,
    instant,
    match_digits_of,
    raise_refusal,
    seconds_left,
    state_before_scan,
    state_for_phone,
)
from qrlogin.step import Reply, Verdict, number
from qrlogin.table import MATCH_TRIES, State
from qrlogin.typed_codes import GuessBudget, decide_by_letters, scan_by_letters

_DECISIONS: Final[Mapping[str, EventName]] = {
    "release": "released",
    "confirm": "confirmed",
    "deny": "denied",
}


class PhoneSide:
    """The operations of a phone. `Core` adds those of the browser, and sets both fields."""

    policy: Policy
    _codes: Codes

    def land(self, code: str) -> Operation[Landing]:
        """Let the browser that opened the page of this code scan its login until `scan_by`. Raises
        `InvalidCode` for a fixed or typed code, which lives as long as its login anyway.
        """
        (reading, *others) = self._codes.read_scan_code(code)
        if reading.deadline_ms is None or others:
            raise InvalidCode("only a rotating code needs a landing")

        def interpret(reply: Reply) -> Landing:
            state = state_before_scan(reply, reading)
            if reply.verdict not in SUCCEEDED:
                raise_refusal(reply, state)
            token = seals.landing(reading.key, reading.login_id)
            return Landing(reading.login_id, token, seconds_left(reply, state))

        command = login_command(
            "land", reading.login_id, codes.new_mark(), values={}, deadline_ms=reading.deadline_ms
        )
        return Operation(command, interpret)

    def look(
        self, code: str, *, subject: str, phone: str = "", landing: str = ""
    ) -> Operation[Scanned]:
        """Read what `scan` would return, without a claim. The parameters are those of
        `QRLogin.look`.
        """
        check_person(subject, phone)

        def look(reading: ScanCode) -> Operation[Scanned]:
            return self._take("look", reading, codes.new_mark(), subject, phone, landing)

        return self._by_any_code(code, subject, look)

    def scan(
        self,
        code: str,
        *,
        subject: str,
        shown_as: ShownAs = ...,
        phone: str = "",
        landing: str = "",
    ) -> Operation[Scanned]:
        """Scan a login for the account of a phone. The parameters are those of `QRLogin.scan`."""
        check_person(subject, phone)
        name = clean_name(shown_as, required=self.policy.names_scanner)
        mark = codes.new_mark()  # drawn once: an operation that is run again resends its scan

        def scan(reading: ScanCode) -> Operation[Scanned]:
            return self._take("scan", reading, mark, subject, phone, landing, name)

        scanning = self._by_any_code(code, subject, scan)
        limits = self.policy.limits
        if limits is None:
            return scanning
        return limit_scan(limits, self._codes.signing_key, subject, scanning)

    def _by_any_code(
        self, code: str, subject: str, take: Callable[[ScanCode], Operation[Scanned]]
    ) -> Operation[Scanned]:
        readings = self._codes.read_scan_code(code)
        if readings[0].typed:
            return scan_by_letters(readings, take, self._guess_budget(subject))
        return take(readings[0])

    def _take(
        self,
        row: str,
        code: ScanCode,
        mark: str,
        subject: str,
        phone: str,
        landing: str,
        shown_as: str = "",
    ) -> Operation[Scanned]:
        """Scan a login, or look at it: the same is refused."""
        login_id, key = code.login_id, code.key
        claim = seals.claim(key, login_id, subject, phone)
        values = {"claim": claim, "only_for": seals.account_digest(key, login_id, subject)}
        if row == "scan":
            values["shown_as"] = shown_as
            values["scanner_seal"] = seals.scanner_seal(key, login_id, values)
        deadline_ms, token = code.deadline_ms, ""
        if deadline_ms is not None and (landing or row == "look"):
            token = seals.landing(key, login_id)
            # Never compared with a caller's text before it is known to be ASCII.
            if landing.isascii() and equal_in_constant_time(landing, token):
                deadline_ms = None
        command = login_command(row, login_id, mark, values=values, deadline_ms=deadline_ms)

        def interpret(reply: Reply) -> Scanned:
            state = state_before_scan(reply, code)
            if reply.verdict is Verdict.FORBIDDEN:
                raise NotYours("this login was begun for another account")
            if reply.verdict not in SUCCEEDED:
                if reply.verdict is Verdict.REFUSED and state in HAS_SCANNER:
                    raise AlreadyScanned
                raise_refusal(reply, state)
            check_begin_seal(reply, key)
            begun_at = instant(reply.record, "begun_at")
            if code.deadline_ms is not None and begun_at >= code.deadline_ms:
                raise RecordForged("the login began after its own code had expired")
            left = seconds_left(reply, state)
            if state is State.PENDING and left < MIN_TO_DECIDE:
                raise Expired  # too late to ask a person
            return Scanned(
                login_id,
                state,
                context=decode_context(reply.record.get("context", "")),
                begun_ago=max(0, reply.now - begun_at) // 1000,
                expires_in=left,
                match_digits=match_digits_of(reply.record),
                # Who looked in time may scan after the person has read the question.
                landing=token if state is State.PENDING else "",
                known_browser=self._is_known(reply, key, subject),
            )

        if row == "look":
            return Operation(command, interpret)

        def to_event(reply: Reply) -> Event:
            return event_of(
                "scanned",
                reply,
                key,
                subject=subject,
                phone=phone,
                begin_holds=True,  # `interpret` has checked it
                scanner_holds=wrote(command, reply),
            )

        return Operation(command, interpret, to_event)

    def _is_known(self, reply: Reply, key: Key, subject: str) -> bool | None:
        if not self.policy.known_browser:
            return None
        field = reply.record.get("known", "")
        return is_known(self._codes.keys, key, reply.login_id, field, subject)

    def outcome(self, code: str, *, subject: str, phone: str = "") -> Operation[Status]:
        """Read what became of a login that this phone scanned."""
        return self._decide("outcome", code, subject, phone)

    def release(self, code: str, *, subject: str, phone: str = "") -> Operation[Status]:
        """Give a scanned login back, so that any account can scan it."""
        return self._decide("release", code, subject, phone)

    def confirm(
        self,
        code: str,
        *,
        subject: str,
        phone: str = "",
        name: str = "",
        assurance: str = "",
        match_code: str = "",
    ) -> Operation[Status]:
        """Approve a scanned login. The parameters are those of `QRLogin.confirm`."""
        check_assurance(assurance)
        check_match_code(match_code)
        approved = {"name": clean_account_name(name), "facts": encode_facts(assurance, phone)}
        return self._decide("confirm", code, subject, phone, approved, match_code)

    def deny(self, code: str, *, subject: str, phone: str = "") -> Operation[Status]:
        """Deny a scanned or confirmed login."""
        return self._decide("deny", code, subject, phone)

    def _decide(
        self,
        row: str,
        code: str,
        subject: str,
        phone: str,
        approved: Mapping[str, str] = MappingProxyType({}),
        match_code: str = "",
    ) -> Operation[Status]:
        readings = self._codes.read_scan_code(code)
        check_person(subject, phone)
        mark = codes.new_mark()  # as in `scan`

        def decide(reading: ScanCode) -> Operation[Status]:
            claim = seals.claim(reading.key, reading.login_id, subject, phone)
            met, values = needs_match(len(match_code)), approved
            if met:
                right = seals.match_code(reading.key, reading.login_id, claim, len(match_code))
                if not equal_in_constant_time(match_code, right):
                    return self._miss(reading, claim, mark, subject, phone, match_code)
                # Compared with the record's `needs`, and then kept as `met`.
                values = {**approved, "needs": met, "met": met}
            return self._decision(row, reading, claim, mark, subject, phone, values)

        if readings[0].typed:
            return decide_by_letters(readings, decide, self._guess_budget(subject))
        return decide(readings[0])

    def _decision(
        self,
        row: str,
        code: ScanCode,
        claim: str,
        mark: str,
        subject: str,
        phone: str,
        approved: Mapping[str, str],
    ) -> Operation[Status]:
        login_id, key, values = code.login_id, code.key, {"claim": claim}
        if row == "confirm":
            values |= {"subject": subject, **approved}
            values["approval"] = seals.approval_seal(key, login_id, values)

        def interpret(reply: Reply) -> Status:
            state = state_for_phone(reply, code)
            check_holder(reply, state, claim)
            if reply.verdict is Verdict.FORBIDDEN and state is State.SCANNED:
                raise MatchCodeNeeded
            if reply.verdict not in SUCCEEDED:
                raise_refusal(reply, state)
            return bare_status(reply)

        command = login_command(row, login_id, mark, values=values)
        if row not in _DECISIONS:
            return Operation(command, interpret)
        return Operation(
            command,
            interpret,
            partial(event_of, _DECISIONS[row], key=key, subject=subject, phone=phone),
        )

    def _miss(
        self, code: ScanCode, claim: str, mark: str, subject: str, phone: str, match_code: str
    ) -> Operation[Status]:
        """Count a confirm with wrong digits. The operation always raises."""
        login_id, key = code.login_id, code.key
        missed = seals.missed(key, login_id, claim, match_code)
        command = login_command("miss", login_id, mark, values={"claim": claim, "missed": missed})
        reading = login_command("outcome", login_id, codes.new_mark(), values={"claim": claim})

        def raise_last(_: Reply) -> NoReturn:
            raise WrongMatchCode(0)

        def interpret(reply: Reply) -> Operation[Status]:
            state = state_for_phone(reply, code)
            check_holder(reply, state, claim)
            left = MATCH_TRIES - (number(reply.record.get("misses")) or 0)
            counted = reply.verdict in SUCCEEDED
            if counted and state is State.SCANNED:
                raise WrongMatchCode(max(1, left))
            if not (counted and state is State.DENIED and left <= 0):
                raise_refusal(reply, state)
            # An error here would yield no event, and this denies the login. So an operation of its
            # own raises it.
            return Operation(reading, raise_last)

        return Operation(
            command, interpret, partial(event_of, "denied", key=key, subject=subject, phone=phone)
        )

    def _guess_budget(self, subject: str) -> GuessBudget:
        """How often this account may mistype. Raises `InvalidCode` if typed codes are off."""
        if not self.policy.user_codes:
            raise InvalidCode("typed codes are off in this application's policy")
        record_id = seals.guess_record_id(self._codes.signing_key, subject)
        return GuessBudget(record_id, self.policy.guesses, self.policy.guess_window)
