"""What one login may do: its whole way, strangers, repeated calls, deadlines, and values.

Each test is one story of a browser and a phone. The test moves the store's clock.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from qrlogin.allowances import take
from qrlogin.clock import monotonic
from qrlogin.codes import new_login_id, new_mark
from qrlogin.errors import (
    AlreadyRedeemed,
    AlreadyScanned,
    Cancelled,
    Denied,
    Expired,
    LoginError,
    NotYours,
    ScannerChanged,
    UnknownLogin,
    WrongState,
)
from qrlogin.operation import Operation
from qrlogin.step import Command, Verdict, number
from qrlogin.stores.suite.colours import PATIENCE
from qrlogin.stores.suite.world import Login, World, answer_of, new_op
from qrlogin.table import State

SECOND: Final = 1000
#: Milliseconds in the standard policy. Since begin: the deadline of the first code, and the time to
#: scan. Since the scan, the confirm and the redeem: the time to decide, to redeem and to repeat it.
CODE_MS, SCAN_MS = 43 * SECOND, 220 * SECOND
DECIDE_MS, REDEEM_MS, REPLAY_MS = 90 * SECOND, 30 * SECOND, 30 * SECOND
#: Since begin: the signed end.
END_MS: Final = SCAN_MS + DECIDE_MS + REDEEM_MS
#: The life of a record that a test wants to be gone: short, but long enough to walk its login to
#: the end before.
BRIEF_MS: Final = 5 * SECOND
NOBODY: Final = "x" * 43  # a tag of no account

#: Every call that changes a login, as the last of the calls that lead to it.
WAYS: Final[Sequence[tuple[str, ...]]] = (
    ("scan",),
    ("scan", "release"),
    ("scan", "confirm"),
    ("scan", "deny"),
    ("scan", "confirm", "deny"),
    ("cancel",),
    ("scan", "cancel"),
    ("scan", "confirm", "cancel"),
    ("scan", "confirm", "redeem"),
)
every_way: Final = pytest.mark.parametrize("way", WAYS, ids=["-".join(way) for way in WAYS])

#: Texts that a store might change by mistake.
ODD_TEXTS: Final = (
    "0",
    "1e9",
    "null",
    "{}",
    "[]",
    '"',
    "'",
    "\\",
    "\\u0000",
    "\0",
    "\n\t",
    " ",
    "é",
    "M•••a",
    "😀",
    "%d ]]",
)


class Stories:
    """What a login may do, and what is refused."""

    # The whole way

    def test_scan_confirm_and_redeem_log_the_browser_in(self, world: World) -> None:
        """The browser that began the login receives the account that confirmed it."""
        login = world.begin()
        assert login.seen().state is State.PENDING
        assert world.run(login.scan("alice")).context == {"browser": "Firefox on Linux"}
        assert login.seen().state is State.SCANNED
        assert world.run(login.confirm("alice")).state is State.CONFIRMED
        seen = login.seen()
        assert seen.scanned_by is not None
        assert seen.scanned_by.shown_as == "alice"
        redeemed = world.run(login.redeem(seen.scanned_by.tag))
        assert (redeemed.subject, redeemed.replayed) == ("alice", False)
        assert login.seen().state is State.REDEEMED

    def test_two_logins_do_not_affect_each_other(self, world: World) -> None:
        denied, other = world.begin(), world.begin()
        world.play(denied.scan("alice"), other.scan("bob"))
        world.play(denied.deny("alice"), other.confirm("bob"))
        assert denied.seen().state is State.DENIED
        assert world.run(other.redeem(other.tag())).subject == "bob"

    def test_denied_is_final(self, world: World) -> None:
        """Also for the account that denied it."""
        login = world.begin()
        login.walk("scan", "deny")
        for call in (
            login.scan("alice"),
            login.scan("bob"),
            login.confirm("alice"),
            login.release("alice"),
            login.cancel(),
        ):
            with pytest.raises(Denied):
                world.run(call)
        assert login.seen().state is State.DENIED

    def test_a_denial_overrides_an_approval_that_was_not_redeemed_yet(self, world: World) -> None:
        login = world.begin()
        login.walk("scan", "confirm")
        redeem = login.call("redeem")
        login.walk("deny")
        with pytest.raises(Denied):
            world.run(redeem)

    @pytest.mark.parametrize("way", [("scan",), ("scan", "confirm")], ids=["scanned", "confirmed"])
    def test_cancelled_is_final(self, world: World, way: Sequence[str]) -> None:
        """No phone and no redeem gets past a browser's "that is not me"."""
        login = world.begin()
        login.walk(*way)
        redeem = login.call("redeem")
        login.walk("cancel")
        for call in (
            redeem,
            login.scan("alice"),
            login.scan("bob"),
            login.confirm("alice"),
            login.deny("alice"),
        ):
            with pytest.raises(Cancelled):
                world.run(call)

    def test_a_released_login_can_be_scanned_by_another_account(self, world: World) -> None:
        login = world.begin()
        login.walk("scan", "release")
        assert login.seen().state is State.PENDING
        with pytest.raises(WrongState):
            world.run(login.confirm("alice"))
        world.play(login.scan("bob"), login.confirm("bob"))
        with pytest.raises(NotYours):
            world.run(login.deny("alice"))
        assert world.run(login.redeem(login.tag())).subject == "bob"

    # Strangers

    def test_a_second_account_is_refused_and_changes_nothing(self, world: World) -> None:
        """A login has one account."""
        login = world.begin()
        login.walk("scan")
        before = login.seen()
        with pytest.raises(AlreadyScanned):
            world.run(login.scan("bob"))
        for call in (login.confirm("bob"), login.deny("bob"), login.release("bob")):
            with pytest.raises(NotYours):
                world.run(call)
        assert login.seen() == before

    def test_a_second_phone_of_the_account_is_refused_if_the_application_names_phones(
        self, world: World
    ) -> None:
        login = world.begin()
        world.play(login.scan("alice", phone="one"), login.scan("alice", phone="one"))
        with pytest.raises(AlreadyScanned):
            world.run(login.scan("alice", phone="two"))

    def test_another_browser_learns_and_changes_nothing(self, world: World) -> None:
        """The store compares the browser's secret. Another browser's login is answered like an
        unknown one.
        """
        login = world.begin()
        login.walk("scan", "confirm")
        before = login.seen()
        for operation in (login.status(), login.cancel(), login.call("redeem")):
            command = operation.command
            reply = world.apply(
                replace(command, values={**command.values, "device_digest": "another secret's"})
            )
            assert reply.verdict is Verdict.FORBIDDEN
            if operation.command.row.reads:
                with pytest.raises(UnknownLogin):
                    answer_of(operation, reply)
        assert login.seen() == before

    def test_an_unknown_login_is_refused(self, world: World) -> None:
        login = world.begin()
        for call in _every_call(login):
            reply = world.apply(replace(call.command, login_id=new_login_id()))
            assert reply.verdict in (Verdict.FORBIDDEN, Verdict.REFUSED)
            assert reply.record == {}

    def test_no_step_can_be_skipped(self, world: World) -> None:
        """Only the transitions of the table exist."""
        login = world.begin()
        for early in (login.confirm("alice"), login.deny("alice"), login.release("alice")):
            with pytest.raises(NotYours):
                world.run(early)
        with pytest.raises(WrongState):
            world.run(login.redeem(NOBODY))
        login.walk("scan")
        with pytest.raises(WrongState):
            world.run(login.call("redeem"))
        login.walk("confirm")
        with pytest.raises(WrongState):
            world.run(login.release("alice"))
        assert login.seen().state is State.CONFIRMED

    def test_an_acknowledgement_of_an_earlier_scanner_redeems_nothing(self, world: World) -> None:
        """A browser that acknowledged alice is not logged in as bob, until it acknowledges bob."""
        login = world.begin()
        login.walk("scan")
        old = login.tag()
        world.play(login.release("alice"), login.scan("bob"), login.confirm("bob"))
        for stale in (old, "", NOBODY):
            with pytest.raises(ScannerChanged):
                world.run(login.redeem(stale))
        assert world.run(login.redeem(login.tag())).subject == "bob"

    def test_a_login_for_one_account_is_unknown_to_every_other(self, world: World) -> None:
        """Also when that account has it, and to an account that would take it at the same time."""
        begun = world.qr.begin(subject="alice")
        for state in (State.PENDING, State.SCANNED, State.CONFIRMED):
            for other in ("bob", "Alice", "alice "):
                for refused in (
                    lambda who=other: world.qr.look(begun.scan_code, subject=who),
                    lambda who=other: world.qr.scan(begun.scan_code, subject=who, shown_as="B"),
                    lambda who=other: world.elsewhere.confirm(begun.scan_code, subject=who),
                ):
                    with pytest.raises(NotYours):
                        refused()
            assert world.qr.status(begun.device_code).state is state
            if state is State.PENDING:
                world.qr.look(begun.scan_code, subject="alice")
                world.elsewhere.scan(begun.scan_code, subject="alice", shown_as="A")
            elif state is State.SCANNED:
                world.qr.confirm(begun.scan_code, subject="alice")
        scanned_by = world.qr.status(begun.device_code).scanned_by
        assert scanned_by is not None
        assert world.qr.redeem(begun.device_code, acknowledged=scanned_by.tag).subject == "alice"

    # Repeated calls

    @every_way
    def test_a_repeat_gets_the_same_answer_and_changes_nothing(
        self, world: World, way: Sequence[str]
    ) -> None:
        """A call that is resent after a lost reply succeeds, also after every deadline, while the
        record is kept.
        """
        login = world.begin()
        login.walk(*way[:-1])
        operation = login.call(way[-1])
        first = world.apply(operation.command)
        assert first.verdict is Verdict.APPLIED
        for later in (
            0,
            1,
            REPLAY_MS - 1,
            *(() if way[-1] == "redeem" else (CODE_MS, SCAN_MS, END_MS)),
        ):
            world.clock.ms = first.now + later
            again = world.apply(operation.command)
            assert (again.verdict, again.record) == (Verdict.REPEATED, first.record), (
                f"{way[-1]} was resent after {later} ms"
            )
            answer_of(operation, again)

    def test_a_repeated_begin_returns_the_same_login(self, world: World) -> None:
        operation = world.core.begin()
        first = world.apply(operation.command)
        world.pass_ms(SECOND)
        again = world.apply(operation.command)
        assert (again.verdict, again.record) == (Verdict.REPEATED, first.record)
        assert answer_of(operation, again).device_code == answer_of(operation, first).device_code

    def test_a_begin_never_overwrites_another_login(self, world: World) -> None:
        login = world.begin()
        before = login.seen()
        reply = world.apply(replace(world.core.begin().command, login_id=login.begun.login_id))
        assert reply.verdict is Verdict.REFUSED
        assert login.seen() == before

    def test_an_allowance_refills_and_a_refusal_takes_nothing(self, world: World) -> None:
        """The limits of addresses and accounts rest on it."""
        record_id, row = new_login_id(), take(3, SECOND)

        def takes() -> int:
            """How many are granted now."""
            for granted in range(10):
                mark = new_mark()
                command = Command(record_id, row, mark, {"mark": mark}, ttl_ms=CODE_MS)
                first, again = world.apply(command), world.apply(command)
                if first.verdict is Verdict.SLOW:
                    assert again.verdict is Verdict.SLOW
                    return granted
                assert (first.verdict, again.verdict) == (Verdict.APPLIED, Verdict.REPEATED)
            return 10

        assert takes() == 3
        for milliseconds, more in ((SECOND - 1, 0), (1, 1), (2 * SECOND, 2), (10 * SECOND, 3)):
            world.pass_ms(milliseconds)
            assert takes() == more

    def test_a_redeem_is_replayed_for_the_same_op_until_its_window_closes(
        self, world: World
    ) -> None:
        """A login makes one session. Its answer can be fetched again, with the same op, until
        `replay_by`.
        """
        login = world.begin()
        login.walk("scan", "confirm")
        tag, op = login.tag(), new_op()
        first = world.run(login.redeem(tag, op=op))
        world.pass_ms(REPLAY_MS - 1)
        assert world.run(login.redeem(tag, op=op)) == replace(first, replayed=True)
        with pytest.raises(AlreadyRedeemed):
            world.run(login.redeem(tag, op=new_op()))
        world.pass_ms(1)
        with pytest.raises(AlreadyRedeemed):
            world.run(login.redeem(tag, op=op))

    def test_a_second_redeem_without_an_op_is_refused(self, world: World) -> None:
        login = world.begin()
        login.walk("scan", "confirm")
        tag = login.tag()
        world.run(login.redeem(tag))
        with pytest.raises(AlreadyRedeemed):
            world.run(login.redeem(tag))

    def test_every_reply_echoes_the_login_id_and_mark_of_its_command(self, world: World) -> None:
        """With every verdict, so that the reply to another command is never believed."""
        login = world.begin()
        verdicts = set()
        for call in (
            login.status(),
            login.confirm("bob"),
            login.scan("alice"),
            login.scan("alice"),
            login.scan("bob"),
        ):
            reply = world.apply(call.command)
            echo = (reply.login_id, reply.mark)
            assert echo == (call.command.login_id, call.command.mark), (
                "the reply does not echo its command"
            )
            verdicts.add(reply.verdict)
        assert verdicts == {Verdict.APPLIED, Verdict.REPEATED, Verdict.REFUSED, Verdict.FORBIDDEN}

    # Time

    @every_way
    def test_each_deadline_is_exact_to_the_millisecond(
        self, world: World, way: Sequence[str]
    ) -> None:
        """A call works one millisecond before the deadline and not at the deadline, also at the
        code's own, which is a whole second.
        """
        until = {(): SCAN_MS, ("scan",): DECIDE_MS, ("scan", "confirm"): REDEEM_MS}
        of_code = CODE_MS - world.clock.ms % 1000
        dies_ms = of_code if way == ("scan",) else until[tuple(way[:-1])]
        in_time, too_late = world.begin(), world.begin()
        calls = []
        for login in (in_time, too_late):
            login.walk(*way[:-1])
            calls.append(login.call(way[-1]))
        world.pass_ms(dies_ms - 1)
        world.run(calls[0])
        world.pass_ms(1)
        with pytest.raises(Expired):
            world.run(calls[1])

    def test_a_browser_that_landed_can_scan_until_the_login_expires(self, world: World) -> None:
        in_time, too_late = world.begin(), world.begin()
        for login in (in_time, too_late):
            login.land()
        world.pass_ms(SCAN_MS - 1)
        world.run(in_time.scan("alice"))
        world.pass_ms(1)
        assert too_late.seen().state is State.EXPIRED
        with pytest.raises(Expired):
            world.run(too_late.scan("alice"))

    def test_each_step_starts_a_window_of_its_own(self, world: World) -> None:
        """However late the step before it was."""
        login = world.begin()
        login.land()
        for event, window in (("scan", SCAN_MS), ("confirm", DECIDE_MS), ("redeem", REDEEM_MS)):
            world.pass_ms(window - 1)
            login.walk(event)
        assert login.seen().state is State.REDEEMED

    def test_a_late_status_is_expired_and_never_unknown(self, world: World) -> None:
        """Neither while the record is kept nor when it is gone."""
        login = world.begin()
        for ms in (SCAN_MS, END_MS, 24 * 3600 * SECOND):
            world.pass_ms(ms)
            assert login.seen().state is State.EXPIRED

    def test_times_come_from_the_store_and_never_go_back_within_a_login(self, world: World) -> None:
        """Also when the store's clock is set back."""
        operation = world.core.begin()
        begun = world.apply(operation.command)
        assert begun.now == number(begun.record["begun_at"]) == world.clock.ms
        login = Login(world, answer_of(operation, begun))
        world.pass_ms(-10 * SECOND)
        assert world.apply(login.scan("alice").command).now == begun.now
        world.pass_ms(-10 * SECOND)
        login.walk("confirm")
        world.pass_ms(21 * SECOND)
        record = world.apply(login.call("redeem").command).record
        times = [
            number(record[name])
            for name in ("begun_at", "scanned_at", "confirmed_at", "redeemed_at", "changed_at")
        ]
        assert times == [begun.now, begun.now, begun.now, begun.now + SECOND, begun.now + SECOND]

    def test_a_login_whose_record_is_gone_is_refused(self, world: World) -> None:
        """A record is deleted after its `ttl_ms`. Then no call succeeds, whatever state the login
        had.
        """
        logins = []
        for way in WAYS:
            begin = world.core.begin()
            reply = world.apply(replace(begin.command, ttl_ms=BRIEF_MS))
            logins.append(Login(world, answer_of(begin, reply)))
            logins[-1].walk(*way)
        world.pass_ms(BRIEF_MS)
        for login in logins:
            wait_until_gone(world, login.status().command)
            for call in _every_call(login):
                assert world.apply(call.command).record == {}
                with pytest.raises(LoginError):
                    world.run(call)

    # Values

    def test_any_text_comes_back_unchanged(self, world: World) -> None:
        for text in ODD_TEXTS:
            # The core cleans names before a store gets them, so a name must be clean here.
            shown = text if text.strip() and text.isprintable() else "?"
            login = Login(world, world.qr.begin(context={"browser": shown}))
            assert world.run(
                world.core.scan(login.scan_code, subject=text, shown_as=shown)
            ).context == {"browser": shown}
            world.run(login.confirm(text))
            redeemed = world.run(login.redeem(login.tag()))
            assert (redeemed.subject, redeemed.shown_as) == (text, shown)

    def test_a_status_changes_no_record(self, world: World) -> None:
        login = world.begin()
        records = []
        for _ in range(3):
            records.append(world.apply(login.status().command).record)
            world.pass_ms(1)
        assert records == [records[0]] * 3


def _every_call(login: Login) -> Sequence[Operation[Any]]:
    phone = [
        call("alice")
        for call in (*(login.look, login.scan, login.release), *(login.confirm, login.deny))
    ]
    return [login.status(), login.cancel(), login.redeem(NOBODY), *phone]


def wait_until_gone(world: World, status: Command) -> None:
    """Wait until a record is deleted. A store may delete by `now` or by its server's clock, so both
    advance.
    """
    ends, pause = monotonic() + PATIENCE, threading.Event()
    while world.apply(status).record:
        assert monotonic() < ends, "the record was not deleted after its ttl_ms"
        pause.wait(0.02)
        world.pass_ms(20)
