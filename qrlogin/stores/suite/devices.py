"""Devices without a camera or a keyboard: typed codes, counted guesses, polls that come too early.

A store keeps the count of an account's guesses as it keeps a login: one record with a time to live.
It cannot distinguish them.
"""

import threading
from dataclasses import replace
from typing import Any, Final

import pytest

from qrlogin.answers import Begun
from qrlogin.codes import new_login_id, new_mark
from qrlogin.errors import (
    AlreadyRedeemed,
    Expired,
    TooFast,
    TooManyGuesses,
    UnknownLogin,
    WrongState,
)
from qrlogin.operation import Operation
from qrlogin.step import Command, Reply, Verdict
from qrlogin.stores.suite.stories import REPLAY_MS, SCAN_MS, SECOND, wait_until_gone
from qrlogin.stores.suite.world import World, new_op
from qrlogin.table import State
from qrlogin.typed_codes import GUESSED_RIGHT, guess

BUDGET: Final = 3
SHORT_MS, LONG_MS = 200, 3600 * SECOND
CALLERS, ROUNDS = 8, 20


class Devices:
    """What a store does for people who type a code, and for devices that poll."""

    # Counting

    def test_guesses_are_counted_given_back_and_refused_when_the_budget_is_spent(
        self, world: World
    ) -> None:
        account = new_login_id()
        counts = [_counted(world, _guess(account)) for _ in range(BUDGET)]
        assert counts == [
            ("applied", "1", "counting"),
            ("applied", "2", "counting"),
            ("applied", "3", "spent"),
        ]
        assert _counted(world, _guess(account)) == ("refused", "3", "spent")
        given_back = [_counted(world, _guessed_right(account)) for _ in range(BUDGET + 1)]
        assert given_back == [("applied", str(left), "counting") for left in (2, 1, 0, 0)], (
            "a count below 0 would be a larger budget"
        )
        assert _counted(world, _guess(account)) == ("applied", "1", "counting")

    def test_a_resent_guess_is_counted_once(self, world: World) -> None:
        """After a lost reply, the same command arrives again."""
        account = new_login_id()
        for row in (_guess, _guess, _guessed_right):
            command = row(account)
            first = world.apply(command)
            again = world.apply(command)
            assert (first.verdict, again.verdict) == (Verdict.APPLIED, Verdict.REPEATED)
            assert again.record == first.record, "a resent guess changed the record"

    def test_simultaneous_guesses_never_exceed_the_budget(self, world: World) -> None:
        for _ in range(ROUNDS):
            account = new_login_id()
            verdicts = world.at_once([Operation(_guess(account), _verdict) for _ in range(CALLERS)])
            expected = [Verdict.APPLIED] * BUDGET + [Verdict.REFUSED] * (CALLERS - BUDGET)
            assert sorted(verdicts) == expected, "apply is not atomic"

    def test_processes_share_the_count_of_guesses(self, world: World) -> None:
        account = new_login_id()
        shells = [world.qr, world.elsewhere] * BUDGET
        verdicts = [shell.run(Operation(_guess(account), _verdict)) for shell in shells]
        assert verdicts == [Verdict.APPLIED] * BUDGET + [Verdict.REFUSED] * BUDGET

    def test_a_later_command_does_not_extend_the_life_of_a_record(self, world: World) -> None:
        """`ttl_ms` counts when the record is born. Else a guesser would stay blocked for ever."""
        account = new_login_id()
        world.apply(replace(_guess(account), ttl_ms=SHORT_MS))
        for _ in range(BUDGET):
            world.apply(_guessed_right(account))  # its ttl_ms is long, and it makes no record
        wait_until_gone(world, _look(account))
        assert _counted(world, _guess(account)) == ("applied", "1", "counting"), (
            "a new record begins with a new count"
        )

    def test_a_later_command_does_not_shorten_the_life_of_a_record(self, world: World) -> None:
        account = new_login_id()
        world.apply(replace(_guess(account), ttl_ms=LONG_MS))
        world.apply(replace(_guess(account), ttl_ms=1))
        for _ in range(3):
            threading.Event().wait(0.01)  # a server may delete by a clock of its own
            world.pass_ms(10)
        assert _counted(world, _guess(account)) == ("applied", "3", "spent"), (
            "the record was deleted before its time"
        )

    # Typed codes

    def test_a_typed_code_leads_to_its_login(self, world: World) -> None:
        begun = world.qr.begin(user_code=True)
        typed = begun.user_code.lower().replace("-", " ")
        assert world.qr.scan(typed, subject="alice", shown_as="alice").login_id == begun.login_id
        world.elsewhere.confirm(begun.user_code, subject="alice")
        scanned_by = world.qr.status(begun.device_code).scanned_by
        assert scanned_by is not None
        assert world.qr.redeem(begun.device_code, acknowledged=scanned_by.tag).subject == "alice"

    def test_an_account_that_guesses_is_stopped_and_other_accounts_are_not(
        self, world: World
    ) -> None:
        """RFC 8628 section 5.1. Wrong codes count, right ones do not, and scanning still works."""
        begun = world.qr.begin(user_code=True)
        for _ in range(2 * world.core.policy.guesses):
            world.qr.scan(begun.user_code, subject="alice", shown_as="alice")
        for shell in [world.qr, world.elsewhere] * world.core.policy.guesses:
            with pytest.raises((UnknownLogin, TooManyGuesses)) as refusal:
                shell.scan("BBBB-BBBB", subject="mallory", shown_as="mallory")
        assert refusal.type is TooManyGuesses
        with pytest.raises(TooManyGuesses):
            world.qr.deny(begun.user_code, subject="mallory")
        assert world.qr.confirm(begun.user_code, subject="alice").state is State.CONFIRMED
        other = world.begin()
        world.run(other.scan("mallory"))

    # Polls

    def test_an_early_poll_is_slowed_down_and_loses_nothing(self, world: World) -> None:
        """RFC 8628 section 3.5: the first poll is free, a faster one adds five seconds, an approval
        is never slowed down.
        """
        begun, core = self._begun(world), world.core
        version = world.qr.status(begun.device_code).version
        for ms, error, seconds in (
            (0, WrongState, None),
            (4_000, WrongState, None),
            (3_999, TooFast, 10),
            (0, TooFast, 15),
        ):
            world.pass_ms(ms)
            with pytest.raises(error) as refusal:
                world.qr.redeem(begun.device_code)
            assert refusal.value.retry_after == seconds
        world.pass_ms(11_000)
        with pytest.raises(WrongState):
            world.elsewhere.redeem(begun.device_code)
        assert world.qr.status(begun.device_code).version == version, "a poll changed the version"
        scan_code = world.qr.status(begun.device_code).scan_code
        world.run(core.scan(scan_code, subject="alice", shown_as="alice"))
        with pytest.raises(TooFast):
            world.qr.redeem(begun.device_code)
        world.run(core.confirm(scan_code, subject="alice"))
        assert world.qr.redeem(begun.device_code).subject == "alice"

    def test_exactly_one_of_simultaneous_polls_collects(self, world: World) -> None:
        for _ in range(ROUNDS):
            begun = self._confirmed(world)
            device = world.core.read_device_code(begun.device_code)
            answers = world.at_once([world.core.redeem(device) for _ in range(CALLERS)])
            refused = sum(isinstance(answer, AlreadyRedeemed) for answer in answers)
            assert refused == CALLERS - 1, "not exactly one poll collected: apply is not atomic"

    def test_a_collection_is_repeated_for_the_same_op_only(self, world: World) -> None:
        begun, op = self._confirmed(world), new_op()
        first = world.qr.redeem(begun.device_code, op=op)
        world.pass_ms(REPLAY_MS - 1)
        assert world.qr.redeem(begun.device_code, op=op) == replace(first, replayed=True)
        with pytest.raises(AlreadyRedeemed):
            world.qr.redeem(begun.device_code)

    def test_a_poll_after_the_deadline_raises_expired(self, world: World) -> None:
        begun = self._begun(world)
        world.pass_ms(SCAN_MS)
        for _ in range(2):  # the second poll comes too early, and is not slowed down
            with pytest.raises(Expired):
                world.qr.redeem(begun.device_code)

    def _begun(self, world: World) -> Begun:
        return world.qr.begin(ask_browser=False)

    def _confirmed(self, world: World) -> Begun:
        begun = self._begun(world)
        world.run(world.core.scan(begun.scan_code, subject="alice", shown_as="alice"))
        world.run(world.core.confirm(begun.scan_code, subject="alice"))
        return begun


def _guess(account: str) -> Command:
    mark = new_mark()
    return Command(account, guess(BUDGET), mark, {"mark": mark}, ttl_ms=LONG_MS)


def _guessed_right(account: str) -> Command:
    return replace(_guess(account), row=GUESSED_RIGHT)


def _look(account: str) -> Command:
    """A command that is always forbidden and changes nothing; its reply brings the record."""
    return Command(account, replace(GUESSED_RIGHT, name="look", proves=("nothing",)), new_mark())


def _verdict(reply: Reply) -> Any:
    return reply.verdict


def _counted(world: World, command: Command) -> tuple[str, str | None, str | None]:
    """Apply a guess: the verdict, the count and the state afterwards."""
    reply = world.apply(command)
    return str(reply.verdict), reply.record.get("guesses"), reply.record.get("state")
