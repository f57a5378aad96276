"""What a waiting browser costs, how fast it wakes, and what a crowd costs that waits for minutes.

All browsers wait at one server, which subscribes to Redis; the floors are node and bare uvicorn.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import redis.asyncio as client

from benchmarks.contestants import (
    EVERY,
    QUIET,
    UVICORN,
    Contestant,
    Ours,
    Tutorial,
    node_command,
    started,
)
from benchmarks.figures import Figures, percentile
from benchmarks.logins import Account
from benchmarks.machine import Redis, Served, cpu, memory, say, sockets
from benchmarks.peers.bare import KEY, POLICY
from benchmarks.wire import request
from qrlogin import AsyncQRLogin
from qrlogin.stores import open_async_store

CHANNEL = "qrlogin-benchmark"
PATIENCE_SECONDS = 30
LIFETIME_SECONDS = 300
IDLE_SECONDS = 6  # in which a timer of a few seconds would be seen


@dataclass(eq=False)
class Waiter(asyncio.Protocol):
    """A browser that sends one request and waits. It asks again while nothing has changed.

    :param sent: the request that is held.
    :param loop: where it runs.
    """

    sent: bytes
    loop: asyncio.AbstractEventLoop
    id: str = ""
    code: str = ""
    answers: int = 0
    woken_at: float = 0.0
    status: str = ""
    _data: bytes = b""
    _transport: Any = field(default=None, repr=False)
    _done: asyncio.Future[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self.sent)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not found or len(body) < int(length or 0):
            return
        self._data, self.answers = b"", self.answers + 1
        if b'"pending"' in body or b'"waiting"' in body:
            self.again()
            return
        self.woken_at, self.status = self.loop.time(), head[9:12].decode()
        if self._done and not self._done.done():
            self._done.set_result(None)

    def again(self) -> None:
        self._transport.write(self.sent)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.status:
            self.status = "connection lost"
            if self._done and not self._done.done():
                self._done.set_result(None)

    async def woken(self) -> None:
        if not self.status:
            self._done = self.loop.create_future()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._done

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Poller(Waiter):
    """The tutorial's browser: it asks every second."""

    def again(self) -> None:
        self.loop.call_later(1, self._transport.write, self.sent)


Wake = Callable[[list[Waiter]], Awaitable[None]]


async def _open(port: int, waiters: list[Waiter]) -> None:
    loop = asyncio.get_running_loop()

    async def connect(one: Waiter) -> None:
        await loop.create_connection(lambda: one, "127.0.0.1", port)

    for first in range(0, len(waiters), 200):
        await asyncio.gather(*map(connect, waiters[first : first + 200]))


async def _settled(pids: list[int], *, least: float = 0.02) -> None:
    """Returns when the server has accepted everything: when it uses hardly any CPU."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        before = cpu(pids)
        await asyncio.sleep(0.25)
        if cpu(pids) - before < least:
            return


async def _ours(
    url: str, origin: str, count: int, held: int = 25
) -> tuple[AsyncQRLogin, list[Waiter]]:
    """Logins that this process begins in the server's store, and their browsers."""
    loop = asyncio.get_running_loop()
    # The codes that this process scans later live until then. Those that the server makes rotate.
    policy = replace(POLICY, lifetime=LIFETIME_SECONDS, rotation=LIFETIME_SECONDS)
    qr = AsyncQRLogin(
        open_async_store(url), secret_keys=[KEY], verification_uri=f"{origin}/qr", policy=policy
    )
    waiters = []
    for first in range(0, count, 50):
        begun = await asyncio.gather(*(qr.begin() for _ in range(min(50, count - first))))
        for one in begun:
            headers = f"Authorization: Bearer {one.device_code}\r\n"
            path = f"/qrlogin/{one.login_id}?after={one.version}&wait={held}"
            sent = request("GET", path, headers).replace(b"{host}", origin[7:].encode())
            waiters.append(Waiter(sent, loop, one.login_id, one.scan_code))
    return qr, waiters


async def _parked(
    pids: list[int], port: int, waiters: list[Waiter], wake: Wake, commands: Callable[[], float]
) -> Figures:
    """Parks all waiters; wakes some one by one, and then all others at once.

    :param pids: the server's processes
    :param port: its port
    :param waiters: the browsers
    :param wake: what wakes some of them
    :param commands: how many commands Redis has executed
    """
    held, before = memory(pids), cpu(pids)
    await _open(port, waiters)
    await _settled(pids)
    parked = cpu(pids) - before
    figures: Figures = {
        "waiters": len(waiters),
        "kb": (memory(pids) - held) / len(waiters) / 1024,
        "park_us": parked / len(waiters) * 1e6,
    }
    before, asked, began = cpu(pids), commands(), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    took = time.monotonic() - began
    figures["idle_percent"] = (cpu(pids) - before) / took * 100
    figures["idle_commands"] = (commands() - asked) / took
    loop = asyncio.get_running_loop()
    alone, crowd = waiters[: min(300, len(waiters) // 4)], waiters[min(300, len(waiters) // 4) :]
    figures["early"] = dict(Counter(one.status for one in waiters if one.status))
    delays, before = [], cpu(pids)
    for one in alone:
        if one.status:
            continue
        at = loop.time()
        await wake([one])
        await one.woken()
        delays.append((one.woken_at - at) * 1e3)
    if not delays:
        raise RuntimeError(f"no browser waited: {figures['early']}")
    figures["wake_us"] = (cpu(pids) - before) / len(delays) * 1e6
    figures["wake_p50_ms"], figures["wake_p99_ms"] = (
        percentile(delays, share) for share in (0.5, 0.99)
    )
    at = loop.time()
    await wake(crowd)
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends and not all(one.status for one in crowd):
        await asyncio.sleep(0.02)
    last = max((one.woken_at for one in crowd if one.woken_at), default=at)
    figures["burst_per_s"] = sum(one.status == "200" for one in crowd) / max(last - at, 1e-9)
    figures["burst"] = dict(Counter(one.status or "no answer" for one in crowd))
    for one in waiters:
        one.close()
    return figures


async def _park_ours(one: Contestant, count: int, commands: Callable[[], float]) -> Figures:
    origin = f"http://127.0.0.1:{one.port}"
    qr, waiters = await _ours(one.redis, origin, count)
    async with qr:

        async def scan(some: list[Waiter]) -> None:
            for first in range(0, len(some), 500):
                part = some[first : first + 500]
                scans = [qr.scan(each.code, subject="1", shown_as="A•••e") for each in part]
                done = await asyncio.gather(*scans, return_exceptions=True)
                for each, scanned in zip(part, done, strict=True):
                    if isinstance(scanned, BaseException):
                        each.status = each.status or f"not scanned: {type(scanned).__name__}"

        await scan(waiters[:20])  # warm: the script is loaded, the connections are open
        return await _parked(one.pids, one.port, waiters[20:], scan, commands)


async def _park_floor(
    served: Served, url: str, count: int, commands: Callable[[], float]
) -> Figures:
    loop = asyncio.get_running_loop()
    host = served.origin[7:].encode()
    waiters = [
        Waiter(request("GET", f"/wait/{number}").replace(b"{host}", host), loop, str(number))
        for number in range(count)
    ]
    store: Any = client.Redis.from_url(url)
    async with store:

        async def publish(some: list[Waiter]) -> None:
            for first in range(0, len(some), 500):
                pipeline = store.pipeline(transaction=False)
                for each in some[first : first + 500]:
                    pipeline.publish(CHANNEL, each.id)
                await pipeline.execute()

        return await _parked(served.pids, served.port, waiters, publish, commands)


def parked(redis: Redis, absent: dict[str, str], *, quick: bool) -> Figures:
    """Browsers parked at one process: ours, bare uvicorn, node."""
    count = 1_000 if quick else 10_000
    count = min(count, max(100, sockets() - 500))
    figures: Figures = {}
    account = Account(redis)

    def commands() -> float:
        return account.look()[0]

    floors = {
        "bare uvicorn": f"{UVICORN} {QUIET} benchmarks.peers.waiting:app",
        "node": node_command("waiting.mjs"),
    }
    for name in ("ours, bare ASGI", *floors):
        say(f"  {count} browsers wait at {name}")
        try:
            with ExitStack() as stack:
                if name in floors:
                    env = {"REDIS_PORT": str(redis.port), "CHANNEL": CHANNEL, "REDIS": redis.url()}
                    served = stack.enter_context(Served(floors[name], page="/ready", env=env))
                    figures[name] = asyncio.run(_park_floor(served, env["REDIS"], count, commands))
                else:
                    one = EVERY[name](stack, redis)
                    figures[name] = asyncio.run(_park_ours(one, count, commands))
        except Exception as error:
            absent[f"waiting at {name}"] = f"{type(error).__name__}: {error}"[:200]
            say(f"  it failed: {absent[f'waiting at {name}']}")
    return figures


def crowd(redis: Redis, absent: dict[str, str], *, quick: bool) -> Figures:
    """1 000 browsers that wait: as `<qr-login>` does, and as the tutorial's page does.

    A wait is held for 25 seconds, and the window holds two renewals of each. In a quick run both
    are shorter.
    """
    count, held, seconds = (200, 5, 10) if quick else (1_000, 25, 50)
    say(f"  {count} browsers wait for {seconds} s at each of two servers")

    async def both() -> Figures:
        each = [_crowd(one, count, held, seconds) for one in running.values()]
        return dict(zip(running, await asyncio.gather(*each), strict=True))

    with started(["ours, bare ASGI", "the tutorial"], redis, absent) as running:
        return {"browsers": count, "seconds": seconds, "held": held, **asyncio.run(both())}


async def _crowd(one: Contestant, count: int, held: int, seconds: int) -> Figures:
    loop = asyncio.get_running_loop()
    if isinstance(one.flow, Tutorial):
        tokens = [one.flow.begin(one.line) for _ in range(min(count, 50))]
        sent = [one.flow.collecting(tokens[at % len(tokens)]) for at in range(count)]
        host = f"127.0.0.1:{one.port}".encode()
        waiters: list[Waiter] = [Poller(each.replace(b"{host}", host), loop) for each in sent]
        qr = None
    else:
        assert isinstance(one.flow, Ours)
        qr, waiters = await _ours(one.redis, f"http://127.0.0.1:{one.port}", count, held)
    try:
        # A crowd does not arrive at once: spread over a second, as its polls are afterwards.
        for first in range(0, count, 50):
            await _open(one.port, waiters[first : first + 50])
            await asyncio.sleep(1 / (count / 50))
        before, answered = cpu(one.pids), sum(each.answers for each in waiters)
        began = time.monotonic()
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        spent = cpu(one.pids) - before
        asked = sum(each.answers for each in waiters) - answered
        lost = sum(bool(each.status) for each in waiters)
        return {"core_percent": spent / took * 100, "answers_per_s": asked / took, "lost": lost}
    finally:
        for each in waiters:
            each.close()
        if qr is not None:
            await qr.close()
