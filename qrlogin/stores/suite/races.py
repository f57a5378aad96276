"""Eight calls in the same instant, sixty times over.

A store that checks and changes in two steps loses such a race nearly always. Over a shared store,
the calls go through two views of it in turn.
"""

from typing import Any, Final

from qrlogin.answers import Redeemed
from qrlogin.errors import AlreadyRedeemed, AlreadyScanned, Cancelled, Denied, WrongState
from qrlogin.stores.suite.world import World, new_op
from qrlogin.table import State

ROUNDS: Final = 60
CALLERS: Final = 8


class Races:
    """What happens at the same time. `apply` must be atomic."""

    def test_exactly_one_of_simultaneous_redeems_wins(self, world: World) -> None:
        """A login makes one session."""
        for _ in range(ROUNDS):
            login = world.begin()
            login.walk("scan", "confirm")
            answers = world.at_once([login.call("redeem") for _ in range(CALLERS)])
            assert _kinds(answers) == {Redeemed: 1, AlreadyRedeemed: CALLERS - 1}, (
                "not exactly one redeem won: apply is not atomic"
            )

    def test_one_redeem_sent_many_times_at_once_gets_one_answer(self, world: World) -> None:
        """Redeems with the same op are one call, however often it arrives."""
        for _ in range(ROUNDS):
            login = world.begin()
            login.walk("scan", "confirm")
            tag, op = login.tag(), new_op()
            answers = world.at_once([login.redeem(tag, op=op) for _ in range(CALLERS)])
            assert _kinds(answers) == {Redeemed: CALLERS}, "a repeated redeem was refused"
            replayed = sorted(answer.replayed for answer in answers)
            assert replayed == [False] + [True] * (CALLERS - 1), (
                "one redeem was applied more than once"
            )
            assert len({(answer.subject, answer.redeemed_at_ms) for answer in answers}) == 1

    def test_exactly_one_of_simultaneous_scans_holds_the_login(self, world: World) -> None:
        """A login has one account."""
        accounts = [f"person {number}" for number in range(CALLERS)]
        for _ in range(ROUNDS):
            login = world.begin()
            answers = world.at_once([login.scan(account) for account in accounts])
            winners = [
                account
                for account, answer in zip(accounts, answers, strict=True)
                if not isinstance(answer, AlreadyScanned)
            ]
            assert len(winners) == 1, "not exactly one scan won: apply is not atomic"
            assert login.seen().scanned_by.shown_as == winners[0]  # type: ignore[union-attr]
            world.run(login.confirm(winners[0]))

    def test_confirm_against_deny_always_ends_denied(self, world: World) -> None:
        """Until a login is redeemed, a denial overrides an approval."""
        for _ in range(ROUNDS):
            login = world.begin()
            login.walk("scan")
            answers = world.at_once([login.confirm("alice"), login.deny("alice")] * (CALLERS // 2))
            assert login.seen().state is State.DENIED
            assert not _errors(answers[1::2]), "a deny failed, or its repeat did"
            assert all(isinstance(error, Denied) for error in _errors(answers[0::2]))

    def test_scan_against_cancel_always_ends_cancelled(self, world: World) -> None:
        for _ in range(ROUNDS):
            login = world.begin()
            answers = world.at_once([login.scan("alice"), login.cancel()] * (CALLERS // 2))
            assert login.seen().state is State.CANCELLED
            assert not _errors(answers[1::2]), "a cancel failed, or its repeat did"
            assert all(isinstance(error, Cancelled) for error in _errors(answers[0::2]))

    def test_redeem_against_cancel_or_deny_has_one_winner(self, world: World) -> None:
        """Either the browser is logged in or the login is stopped; both callers learn which."""
        for event, stopped in (("cancel", Cancelled), ("deny", Denied)) * (ROUNDS // 2):
            login = world.begin()
            login.walk("scan", "confirm")
            redeem, stop = world.at_once([login.call("redeem"), login.call(event)])
            if isinstance(redeem, Redeemed):
                assert isinstance(stop, AlreadyRedeemed), f"redeem and {event} both won"
                assert login.seen().state is State.REDEEMED
            else:
                assert isinstance(redeem, stopped)
                assert not isinstance(stop, Exception), f"redeem and {event} both lost"

    def test_confirm_against_release_has_one_winner(self, world: World) -> None:
        for _ in range(ROUNDS):
            login = world.begin()
            login.walk("scan")
            answers = world.at_once([login.confirm("alice"), login.release("alice")])
            lost = _errors(answers)
            assert [type(error) for error in lost] == [WrongState], (
                "not exactly one of confirm and release won: apply is not atomic"
            )
            confirmed = answers.index(lost[0]) == 1
            assert login.seen().state is (State.CONFIRMED if confirmed else State.PENDING)


def _kinds(answers: list[Any]) -> dict[type, int]:
    kinds = [type(answer) for answer in answers]
    return {kind: kinds.count(kind) for kind in kinds}


def _errors(answers: list[Any]) -> list[Exception]:
    return [answer for answer in answers if isinstance(answer, Exception)]
