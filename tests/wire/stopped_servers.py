"""Real servers with the application of `stopped.py`, for tests that stop them or count what they
hold.
"""

import contextlib
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import LOOPBACK, missing
from tests.wire.clock import START_SECONDS, eventually

ROOT = Path(__file__).parents[2]
_BIND = ("--bind", f"{LOOPBACK}:0")
_UVICORN = ("uvicorn", "tests.wire.stopped:asgi", "--host", LOOPBACK, "--port", "0")
_HYPERCORN = ("hypercorn", "tests.wire.stopped:asgi", *_BIND)
_GUNICORN_OPTIONS = ("--keep-alive", "1", "--worker-tmp-dir", "{folder}", "--no-control-socket")
_GUNICORN = ("gunicorn", "tests.wire.stopped:wsgi()", *_BIND, *_GUNICORN_OPTIONS)
_UVICORN_WORKER = ("--worker-class", "uvicorn.workers.UvicornWorker")
#: Commands after `python -m`. `{folder}` is the test's.
SERVERS = {
    "uvicorn": [*_UVICORN, "--lifespan", "on"],
    "uvicorn, 2 workers": [*_UVICORN, "--workers", "2"],
    "hypercorn": [*_HYPERCORN, "--workers", "0", "--graceful-timeout", "60"],
    "hypercorn, 1 worker": [*_HYPERCORN],
    "daphne": ["daphne", "-b", LOOPBACK, "-p", "0", "tests.wire.stopped:lazy_asgi"],
    "gunicorn": [*_GUNICORN],
    "gunicorn, 256 threads": [*_GUNICORN, "--worker-class", "gthread", "--threads", "256"],
    "gunicorn, gevent": [*_GUNICORN, "--worker-class", "gevent"],
    "gunicorn, uvicorn worker": [
        *("gunicorn", "tests.wire.stopped:asgi", *_BIND, *_GUNICORN_OPTIONS, *_UVICORN_WORKER)
    ],
}


@dataclass
class Running:
    """A server with the application of `stopped.py`, and the browsers that wait there."""

    port: int
    process: "subprocess.Popen[bytes]"
    workers: int = 1
    asks_again: bool = False
    """Whether `ask` sends a request again whose connection was closed without an answer."""
    begun: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    waiting: list[tuple[str, socket.socket]] = field(default_factory=list)

    def ask(self, path: str, body: bytes | None = None, *, bearer: str = "") -> dict[str, object]:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        headers |= {"Authorization": f"Bearer {bearer}"} if bearer else {}
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.port}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                fields: dict[str, object] = json.loads(answer.read())
                return fields
        except ConnectionError:
            if not self.asks_again:
                raise
        return self.ask(path, body, bearer=bearer)

    def begin(self, *kinds: str) -> None:
        """Begin a login for each browser before the first one waits: a poll lasts 25 seconds."""
        self.begun += [(kind, self.ask("/qr/begin", b'{"deliver":"body"}')) for kind in kinds]

    def hold(self) -> None:
        for kind, begun in self.begun:
            path = (
                f"{begun['login_id']}?wait=25" if kind == "poll" else f"{begun['login_id']}/events"
            )
            connection = socket.create_connection((LOOPBACK, self.port))
            bearer = f"Authorization: Bearer {begun['device_code']}"
            connection.sendall(
                f"GET /qr/{path} HTTP/1.1\r\nHost: {LOOPBACK}\r\n{bearer}\r\n\r\n".encode()
            )
            self.waiting.append((kind, connection))

    def held(self, workers: int) -> int:
        """The number of held requests in all its processes; a connection reaches any of them."""
        by_process: dict[object, object] = {}
        while len(by_process) < workers:
            answer = self.ask("/held")
            by_process[answer["pid"]] = answer["held"]
        return sum(int(str(each)) for each in by_process.values())

    def heard(self) -> list[tuple[str, bytes]]:
        """The bytes that each browser got until the server closed the connection."""
        received = []
        for kind, connection in self.waiting:
            connection.settimeout(30)
            heard = b""
            with contextlib.suppress(ConnectionError):
                while part := connection.recv(65536):
                    heard += part
            received.append((kind, heard))
        return received


@contextmanager
def running(
    name: str, folder: Path, *, store: str, drain: bool, options: Sequence[str] = ()
) -> Iterator[Running]:
    env = {
        **os.environ,
        "ORIGIN": f"http://{LOOPBACK}",
        "STORE": store,
        "DRAIN": "1" if drain else "0",
    }
    for module in (SERVERS[name][0], *(["gevent"] if "gevent" in name else [])):
        if importlib.util.find_spec(module) is None:
            missing(module, "make test installs it into .venv")
    command = [part.format(folder=folder) for part in (*SERVERS[name], *options)]
    log_file = folder / f"{drain}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    server = Running(0, process, workers=2 if "2 workers" in name else 1)
    try:
        eventually(
            lambda: process.poll() is not None or _answers(server, log_file.read_text()),
            START_SECONDS,
        )
        assert process.poll() is None, log_file.read_text()
        yield server
    finally:
        for _, connection in server.waiting:
            connection.close()
        process.terminate()  # its workers end with it, because no request is held
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(server: Running, log: str) -> bool:
    """Whether it answers at the port that its log names."""
    if not (found := re.search(rf"{re.escape(LOOPBACK)}:([1-9]\d*)", log)):
        return False
    server.port = int(found[1])
    with contextlib.suppress(OSError):
        return bool(server.ask("/held"))
    return False
