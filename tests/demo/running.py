"""Ways to reach the demo: a process (`RunningDemo`), or requests made by hand (`ask`). Each test brings its own people."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from qrlogin.demo.client import Client
from qrlogin.demo.site import Site
from qrlogin.wire import Request, Response

ORIGIN = "http://127.0.0.1:8000"
KEY = "b2b8m3wqmF8dVuG2m3Wc0oUJxjz4Iu2mbXcTzIYkF9s"
COMMAND = [sys.executable, "-m", "qrlogin"]
PATIENCE_S = (
    30  # what is waited for takes well under a second; only a hanging process gets this far
)
END_S = 20  # less than a poll is held: who ends by waiting for polls to end does not end in time


@dataclass
class Clock:
    ms: int = 1_795_000_000_000

    def now(self) -> int:
        return self.ms


def ask(
    site: Site, method: str, path: str, body: Any = None, form: str = "", **headers: str
) -> Response:
    """One request from this machine, with JSON or a form. Header names are spelled with _ for -."""
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


def said(response: Response) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(response.body)
    return read


def cookies(response: Response) -> str:
    """What a browser sends back."""
    return "; ".join(
        f"{cookie.key}={cookie.value}" for cookie in response.cookies if cookie.max_age
    )


def bearer(site: Site, name: str) -> dict[str, str]:
    return {
        "authorization": f"Bearer {said(ask(site, 'POST', '/demo/phone', {'name': name}))['token']}"
    }


class RunningDemo:
    """`python -m qrlogin demo` on a free port, its output read line by line. Leaving the block ends it."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.lines: list[str] = []
        self._news = threading.Condition()
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
        return self.until(r"open  +(http://\S+)$")

    @property
    def address(self) -> str:
        """Where this very process listens, when its `origin` is another's."""
        return self.until(r"^This process listens at +(http://\S+)$")

    @property
    def text(self) -> str:
        """What the QR code in its terminal says."""
        return self.until(r"^(http://\S+/qr/\S+)$")

    def until(self, pattern: str) -> str:
        """The first group of the first line that fits, once there is one."""

        def found() -> Iterator[str]:
            return (
                match[1] if match.re.groups else match[0]
                for line in self.lines
                if (match := re.search(pattern, line))
            )

        with self._news:
            assert self._news.wait_for(
                lambda: any(True for _ in found()) or self.process.poll() is not None, PATIENCE_S
            )
            for line in found():
                return line
        raise AssertionError(f"it ended without {pattern!r}:\n{self.output}")

    def browser(self) -> Client:
        return Client(self.origin, agent="a test")

    def end(self, number: int = signal.SIGTERM) -> int:
        """The exit code after this signal."""
        self.process.send_signal(number)
        code = self.process.wait(END_S)
        self._reader.join(PATIENCE_S)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

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
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(PATIENCE_S)
        if self.process.stdout:
            self.process.stdout.close()


def run(*arguments: str, code: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """`python -m qrlogin …` to its end. `code` is run before, in the same process."""
    begin = f"{code}\nimport sys\nfrom qrlogin.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", begin, *arguments] if code else [*COMMAND, *arguments]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
        timeout=PATIENCE_S * 2,
    )
