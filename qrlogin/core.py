"""The protocol without I/O: arguments in, an `Operation` out; its reply in, an answer out.

An operation is one command, for one atomic step in one round trip, and what its reply means. The
core draws random numbers, checks signatures before the step and seals after it. It reads no clock
(the reply says what time it is), opens no socket, knows no store and has no sync/async colour.
`login.py` and `aio.py` carry its commands to a store and the replies back.

This module has the browser's side; `phone_side.py` has the phone's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Final

from qrlogin import codes, seals
from qrlogin.allowances import limit_begin
from qrlogin.answers import Begun, Event, Redeemed, Status
from qrlogin.arguments import (
    check_begun_by,
    check_person,
    check_redeem,
    encode_context,
    needs_match,
)
from qrlogin.codes import FIXED, UNASKED, Codes, DeviceCode, NewCodes
from qrlogin.commands import login_command, wrote
from qrlogin.errors import BadArgument, Expired, Misconfigured, NotYours, Unavailable
from qrlogin.keys import Key, equal_in_constant_time
from qrlogin.known_browsers import known_after_redeem, known_at_begin
from qrlogin.limits import network_of
from qrlogin.operation import Operation
from qrlogin.phone_side import PhoneSide
from qrlogin.policy import Policy, check_lifetime, check_window
from qrlogin.reply_checks import (
    HAS_SCANNER,
    RECORD_FORMAT,
    SUCCEEDED,
    bare_status,
    ceil_seconds,
    check_begin_seal,
    check_begun_at,
    check_replay_window,
    checked_approver,
    checked_scanner,
    event_of,
    instant,
    match_digits_of,
    raise_browser_refusal,
    redeemed_from,
    require_readable,
    require_record,
    seconds_until,
    state_and_end,
    version_of,
)
from qrlogin.step import Command, Reply
from qrlogin.table import State
from qrlogin.typed_codes import name_login

#: Seconds that a record outlives its last deadline, so that a late caller is answered "expired".
_KEPT_BEYOND: Final = 60
#: How many user_codes are drawn before `begin` gives up because each of them is taken.
_DRAWS: Final = 3
#: Seconds that a poll which came too early adds to its interval (RFC 8628 section 3.5).
_PACE_STEP: Final = 5
#: Seconds that a poll may come early: network delays vary.
_PACE_SLACK: Final = 1


@dataclass(frozen=True, slots=True)
class _Terms:
    """What one login was begun with. Durations are in seconds."""

    key: Key = field(repr=False)
    context: str = field(repr=False)
    lifetime: int
    late_window: int
    decide_window: int
    redeem_window: int
    ttl: int
    begun_by: str
    flags: str
    subject: str | None = field(repr=False)
    known: str | None = field(repr=False)


class Core(PhoneSide):
    """Makes the operations of one application.

    Every method checks its arguments and codes first, and raises `BadArgument` or `InvalidCode`
    before there is a command. Run an operation with `QRLogin.run`; it raises what the store's reply
    means.
    """

    def __init__(
        self,
        *,
        secret_keys: Sequence[str | bytes],
        verification_uri: str,
        audience: str | None,
        policy: Policy,
    ) -> None:
        """Raises `Misconfigured`. The parameters are those of `QRLogin`."""
        if not isinstance(policy, Policy):
            raise Misconfigured("policy must be a Policy, such as STANDARD or STRICT of qrlogin")
        self.policy = policy
        self._codes = Codes(
            secret_keys,
            verification_uri=verification_uri,
            audience=audience,
            plain_http=policy.plain_http,
        )
        self.verification_uri: str = self._codes.verification_uri
        self.origin: str = self._codes.origin

    def ping(self) -> Operation[None]:
        """Ask the store for a login that does not exist: whether it answers is all that counts."""
        command = login_command("status", codes.new_login_id(), codes.new_mark(), values={})
        return Operation(command, lambda _: None)

    # Codes, read without asking the store

    def read_device_code(self, device_code: str) -> DeviceCode:
        """What a genuine device_code says. Read it once per request, and give what was read to the
        methods of the browser's side. Raises `InvalidCode`.
        """
        return self._codes.read_device_code(device_code)

    def login_id_of(self, code: str) -> str:
        """The login_id of a fixed code, in either of its spellings and without an address. Raises
        `InvalidCode`.
        """
        return self._codes.read_fixed(code).login_id

    # The browser's side

    def begin(
        self,
        *,
        context: Mapping[str, str] | None = None,
        lifetime: int | None = None,
        ask_browser: bool = True,
        user_code: bool = False,
        subject: str | None = None,
        fixed: bool = False,
        begun_by: str = "",
        late_window: int | None = None,
        redeem_window: int | None = None,
        replay_window: int | None = None,
        turn: str = "",
        known: str | None = None,
    ) -> Operation[Begun]:
        """Begin a login. `QRLogin.begin` offers the first five parameters; dialects use all.

        It takes a second command, which comes first, if the context has an `address`: the limit of
        that address.

        :param context: facts about the browser, shown on the phone; cut to 800 bytes.
        :param lifetime: in seconds; None: the policy's.
        :param ask_browser: whether the browser's user is asked "continue as …?".
        :param user_code: whether there is a code to type, too.
        :param subject: the only account that can scan it; None: any account.
        :param fixed: one scan code for the login's whole life, 32 hexadecimal digits, instead of
            rotating ones.
        :param begun_by: the dialect and its client, as `DeviceCode.begun_by` has them.
        :param late_window: in seconds; None: the policy's. 0 for a dialect whose clients show their
            code until they hear that it has expired.
        :param redeem_window: in seconds; None: the policy's.
        :param replay_window: for how many seconds its redeem can be repeated; None: the policy's.
        :param turn: `TooManyBegins.turn` that this browser got before; "" for none.
        :param known: what this browser keeps of `known_after`; "" for nothing. None: its client
            never says.
        """
        policy = self.policy
        seconds = policy.lifetime if lifetime is None else lifetime
        check_lifetime(seconds, "lifetime", BadArgument)
        late = policy.late_window if late_window is None else late_window
        window = policy.redeem_window if redeem_window is None else redeem_window
        check_window(window, "redeem_window", BadArgument)
        replay = policy.replay_window if replay_window is None else replay_window
        windows = {"late_window": late, "redeem_window": window, "replay_window": replay}
        own = (lifetime, late_window, redeem_window, replay_window)
        if any(each is not None for each in own):  # the policy has checked its own
            policy.check_total("the windows", BadArgument, lifetime=seconds, **windows)
        check_begun_by(begun_by)
        if subject is not None:
            check_person(subject, "")
        if user_code and not policy.user_codes:
            raise BadArgument(
                "typed codes are off: set user_codes=True in the policy, and read what they cost"
            )
        if user_code and fixed:
            raise BadArgument("a login has a fixed code or a user_code, not both")
        terms = _Terms(
            key=self._codes.signing_key,
            context=encode_context({} if context is None else context),
            lifetime=seconds,
            late_window=late,
            decide_window=policy.decide_window,
            redeem_window=window,
            # The record must answer a redeem at its last deadline again, while it can be repeated.
            ttl=seconds + late + policy.decide_window + window + replay + _KEPT_BEYOND,
            begun_by=begun_by,
            flags=("" if ask_browser else UNASKED) + (FIXED if fixed else ""),
            subject=subject,
            known=known if policy.known_browser else None,
        )

        network = network_of((context or {}).get("address", ""))
        beginner = seals.begins_record_id(terms.key, network, "") if network else ""
        beginning = (
            self._begin_typed(terms, beginner, _DRAWS)
            if user_code
            else self._begin(terms, beginner)
        )
        if policy.limits is None or not network:
            return beginning
        return limit_begin(policy.limits, terms.key, network, turn, beginning)

    def _begin_typed(self, terms: _Terms, beginner: str, draws: int) -> Operation[Begun]:
        """Begin with a user_code, of which at most `draws` are tried."""
        new = self._codes.new_codes(fixed=False, typed=True)
        # Drawn once, so that an operation that is run again begins the same login again.
        draw_again = (
            cache(partial(self._begin_typed, terms, beginner, draws - 1)) if draws > 1 else None
        )
        return name_login(terms.key, new, self._begin(terms, beginner, new), draw_again)

    def _begin(self, terms: _Terms, beginner: str, new: NewCodes | None = None) -> Operation[Begun]:
        key = terms.key
        new = new or self._codes.new_codes(fixed=FIXED in terms.flags, typed=False)
        secret, login_id = codes.new_secret(), new.login_id
        values = {
            "v": RECORD_FORMAT,
            "device_digest": seals.device_digest(key, login_id, secret),
            "context": terms.context,
            "needs": needs_match(self.policy.match_digits),
            "only_for": ""
            if terms.subject is None
            else seals.account_digest(key, login_id, terms.subject),
            "known": known_at_begin(key, login_id, terms.known),
            "decide_ms": str(terms.decide_window * 1000),
            "redeem_ms": str(terms.redeem_window * 1000),
        }
        values["begin_seal"] = seals.begin_seal(key, login_id, values)
        command = login_command(
            "begin",
            login_id,
            codes.new_mark(),
            values=values,
            seconds={
                "shown_until": terms.lifetime,
                "scan_by": terms.lifetime + terms.late_window,
            },
            ttl=terms.ttl,
            beginner=beginner,
        )

        def interpret(reply: Reply) -> Begun:
            if reply.verdict not in SUCCEEDED:
                raise Unavailable("the new login_id is already in use: begin again")
            begun_at = instant(reply.record, "begun_at")
            windows = terms.late_window + terms.decide_window + terms.redeem_window
            ends_at = begun_at + (terms.lifetime + windows) * 1000
            device = DeviceCode(
                login_id, secret, begun_at, ends_at, terms.begun_by, terms.flags, key
            )
            return self._begun(self._full_status(reply, device), device, new)

        def to_event(reply: Reply) -> Event:
            return event_of("begun", reply, key, begin_holds=wrote(command, reply))

        return Operation(command, interpret, to_event)

    def _begun(self, status: Status, device: DeviceCode, new: NewCodes) -> Begun:
        fixed = f"{self.verification_uri}/{new.fixed}" if new.fixed else ""
        return Begun(
            status.login_id,
            device_code=self._codes.spell_device_code(device),
            scan_code=new.fixed or status.scan_code,
            verification_uri=self.verification_uri,
            verification_uri_complete=fixed or status.verification_uri_complete,
            version=status.version,
            expires_in=status.expires_in,
            code_expires_in=status.code_expires_in,
            rotates_in=status.rotates_in,
            state=status.state,
            user_code=new.user_code,
        )

    def status(self, device: DeviceCode) -> Operation[Status]:
        """Read the status of a login."""
        return Operation(
            self._browser_command("status", device),
            lambda reply: self._status_for_browser(reply, device),
        )

    def _status_for_browser(self, reply: Reply, device: DeviceCode) -> Status:
        """What `status` returns. Raises `NotYours` for the device_code of another browser."""
        require_record(reply, device.ends_at)
        if not reply.record:
            return Status(device.login_id, State.EXPIRED, version=0, expires_in=0)
        require_readable(reply)
        check_begin_seal(reply, device.key)
        if reply.verdict not in SUCCEEDED:
            raise NotYours("another browser began this login")
        check_begun_at(reply, device)
        return self._full_status(reply, device)

    def cancel(self, device: DeviceCode) -> Operation[Status]:
        """Cancel a login, from its browser."""

        def interpret(reply: Reply) -> Status:
            if reply.verdict not in SUCCEEDED:
                raise_browser_refusal(reply, device)
            return bare_status(reply)

        return Operation(
            self._browser_command("cancel", device),
            interpret,
            partial(event_of, "cancelled", key=device.key),
        )

    def redeem(
        self,
        device: DeviceCode,
        *,
        acknowledged: str | None = None,
        op: str | None = None,
        replay_window: int | None = None,
    ) -> Operation[Redeemed]:
        """Return the subject of a confirmed login.

        :param device: the browser's device_code, read.
        :param acknowledged: `scanned_by.tag` of the confirmed status that the browser's user
            accepted. None only for a login that was begun with `ask_browser=False`.
        :param op: repeats the same redeem after a lost answer; None: it cannot be repeated.
        :param replay_window: for how many seconds it can be repeated; None: the policy's.
        """
        tag = "" if acknowledged is None else acknowledged
        check_redeem(tag, op)
        if acknowledged is None and UNASKED not in device.flags:
            raise BadArgument(
                "redeem needs acknowledged: the scanned_by.tag of the status that was shown when "
                "the browser's user said yes"
            )
        op = codes.new_secret() if op is None else op
        return self._redeem(device, codes.new_mark(), op, tag, replay_window)

    def _redeem(
        self,
        device: DeviceCode,
        mark: str,
        op: str,
        acknowledged: str = "",
        replay_window: int | None = None,
    ) -> Operation[Redeemed]:
        """`redeem` with arguments that were checked, and with the mark of its command."""
        key = device.key
        window = self.policy.replay_window if replay_window is None else replay_window
        command = self._redeem_command(device, mark, op, acknowledged, window)

        def interpret(reply: Reply) -> Redeemed:
            if reply.verdict not in SUCCEEDED:
                raise_browser_refusal(reply, device)
            require_readable(reply)
            check_replay_window(reply, device, window)
            return redeemed_from(reply, device)

        def to_event(reply: Reply) -> Event:
            subject = reply.record["subject"]
            # `interpret` has checked both seals.
            return event_of(
                "redeemed", reply, key, subject=subject, begin_holds=True, scanner_holds=True
            )

        return Operation(command, interpret, to_event)

    def _redeem_command(
        self, device: DeviceCode, mark: str, op: str, acknowledged: str, window: int
    ) -> Command:
        """The command of a redeem. A browser that is asked proves which approval it acknowledged
        (row "redeem"). One that is not asked proves none, and is paced (row "collect").
        """
        values = {"redeem_mark": seals.redeem_mark(device.key, device.login_id, op)}
        seconds = {"replay_by": window}
        if UNASKED in device.flags:
            row = "collect"
            seconds["pace"] = self.policy.interval
            seconds["pace_step"] = _PACE_STEP
            seconds["pace_slack"] = _PACE_SLACK
        else:
            row = "redeem"
            values["approval"] = acknowledged
        return login_command(
            row,
            device.login_id,
            mark,
            values={"device_digest": device.digest, **values},
            seconds=seconds,
            deadline_ms=device.ends_at,
        )

    def known_after(self, redeemed: Redeemed, known: str) -> str:
        """What the browser of a redeem keeps from now on, for its next `begin`; "" if the policy's
        `known_browser` is off.

        :param redeemed: the login.
        :param known: what the browser has kept so far; "" for nothing.
        """
        if not self.policy.known_browser:
            return ""
        keys, login_id = self._codes.keys, redeemed.login_id
        return known_after_redeem(keys, login_id, known, redeemed.subject)

    def redeem_in_session(
        self, device: DeviceCode, subject: str | None, *, acknowledged: str, op: str
    ) -> Operation[Redeemed]:
        """`redeem` in a request whose session names an account. A login that was begun for one
        account is redeemed only in a session of that account, and no login in a session of an
        account that did not approve it: raises `NotYours`, and the login stays as it is.

        It takes two commands: it reads for whom the login was begun before it redeems.

        :param device: the browser's device_code, read.
        :param subject: the account that the session names; None: no account.
        :param acknowledged: as in `redeem`.
        :param op: as in `redeem`.
        """
        redeeming = self.redeem(device, acknowledged=acknowledged, op=op)
        key, login_id = device.key, device.login_id

        def interpret(reply: Reply) -> Operation[Redeemed]:
            status = self._status_for_browser(reply, device)  # this checks the seals
            only_for = reply.record.get("only_for", "")
            named = "" if subject is None else seals.account_digest(key, login_id, subject)
            if only_for and not equal_in_constant_time(only_for, named):
                raise NotYours("this login was begun for another account than the session's")
            # An approval that comes after this read has a tag that `acknowledged` cannot be.
            approved = status.state in (State.CONFIRMED, State.REDEEMED)
            if named and approved and reply.record["subject"] != subject:
                raise NotYours("another account approved this login than the session's")
            return redeeming

        return Operation(self._browser_command("status", device), interpret)

    def redeem_by_ticket(self, device: DeviceCode, ticket: str) -> Operation[Redeemed]:
        """`redeem` for the page that a redirect leads to, of a login that was begun with
        `ask_browser=False`. Raises `BadArgument` for any other login. A wrong ticket changes
        nothing.

        It takes two commands: it compares the ticket before it redeems, because a login that is
        redeemed by mistake would be lost.

        :param device: the browser's device_code, read.
        :param ticket: `Status.ticket`, from the redirect's address.
        """
        _require_unasked(device)
        mark = codes.new_mark()  # drawn once: an operation that is run again resends its redeem

        def interpret(reply: Reply) -> Operation[Redeemed]:
            if _is_its_ticket(ticket, reply, device):
                # Nothing else of this reply is believed, so it needs no checks: the redeem proves
                # the device_code, and its own reply is checked. The ticket serves as the `op`: the
                # same page, loaded again, repeats the same redeem.
                return self._redeem(device, mark, op=ticket)
            if self._status_for_browser(reply, device).state is State.EXPIRED:
                raise Expired
            raise NotYours("this ticket does not belong to this login's approval")

        return Operation(self._browser_command("status", device), interpret)

    def status_or_redeem(self, device: DeviceCode) -> Operation[Status | Redeemed]:
        """`status`, and as soon as the login is confirmed, `redeem` in its place, of a login that
        was begun with `ask_browser=False`. Called again within the replay window, it returns the
        same `Redeemed` again. Raises `BadArgument` for any other login.
        """
        _require_unasked(device)
        mark = codes.new_mark()  # as in `redeem_by_ticket`

        def interpret(reply: Reply) -> Status | Operation[Status | Redeemed]:
            status = self._status_for_browser(reply, device)
            if status.scanned_by and status.state in (State.CONFIRMED, State.REDEEMED):
                ticket = seals.ticket(device.key, device.login_id, status.scanned_by.tag)
                return self._redeem(device, mark, op=ticket)
            return status

        return Operation(self._browser_command("status", device), interpret)

    def _browser_command(self, row: str, device: DeviceCode) -> Command:
        """Apply a row that the browser's device_digest proves."""
        return login_command(
            row, device.login_id, codes.new_mark(), values={"device_digest": device.digest}
        )

    # What a browser may know

    def _full_status(self, reply: Reply, device: DeviceCode) -> Status:
        """All that the login's own browser may know."""
        # `reply.login_id` is the same text, once more in memory while a browser waits.
        key, login_id, now = device.key, device.login_id, reply.now
        state, dies_at = state_and_end(reply, device)
        version, expires_in = version_of(reply), seconds_until(reply, dies_at)
        left = instant(reply.record, "shown_until") - now
        if state is State.PENDING and left > 0:
            shown_for = ceil_seconds(left)
            if FIXED in device.flags:
                return Status(login_id, state, version, expires_in, code_expires_in=shown_for)
            rotates_at = self._rotates_at(device, now)
            # No code outlives the time to scan: the record may be gone by then.
            until = min(rotates_at + self.policy.rotation_grace * 1000, dies_at or 0)
            code = self._codes.rotating_code(key, login_id, until)
            return Status(
                login_id,
                state,
                version,
                expires_in,
                code_expires_in=shown_for,
                scan_code=code,
                verification_uri_complete=f"{self.verification_uri}/{code}",
                rotates_in=min(ceil_seconds(rotates_at - now), shown_for),
            )
        if state is State.SCANNED:
            digits = match_digits_of(reply.record)
            claim = reply.record.get("claim", "")
            return Status(
                login_id,
                state,
                version,
                expires_in,
                scanned_by=checked_scanner(reply, key),
                match_code=seals.match_code(key, login_id, claim, digits) if digits else "",
            )
        if state in HAS_SCANNER:
            approver = checked_approver(reply, key)
            has_ticket = state is State.CONFIRMED and UNASKED in device.flags
            return Status(
                login_id,
                state,
                version,
                expires_in,
                scanned_by=approver,
                ticket=seals.ticket(key, login_id, approver.tag) if has_ticket else "",
            )
        return Status(login_id, state, version, expires_in)

    def _rotates_at(self, device: DeviceCode, now: int) -> int:
        """When the code of this moment is followed by another one. It counts from the signed begin,
        so the same code is spelled alike every time.
        """
        rotation = self.policy.rotation * 1000
        # Signed, as the record's is not. A code says its deadline in whole seconds.
        begun_at = device.begun_at // 1000 * 1000
        return begun_at + ((now - begun_at) // rotation + 1) * rotation


def _require_unasked(device: DeviceCode) -> None:
    if UNASKED not in device.flags:
        raise BadArgument(
            "this login was begun with ask_browser=True: redeem it with the tag of the user whom "
            "the browser acknowledged"
        )


def _is_its_ticket(ticket: str, reply: Reply, device: DeviceCode) -> bool:
    """Whether this is the ticket of the record's approval."""
    approval = reply.record.get("approval", "")
    if not approval or not ticket.isascii():
        return False
    expected = seals.ticket(device.key, device.login_id, approval)
    return equal_in_constant_time(ticket, expected)
