"""How a command is spelled for Redis, and how the reply is read: keys, channels, arguments.

It opens no connection and does not import redis, so both Redis stores use it as it is.
"""

import json
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Reply, Verdict
from qrlogin.stores.redis_script import ALLOW_OOM, RowScripts, Script
from qrlogin.table import Row

#: How many channels, and parts of the key space, the logins are spread over. Never change it:
#: processes of different versions share the keys.
BUCKETS: Final = 64

#: Printable ASCII without the braces, which mark the part of a key that Cluster hashes.
_PREFIX = re.compile(r"[!-z|~]{1,64}")

#: How a server that does not know the flag answers: its Lua cannot read the first line.
_NO_FLAGS: Final = re.compile("compiling|near '#'|shebang", re.IGNORECASE)

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class RedisCalls:
    """The keys and channels under one prefix, and the arguments of the script.

    :param prefix: begins every key and channel. `Misconfigured` is raised for one that Redis or
        Cluster would misread.
    :param now: returns milliseconds since 1970, in place of the server's clock; None: the server's
        clock.
    :param durable: whether the scripts of durable rows write the record also if it stays the same.
    """

    def __init__(
        self, prefix: str, now: Callable[[], int] | None, *, durable: bool = False
    ) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise Misconfigured(
                "prefix must be 1 to 64 printable ASCII characters without spaces and braces, "
                "such as 'qrlogin:'"
            )
        self._now, self._durable = now, durable
        # Exact names in place of one pattern: the server compares every PUBLISH, also of other
        # applications, with every pattern; an ACL grants a pattern only if it is spelled the same;
        # and a prefix may hold a wildcard's character.
        self.channels: list[str] = [f"{prefix}{{b{bucket:02}}}" for bucket in range(BUCKETS)]
        self._scripts: dict[str, RowScripts] = {}  # by the row's name
        self._knows_flags = True

    def channel(self, login_id: str) -> str:
        """The channel on which changes of this login are published."""
        return self.channels[zlib.crc32(login_id.encode()) % BUCKETS]

    def script(self, command: Command) -> Script:
        """The script that carries this command out."""
        scripts = self._scripts_of(command.row)
        if command.beginner is None and self._knows_flags:
            return scripts.under_way
        return scripts.beginning

    def must_do_without_flags(self, script: Script, error: Exception) -> bool:
        """Whether this error of EVAL says that the server does not know the flags of a script. If
        so, `script` returns the plain one from now on.
        """
        has_flags = script.text.startswith(ALLOW_OOM)
        if has_flags and _NO_FLAGS.search(str(error)):
            self._knows_flags = False
        return has_flags and not self._knows_flags

    def arguments(self, command: Command) -> tuple[str | bytes | int, ...]:
        """The arguments of EVALSHA or EVAL after the script: the number of keys, the key, and ARGV
        of `step.lua`.
        """
        login_id, channel = command.login_id, self.channel(command.login_id)
        scripts = self._scripts_of(command.row)
        values, durations = command.values, command.durations
        return (
            1,
            f"{channel}:{login_id}",
            _as_bytes(f'{_to_json([login_id, command.mark])[:-1]},"'),
            _as_bytes(command.mark),
            "" if self._now is None else self._now(),
            "" if command.deadline_ms is None else command.deadline_ms,
            "" if command.ttl_ms is None else command.ttl_ms,
            channel,
            f"{login_id} ",
            *[_as_bytes(values.get(name, "")) for name in scripts.values],
            *[durations.get(name, 0) for name in scripts.durations],
        )

    def _scripts_of(self, row: Row) -> RowScripts:
        # Rows are constants, and making a script takes longer than all else of a command.
        cached = self._scripts.get(row.name)
        if cached is None or cached.row is not row:
            cached = self._scripts[row.name] = RowScripts.of(row, durable=self._durable)
        return cached


class OutOfStep(ConnectionError):
    """A connection delivered the reply to another command, and must not be used again."""


def check_answers(commands: Iterable[Sequence[object]], answers: Iterable[object]) -> None:
    """Raise `OutOfStep` unless each answer is an error or the reply to its command.

    :param commands: EVALSHA or EVAL, with the arguments of a script.
    :param answers: the answer to each, as the client returns it.
    """
    for words, answer in zip(commands, answers, strict=True):
        begins: Any = words[4]  # the script puts it first
        if isinstance(answer, str):
            answer = answer.encode("utf-8", "surrogateescape")
        fits = isinstance(answer, bytes) and answer.startswith(begins)
        if not (fits or isinstance(answer, Exception)):
            raise OutOfStep("the reply is to another command")


def read_reply(raw: Any) -> Reply:
    """The script's answer, from a client that decodes replies or one that does not.

    Raises `Unavailable` for an answer that `step.lua` of this version does not give.
    """
    try:
        login_id, mark, verdict, now, record = json.loads(as_text(raw))
        if not all(isinstance(text, str) for text in record.values()):
            raise TypeError("a record holds texts")
        return Reply(login_id, mark, Verdict(verdict), int(now), record)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise Unavailable(
            "the store sent a reply that this version of qrlogin cannot read"
        ) from error


def as_text(raw: str | bytes) -> str:
    """What a client read, decoded if the client does not decode."""
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
