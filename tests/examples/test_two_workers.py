"""Two worker processes over one Redis, as the READMEs start them: who waits and who scans are answered by different ones.

Every answer carries the pid of the process that gave it, and the test fails unless they differed.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.examples.running import ALL, EXAMPLES, LEFT_OUT, Example, Running
from tests.examples.story import HOLD, Stage, tell
from tests.examples.visitors import OfExamples
from tests.servers import RedisServer
from tests.wire.clock import PATIENCE_SECONDS

TRIES = 16  # each time it is even odds that both are answered by the same process
#: Whatever application the command names, with the pid on its answers.
WSGI = """
import os
from {module} import {name} as inner

def {name}(environ, start_response):
    def start(status, headers, *rest):
        return start_response(status, [*headers, ("Server-Pid", str(os.getpid()))], *rest)
    return inner(environ, start)
"""
ASGI = """
import os
from {module} import {name} as inner

async def {name}(scope, receive, send):
    async def sending(message):
        if message["type"] == "http.response.start":
            message = {{**message, "headers": [*message["headers"], (b"server-pid", str(os.getpid()).encode())]}}
        await send(message)
    await inner(scope, receive, sending)
"""


def commands(example: Example) -> list[str]:
    """Every command of the README that starts several workers."""
    found = re.findall(r"^(?:\$ )?(QRLOGIN_STORE=redis://.*)$", example.readme.replace("\\\n", " "), re.MULTILINE)
    assert found, f"{example.folder}/README.md starts no two workers"
    return found


CASES = [(example, index) for example in ALL.values() for index in range(2 if example.name == "Django" else 1)]


@contextmanager
def two_workers(example: Example, command: str, redis: RedisServer) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="qrlogin-example-") as temporary:
        folder = Path(temporary, example.folder)
        shutil.copytree(EXAMPLES / example.folder, folder, ignore=LEFT_OUT)
        module, _, name = command.split()[-1].partition(":")
        if "--" in module or "=" in module:
            raise AssertionError(f"the application must be the last word of {command!r}")
        name = name or "application"
        bare = WSGI if "gunicorn" in command else ASGI
        Path(folder, "with_pid.py").write_text(bare.format(module=module, name=name))
        told = command.replace(command.split()[-1], f"with_pid:{name}")
        told = re.sub(r"QRLOGIN_STORE=\S+", "", told).strip()
        server = {"GUNICORN_CMD_ARGS": "", "UVICORN_PORT": ""}
        running = Running(
            example,
            start=("gunicorn --bind 127.0.0.1:{port} " if "gunicorn" in told else "uvicorn --port {port} ")
            + told.split(" ", 1)[1],
            folder=folder,
            QRLOGIN_STORE=redis.url,
            **server,
        )
        with running:
            yield running


@pytest.mark.parametrize(("example", "which"), CASES, ids=lambda value: getattr(value, "name", str(value)))
def test_scan_and_wait_in_different_processes(example: Example, which: int, own_redis: RedisServer) -> None:
    with two_workers(example, commands(example)[which], own_redis) as running:
        stage = Stage(running.origin, OfExamples())
        pairs = []
        with ThreadPoolExecutor(1) as parallel:
            for _ in range(TRIES):
                with stage.browser() as desk, stage.phone("alice") as alice:
                    alice.see(desk.begin())
                    held = parallel.submit(desk.visitor.get, f"{desk.login_id}?after={desk.version}&wait={HOLD}")
                    scanned = alice.send("scan")
                    assert scanned.status_code == 200, scanned.text
                    waited = held.result(PATIENCE_SECONDS)
                    assert waited.json()["state"] == "scanned"
                    pairs.append((waited.headers["server-pid"], scanned.headers["server-pid"]))
                    alice.does("confirm")
                    assert desk.redeem(waited.json()["scanned_by"]["tag"]).status_code == 200
                    assert stage.manner.who(desk.visitor) == "alice"
                if pairs[-1][0] != pairs[-1][1]:
                    break
        assert pairs[-1][0] != pairs[-1][1], pairs
        tell(Stage(running.origin, OfExamples(), sockets="uvicorn" in commands(example)[which], processes=2))
