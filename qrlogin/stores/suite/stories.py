"""What two people and their two devices live through: each test is one story, with the store's clock in hand.

The names in brackets (I1, I8 …) are the invariants of the project's security notes.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from qrlogin.clock import monotonic
from qrlogin.codes import new_login_id
from qrlogin.core import Operation
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
from qrlogin.step import Command, Verdict, number
from qrlogin.stores.suite.colours import PATIENCE
from qrlogin.stores.suite.world import Login, World, answer_of, new_op
from qrlogin.table import State

SECOND: Final = 1000
CODE_MS, LIFE_MS, REDEEM_MS = (
    28 * SECOND,
    120 * SECOND,
    150 * SECOND,
)  # since begin, as the standard policy has it
REPLAY_MS: Final = 30 * SECOND  # since redeem
BRIEF_MS: Final = (
    5 * SECOND
)  # the life of a record that is to go; a server's clock does not wait until its login has come far
NOBODY: Final = "x" * 43  # no tag of anybody

#: Every call that changes a login, at the end of a way to where it is due.
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
every_way = pytest.mark.parametrize("way", WAYS, ids=["-".join(way) for way in WAYS])

#: Text that a store might bend on its way; it must come back as it was.
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
    """What a store owes to people."""

    # The ways through

    def test_the_whole_path_logs_one_browser_in(self, world: World) -> None:
        """Only the browser that began receives only what the phone's owner confirmed (I2, I3)."""
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

    def test_two_logins_do_not_touch_each_other(self, world: World) -> None:
        one, other = world.begin(), world.begin()
        world.play(one.scan("alice"), other.scan("bob"), one.deny("alice"), other.confirm("bob"))
        assert one.seen().state is State.DENIED
        assert world.run(other.redeem(other.tag())).subject == "bob"

    def test_denied_is_final(self, world: World) -> None:
        """No means no (I4), also for the person's own second thoughts."""
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

    def test_a_denial_overtakes_an_approval_that_was_not_redeemed_yet(self, world: World) -> None:
        login = world.begin()
        login.walk("scan", "confirm")
        redeem = login.call("redeem")
        login.walk("deny")
        with pytest.raises(Denied):
            world.run(redeem)

    @pytest.mark.parametrize("way", [("scan",), ("scan", "confirm")], ids=["scanned", "confirmed"])
    def test_cancelled_is_final(self, world: World, way: Sequence[str]) -> None:
        """The browser's "that is not me" (I4)."""
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

    def test_a_released_login_may_be_scanned_by_somebody_else(self, world: World) -> None:
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
        """One account per login (I6)."""
        login = world.begin()
        login.walk("scan")
        before = login.seen()
        with pytest.raises(AlreadyScanned):
            world.run(login.scan("bob"))
        for call in (login.confirm("bob"), login.deny("bob"), login.release("bob")):
            with pytest.raises(NotYours):
                world.run(call)
        assert login.seen() == before

    def test_a_second_phone_is_told_apart_where_the_application_names_phones(
        self, world: World
    ) -> None:
        login = world.begin()
        world.play(login.scan("alice", phone="one"), login.scan("alice", phone="one"))
        with pytest.raises(AlreadyScanned):
            world.run(login.scan("alice", phone="two"))

    def test_another_browser_learns_and_changes_nothing(self, world: World) -> None:
        """The secret is compared in the store (I2), and a stranger cannot tell a foreign login from an unknown one (I14)."""
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

    def test_nobody_skips_a_step(self, world: World) -> None:
        """There are no ways but those of the table (I7)."""
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

    def test_an_old_acknowledgement_redeems_nothing(self, world: World) -> None:
        """Whoever said "continue as alice" is not logged in as bob (I31); who asks again is."""
        login = world.begin()
        login.walk("scan")
        old = login.tag()
        world.play(login.release("alice"), login.scan("bob"), login.confirm("bob"))
        for stale in (old, "", NOBODY):
            with pytest.raises(ScannerChanged):
                world.run(login.redeem(stale))
        assert world.run(login.redeem(login.tag())).subject == "bob"

    # The same call again

    @every_way
    def test_a_repeat_gets_the_same_answer_and_changes_nothing(
        self, world: World, way: Sequence[str]
    ) -> None:
        """A resend after a lost reply is success (I18), however late: across every deadline, until the record goes."""
        login = world.begin()
        login.walk(*way[:-1])
        operation = login.call(way[-1])
        first = world.apply(operation.command)
        assert first.verdict is Verdict.APPLIED
        for later in (
            0,
            1,
            CODE_MS,
            REPLAY_MS - 1,
            *(() if way[-1] == "redeem" else (LIFE_MS, REDEEM_MS)),
        ):
            world.clock.ms = first.now + later
            again = world.apply(operation.command)
            assert (again.verdict, again.record) == (Verdict.REPEATED, first.record), (
                f"{later} ms later"
            )
            answer_of(operation, again)

    def test_a_repeated_begin_is_the_same_login(self, world: World) -> None:
        operation = world.core.begin()
        first = world.apply(operation.command)
        world.pass_ms(SECOND)
        again = world.apply(operation.command)
        assert (again.verdict, again.record) == (Verdict.REPEATED, first.record)
        assert answer_of(operation, again).device_code == answer_of(operation, first).device_code

    def test_a_begin_never_takes_over_another_login(self, world: World) -> None:
        login = world.begin()
        before = login.seen()
        reply = world.apply(replace(world.core.begin().command, login_id=login.begun.login_id))
        assert reply.verdict is Verdict.REFUSED
        assert login.seen() == before

    def test_a_redeem_is_replayed_to_its_own_op_and_only_for_a_while(self, world: World) -> None:
        """One session per login (I1): a lost answer may be asked for again until its window closes, to the millisecond."""
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

    def test_without_an_op_the_second_redeem_is_refused(self, world: World) -> None:
        login = world.begin()
        login.walk("scan", "confirm")
        tag = login.tag()
        world.run(login.redeem(tag))
        with pytest.raises(AlreadyRedeemed):
            world.run(login.redeem(tag))

    def test_every_reply_names_its_question(self, world: World) -> None:
        """login_id and mark come back with every verdict (I17), so that a reply that went astray is never believed."""
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
            assert (reply.login_id, reply.mark) == (call.command.login_id, call.command.mark)
            verdicts.add(reply.verdict)
        assert verdicts == {Verdict.APPLIED, Verdict.REPEATED, Verdict.REFUSED, Verdict.FORBIDDEN}

    # Time

    @every_way
    def test_each_deadline_falls_exactly_on_its_millisecond(
        self, world: World, way: Sequence[str]
    ) -> None:
        """One millisecond earlier everything works, at the instant itself nothing (I8), also by the code's own deadline (I5)."""
        dies_ms = CODE_MS if way == ("scan",) else REDEEM_MS if "confirm" in way[:-1] else LIFE_MS
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

    def test_a_fresh_code_scans_until_the_login_expires(self, world: World) -> None:
        in_time, too_late = world.begin(), world.begin()
        world.pass_ms(LIFE_MS - 1)
        for login in (in_time, too_late):
            login.scan_code = login.seen().scan_code
        world.run(in_time.scan("alice"))
        world.pass_ms(1)
        assert too_late.seen().state is State.EXPIRED
        with pytest.raises(Expired):
            world.run(too_late.scan("alice"))

    def test_an_approval_in_time_is_collected_after_the_login_would_have_expired(
        self, world: World
    ) -> None:
        login = world.begin()
        login.walk("scan")
        world.pass_ms(LIFE_MS - 1)
        login.walk("confirm")
        world.pass_ms(REDEEM_MS - LIFE_MS)
        assert world.run(login.call("redeem")).subject == "alice"

    def test_a_late_poller_hears_expired(self, world: World) -> None:
        """Never "unknown": neither while the record is kept nor when it is gone."""
        login = world.begin()
        for ms in (LIFE_MS, REDEEM_MS, 24 * 3600 * SECOND):
            world.pass_ms(ms)
            assert login.seen().state is State.EXPIRED

    def test_times_are_the_stores_and_only_go_forward_inside_a_login(self, world: World) -> None:
        """Whatever its clock does (I26), and whatever anybody else's clock says (I27)."""
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

    def test_what_vanished_is_refused(self, world: World) -> None:
        """A record goes when its `keep` is over, and absence never lets anything succeed (I13), whatever it had come to."""
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

    def test_any_text_comes_back_as_it_was(self, world: World) -> None:
        for text in ODD_TEXTS:
            shown = (
                text if text.strip() and text.isprintable() else "?"
            )  # names are cleaned before a store sees them
            login = Login(world, world.qr.begin(context={"browser": shown}))
            assert world.run(
                world.core.scan(login.scan_code, subject=text, shown_as=shown)
            ).context == {"browser": shown}
            world.run(login.confirm(text))
            redeemed = world.run(login.redeem(login.tag()))
            assert (redeemed.subject, redeemed.shown_as) == (text, shown)

    def test_asking_leaves_no_trace(self, world: World) -> None:
        login = world.begin()
        records = []
        for _ in range(3):
            records.append(world.apply(login.status().command).record)
            world.pass_ms(1)
        assert records == [records[0]] * 3


def _every_call(login: Login) -> Sequence[Operation[Any]]:
    phone = [call("alice") for call in (login.scan, login.release, login.confirm, login.deny)]
    return [login.status(), login.cancel(), login.redeem(NOBODY), *phone]


def wait_until_gone(world: World, status: Command) -> None:
    """A store clears away by the clock it was given or by its server's, so both go on."""
    ends, pause = monotonic() + PATIENCE, threading.Event()
    while world.apply(status).record:
        assert monotonic() < ends, "the record outlives its `keep`"
        pause.wait(0.02)
        world.pass_ms(20)
