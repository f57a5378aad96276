"""What the tests need beyond Python packages, a Redis server and a Chromium: found on PATH, or installed.

It installs only as root on a system with apt-get, no more than it must, and leaves no service behind: the tests start
their own servers and end them. Anywhere else it says what is missing and how to get it; the tests then skip what needs
it, one loud line each. Where CI is set a missing part is a failure instead.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap import patiently


@dataclass(frozen=True, slots=True)
class Part:
    """One program: the names it goes by, the Debian packages that bring it, and how a person gets it elsewhere."""

    name: str
    commands: tuple[str, ...]
    packages: tuple[str, ...]
    elsewhere: str

    def find(self) -> str | None:
        return next((found for command in self.commands if (found := shutil.which(command))), None)

    def how(self) -> str:
        """One sentence for a person who lacks it."""
        return f"no {self.name} found: `apt-get install {' '.join(self.packages)}`, or {self.elsewhere}"


REDIS = Part("redis-server", ("redis-server",), ("redis-server",), "`brew install redis`")
CHROMIUM = Part(
    "Chromium",
    (
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ),
    ("chromium", "fonts-dejavu-core"),  # the font: a bare system draws no letters at all
    "install Google Chrome",
)
PARTS = (REDIS, CHROMIUM)
#: The same Chromium without windows, toolbars and menus, which cost most of its time. Where it is missing, the whole one serves.
HEADLESS = Part(
    "headless Chromium",
    ("chromium-headless-shell",),
    ("chromium-headless-shell",),
    "leave it: Chromium will do",
)


def in_ci() -> bool:
    """Whether nothing may be missing here."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def can_install() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """Debian starts every server that it installs, unless for the moment a policy says no (exit code 101)."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def apt_get(*arguments: str) -> bool:
    """True if it succeeded; what it printed is shown only if it failed."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = [
        "apt-get",
        "-qq",
        "-o",
        "Acquire::Retries=3",
        "-o",
        "DPkg::Lock::Timeout=120",
        *arguments,
    ]
    done = subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.returncode == 0


def install(packages: list[str]) -> None:
    """Ask apt-get for the packages; its lists are renewed first only if they do not suffice."""
    wanted = ("install", "--yes", "--no-install-recommends", *packages)

    def attempt() -> bool:
        if apt_get("--print-uris", *wanted) and apt_get(*wanted):
            return True
        say("apt-get needs newer package lists; renewing them")
        renewed = apt_get(
            "-o", "APT::Update::Error-Mode=any", "update"
        )  # else lists that it could not reach are no error
        if apt_get(*wanted):
            return True
        return renewed and not apt_get(
            "--print-uris", *wanted
        )  # nobody here has it: that another attempt would not mend

    services = [package for package in packages if package == "redis-server"]
    with no_services():
        if not patiently(attempt):
            say("apt-get failed (see above)")
    for service in services:  # nor at the next boot
        if shutil.which("systemctl"):
            subprocess.run(["systemctl", "disable", "--quiet", service], capture_output=True)
        elif shutil.which("update-rc.d"):
            subprocess.run(["update-rc.d", service, "disable"], capture_output=True)


def say(line: str) -> None:
    print(f"system parts: {line}", file=sys.stderr, flush=True)


def main() -> int:
    if can_install():
        for parts in (
            PARTS,
            (HEADLESS,),
        ):  # apart: a Debian that does not have the one still gets the others
            if packages := [
                package for part in parts if part.find() is None for package in part.packages
            ]:
                say(f"installing {' '.join(packages)} with apt-get (about 30 s, once)")
                install(packages)
    missing = [part for part in PARTS if part.find() is None]
    for part in missing:
        say(part.how() + ("" if in_ci() else "; what needs it is skipped"))
    return 1 if missing and in_ci() else 0


if __name__ == "__main__":
    sys.exit(main())
