"""What a stream sends and when it waits, the same for blocking and asyncio code. It opens no
connection, but reads the clock and draws a random delay.

`conversation` compares the status of a login with the one that its browser has seen, and yields
what is new. An endpoint sends that as server-sent events (WHATWG HTML section 9.2) or as messages
of a websocket. The JSON is that of a status.
"""

import random
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Self

from qrlogin.answers import Status
from qrlogin.clock import monotonic
from qrlogin.codes import DeviceCode
from qrlogin.errors import Misconfigured, QRLoginError, Superseded
from qrlogin.news import is_over
from qrlogin.table import State
from qrlogin.wire.message import Response

_CURSOR: Final = re.compile(r"([0-9]{1,15})(-expired)?")
# Some clients read in pieces of 128 bytes, and some proxies hold back what is shorter.
_OPENING_COMMENT: Final = (
    b": This stream sends each change of one login; an event holds the JSON of a status.".ljust(
        160, b" "
    )
)
#: Longer than any login lives: an EventSource that was superseded must not come back and supersede
#: the newer one in its turn.
_RETRY_SUPERSEDED_MS: Final = 600_000

# Close codes of a websocket (RFC 6455 section 7.4.1; an application may use 4000 and above)
CLOSE_DONE: Final = 1000
CLOSE_COME_BACK: Final = 1001
CLOSE_TOO_MANY_MESSAGES: Final = 1008
CLOSE_TOO_LONG: Final = 1009
CLOSE_CROWDED: Final = 1013
CLOSE_SUPERSEDED: Final = 4409


@dataclass(frozen=True, slots=True)
class Streaming:
    """The times of an endpoint's streams. Raises `Misconfigured` unless all are above 0."""

    life: float = 60.0
    """Seconds until a stream ends and its browser comes back. Keep it below the time-outs of
    proxies. A browser that vanished unnoticed keeps its slot for as long."""
    heartbeat: float = 15.0
    """Seconds without news after which a comment is sent, which keeps the connection open."""
    retry_ms: tuple[int, int] = (1000, 3000)
    """The least and the most milliseconds after which a browser comes back. Each stream picks a
    random value between them."""

    def __post_init__(self) -> None:
        if not (self.life > 0 and self.heartbeat > 0 and 0 < self.retry_ms[0] <= self.retry_ms[1]):
            raise Misconfigured(
                "life and heartbeat must be seconds above 0, and "
                "retry_ms the least and the most milliseconds"
            )


STREAMING: Final = Streaming()


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a browser has seen last. Expiry changes no record, so it has no version of its own."""

    version: int | None = None
    """None: the browser has seen nothing."""
    expired: bool = False
    """Whether the browser has seen that the login expired."""

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The cursor in an `id:` of a stream. None if `text` is not one."""
        found = _CURSOR.fullmatch(text)
        return cls(int(found[1]), bool(found[2])) if found else None

    def includes(self, status: Status) -> bool:
        """Whether the browser has seen this status already."""
        return self.expired if status.state is State.EXPIRED else self.version == status.version


@dataclass(frozen=True, slots=True)
class Stream:
    """A status that is sent again whenever it has news, until the login is over."""

    device: DeviceCode = field(repr=False)
    """The browser's device_code, as `Core.read_device_code` returns it."""
    cursor: Cursor
    """What the browser has seen before this stream."""
    response: Response
    """Status and headers of the stream. The endpoint adds the events."""
    finished_response: Response
    """The answer when there will be no news: the login is over, and the browser has seen that."""

    def is_finished(self, status: Status) -> bool:
        """Whether the login is over and the browser has seen that."""
        return is_over(status) and self.cursor.includes(status)


class ItemKind(Enum):
    """What a stream sends next. The last three end it."""

    STATE = auto()
    """A new state of the login."""
    CODE = auto()
    """The same state, with a new QR code, or without one from now on."""
    HEARTBEAT = auto()
    """Nothing new."""
    OVER = auto()
    """The login is over, and the browser has seen that."""
    SUPERSEDED = auto()
    """A newer wait or stream of this login took over: the browser must not come back."""
    COME_BACK = auto()
    """The login goes on: the browser comes back with its cursor."""


@dataclass(frozen=True, slots=True)
class StreamItem:
    """One thing to send, with the status that it is about (only STATE and CODE have one)."""

    kind: ItemKind
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class WaitForNews:
    """Asks the endpoint for the next status: the arguments of `Watch.wait`."""

    after: int | None
    """The version that was sent last. None: the wait is the first one, which returns the status at
    once, because its `timeout` is 0.
    """
    timeout: float
    """Seconds."""
    status: Status | None = None
    """The status that the last wait returned; None for the first wait. It saves a read."""


def conversation(
    cursor: Cursor, life: float, heartbeat: float, is_ended: Callable[[], bool]
) -> Generator[StreamItem | WaitForNews, Status, None]:
    """One stream from its first status to its end.

    The endpoint sends each item to the browser, and each status for which a `WaitForNews` asks back
    into this generator. Whenever a wait raises, `last_item` replaces the rest.

    :param cursor: What the browser has seen before.
    :param life: Seconds until the browser has to come back.
    :param heartbeat: Seconds without news after which a HEARTBEAT is due.
    :param is_ended: Whether the wait was ended from outside: the browser left, or the server stops.
    """
    ends = monotonic() + life
    scan_code: str | None = None
    status = yield WaitForNews(after=None, timeout=0)
    while True:
        # A browser that came back may show a code that is not valid any more, so every stream sends
        # the first code that it reads. "" is news, too: the code has left the screen.
        has_new_code = status.state is State.PENDING and status.scan_code != scan_code
        if not cursor.includes(status):
            yield StreamItem(ItemKind.STATE, status)
        elif has_new_code:
            yield StreamItem(ItemKind.CODE, status)
        else:
            yield StreamItem(ItemKind.HEARTBEAT)
        cursor, scan_code = Cursor(status.version, status.state is State.EXPIRED), status.scan_code
        if is_over(status):
            yield StreamItem(ItemKind.OVER)
            return
        left = ends - monotonic()
        if is_ended() or left <= 0:
            yield StreamItem(ItemKind.COME_BACK)
            return
        status = yield WaitForNews(status.version, min(left, heartbeat), status)


def last_item(error: QRLoginError) -> StreamItem:
    """How a stream ends when its wait raises. A browser that comes back gets the error itself."""
    superseded = isinstance(error, Superseded)
    return StreamItem(ItemKind.SUPERSEDED if superseded else ItemKind.COME_BACK)


def encode_opening(streaming: Streaming) -> bytes:
    """The first bytes of a text/event-stream."""
    retry_ms = random.randint(*streaming.retry_ms)  # noqa: S311 - jitter, not security
    return b"%s\nretry: %d\n\n" % (_OPENING_COMMENT, retry_ms)


def encode_sse(item: StreamItem, answer: Callable[[Status], Response]) -> bytes:
    """`item` as bytes of a text/event-stream; b"" where the end of the response says it all."""
    match item:
        case StreamItem(ItemKind.STATE, Status() as status):
            expired = b"-expired" if status.state is State.EXPIRED else b""
            return b"id: %d%s\ndata: %s\n\n" % (status.version, expired, answer(status).body)
        case StreamItem(ItemKind.CODE, Status() as status):
            return b"event: code\ndata: %s\n\n" % answer(status).body
        case StreamItem(ItemKind.HEARTBEAT):
            return b":\n\n"
        case StreamItem(ItemKind.SUPERSEDED):
            why = Response.json(
                409, {"error": Superseded.wire_code, "error_description": Superseded.wire_text}
            )
            return b"retry: %d\nevent: superseded\ndata: %s\n\n" % (_RETRY_SUPERSEDED_MS, why.body)
    return b""


def encode_message(item: StreamItem, answer: Callable[[Status], Response]) -> str:
    """`item` as a message of a websocket; "" where no message is sent."""
    return "" if item.status is None else answer(item.status).body.decode()


def close_code(item: StreamItem) -> int:
    """The code that a websocket is closed with when `item` is the last."""
    codes = {ItemKind.OVER: CLOSE_DONE, ItemKind.SUPERSEDED: CLOSE_SUPERSEDED}
    return codes.get(item.kind, CLOSE_COME_BACK)
