"""The protocol without I/O: arguments in, an `Operation` out; the store's reply in, an answer or an error out.

An operation is one command for one atomic step in one round trip, and what its reply means. The core draws random numbers,
checks signatures before and seals after; it reads no clock (the reply says what time it is), opens no socket, knows no store
and has no sync/async colour. `login.py` and `aio.py` only carry commands to a store and replies back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NoReturn, TypeVar

from qrlogin import codes, seals
from qrlogin.answers import Begun, Event, EventName, Redeemed, Scanned, Status
from qrlogin.arguments import (
    ShownAs,
    check_client_id,
    check_person,
    check_redeem,
    clean_name,
    decode_context,
    encode_context,
)
from qrlogin.codes import COLLECTED, FIXED, Codes, DeviceCode, ScanCode
from qrlogin.errors import (
    AlreadyScanned,
    BadArgument,
    Expired,
    InvalidCode,
    NotYours,
    RecordForged,
    TooManyGuesses,
    Unavailable,
    UnknownLogin,
)
from qrlogin.keys import equal_in_constant_time
from qrlogin.operation import Operation as Operation  # what a core makes, so it is found here, too
from qrlogin.policy import Policy, check_lifetime, check_window
from qrlogin.reply_checks import (
    HAS_SCANNER,
    RECORD_FORMAT,
    SUCCEEDED,
    bare_status,
    ceil_seconds,
    check_begin_seal,
    checked_scanner,
    current_state,
    event_of,
    instant,
    is_absent,
    raise_browser_refusal,
    raise_refusal,
    release_subject,
    seconds_left,
    state_for_phone,
)
from qrlogin.step import Command, Reply, Verdict
from qrlogin.table import GUESSED_RIGHT, LOOK_UP, NAME, TABLE, Row, State, guess

T = TypeVar("T")

_KEPT_BEYOND = (
    60  # seconds that a record outlives its last deadline, so that a late caller hears "expired"
)
_DRAWS = 3  # of a user_code, before one is given up for taken
_DECIDED: Mapping[str, EventName] = {
    "release": "released",
    "confirm": "confirmed",
    "deny": "denied",
}
_PACE_STEP, _PACE_SLACK = (
    5,
    1,
)  # seconds: RFC 8628 section 3.5 adds five; a second of jitter is nobody's fault


class Core:
    """Makes the operations of one application. Every method raises `InvalidCode` or `BadArgument` before there is a command."""

    def __init__(
        self,
        *,
        secret_keys: Sequence[str | bytes],
        verification_uri: str,
        audience: str | None,
        policy: Policy,
    ) -> None:
        self.policy = policy
        self._codes = Codes(
            secret_keys,
            verification_uri=verification_uri,
            audience=audience,
            plain_http=policy.plain_http,
        )
        self.verification_uri, self.origin = self._codes.verification_uri, self._codes.origin

    # Codes, read without asking the store

    def read_device_code(self, device_code: str) -> DeviceCode:
        """What a genuine device_code says. Read it once per request, and give what was read to the
        methods of the browser's side. Raises `InvalidCode`.
        """
        return self._codes.read_device_code(device_code)

    def login_id_of(self, code: str) -> str:
        """The login_id that a fixed code leads to, in either of its spellings and without an address."""
        return self._codes.read_fixed(code).login_id

    # The browser's side

    def begin(
        self,
        *,
        context: Mapping[str, str] | None = None,
        lifetime: int | None = None,
        ask_browser: bool = True,
        user_code: bool = False,
        fixed: bool = False,
        client_id: str = "",
        redeem_window: int | None = None,
    ) -> Operation[Begun]:
        """`fixed`: one scan code for the login's whole life, 32 hexadecimal digits. `client_id` is signed into the device_code;
        `redeem_window`, in seconds, overrides the policy's.
        """
        seconds = self.policy.lifetime if lifetime is None else lifetime
        check_lifetime(seconds, "lifetime", BadArgument)
        window = self.policy.redeem_window if redeem_window is None else redeem_window
        check_window(window, "redeem_window", BadArgument)
        check_client_id(client_id)
        if user_code and not self.policy.user_codes:
            raise BadArgument(
                "typed codes are off: set user_codes=True in the policy, and read what they cost"
            )
        if user_code and fixed:
            raise BadArgument("a login has a fixed code or a user_code, not both")
        flags = ("" if ask_browser else COLLECTED) + (FIXED if fixed else "")
        frozen = encode_context({} if context is None else context)
        key = self._codes.signing_key

        def draw(left: int) -> Operation[Begun]:
            minted = self._codes.new_codes(fixed=fixed, typed=user_code)
            secret, login_id = codes.new_secret(), minted.login_id
            digest = seals.device_digest(key, login_id, secret)
            ttl = seconds + window + max(window, self.policy.replay_window) + _KEPT_BEYOND
            command = _command(
                "begin",
                login_id,
                values={
                    "v": RECORD_FORMAT,
                    "device_digest": digest,
                    "context": frozen,
                    "begin_seal": seals.begin_seal(key, login_id, digest, frozen, "", ""),
                },
                seconds={"expires_at": seconds, "redeem_by": seconds + window},
                ttl_ms=ttl,
            )

            def finish(reply: Reply) -> Begun:
                if reply.verdict not in SUCCEEDED:
                    raise Unavailable("the login_id that was drawn is taken: begin again")
                begun_at, redeem_by = (
                    instant(reply.record, "begun_at"),
                    instant(reply.record, "redeem_by"),
                )
                device = DeviceCode(login_id, secret, begun_at, redeem_by, client_id, flags, key)
                status = self._status(reply, device)
                complete = (
                    f"{self.verification_uri}/{minted.fixed}"
                    if fixed
                    else status.verification_uri_complete
                )
                return Begun(
                    login_id,
                    device_code=self._codes.device_code(device),
                    scan_code=minted.fixed or status.scan_code,
                    verification_uri=self.verification_uri,
                    verification_uri_complete=complete,
                    version=status.version,
                    expires_in=status.expires_in,
                    rotates_in=status.rotates_in,
                    state=status.state,
                    user_code=minted.user_code,
                )

            beginning = Operation(
                command, finish, to_event=lambda reply, _: event_of("begun", reply, key)
            )
            if not user_code:
                return beginning
            names = {
                "names": login_id,
                "name_seal": seals.name_seal(key, minted.name_record_id, login_id),
            }
            naming = Command(
                minted.name_record_id, NAME, codes.new_mark(), names, ttl_ms=ttl * 1000
            )

            def named(reply: Reply) -> Operation[Begun] | None:
                if reply.verdict in SUCCEEDED:
                    return beginning
                return draw(left - 1) if left else None

            def taken(_: Reply) -> NoReturn:
                raise Unavailable("every user_code that was drawn is taken: begin again")

            return Operation(naming, taken, named)

        return draw(_DRAWS - 1)

    def status(self, device: DeviceCode) -> Operation[Status]:
        def finish(reply: Reply) -> Status:
            if is_absent(reply, device.redeem_by):
                return Status(device.login_id, State.EXPIRED, version=0, expires_in=0)
            current_state(reply)
            check_begin_seal(reply, device.key)
            if reply.verdict not in SUCCEEDED:
                raise NotYours("another browser began this login")
            return self._status(reply, device)

        return Operation(
            _command("status", device.login_id, values={"device_digest": device.digest}), finish
        )

    def cancel(self, device: DeviceCode) -> Operation[Status]:
        def finish(reply: Reply) -> Status:
            if reply.verdict not in SUCCEEDED:
                raise_browser_refusal(reply, device)
            return bare_status(reply)

        command = _command("cancel", device.login_id, values={"device_digest": device.digest})
        return Operation(
            command, finish, to_event=lambda reply, _: event_of("cancelled", reply, device.key)
        )

    def redeem(
        self,
        device: DeviceCode,
        *,
        acknowledged: str = "",
        op: str | None = None,
        replay_window: int | None = None,
    ) -> Operation[Redeemed]:
        """`replay_window`, in seconds, overrides the policy's."""
        check_redeem(acknowledged, op)
        key, login_id = device.key, device.login_id
        mark = seals.redeem_mark(key, login_id, codes.new_secret() if op is None else op)
        values = {"device_digest": device.digest, "redeem_mark": mark}
        window = self.policy.replay_window if replay_window is None else replay_window
        seconds = {"replay_by": window}
        if COLLECTED in device.flags:
            seconds |= {
                "pace": self.policy.interval,
                "pace_step": _PACE_STEP,
                "pace_slack": _PACE_SLACK,
            }
            command = _command(
                "collect", login_id, values=values, seconds=seconds, deadline_ms=device.redeem_by
            )
        else:
            values["scanner_seal"] = acknowledged
            command = _command(
                "redeem", login_id, values=values, seconds=seconds, deadline_ms=device.redeem_by
            )

        def finish(reply: Reply) -> Redeemed:
            if reply.verdict not in SUCCEEDED:
                raise_browser_refusal(reply, device)
            current_state(reply)
            if (
                reply.now >= device.redeem_by + window * 1000
            ):  # the record's replay_by is not sealed; the device_code is
                raise Expired
            return release_subject(reply, key)

        def to_event(reply: Reply, redeemed: Redeemed) -> Event:
            return event_of("redeemed", reply, key, subject=redeemed.subject)

        return Operation(command, finish, to_event=to_event)

    def exchange(self, device: DeviceCode, ticket: str) -> Operation[Redeemed]:
        """`redeem` for the page that a redirect leads to, with `Status.ticket`. A wrong ticket changes nothing.

        Two commands: the ticket is looked at first, because what was redeemed by mistake would be lost.
        """
        looking = self.status(device)
        redeem = cache(
            lambda: self.redeem(device, op=ticket)
        )  # made once: an operation remembers what it told

        def fits(reply: Reply) -> bool:
            scanner = reply.record.get("scanner_seal", "")
            return (
                bool(scanner)
                and ticket.isascii()
                and equal_in_constant_time(
                    ticket, seals.ticket(device.key, device.login_id, scanner)
                )
            )

        def then(reply: Reply) -> Operation[Redeemed] | None:
            return redeem() if fits(reply) else None

        def refused(reply: Reply) -> NoReturn:
            if looking.interpret(reply).state is State.EXPIRED:
                raise Expired
            raise NotYours("this ticket is not for what the login has come to")

        return Operation(looking.command, refused, then)

    def status_or_redeem(self, device: DeviceCode) -> Operation[Status | Redeemed]:
        """`status`, and as soon as the login is confirmed, `redeem` in its place. Called again within the replay window, it gives
        the same yield again.
        """
        looking = self.status(device)
        redeem = cache(
            lambda op: self.redeem(device, op=op)
        )  # made once: an operation remembers what it told

        def then(reply: Reply) -> Operation[Redeemed] | None:
            seen = looking.interpret(reply)
            if seen.scanned_by is None or seen.state is State.SCANNED:
                return None
            return redeem(seals.ticket(device.key, device.login_id, seen.scanned_by.tag))

        return Operation(looking.command, looking.interpret, then)

    # The phone's side

    def scan(
        self, code: str, *, subject: str, shown_as: ShownAs = ..., phone: str = ""
    ) -> Operation[Scanned]:
        found = self._codes.read_scan_code(code)
        check_person(subject, phone)
        name = clean_name(shown_as, required=self.policy.names_scanner)
        return self._looked_up(
            lambda scan: self._scan(scan, subject, name, phone), found, subject, held=False
        )

    def _scan(self, scan: ScanCode, subject: str, shown_as: str, phone: str) -> Operation[Scanned]:
        login_id, key = scan.login_id, scan.key
        claim = seals.claim(key, login_id, subject, phone)
        command = _command(
            "scan",
            login_id,
            values={
                "claim": claim,
                "shown_as": shown_as,
                "scanner_seal": seals.scanner_seal(key, login_id, claim, shown_as),
                "only_for": seals.account_digest(key, login_id, subject),
            },
            deadline_ms=scan.deadline_ms,
        )

        def finish(reply: Reply) -> Scanned:
            state = state_for_phone(reply, scan)
            if reply.verdict is Verdict.FORBIDDEN:
                raise NotYours("this login was begun for another account")
            if reply.verdict not in SUCCEEDED:
                if reply.verdict is Verdict.REFUSED and state in HAS_SCANNER:
                    raise AlreadyScanned
                raise_refusal(reply, state)
            check_begin_seal(reply, key)
            return Scanned(
                login_id,
                state,
                context=decode_context(reply.record.get("context", "")),
                begun_ago=max(0, reply.now - instant(reply.record, "begun_at")) // 1000,
                expires_in=seconds_left(reply, state),
            )

        return Operation(
            command,
            finish,
            to_event=lambda reply, _: event_of("scanned", reply, key, subject=subject, phone=phone),
        )

    def release(self, code: str, *, subject: str, phone: str = "") -> Operation[Status]:
        return self._by_scanner("release", code, subject, phone)

    def confirm(self, code: str, *, subject: str, phone: str = "") -> Operation[Status]:
        return self._by_scanner("confirm", code, subject, phone)

    def deny(self, code: str, *, subject: str, phone: str = "") -> Operation[Status]:
        return self._by_scanner("deny", code, subject, phone)

    def _by_scanner(self, event: str, code: str, subject: str, phone: str) -> Operation[Status]:
        found = self._codes.read_scan_code(code)
        check_person(subject, phone)
        return self._looked_up(
            lambda scan: self._decide(event, scan, subject, phone), found, subject, held=True
        )

    def _decide(self, event: str, scan: ScanCode, subject: str, phone: str) -> Operation[Status]:
        claim = seals.claim(scan.key, scan.login_id, subject, phone)
        values = {"claim": claim}
        if event == "confirm":
            values |= {
                "subject": subject,
                "approval": seals.approval_seal(scan.key, scan.login_id, claim, subject, "", ""),
            }

        def finish(reply: Reply) -> Status:
            state = state_for_phone(reply, scan)
            if reply.verdict is Verdict.FORBIDDEN and not equal_in_constant_time(
                reply.record.get("claim", ""), claim
            ):
                raise NotYours("another account, or another phone, scanned this login")
            if reply.verdict not in SUCCEEDED:
                raise_refusal(reply, state)
            return bare_status(reply)

        def to_event(reply: Reply, _: Status) -> Event:
            return event_of(_DECIDED[event], reply, scan.key, subject=subject, phone=phone)

        return Operation(_command(event, scan.login_id, values=values), finish, to_event=to_event)

    def _looked_up(
        self,
        make: Callable[[ScanCode], Operation[T]],
        found: Sequence[ScanCode],
        subject: str,
        *,
        held: bool,
    ) -> Operation[T]:
        """The one operation of a signed code. For a typed one, the record that names its login is looked for under one key after
        the other, and each guess that leads nowhere counts (RFC 8628 section 5.1).

        A scan pays before it looks, and gets back what it paid if the code was right: so a hundred guesses at once are no more
        than a hundred in a row. For what must be `held` already a stranger learns nothing from any code, so it pays only
        afterwards and if it was wrong: whoever holds a login can refuse it, however often they mistyped another.
        """
        if not found[0].guessed:
            return make(found[0])
        if not self.policy.user_codes:
            raise InvalidCode("typed codes are off in this application's policy")
        window = self.policy.guess_window
        guesser = seals.guess_record_id(self._codes.signing_key, subject)

        def count(row: Row) -> Command:
            mark = codes.new_mark()
            return Command(guesser, row, mark, {"mark": mark}, ttl_ms=window * 1000)

        paying = count(guess(self.policy.guesses))

        def spent(_: Reply) -> NoReturn:
            raise TooManyGuesses(window)

        def forged(_: Reply) -> NoReturn:
            raise RecordForged(
                "the login that a typed code names does not carry the seal of this application"
            )

        def look(scan: ScanCode, *others: ScanCode) -> Operation[T]:
            rest = look(*others) if others else None
            reach = cache(
                lambda login_id: judged(make(replace(scan, login_id=login_id)))
            )  # it remembers what it told

            def then(reply: Reply) -> Operation[T] | None:
                if (
                    not reply.record
                ):  # without a login, too, the store is asked as often: a guesser times both alike
                    return rest or reach(scan.login_id)
                login_id = reply.record.get("names", "")
                genuine = seals.name_seal(scan.key, scan.login_id, login_id)
                return (
                    reach(login_id)
                    if equal_in_constant_time(reply.record.get("name_seal", ""), genuine)
                    else None
                )

            return Operation(Command(scan.login_id, LOOK_UP, codes.new_mark()), forged, then)

        def judged(first: Operation[T]) -> Operation[T]:
            def then(reply: Reply) -> Operation[T] | None:
                try:
                    answer = first.finish(reply)
                except UnknownLogin:
                    return (
                        Operation(
                            paying,
                            lambda paid: (first.finish if paid.verdict in SUCCEEDED else spent)(
                                reply
                            ),
                        )
                        if held
                        else None
                    )
                return None if held else Operation(count(GUESSED_RIGHT), lambda _: answer)

            return Operation(first.command, first.interpret, then, first.to_event)

        looking = look(*found)
        return (
            looking
            if held
            else Operation(
                paying, spent, lambda paid: looking if paid.verdict in SUCCEEDED else None
            )
        )

    def _status(self, reply: Reply, device: DeviceCode) -> Status:
        """All that the login's own browser may know."""
        state, key = current_state(reply), device.key
        bare = bare_status(reply)
        if state is State.PENDING and FIXED not in device.flags:
            rotation = self.policy.rotation * 1000
            begun_at = device.begun_at  # signed, as the record's is not
            rotates_at = begun_at + ((reply.now - begun_at) // rotation + 1) * rotation
            code = self._codes.rotating_code(
                key, reply.login_id, rotates_at + self.policy.rotation_grace * 1000
            )
            return replace(
                bare,
                scan_code=code,
                verification_uri_complete=f"{self.verification_uri}/{code}",
                rotates_in=ceil_seconds(rotates_at - reply.now),
            )
        if state in HAS_SCANNER:
            scanner = checked_scanner(reply, key)
            collectable = state is State.CONFIRMED and COLLECTED in device.flags
            return replace(
                bare,
                scanned_by=scanner,
                ticket=seals.ticket(key, reply.login_id, scanner.tag) if collectable else "",
            )
        return bare


def _command(
    event: str,
    login_id: str,
    *,
    values: Mapping[str, str],
    seconds: Mapping[str, int] | None = None,
    deadline_ms: int | None = None,
    ttl_ms: int | None = None,
) -> Command:
    durations = {name: value * 1000 for name, value in (seconds or {}).items()}
    return Command(
        login_id,
        TABLE[event],
        codes.new_mark(),
        values,
        durations,
        deadline_ms,
        None if ttl_ms is None else ttl_ms * 1000,
    )
