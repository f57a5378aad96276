"""Whether what the callers of one login saw can have happened one call after the other.

The specification is the protocol itself: a record, and `step` on it. A history holds each call of
a store with the time of the call, the time of the answer, and the answer. It is linearizable if
there is an order of the calls, each between its call and its answer, in which `step` gives exactly
these answers. This is the search of Wing and Gong, with the memory of Lowe: a state of the search
is the set of calls that have their place, and the record.

A call that was not answered (`Unavailable`, or cancelled) may have happened at any later time, or
never. So may one more execution of a call that was answered: a store sends a command again after a
lost reply, and a proxy may send it twice. What such an execution wrote carries its time, and the
answers of later calls show it.

This module does no I/O and knows no store.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from qrlogin.step import Command, Record, Reply, number, step

#: How many states a search may visit. An honest history needs one for each change of the record.
MOST_STATES: Final = 5_000

State = tuple[frozenset[int], Record]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a store, as its caller saw it."""

    command: Command
    called: float
    """When it was made. Any clock will do that all callers share."""
    returned: float = inf
    """When it was answered; `inf` if it was not."""
    reply: Reply | None = None
    """The answer; None if there was none."""

    def __str__(self) -> str:
        answer = "no answer" if self.reply is None else f"{self.reply.verdict}"
        return f"{self.command.row.name}: {answer}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a history is impossible: how far the search came. It shows no secret."""

    placed: int
    """How many of the answered calls found a place."""
    answered: int
    """How many calls were answered."""
    record: str
    """The state and version of the record after those calls."""
    left: tuple[str, ...]
    """The calls that have no place after them."""

    def __str__(self) -> str:
        return (
            f"{self.placed} of {self.answered} answers have an order; after them, with the record "
            f"{self.record}, none of these can follow: {'; '.join(self.left)}"
        )


class TooComplex(Exception):
    """The search has visited `MOST_STATES` states and found nothing."""


def check(calls: Sequence[Call], *, resent: bool = True, forgets: bool = False) -> Finding | None:
    """Return None if the history is linearizable, and else why not.

    :param calls: every call of one login, in any order.
    :param resent: whether a command that was answered may have been carried out more than once.
    :param forgets: whether the store may lose the record at any time, as one that evicts does.
    :raises TooComplex: if the search is too long.
    """
    return _Search(calls, resent=resent, forgets=forgets).run()


class _Search:
    def __init__(self, calls: Sequence[Call], *, resent: bool, forgets: bool) -> None:
        self._answered = sorted(
            (call for call in calls if call.reply is not None), key=lambda call: call.called
        )
        self._unseen_calls = [call for call in calls if resent or call.reply is None]
        self._forgets = forgets
        self._instants = _instants(self._answered)
        self._last_version = max(
            (_version(call.reply.record) for call in self._answered if call.reply), default=0
        )
        self._best: tuple[int, Record, list[Call]] = (-1, {}, [])

    def run(self) -> Finding | None:
        visited = set[tuple[frozenset[int], frozenset[tuple[str, str]]]]()
        states: list[State] = [(frozenset(range(len(self._answered))), {})]
        while states:
            left, record = self._absorb(*states.pop())
            if not left:
                return None
            state = left, frozenset(record.items())
            if state in visited:
                continue
            if len(visited) >= MOST_STATES:
                raise TooComplex
            visited.add(state)
            self._remember(left, record)
            # The last one is tried first: what a caller saw before what none saw.
            states += [*self._unseen(left, record), *self._seen(left, record)]
        placed, record, stuck = self._best
        shown = f"{record.get('state', '-')} {record.get('version', '-')}" if record else "absent"
        return Finding(
            placed,
            len(self._answered),
            shown,
            tuple(self._described(call, record) for call in stuck),
        )

    def _first_end(self, left: frozenset[int]) -> float:
        return min(self._answered[at].returned for at in left)

    def _next(self, left: frozenset[int]) -> list[int]:
        """The answered calls that may come next: no other one has ended before they began."""
        first_end = self._first_end(left)
        return [at for at in sorted(left) if self._answered[at].called <= first_end]

    def _absorb(self, left: frozenset[int], record: Record) -> State:
        """Place each call that can come now and changes nothing. Any order in which one of them
        comes later is also one in which it comes now.
        """
        while left:
            quiet = [at for at in self._next(left) if self._changes(at, record) == {}]
            if not quiet:
                break
            left = left.difference(quiet)
        return left, record

    def _changes(self, at: int, record: Record) -> Record | None:
        """What an answered call changes if it comes now; None if its answer would be another."""
        call = self._answered[at]
        assert call.reply is not None
        outcome = step(record, call.command, call.reply.now)
        return outcome.changes if outcome.reply == call.reply else None

    def _seen(self, left: frozenset[int], record: Record) -> Iterator[State]:
        """An answered call comes next, and changes the record."""
        for at in self._next(left):
            if changes := self._changes(at, record):
                yield left - {at}, {**record, **changes}

    def _unseen(self, left: frozenset[int], record: Record) -> Iterator[State]:
        """A command takes effect and no caller gets its answer, or the store loses the record."""
        if self._forgets and record:
            yield left, {}
        if _version(record) >= self._last_version:
            return  # no answer shows a later one
        first_end = self._first_end(left)
        for call in self._unseen_calls:
            if call.called <= first_end:
                for instant in self._instants:
                    if changes := step(record, call.command, instant).changes:
                        yield left, {**record, **changes}

    def _remember(self, left: frozenset[int], record: Record) -> None:
        placed = len(self._answered) - len(left)
        if placed > self._best[0]:
            self._best = placed, record, [self._answered[at] for at in self._next(left)]

    def _described(self, call: Call, record: Record) -> str:
        """The call, and in which fields its answer is another than this record allows."""
        assert call.reply is not None
        expected = step(record, call.command, call.reply.now).reply
        said, allowed = call.reply.record.items(), expected.record.items()
        fields = sorted({name for name, _ in {*said} ^ {*allowed}})
        verdict = (
            "" if expected.verdict is call.reply.verdict else f" in place of {expected.verdict}"
        )
        return f"{call}{verdict}, which differs in {', '.join(fields) or 'nothing'}"


def _version(record: Record) -> int:
    return number(record.get("version")) or 0


def _instants(answered: Sequence[Call]) -> tuple[int, ...]:
    """When an execution that no caller saw may have happened, by the store's clock: at a time that
    a record shows, or else as early as possible.
    """
    shown = {0}
    for call in answered:
        assert call.reply is not None
        for name, text in call.reply.record.items():
            if name.endswith("_at") and (at := number(text)) is not None:
                shown.add(at)
    return tuple(sorted(shown))
