"""Thousands of browsers wait at one server, and leave together, or Redis fails under them.

Run `python -m tests.faults.herds [NAME ...] [--browsers 8000]`. It prints one line for each herd,
and fails if a browser that stayed does not hear that its login was scanned, if one is answered with
an error or with another login, or if the server keeps something of a browser that left.

The server is uvicorn in a process of its own: `benchmarks/waiting.py`.
"""

import argparse
import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis

from benchmarks import waiting
from benchmarks.waiting import Server
from tests.servers import RedisServer, answers, free_port, redis_binary

LEAVE, STAY = 10_000, 8000
WITNESSES = 20  # they stay while the others leave
#: Equal herds that leave before one is measured: the allocator keeps pages for the next one.
WARM_UP = 2
#: What may stay of a browser that left. Its login stays in a memory store for minutes: 2 KB.
KB_LEFT = 4.0
STALL_MS = 50.0
#: A Redis that keeps every write, and that a test restarts.
DURABLE = ("--enable-debug-command", "yes", "--appendonly", "yes", "--appendfsync", "always")


@dataclass(frozen=True)
class Herd:
    """What happened to one herd, and what the server keeps of it."""

    name: str
    browsers: int
    answers: dict[str, int] = field(default_factory=dict)
    """What those that stayed were answered last: by status and state."""
    tasks: int = 0
    """Tasks of the server at the end, beyond those at the beginning."""
    files: int = 0
    """Its open files, counted like that. A connection is one."""
    kb: float = 0.0
    """Its memory for each browser that left, beyond what it kept after equal herds before."""
    p99_s: float = 0.0
    """Seconds from a scan until the browser had the news: 99 % had it sooner."""
    stall_ms: float = 0.0
    """The most CPU time for which no other task of its event loop ran."""
    busy_ms: float = 0.0
    """The same without the passes of Python's garbage collector."""

    @property
    def wrong(self) -> dict[str, int]:
        """The answers that must not be: errors, no news, and the news of another login."""
        return {answer: count for answer, count in self.answers.items() if answer != "200 scanned"}

    @property
    def problem(self) -> str:
        """What must not be; "" if all is well."""
        found = [f"{count} x {answer}" for answer, count in self.wrong.items()]
        found += [f"{self.tasks} tasks"] if self.tasks > 0 else []
        found += [f"{self.files} files"] if self.files > 0 else []
        found += [f"{self.kb} KB each"] if self.kb > KB_LEFT else []
        return ", ".join(found)

    def line(self) -> str:
        """The line of the table."""
        kept = f"{self.tasks:>6} {self.files:>6} {self.kb:>7.2f}"
        slow = "" if self.stall_ms <= STALL_MS else f" (goal: {STALL_MS:.0f})"
        said = ", ".join(f"{count} x {answer}" for answer, count in self.answers.items())
        times = f"{self.p99_s:6.2f} {self.busy_ms:9.1f} {self.stall_ms:8.1f}{slow}"
        start = f"{self.name:20} {self.browsers:7,} {kept} {times}"
        return f"{start}  {said}; {self.problem or 'nothing wrong'}"


HEAD = (
    f"{'herd':20} {'parked':>7} {'tasks':>6} {'files':>6} {'KB each':>7} {'p99 s':>6} "
    f"{'not GC ms':>9} {'stall ms':>8}"
)


async def settle(server: Server, tasks: int) -> Any:
    """The figures of the server as soon as it has no more tasks than this; after a minute, its
    figures as they are.
    """
    for _ in range(300):
        if (await server.ask("stats"))["tasks"] <= tasks:
            break
        await asyncio.sleep(0.2)
    await asyncio.sleep(0.5)  # connections close after their requests
    return await server.ask("stats")


async def park_and_leave(server: Server, kind: str, browsers: int) -> list[str]:
    """Returns the codes of the logins whose browsers have left."""
    parked, codes = await waiting.park(server, kind, browsers)
    await waiting.until_quiet(server, browsers)
    for browser in parked:
        browser.writer.transport.abort()  # a reset, as of a phone that lost its network
    return codes


async def leave(name: str, browsers: int, url: str, kind: str) -> Herd:
    """Park a herd, let it leave in mid-wait, and let the phones scan all of its logins.

    :param name: of the herd.
    :param browsers: how many leave. `WITNESSES` more stay, and are answered.
    :param url: of a Redis; "": the server's memory.
    :param kind: how they wait: "poll", "events" or "socket".
    """
    waiting.raise_file_limit()
    server = Server(free_port(), url)
    try:
        await park_and_leave(server, kind, 1)
        tasks = (await server.ask("stats"))["tasks"]
        for _ in range(WARM_UP):
            await park_and_leave(server, kind, browsers)
            before = await settle(server, tasks)
        parked, codes = await waiting.park(server, kind, browsers)
        await waiting.until_quiet(server, browsers)
        witnesses, first = await waiting.park(server, kind, WITNESSES)
        reading = [asyncio.create_task(browser.read_news()) for browser in witnesses]
        await server.ask("watch")
        for browser in parked:
            browser.writer.transport.abort()
        # The watchdog is one task, and a witness a few.
        await settle(server, before["tasks"] + 1 + 4 * WITNESSES)
        if url:
            async with waiting.logins(url) as qr:
                for start in range(0, browsers, 100):
                    await waiting.scan_all(qr, (first + codes)[start : start + 100])
        else:
            await server.ask("scan")
        await asyncio.wait(reading, timeout=60)
        after = await settle(server, before["tasks"] + 1)
        return Herd(
            name,
            browsers,
            dict(Counter(f"{browser.status} {browser.state}" for browser in witnesses)),
            tasks=after["tasks"] - before["tasks"] - 1,
            files=after["files"] - before["files"],
            kb=round((after["rss"] - before["rss"]) / browsers / 1000, 2),
            stall_ms=after["stall_ms"],
            busy_ms=after["busy_ms"],
        )
    finally:
        server.stop()


async def stay(name: str, browsers: int, url: str, fault: Callable[[], object]) -> Herd:
    """Park a herd, let Redis fail under it, and then let the phones scan all of its logins.

    :param name: of the herd.
    :param browsers: how many wait.
    :param url: of the Redis.
    :param fault: what happens to it. It may block.
    """
    figures = await waiting.measure(url, parked=browsers, port=free_port(), idle=0.5, fault=fault)
    return Herd(
        name,
        browsers,
        figures["answers"],
        p99_s=figures["p99 s to its news"],
        stall_ms=figures["longest stall ms"],
        busy_ms=figures["of it without GC"],
    )


def kill_subscriptions(url: str) -> None:
    """Cut the connection over which Redis notifies, three times in a row."""
    with redis.Redis.from_url(url) as client:
        for _ in range(3):
            client.client_kill_filter(_type="pubsub")
            threading.Event().wait(0.1)


def restart(url: str) -> None:
    """Restart Redis with what it has saved. Returns when it answers again."""
    with redis.Redis.from_url(url) as client:
        try:
            client.execute_command("DEBUG", "RESTART", "300")
        except redis.ConnectionError:
            pass  # it has closed the connection
        else:
            raise AssertionError("Redis did not restart")
        port = client.connection_pool.connection_kwargs["port"]
        while not answers(port):
            threading.Event().wait(0.05)


#: By name: the herd of so many browsers over the Redis at this address.
HERDS: dict[str, Callable[[int, str], Any]] = {
    "leave, memory": lambda size, _: leave("leave, memory", size, "", "poll"),
    "leave, Redis": lambda size, url: leave("leave, Redis", size, url, "poll"),
    "leave, streams": lambda size, url: leave("leave, streams", size, url, "events"),
    "restart": lambda size, url: stay("restart", size, url, lambda: restart(url)),
    "subscription": lambda size, url: stay(
        "subscription", size, url, lambda: kill_subscriptions(url)
    ),
}


def herd(name: str, browsers: int) -> Herd:
    """Run one herd over a Redis of its own.

    :param name: of `HERDS`.
    :param browsers: how many wait.
    """
    with RedisServer(redis_binary(), *(DURABLE if name == "restart" else ())) as server:
        row: Herd = asyncio.run(HERDS[name](browsers, server.url))
        return row


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.herds", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {'; '.join(HERDS)}")
    parser.add_argument("--browsers", type=int, help=f"{LEAVE} that leave, {STAY} that stay")
    options = parser.parse_args()
    print(HEAD)
    rows = []
    for name in options.names or HERDS:
        size = options.browsers or (LEAVE if name.startswith("leave") else STAY)
        rows.append(herd(name, size))
        print(rows[-1].line(), flush=True)
    return any(row.problem for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
