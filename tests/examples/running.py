"""The examples as a person starts them: the commands of their README, in a copy of their folder, on a free port.

A copy, because an example keeps its people and its keys in its own folder; and because whoever copies one has nothing else.
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
from tests.wire.clock import eventually

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".mypy_cache", "instance", "*.sqlite3", "*.pyc")


@contextlib.contextmanager
def own_port() -> Iterator[int]:
    """A port that nobody else finds free, for servers that take seconds until they listen there."""
    with socket.socket() as held:
        while True:
            with contextlib.suppress(OSError):
                held.bind((LOOPBACK, port := free_port()))
                break
        if sys.platform == "linux":
            held.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # lets in servers, which say the same, but no `free_port`
        else:
            held.close()  # elsewhere servers would find it taken, too
        yield port


@dataclass(frozen=True, slots=True)
class Example:
    """One of the examples, and how its server is told which port to take."""

    name: str
    folder: str
    port_variable: str = ""  # read by its server
    port_argument: str = ""  # or added to the command
    awaited: bool = False
    adapter: str = "adapter.py"

    @property
    def readme(self) -> str:
        return (EXAMPLES / self.folder / "README.md").read_text("utf-8")

    def commands(self) -> tuple[str, str, str]:
        """What the first block of shell in the README says: how to install, to prepare the database, and to start."""
        block = re.search(r"```(?:sh|shell|bash|console)\n(.*?)```", self.readme, re.DOTALL)
        assert block, f"{self.folder}/README.md has no shell block"
        said = re.sub(r"\\\n\s*|\n", " ", block[1]).strip()
        install, prepare, start = (part.strip() for part in said.split("&&"))
        assert install == "pip install -r requirements.txt"
        return install, prepare, start


FLASK = Example("Flask", "flask_app", port_variable="FLASK_RUN_PORT")
FASTAPI = Example("FastAPI", "fastapi_app", port_variable="UVICORN_PORT", awaited=True)
DJANGO = Example(
    "Django", "django_site", port_argument="{port} --noreload", adapter="qrlogin_django/adapter.py"
)
ALL = {each.name: each for each in (FLASK, FASTAPI, DJANGO)}


def surroundings() -> dict[str, str]:
    """The environment, without what other tests told other examples."""
    told = (
        "QRLOGIN_",
        "SECRET_KEY",
        "DJANGO_",
        "FLASK_",
        "UVICORN_",
        "GUNICORN_",
        "WEB_CONCURRENCY",
    )
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(told)},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def prepare(command: str, folder: Path, env: Mapping[str, str]) -> None:
    done = subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def prepared(example: Example) -> Path:
    """A copy of an example with an empty database, made once, for others to be copied from it: migrations take a second."""
    temporary = tempfile.mkdtemp(prefix="qrlogin-prepared-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    folder = Path(
        shutil.copytree(EXAMPLES / example.folder, Path(temporary, example.folder), ignore=LEFT_OUT)
    )
    prepare(example.commands()[1], folder, surroundings())
    return folder


class Running:
    """An example that runs. Leaving the block ends it, and takes its folder away.

    `start` overrides the README's last command ("{port}" stands for the port); a `folder` that is given stays.
    """

    def __init__(
        self, example: Example, *, start: str = "", folder: Path | None = None, **env: str
    ) -> None:
        self._stack = contextlib.ExitStack()
        self.example, self.port = example, self._stack.enter_context(own_port())
        self.origin = f"http://{LOOPBACK}:{self.port}"
        _, prepare, usual = example.commands()
        self._start, self._prepare = start or f"{usual} {example.port_argument}", prepare
        self.env = {
            **surroundings(),
            "QRLOGIN_ORIGIN": self.origin,
            **({example.port_variable: str(self.port)} if example.port_variable else {}),
            **env,
        }
        self._temporary = "" if folder else tempfile.mkdtemp(prefix="qrlogin-example-")
        self.folder = folder or Path(self._temporary, example.folder)
        self.output = self.folder.parent / f"output-{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        if self.folder.exists():
            prepare(self._prepare, self.folder, self.env)
        else:
            shutil.copytree(prepared(self.example), self.folder)
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                f"exec {self._start.format(port=self.port)}",
                shell=True,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that what it leaves behind can be ended, too
            )
        eventually(lambda: self.answers() or self.ended())
        assert not self.ended(), self.log

    @property
    def log(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self.origin}/login", timeout=5) as answer,
        ):
            answer.read()  # else closing the line would be a reset, after which the server of `flask run` tidies nothing up
            return int(answer.status) == 200
        return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Sends this signal to the process that was started, and to no other."""
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        """Ends it, with everything that it started; whoever does not heed SIGTERM is killed."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._stack.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
