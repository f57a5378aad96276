"""What a browser is told over a stream, and how it is spelled as server-sent events: without colour and without I/O.

One engine with two mouths. `Feed` compares where a login stands with what its browser was told last and says what is news; the
endpoint carries that as an event (WHATWG HTML section 9.2) or as a message of a websocket. The JSON is that of a status.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Self

from qrlogin.answers import Status
from qrlogin.codes import DeviceCode
from qrlogin.errors import Misconfigured, Superseded
from qrlogin.table import TERMINAL, State
from qrlogin.wire.message import Response

_CURSOR: Final = re.compile(r"([0-9]{1,15})(-expired)?")
# Some clients read in pieces of 128 bytes, and some proxies hold back what is shorter.
_FIRST: Final = (
    b": qrlogin tells here where one login stands; each event holds the JSON of a status.".ljust(
        160, b" "
    )
)
#: Longer than any login lives: an EventSource that was taken over from must not come back and take over in its turn.
_NEVER_MS: Final = 600_000

# How a websocket ends (RFC 6455 section 7.4.1; 4000 and up are an application's own)
DONE, COME_BACK, TOO_MUCH, TOO_LONG, CROWDED, TAKEN_OVER = 1000, 1001, 1008, 1009, 1013, 4409


@dataclass(frozen=True, slots=True)
class Streaming:
    """How long a stream lives, after how many seconds of silence it says that it is there, and when to come back (ms, random)."""

    life: float = 60.0  # seconds; below the patience of proxies, and a browser that vanished unseen keeps its place no longer
    heartbeat: float = 15.0  # seconds
    retry_ms: tuple[int, int] = (1000, 3000)

    def __post_init__(self) -> None:
        if not (self.life > 0 and self.heartbeat > 0 and 0 < self.retry_ms[0] <= self.retry_ms[1]):
            raise Misconfigured(
                "life and heartbeat are seconds above 0; retry_ms are the least and the most milliseconds"
            )


STREAMING: Final = Streaming()


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a browser was told last. That a login expired is no change of it, and so has no version of its own."""

    version: int | None = None  # None: nothing
    expired: bool = False

    @classmethod
    def read(cls, text: str) -> Self | None:
        """An `id:` of a stream, if `text` is one."""
        found = _CURSOR.fullmatch(text)
        return cls(int(found[1]), bool(found[2])) if found else None

    def knows(self, seen: Status) -> bool:
        return self.expired if seen.state is State.EXPIRED else self.version == seen.version


@dataclass(frozen=True, slots=True)
class Stream:
    """A status that is told whenever there is news, until the login is over."""

    device: DeviceCode = field(repr=False)
    cursor: Cursor
    opened: Response  # without its events
    nothing: Response  # when all has been told

    def has_nothing_to_send(self, seen: Status) -> bool:
        return is_over(seen) and self.cursor.knows(seen)


class ItemKind(Enum):
    """What kind of thing is told."""

    OPEN = auto()
    STATE = auto()  # the login has come to another state
    CODE = auto()  # it has not, but its picture is another
    BEAT = auto()  # nothing: the stream is still there
    SUPERSEDED = auto()  # a newer wait or stream of this login took over; do not come back
    OVER = auto()  # all is told
    LATER = auto()  # not all is told: come back with the cursor


@dataclass(frozen=True, slots=True)
class StreamItem:
    kind: ItemKind
    seen: Status | None = None


class Feed:
    """What one browser has to hear next, after all that it was told."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor, self._code = cursor, ""

    def tell(self, seen: Status) -> StreamItem:
        known = self._cursor.knows(seen)
        rotated = (
            seen.scan_code != self._code
        )  # a page that came back may show a picture that is dead by now
        self._cursor, self._code = Cursor(seen.version, seen.state is State.EXPIRED), seen.scan_code
        if not known:
            return StreamItem(ItemKind.STATE, seen)
        return (
            StreamItem(ItemKind.CODE, seen)
            if rotated and seen.scan_code
            else StreamItem(ItemKind.BEAT)
        )


def is_over(seen: Status) -> bool:
    """Whether nothing more will come."""
    return seen.state is State.EXPIRED or seen.state in TERMINAL


def event(told: StreamItem, answer: Callable[[Status], Response], streaming: Streaming) -> bytes:
    """`told` as bytes of a text/event-stream; none for an end, which is the end of the stream."""
    match told:
        case StreamItem(ItemKind.STATE, Status() as seen):
            expired = "-expired" if seen.state is State.EXPIRED else ""
            return b"id: %d%s\ndata: %s\n\n" % (seen.version, expired.encode(), answer(seen).body)
        case StreamItem(ItemKind.CODE, Status() as seen):
            return b"event: code\ndata: %s\n\n" % answer(seen).body
        case StreamItem(ItemKind.OPEN):
            return b"%s\nretry: %d\n\n" % (_FIRST, random.randint(*streaming.retry_ms))  # noqa: S311 - to spread, not to hide
        case StreamItem(ItemKind.BEAT):
            return b":\n\n"
        case StreamItem(ItemKind.SUPERSEDED):
            why = Response.json(
                409, {"error": Superseded.wire_code, "error_description": Superseded.wire_text}
            )
            return b"retry: %d\nevent: superseded\ndata: %s\n\n" % (_NEVER_MS, why.body)
    return b""


def message(told: StreamItem, answer: Callable[[Status], Response]) -> str:
    """`told` as a message of a websocket; "" if it is none."""
    return "" if told.seen is None else answer(told.seen).body.decode()


def close_code(told: StreamItem) -> int:
    """With what a websocket ends after this."""
    return {ItemKind.OVER: DONE, ItemKind.SUPERSEDED: TAKEN_OVER}.get(told.kind, COME_BACK)
