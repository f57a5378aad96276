"""Long polls over bare sockets: a hundred of them need no hundred threads, and each can disconnect
at any moment.
"""

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
class HeldPoll:
    """One long poll. Leaving the `with` block disconnects."""

    visitor: Visitor
    path: str
    sent_at: float = field(init=False)  # seconds of the monotonic clock
    _line: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._send()

    def _send(self) -> None:
        url = self.visitor.http.base_url
        cookies = "; ".join(f"{name}={value}" for name, value in self.visitor.jar().items())
        lines = [
            f"GET {self.path} HTTP/1.1",
            f"Host: {url.host}:{url.port}",
            f"Cookie: {cookies}",
            "Sec-Fetch-Site: same-origin",
        ]
        self.sent_at = time.monotonic()
        self._line = socket.create_connection((url.host, url.port or 0))
        self._line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def resend_if_answered(self) -> None:
        try:
            self._line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        self._read()
        self._send()

    def answer(self) -> dict[str, Any]:
        """The JSON of the answer."""
        answer: dict[str, Any] = json.loads(self._read())
        return answer

    def _read(self) -> bytes:
        self._line.settimeout(PATIENCE_SECONDS)
        with self._line, HTTPResponse(self._line) as answer:
            answer.begin()
            assert answer.status == 200, answer.status
            return answer.read()  # all of it, or closing the socket would send a reset

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()


def hold_poll(desk: Desk) -> HeldPoll:
    """Sends a long poll for the login of this browser."""
    return HeldPoll(
        desk.visitor, f"{desk.visitor.mount}{desk.login_id}?after={desk.version}&wait={WAIT_S}"
    )


def slots_are_full(late: Desk) -> bool:
    """Whether all slots are taken. The login of `late` is over, so a stream that gets a slot ends
    at once."""
    answer = late.visitor.get(f"{late.login_id}/events")
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 503


def wait_until_held(late: Desk, *waits: HeldPoll) -> None:
    """Returns when these polls hold all slots. A poll that found no slot is sent again, as browsers
    do; cancels the login of `late`."""
    late.cancel()

    def all_held() -> bool:
        for each in waits:
            each.resend_if_answered()
        return slots_are_full(late)

    eventually(all_held)


def before_time_out(waits: Sequence[HeldPoll]) -> bool:
    """Whether it is too early for all of these polls to have timed out, so that the server ended
    them."""
    return time.monotonic() < max(each.sent_at for each in waits) + WAIT_S
