"""How a command is spelled for Redis, and how the script's reply is read: keys, channels and JSON.

It opens no connection and does not import redis, so both Redis stores use it as it is.
"""

import json
import re
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Reply, Verdict
from qrlogin.table import Row

SCRIPT: Final = files("qrlogin").joinpath("step.lua").read_text(encoding="utf-8")

#: How many channels, and parts of the key space, the logins are spread over. Never change it:
#: processes of different versions share the keys.
BUCKETS: Final = 64

#: Printable ASCII without the braces, which mark the part of a key that Cluster hashes.
_PREFIX = re.compile(r"[!-z|~]{1,64}")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as EVAL takes it, and its name for EVALSHA."""

    text: str
    sha: str


def _script(text: str) -> Script:
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


#: For what begins a login: a server that has reached `maxmemory` refuses it.
BEGINNING: Final = _script(SCRIPT)
#: For all else: such a server runs it all the same. A login that is under way grows by a few
#: hundred bytes, and ends. The flag is known from Redis 7.0 and Valkey 7.2 on.
UNDER_WAY: Final = _script(f"#!lua flags=allow-oom\n{SCRIPT}")

#: How a server that does not know the flag answers: its Lua cannot read the first line.
_NO_FLAGS: Final = re.compile("compiling|near '#'|shebang", re.IGNORECASE)

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class RedisCalls:
    """The keys and channels under one prefix, and the arguments of the script.

    :param prefix: begins every key and channel. `Misconfigured` is raised for one that Redis or
        Cluster would misread.
    :param now: returns milliseconds since 1970, in place of the server's clock; None: the server's
        clock.
    """

    def __init__(self, prefix: str, now: Callable[[], int] | None) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise Misconfigured(
                "prefix must be 1 to 64 printable ASCII characters without spaces and braces, "
                "such as 'qrlogin:'"
            )
        self._now = now
        # Exact names in place of one pattern: the server compares every PUBLISH, also of other
        # applications, with every pattern; an ACL grants a pattern only if it is spelled the same;
        # and a prefix may hold a wildcard's character.
        self.channels = [f"{prefix}{{b{bucket:02}}}" for bucket in range(BUCKETS)]
        self._rows: dict[str, tuple[Row, str]] = {}  # rows as JSON, by name
        self._knows_flags = True

    def channel(self, login_id: str) -> str:
        """The channel on which changes of this login are published."""
        return self.channels[zlib.crc32(login_id.encode()) % BUCKETS]

    def script(self, command: Command) -> Script:
        """The script that carries this command out."""
        return UNDER_WAY if command.beginner is None and self._knows_flags else BEGINNING

    def must_do_without_flags(self, script: Script, error: Exception) -> bool:
        """Whether this error of EVAL says that the server does not know the flags of a script. If
        so, `script` returns the plain one from now on.
        """
        if script is UNDER_WAY and _NO_FLAGS.search(str(error)):
            self._knows_flags = False
        return script is UNDER_WAY and not self._knows_flags

    def arguments(self, command: Command) -> tuple[str | bytes | int, ...]:
        """The arguments of EVALSHA or EVAL after the script: the number of keys, the key, and ARGV
        of `step.lua`.
        """
        channel = self.channel(command.login_id)
        now = "" if self._now is None else str(self._now())
        return 1, f"{channel}:{command.login_id}", self._json(command), channel, now

    def _json(self, command: Command) -> bytes:
        values = {
            "login_id": command.login_id,
            "mark": command.mark,
            "values": dict(command.values),
            "durations": dict(command.durations),
            "deadline_ms": command.deadline_ms,
            "ttl_ms": command.ttl_ms,
        }
        # A value of None is left out: in the script, a JSON null would count as true.
        text = _to_json({name: value for name, value in values.items() if value is not None})
        return f'{text[:-1]},"row":{self._row(command.row)}}}'.encode("utf-8", "surrogateescape")

    def _row(self, row: Row) -> str:
        # Rows are constants, and spelling one as JSON takes longer than the rest of the command.
        cached = self._rows.get(row.name)
        if cached is None or cached[0] is not row:
            cached = self._rows[row.name] = row, _row_json(row)
        return cached[1]


def _row_json(row: Row) -> str:
    columns = {column.name: getattr(row, column.name) for column in fields(row)}
    columns |= {"sources": dict(row.sources), "starts": dict(row.starts)}
    columns["count"] = asdict(row.count) if row.count else None
    return _to_json({name: value for name, value in columns.items() if value is not None})


def read_reply(raw: Any) -> Reply:
    """The script's answer, from a client that decodes replies or one that does not.

    Raises `Unavailable` for an answer that `step.lua` of this version does not give.
    """
    try:
        login_id, mark, verdict, now, flat = raw
        texts = [as_text(text) for text in flat]
        record = dict(zip(texts[::2], texts[1::2], strict=True))
        return Reply(as_text(login_id), as_text(mark), Verdict(as_text(verdict)), int(now), record)
    except (TypeError, ValueError) as error:
        raise Unavailable(
            "the store sent a reply that this version of qrlogin cannot read"
        ) from error


def as_text(raw: str | bytes) -> str:
    """What a client read, decoded if the client does not decode."""
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
