"""Make `.venv/` ready: `python3 tools/bootstrap.py demo`, or `dev` for the tests, ruff and mypy.

It needs Python 3.11 or newer with pip, and nothing else: no root, no ensurepip (Debian ships it
separately), no active environment. It puts `uv` into `.venv/` with pip, because uv installs the
rest about three times faster. If uv fails, pip does the same work with the same `constraints.txt`.
A stamp in `.venv/` makes the second run instant.

It installs only Python packages. `system_parts.py` installs servers and browsers.
"""

import ast
import fcntl
import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # before the annotations below, which older ones cannot parse
    raise SystemExit(
        "bootstrap: qrlogin needs Python 3.11 or newer. Choose one: make PYTHON=python3.12 ..."
    )

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CONSTRAINTS = ROOT / "constraints.txt"
PAUSES = (0, 5, 20)  # seconds before each attempt to download

#: level: the message while it installs, the extras, the dependency groups
LEVELS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "demo": (
        "qrlogin, the demo's server and its decoder (about 10 s the first time)",
        "context,demo,redis",
        (),
    ),
    "dev": (
        "the test, lint and type tools (about 30 s the first time)",
        "context,demo,postgres,qrcode,redis,testing",
        ("dev",),
    ),
}


def say(line: str) -> None:
    print(f"bootstrap: {line}", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], env: dict[str, str] | None = None) -> bool:
    """Runs a command. Returns whether it succeeded. Its output is printed only if it failed."""
    done = subprocess.run(
        command,
        env=env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.returncode == 0


def patiently(attempt: Callable[[], bool]) -> bool:
    """Tries up to three times, because networks fail for a moment. Returns whether it succeeded."""
    for pause in PAUSES:
        if pause:
            say(f"failed (see above). Trying again in {pause} s")
            time.sleep(pause)
        if attempt():
            return True
    return False


def fingerprint(level: str) -> str:
    """Changes with everything that an installation depends on."""
    parts = [level, str(ROOT), sys.version]
    parts += [
        path.read_text()
        for path in (ROOT / "pyproject.toml", CONSTRAINTS, Path(__file__))
        if path.exists()
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def stamp(level: str) -> Path:
    return VENV / f"ready-{level}"


def ready(level: str) -> bool:
    return (
        PYTHON.exists() and stamp(level).exists() and stamp(level).read_text() == fingerprint(level)
    )


def make_venv() -> None:
    """Makes an empty environment for the running Python, unless it exists. Raises SystemExit."""
    version = "import sys; print(sys.version)"
    if PYTHON.exists():
        found = subprocess.run([PYTHON, "-c", version], capture_output=True, text=True)
        if found.returncode == 0 and found.stdout.strip() == sys.version:
            return
        say(".venv belongs to another Python. Creating it again")
    else:
        say("creating .venv")
    if not run([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV]):
        raise SystemExit("bootstrap: `python3 -m venv` failed (see above)")


def pip_command() -> list[str | Path]:
    """A pip that installs into .venv: this Python's, or one from ensurepip. Raises SystemExit."""

    def has(python: str | Path, module: str) -> bool:
        return (
            subprocess.run([python, "-m", module, "--version"], capture_output=True).returncode == 0
        )

    # The two differ only if this Python is that of an environment, which may have no pip.
    for python in (sys.executable, getattr(sys, "_base_executable", sys.executable)):
        if has(python, "pip"):
            return [python, "-m", "pip", "--python", PYTHON]
    if has(PYTHON, "pip") or (has(PYTHON, "ensurepip") and run([PYTHON, "-m", "ensurepip"])):
        return [PYTHON, "-m", "pip"]
    raise SystemExit(
        "bootstrap: this Python has neither pip nor ensurepip. Install pip (on Debian and Ubuntu: "
        "apt-get install python3-pip), or choose another Python: make PYTHON=/path/to/python3"
    )


#: pip's settings, and the variables of uv for them
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
SECTIONS = ("global", "install", ":env:")  # of pip's settings: a later one wins


def uv_environment(pip: Sequence[str | Path]) -> dict[str, str]:
    """The environment for uv, with pip's settings: indexes, links, certificate and so on.

    uv reads only its own variables, and would ignore a machine that is configured for pip.
    Variables for uv that are already set stay as they are.
    """
    listed = subprocess.run(
        [*pip, "config", "list"], capture_output=True, text=True, cwd=ROOT
    ).stdout
    # A line is like global.index-url='...'
    found = re.findall(r"^(.+?)\.([\w-]+)=(['\"].*['\"])$", listed, re.MULTILINE)
    env = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    configured = {}
    for section in SECTIONS:
        for where, setting, value in found:
            if where == section and setting in SETTINGS:
                name = SETTINGS[setting]
                # Both separate values by blanks, but uv separates links by commas.
                configured[name] = ("," if name == "UV_FIND_LINKS" else " ").join(
                    str(ast.literal_eval(value)).split()
                )
    # As with pip, all indexes are equal, and the best version is used.
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **configured, **env}


def install_uv(pip: Sequence[str | Path]) -> Path | None:
    """The path of uv, which it installs if needed; None if that fails."""
    uv = VENV / "bin" / "uv"
    if uv.exists():
        return uv
    say("installing uv into .venv (about 5 s)")
    return uv if run([*pip, "install", "--quiet", *constrained(), "uv"]) else None


def constrained() -> list[str | Path]:
    return ["-c", CONSTRAINTS] if CONSTRAINTS.exists() else []


def install(level: str) -> None:
    what, extras, groups = LEVELS[level]
    begun = time.monotonic()
    make_venv()
    pip = pip_command()
    project = ["-e", f".[{extras}]"]
    wanted = [*constrained(), *project, *(word for group in groups for word in ("--group", group))]

    def attempt() -> bool:
        uv = install_uv(pip)
        say(f"installing {what} into .venv")
        if uv and run(
            [uv, "pip", "install", "--quiet", "--python", PYTHON, *wanted], uv_environment(pip)
        ):
            return True
        say("uv failed. Trying pip (slower, the same versions)")
        return run(
            [*pip, "install", "--quiet", *constrained(), *project, *group_requirements(groups)]
        )

    if not patiently(attempt):
        raise SystemExit(
            "bootstrap: the installation failed (see above). Is a package index reachable?"
        )
    for done in {"demo", level}:  # `dev` includes `demo`
        stamp(done).write_text(fingerprint(done))
    say(f"done in {time.monotonic() - begun:.0f} s")


def group_requirements(groups: Sequence[str]) -> list[str]:
    """The requirements of PEP 735 groups. pip has `--group` only since 25.1."""
    import tomllib

    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    found: list[str] = []
    for group in groups:
        for item in table[group]:
            found += (
                [item] if isinstance(item, str) else group_requirements([item["include-group"]])
            )
    return found


def main(arguments: Sequence[str]) -> int:
    level = arguments[0] if arguments else "dev"
    if level not in LEVELS:
        raise SystemExit(f"usage: bootstrap.py [{'|'.join(LEVELS)}]")
    with (ROOT / "pyproject.toml").open() as project:
        # A second `make` at the same time waits here, and then finds everything ready.
        fcntl.flock(project, fcntl.LOCK_EX)
        if not ready(level):
            install(level)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
