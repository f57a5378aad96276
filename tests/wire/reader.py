"""Reads a stream as an EventSource does: bytes to events, as WHATWG HTML section 9.2.6 says.

A connection may end anywhere. An event without its blank line is dropped, and so is its id.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from qrlogin.wire import Request, Response
from tests.wire.mount import Mount, Tab, get


@dataclass(frozen=True)
class Event:
    kind: str
    data: str
    last_id: str

    @property
    def json(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.data)
        return fields


@dataclass
class Parser:
    """Keeps the state of an EventSource across connections: the last id and the retry time."""

    last_id: str = ""
    retry: int = 0
    heard: list[Event] = field(default_factory=list)
    _rest: bytes = b""

    def connected(self) -> None:
        self._rest = b""

    def feed(self, part: bytes) -> list[Event]:
        """The events that these bytes completed."""
        *blocks, self._rest = (self._rest + part).split(b"\n\n")
        new = [event for block in blocks if (event := self._event(block.decode()))]
        self.heard += new
        return new

    def _event(self, block: str) -> Event | None:
        kind, data = "message", list[str]()
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match name:
                case "id":
                    self.last_id = value
                case "event":
                    kind = value
                case "data":
                    data.append(value)
                case "retry":
                    self.retry = int(value)
        return Event(kind, "\n".join(data), self.last_id) if data else None


class Stream:
    """A streamed response of either colour, read part by part. Leaving the block closes it."""

    def __init__(self, mount: Mount, answer: Response) -> None:
        self.mount, self.answer = mount, answer
        assert answer.events is not None, (answer.status, answer.body)
        self._parts: Any = answer.events
        self.sent = b""

    def part(self) -> bytes:
        """The next part; b"" at the end."""
        if isinstance(self._parts, Iterator):
            part = next(self._parts, b"")
        else:
            try:
                part = self.mount.now(asyncio.wait_for(anext(self._parts), 20))
            except StopAsyncIteration:
                part = b""
        self.sent += part
        return part

    def parts(self, number: int) -> bytes:
        return b"".join(self.part() for _ in range(number))

    def rest(self) -> bytes:
        """All remaining parts, until the stream ends by itself."""
        return b"".join(iter(self.part, b""))

    def close(self) -> None:
        parts: Any = self._parts
        self.mount.now(parts.close() if hasattr(parts, "close") else parts.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask_for_events(tab: Tab, last_id: str = "", query: str = "") -> Response:
    return tab.send(_events(tab, last_id, query))


def _events(tab: Tab, last_id: str, query: str) -> Request:
    return get(f"{tab.login_id}/events", query, *([("last-event-id", last_id)] if last_id else []))


def events(tab: Tab, last_id: str = "", query: str = "") -> Stream:
    return Stream(tab.mount, ask_for_events(tab, last_id, query))


def happened(tab: Tab) -> dict[str, Any]:
    """The status of the login, by a short poll."""
    fields: dict[str, Any] = json.loads(tab.look().body)
    return fields
