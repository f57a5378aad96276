"""Every case of the step, from the rows: a new row, proof, guard or deadline adds its cases.

For each row this is the product of every state (also none, broken and unknown ones), each proof,
each guard, the instants around each deadline, the deadline of the command, the repeat, and a clock
that is behind. A dimension that cannot matter in a state has only few values there, some of which
would let the call through and some not, so that the tests still see that it does not matter.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from qrlogin.allowances import REFILLING, take
from qrlogin.step import Command
from qrlogin.table import (
    ABSENT,
    ANY,
    NEVER,
    TABLE,
    Count,
    Row,
    State,
)
from qrlogin.typed_codes import (
    CLOSED,
    COUNTING,
    GUESSED_RIGHT,
    LOOK_UP,
    MAY_GUESS,
    NAME,
    NAMING,
    SPENT,
    guess,
    guess_on,
)

NOW: Final = 4_102_444_800_000  # the year 2100: a real server must not delete a record as expired
AHEAD: Final = 60_000
KEEP: Final = 240_000  # the time to live of a new record

#: Not in the table, because they change no login: they count the guesses of an account.
GUESSES: Final = (guess(1), guess(3), GUESSED_RIGHT, guess_on(4), MAY_GUESS)
#: These count what an address or an account asks for.
ALLOWANCES: Final = (take(1, 1000), take(3, 5000))
#: These change no login either: they say which login a typed code belongs to.
NAMES: Final = (NAME, LOOK_UP)
#: Rows that the protocol may need later: the step must support them without a change.
LATER: Final = (
    Row(
        "misread",
        sources=MappingProxyType({State.SCANNED: "decide_by", State.CONFIRMED: "redeem_by"}),
        proves=("device_digest", "scanner_seal"),
        repeats=(State.SCANNED, State.CONFIRMED, State.CANCELLED),
        repeats_if=("mark",),
        count=Count("misses", 3, State.CANCELLED),
    ),
    # No row of the protocol: "any" must never mean an absent login, also if there is no proof.
    Row("rename", sources=MappingProxyType({ANY: NEVER}), writes=("shown_as",)),
    Row("reserve", sources=MappingProxyType({ABSENT: NEVER}), repeats=(ANY,), to=State.PENDING),
)
ROWS: Final = (*TABLE.values(), *GUESSES, *ALLOWANCES, *NAMES, *LATER)

#: States that no row knows: of a newer version, of a damaged record, or similar to a known one.
STRANGE: Final = (
    "frozen",
    "expired",
    ANY,
    "?",
    "PENDING",
    "pending\n",
    "",
    None,
)  # None: the record has lost its state

#: Not numbers of 1 to 15 digits. Python's int, Lua's tonumber or both accept most of them.
NO_NUMBERS: Final = (
    None, "", "1e9", " 5", "5 ", "+5", "-1", "0x10", "5.0", "1_000", "\u0663", "\uff15",
    "4102444800001\n", "4102444800001\0", "nan", "inf", "9999999999999999", "0000000000000001",
)  # fmt: skip
NUMBERS: Final = ("0", "1", "000000000000001", "999999999999999")

TEXTS: Final = (
    "",
    "0",
    "null",
    '"',
    "\\",
    "\\u0000",
    "\0",
    "\n",
    "M•••a",
    "😀",
    "\u2028",
    "%d",
    "]]",
    "x" * 400,
)


@dataclass(frozen=True, slots=True)
class Case:
    """One record, one command, one instant. `about` says how it was generated."""

    about: str
    record: Mapping[str, str]
    command: Command
    clock: int


# A record with a past and a command that would be applied. Each case changes them

_LIVED: Final = {
    "v": "4",
    "device_digest": "D",
    "context": '{"browser":"Firefox ✓"}',
    "begin_seal": "sealed-beginning",
    "decide_ms": "90000",
    "redeem_ms": "30000",
    "begun_at": str(NOW - 9000),
    "shown_until": str(NOW + AHEAD),
    "scan_by": str(NOW + 2 * AHEAD),
    "decide_by": str(NOW + 3 * AHEAD),
    "redeem_by": str(NOW + 4 * AHEAD),
    "mark": "an-older-mark",
    "version": "3",
    "claim": "C",
    "shown_as": "M•••a",
    "scanner_seal": "S",
    "scanned_at": str(NOW - 7000),
    "subject": "42",
    "name": "maria@example.com",
    "approval": "sealed-approval",
    "confirmed_at": str(NOW - 5000),
    "missed": "W",
    "redeem_mark": "R",
    "replay_by": str(NOW + AHEAD),
    "redeemed_at": str(NOW - 4000),
    "names": "N",
    "name_seal": "sealed-name",
}
_BROUGHT: Final = {
    "v": "4",
    "device_digest": "D",
    "context": "{}",
    "needs": "",
    "only_for": "",
    "begin_seal": "seal",
    "decide_ms": "60000",
    "redeem_ms": "15000",
    "claim": "C",
    "shown_as": "Ann",
    "scanner_seal": "S",
    "subject": "7",
    "name": "ann@example.com",
    "met": "",
    "facts": "",
    "approval": "approved",
    "missed": "W",
    "redeem_mark": "R",
    "mark": "this-mark",
    "names": "N",
    "name_seal": "sealed-name",
}
_DURATIONS: Final = {
    "shown_until": 120_000,
    "scan_by": 180_000,
    "replay_by": 30_000,
    "pace": 5000,
    "pace_step": 5000,
    "pace_slack": 1000,
}

# How a field of a record and the value of a command compare: (in the record, in the command).
# None: left out
_PAIRS: Final = {
    "right": ("X", "X"),
    "wrong": ("X", "Y"),
    "empty": ("X", ""),
    "left out": ("X", None),
    "absent": (None, "X"),
    "both empty": ("", ""),
    "neither": (None, None),
}
_MET: Final = ("right", "wrong", "absent")
# (clock, changed_at): the time of the store is NOW in both.
_CLOCKS: Final = {"even": (NOW, NOW - 1000), "behind": (NOW - 5000, NOW)}
_AROUND: Final = (NOW - 1, NOW, NOW + 1)


def _states(row: Row) -> Iterator[tuple[bool, str | None]]:
    """Whether there is a record, and its state."""
    yield False, ABSENT
    beside: tuple[str, ...] = (NAMING,) if row in NAMES else ()
    beside = (COUNTING, SPENT, CLOSED) if row in GUESSES else beside
    beside = (REFILLING,) if row in ALLOWANCES else beside
    for state in (*(one for one in State if one is not State.EXPIRED), *STRANGE, *beside):
        yield True, state


def _bend(
    row: Row,
    about: tuple[object, ...],
    *,
    state: str | None,
    known: bool = True,
    pairs: Mapping[str, str] | None = None,
    fields: Mapping[str, str | None] | None = None,
    clock: str = "even",
    deadline_ms: int | None = None,
    values: Mapping[str, str] | None = None,
    durations: Mapping[str, int] = _DURATIONS,
    mark: str = "this-mark",
) -> Case:
    """One case: the record and the command above, with these changes."""
    shown, changed = _CLOCKS[clock]
    record: dict[str, str] = dict(_LIVED) if known else {}
    brought = {**_BROUGHT, **(values or {})}
    if known:
        record["changed_at"] = str(changed)
        for name, value in {"state": state, **(fields or {})}.items():
            _set(record, name, value)
    for name, pair in (pairs or {}).items():
        kept, offered = _PAIRS[pair]
        if known:
            _set(record, name, kept)
        _set(brought, name, offered)
    if "mark" in (pairs or {}):
        # A row that repeats by its mark gets the mark of the command.
        mark = brought["mark"]
    brought["mark"] = mark
    command = Command(
        "",  # each test fills in an id
        row,
        mark,
        {name: brought[name] for name in brought if name in _mentioned(row)},
        {
            name: durations[name]
            for name in durations
            if name in row.instants or (row.paces and name.startswith("pace"))
        },
        deadline_ms,
        ttl_ms=KEEP if _makes_a_record(row) else None,
    )
    return Case(f"{row.name}: " + ", ".join(str(part) for part in about), record, command, shown)


def _makes_a_record(row: Row) -> bool:
    beside = row in (*GUESSES, *ALLOWANCES, NAME) and not row.reads
    return row.name == "begin" or beside


def _set(texts: dict[str, str], name: str, value: str | None) -> None:
    if value is None:
        texts.pop(name, None)
    else:
        texts[name] = value


def _mentioned(row: Row) -> frozenset[str]:
    return frozenset((*row.proves, *row.guards, *row.repeats_if, *row.writes))


def cases() -> Iterator[Case]:
    for row in ROWS:
        yield from _product(row)
        yield from _numbers(row)
        yield from _texts(row)
        if row.count:
            yield from _counts(row, row.count)
        if row.count and row.count.every_ms:
            yield from _refills(row, row.count)
        if row.paces:
            yield from _paces(row)


def _product(row: Row) -> Iterator[Case]:
    asked = (*row.proves, *row.guards, *row.repeats_if)
    for known, state in _states(row):
        dies_at = row.sources.get(
            state or "?" if known else ABSENT, row.sources.get(ANY) if known else None
        )
        repeats = known and (state in row.repeats or ANY in row.repeats)
        deadline = [{dies_at: str(at)} for at in _AROUND] if dies_at else [{}]
        replay = (
            [{row.repeats_until: str(at)} for at in _AROUND]
            if repeats and row.repeats_until
            else [{}]
        )
        matters = {
            *row.proves,
            *(row.repeats_if if repeats else ()),
            *(row.guards if dies_at is not None else ()),
        } - {"mark"}
        pairs: list[Iterable[str]] = [_PAIRS if name in matters else _MET for name in asked]
        if "v" in row.guards:  # of most rows, and compared as every other guard is
            pairs[asked.index("v")] = ("right", "wrong")
        at_once = (
            2 if row in TABLE.values() else 1
        )  # faults at once; three would prove no more than two
        own = (None, *_AROUND) if dies_at is not None else (None, NOW)
        for chosen in itertools.product(*pairs):
            if sum(pair != "right" for pair in chosen) > at_once:
                continue
            for deadline_ms, first, second, clock in itertools.product(
                own, deadline, replay, _CLOCKS
            ):
                paired, dates = dict(zip(asked, chosen, strict=True)), {**first, **second}
                about = (
                    repr(state) if known else "no record",
                    paired,
                    dates,
                    deadline_ms and deadline_ms - NOW,
                    clock,
                )
                yield _bend(
                    row,
                    about,
                    state=state,
                    known=known,
                    pairs=paired,
                    fields=dates,
                    clock=clock,
                    deadline_ms=deadline_ms,
                )


def _relevant(row: Row) -> Iterable[str]:
    """States in which the row does something, and one in which it does not."""
    found = [state for state in (*row.sources, *row.repeats) if state not in (ABSENT, ANY)]
    return dict.fromkeys([*found, State.PENDING, State.CANCELLED])


def _numbers(row: Row) -> Iterator[Case]:
    """Every number that the row reads, in every spelling."""
    read = {"changed_at", "version", row.repeats_until, *row.sources.values()} - {NEVER}
    read |= {*row.starts.values()}
    for state, name, text in itertools.product(
        _relevant(row), sorted(read), (*NO_NUMBERS, *NUMBERS)
    ):
        yield _bend(row, (state, name, repr(text)), state=state, fields={name: text})
    for state, clock in itertools.product(_relevant(row), (0, 1, 999_999_999_999_999)):
        yield replace(_bend(row, (state, "clock", clock), state=state), clock=clock)


def _texts(row: Row) -> Iterator[Case]:
    """Texts that a codec might change, in the values of the command and in the record."""
    for text in TEXTS:
        odd = dict.fromkeys(row.writes, text)
        for state in dict.fromkeys((ABSENT, *row.sources, *row.repeats)):
            if state != ANY:
                known = state != ABSENT
                yield _bend(
                    row, (state, "writes", repr(text)), state=state, known=known, values=odd
                )
                yield _bend(
                    row, (state, "mark", repr(text)), state=state, known=known, mark=text or "m"
                )
        for name in ("context", "shown_as", "unheard of", "1"):
            yield _bend(
                row, (State.SCANNED, name, repr(text)), state=State.SCANNED, fields={name: text}
            )
    for state in _relevant(row):
        yield _bend(
            row, (state, "bytes that are no text"), state=state, fields={"context": "\udcff\udc80"}
        )
        yield _bend(row, (state, "no durations"), state=state, durations={})


def _counts(row: Row, count: Count) -> Iterator[Case]:
    around = [str(count.limit + distance) for distance in (-2, -1, 0, 1)]
    counts, marks = (
        dict.fromkeys((*around, "2", "3", "4", *NO_NUMBERS, *NUMBERS)),
        ("this-mark", "an-older-mark"),
    )
    for state, text, mark in itertools.product(row.sources, counts, marks):
        known, about = state != ABSENT, (state, "count", repr(text), mark)
        yield _bend(row, about, state=state, known=known, fields={count.field: text}, mark=mark)


def _refills(row: Row, count: Count) -> Iterator[Case]:
    """Around the instant at which the allowance is full, and the one at which it is used up."""
    used_up = NOW + (count.limit - 1) * count.every_ms
    edges = (NOW, NOW + count.every_ms, used_up, used_up + count.every_ms, NOW + 10**9)
    instants = dict.fromkeys(edge + distance for edge in edges for distance in (-1, 0, 1))
    for state, instant, clock in itertools.product((REFILLING, State.PENDING), instants, _CLOCKS):
        about = (state, "refilled", instant - NOW, clock)
        yield _bend(row, about, state=state, fields={count.field: str(instant)}, clock=clock)


def _paces(row: Row) -> Iterator[Case]:
    slack = _DURATIONS["pace_slack"]
    intervals = (None, "0", "5000", "10000", "1e3")
    for state in (*row.paces, State.CONFIRMED, State.DENIED):
        for interval in intervals:
            length = int(interval) if interval in ("5000", "10000") else _DURATIONS["pace"]
            due = [str(instant - length + slack) for instant in _AROUND]
            for asked, mark, clock, given in itertools.product(
                (None, "", *due, str(NOW - length)),
                (None, "", "this-mark", "other"),
                _CLOCKS,
                (_DURATIONS, {}),
            ):
                about = (
                    state,
                    "interval",
                    interval,
                    "asked",
                    asked,
                    "mark",
                    mark,
                    clock,
                    len(given),
                )
                paced = {"pace_at": asked, "pace_ms": interval, "pace_mark": mark}
                yield _bend(row, about, state=state, fields=paced, clock=clock, durations=given)
        for name, text in itertools.product(("pace_at", "pace_ms"), (*NO_NUMBERS, *NUMBERS)):
            yield _bend(
                row,
                (state, name, repr(text)),
                state=state,
                fields={"pace_at": str(NOW), "pace_ms": "5000", name: text},
            )
