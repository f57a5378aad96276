"""Long polls by hand, so that a hundred of them need no hundred threads."""

import json
import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.examples.story import Desk

WAIT_S = 25


def park(*desks: Desk) -> Sequence[socket.socket]:
    """Each waits for news of its login, and is held when this returns."""
    lines = [_asked(desk) for desk in desks]
    assert desks[0].look()["state"] == "pending"  # asked after all of them: they have been heard
    time.sleep(0.5)
    for line in lines:
        line.setblocking(False)
        with pytest.raises(BlockingIOError):  # not answered
            line.recv(1, socket.MSG_PEEK)
    return lines


def _asked(desk: Desk) -> socket.socket:
    url = desk.visitor.http.base_url
    asked = f"{desk.visitor.mount}{desk.login_id}?after={desk.version}&wait={WAIT_S}"
    cookies = "; ".join(f"{name}={value}" for name, value in desk.visitor.jar().items())
    lines = [f"GET {asked} HTTP/1.1", f"Host: {url.host}:{url.port}", f"Cookie: {cookies}", "Sec-Fetch-Site: same-origin"]
    line = socket.create_connection((url.host, url.port or 0))
    line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return line


def answer(line: socket.socket) -> dict[str, Any]:
    """What it was told, with 200, and that is the end of the line."""
    line.setblocking(True)
    line.settimeout(1)
    heard = b""
    while not heard.rstrip().endswith((b"}", b"}\r\n0")) and (part := line.recv(65536)):
        heard += part
    line.close()
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), heard[:200]
    said: dict[str, Any] = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    return said
