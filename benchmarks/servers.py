"""What a browser that waits costs a server: the memory and the CPU of each held status.

Run `python benchmarks/servers.py [SERVER...]`. For each server it starts one worker on loopback,
over a `MemoryStore`, begins logins, and holds a status for each of them. It prints how many were
held, the kilobytes of memory (RSS of the server's processes, with the held statuses minus without,
divided by their number), the CPU of the server while nothing happens, and how the first request
beyond `max_waiting` was answered. A server that is not installed is left out, and the last line
says so. Linux only.
"""

import asyncio
import importlib.util
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from qrlogin import STANDARD, AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin
from qrlogin.contrib import asgi, wsgi
from qrlogin.wire import AsyncEndpoint, Endpoint

HERE: Final = Path(__file__).resolve().parent
KEY, URI = bytes(range(32)), "http://127.0.0.1/qr"
#: All browsers here have one address.
POLICY = replace(STANDARD, limits=None)
START_S, SETTLE_S, IDLE_S = 20.0, 2.0, 5.0


# What the servers run


def max_waiting() -> int:
    return int(os.environ["MAX_WAITING"])


def blocking() -> Any:
    """The WSGI application."""
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=POLICY)
    endpoint = Endpoint(qr, max_waiting=max_waiting())
    return wsgi.qrlogin_app(endpoint, lambda environ: None, lambda environ, redeemed: None)


def awaited() -> Any:
    """The ASGI application."""
    store = AsyncMemoryStore()
    qr = AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=POLICY)
    endpoint = AsyncEndpoint(qr, max_waiting=max_waiting())
    return asgi.qrlogin_app(endpoint, lambda scope: None, lambda scope, redeemed: None)


@dataclass(frozen=True)
class Server:
    """One kind of server."""

    count: int
    """How many statuses to hold by default."""
    command: Callable[[int, int], list[str]]
    """The command that starts it, for a port and a number of held statuses. For each of them a
    server of threads needs a thread, and as many for other requests."""
    module: str
    """What must be installed."""


def _gunicorn(port: int, *options: str) -> list[str]:
    python = [sys.executable, "-m", "gunicorn"]
    return [*python, f"--bind=127.0.0.1:{port}", "--timeout=60", *options, "servers:blocking()"]


SERVERS: Final = {
    "gunicorn gthread": Server(
        200,
        lambda port, count: _gunicorn(port, "-kgthread", f"--threads={2 * count}"),
        "gunicorn",
    ),
    "gunicorn gevent": Server(
        1000,
        lambda port, count: _gunicorn(port, "-kgevent", f"--worker-connections={2 * count}"),
        "gevent",
    ),
    "uvicorn": Server(
        1000,
        lambda port, count: [
            *(sys.executable, "-m", "uvicorn", "--factory", "servers:awaited"),
            *(f"--port={port}", "--log-level=warning", "--no-access-log"),
        ],
        "uvicorn",
    ),
    "granian": Server(
        1000,
        lambda port, count: [
            *(shutil.which("granian") or "granian", "--interface=asgi", "--factory"),
            *("servers:awaited", f"--port={port}", "--log-level=warning"),
            f"--backpressure={2 * count}",
        ],
        "granian",
    ),
}


class Figures(NamedTuple):
    """What `figures` measured."""

    asked: int
    held: int
    """How many of them were still unanswered after some seconds."""
    kb: float
    """Kilobytes of memory for each held status."""
    idle: float
    """The part of one core that the server used while all of them waited, in percent."""
    retry_after: int
    """Seconds. The first request beyond `max_waiting` was answered at once with this pace."""


def is_installed(name: str) -> bool:
    """Whether `figures` can run this server."""
    if SERVERS[name].module == "granian":  # it may be in an environment of its own
        return shutil.which("granian") is not None
    return importlib.util.find_spec(SERVERS[name].module) is not None


def figures(name: str, count: int = 0) -> Figures:
    """Measures one server with so many held statuses. 0: the default of the server.

    Raises `RuntimeError` if the server does not start, and `OSError` if this process may not open
    enough connections.
    """
    count = count or SERVERS[name].count
    allow_files(2 * count + 100)
    with running(name, count) as server:
        return asyncio.run(measure(server, count))


# The processes of the server


@dataclass(frozen=True)
class Running:
    port: int
    pid: int

    def pids(self) -> list[int]:
        """The process that was started, and all below it."""
        found, new = [], [self.pid]
        while new:
            found += new
            new = [
                int(child)
                for pid in new
                for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            ]
        return found

    def memory(self) -> float:
        """Kilobytes."""
        lines = "".join(Path(f"/proc/{pid}/status").read_text() for pid in self.pids())
        return sum(int(line.split()[1]) for line in lines.splitlines() if "VmRSS" in line)

    def cpu(self) -> float:
        """Seconds."""
        ticks = 0
        for pid in self.pids():
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(after_name[11]) + int(after_name[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def allow_files(number: int) -> None:
    """Let this process and the servers that it starts open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard), hard))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(name: str, count: int) -> Iterator[Running]:
    port = free_port()
    path = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    process = subprocess.Popen(
        SERVERS[name].command(port, count),
        env={**os.environ, "PYTHONPATH": path, "MAX_WAITING": str(count)},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + START_S
        while not answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{name} did not start")
            time.sleep(0.1)
        yield Running(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


# The browsers


async def request(port: int, method: str, path: str, token: str = "") -> Any:
    """The answer as JSON. The connection is closed after it."""
    reader, writer = await opened(port, method, path, token)
    try:
        return await answer_of(reader)
    finally:
        writer.close()


async def opened(
    port: int, method: str, path: str, token: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which this request was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = '{"deliver":"body"}' if method == "POST" else ""
    lines = [f"{method} /{path} HTTP/1.1", "Host: 127.0.0.1", "User-Agent: Firefox/140.0"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    writer.write("\r\n".join([*lines, "", body]).encode())
    return reader, writer


async def answer_of(reader: asyncio.StreamReader) -> Any:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length"))
    return json.loads(await reader.readexactly(int(length.partition(":")[2])))


async def measure(server: Running, count: int) -> Figures:
    logins = [await request(server.port, "POST", "begin") for _ in range(count + 1)]

    async def hold(number: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Statuses that the server holds, of the first logins."""
        kept = []
        for login in logins[:number]:
            path = f"{login['login_id']}?after={login['version']}&wait=25"
            kept.append(await opened(server.port, "GET", path, login["device_code"]))
        await asyncio.sleep(SETTLE_S)
        return kept

    async def let_go(kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
        for _, writer in kept:
            writer.close()
        await asyncio.sleep(SETTLE_S)

    await let_go(await hold(min(10, count)))  # what a server makes once
    before = server.memory()
    kept = await hold(count)
    with_them, cpu = server.memory(), server.cpu()
    await asyncio.sleep(IDLE_S)
    idle = (server.cpu() - cpu) / IDLE_S * 100
    # What came has been read into this buffer; there is no public way to look without taking it.
    held = sum(not reader._buffer and not reader.at_eof() for reader, _ in kept)  # type: ignore[attr-defined]
    last = logins[-1]
    path = f"{last['login_id']}?after={last['version']}&wait=25"
    beyond = await asyncio.wait_for(request(server.port, "GET", path, last["device_code"]), 10)
    await let_go(kept)
    return Figures(count, held, (with_them - before) / count, idle, beyond["retry_after"])


def main() -> None:
    print(f"{'server':17} {'held':>11} {'KB each':>8} {'idle CPU':>9}  beyond max_waiting")
    missing = []
    for name in sys.argv[1:] or SERVERS:
        if not is_installed(name):
            missing.append(name)
            continue
        each = figures(name)
        said = f"answered at once: ask again in {each.retry_after} s"
        print(
            f"{name:17} {each.held:5}/{each.asked:<5} {each.kb:8.1f} {each.idle:7.1f} %  {said}",
            flush=True,
        )
    if missing:
        print("not installed:", ", ".join(missing))


if __name__ == "__main__":
    main()
