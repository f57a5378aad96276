"""Processes that are replaced while people log in: with other keys, and with another version."""

import contextlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from random import Random
from time import sleep
from typing import Any, Final

from qrlogin.clock import monotonic
from qrlogin.keys import new_key
from qrlogin.login import QRLogin
from tests.application import KEY, URI
from tests.faults.crowd import OPTIONS, PATIENCE, Crowd
from tests.faults.nemesis import Strike
from tests.faults.rows import NotHere, Row

ROOT: Final = Path(__file__).parents[2]
#: Used as the last release until there is one. Then the newest tag is.
BEFORE: Final = "51c9d3f"


# Other keys


class Node:
    """One of the processes that serve a site. It is replaced by a new one with other keys.

    The old process ends its waits, as `drain_on_signals` does, and their browsers ask again.
    """

    def __init__(self, make: Callable[[list[Any]], QRLogin]) -> None:
        self._make, self._qr = make, make([KEY])

    def replace(self, keys: list[Any]) -> None:
        old, self._qr = self._qr, self._make(keys)
        old.drain()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._qr, name)


def rotates(crowd: Crowd, nodes: list[Node]) -> Strike:
    """Replaces the key, as docs/concepts.md says: first every process can verify the new one, then
    every process signs with it, and once no login with the old one is left, that is removed.
    """
    keys: list[Any] = [KEY]

    def roll(ring: list[Any]) -> None:
        for node in nodes:
            node.replace(ring)
            sleep(0.05)

    def strike(_: Random) -> None:
        old, new = keys[-1], new_key()
        keys.append(new)
        roll([old, new])
        roll([new, old])
        begun, until = crowd.under_way.copy(), monotonic() + PATIENCE
        while begun & crowd.under_way and monotonic() < until:
            sleep(0.02)
        roll([new])

    return strike


# Another version


@contextlib.contextmanager
def last_release() -> Iterator[str]:
    """A folder with the package as the last release has it. Raises `NotHere`."""
    git = ["git", "-C", str(ROOT)]
    newest = [*git, "describe", "--tags", "--match", "v*", "--abbrev=0"]
    tag = subprocess.run(newest, capture_output=True, text=True, check=False).stdout.strip()
    archive = subprocess.run(
        [*git, "archive", tag or BEFORE, "qrlogin"], capture_output=True, check=False
    )
    if archive.returncode:
        raise NotHere("the history of git is not here")
    with tempfile.TemporaryDirectory(prefix="qrlogin-before-") as folder:
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as packed:
            packed.extractall(folder, filter="data")
        yield folder


class Process:
    """A process of some version, with a `QRLogin` over a Redis. It carries out one call at a time.

    :param folder: where its package is.
    :param url: of the Redis.
    :param prefix: of the store.
    """

    def __init__(self, folder: str, url: str, prefix: str) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("version.py")), url, prefix, URI],
            env={**os.environ, "PYTHONPATH": folder},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, name: str, *codes: str, **more: Any) -> Any:
        """What a method of `QRLogin` returns, as a dict; raises `Refused` with the error's name."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps([name, codes, more]) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def close(self) -> None:
        self._process.communicate()


class Refused(Exception):
    """A call raised the error of this name."""


def play_versions(row: Row, url: str, folders: list[str], logins: int) -> Row:
    """Each step of a login is carried out by a process of one version or the other.

    :param row: where it counts.
    :param url: of the Redis.
    :param folders: where the package is, for each process.
    :param logins: how many.
    """
    prefix, draw = f"{uuid.uuid4().hex}:", Random(row.seed)
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(contextlib.closing(Process(folder, url, prefix)))
            for folder in folders
        ]

        def ask(name: str, *codes: str, **more: Any) -> Any:
            """Ask any process. If it is unavailable, ask again, whichever then answers."""
            for _ in range(50):
                try:
                    return draw.choice(processes).ask(name, *codes, **more)
                except Refused as error:
                    if str(error) != "Unavailable":
                        raise
                    row.add("unavailable")
            raise Refused("Unavailable each time")

        for number in range(logins):
            who = f"person{number}"
            try:
                _play_one(row, ask, processes, who)
            except Refused as error:
                row.add("lost", f"a login was refused: {error}")
            row.add("logins")
    row.faults = len(folders)
    return row


def _play_one(row: Row, ask: Callable[..., Any], processes: list[Process], who: str) -> None:
    begun = ask("begin")
    ask("scan", begun["scan_code"], subject=who, shown_as=who)
    ask("confirm", begun["scan_code"], subject=who)
    seen = ask("status", begun["device_code"])
    won = []

    def redeem(process: Process) -> None:
        with contextlib.suppress(Refused):
            op = uuid.uuid4().hex
            won.append(process.ask("redeem", begun["device_code"], acknowledged=seen["tag"], op=op))

    racers = [threading.Thread(target=redeem, args=[process]) for process in processes]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(PATIENCE)
    if not won:
        won.append(ask("redeem", begun["device_code"], acknowledged=seen["tag"]))
    if len(won) > 1:
        row.add("doubles", f"{len(won)} processes redeemed")
    if any(each["subject"] != who for each in won):
        row.add("wrong_user", "another subject was redeemed")


def node_maker(make_store: Callable[[], Any]) -> Callable[[list[Any]], QRLogin]:
    """Makes a process with these keys."""
    return lambda keys: QRLogin(make_store(), **{**OPTIONS, "secret_keys": keys})
