"""Long polls by hand, so that a hundred of them need no hundred threads, and their browsers can leave at any moment."""

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any, Self

from tests.examples.story import Desk
from tests.examples.visitors import Visitor
from tests.wire.clock import PATIENCE_SECONDS, eventually

WAIT_S = 25


@dataclass
class Wait:
    """One of them; leaving the block is the browser that leaves."""

    visitor: Visitor
    path: str
    asked_at: float = field(init=False)  # of the monotonic clock
    _line: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._ask()

    def _ask(self) -> None:
        url = self.visitor.http.base_url
        cookies = "; ".join(f"{name}={value}" for name, value in self.visitor.jar().items())
        lines = [
            f"GET {self.path} HTTP/1.1",
            f"Host: {url.host}:{url.port}",
            f"Cookie: {cookies}",
            "Sec-Fetch-Site: same-origin",
        ]
        self.asked_at, self._line = (
            time.monotonic(),
            socket.create_connection((url.host, url.port or 0)),
        )
        self._line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def ask_again_if_answered(self) -> None:
        try:
            self._line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        self._told()
        self._ask()

    def answer(self) -> dict[str, Any]:
        """What it was told."""
        said: dict[str, Any] = json.loads(self._told())
        return said

    def _told(self) -> bytes:
        self._line.settimeout(PATIENCE_SECONDS)
        with self._line, HTTPResponse(self._line) as told:
            told.begin()
            assert told.status == 200, told.status
            return told.read()  # all of it: else closing the line would be a reset

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()


def waiting(desk: Desk) -> Wait:
    return Wait(
        desk.visitor, f"{desk.visitor.mount}{desk.login_id}?after={desk.version}&wait={WAIT_S}"
    )


def full(late: Desk) -> bool:
    """Whether there is no place for this one, whose login is over: a stream that has one tells it that, and ends at once."""
    told = late.visitor.get(f"{late.login_id}/events")
    assert told.status_code in (200, 503), told.text
    return told.status_code == 503


def settle(late: Desk, *waits: Wait) -> None:
    """Returns when these hold every place that there is. Whom `late` was faster than asks again, as browsers do."""
    late.cancel()

    def settled() -> bool:
        for each in waits:
            each.ask_again_if_answered()
        return full(late)

    eventually(settled)


def sooner_than(waits: Sequence[Wait]) -> bool:
    """Whether it is too early for all of these waits to have run out, so somebody must have ended them."""
    return time.monotonic() < max(each.asked_at for each in waits) + WAIT_S
