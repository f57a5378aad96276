"""Two worker processes over one Redis or database, started as the READMEs say: one process holds
the browser's poll, and the other answers the phone.

Every answer carries the pid of its process, and the test fails unless the two differ. The HTTP part
and the Chromium part share the two workers, because these take longest to start.
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

TRIES = 16  # in about half of the tries, the same process answers both
#: Wraps the application in the command and adds the pid to its answers.
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
            pid = (b"server-pid", str(os.getpid()).encode())
            message = {{**message, "headers": [*message["headers"], pid]}}
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
def two_workers(example: Example, command: str, store: str) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="qrlogin-example-") as temporary:
        folder = Path(temporary, example.folder)
        shutil.copytree(EXAMPLES / example.folder, folder, ignore=LEFT_OUT)
        module, _, name = command.split()[-1].partition(":")
        if "--" in module or "=" in module:
            raise AssertionError(f"the application must be the last word of {command!r}")
        name = name or "application"
        bare = WSGI if "gunicorn" in command else ASGI
        Path(folder, "with_pid.py").write_text(bare.format(module=module, name=name))
        wrapped = command.replace(command.split()[-1], f"with_pid:{name}")
        wrapped = re.sub(r"QRLOGIN_STORE=\S+", "", wrapped).strip()
        server = {"GUNICORN_CMD_ARGS": "", "UVICORN_PORT": ""}
        # By default uvicorn kills workers that are silent for 5 s, as they are on a busy machine.
        server["UVICORN_TIMEOUT_WORKER_HEALTHCHECK"] = "60"
        running = Running(
            example,
            start=(
                "gunicorn --bind 127.0.0.1:{port} "
                if "gunicorn" in wrapped
                else "uvicorn --port {port} "
            )
            + wrapped.split(" ", 1)[1],
            folder=folder,
            QRLOGIN_STORE=store,
            **server,
        )
        with running:
            await_both(running.origin)
            yield running


def await_both(origin: str) -> None:
    """Returns when both have answered. One may take much longer to start."""
    with Visitor(origin) as visitor:
        seen = set[str]()

        def both() -> bool:
            seen.add(visitor.http.get("/login").headers["server-pid"])
            return len(seen) == 2

        eventually(both)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("example", "which"), CASES, ids=lambda value: getattr(value, "name", str(value))
)
async def test_a_scan_in_one_process_ends_a_poll_in_the_other(
    example: Example, which: int, own_redis: RedisServer, chromium: Browser, tmp_path: Path
) -> None:
    command = commands(example)[which]
    with two_workers(example, command, own_redis.url) as running:
        manner = OfExamples()
        stage = Stage(running.origin, manner, sockets="uvicorn" in command, processes=2)
        await asyncio.to_thread(over_http, stage)
        await in_chromium(running.origin, manner.named("alice"), chromium, tmp_path)
        await asyncio.to_thread(tell, stage)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("name", "kind"), [("Flask", "SQLite"), ("FastAPI", "PostgreSQL"), ("Django", "PostgreSQL")]
)
def test_a_database_serves_two_workers_as_redis_does(
    name: str, kind: str, postgres_url: str, tmp_path: Path
) -> None:
    store = postgres_url if kind == "PostgreSQL" else f"sqlite:///{tmp_path}/logins.db"
    command = commands(ALL[name])[0]
    with two_workers(ALL[name], command, store) as running:
        stage = Stage(running.origin, OfExamples(), sockets="uvicorn" in command, processes=2)
        over_http(stage)
        tell(stage)


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
                assert desk.redeem(desk.look()["scanned_by"]["tag"]).status_code == 200
                assert stage.manner.who(desk.visitor) == "alice"
            if pairs[-1][0] != pairs[-1][1]:
                return
    raise AssertionError(pairs)


async def in_chromium(origin: str, name: str, chromium: Browser, shots: Path) -> None:
    """A phone signs in by password and scans the codes of new browsers, until the other process
    holds a browser's poll. That browser is logged in."""
    pairs = []
    phone = await Profile.new(chromium, origin, shots, **IN_HAND)
    await phone.open("/login")
    await phone.fill(name)
    await phone.logged_in_as(name)
    for _ in range(TRIES):
        desk, earlier = await at_desk(chromium, origin, shots), len(phone.answers)
        await desk.requested("wait=[1-9]")
        await phone.scan(desk.desk)
        await phone.claim()
        await desk.desk.until("scanned")
        del phone.answers[:earlier]
        waited, scanned = [await each.answer_with("scanned") for each in (desk, phone)]
        assert re.search("wait=[1-9]", waited.url)
        assert waited.request.timing["startTime"] < scanned.request.timing["startTime"], (
            "the poll was sent before the scan, and held"
        )
        pairs.append((waited.headers["server-pid"], scanned.headers["server-pid"]))
        if pairs[-1][0] != pairs[-1][1]:
            await phone.approve()
            await desk.answer(1)
            await desk.logged_in_as(name)
            await desk.close()
            await phone.close()
            return
        await desk.close()
    raise AssertionError(pairs)
