"""The protocol on one screen: every state, every field, every transition.

A login is one record. It changes only by a row of `TABLE`, and a row says all there is to know about its change: what must
be proven, from which states and until when, where it leads, what counts as the same call again, and what it writes. The
two interpreters (`step.py` and `step.lua`) know how to read a row and know no event and no state by name, so a change of
the protocol is a changed row here.

This module knows no clock, no store, no cryptography and no HTTP.

    browser ─ begin ─► PENDING ─ scan ─► SCANNED ─ confirm ─► CONFIRMED ─ redeem ─► REDEEMED
                          ▲                 │ release
                          └─────────────────┘
    deny (phone) from SCANNED or CONFIRMED ─► DENIED      cancel (browser) from all three ─► CANCELLED
    "expired" is a verdict of the clock and is never stored

Reading a row, in the order in which the step asks:

1. `proves`    each of these fields of the record equals the value that the command brings (an empty one proves nothing)
2. `repeats`   the same call again, with the same result, however late: the record is in one of these states, the fields of
               `repeats_if` equal what the command brings, and the instant `repeats_until`, if any, has not come
3. `guards`    "if set": a field that the record leaves empty asks for nothing; else it must equal the command's value
4. `sources`   the states it may start from, each with the instant at which that state dies; a command may bring one more
               deadline of its own
5. `to`, `writes`, `instants`   what it leaves behind
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where a login stands. `EXPIRED` is only ever an answer: no record holds it."""

    PENDING = "pending"  # shown, nobody has scanned it
    SCANNED = "scanned"  # one account holds it and is looking at what it would approve
    CONFIRMED = "confirmed"  # approved; the browser has not collected it yet
    REDEEMED = "redeemed"  # collected, once
    DENIED = "denied"  # refused on the phone
    CANCELLED = "cancelled"  # given up in the browser
    EXPIRED = "expired"  # a deadline passed


ABSENT: Final = ""  # the state of a login that has no record
ANY: Final = "*"  # as a source: whatever is known
NEVER: Final = ""  # as a deadline: does not die

#: The instant at which each state dies; the others are ends already.
DIES_AT: Final[Mapping[str, str]] = MappingProxyType(
    {State.PENDING: "expires_at", State.SCANNED: "expires_at", State.CONFIRMED: "redeem_by"}
)
TERMINAL: Final = frozenset({State.REDEEMED, State.DENIED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class Count:
    """A row that counts: each time adds `by` to `field`, never below 0. What reaches `limit` leads to `to` instead, and only
    that is announced.
    """

    field: str
    limit: int
    to: str
    by: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One transition. The module's docstring says how it is read."""

    event: str
    sources: Mapping[str, str]
    to: str = ""  # empty: stays where it is
    proves: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    repeats_if: tuple[str, ...] = ()
    repeats_until: str = ""
    writes: tuple[str, ...] = ()  # fields whose text the command brings
    instants: tuple[
        str, ...
    ] = ()  # fields set to the store's now + a duration that the command brings
    reads: bool = False  # answers and leaves no trace
    count: Count | None = None
    paces: tuple[str, ...] = ()  # refused in these states: keep the caller to its interval


def _from(*states: State) -> Mapping[str, str]:
    return MappingProxyType({state: DIES_AT[state] for state in states})


_ROWS = (
    Row(
        "begin",
        sources=MappingProxyType({ABSENT: NEVER}),
        to=State.PENDING,
        repeats=(ANY,),
        repeats_if=("device_digest",),
        writes=("v", "device_digest", "context", "needs", "only_for", "begin_seal"),
        instants=("begun_at", "expires_at", "redeem_by"),
    ),
    Row("status", sources=MappingProxyType({ANY: NEVER}), proves=("device_digest",), reads=True),
    Row(
        "scan",  # that the code is genuine is the core's to check; the code's own deadline travels with the command
        sources=_from(State.PENDING),
        to=State.SCANNED,
        guards=("only_for",),
        repeats=(State.SCANNED, State.CONFIRMED, State.REDEEMED),
        repeats_if=("claim",),
        writes=("claim", "shown_as", "scanner_seal"),
        instants=("scanned_at",),
    ),
    Row(
        "release",
        sources=_from(State.SCANNED),
        to=State.PENDING,
        proves=("claim",),
        repeats=(State.PENDING,),
    ),
    Row(
        "confirm",
        sources=_from(State.SCANNED),
        to=State.CONFIRMED,
        proves=("claim",),
        guards=("needs",),
        repeats=(State.CONFIRMED, State.REDEEMED),
        writes=("subject", "met", "facts", "approval"),
        instants=("confirmed_at",),
    ),
    Row(
        "deny",
        sources=_from(State.SCANNED, State.CONFIRMED),
        to=State.DENIED,
        proves=("claim",),
        repeats=(State.DENIED,),
    ),
    Row(
        "cancel",
        sources=_from(State.PENDING, State.SCANNED, State.CONFIRMED),
        to=State.CANCELLED,
        proves=("device_digest",),
        repeats=(State.CANCELLED,),
    ),
    Row(
        "redeem",  # the signed end of the device_code travels with the command
        sources=_from(State.CONFIRMED),
        to=State.REDEEMED,
        proves=("device_digest", "scanner_seal"),
        repeats=(State.REDEEMED,),
        repeats_if=("redeem_mark",),
        repeats_until="replay_by",
        writes=("redeem_mark",),
        instants=("replay_by", "redeemed_at"),
    ),
    Row(
        "collect",  # redeem, for logins that were begun without a question to the browser; who comes too early is paced
        sources=_from(State.CONFIRMED),
        to=State.REDEEMED,
        proves=("device_digest",),
        repeats=(State.REDEEMED,),
        repeats_if=("redeem_mark",),
        repeats_until="replay_by",
        writes=("redeem_mark",),
        instants=("replay_by", "redeemed_at"),
        paces=(State.PENDING, State.SCANNED),
    ),
)

TABLE: Final[Mapping[str, Row]] = MappingProxyType({row.event: row for row in _ROWS})
