"""The command that applies a row of the table to one login."""

from collections.abc import Mapping

from qrlogin.reply_checks import RECORD_FORMAT
from qrlogin.step import Command, Reply
from qrlogin.table import TABLE


def wrote(command: Command, reply: Reply) -> bool:
    """Whether the record has the texts of this command. Their seal, which was made for the command,
    needs no check then.
    """
    sent = command.values
    return all(reply.record.get(name) == sent.get(name, "") for name in command.row.writes)


def login_command(
    row: str,
    login_id: str,
    mark: str,
    *,
    values: Mapping[str, str],
    seconds: Mapping[str, int] | None = None,
    deadline_ms: int | None = None,
    ttl: int | None = None,
    beginner: str | None = None,
) -> Command:
    """Apply a row to one login. `seconds` are durations by field; `ttl` is in seconds."""
    if "v" in TABLE[row].guards:
        values = {"v": RECORD_FORMAT, **values}
    durations = {name: value * 1000 for name, value in (seconds or {}).items()}
    ttl_ms = None if ttl is None else ttl * 1000
    return Command(login_id, TABLE[row], mark, values, durations, deadline_ms, ttl_ms, beginner)
