"""Two worker processes over one Redis, as the READMEs start them: who waits and who scans are answered by different ones.

Every answer carries the pid of the process that gave it, and the test fails unless they differed: over HTTP, and for people with
a real Chromium, at the same two workers, because these take longest to start.
"""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.examples.profiles import IN_HAND, Profile, at_desk
from tests.examples.running import ALL, EXAMPLES, LEFT_OUT, Example, Running
from tests.examples.story import HOLD, Stage, tell
from tests.examples.visitors import OfExamples, Visitor
from tests.servers import RedisServer
from tests.wire.clock import PATIENCE_SECONDS, eventually

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
    found = re.findall(
        r"^(?:\$ )?(QRLOGIN_STORE=redis://.*)$", example.readme.replace("\\\n", " "), re.MULTILINE
    )
    assert found, f"{example.folder}/README.md starts no two workers"
    return found


CASES = [
    (example, index)
    for example in ALL.values()
    for index in range(2 if example.name == "Django" else 1)
]


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
        server["UVICORN_TIMEOUT_WORKER_HEALTHCHECK"] = (
            "60"  # else it kills workers that are silent for 5 s, as on a busy machine
        )
        running = Running(
            example,
            start=(
                "gunicorn --bind 127.0.0.1:{port} "
                if "gunicorn" in told
                else "uvicorn --port {port} "
            )
            + told.split(" ", 1)[1],
            folder=folder,
            QRLOGIN_STORE=redis.url,
            **server,
        )
        with running:
            await_both(running.origin)
            yield running


def await_both(origin: str) -> None:
    """One of them may have taken much longer to start."""
    with Visitor(origin) as visitor:
        seen = set[str]()

        def both() -> bool:
            seen.add(visitor.http.get("/login").headers["server-pid"])
            return len(seen) == 2

        eventually(both)


@pytest.mark.long
@pytest.mark.parametrize(
    ("example", "which"), CASES, ids=lambda value: getattr(value, "name", str(value))
)
async def test_scan_and_wait_in_different_processes(
    example: Example, which: int, own_redis: RedisServer, chromium: Browser, tmp_path: Path
) -> None:
    command = commands(example)[which]
    with two_workers(example, command, own_redis) as running:
        people = OfExamples()
        stage = Stage(running.origin, people, sockets="uvicorn" in command, processes=2)
        await asyncio.to_thread(over_http, stage)
        await in_chromium(running.origin, people.named("alice"), chromium, tmp_path)
        await asyncio.to_thread(tell, stage)


def over_http(stage: Stage) -> None:
    pairs = []
    with ThreadPoolExecutor(1) as parallel:
        for _ in range(TRIES):
            with stage.browser() as desk, stage.phone("alice") as alice:
                alice.see(desk.begin())
                held = parallel.submit(
                    desk.visitor.get, f"{desk.login_id}?after={desk.version}&wait={HOLD}"
                )
                scanned = alice.send("scan")
                assert scanned.status_code == 200, scanned.text
                waited = held.result(PATIENCE_SECONDS)
                assert waited.json()["state"] == "scanned"
                pairs.append((waited.headers["server-pid"], scanned.headers["server-pid"]))
                alice.does("confirm")
                assert desk.redeem(waited.json()["scanned_by"]["tag"]).status_code == 200
                assert stage.manner.who(desk.visitor) == "alice"
            if pairs[-1][0] != pairs[-1][1]:
                return
    raise AssertionError(pairs)


async def in_chromium(origin: str, name: str, chromium: Browser, shots: Path) -> None:
    """A phone signed in by password, desks until one of them is told by the other process, and that one is logged in."""
    pairs = []
    phone = await Profile.new(chromium, origin, shots, **IN_HAND)
    await phone.open("/login")
    await phone.fill(name)
    await phone.logged_in_as(name)
    for _ in range(TRIES):
        desk, earlier = await at_desk(chromium, origin, shots), len(phone.answers)
        await desk.asked("wait=[1-9]")
        await phone.look_at(desk.desk)
        await desk.desk.until("scanned")
        del phone.answers[:earlier]
        waited, scanned = [await each.told("scanned") for each in (desk, phone)]
        assert re.search("wait=[1-9]", waited.url)
        assert waited.request.timing["startTime"] < scanned.request.timing["startTime"], (
            "it was asked before, and held"
        )
        pairs.append((waited.headers["server-pid"], scanned.headers["server-pid"]))
        if pairs[-1][0] != pairs[-1][1]:
            await phone.approve()
            await desk.answer(0)
            await desk.logged_in_as(name)
            await desk.away()
            await phone.away()
            return
        await desk.away()
    raise AssertionError(pairs)
