"""What waiting browsers cost, and whether all of them get their news, over a real server.

Run `python benchmarks/waiting.py [redis://…] [--parked 10000] [--kind poll|events|socket]`. Without
an address the logins are in the server's memory. The server is uvicorn in a process of its own, and
so are the phones that scan all logins at once. This one has the browsers. One whose poll ends
without news asks again, as the element does, so each hears its news or an error.

It prints bytes per waiting browser, the share of a core that they cost while nothing happens, the
Redis commands of that time, and for the burst: the last answers by status, wakes per second, the
time from a scan to its news, and the longest CPU time for which the server's event loop stood
still, also without the passes of Python's garbage collector.
"""

import argparse
import asyncio
import gc
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from qrlogin import AsyncMemoryStore, AsyncQRLogin, Policy, Unavailable
from qrlogin.contrib.asgi import qrlogin_app
from qrlogin.stores import AsyncRedisStore
from qrlogin.wire import AsyncEndpoint, Person, Streaming, WaitSlots

LOOPBACK, KEY, PREFIX = "127.0.0.1", bytes(range(32)), "qrlogin-bench:"
POLICY = Policy(lifetime=350, rotation=350, limits=None)
HOLD = 25  # seconds, as an element asks
WEBSOCKET = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def logins(url: str) -> AsyncQRLogin:
    store = (
        AsyncRedisStore.from_url(url, prefix=PREFIX)
        if url
        else AsyncMemoryStore(capacity=1_000_000)
    )
    return AsyncQRLogin(
        store, secret_keys=[KEY], verification_uri="https://a.example/qr", policy=POLICY
    )


async def scan_all(qr: AsyncQRLogin, codes: list[str]) -> list[float]:
    """Scan them together. Returns when each scan was answered."""

    async def scan(code: str) -> float:
        while True:
            with suppress(Unavailable):  # a phone asks again
                await qr.scan(code, subject="1", shown_as="A•••e")
                return time.perf_counter()

    return await asyncio.gather(*map(scan, codes))


async def _phones(url: str) -> None:
    """Scan the codes of standard input. Prints when each scan was answered, as JSON."""
    codes: list[str] = json.load(sys.stdin)
    async with logins(url) as qr:
        answered = [await scan_all(qr, codes[at : at + 500]) for at in range(0, len(codes), 500)]
    print(json.dumps(list(chain(*answered))))


async def scan_elsewhere(url: str, codes: list[str]) -> list[float]:
    """As `scan_all`, in a process of its own: its clock, `perf_counter`, is that of the system."""
    phones = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--phones", url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    answered, _ = await phones.communicate(json.dumps(codes).encode())
    times: list[float] = json.loads(answered)
    return times


class Watchdog:
    """The most milliseconds of CPU that the event loop spent without a turn for this task. They
    are CPU and not wall-clock time, so other programs on this machine do not count.
    """

    def __init__(self) -> None:
        self.longest_ms = 0.0
        #: The same without the passes of the garbage collector, and the longest of its passes. A
        #: pass takes longer the more objects there are, most of them the server's.
        self.busy_ms = self.pass_ms = 0.0
        self._pass_began = self._collecting_ms = 0.0

    async def run(self) -> None:
        gc.callbacks.append(self._note_pass)
        while True:
            self._collecting_ms, started = 0.0, time.process_time()
            await asyncio.sleep(0.001)
            took_ms = (time.process_time() - started) * 1000
            self.longest_ms = max(self.longest_ms, took_ms)
            self.busy_ms = max(self.busy_ms, took_ms - self._collecting_ms)

    def _note_pass(self, phase: str, _: object) -> None:
        now = time.process_time()
        if phase == "start":
            self._pass_began = now
        else:
            took_ms = (now - self._pass_began) * 1000
            self._collecting_ms += took_ms
            self.pass_ms = max(self.pass_ms, took_ms)


def served(url: str) -> Any:
    """The application, with addresses below /control for this benchmark."""
    qr, watchdog, codes, slots = logins(url), Watchdog(), list[str](), WaitSlots(1_000_000)
    app = qrlogin_app(
        # No stream ends while thousands of logins are scanned on a slow machine.
        AsyncEndpoint(qr, max_waiting=slots, streaming=Streaming(life=350)),
        lambda scope: Person("1", "A•••e"),
        lambda scope, redeemed: None,
    )
    tasks = set[asyncio.Task[None]]()

    async def control(scope: Any) -> Any:
        verb = scope["path"].removeprefix("/control/")
        if verb == "begin":
            count = int(parse_qs(scope["query_string"].decode())["count"][0])
            begun = await asyncio.gather(*(qr.begin() for _ in range(count)))
            codes.extend(each.verification_uri_complete for each in begun)
            return [
                [each.login_id, each.device_code, each.verification_uri_complete] for each in begun
            ]
        if verb == "watch" and not tasks:
            gc.collect()
            tasks.add(asyncio.create_task(watchdog.run()))
        if verb == "scan":
            # The server's own work is no stall: phones do not scan a hundred codes in one tick.
            newest, scanned = codes[::-1], list[float]()
            for start in range(0, len(newest), 10):
                scanned += await scan_all(qr, newest[start : start + 10])
                await asyncio.sleep(0)
            return scanned[::-1]
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        return {
            "rss": pages * os.sysconf("SC_PAGE_SIZE"),
            "cpu": time.process_time(),
            "held": slots.taken,
            "stall_ms": watchdog.longest_ms,
            "busy_ms": watchdog.busy_ms,
            "pass_ms": watchdog.pass_ms,
            "tasks": len(asyncio.all_tasks()),
            "files": len(os.listdir("/proc/self/fd")),
        }

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if not scope.get("path", "").startswith("/control/"):
            await app(scope, receive, send)
            return
        body = json.dumps(await control(scope)).encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    return application


def serve(port: int, url: str) -> None:
    uvicorn.run(
        served(url),
        host=LOOPBACK,
        port=port,
        log_level="warning",
        access_log=False,
        backlog=16_384,
        ws_ping_interval=None,  # the sockets of this benchmark do not answer
    )


class Server:
    """The server process. `ask` is what its /control addresses answer."""

    def __init__(self, port: int, url: str) -> None:
        self.port, self.url = port, url
        command = [sys.executable, __file__, "--serve", str(port), *([url] if url else [])]
        self.process = subprocess.Popen(command)

    async def ask(self, path: str) -> Any:
        ends = time.monotonic() + 60
        while True:
            try:
                reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
                break
            except OSError:
                if time.monotonic() > ends or self.process.poll() is not None:
                    raise
                await asyncio.sleep(0.05)
        writer.write(
            f"GET /control/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        )
        raw = await reader.read()
        writer.close()
        await writer.wait_closed()
        return json.loads(raw.partition(b"\r\n\r\n")[2])

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Parked:
    """One browser that waits for its login."""

    def __init__(self, kind: str, login_id: str, device_code: str) -> None:
        self.kind, self.login_id, self.device_code = kind, login_id, device_code
        self.status, self.state, self.answered_at = 0, "", 0.0

    async def open(self, port: int) -> None:
        self.reader, self.writer = await asyncio.open_connection(LOOPBACK, port)
        self._ask()
        if self.kind != "poll":  # its first answer is the code on the screen
            await self._read_until(b"rotates_in")

    def _ask(self) -> None:
        path = {
            "poll": f"{self.login_id}?after=1&wait={HOLD}",
            "events": f"{self.login_id}/events?after=1",
            "socket": f"{self.login_id}/socket?after=1",
        }[self.kind]
        upgrade = WEBSOCKET if self.kind == "socket" else ""
        self.writer.write(
            f"GET /{path} HTTP/1.1\r\nHost: a.example\r\n{upgrade}"
            f"Authorization: Bearer {self.device_code}\r\n\r\n".encode()
        )

    async def _read_until(self, end: bytes) -> bytes:
        raw = b""
        while end not in raw and (more := await self.reader.read(65536)):
            raw += more
            if not self.status and raw.startswith(b"HTTP/1.1 ") and len(raw) > 12:
                self.status = int(raw[9:12])
        return raw

    async def _read_answer(self) -> bytes:
        """The whole answer of a poll; b"" if the connection ends before that."""
        self.status = 0
        raw = await self._read_until(b"\r\n\r\n")
        head, _, body = raw.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        rest = int(length[1]) - len(body) if length else 0
        with suppress(asyncio.IncompleteReadError):
            return raw + (await self.reader.readexactly(rest) if rest > 0 else b"")
        self.status = 0
        return b""

    async def _read_poll(self) -> bytes:
        """The answer to a poll that has news, or an error. A poll that was asked again may come
        while Redis fails, and is asked again then.
        """
        raw = await self._read_answer()
        is_first = True
        while (self.status == 200 and b'"pending"' in raw) or (self.status == 503 and not is_first):
            if self.status == 503:
                await asyncio.sleep(0.2)
            is_first = False
            self._ask()
            raw = await self._read_answer()
        return raw

    async def read_news(self) -> None:
        """Read the next event, or the answers to polls until one has news."""
        try:
            raw = await (self._read_poll() if self.kind == "poll" else self._read_until(b'"state"'))
        except OSError:
            raw = b""
        self.answered_at = time.perf_counter()
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()
        is_other = self.kind == "poll" and self.status == 200 and self.login_id.encode() not in raw
        self.state = "scanned" if b'"scanned"' in raw else "not scanned"
        self.state = "of another" if is_other else self.state


def redis_commands(url: str) -> int:
    """How many commands of qrlogin the server has run."""
    if not url:
        return 0
    import redis

    with redis.Redis.from_url(url) as client:
        stats: Any = client.info("commandstats")
    return sum(
        stats.get(name, {"calls": 0})["calls"] for name in ("cmdstat_evalsha", "cmdstat_eval")
    )


async def park(server: Server, kind: str, parked: int) -> tuple[list[Parked], list[str]]:
    """So many browsers that wait, and the codes of their logins."""
    browsers, codes = list[Parked](), list[str]()
    for first in range(0, parked, 500):
        count = min(500, parked - first)
        begun = await server.ask(f"begin?count={count}")
        some = [Parked(kind, login_id, device_code) for login_id, device_code, _ in begun]
        await asyncio.gather(*(browser.open(server.port) for browser in some))
        browsers += some
        codes += [code for _, _, code in begun]
    return browsers, codes


async def until_quiet(server: Server, browsers: int) -> None:
    """Return when the server has read all that the browsers asked first, or holds nearly all of
    them: on a busy machine, polls end and are asked again meanwhile.
    """
    for attempt in range(60):
        before = (await server.ask("stats"))["cpu"]
        await asyncio.sleep(0.5)
        now = await server.ask("stats")
        if now["cpu"] < before + 0.05 or (attempt > 10 and now["held"] > 0.99 * browsers):
            return


async def measure(
    url: str = "",
    *,
    parked: int = 10_000,
    kind: str = "poll",
    port: int = 8765,
    idle: float = 5.0,
    fault: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """The figures of one run. `answers` counts what the browsers got, by status and state.

    :param url: of the Redis; "": the server's memory.
    :param parked: how many browsers wait.
    :param kind: how they wait: "poll", "events" or "socket".
    :param port: of the server.
    :param idle: seconds in which nothing happens.
    :param fault: what happens to Redis before all logins are scanned. It may block.
    """
    raise_file_limit()
    server = Server(port, url)
    try:
        (first,), _ = await park(server, kind, 1)  # the server has imported what it needs
        first.writer.close()
        await first.writer.wait_closed()
        before = await server.ask("stats")
        browsers, codes = await park(server, kind, parked)
        waiting = [asyncio.create_task(browser.read_news()) for browser in browsers]
        await until_quiet(server, parked)
        quiet, commands = await server.ask("stats"), redis_commands(url)
        await asyncio.sleep(idle)
        busy = await server.ask("stats")
        commands = redis_commands(url) - commands
        await server.ask("watch")
        await asyncio.to_thread(fault)
        started = time.perf_counter()
        if url:
            scanned = await scan_elsewhere(url, codes)
        else:
            scanned = (await server.ask("scan"))[-parked:]
        await asyncio.wait(waiting, timeout=120)
        after = await server.ask("stats")
        ends = max(browser.answered_at for browser in browsers)
        waited = sorted(
            max(0.0, browser.answered_at - at)
            for browser, at in zip(browsers, scanned, strict=True)
        )
        answers = Counter(f"{browser.status} {browser.state}" for browser in browsers)
        return {
            "parked": parked,
            "kind": kind,
            "store": "Redis" if url else "memory",
            "KB per waiter": round((busy["rss"] - before["rss"]) / parked / 1000, 1),
            "idle % of a core": round((busy["cpu"] - quiet["cpu"]) / idle * 100, 2),
            "idle EVALSHA": commands,
            "answers": dict(answers),
            "wakes/s": round(parked / (ends - started)),
            "server CPU µs per wake": round((after["cpu"] - busy["cpu"]) / parked * 1e6),
            "median s to its news": round(waited[parked // 2], 2),
            "p99 s to its news": round(waited[parked * 99 // 100], 2),
            "longest s to its news": round(waited[-1], 2),
            "longest stall ms": round(after["stall_ms"], 1),
            "of it without GC": round(after["busy_ms"], 1),
            "longest pass of GC ms": round(after["pass_ms"], 1),
        }
    finally:
        server.stop()


def raise_file_limit() -> None:
    """Each browser is one open file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="")
    parser.add_argument("--parked", type=int, default=10_000)
    parser.add_argument("--kind", choices=("poll", "events", "socket"), default="poll")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--phones", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    raise_file_limit()
    if asked.serve:
        serve(asked.serve, asked.url)
        return
    if asked.phones:
        asyncio.run(_phones(asked.url))
        return
    figures = asyncio.run(measure(asked.url, parked=asked.parked, kind=asked.kind, port=asked.port))
    for name, value in figures.items():
        print(f"{name:>24}: {value}")


if __name__ == "__main__":
    main()
