"""A crowd of browsers that wait, log in and begin again, at a real server: the model's check.

Run `python -m benchmarks.simulate [--browsers 1000] [--logins 5] [--seconds 120]`. It prints what
`benchmarks/scaling.py` predicts beside what the server, Redis and the kernel counted, with the
difference. `--write` keeps the run in benchmarks/simulated.json and renews docs/scaling.md.

The server is uvicorn with one process, over a Redis of its own. CPU is counted, not time, so that
other programs on the machine change little.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import uvicorn

from benchmarks import machine, report, scaling
from benchmarks.waiting import raise_file_limit
from qrlogin import AsyncQRLogin, Limits, Policy
from qrlogin.contrib.asgi import qrlogin_app
from qrlogin.stores import AsyncRedisStore
from qrlogin.wire import AsyncEndpoint, BrowserContext, Native, Person, Request
from tests.servers import RedisServer, free_port, redis_binary

LOOPBACK, KEY = "127.0.0.1", bytes(range(32))
#: Seconds: short, so that logins are renewed within the time of the simulation.
LIFETIME, LATE_WINDOW = 30, 40
POLICY = Policy(
    lifetime=LIFETIME, late_window=LATE_WINDOW, limits=Limits(begins=1_000_000, scans=1_000_000)
)


def _header(request: Request, name: str) -> str:
    return next(iter(request.all(name)), "")


def serve(port: int, url: str) -> None:
    """The server process."""
    qr = AsyncQRLogin(
        AsyncRedisStore.from_url(url),
        secret_keys=[KEY],
        verification_uri="https://a.example/qr",
        policy=POLICY,
    )

    async def person(scope: Any) -> Person | None:
        user = dict(scope["headers"]).get(b"x-user", b"").decode()
        return Person(user, name=user, shown_as=user) if user else None

    async def log_in(scope: Any, redeemed: Any) -> None:
        pass

    describe = BrowserContext(address=lambda request: _header(request, "x-address"))
    endpoint = AsyncEndpoint(qr, Native(qr.core, describe=describe), max_waiting=1_000_000)
    app = qrlogin_app(endpoint, person, log_in)
    options: Any = {"log_level": "warning", "access_log": False, "backlog": 16_384}
    uvicorn.run(app, host=LOOPBACK, port=port, timeout_keep_alive=120, **options)


@dataclass
class Counted:
    """What the browsers and phones of the crowd did."""

    begins: int = 0
    polls: int = 0
    logins: int = 0
    size: int = 0
    """Bytes that were sent and received."""
    wrong: dict[str, int] = field(default_factory=dict)

    def fault(self, what: str) -> None:
        self.wrong[what] = self.wrong.get(what, 0) + 1


class Client:
    """One connection that is kept, of a browser or a phone."""

    def __init__(self, port: int, counted: Counted, *headers: str) -> None:
        self._port, self._counted = port, counted
        sent = ("Sec-Fetch-Site: same-origin", *headers)  # as a page of the site sends it
        self._headers = "".join(f"{header}\r\n" for header in sent)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: object = None, bearer: str = "") -> Any:
        """The status and the JSON of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(LOOPBACK, self._port)
        reader, writer = self._streams
        sent = b"" if body is None else json.dumps(body).encode()
        head = f"{method} /{path} HTTP/1.1\r\nHost: a.example\r\n{self._headers}"
        head += f"Authorization: Bearer {bearer}\r\n" if bearer else ""
        if sent:
            head += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
        request = f"{head}\r\n".encode() + sent
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        content = await reader.readexactly(length)
        self._counted.size += len(request) + len(answer) + length
        return int(answer[9:12]), json.loads(content)

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()


class Crowd:
    """Browsers that wait, and phones that log some of them in."""

    def __init__(self, port: int) -> None:
        self.counted, self._port = Counted(), port
        self._shown: dict[str, str] = {}  # the codes on the screens, by login_id
        self._late = set[asyncio.Task[None]]()  # pages that follow an old login, too
        self._random = random.Random(12)  # noqa: S311 - no secret

    async def browse(self, number: int, wait: float) -> None:
        """One person after another at one browser: each waits until a phone logs it in."""
        await asyncio.sleep(wait)
        address = f"X-Address: 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        client = Client(self._port, self.counted, address)
        try:
            while True:
                await self._one_login(client)
        finally:
            client.close()

    async def _one_login(self, client: Client) -> None:
        status, begun = await client.ask("POST", "begin", {"deliver": "body"})
        self.counted.begins += 1
        if status != 201:
            self.counted.fault(f"begin {status}")
            await asyncio.sleep(1)
            return
        login_id = begun["login_id"]
        self._shown[login_id] = begun["verification_uri_complete"]
        try:
            seen = await self._follow(client, begun, begun["device_code"])
        finally:
            self._shown.pop(login_id, None)
        if seen["state"] == "pending":  # its code has ended: a page shows the next one
            self._late.add(task := asyncio.create_task(self._follow_late(seen, begun)))
            task.add_done_callback(self._late.discard)
        elif seen["state"] == "confirmed":
            body = {"acknowledged": seen["scanned_by"]["tag"], "op": f"op-of-{login_id}"}
            bearer = begun["device_code"]
            status, _ = await client.ask("POST", f"{login_id}/redeem", body, bearer)
            if status == 200:
                self.counted.logins += 1
            else:
                self.counted.fault(f"redeem {status}")

    async def _follow(self, client: Client, begun: Any, bearer: str) -> Any:
        """Poll until the code ends, or the login is approved or over. Returns the last answer."""
        login_id, after = begun["login_id"], begun["version"]
        has_code = "verification_uri_complete" in begun
        while True:
            path = f"{login_id}?after={after}&wait={scaling.HOLD}"
            status, seen = await client.ask("GET", path, bearer=bearer)
            self.counted.polls += 1
            if status != 200:
                self.counted.fault(f"poll {status}")
                return {"state": "failed"}
            after, code = seen["version"], seen.get("verification_uri_complete")
            if seen["state"] not in ("pending", "scanned"):
                return seen
            if has_code and seen["state"] == "pending" and not code:
                return seen
            if login_id in self._shown:
                self._shown[login_id] = code or ""

    async def _follow_late(self, seen: Any, begun: Any) -> None:
        client = Client(self._port, self.counted)
        try:
            await self._follow(
                client, {**seen, "login_id": begun["login_id"]}, begun["device_code"]
            )
        finally:
            client.close()

    def stop(self) -> list[asyncio.Task[None]]:
        """End the tasks of pages that follow an old login. Returns them."""
        for task in self._late:
            task.cancel()
        return [*self._late]

    async def approve(self, number: int) -> None:
        """A phone scans one of the codes, and its user confirms."""
        login_id = self._random.choice([name for name, code in self._shown.items() if code])
        code = {"code": self._shown.pop(login_id)}
        phone = Client(self._port, self.counted, f"X-User: user-{number}")
        try:
            for verb in ("scan", "confirm"):
                status, _ = await phone.ask("POST", f"phone/{verb}", code)
                if status != 200:
                    self.counted.fault(f"{verb} {status}")
                    return
        finally:
            phone.close()


class Look:
    """What the kernel, Redis and the crowd have counted until now."""

    def __init__(self, pid: int, client: Any, crowd: Crowd) -> None:
        self.at, self.cpu = time.monotonic(), machine.cpu([pid])
        counted = client.info("commandstats")
        names = ("cmdstat_evalsha", "cmdstat_eval")
        self.calls = sum(counted[name]["calls"] for name in names if name in counted)
        used = client.info("cpu")
        self.redis_cpu = used["used_cpu_user"] + used["used_cpu_sys"]
        self.begins, self.polls = crowd.counted.begins, crowd.counted.polls
        self.logins, self.size = crowd.counted.logins, crowd.counted.size


async def crowd_at(
    port: int, pid: int, client: Any, browsers: int, logins: float, seconds: float
) -> dict[str, Any]:
    """What was counted while this crowd waited and logged in.

    :param port: of the server.
    :param pid: of its process.
    :param client: of its Redis.
    :param browsers: how many wait.
    :param logins: how many log in each second.
    :param seconds: how long.
    """
    crowd = Crowd(port)
    first = asyncio.create_task(crowd.browse(0, 0))  # the server imports what it needs
    await asyncio.sleep(1)
    idle, kept = machine.memory([pid]), client.info("memory")["used_memory"]
    arrive = LIFETIME + LATE_WINDOW  # seconds: so their polls and renewals are spread, too
    tasks = [first] + [
        asyncio.create_task(crowd.browse(number, number / browsers * arrive))
        for number in range(1, browsers)
    ]
    await asyncio.sleep(arrive + 1)
    phones, number = set[asyncio.Task[None]](), 0
    before = Look(pid, client, crowd)
    while (passed := time.monotonic() - before.at) < seconds:
        while number < passed * logins:
            number += 1
            phones.add(phone := asyncio.create_task(crowd.approve(number)))
            phone.add_done_callback(phones.discard)
        await asyncio.sleep(0.02)
    after = Look(pid, client, crowd)
    took = after.at - before.at
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    records = sum(1 for _ in client.scan_iter("qrlogin:*", count=1000))
    redis_bytes = client.info("memory")["used_memory"] - kept
    found = {
        "begins": (after.begins - before.begins) / took,
        "polls": (after.polls - before.polls) / took,
        "calls": (after.calls - before.calls) / took,
        "app_percent": (after.cpu - before.cpu) / took * 100,
        "redis_percent": (after.redis_cpu - before.redis_cpu) / took * 100,
        "memory_mb": (machine.memory([pid]) - idle) / 1e6,
        "redis_bytes": redis_bytes / max(1, crowd.counted.begins),
        "files": files,
        "megabits": (after.size - before.size) * 8 / took / 1e6,
    }
    for task in (*tasks, *phones):
        task.cancel()
    await asyncio.gather(*tasks, *phones, return_exceptions=True)
    await asyncio.gather(*crowd.stop(), return_exceptions=True)
    await asyncio.sleep(0.1)  # their connections close
    return {
        "logins_per_second": round((after.logins - before.logins) / took, 2),
        "wrong": crowd.counted.wrong,
        "records": records,
        "found": {name: round(value, 3) for name, value in found.items()},
    }


def simulate(browsers: int, logins: float, seconds: float) -> dict[str, Any]:
    """Start a server and a Redis, and count what this crowd costs them. The parameters are those of
    `crowd_at`.
    """
    raise_file_limit()
    with RedisServer(redis_binary()) as server, redis.Redis.from_url(server.url) as client:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.simulate", "--serve", str(port), server.url]
        paths = f"{machine.ROOT}:{machine.ROOT / 'tools'}"
        env = {**os.environ, "PYTHONPATH": paths}
        process = subprocess.Popen(command, cwd=machine.ROOT, env=env)
        try:
            ends = time.monotonic() + 60
            while time.monotonic() < ends:
                with suppress(OSError), socket.create_connection((LOOPBACK, port)):
                    break
                time.sleep(0.1)
            run = asyncio.run(crowd_at(port, process.pid, client, browsers, logins, seconds))
        finally:
            process.terminate()
            process.wait(30)
    policy = {"lifetime": LIFETIME, "late_window": LATE_WINDOW}
    where = {"date": time.strftime("%Y-%m-%d"), "machine": machine.description()}
    return {"waiting": browsers, "seconds": seconds, **policy, **where, **run}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__)
    parser.add_argument("--browsers", type=int, default=1000)
    parser.add_argument("--logins", type=float, default=5, help="a second")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--write", action="store_true", help="keep the run, renew the page")
    parser.add_argument("--serve", nargs=2, metavar=("PORT", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        raise_file_limit()
        serve(int(options.serve[0]), options.serve[1])
        return 0
    run = simulate(options.browsers, options.logins, options.seconds)
    figures = report.read()
    print(scaling.simulated_table(run, scaling.Costs.of(figures)))
    print(f"logins a second: {run['logins_per_second']}; answered otherwise: {run['wrong']}")
    if options.write:
        scaling.SIMULATED.write_text(json.dumps(run, indent=1) + "\n", "utf-8")
        report.write(figures)
    return bool(run["wrong"])


if __name__ == "__main__":
    raise SystemExit(main())
