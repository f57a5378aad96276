"""Every row in every situation: right and wrong proofs, instants around each deadline, a clock set
back, resent commands.

A case is one command that goes to the store and to `qrlogin.step.step`. Both must return the same
reply: the verdict, the time and the whole record afterwards. Situations are reached by commands
alone, so nothing here looks inside the store.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pytest

from qrlogin.codes import new_login_id, new_mark
from qrlogin.step import Command, Record, number, step
from qrlogin.stores.suite.world import World
from qrlogin.table import ABSENT, TABLE, Count, Row, State
from qrlogin.typed_codes import GUESSED_RIGHT, guess

#: A row that the table does not have yet: it counts, and ends a login at the limit. A store must
#: apply such rows, too.
COUNTS: Final = Row(
    "a row that counts",
    sources=MappingProxyType({State.SCANNED: "decide_by"}),
    proves=("claim",),
    repeats=(State.SCANNED, State.DENIED),
    repeats_if=("mark",),
    count=Count("misses", 3, State.DENIED),
)
GUESS: Final = guess(3)
ROWS: Final[Mapping[str, Row]] = {
    **TABLE,
    **{row.name: row for row in (COUNTS, GUESS, GUESSED_RIGHT)},
}

#: The values of a caller that may do everything. The texts mean nothing: a store does not interpret
#: fields.
RIGHT: Final = {
    "v": "4",
    "device_digest": "dïgest",
    "context": '{"browser":"Firefox • “ﬁne”"}',
    "begin_seal": "sealed",
    "decide_ms": "90000",
    "redeem_ms": "30000",
    "claim": "claim of alice",
    "shown_as": "M•••a",
    "scanner_seal": "tag of alice",
    "subject": '4\u00002"',
    "name": "maria@example.com",
    "approval": "approved",
    "redeem_mark": "digest of an op",
    "needs": "",
    "only_for": "",
}
DURATIONS: Final = {
    "scan_by": 180_000,
    "shown_until": 120_000,
    "replay_by": 30_000,
    "pace": 5000,
    "pace_step": 5000,
}
KEEP_MS: Final = 600_000
BETWEEN_MS: Final = 1000  # between the commands that lead to a situation

#: What a login can be before a case, and the commands that lead there.
SITUATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "unknown": (),
    "pending": ("begin",),
    "scanned": ("begin", "scan"),
    "released": ("begin", "scan", "release"),
    "confirmed": ("begin", "scan", "confirm"),
    "redeemed": ("begin", "scan", "confirm", "redeem"),
    "collected": ("begin", "scan", "confirm", "collect"),
    "denied": ("begin", "scan", "confirm", "deny"),
    "cancelled": ("begin", "cancel"),
    "cancelled when confirmed": ("begin", "scan", "confirm", "cancel"),
    "counted once": ("begin", "scan", COUNTS.name),
    "counted twice": ("begin", "scan", COUNTS.name, COUNTS.name),
    "counted to the limit": ("begin", "scan", COUNTS.name, COUNTS.name, COUNTS.name),
    "paced once": ("begin", "collect"),
    "paced twice": ("begin", "collect", "collect"),
    "an account that guessed once": (GUESS.name,),
    "an account that guessed right": (GUESS.name, GUESSED_RIGHT.name),
    "an account without a guess left": (GUESS.name, GUESS.name, GUESS.name),
    "pending, only for one account": ("begin",),
    "scanned, needs a factor": ("begin", "scan"),
}
#: Values of `begin` that differ from RIGHT in a situation.
_BEGIN_WITH: Final[Mapping[str, Mapping[str, str]]] = {
    "pending, only for one account": {"only_for": "alice"},
    "scanned, needs a factor": {"needs": "match"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """One command, and the time at which the store gets it."""

    title: str
    values: Mapping[str, str]
    clock: int
    deadline_ms: int | None = None
    resent: bool = False
    """Whether it has the mark of the login's last change."""


class Cases:
    """What each row of the table means."""

    @pytest.mark.parametrize("event", ROWS)
    def test_every_case_gets_the_reply_of_the_reference(self, world: World, event: str) -> None:
        """The store replies and stores what `qrlogin.step.step` returns."""
        row, count = ROWS[event], 0
        for situation, way in SITUATIONS.items():
            begin_with = _BEGIN_WITH.get(situation, {})
            login_id, record = _arrive(world, way, begin_with)
            for case in _cases(row, record, {**RIGHT, **begin_with}, world.clock.ms):
                count += 1
                mark = record["mark"] if case.resent and record else new_mark()
                command = _command(row, login_id, mark, case.values, case.deadline_ms)
                expected = step(record, command, case.clock)
                world.clock.ms = case.clock
                reply = world.apply(command)
                assert reply == expected.reply, (
                    f"the store did not reply as the reference does to {event!r} "
                    f"in the situation {situation!r}, {case.title}"
                )
                if expected.changes:  # the login has changed: the next case needs a new one
                    login_id, record = _arrive(world, way, begin_with)
        print(f"{event}: {count} cases")  # noqa: T201 - seen with pytest -rP
        assert count >= 16 * len(SITUATIONS)


def _arrive(
    world: World, way: tuple[str, ...], begin_with: Mapping[str, str]
) -> tuple[str, Record]:
    """A new login in a situation, and its record."""
    login_id = new_login_id()
    record: Record = {}
    for event in way:
        world.pass_ms(BETWEEN_MS)
        command = _command(
            ROWS[event], login_id, new_mark(), {**RIGHT, **begin_with, "mark": ""}, None
        )
        expected = step(record, command, world.clock.ms).reply
        assert world.apply(command) == expected, (
            f"the store did not reply as the reference does to {event!r}, after {way}"
        )
        record = expected.record
    return login_id, record


def _command(
    row: Row, login_id: str, mark: str, values: Mapping[str, str], deadline_ms: int | None
) -> Command:
    """The command of a row, with those of the values that the row reads."""
    named = {*row.proves, *row.guards, *row.repeats_if, *row.writes}
    brought = {name: value for name, value in {**values, "mark": mark}.items() if name in named}
    ttl_ms = KEEP_MS if ABSENT in row.sources else None
    return Command(login_id, row, mark, brought, DURATIONS, deadline_ms, ttl_ms)


def _cases(row: Row, record: Record, right: Mapping[str, str], now: int) -> Iterator[Case]:
    deadlines = {
        name: number(record.get(name))
        for name in ("scan_by", "decide_by", "redeem_by", "replay_by")
    }
    instants = {"now": now, "with the clock set back": now - 5000}
    for name, instant in deadlines.items():
        if instant:
            instants |= {
                f"1 ms before {name}": instant - 1,
                f"at {name}": instant,
                f"1 ms after {name}": instant + 1,
            }
    if pace := number(record.get("pace_at")):
        due = pace + (number(record.get("pace_ms")) or 0)
        instants |= {"1 ms before its interval is over": due - 1, "when its interval is over": due}

    for when, clock in instants.items():
        for resent in (False, True):
            yield Case(f"{when}{', resent' if resent else ''}", right, clock, resent=resent)
        for left in (1, 0, -1):
            title = f"{when}, {left} ms before the command's own deadline"
            yield Case(title, right, clock, deadline_ms=clock + left)
        for name in dict.fromkeys((*row.proves, *row.guards, *row.repeats_if)):
            yield Case(f"{when}, wrong {name}", {**right, name: "another one's"}, clock)
            yield Case(f"{when}, empty {name}", {**right, name: ""}, clock)
            yield Case(
                f"{when}, without {name}",
                {key: value for key, value in right.items() if key != name},
                clock,
            )
    yield Case("without any value", {}, now)
