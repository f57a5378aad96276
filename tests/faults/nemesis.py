"""What makes a store fail while a crowd logs in: its processes, its memory, its clock, its network.

A nemesis strikes at random moments, from a thread of its own. A strike ends once the store answers
again. It returns the moment from which the store could do that, because a browser may see a change
before the nemesis has its own answer; None: the store has answered all the time.
"""

import contextlib
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from random import Random
from signal import SIGCONT, SIGSTOP
from time import sleep
from types import TracebackType
from typing import Any, Self

import redis

from qrlogin.clock import monotonic, now_ms
from tests.faults.crowd import Outages
from tests.servers import PostgresServer, RedisServer, redis_binary

Strike = Callable[[Random], float | None]


class Nemesis:
    """Strikes again and again in a `with` block.

    :param strike: what it does.
    :param pause: the shortest and the longest time between two strikes, in seconds.
    :param seed: draws the same times again.
    :param outages: where the end of each strike is noted; None: the store answers all the time.
    """

    def __init__(
        self,
        strike: Strike,
        pause: tuple[float, float],
        seed: int = 0,
        outages: Outages | None = None,
    ) -> None:
        self.strikes = 0
        self._strike, self._pause, self._draw = strike, pause, Random(seed)
        self._outages, self._stop = outages, threading.Event()
        self._thread = threading.Thread(target=self._run, name="nemesis", daemon=True)
        self._error: BaseException | None = None

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._draw.uniform(*self._pause)):
                since = self._strike(self._draw)
                if self._outages:
                    self._outages.over(since)
                self.strikes += 1
        except BaseException as error:
            self._error = error
            raise

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(120)
        if self._error and error is None:
            raise RuntimeError("the nemesis failed") from self._error


def gaps(longest: float) -> tuple[float, float]:
    """The shortest and the longest time between two outages: callers who ask for a minute must find
    the store there before it ends.

    :param longest: seconds that one outage lasts at most.
    """
    return 0.2, max(1.0, longest / 4)


@contextlib.contextmanager
def kept_redis(*options: str) -> Iterator[RedisServer]:
    """A Redis that has what it answers in its file, and finds it there when it starts again.

    With `everysec` it would not: while its disk is busy, Redis answers before it writes.
    """
    with tempfile.TemporaryDirectory(prefix="qrlogin-kept-") as folder:
        kept = ("--dir", folder, "--appendonly", "yes", "--appendfsync", "always")
        with RedisServer(redis_binary(), *kept, *options) as server:
            yield server


def crash(server: RedisServer) -> float:
    """`kill -9`, and start again. Returns when it was started."""
    server.process.kill()
    server.process.wait()
    server.stop()
    since = monotonic()
    server.start()
    await_answers(server.url)
    return since


def await_answers(url: str, seconds: float = 30) -> None:
    """Return once the server carries out commands: it may still load its file."""
    with redis.Redis.from_url(url) as client:
        for _ in range(int(seconds / 0.01)):
            with contextlib.suppress(redis.RedisError):
                if client.ping():
                    return
            sleep(0.01)
    raise RuntimeError("the server does not answer")


# Strikes


def kills(server: RedisServer) -> Strike:
    return lambda _: crash(server)


def crashes(server: PostgresServer) -> Strike:
    def strike(_: Random) -> float:
        server.stop()
        since = monotonic()
        server.start()
        return since

    return strike


def stops(server: RedisServer, longest: float) -> Strike:
    """SIGSTOP, for a while."""

    def strike(draw: Random) -> float:
        server.process.send_signal(SIGSTOP)
        sleep(draw.uniform(0.1, longest))
        since = monotonic()
        server.process.send_signal(SIGCONT)
        await_answers(server.url)
        return since

    return strike


def pauses(server: PostgresServer, longest: float) -> Strike:
    """SIGSTOP for all its processes, for a while."""

    def strike(draw: Random) -> float:
        server.pause()
        sleep(draw.uniform(0.1, longest))
        since = monotonic()
        server.resume()
        return since

    return strike


def locks(path: str, longest: float) -> Strike:
    """Another process keeps the file of SQLite locked, for a while."""

    def strike(draw: Random) -> float:
        other = sqlite3.connect(path, timeout=60, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        sleep(draw.uniform(0.1, longest))
        since = monotonic()
        other.execute("COMMIT")
        other.close()
        return since

    return strike


def commands(url: str, *words: Any) -> Strike:
    """One command, sent to the server each time."""
    client: Any = redis.Redis.from_url(url)

    def strike(_: Random) -> None:
        client.execute_command(*words)

    return strike


def kills_clients(url: str, kind: str, pause_ms: int = 0) -> Strike:
    """CLIENT KILL of every connection of this kind; every twentieth time, CLIENT PAUSE."""
    client: Any = redis.Redis.from_url(url)

    def strike(draw: Random) -> None:
        if pause_ms and draw.random() < 0.05:
            client.execute_command("CLIENT", "PAUSE", pause_ms, "ALL")
            sleep(pause_ms / 1000)
        else:
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    return strike


def demotes(url: str, longest: float) -> Strike:
    """The server becomes the replica of one that does not answer, and refuses to write."""
    client: Any = redis.Redis.from_url(url)

    def strike(draw: Random) -> float:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        sleep(draw.uniform(0.1, longest))
        since = monotonic()
        client.execute_command("REPLICAOF", "NO", "ONE")
        return since

    return strike


def fills(url: str, policy: str) -> Strike:
    """The server reaches its maxmemory, for a while."""
    client: Any = redis.Redis.from_url(url)
    client.config_set("maxmemory-policy", policy)

    def strike(draw: Random) -> None:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", used - (0 if policy == "noeviction" else 20_000))
        sleep(draw.uniform(0.05, 0.3))
        client.config_set("maxmemory", 0)

    return strike


class SteppingClock:
    """The server's clock, which is set forward and back while logins are under way."""

    def __init__(self) -> None:
        self._offset = 0

    def __call__(self) -> int:
        return now_ms() + self._offset

    def strike(self, draw: Random) -> None:
        self._offset = draw.choice((-10_000, -5_000, 0, 5_000, 10_000))
