"""Ways to reach the demo: as a process (`RunningDemo`), or as an application (`send`)."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from qrlogin.__main__ import main
from qrlogin.demo.client import Client
from qrlogin.demo.site import Site
from qrlogin.wire import Request, Response

ORIGIN = "http://127.0.0.1:8000"
KEY = "b2b8m3wqmF8dVuG2m3Wc0oUJxjz4Iu2mbXcTzIYkF9s"
COMMAND = [sys.executable, "-m", "qrlogin"]
TIMEOUT_S = 30  # every wait takes well under a second, unless a process hangs
STOP_TIMEOUT_S = 20  # less than a status is held: a demo that waits for held requests is too slow


@dataclass
class Clock:
    ms: int = 1_795_000_000_000

    def now(self) -> int:
        return self.ms


def send(
    site: Site, method: str, path: str, body: Any = None, form: str = "", **headers: str
) -> Response:
    """Sends one request to the application, from this machine.

    :param site: the application
    :param method: the HTTP method
    :param path: path and query
    :param body: an object to send as JSON
    :param form: a form to send in its place
    :param headers: by name, with _ for -
    """
    lines = {
        "host": ORIGIN.removeprefix("http://"),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    if body is not None or form:
        lines["content-type"] = "application/x-www-form-urlencoded" if form else "application/json"
    path, _, query = path.partition("?")
    content = form.encode() if body is None else json.dumps(body).encode()
    return site.answer(
        Request(method, path.lstrip("/"), query, tuple(lines.items()), content, "127.0.0.1")
    )


def json_of(response: Response) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(response.body)
    return read


def cookie_header(response: Response) -> str:
    """The Cookie header that a browser would send after this answer."""
    return "; ".join(
        f"{cookie.key}={cookie.value}" for cookie in response.cookies if cookie.max_age
    )


def bearer(site: Site, name: str) -> dict[str, str]:
    """The Authorization header of this account's phone."""
    unlocked = json_of(send(site, "POST", "/demo/phone", {"name": name}))
    return {"authorization": f"Bearer {unlocked['token']}"}


class RunningDemo:
    """`python -m qrlogin demo` on a free port. It reads the output, and stops with the block."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [*COMMAND, "demo", "--port", "0", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def origin(self) -> str:
        return self.until(r"^  Log a browser in +(http://\S+)$")

    @property
    def address(self) -> str:
        """Where this process listens, if its `origin` is the address of another one."""
        return self.until(r"^This process listens at +(http://\S+)$")

    @property
    def text(self) -> str:
        """The text of the QR code in its terminal."""
        return self.until(r"^(http://\S+/qr/\S+)$")

    def until(self, pattern: str) -> str:
        """Waits for a line that matches. Returns its first group, or the whole match."""

        def found() -> Iterator[str]:
            return (
                match[1] if match.re.groups else match[0]
                for line in self.lines
                if (match := re.search(pattern, line))
            )

        with self._changed:
            assert self._changed.wait_for(
                lambda: any(True for _ in found()) or self.process.poll() is not None, TIMEOUT_S
            )
            for line in found():
                return line
        raise AssertionError(f"the demo stopped without {pattern!r}:\n{self.output}")

    def browser(self) -> Client:
        return Client(self.origin, agent="a-test/1")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal. Returns the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(STOP_TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(TIMEOUT_S)
        if self.process.stdout:
            self.process.stdout.close()


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Does in this process what `python -m qrlogin …` does. It takes a tenth of the time of `run`.

    Tests of one command that comes to its end use it. That the command is there, and that its
    process exits with this code, is proven once for each command with `run`.
    """
    out, error = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        try:
            code: object = main(arguments)
        except SystemExit as end:  # from argparse
            code = end.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), error.getvalue())


def run(*arguments: str, code: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m qrlogin …` to its end, after `code` in the same process."""
    begin = f"{code}\nimport sys\nfrom qrlogin.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", begin, *arguments] if code else [*COMMAND, *arguments]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
        timeout=TIMEOUT_S * 2,
    )
