"""What a row means, in Python. `step.lua` means the same in Lua; the tests compare every reply of
the two, byte for byte.

A command carries its row, so an interpreter knows no row and no state by name. `step` is a pure
function from a record, a command and a time to an outcome. It knows no store, reads no clock and
checks no signature: `core.py` verifies the codes before it builds a command, and the seals when it
reads the reply.

Order: proofs → repeat → guards → source → deadlines → apply. Proofs come first: marks and versions
can be read in Redis, but a proof cannot be derived from anything there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from qrlogin.table import ABSENT, ANY, Row

#: One login as a store keeps it: text by field name. Times are milliseconds since 1970, by the
#: store's clock.
Record = Mapping[str, str]

#: The state of a record whose state is missing. It equals no state of the table.
BROKEN: Final = "?"

_NUMBER = re.compile(r"[0-9]{1,15}")


class Verdict(StrEnum):
    """A store's answer to one command, in one word."""

    APPLIED = "applied"
    """Done now."""
    REPEATED = "repeated"
    """The same call was done before. Nothing changed, and the result is the same."""
    REFUSED = "refused"
    """The record is not in a state that the row starts from."""
    EXPIRED = "expired"
    """The state would do, but a deadline has passed."""
    FORBIDDEN = "forbidden"
    """A proof or a guard does not match."""
    SLOW = "slow"
    """The caller polled again before its interval was over, or its allowance is used up."""


@dataclass(frozen=True, slots=True)
class Command:
    """One row to be applied to one record, in one atomic step and one round trip."""

    login_id: str
    """The record's id: a login_id, or the id of a name record or a guess budget
    (`typed_codes.py`).
    """
    row: Row
    """What to do."""
    mark: str
    """Random, and new for each command. It tells a resent command from another caller's command."""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Text by field name, for the row's proofs, guards, repeats and writes."""
    durations: Mapping[str, int] = field(default_factory=dict)
    """Milliseconds from now, by field name, for the row's instants and intervals; 0 if absent."""
    deadline_ms: int | None = None
    """One more deadline, from a signed code: milliseconds since 1970, by the store's clock."""
    ttl_ms: int | None = None
    """Milliseconds until the record may be deleted. It counts only if this command makes the
    record.
    """
    beginner: str | None = field(default=None, repr=False)
    """Set for a command that begins a login: a digest of the address that asks; "" if no address is
    known. A store that is full refuses such commands, and carries out all others.
    """


@dataclass(frozen=True, slots=True)
class Reply:
    """What the store answered to a command."""

    login_id: str
    """The command's. The reply to another command must never be believed."""
    mark: str
    """The command's."""
    verdict: Verdict
    """The answer in one word."""
    now: int
    """When the store decided: milliseconds since 1970, by its clock."""
    record: Record = field(repr=False)
    """The record afterwards; empty if it is absent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `step` returns: what a store has to answer, to write and to notify."""

    reply: Reply
    """The answer. `reply.record` holds the changes already."""
    changes: Record = field(default_factory=dict, repr=False)
    """The fields to write; empty if nothing changes."""
    notify: bool = False
    """Whether to notify the listeners of this login. A login that begins has none yet."""


def number(text: str | None) -> int | None:
    """The number that a field holds: 1 to 15 ASCII digits, which both interpreters read alike. None
    for any other text.
    """
    return int(text) if text and _NUMBER.fullmatch(text) else None


def step(record: Record, command: Command, clock: int) -> Outcome:
    """Decide what a command does to a record. Raises nothing and changes no argument.

    :param record: the record as the store keeps it; empty if it is absent.
    :param command: what to apply.
    :param clock: the store's clock, in milliseconds since 1970.
    """
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
    count, refilled_at = row.count, 0
    if count and count.every_ms:
        refilled_at = max(now, number(record.get(count.field)) or 0) + count.by * count.every_ms
        if refilled_at > now + count.limit * count.every_ms:
            return outcome(Verdict.SLOW)
    changes = {name: values.get(name, "") for name in row.writes}
    changes |= {name: str(now + command.durations.get(name, 0)) for name in row.instants}
    changes |= {name: str(now + (number(record.get(ms)) or 0)) for name, ms in row.starts.items()}
    to, notify = row.to, bool(record)
    if count and count.every_ms:
        changes[count.field], notify = str(refilled_at), False
    elif count:
        counted = max(0, (number(record.get(count.field)) or 0) + count.by)
        changes[count.field] = str(counted)
        notify = notify and counted >= count.limit
        to = count.to if counted >= count.limit else to
    if to:
        changes["state"] = to
    changes["mark"] = command.mark
    changes["changed_at"] = str(now)
    changes["version"] = str((number(record.get("version")) or 0) + 1)
    return outcome(Verdict.APPLIED, changes, notify=notify)


def _pace(record: Record, command: Command, now: int) -> tuple[Verdict, dict[str, str]]:
    """Slow down a caller that polls too early. The first poll is free, and a resent poll is never
    slow.

    An early poll lengthens the interval and does not move the instant from which it is counted. So
    a caller that then keeps to the new interval always recovers (RFC 8628 section 3.5). No other
    row reads the fields that this writes.
    """
    if record.get("pace_mark") == command.mark:
        return Verdict.REFUSED, {}
    polled_at = number(record.get("pace_at"))
    ms = number(record.get("pace_ms")) or command.durations.get("pace", 0)
    if polled_at is not None and now < polled_at + ms - command.durations.get("pace_slack", 0):
        ms += command.durations.get("pace_step", 0)
        return Verdict.SLOW, {"pace_ms": str(ms), "pace_mark": command.mark}
    return Verdict.REFUSED, {"pace_at": str(now), "pace_ms": str(ms), "pace_mark": command.mark}
