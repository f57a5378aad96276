"""One login as a row of an SQL table, and what a command does to it. It talks to no database.

A row has the login_id, the record as JSON in ASCII, and the instant from which it may be deleted.
"""

import json
from dataclasses import dataclass
from typing import Final

from qrlogin.step import Command, Outcome, Record, step

TABLE_NAME: Final = "qrlogin_logins"

#: How many rows whose time is over one new login deletes at most. A million rows that end at once
#: would keep the database busy for many seconds.
SLICE: Final = 100


@dataclass(frozen=True, slots=True)
class StoredRow:
    """What the table keeps of one login, besides its login_id."""

    record: str
    """The record as a JSON object."""
    garbage_at: int | None
    """When the row may be deleted: milliseconds since 1970. None: never."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a command does to one row."""

    outcome: Outcome
    """What the store returns, and whether it notifies."""
    row: StoredRow | None
    """What to write. None: nothing changes."""
    born: bool
    """Whether the record is made by this command."""


def apply(found: StoredRow | None, command: Command, clock: int) -> Applied:
    """Apply a command to the row that was found.

    :param found: the row; None if there is none.
    :param command: what to apply.
    :param clock: milliseconds since 1970, by the clock of the store.
    :raises ValueError: another program has written the row.
    """
    try:
        if found and found.garbage_at is not None and found.garbage_at <= clock:
            found = None  # its time is over, but it is not deleted yet
        record = _decoded(found.record) if found else {}
    except (TypeError, RecursionError) as error:
        raise ValueError("the row does not hold a record") from error
    outcome = step(record, command, clock)
    if not outcome.changes:
        return Applied(outcome, None, born=False)
    if found:
        garbage_at = found.garbage_at
    else:
        garbage_at = None if command.ttl_ms is None else outcome.reply.now + command.ttl_ms
    text = json.dumps(dict(outcome.reply.record), separators=(",", ":"))
    return Applied(outcome, StoredRow(text, garbage_at), born=found is None)


def _decoded(text: str) -> Record:
    record = json.loads(text)
    if not isinstance(record, dict) or not all(isinstance(each, str) for each in record.values()):
        raise ValueError("the row does not hold a record")
    return record
