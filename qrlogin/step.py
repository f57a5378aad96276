"""What a row means, in Python. `step.lua` says the same in Lua; the tests hold the two together byte for byte.

A command is a value that carries its row, so an interpreter needs to know no event and no state by name. `step` is pure:
a record, a command and a time in, the outcome out. It knows no store, reads no clock and checks no signature: whoever
builds a command has verified the codes, and whoever receives the reply checks the seals.

Order: proofs → repeat → guards → source → deadlines → apply. Proofs come first, because marks and versions can be read in
Redis while a proof cannot be derived from anything there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from qrlogin.table import ABSENT, ANY, Row

#: One login as a store keeps it: text fields by name. Times are milliseconds since 1970 by the store's clock.
Record = Mapping[str, str]

#: The state of a record that has lost its state; it matches no row.
BROKEN: Final = "?"

_NUMBER = re.compile(r"[0-9]{1,15}")


class Verdict(StrEnum):
    """A store's answer to one command."""

    APPLIED = "applied"  # done now
    REPEATED = "repeated"  # done before by the same call: nothing changed, same result
    REFUSED = "refused"  # not from this state
    EXPIRED = "expired"  # the state would do, but a deadline passed
    FORBIDDEN = "forbidden"  # a proof or a guard failed
    SLOW = "slow"  # asked again before its interval was over


@dataclass(frozen=True, slots=True)
class Command:
    """One row to be applied to one login, in one atomic step and one round trip."""

    login_id: str
    row: Row
    mark: str  # random, new for every call: tells my own resend from anybody else's call
    values: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # proofs, guards, writes: text by field name
    durations: Mapping[str, int] = field(
        default_factory=dict
    )  # milliseconds from now by field; 0 where left out
    deadline_ms: int | None = (
        None  # one more deadline that a signed code brought along, as an instant of the store's clock
    )
    ttl_ms: int | None = (
        None  # milliseconds until the record is garbage; counts only when it is born here, and never moves
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `login_id` and `mark` echo the command: a reply to another question must never be believed."""

    login_id: str
    mark: str
    verdict: Verdict
    now: int  # the store's clock when it decided, in milliseconds
    record: Record = field(repr=False)  # as it is afterwards; empty when there is none


@dataclass(frozen=True, slots=True)
class Outcome:
    """`step`'s result: the reply, the fields to write, and whether waiting browsers are to be told."""

    reply: Reply
    changes: Record = field(default_factory=dict, repr=False)
    notify: bool = False


def number(text: str | None) -> int | None:
    """The only spelling of a number that both interpreters accept: 1 to 15 ASCII digits. Anything else is None."""
    return int(text) if text and _NUMBER.fullmatch(text) else None


def step(record: Record, command: Command, clock: int) -> Outcome:
    """Apply `command` to `record` (empty: no such login) when the store's clock shows `clock` milliseconds."""
    row, values = command.row, command.values
    now = max(clock, number(record.get("changed_at")) or 0)
    state = (record.get("state") or BROKEN) if record else ABSENT

    def outcome(
        verdict: Verdict, changes: Record | None = None, *, notify: bool = False
    ) -> Outcome:
        after = {**record, **changes} if changes else record
        return Outcome(
            Reply(command.login_id, command.mark, verdict, now, after), changes or {}, notify
        )

    def matches(name: str) -> bool:
        return record.get(name, "") == values.get(name, "")

    def passed(name: str) -> bool:
        instant = number(record.get(name))
        return instant is None or now >= instant

    def listed(states: tuple[str, ...]) -> bool:
        return state in states or (ANY in states and state != ABSENT)

    if not all(values.get(name) and matches(name) for name in row.proves):
        return outcome(Verdict.FORBIDDEN)

    if (
        listed(row.repeats)
        and all(values.get(name) and matches(name) for name in row.repeats_if)
        and not (row.repeats_until and passed(row.repeats_until))
    ):
        return outcome(Verdict.REPEATED)

    if not all(matches(name) for name in row.guards if record.get(name)):
        return outcome(Verdict.FORBIDDEN)

    dies_at = row.sources.get(state)
    if dies_at is None and record:
        dies_at = row.sources.get(ANY)
    if dies_at is None:
        if not listed(row.paces):
            return outcome(Verdict.REFUSED)
        verdict, changes = _pace(record, command, now)
        return outcome(verdict, changes)

    if (dies_at and passed(dies_at)) or (
        command.deadline_ms is not None and now >= command.deadline_ms
    ):
        return outcome(Verdict.EXPIRED)

    if row.reads:
        return outcome(Verdict.APPLIED)
    changes = {name: values.get(name, "") for name in row.writes}
    changes |= {name: str(now + command.durations.get(name, 0)) for name in row.instants}
    to, notify = row.to, True
    if row.count:
        counted = max(0, (number(record.get(row.count.field)) or 0) + row.count.by)
        changes[row.count.field] = str(counted)
        notify = counted >= row.count.limit
        to = row.count.to if notify else to
    if to:
        changes["state"] = to
    changes["mark"] = command.mark
    changes["changed_at"] = str(now)
    changes["version"] = str((number(record.get("version")) or 0) + 1)
    return outcome(Verdict.APPLIED, changes, notify=notify)


def _pace(record: Record, command: Command, now: int) -> tuple[Verdict, dict[str, str]]:
    """Keep a caller that came too early to its interval; the first time is free and a resend is never slow.

    An early call lengthens the interval and does not move the instant it is counted from: a caller that then keeps to the
    new interval always recovers (RFC 8628 section 3.5). Nothing that another row reads is written.
    """
    if record.get("pace_mark") == command.mark:
        return Verdict.REFUSED, {}
    asked, ms = (
        number(record.get("pace_at")),
        number(record.get("pace_ms")) or command.durations.get("pace", 0),
    )
    if asked is not None and now < asked + ms - command.durations.get("pace_slack", 0):
        ms += command.durations.get("pace_step", 0)
        return Verdict.SLOW, {"pace_ms": str(ms), "pace_mark": command.mark}
    return Verdict.REFUSED, {"pace_at": str(now), "pace_ms": str(ms), "pace_mark": command.mark}
