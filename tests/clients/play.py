"""Runs one login of one client to its end. Client, phone and demo are processes of their own."""

import base64
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import npm_parts
from PIL import Image

from tests.demo.running import COMMAND
from tests.render.readers import decode

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 200  # then the client is killed; the slowest takes a tenth of it
PENDING_S = 2  # for so long a login that will expire stays unscanned


class Ending(StrEnum):
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Client:
    """A client. `stops`: regular expressions for its errors about a denied and an expired login."""

    name: str
    packages: tuple[str, ...]
    driver: tuple[str, ...]
    hosts: frozenset[str]  # the hosts that it names; empty: its address is configured
    stops: Mapping[Ending, str]
    reports_scan: bool = False  # whether it reports a scan
    ignores_denial: bool = False  # whether it ignores a denial and polls until the login expires
    poll: str = ""  # the path that it polls without a pause

    @property
    def of_node(self) -> bool:
        return self.driver[0].endswith(".mjs")

    def command(self, origin: str) -> list[str]:
        what, *more = self.driver
        if self.of_node:
            return [npm_parts.node() or "node", str(npm_parts.FOLDER / what), origin, *more]
        return [sys.executable, "-m", f"tests.clients.drivers.{what}", origin, *more]


@dataclass(repr=False)
class Played:
    events: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # the output
    code: int | None = None

    def every(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]

    def __repr__(self) -> str:
        return "\n".join([*self.lines, f"exit code {self.code}"])


def play(client: Client, ending: Ending, origin: str, folder: Path) -> Played:
    """Run the client in an empty folder, which is also its home."""
    played = Played()
    places = {name: str(folder) for name in ("HOME", "TMPDIR")}
    env = {
        **os.environ,
        **places,
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "OAUTHLIB_INSECURE_TRANSPORT": "1",
    }
    with subprocess.Popen(
        client.command(origin),
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        watchdog = threading.Timer(PATIENCE_S, process.kill)
        watchdog.start()
        try:
            for event in _events(process, played):
                if event["event"] == "shows":
                    shown = _text(event)
                    if ending is Ending.EXPIRED:
                        time.sleep(PENDING_S)
                    if client.reports_scan or ending is Ending.EXPIRED:
                        _phone(origin, "scan", shown, played)
                if (
                    event["event"] == ("scanned" if client.reports_scan else "shows")
                    and ending is not Ending.EXPIRED
                ):
                    _phone(
                        origin, "approve" if ending is Ending.APPROVED else "deny", shown, played
                    )
            played.code = process.wait()
        finally:
            watchdog.cancel()
            process.kill()
    return played


def _events(process: subprocess.Popen[str], played: Played) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        played.lines.append(line.rstrip()[:500])
        if line.startswith('{"event":'):
            event: dict[str, Any] = json.loads(line)
            played.events.append(event)
            yield event


def _text(event: Mapping[str, Any]) -> str:
    """The text that the client shows, or that its picture contains."""
    if "text" in event:
        return str(event["text"])
    (read,) = decode(Image.open(io.BytesIO(base64.b64decode(event["picture"]))))
    return read.decode()


def _phone(origin: str, act: str, text: str, played: Played) -> None:
    command = [*COMMAND, "phone", "--server", origin, "--as", "alice", act, text]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    played.lines += [f"phone {act}: {done.returncode}", done.stdout]
    played.events.append({"event": "phone", "code": done.returncode, "output": done.stdout})
