"""Processes of a benchmark: on which core they run, what they cost, and that none is left behind.

Linux only: it reads /proc. The servers run on one core. The generator and Redis run on the others,
so they cost the servers nothing.
"""

import os
import platform
import re
import resource
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Self

from tests.examples.running import Server
from tests.servers import RedisServer, redis_binary

ROOT = Path(__file__).parent.parent
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, OTHER_CORES = CORES[0], set(CORES[1:]) or set(CORES)
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


LIMIT_SECONDS = 14.5 * 60
BEGAN = time.monotonic()


def seconds_left() -> float:
    """Until the run must be over."""
    return BEGAN + LIMIT_SECONDS - time.monotonic()


def claim_the_machine() -> None:
    """Moves this process off the servers' core, and allows it as many sockets as it may have."""
    os.sched_setaffinity(0, OTHER_CORES)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def sockets() -> int:
    """How many files and sockets this process may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def free_memory() -> int:
    """Bytes that new processes can have."""
    found = re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())
    return int(found[1]) * 1024 if found else 0


def description() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    cpu = found[1] if found else platform.machine()
    linux = ".".join(platform.release().split(".")[:2])
    return f"{len(CORES)} cores ({cpu}), Linux {linux}"


def on_server_core(command: str) -> str:
    return f"taskset -c {SERVER_CORE} {command}"


def tree(root: int) -> list[int]:
    """The ids of a process and of all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def cpu(pids: list[int]) -> float:
    """Seconds of CPU, user and system, that these processes have used.

    The clock of a process counts nanoseconds, and /proc/PID/stat hundredths of a second. A kernel
    that does not show the clock of another process leaves the latter.
    """
    return sum(map(_cpu_of, pids))


def _cpu_of(pid: int) -> float:
    with suppress(OSError):
        return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) returns
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def memory(pids: list[int]) -> int:
    """Bytes of memory that these processes hold."""
    held = 0
    for pid in pids:
        with suppress(OSError):
            held += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return held


class Served:
    """A server as a process on the servers' core. `pids` are its process and its workers.

    :param command: the command; "{port}" becomes the port
    :param page: a path that is answered with 200 as soon as it runs
    :param env: more environment variables
    """

    def __init__(
        self, command: str, *, page: str = "/", env: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._server = Server(on_server_core(command), ROOT, page=page, **env)
        self.port, self.origin = self._server.port, self._server.origin
        assert self._server.process is not None
        self.pids = tree(self._server.process.pid)

    def close(self) -> None:
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Redis:
    """A Redis of the benchmark alone, off the servers' core, with a database for each server."""

    def __init__(self) -> None:
        self._server = RedisServer(redis_binary(), "--databases", "64")
        self._server.start()
        self.port, self.pids = self._server.port, [self._server.process.pid]
        os.sched_setaffinity(self.pids[0], OTHER_CORES)
        self._next = 0

    def url(self) -> str:
        """The address of a database that no other server uses."""
        self._next += 1
        return f"redis://127.0.0.1:{self.port}/{self._next}"

    def close(self) -> None:
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
