"""Every row in every situation: right and wrong proofs, the instants around each deadline, a clock set back, the call again.

Each case is one command, given to the store and to `qrlogin.step.step`. The two must agree on the whole reply: the verdict,
the time, and the whole record as it is afterwards. Situations are reached by commands alone, so nothing here looks inside.
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

#: A row that the table does not have: a store must be able to count a login out before it is asked to.
COUNTS: Final = Row(
    "a row that counts",
    sources=MappingProxyType({State.SCANNED: "expires_at"}),
    proves=("claim",),
    repeats=(State.SCANNED, State.DENIED),
    repeats_if=("mark",),
    count=Count("misses", 3, State.DENIED),
)
GUESS: Final = guess(3)
ROWS: Final[Mapping[str, Row]] = {
    **TABLE,
    **{row.event: row for row in (COUNTS, GUESS, GUESSED_RIGHT)},
}

#: What a rightful caller brings, whatever the row asks for; a store gives no field a meaning of its own.
RIGHT: Final = {
    "v": "1",
    "device_digest": "dïgest",
    "context": '{"browser":"Firefox • “ﬁne”"}',
    "begin_seal": "sealed",
    "claim": "claim of alice",
    "shown_as": "M•••a",
    "scanner_seal": "tag of alice",
    "subject": '4\u00002"',
    "approval": "approved",
    "redeem_mark": "digest of an op",
    "needs": "",
    "only_for": "",
}
DURATIONS: Final = {
    "expires_at": 120_000,
    "redeem_by": 150_000,
    "replay_by": 30_000,
    "pace": 5000,
    "pace_step": 5000,
}
KEEP_MS: Final = 600_000
BETWEEN_MS: Final = 1000  # from one command on the way to the next

#: How a login may stand: the commands on its way there, and what its begin asked for.
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
    "counted once": ("begin", "scan", COUNTS.event),
    "counted twice": ("begin", "scan", COUNTS.event, COUNTS.event),
    "counted out": ("begin", "scan", COUNTS.event, COUNTS.event, COUNTS.event),
    "paced once": ("begin", "collect"),
    "paced twice": ("begin", "collect", "collect"),
    "an account that guessed once": (GUESS.event,),
    "an account that guessed right": (GUESS.event, GUESSED_RIGHT.event),
    "an account without a guess left": (GUESS.event, GUESS.event, GUESS.event),
    "pending, only for somebody": ("begin",),
    "scanned, needs a factor": ("begin", "scan"),
}
_ASKS: Final[Mapping[str, Mapping[str, str]]] = {
    "pending, only for somebody": {"only_for": "alice"},
    "scanned, needs a factor": {"needs": "match"},
}


@dataclass(frozen=True, slots=True)
class Case:
    about: str
    values: Mapping[str, str]
    clock: int
    until: int | None = None
    again: bool = False  # with the mark of the login's last change


class Cases:
    """What a row means, listed."""

    @pytest.mark.parametrize("event", ROWS)
    def test_every_case_is_decided_as_the_step_decides_it(self, world: World, event: str) -> None:
        """The same as the reference in all that is said and kept (I18, I21)."""
        row, count = ROWS[event], 0
        for situation, way in SITUATIONS.items():
            asks = _ASKS.get(situation, {})
            login_id, record = _arrive(world, way, asks)
            for case in _cases(row, record, {**RIGHT, **asks}, world.clock.ms):
                count += 1
                mark = record["mark"] if case.again and record else new_mark()
                command = _command(row, login_id, mark, case.values, case.until)
                expected = step(record, command, case.clock)
                world.clock.ms = case.clock
                reply = world.apply(command)
                assert reply == expected.reply, f"{event} when {situation}: {case.about}"
                if (
                    expected.changes
                ):  # that login has moved on: the next case begins with another one
                    login_id, record = _arrive(world, way, asks)
        print(f"{event}: {count} cases")  # noqa: T201 - seen with pytest -rP
        assert count >= 16 * len(SITUATIONS)


def _arrive(world: World, way: tuple[str, ...], asks: Mapping[str, str]) -> tuple[str, Record]:
    login_id = new_login_id()
    record: Record = {}
    for event in way:
        world.pass_ms(BETWEEN_MS)
        command = _command(ROWS[event], login_id, new_mark(), {**RIGHT, **asks, "mark": ""}, None)
        expected = step(record, command, world.clock.ms).reply
        assert world.apply(command) == expected, f"on the way: {event}"
        record = expected.record
    return login_id, record


def _command(
    row: Row, login_id: str, mark: str, values: Mapping[str, str], until: int | None
) -> Command:
    named = {*row.proves, *row.guards, *row.repeats_if, *row.writes}
    brought = {name: value for name, value in {**values, "mark": mark}.items() if name in named}
    return Command(
        login_id, row, mark, brought, DURATIONS, until, KEEP_MS if ABSENT in row.sources else None
    )


def _cases(row: Row, record: Record, right: Mapping[str, str], now: int) -> Iterator[Case]:
    deadlines = {
        name: number(record.get(name)) for name in ("expires_at", "redeem_by", "replay_by")
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
        for again in (False, True):
            yield Case(f"{when}, {'again' if again else 'anew'}", right, clock, again=again)
        for left in (1, 0, -1):
            yield Case(
                f"{when}, {left} ms before a deadline of its own", right, clock, until=clock + left
            )
        for name in dict.fromkeys((*row.proves, *row.guards, *row.repeats_if)):
            yield Case(f"{when}, wrong {name}", {**right, name: "somebody else's"}, clock)
            yield Case(f"{when}, empty {name}", {**right, name: ""}, clock)
            yield Case(
                f"{when}, without {name}",
                {key: value for key, value in right.items() if key != name},
                clock,
            )
    yield Case("with nothing at all", {}, now)
