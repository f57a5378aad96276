"""Starts the examples with the commands of their READMEs, in a copy of the folder, on a free port.

It is a copy because an example keeps its accounts and keys in its own folder, and because a user
who copies an example has nothing else.
"""

import atexit
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import LOOPBACK, STOP_SECONDS, free_port
from tests.wire.clock import START_SECONDS, eventually

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".mypy_cache", "instance", "*.sqlite3", "*.pyc")


@contextlib.contextmanager
def own_port() -> Iterator[int]:
    """Reserves a port, for servers that take seconds until they listen."""
    with socket.socket() as held:
        while True:
            with contextlib.suppress(OSError):
                held.bind((LOOPBACK, port := free_port()))
                break
        if sys.platform == "linux":
            # Servers set the same option, so they can bind the port. `free_port` cannot.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            held.close()  # on other systems, servers could not bind it either
        yield port


@dataclass(frozen=True, slots=True)
class Example:
    """One of the examples, and how its server gets its port."""

    name: str
    folder: str
    port_variable: str = ""
    """The environment variable with the port; or else:"""
    port_argument: str = ""
    """What is appended to the command."""
    is_asgi: bool = False
    adapter: str = "adapter.py"

    @property
    def readme(self) -> str:
        return (EXAMPLES / self.folder / "README.md").read_text("utf-8")

    def commands(self) -> tuple[str, str, str]:
        """The three commands in the README's first block: install, create the database, start."""
        block = re.search(r"```(?:sh|shell|bash|console)\n(.*?)```", self.readme, re.DOTALL)
        assert block, f"{self.folder}/README.md has no shell block"
        line = re.sub(r"\\\n\s*|\n", " ", block[1]).strip()
        install, prepare, start = (part.strip() for part in line.split("&&"))
        assert install == "pip install -r requirements.txt"
        return install, prepare, start


FLASK = Example("Flask", "flask_app", port_variable="FLASK_RUN_PORT")
FASTAPI = Example("FastAPI", "fastapi_app", port_variable="UVICORN_PORT", is_asgi=True)
DJANGO = Example(
    "Django", "django_site", port_argument="{port} --noreload", adapter="qrlogin_django/adapter.py"
)
ALL = {each.name: each for each in (FLASK, FASTAPI, DJANGO)}


def surroundings() -> dict[str, str]:
    """The environment, without variables that other tests set for other examples."""
    left_out = (
        "QRLOGIN_",
        "SECRET_KEY",
        "DJANGO_",
        "FLASK_",
        "UVICORN_",
        "GUNICORN_",
        "WEB_CONCURRENCY",
    )
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(left_out)},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def prepare(command: str, folder: Path, env: Mapping[str, str]) -> None:
    done = subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def prepared(example: Example) -> Path:
    """A copy of an example with an empty database. Made once, because migrations take a second."""
    temporary = tempfile.mkdtemp(prefix="qrlogin-prepared-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    folder = Path(
        shutil.copytree(EXAMPLES / example.folder, Path(temporary, example.folder), ignore=LEFT_OUT)
    )
    prepare(example.commands()[1], folder, surroundings())
    return folder


class Server:
    """A server as a process. Leaving the `with` block stops it.

    Its address is in the variable `QRLOGIN_ORIGIN`.

    :param start: the command; "{port}" becomes the port
    :param folder: where it runs
    :param page: the path of a page that answers as soon as the server runs
    :param host: what browsers call it
    :param env: more environment variables; "{port}" becomes the port
    """

    def __init__(
        self, start: str, folder: Path, *, page: str = "/login", host: str = LOOPBACK, **env: str
    ) -> None:
        self._stack = contextlib.ExitStack()
        self.port = self._stack.enter_context(own_port())
        self.origin = f"http://{host}:{self.port}"
        self.folder, self._page = folder, page
        own = {name: value.replace("{port}", str(self.port)) for name, value in env.items()}
        self.env = {**surroundings(), "QRLOGIN_ORIGIN": self.origin, **own}
        logs = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="qrlogin-output-"))
        self._output = Path(logs, "output")
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self.prepare()
            self._begin(start.replace("{port}", str(self.port)))
        except BaseException:
            self.close()
            raise

    def prepare(self) -> None:
        """Do what must be done in the folder before the server starts."""

    def _begin(self, command: str) -> None:
        with self._output.open("wb") as log:
            self.process = subprocess.Popen(
                f"exec {command}",
                shell=True,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that `close` can also end its children
            )
        eventually(lambda: self.answers() or self.ended(), START_SECONDS)
        assert not self.ended(), self.log

    @property
    def log(self) -> str:
        return self._output.read_text("utf-8", "replace")

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self.origin}{self._page}", timeout=5) as answer,
        ):
            # Closing without reading would send a reset, after which `flask run` cleans up nothing.
            answer.read()
            return int(answer.status) == 200
        return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send this signal to the process, and not to its children."""
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        """Stop it and all its children. What does not end on SIGTERM is killed."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Running(Server):
    """A running example. Leaving the `with` block stops it and deletes its folder.

    :param start: the command, in place of the README's
    :param folder: where it runs, in place of a new copy; this folder is not deleted
    :param host: what browsers call it
    :param env: more environment variables
    """

    def __init__(
        self,
        example: Example,
        *,
        start: str = "",
        folder: Path | None = None,
        host: str = LOOPBACK,
        **env: str,
    ) -> None:
        self.example = example
        _, self._prepare, usual = example.commands()
        if example.port_variable:
            env = {example.port_variable: "{port}", **env}
        self._temporary = "" if folder else tempfile.mkdtemp(prefix="qrlogin-example-")
        super().__init__(
            start or f"{usual} {example.port_argument}",
            folder or Path(self._temporary, example.folder),
            host=host,
            **env,
        )

    def prepare(self) -> None:
        if self.folder.exists():
            prepare(self._prepare, self.folder, self.env)
        else:
            shutil.copytree(prepared(self.example), self.folder)

    def close(self) -> None:
        super().close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)


class InStrict(Running):
    """A running example whose settings were changed to the policy `STRICT`."""

    def prepare(self) -> None:
        super().prepare()
        django = self.folder / "config" / "settings.py"
        settings = django if django.exists() else self.folder / "settings.py"
        text = settings.read_text("utf-8").replace("STANDARD", "STRICT")
        settings.write_text(
            text.replace("QRLOGIN = {", 'QRLOGIN = {"POLICY": "qrlogin.STRICT",'), "utf-8"
        )
