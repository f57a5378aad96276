"""Browsers that wait at a server with threads, and leave in mid-wait: gunicorn, one worker.

Run `python -m tests.faults.threaded [--browsers 1000]`. It prints one line like that of
`tests.faults.herds`, which does the same with an event loop. Each browser that waits takes a
thread, so the sizes are smaller.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from benchmarks import waiting
from benchmarks.waiting import KEY, POLICY, Server
from qrlogin import MemoryStore, QRLogin
from qrlogin.contrib.wsgi import qrlogin_app
from qrlogin.wire import Endpoint, Person
from tests.faults.herds import HEAD, WARM_UP, WITNESSES, Herd, park_and_leave, settle
from tests.servers import LOOPBACK, free_port

BROWSERS = 1000
#: Until a browser that left is not waited for any more. The end of its poll would do that, too.
NOTICED_SECONDS = 15
SPARE = 2 * WITNESSES  # threads for everything else


def app() -> Any:
    """The application, with addresses below /control for the tests."""
    qr = QRLogin(
        MemoryStore(capacity=1_000_000),
        secret_keys=[KEY],
        verification_uri="https://a.example/qr",
        policy=POLICY,
    )
    inner = qrlogin_app(
        Endpoint(qr, max_waiting=int(os.environ["MAX_WAITING"])),
        lambda environ: Person("1", "A•••e"),
        lambda environ, redeemed: None,
    )
    codes, held, lock = list[str](), Counter[str](), threading.Lock()

    def control(environ: dict[str, Any]) -> Any:
        verb = environ["PATH_INFO"].removeprefix("/control/")
        if verb == "begin":
            count = int(parse_qs(environ["QUERY_STRING"])["count"][0])
            begun = [qr.begin() for _ in range(count)]
            codes.extend(each.verification_uri_complete for each in begun)
            return [
                [each.login_id, each.device_code, each.verification_uri_complete] for each in begun
            ]
        if verb == "scan":
            for code in codes:
                qr.scan(code, subject="1", shown_as="A•••e")
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        # The server keeps its own threads for the next requests.
        own = [each for each in threading.enumerate() if "ThreadPool" not in each.name]
        return {
            "rss": pages * os.sysconf("SC_PAGE_SIZE"),
            "cpu": time.process_time(),
            "held": held["requests"],
            "tasks": held["requests"] + len(own),
            "files": len(os.listdir("/proc/self/fd")),
        }

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/control/"):
            body = json.dumps(control(environ)).encode()
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        with lock:
            held["requests"] += 1
        try:
            return list(inner(environ, start_response))
        finally:
            with lock:
                held["requests"] -= 1

    return application


class Threaded(Server):
    """That application under gunicorn, in a process of its own.

    :param port: where it listens.
    :param browsers: how many can wait at the same time.
    """

    def __init__(self, port: int, browsers: int) -> None:
        self.port, self.url = port, ""
        most = browsers + WITNESSES
        options = ["--threads", str(most + SPARE), "--worker-connections", str(3 * most)]
        where = ["--bind", f"{LOOPBACK}:{port}", "--log-level", "error"]
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *where, *options, "tests.faults.threaded:app()"],
            cwd=root,
            env={
                **os.environ,
                "MAX_WAITING": str(most),
                "GUNICORN_CMD_ARGS": "",
                "PYTHONPATH": os.pathsep.join([str(root), str(root / "tools")]),
            },
        )


async def leave(browsers: int) -> Herd:
    """Park a herd, let it leave in mid-wait, and let the phones scan all of its logins.

    :param browsers: how many leave. `WITNESSES` more stay, and are answered.
    """
    waiting.raise_file_limit()
    server = Threaded(free_port(), browsers)
    try:
        await park_and_leave(server, "poll", 1)
        await asyncio.sleep(2)  # the server looks twice a second
        tasks = (await server.ask("stats"))["tasks"]
        for _ in range(WARM_UP):
            await park_and_leave(server, "poll", browsers + WITNESSES)
            before = await settle(server, tasks)
        parked, _ = await waiting.park(server, "poll", browsers)
        await waiting.until_quiet(server, browsers)
        witnesses, _ = await waiting.park(server, "poll", WITNESSES)
        reading = [asyncio.create_task(browser.read_news()) for browser in witnesses]
        for browser in parked:
            browser.writer.transport.abort()
        noticed = asyncio.create_task(settle(server, tasks + 2 * WITNESSES))
        await asyncio.wait((noticed,), timeout=NOTICED_SECONDS)
        held = 0 if noticed.done() else browsers
        await server.ask("scan")
        await asyncio.wait(reading, timeout=60)
        after = await settle(server, before["tasks"])
        return Herd(
            "leave, threads",
            browsers,
            dict(Counter(f"{browser.status} {browser.state}" for browser in witnesses)),
            tasks=held or after["tasks"] - before["tasks"],
            files=after["files"] - before["files"],
            kb=round((after["rss"] - before["rss"]) / browsers / 1000, 2),
        )
    finally:
        server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.threaded", description=__doc__)
    parser.add_argument("--browsers", type=int, default=BROWSERS)
    row = asyncio.run(leave(parser.parse_args().browsers))
    print(f"{HEAD}\n{row.line()}")
    return bool(row.problem)


if __name__ == "__main__":
    raise SystemExit(main())
