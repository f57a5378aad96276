"""What must have happened to a write before a Redis store answers: its argument `durability`.

Redis answers before its replicas and its disk have what was written. So a failover or a crash can
undo what users have been answered. With a durability, the store sends WAIT or WAITAOF behind each
command of a durable row (`table.py`), over the same connection, and gives the answer only if enough
copies have the record.

This module opens no connection and does not import redis.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal, Self
from urllib.parse import unquote

from qrlogin.errors import Misconfigured
from qrlogin.step import Command, Reply, Verdict

#: The option of an address.
_OPTION: Final = "durability="
_SPELLED: Final = re.compile(r"(none|wait|aof)(?:\(([0-9, ]*)\))?")
#: How many numbers each kind takes at most.
_NUMBERS: Final = {"none": 0, "wait": 2, "aof": 3}
_MOST_MS: Final = 60_000
_USAGE: Final = "durability is none, wait(replicas, ms) or aof(local, replicas, ms)"


@dataclass(frozen=True, slots=True)
class Durability:
    """How many copies must have a write before a store answers. Make one with `none`, `wait` or
    `aof`, or with `parse` from its text.
    """

    kind: Literal["none", "wait", "aof"] = "none"
    """Which of the three it is."""
    local: int = 0
    """1: the server itself must have written it to its append-only file."""
    replicas: int = 0
    """How many replicas must have it."""
    ms: int = 0
    """Milliseconds to wait for that."""

    def __post_init__(self) -> None:
        numbers = (self.local, self.replicas, self.ms)
        if self.kind not in ("none", "wait", "aof") or not all(type(one) is int for one in numbers):
            raise Misconfigured(f"{_USAGE}, with whole numbers")
        if self.kind == "none":
            if any(numbers):
                raise Misconfigured("the durability none confirms nothing, and takes no numbers")
            return
        if not 1 <= self.ms <= _MOST_MS:
            raise Misconfigured(f"ms of a durability must be 1 to {_MOST_MS} milliseconds")
        if self.local not in (0, 1) or (self.kind == "wait" and self.local):
            raise Misconfigured("local of a durability is 1 or 0, and only aof has it")
        if self.replicas < 0 or not self.local + self.replicas:
            raise Misconfigured("a durability needs at least one replica, or the server's own file")

    @classmethod
    def none(cls) -> Self:
        """Answer as soon as Redis has the write. A failover or a crash may undo it."""
        return cls()

    @classmethod
    def wait(cls, replicas: int = 1, ms: int = 500) -> Self:
        """Answer when replicas have the write in their memory: WAIT.

        :param replicas: how many of them.
        :param ms: milliseconds after which the call raises `Unavailable`.
        """
        return cls("wait", 0, replicas, ms)

    @classmethod
    def aof(cls, local: int = 1, replicas: int = 0, ms: int = 500) -> Self:
        """Answer when the write is on disk, in append-only files: WAITAOF, which Redis has from 7.2
        on, and Valkey.

        :param local: 1: in that of the server itself; 0: not needed there.
        :param replicas: in those of so many replicas.
        :param ms: milliseconds after which the call raises `Unavailable`. With `appendfsync
            everysec`, the server writes once a second.
        """
        return cls("aof", local, replicas, ms)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The durability that this text spells as `str` does: none, wait(1, 500), aof(1, 0, 500).

        Raises `Misconfigured` for another text.
        """
        match = _SPELLED.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise Misconfigured(f"{_USAGE}; in an address durability=wait(1,500)")
        make: Any = {"none": cls.none, "wait": cls.wait, "aof": cls.aof}[match[1]]
        numbers = [one.strip() for one in (match[2] or "").split(",") if one.strip()]
        if not all(one.isdigit() for one in numbers) or len(numbers) > _NUMBERS[match[1]]:
            raise Misconfigured(_USAGE)
        made: Self = make(*map(int, numbers))
        return made

    def __str__(self) -> str:
        match self.kind:
            case "wait":
                return f"wait({self.replicas}, {self.ms})"
            case "aof":
                return f"aof({self.local}, {self.replicas}, {self.ms})"
        return "none"

    def __bool__(self) -> bool:
        """Whether it confirms anything."""
        return self.kind != "none"

    def check_timeout(self, seconds: float | None) -> None:
        """Raise `Misconfigured` unless a connection waits longer for its reply than this durability
        for copies.

        :param seconds: the connection's time-out; None: it has none.
        """
        if seconds is not None and self.ms >= seconds * 1000:
            raise Misconfigured(
                f"the durability waits {self.ms} ms, so the timeout of {seconds:g} s ends first: "
                "make its ms shorter, or the timeout longer"
            )

    @property
    def words(self) -> tuple[str | int, ...]:
        """The command that waits for the copies."""
        if self.kind == "wait":
            return ("WAIT", self.replicas, self.ms)
        return ("WAITAOF", self.local, self.replicas, self.ms)

    def released(self, answer: object, copies: Any) -> object:
        """The script's answer, or a `Shortfall` in its place if too few copies have the write.

        :param answer: of the script.
        :param copies: what the server answered to `words`; or the exception, if it refused.
        """
        missing = self._missing(copies)
        return Shortfall(missing, answer) if missing else answer

    def _missing(self, copies: Any) -> str:
        if isinstance(copies, Exception):
            return _refused(self.words[0], copies)
        local, replicas = (0, copies) if self.kind == "wait" else copies
        missing = []
        if local < self.local:
            missing.append("the server's append-only file did not have the write")
        if replicas < self.replicas:
            missing.append(f"{replicas} of {self.replicas} replicas had the write")
        return f"{' and '.join(missing)} after {self.ms} ms" if missing else ""


NONE: Final = Durability.none()


class Shortfall(Exception):
    """Too few copies have a write. Its text says what is missing."""

    def __init__(self, missing: str, answer: object) -> None:
        super().__init__(missing)
        self.answer = answer
        """The answer of the script, which is not to be released."""


def from_address(address: str, durability: Durability) -> tuple[str, Durability]:
    """The address without its option `durability=…`, and the durability that it names.

    :param address: the address of a Redis.
    :param durability: what holds if the address names none.
    """
    start, mark, query = address.partition("?") if isinstance(address, str) else (address, "", "")
    others = []
    for option in query.split("&") if mark else ():
        if option.startswith(_OPTION):
            durability = Durability.parse(unquote(option.removeprefix(_OPTION)))
        else:
            others.append(option)
    return (f"{start}?{'&'.join(others)}" if others else start), durability


def releases(command: Command, reply: Reply) -> bool:
    """Whether users rely on this answer from then on, so that it needs its copies.

    A refusal that rests on no change of a person needs none: of a caller that proves nothing, of a
    poll before the approval, and of a login that does not exist.
    """
    return (
        bool(reply.record)
        and reply.verdict not in (Verdict.FORBIDDEN, Verdict.SLOW)
        and reply.record.get("state") not in command.row.paces
    )


def _refused(command: object, error: Exception) -> str:
    text = str(error).lower()
    if "unknown command" in text:
        return f"this server has no {command}, which needs Redis 7.2 or newer, or Valkey"
    if "appendonly is disabled" in text:
        return "this server keeps no append-only file: set appendonly yes"
    if "permission" in text:
        return f"this user may not run {command}: give it +{str(command).lower()}"
    return f"{command} failed ({type(error).__name__})"
