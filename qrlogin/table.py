"""The protocol on one screen: every state, every field, every transition.

A login is one record. It changes only by a row of `TABLE`, and a row says everything about its
change: what must be proven, from which states and until when, to which state it leads, what counts
as a repeat, and what it writes. The two interpreters (`step.py` and `step.lua`) know how to read a
row, and know no row and no state by name. So to change the protocol is to change a row here.

This module knows no clock, no store, no cryptography and no HTTP.

    browser ─ begin ─► PENDING ─ scan ─► SCANNED ─ confirm ─► CONFIRMED ─ redeem ─► REDEEMED
                          ▲                 │ release
                          └─────────────────┘
    the third miss (phone) from SCANNED ─► DENIED
    deny (phone) from SCANNED or CONFIRMED ─► DENIED    cancel (browser) from all three ─► CANCELLED
    "expired" is a verdict of the clock and is never stored

How to read a row, in the order in which `step` does:

1. `proves`    each of these fields of the record must equal the value in the command; an empty
               value proves nothing
2. `repeats`   the call is a repeat, with the same result however late it comes, if the record is
               in one of these states, the fields of `repeats_if` equal the values in the command,
               and the instant `repeats_until`, if any, has not come
3. `guards`    "if set": a field that is empty in the record is not checked; any other must equal
               the value in the command
4. `sources`   the states that it may start from, each with the instant at which that state dies;
               a command may carry one more deadline of its own
5. `to`, `writes`, `instants`, `starts`   what it changes

Time to scan, time to decide and time to redeem are three windows, and each has an instant of its
own: begin writes `scan_by`, a scan writes `decide_by`, an approval writes `redeem_by`. How long the
last two are is in the record, so a login keeps the windows that it was begun with.

`v` is the format of the record. A process that knows another format changes nothing: each row that
changes a login has `v` as a guard.

`only_for` is set in logins that only one account can scan. `needs` is set in logins whose user
types on the phone the digits that the browser shows. The core compares them: if they are right, it
sends `confirm` with the same text as `needs` and `met`, and if they are wrong, it sends `miss`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """The state of a login. `EXPIRED` is only an answer: it is never stored."""

    PENDING = "pending"
    """The code is shown, and no account has scanned it."""
    SCANNED = "scanned"
    """One account holds the login, and its phone shows what it would approve."""
    CONFIRMED = "confirmed"
    """Approved on the phone. The browser has not redeemed it yet."""
    REDEEMED = "redeemed"
    """The browser has received the account, once. Final."""
    DENIED = "denied"
    """Refused on the phone. Final."""
    CANCELLED = "cancelled"
    """Cancelled in the browser. Final."""
    EXPIRED = "expired"
    """A deadline has passed."""


#: The state of a login that has no record.
ABSENT: Final = ""
#: As a source or in `repeats`: every state of a record that exists.
ANY: Final = "*"
#: As a deadline: the state does not die.
NEVER: Final = ""

#: The field with the instant at which each state dies. The other states are final.
DIES_AT: Final[Mapping[str, str]] = MappingProxyType(
    {State.PENDING: "scan_by", State.SCANNED: "decide_by", State.CONFIRMED: "redeem_by"}
)
#: How many wrong match codes end a login.
MATCH_TRIES: Final = 3
#: The final states that a record can be in.
TERMINAL: Final = frozenset({State.REDEEMED, State.DENIED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class Count:
    """What a row counts, if it counts."""

    field: str
    """The record's field with the count."""
    limit: int
    """The count from which on the row leads to `Count.to` and notifies listeners. Below, it leads
    to `Row.to` and notifies none.
    """
    to: str
    """The state from the limit on, in place of `Row.to`."""
    by: int = 1
    """What each call adds. The count never goes below 0."""
    every_ms: int = 0
    """If not 0, the count falls by one each time so many milliseconds pass, and the call that would
    lead beyond the limit is slow and changes nothing: the row is an allowance that refills. The
    field then holds the instant at which the count is 0 again, and no call notifies listeners.
    """


@dataclass(frozen=True, slots=True)
class Row:
    """One transition. The module's docstring says how to read it."""

    name: str
    """Such as "scan"."""
    sources: Mapping[str, str]
    """The states that it may start from, each with the field of its deadline."""
    to: str = ""
    """The state afterwards; empty: the state stays."""
    proves: tuple[str, ...] = ()
    """Fields that must equal the values in the command."""
    guards: tuple[str, ...] = ()
    """Fields that must equal the values in the command, unless the record leaves them empty."""
    repeats: tuple[str, ...] = ()
    """States in which the call can be a repeat."""
    repeats_if: tuple[str, ...] = ()
    """Fields that must equal the values in the command for a repeat."""
    repeats_until: str = ""
    """The field with the instant from which on no call is a repeat; empty: there is no such end."""
    writes: tuple[str, ...] = ()
    """Fields that get the text in the command."""
    instants: tuple[str, ...] = ()
    """Fields that get the store's time plus a duration in the command."""
    starts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Fields that get the store's time plus a duration in the record: the name of the instant, and
    the name of the field with the milliseconds.
    """
    reads: bool = False
    """Whether it only answers, and changes nothing."""
    count: Count | None = None
    """What it counts."""
    paces: tuple[str, ...] = ()
    """States in which it is refused and slows down a caller that polls too early."""
    durable: bool = False
    """Whether users rely on its answer from then on. A store with a durability gives that answer
    only when so many copies have the record.
    """


def _from(*states: State) -> Mapping[str, str]:
    return MappingProxyType({state: DIES_AT[state] for state in states})


_ROWS = (
    Row(
        "begin",
        sources=MappingProxyType({ABSENT: NEVER}),
        to=State.PENDING,
        repeats=(ANY,),
        repeats_if=("device_digest",),
        writes=(
            *("v", "device_digest", "context", "needs", "only_for", "known", "begin_seal"),
            *("decide_ms", "redeem_ms"),
        ),
        instants=("begun_at", "shown_until", "scan_by"),
    ),
    Row("status", sources=MappingProxyType({ANY: NEVER}), proves=("device_digest",), reads=True),
    Row("land", sources=_from(State.PENDING), reads=True),  # the page that a scan code opens
    Row(
        "look",  # scan without a claim: the same is refused, and nothing is written
        sources=_from(State.PENDING),
        guards=("only_for",),
        repeats=(State.SCANNED, State.CONFIRMED, State.REDEEMED),
        repeats_if=("claim",),
        reads=True,
    ),
    Row(
        "scan",  # the core verifies the code; the code's own deadline is in the command
        sources=_from(State.PENDING),
        to=State.SCANNED,
        guards=("v", "only_for"),
        repeats=(State.SCANNED, State.CONFIRMED, State.REDEEMED),
        repeats_if=("claim",),
        writes=("claim", "shown_as", "scanner_seal"),
        instants=("scanned_at",),
        starts=MappingProxyType({"decide_by": "decide_ms"}),
    ),
    Row(
        "release",
        sources=_from(State.SCANNED),
        to=State.PENDING,
        proves=("claim",),
        guards=("v",),
        repeats=(State.PENDING,),
    ),
    Row(
        "confirm",
        sources=_from(State.SCANNED),
        to=State.CONFIRMED,
        proves=("claim",),
        guards=("v", "needs"),
        repeats=(State.CONFIRMED, State.REDEEMED),
        writes=("subject", "name", "met", "facts", "approval"),
        instants=("confirmed_at",),
        starts=MappingProxyType({"redeem_by": "redeem_ms"}),
        durable=True,
    ),
    Row(
        "miss",  # confirm with wrong digits; the same wrong digits again are no other try
        sources=_from(State.SCANNED),
        proves=("claim",),
        guards=("v",),
        repeats=(State.SCANNED, State.DENIED),
        repeats_if=("missed",),
        writes=("missed",),
        count=Count("misses", MATCH_TRIES, State.DENIED),
        durable=True,
    ),
    Row(
        "outcome",  # what became of a login that this phone scanned
        sources=MappingProxyType({ANY: NEVER}),
        proves=("claim",),
        reads=True,
    ),
    Row(
        "deny",
        sources=_from(State.SCANNED, State.CONFIRMED),
        to=State.DENIED,
        proves=("claim",),
        guards=("v",),
        repeats=(State.DENIED,),
        durable=True,
    ),
    Row(
        "cancel",
        sources=_from(State.PENDING, State.SCANNED, State.CONFIRMED),
        to=State.CANCELLED,
        proves=("device_digest",),
        guards=("v",),
        repeats=(State.CANCELLED,),
        durable=True,
    ),
    Row(
        "redeem",  # the signed end of the device_code is in the command
        sources=_from(State.CONFIRMED),
        to=State.REDEEMED,
        proves=("device_digest", "approval"),
        guards=("v",),
        repeats=(State.REDEEMED,),
        repeats_if=("redeem_mark",),
        repeats_until="replay_by",
        writes=("redeem_mark",),
        instants=("replay_by", "redeemed_at"),
        durable=True,
    ),
    Row(
        "collect",  # redeem, for logins whose browser is not asked "continue as …?"
        sources=_from(State.CONFIRMED),
        to=State.REDEEMED,
        proves=("device_digest",),
        guards=("v",),
        repeats=(State.REDEEMED,),
        repeats_if=("redeem_mark",),
        repeats_until="replay_by",
        writes=("redeem_mark",),
        instants=("replay_by", "redeemed_at"),
        paces=(State.PENDING, State.SCANNED),
        durable=True,
    ),
)

TABLE: Final[Mapping[str, Row]] = MappingProxyType({row.name: row for row in _ROWS})
