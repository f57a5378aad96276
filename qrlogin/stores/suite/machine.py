"""Sequences that nobody thought of: Hypothesis draws them, and two judges watch.

One is a model that knows what people were promised and no table. The other is `qrlogin.step.step`, fed the same commands:
the store's every reply must equal its reply (I21).
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from qrlogin.answers import Redeemed, Status
from qrlogin.core import Operation
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
from qrlogin.step import Record, step
from qrlogin.stores.suite.stories import CODE_MS, LIFE_MS, NOBODY, REDEEM_MS, REPLAY_MS
from qrlogin.stores.suite.world import Login, World, answer_of, new_op

PEOPLE: Final = ("alice", "bob")
STEPS: Final = 30
KEPT_MS: Final = REDEEM_MS + REPLAY_MS + 60_000
_ENDED: Final = {"redeemed": AlreadyRedeemed, "denied": Denied, "cancelled": Cancelled}

Told = type[QRLoginError] | None  # None: it worked


@dataclass
class Model:
    """One login as its two people understand it."""

    begun: int
    state: str = "pending"
    who: str = ""  # scanned last; may have released it since
    op: str = ""
    replay_by: int = 0
    collected: int = 0

    def standing(self, now: int) -> str:
        dies = self.begun + (REDEEM_MS if self.state == "confirmed" else LIFE_MS)
        return (
            "expired"
            if self.state in ("pending", "scanned", "confirmed") and now >= dies
            else self.state
        )

    def scan(self, who: str, code_dies: int, now: int) -> Told:
        if who == self.who and self.state in ("scanned", "confirmed", "redeemed"):
            return None
        standing = self.standing(now)
        if standing in ("scanned", "confirmed", "redeemed"):
            return AlreadyScanned
        if standing != "pending" or now >= code_dies:
            return _ENDED.get(standing, Expired)
        self.state, self.who = "scanned", who
        return None

    def _by_scanner(
        self, who: str, now: int, starts: tuple[str, ...], to: str, done: tuple[str, ...]
    ) -> Told:
        if who != self.who:
            return NotYours
        if self.state in done:
            return None
        return self._move(now, starts, to)

    def release(self, who: str, now: int) -> Told:
        return self._by_scanner(who, now, ("scanned",), "pending", ("pending",))

    def confirm(self, who: str, now: int) -> Told:
        return self._by_scanner(who, now, ("scanned",), "confirmed", ("confirmed", "redeemed"))

    def deny(self, who: str, now: int) -> Told:
        return self._by_scanner(who, now, ("scanned", "confirmed"), "denied", ("denied",))

    def cancel(self, now: int) -> Told:
        return (
            None
            if self.state == "cancelled"
            else self._move(now, ("pending", "scanned", "confirmed"), "cancelled")
        )

    def redeem(self, acknowledged: str, op: str, now: int) -> Told:
        standing = self.standing(now)
        if acknowledged != self.who and standing in ("scanned", "confirmed"):
            return ScannerChanged
        if (
            acknowledged == self.who
            and self.state == "redeemed"
            and op == self.op
            and now < self.replay_by
        ):
            return None
        told = self._move(now, ("confirmed",), "redeemed")
        if told is None:
            self.op, self.replay_by, self.collected = op, now + REPLAY_MS, self.collected + 1
        return told

    def _move(self, now: int, starts: tuple[str, ...], to: str) -> Told:
        standing = self.standing(now)
        if standing in starts:
            self.state = to
            return None
        return Expired if standing == "expired" else _ENDED.get(standing, WrongState)


@dataclass
class Played:
    """One login of the machine: in the store, in the model, in the reference; and what was called, to be called again."""

    login: Login
    model: Model
    record: Record
    codes: list[tuple[str, int]] = field(
        default_factory=list
    )  # each scan code that was shown, and when it dies
    tags: dict[str, str] = field(default_factory=lambda: {"": NOBODY})
    calls: list[tuple[Operation[Any], str, tuple[Any, ...]]] = field(default_factory=list)


class AnySequence(RuleBasedStateMachine):
    """Three logins at most, two people with phones, their browsers, a clock; every call, early, late, and again."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.played: list[Played] = []
        self.ops = [new_op(), new_op()]

    @precondition(lambda self: len(self.played) < 3)
    @rule()
    def begin(self) -> None:
        operation, now = self.world.core.begin(), self.world.clock.ms
        expected = step({}, operation.command, now).reply
        reply = self.world.apply(operation.command)
        assert reply == expected
        login = Login(self.world, answer_of(operation, reply))
        self.played.append(
            Played(login, Model(begun=now), reply.record, codes=[(login.scan_code, now + CODE_MS)])
        )

    @rule(which=st.integers(0, 2), who=st.sampled_from(PEOPLE), old=st.booleans())
    def scan(self, which: int, who: str, old: bool) -> None:
        if one := self._pick(which):
            one.login.scan_code, dies = one.codes[0 if old else -1]
            self._call(one, one.login.scan(who), "scan", who, dies)

    @rule(
        which=st.integers(0, 2),
        who=st.sampled_from(PEOPLE),
        what=st.sampled_from(["release", "confirm", "confirm", "deny"]),
    )
    def by_phone(self, which: int, who: str, what: str) -> None:
        if one := self._pick(which):
            self._call(one, getattr(one.login, what)(who), what, who)

    @rule(which=st.integers(0, 2))
    def cancel(self, which: int) -> None:
        if one := self._pick(which):
            self._call(one, one.login.cancel(), "cancel")

    @rule(which=st.integers(0, 2), who=st.sampled_from(["", *PEOPLE]), op=st.integers(0, 1))
    def redeem(self, which: int, who: str, op: int) -> None:
        if (one := self._pick(which)) and who in one.tags:
            answer = self._call(
                one, one.login.redeem(one.tags[who], self.ops[op]), "redeem", who, self.ops[op]
            )
            if isinstance(answer, Redeemed):
                assert answer.subject == one.model.who == who
            assert one.model.collected <= 1

    @rule(which=st.integers(0, 2), call=st.integers(0, 9))
    def again(self, which: int, call: int) -> None:
        """A resend, however late: its code may have rotated, its person may not be the scanner any more."""
        if (one := self._pick(which)) and one.calls:
            operation, event, told = one.calls[-1 - call % len(one.calls)]
            self._call(one, operation, event, *told)

    @rule(which=st.integers(0, 2))
    def look(self, which: int) -> None:
        if one := self._pick(which):
            seen = self._apply(one, one.login.status())
            assert isinstance(seen, Status)
            now = self.world.clock.ms
            assert seen.state == one.model.standing(now)
            if seen.scanned_by:
                one.tags[one.model.who] = seen.scanned_by.tag
            if seen.scan_code:
                age = now - one.model.begun
                one.codes.append(
                    (seen.scan_code, one.model.begun + (age // 25_000 + 1) * 25_000 + 3000)
                )

    @rule(which=st.integers(0, 2))
    def a_stranger_looks(self, which: int) -> None:
        if one := self._pick(which):
            command = one.login.status().command
            command = replace(command, values={"device_digest": "another secret's"})
            assert self.world.apply(command) == step(one.record, command, self.world.clock.ms).reply

    @rule(ms=st.sampled_from([1, 999, 24_999, 25_000, 29_000]))
    def time_passes(self, ms: int) -> None:
        self.world.pass_ms(ms)

    @rule(
        which=st.integers(0, 2),
        deadline=st.sampled_from([CODE_MS, LIFE_MS, REDEEM_MS, None]),
        early=st.integers(0, 1),
    )
    def time_passes_until_a_deadline(self, which: int, deadline: int | None, early: int) -> None:
        if one := self._pick(which):
            instant = (
                one.model.replay_by if deadline is None else one.model.begun + deadline
            ) - early
            self.world.clock.ms = max(self.world.clock.ms, instant)

    def _pick(self, which: int) -> Played | None:
        """One of the logins whose records must still be there; when exactly a record goes is the store's business."""
        self.played = [
            one for one in self.played if self.world.clock.ms < one.model.begun + KEPT_MS
        ]
        return self.played[which % len(self.played)] if self.played else None

    def _call(self, one: Played, operation: Operation[Any], event: str, *arguments: Any) -> Any:
        one.calls.append((operation, event, arguments))
        promised = getattr(one.model, event)(*arguments, self.world.clock.ms)
        answer = self._apply(one, operation)
        told = type(answer) if isinstance(answer, QRLoginError) else None
        assert told is promised, f"{event} {arguments}: told {told}, promised {promised}"
        return answer

    def _apply(self, one: Played, operation: Operation[Any]) -> Any:
        expected = step(one.record, operation.command, self.world.clock.ms).reply
        reply = self.world.apply(operation.command)
        assert reply == expected
        one.record = reply.record
        try:
            return answer_of(operation, reply)
        except QRLoginError as error:
            return error


class Sequences:
    """What nobody thought of."""

    def test_any_sequence_of_calls_keeps_what_was_promised(self, world: World) -> None:
        """I1 to I8, I13, I18, I21 and I31, wherever the dice lead."""
        run_state_machine_as_test(
            partial(AnySequence, world),  # type: ignore[arg-type]  # a factory will do, its documentation says
            settings=settings(deadline=None, stateful_step_count=STEPS),
        )
