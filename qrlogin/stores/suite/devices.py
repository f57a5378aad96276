"""Devices without a camera or a keyboard: codes that people type, guesses that are counted, and polls that are paced.

A store keeps the count of an account's guesses like a login, as one record that is born with its time to live, and does not
know which is which.
"""

import threading
from dataclasses import replace
from typing import Any, Final

import pytest

from qrlogin.answers import Begun
from qrlogin.codes import new_login_id, new_mark
from qrlogin.core import Operation
from qrlogin.errors import (
    AlreadyRedeemed,
    Expired,
    TooFast,
    TooManyGuesses,
    UnknownLogin,
    WrongState,
)
from qrlogin.step import Command, Reply, Verdict
from qrlogin.stores.suite.stories import LIFE_MS, REPLAY_MS, SECOND, wait_until_gone
from qrlogin.stores.suite.world import World, new_op
from qrlogin.table import State
from qrlogin.typed_codes import GUESSED_RIGHT, guess

BUDGET: Final = 3
SHORT_MS, LONG_MS = 200, 3600 * SECOND
CALLERS, ROUNDS = 8, 20


class Devices:
    """What a store owes to people who type."""

    # Counting

    def test_what_is_counted_is_given_back_and_refused_when_it_is_spent(self, world: World) -> None:
        account = new_login_id()
        counts = [_said(world, _guess(account)) for _ in range(BUDGET)]
        assert counts == [
            ("applied", "1", "counting"),
            ("applied", "2", "counting"),
            ("applied", "3", "spent"),
        ]
        assert _said(world, _guess(account)) == ("refused", "3", "spent")
        back = [_said(world, _guessed_right(account)) for _ in range(BUDGET + 1)]
        assert back == [("applied", str(left), "counting") for left in (2, 1, 0, 0)], (
            "below 0 would be a larger budget"
        )
        assert _said(world, _guess(account)) == ("applied", "1", "counting")

    def test_a_guess_that_is_sent_again_is_counted_once(self, world: World) -> None:
        """A resend after a lost reply is the same guess (I18)."""
        account = new_login_id()
        for row in (_guess, _guess, _guessed_right):
            command = row(account)
            first = world.apply(command)
            again = world.apply(command)
            assert (first.verdict, again.verdict) == (Verdict.APPLIED, Verdict.REPEATED)
            assert again.record == first.record

    def test_of_simultaneous_guesses_no_more_are_taken_than_there_are(self, world: World) -> None:
        for _ in range(ROUNDS):
            account = new_login_id()
            told = world.at_once([Operation(_guess(account), _verdict) for _ in range(CALLERS)])
            assert sorted(told) == [Verdict.APPLIED] * BUDGET + [Verdict.REFUSED] * (
                CALLERS - BUDGET
            )

    def test_what_one_process_counts_another_one_knows(self, world: World) -> None:
        account = new_login_id()
        desks = [world.qr, world.elsewhere] * BUDGET
        told = [desk.run(Operation(_guess(account), _verdict)) for desk in desks]
        assert told == [Verdict.APPLIED] * BUDGET + [Verdict.REFUSED] * BUDGET

    def test_a_record_lives_as_long_as_it_was_born_to_and_not_longer(self, world: World) -> None:
        """`keep` counts once: else who never stops guessing is never forgiven, and no record would ever go."""
        account = new_login_id()
        world.apply(replace(_guess(account), ttl_ms=SHORT_MS))
        for _ in range(BUDGET):
            world.apply(_guessed_right(account))  # brings a long life, and could not begin one
        wait_until_gone(world, _look(account))
        assert _said(world, _guess(account)) == ("applied", "1", "counting"), (
            "a new record, and a new count"
        )

    def test_nor_is_its_life_cut_short(self, world: World) -> None:
        account = new_login_id()
        world.apply(replace(_guess(account), ttl_ms=LONG_MS))
        world.apply(replace(_guess(account), ttl_ms=1))
        for _ in range(3):
            threading.Event().wait(0.01)  # a server may clear away by a clock of its own
            world.pass_ms(10)
        assert _said(world, _guess(account)) == ("applied", "3", "spent")

    # Typed codes

    def test_a_typed_code_leads_to_its_login(self, world: World) -> None:
        begun = world.qr.begin(user_code=True)
        typed = begun.user_code.lower().replace("-", " ")
        assert world.qr.scan(typed, subject="alice", shown_as="alice").login_id == begun.login_id
        world.elsewhere.confirm(begun.user_code, subject="alice")
        scanned_by = world.qr.status(begun.device_code).scanned_by
        assert scanned_by is not None
        assert world.qr.redeem(begun.device_code, acknowledged=scanned_by.tag).subject == "alice"

    def test_who_guesses_is_stopped_and_nobody_else(self, world: World) -> None:
        """Wrong ones are paid for, right ones are free, and whoever scans does not notice (RFC 8628 section 5.1)."""
        begun = world.qr.begin(user_code=True)
        for _ in range(2 * world.core.policy.guesses):
            world.qr.scan(begun.user_code, subject="alice", shown_as="alice")
        for desk in [world.qr, world.elsewhere] * world.core.policy.guesses:
            with pytest.raises((UnknownLogin, TooManyGuesses)) as refusal:
                desk.scan("BBBB-BBBB", subject="mallory", shown_as="mallory")
        assert refusal.type is TooManyGuesses
        with pytest.raises(TooManyGuesses):
            world.qr.deny(begun.user_code, subject="mallory")
        assert world.qr.confirm(begun.user_code, subject="alice").state is State.CONFIRMED
        other = world.begin()
        world.run(other.scan("mallory"))

    # Polls

    def test_an_early_poll_slows_and_loses_nothing(self, world: World) -> None:
        """RFC 8628 section 3.5: the first is free, a faster one adds five seconds, and an approval is never slowed."""
        begun, core = self._begun(world), world.core
        version = world.qr.status(begun.device_code).version
        for ms, told, seconds in (
            (0, WrongState, None),
            (4_000, WrongState, None),
            (3_999, TooFast, 10),
            (0, TooFast, 15),
        ):
            world.pass_ms(ms)
            with pytest.raises(told) as refusal:
                world.qr.redeem(begun.device_code)
            assert refusal.value.retry_after == seconds
        world.pass_ms(11_000)
        with pytest.raises(WrongState):
            world.elsewhere.redeem(begun.device_code)
        assert world.qr.status(begun.device_code).version == version, "a poll is no news"
        scan_code = world.qr.status(begun.device_code).scan_code
        world.run(core.scan(scan_code, subject="alice", shown_as="alice"))
        with pytest.raises(TooFast):
            world.qr.redeem(begun.device_code)
        world.run(core.confirm(scan_code, subject="alice"))
        assert world.qr.redeem(begun.device_code).subject == "alice"

    def test_of_simultaneous_polls_exactly_one_collects(self, world: World) -> None:
        for _ in range(ROUNDS):
            begun = self._confirmed(world)
            device = world.core.read_device_code(begun.device_code)
            told = world.at_once([world.core.redeem(device) for _ in range(CALLERS)])
            assert sum(isinstance(one, AlreadyRedeemed) for one in told) == CALLERS - 1

    def test_a_collection_is_repeated_to_its_own_op_only(self, world: World) -> None:
        begun, op = self._confirmed(world), new_op()
        first = world.qr.redeem(begun.device_code, op=op)
        world.pass_ms(REPLAY_MS - 1)
        assert world.qr.redeem(begun.device_code, op=op) == replace(first, replayed=True)
        with pytest.raises(AlreadyRedeemed):
            world.qr.redeem(begun.device_code)

    def test_a_poll_after_the_end_hears_of_the_end(self, world: World) -> None:
        begun = self._begun(world)
        for _ in range(2):  # also who polls too fast
            world.pass_ms(LIFE_MS)
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
    """Asks and is forbidden: the reply still brings the record."""
    return Command(account, replace(GUESSED_RIGHT, event="look", proves=("nothing",)), new_mark())


def _verdict(reply: Reply) -> Any:
    return reply.verdict


def _said(world: World, command: Command) -> tuple[str, str | None, str | None]:
    reply = world.apply(command)
    return str(reply.verdict), reply.record.get("guesses"), reply.record.get("state")
