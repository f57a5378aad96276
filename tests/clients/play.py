"""Plays one login of one client: the client, the phone and the demo are processes of their own."""

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
TIMEOUT_S = 200  # the slowest client takes a tenth of it
PENDING_S = 2  # how long a login that will expire stays unscanned


class Ending(StrEnum):
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Client:
    """A public client and its driver."""

    name: str
    packages: tuple[str, ...]
    """What must be installed."""
    driver: tuple[str, ...]
    """The driver and its arguments."""
    hosts: frozenset[str]
    """The hosts that it calls; empty if its address can be configured."""
    reasons: Mapping[Ending, str]
    """How it reports a denied and an expired login: regular expressions."""
    reports_scan: bool = False
    """Whether it reports that a phone has scanned."""
    ignores_denial: bool = False
    """Whether it polls on after a denial, until the login expires."""
    poll_path: str = ""
    """A path that it polls again as soon as it is answered."""

    @property
    def runs_on_node(self) -> bool:
        return self.driver[0].endswith(".mjs")

    def command(self, origin: str) -> list[str]:
        driver, *arguments = self.driver
        if self.runs_on_node:
            return [npm_parts.node() or "node", str(npm_parts.FOLDER / driver), origin, *arguments]
        return [sys.executable, "-m", f"tests.clients.drivers.{driver}", origin, *arguments]


@dataclass(repr=False)
class Played:
    """What a client did, and what it printed."""

    events: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    code: int | None = None

    def events_named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def __repr__(self) -> str:
        return "\n".join([*self.lines, f"exit code {self.code}"])


def play(client: Client, ending: Ending, origin: str, folder: Path) -> Played:
    """Runs a client until its login has ended.

    :param client: the client
    :param ending: how the login ends
    :param origin: the address of the demo
    :param folder: an empty folder, which is the client's home
    """
    played = Played()
    folders = {name: str(folder) for name in ("HOME", "TMPDIR")}
    env = {
        **os.environ,
        **folders,
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
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
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
    """What the client shows: a text, or the text of the QR code in its picture."""
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
    played.events.append({"event": "phone", "code": done.returncode, "said": done.stdout})
