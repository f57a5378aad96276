"""SIGTERM under a hundred parked browsers: each example is gone within two seconds, and nobody's wait ends in an error.

What is promised is a time, so it is held against a clock; `SLOW` is how long the machine itself may take for an idle example.
"""

import json
import socket
import time

import pytest

from tests.examples.running import ALL, DJANGO, FASTAPI, FLASK, Example, Running
from tests.examples.story import Desk
from tests.examples.visitors import OfExamples
from tests.servers import LOOPBACK
from tests.wire.clock import eventually

PARKED = 100
PROMISED_S = 2.0
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
    lines = [f"GET {desk.visitor.mount}{desk.login_id}?after={desk.version}&wait=25 HTTP/1.1", f"Host: {LOOPBACK}:{running.port}"]
    lines += [f"Cookie: {cookies}", "Sec-Fetch-Site: same-origin", "Connection: keep-alive"]
    line = socket.create_connection((LOOPBACK, running.port))
    line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return line


@pytest.mark.parametrize(("example", "command"), COMMANDS, ids=lambda value: getattr(value, "name", value))
def test_a_hundred_parked_browsers_do_not_keep_it(example: Example, command: str) -> None:
    assert example in ALL.values()
    with Running(example, start=command, QRLOGIN_MAX_WAITING="128") as running:
        desks = [Desk(OfExamples().browser(running.origin)).begin() for _ in range(PARKED)]
        lines = [parked(running, desk) for desk in desks]
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
            line.setblocking(True)
            line.settimeout(1)
            answer = b""
            while part := line.recv(65536):
                answer += part
                if b"\r\n\r\n" in answer and answer.endswith(b"}"):
                    break
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), answer[:200]
            assert json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])["state"] == "pending"
            line.close()
        for desk in desks:
            desk.visitor.http.close()
        assert took < PROMISED_S, f"it took {took:.1f} s\n{running.log}"
