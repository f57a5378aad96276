"""Random sequences of calls, drawn by Hypothesis and checked twice.

The model below knows what is promised, and not the table: every answer must be the promised one.
`qrlogin.step.step` gets the same commands: every reply of the store must equal its reply.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from qrlogin.allowances import take
from qrlogin.answers import Redeemed, Status
from qrlogin.codes import new_login_id, new_mark
from qrlogin.errors import (
    AlreadyRedeemed,
    AlreadyScanned,
    Cancelled,
    Denied,
    Expired,
    NotYours,
    QRLoginError,
    ScannerChanged,
    WrongState,
)
from qrlogin.operation import Operation
from qrlogin.step import Command, Record, Verdict, step
from qrlogin.stores.suite.stories import (
    CODE_MS,
    DECIDE_MS,
    END_MS,
    NOBODY,
    REDEEM_MS,
    REPLAY_MS,
    SCAN_MS,
)
from qrlogin.stores.suite.world import Login, World, answer_of, new_op

ACCOUNTS: Final = ("alice", "bob")
ACKNOWLEDGED: Final = (*ACCOUNTS, "early alice", "early bob")
STEPS: Final = 30
KEPT_MS: Final = END_MS + REPLAY_MS + 60_000
_ENDED: Final = {"redeemed": AlreadyRedeemed, "denied": Denied, "cancelled": Cancelled}

Promised = type[QRLoginError] | None  # None: the call succeeds


@dataclass
class Model:
    """One login, and what it promises. A method returns what the call of its name must answer."""

    begun: int
    since: int = 0
    """When the state was reached, if it is not pending."""
    state: str = "pending"
    account: str = ""
    """The account that scanned last. It may have released the login since."""
    op: str = ""
    """The op of the redeem that won."""
    replay_by: int = 0
    redeems: int = 0

    def current_state(self, now: int) -> str:
        dies = {
            "pending": self.begun + SCAN_MS,
            "scanned": self.since + DECIDE_MS,
            "confirmed": self.since + REDEEM_MS,
        }
        return "expired" if self.state in dies and now >= dies[self.state] else self.state

    def scan(self, account: str, code_dies: int, now: int) -> Promised:
        if account == self.account and self.state in ("scanned", "confirmed", "redeemed"):
            return None
        current = self.current_state(now)
        if current in ("scanned", "confirmed", "redeemed"):
            return AlreadyScanned
        if current != "pending" or now >= code_dies:
            return _ENDED.get(current, Expired)
        self.state, self.account, self.since = "scanned", account, now
        return None

    def _by_scanner(
        self, account: str, now: int, starts: tuple[str, ...], to: str, done: tuple[str, ...]
    ) -> Promised:
        if account != self.account:
            return NotYours
        if self.state in done:
            return None
        return self._move(now, starts, to)

    def release(self, account: str, now: int) -> Promised:
        return self._by_scanner(account, now, ("scanned",), "pending", ("pending",))

    def confirm(self, account: str, now: int) -> Promised:
        return self._by_scanner(account, now, ("scanned",), "confirmed", ("confirmed", "redeemed"))

    def deny(self, account: str, now: int) -> Promised:
        return self._by_scanner(account, now, ("scanned", "confirmed"), "denied", ("denied",))

    def cancel(self, now: int) -> Promised:
        return (
            None
            if self.state == "cancelled"
            else self._move(now, ("pending", "scanned", "confirmed"), "cancelled")
        )

    def redeem(self, acknowledged: str, op: str, now: int) -> Promised:
        current = self.current_state(now)
        if acknowledged != self.account and current == "confirmed":
            return ScannerChanged
        if (
            acknowledged == self.account
            and self.state == "redeemed"
            and op == self.op
            and now < self.replay_by
        ):
            return None
        error = self._move(now, ("confirmed",), "redeemed")
        if error is None:
            self.op, self.replay_by, self.redeems = op, now + REPLAY_MS, self.redeems + 1
        return error

    def _move(self, now: int, starts: tuple[str, ...], to: str) -> Promised:
        current = self.current_state(now)
        if current in starts:
            self.state, self.since = to, now
            return None
        return Expired if current == "expired" else _ENDED.get(current, WrongState)


@dataclass
class Played:
    """One login of the machine: in the store, in the model and in the reference."""

    login: Login
    model: Model
    record: Record
    codes: list[tuple[str, int]] = field(default_factory=list)
    """Each scan code that was shown, and its deadline."""
    tags: dict[str, str] = field(default_factory=lambda: {"": NOBODY})
    """The acknowledgement of each account that the browser has seen."""
    calls: list[tuple[Operation[Any], str, tuple[Any, ...]]] = field(default_factory=list)
    """Each call so far, to be resent: the operation, its event and the model's arguments."""


@dataclass
class Bucket:
    """What an allowance promises: three at once, and one comes back every 25 seconds."""

    left: float = 3
    seen: int = 0
    """When it was last looked at."""

    def take(self, now: int) -> bool:
        self.left, self.seen = min(3, self.left + (now - self.seen) / 25_000), now
        granted = self.left >= 1 - 1e-9
        self.left -= granted
        return granted


class AnySequence(RuleBasedStateMachine):
    """At most three logins, two accounts, an allowance and a clock: every call, early, late and
    resent.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.played: list[Played] = []
        self.ops: list[str] = [new_op(), new_op()]
        self.allowance: str = new_login_id()
        self.bucket: Bucket = Bucket(seen=world.clock.ms)
        self.taken: Record = {}

    @precondition(lambda self: len(self.played) < 3)
    @rule()
    def begin(self) -> None:
        operation, now = self.world.core.begin(), self.world.clock.ms
        expected = step({}, operation.command, now).reply
        reply = self.world.apply(operation.command)
        assert reply == expected
        login = Login(self.world, answer_of(operation, reply))
        self.played.append(
            Played(
                login,
                Model(begun=now),
                reply.record,
                codes=[(login.scan_code, (now + CODE_MS) // 1000 * 1000)],
            )
        )

    @rule(which=st.integers(0, 2), account=st.sampled_from(ACCOUNTS), old=st.booleans())
    def scan(self, which: int, account: str, old: bool) -> None:
        if played := self._pick(which):
            played.login.scan_code, dies = played.codes[0 if old else -1]
            self._call(played, played.login.scan(account), "scan", account, dies)

    @rule(which=st.integers(0, 2), account=st.sampled_from(ACCOUNTS))
    def look(self, which: int, account: str) -> None:
        if played := self._pick(which):
            before = dict(played.record)
            self._apply(played, played.login.look(account))
            assert played.record == before, "a look changed the login"

    @rule(
        which=st.integers(0, 2),
        account=st.sampled_from(ACCOUNTS),
        what=st.sampled_from(["release", "confirm", "confirm", "deny"]),
    )
    def by_phone(self, which: int, account: str, what: str) -> None:
        if played := self._pick(which):
            self._call(played, getattr(played.login, what)(account), what, account)

    @rule(which=st.integers(0, 2))
    def cancel(self, which: int) -> None:
        if played := self._pick(which):
            self._call(played, played.login.cancel(), "cancel")

    @rule(
        which=st.integers(0, 2), account=st.sampled_from(["", *ACKNOWLEDGED]), op=st.integers(0, 1)
    )
    def redeem(self, which: int, account: str, op: int) -> None:
        if (played := self._pick(which)) and account in played.tags:
            answer = self._call(
                played,
                played.login.redeem(played.tags[account], self.ops[op]),
                "redeem",
                account,
                self.ops[op],
            )
            if isinstance(answer, Redeemed):
                assert answer.subject == played.model.account == account
            assert played.model.redeems <= 1, "a login was redeemed twice"

    @rule(which=st.integers(0, 2), call=st.integers(0, 9))
    def resend(self, which: int, call: int) -> None:
        """Resend an earlier call, however late: its code may have rotated, its account may have
        released.
        """
        if (played := self._pick(which)) and played.calls:
            operation, event, arguments = played.calls[-1 - call % len(played.calls)]
            self._call(played, operation, event, *arguments)

    @rule(which=st.integers(0, 2))
    def read_status(self, which: int) -> None:
        if played := self._pick(which):
            seen = self._apply(played, played.login.status())
            assert isinstance(seen, Status)
            now = self.world.clock.ms
            assert seen.state == played.model.current_state(now)
            if seen.scanned_by:
                # What the browser was shown before the approval redeems nothing after it.
                early = "early " if seen.state == "scanned" else ""
                played.tags[early + played.model.account] = seen.scanned_by.tag
            if seen.scan_code:
                first = played.model.begun // 1000 * 1000  # a code says whole seconds
                turns = (now - first) // 25_000 + 1
                dies = min(first + turns * 25_000 + 18_000, played.model.begun + SCAN_MS)
                played.codes.append((seen.scan_code, dies // 1000 * 1000))

    @rule(which=st.integers(0, 2))
    def read_status_from_another_browser(self, which: int) -> None:
        if played := self._pick(which):
            command = played.login.status().command
            command = replace(command, values={"device_digest": "another secret's"})
            assert (
                self.world.apply(command) == step(played.record, command, self.world.clock.ms).reply
            )

    @rule()
    def take_from_an_allowance(self) -> None:
        mark, now = new_mark(), self.world.clock.ms
        row, values = take(3, 25_000), {"mark": mark}
        command = Command(self.allowance, row, mark, values, ttl_ms=KEPT_MS * 1000)
        expected = step(self.taken, command, now).reply
        reply = self.world.apply(command)
        assert reply == expected
        assert (reply.verdict is Verdict.APPLIED) is self.bucket.take(now)
        self.taken = reply.record
        if reply.verdict is Verdict.APPLIED:
            assert self.world.apply(command).verdict is Verdict.REPEATED

    @rule(ms=st.sampled_from([1, 999, 24_999, 25_000, 29_000]))
    def let_time_pass(self, ms: int) -> None:
        self.world.pass_ms(ms)

    @rule(
        which=st.integers(0, 2),
        deadline=st.sampled_from([CODE_MS, SCAN_MS, END_MS, None]),
        early=st.integers(0, 1),
    )
    def let_time_pass_until_a_deadline(self, which: int, deadline: int | None, early: int) -> None:
        if played := self._pick(which):
            instant = (
                played.model.replay_by if deadline is None else played.model.begun + deadline
            ) - early
            self.world.clock.ms = max(self.world.clock.ms, instant)

    def _pick(self, which: int) -> Played | None:
        """One of the logins whose records must still be there. A store may keep them longer."""
        now = self.world.clock.ms
        self.played = [played for played in self.played if now < played.model.begun + KEPT_MS]
        return self.played[which % len(self.played)] if self.played else None

    def _call(self, played: Played, operation: Operation[Any], event: str, *arguments: Any) -> Any:
        played.calls.append((operation, event, arguments))
        promised = getattr(played.model, event)(*arguments, self.world.clock.ms)
        answer = self._apply(played, operation)
        error = type(answer) if isinstance(answer, QRLoginError) else None
        assert error is promised, (
            f"{event} {arguments}: expected {_name(promised)}, got {_name(error)}"
        )
        return answer

    def _apply(self, played: Played, operation: Operation[Any]) -> Any:
        expected = step(played.record, operation.command, self.world.clock.ms).reply
        reply = self.world.apply(operation.command)
        assert reply == expected, (
            f"the store did not reply as the reference does to {operation.command.row.name!r}"
        )
        played.record = reply.record
        try:
            return answer_of(operation, reply)
        except QRLoginError as error:
            return error


def _name(error: Promised) -> str:
    return error.__name__ if error else "success"


class Sequences:
    """Calls in any order."""

    def test_any_sequence_of_calls_gets_the_promised_answers(self, world: World) -> None:
        """Whatever the order. Hypothesis prints the shortest sequence that fails."""
        run_state_machine_as_test(
            partial(AnySequence, world),  # type: ignore[arg-type]  # a factory is allowed, as its documentation says
            settings=settings(deadline=None, stateful_step_count=STEPS),
        )
