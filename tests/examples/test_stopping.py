"""SIGTERM under a hundred parked browsers: each example is gone long before their waits would end, and none ends in an error.

How long it took is printed. What is promised is two seconds on a machine that does nothing else:
`pytest tests/examples/test_stopping.py -n0 -s`.
"""

import json
import socket
import time
from typing import Any

import pytest

from tests.examples.running import DJANGO, FASTAPI, FLASK, Example, Running
from tests.examples.story import Desk
from tests.examples.visitors import OfExamples
from tests.servers import LOOPBACK
from tests.wire.clock import eventually

PARKED = 100
WAIT_S = 25
#: How to start each with room for a hundred: as its README does, or with more threads.
COMMANDS: list[tuple[Example, str]] = [
    (FLASK, ""),
    (FLASK, "gunicorn --bind 127.0.0.1:{port} --threads 256 app:app"),
    (FASTAPI, ""),
    (DJANGO, "gunicorn --bind 127.0.0.1:{port} --threads 256 config.wsgi"),
    (DJANGO, "uvicorn --port {port} config.asgi:application"),
]


def parked(running: Running, desk: Desk) -> socket.socket:
    """A long poll by hand, so that a hundred of them need no hundred threads."""
    cookies = "; ".join(f"{name}={value}" for name, value in desk.visitor.jar().items())
    lines = [
        f"GET {desk.visitor.mount}{desk.login_id}?after={desk.version}&wait={WAIT_S} HTTP/1.1",
        f"Host: {LOOPBACK}:{running.port}",
    ]
    lines += [f"Cookie: {cookies}", "Sec-Fetch-Site: same-origin", "Connection: keep-alive"]
    line = socket.create_connection((LOOPBACK, running.port))
    line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return line


@pytest.mark.long
@pytest.mark.parametrize(("example", "command"), COMMANDS, ids=lambda value: getattr(value, "name", value))
def test_a_hundred_parked_browsers_do_not_keep_it(example: Example, command: str) -> None:
    with Running(example, start=command, QRLOGIN_MAX_WAITING="128") as running:
        desks = [Desk(OfExamples().browser(running.origin)).begin() for _ in range(PARKED)]
        lines = [parked(running, desk) for desk in desks]
        assert desks[0].look()["state"] == "pending"  # asked after all of them: they have been heard
        time.sleep(0.5)
        for line in lines:
            line.setblocking(False)
            with pytest.raises(BlockingIOError):  # not answered: it is parked
                line.recv(1, socket.MSG_PEEK)
        begun = time.monotonic()
        running.stop()
        eventually(running.ended)
        took = time.monotonic() - begun
        for line in lines:
            assert answer(line)["state"] == "pending"
            line.close()
        for desk in desks:
            desk.visitor.http.close()
        assert took < WAIT_S / 3, running.log[-2000:]
    print(f"{example.name}, {command or 'as in its README'}: ended after {took:.2f} s")


def answer(line: socket.socket) -> dict[str, Any]:
    line.setblocking(True)
    line.settimeout(1)
    heard = b""
    while not heard.rstrip().endswith((b"}", b"}\r\n0")) and (part := line.recv(65536)):
        heard += part
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), heard[:200]
    said: dict[str, Any] = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    return said
