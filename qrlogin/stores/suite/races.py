"""Eight calls in the same instant, sixty times over: a check and a change that are not one step lose such a race nearly always.

Over a store that is shared, the callers are spread over two of its views.
"""

from typing import Any, Final

from qrlogin.answers import Redeemed
from qrlogin.errors import AlreadyRedeemed, AlreadyScanned, Cancelled, Denied, WrongState
from qrlogin.stores.suite.world import World, new_op
from qrlogin.table import State

ROUNDS: Final = 60
CALLERS: Final = 8


class Races:
    """What happens at the same time."""

    def test_of_simultaneous_redeems_exactly_one_wins(self, world: World) -> None:
        """One session per login, always (I1)."""
        for _ in range(ROUNDS):
            login = world.begin()
            login.walk("scan", "confirm")
            told = world.at_once([login.call("redeem") for _ in range(CALLERS)])
            assert _kinds(told) == {Redeemed: 1, AlreadyRedeemed: CALLERS - 1}

    def test_one_redeem_sent_many_times_at_once_gets_one_answer(self, world: World) -> None:
        """The same op is the same call, however often it arrives (I18)."""
        for _ in range(ROUNDS):
            login = world.begin()
            login.walk("scan", "confirm")
            tag, op = login.tag(), new_op()
            told = world.at_once([login.redeem(tag, op=op) for _ in range(CALLERS)])
            assert _kinds(told) == {Redeemed: CALLERS}
            assert sorted(one.replayed for one in told) == [False] + [True] * (CALLERS - 1)
            assert len({(one.subject, one.redeemed_at_ms) for one in told}) == 1

    def test_of_phones_that_scan_at_once_exactly_one_holds_the_login(self, world: World) -> None:
        """One account per login (I6)."""
        people = [f"person {number}" for number in range(CALLERS)]
        for _ in range(ROUNDS):
            login = world.begin()
            told = world.at_once([login.scan(one) for one in people])
            winners = [
                who
                for who, answer in zip(people, told, strict=True)
                if not isinstance(answer, AlreadyScanned)
            ]
            assert len(winners) == 1
            assert login.seen().scanned_by.shown_as == winners[0]  # type: ignore[union-attr]
            world.run(login.confirm(winners[0]))

    def test_confirm_against_deny_always_ends_denied(self, world: World) -> None:
        """A stop wins until the login is redeemed (I4)."""
        for _ in range(ROUNDS):
            login = world.begin()
            login.walk("scan")
            told = world.at_once([login.confirm("alice"), login.deny("alice")] * (CALLERS // 2))
            assert login.seen().state is State.DENIED
            assert not [one for one in told[1::2] if isinstance(one, Exception)]
            assert all(isinstance(one, Denied) for one in told[0::2] if isinstance(one, Exception))

    def test_scan_against_cancel_always_ends_cancelled(self, world: World) -> None:
        for _ in range(ROUNDS):
            login = world.begin()
            told = world.at_once([login.scan("alice"), login.cancel()] * (CALLERS // 2))
            assert login.seen().state is State.CANCELLED
            assert not [one for one in told[1::2] if isinstance(one, Exception)]
            assert all(
                isinstance(one, Cancelled) for one in told[0::2] if isinstance(one, Exception)
            )

    def test_redeem_against_a_stop_has_one_winner(self, world: World) -> None:
        """Either the browser is logged in or the login was stopped, and all are told the same (I20)."""
        for event, stopped in (("cancel", Cancelled), ("deny", Denied)) * (ROUNDS // 2):
            login = world.begin()
            login.walk("scan", "confirm")
            redeem, stop = world.at_once([login.call("redeem"), login.call(event)])
            if isinstance(redeem, Redeemed):
                assert isinstance(stop, AlreadyRedeemed)
                assert login.seen().state is State.REDEEMED
            else:
                assert isinstance(redeem, stopped)
                assert not isinstance(stop, Exception)

    def test_confirm_against_release_has_one_winner(self, world: World) -> None:
        for _ in range(ROUNDS):
            login = world.begin()
            login.walk("scan")
            told = world.at_once([login.confirm("alice"), login.release("alice")])
            lost = [one for one in told if isinstance(one, Exception)]
            assert [type(one) for one in lost] == [WrongState]
            assert login.seen().state is (
                State.CONFIRMED if told.index(lost[0]) == 1 else State.PENDING
            )


def _kinds(told: list[Any]) -> dict[type, int]:
    kinds = [type(one) for one in told]
    return {kind: kinds.count(kind) for kind in kinds}
