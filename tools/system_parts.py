"""Find or install what the tests need beyond Python packages: servers, proxies and browsers.

It installs only as root, with apt-get, no more than needed, and leaves no service running: the
tests start and stop their own servers. Elsewhere it says what is missing and how to get it: the
tests then skip what needs it, with one line each, and in CI they fail.
"""

import contextlib
import glob
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
    """One program."""

    name: str
    commands: tuple[str, ...]
    """Its possible names, or patterns of paths."""
    packages: tuple[str, ...]
    """The Debian packages that contain it."""
    elsewhere: str
    """How to get it on another system."""

    def find(self) -> str | None:
        """Its path; None if it is not on PATH."""
        paths = (path for name in self.commands for path in glob.glob(name) or [name])
        return next((found for path in paths if (found := shutil.which(path))), None)

    def how(self) -> str:
        """One sentence that says how to get it."""
        packages = " ".join(self.packages)
        return f"{self.name} not found: run `apt-get install {packages}`, or {self.elsewhere}"


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
    ("chromium", "fonts-dejavu-core"),  # the font: a bare system has none
    "install Google Chrome",
)
POSTGRES = Part(
    "PostgreSQL",
    ("postgres", "/usr/lib/postgresql/*/bin/postgres"),  # Debian puts it where PATH does not lead
    ("postgresql",),
    "`brew install postgresql`",
)
PARTS = (REDIS, CHROMIUM, POSTGRES)
#: Chromium without windows, toolbars and menus, which take most of its time. The tests use the full
#: one if it is missing.
HEADLESS = Part(
    "headless Chromium",
    ("chromium-headless-shell",),
    ("chromium-headless-shell",),
    "use Chromium",
)

#: For `make matrix`: browsers of two other engines, and a screen that WebKitGTK can draw on.
FIREFOX = Part("Firefox", ("firefox-esr", "firefox"), ("firefox-esr",), "install Firefox")
WEBKIT = Part(
    "WebKitGTK's driver", ("WebKitWebDriver",), ("webkit2gtk-driver",), "use a Linux that has it"
)
SCREEN = Part("Xvfb", ("Xvfb",), ("xvfb",), "use a Linux that has it")
ENGINES = (FIREFOX, WEBKIT, SCREEN)

#: For `make matrix`: the proxies whose configurations docs/proxies.md shows. Debian puts them into
#: /usr/sbin, which is not on the PATH of every user.
NGINX = Part("nginx", ("nginx", "/usr/sbin/nginx"), ("nginx-light",), "`brew install nginx`")
CADDY = Part("Caddy", ("caddy",), ("caddy",), "`brew install caddy`")
HAPROXY = Part("HAProxy", ("haproxy", "/usr/sbin/haproxy"), ("haproxy",), "`brew install haproxy`")
APACHE = Part(
    "Apache",
    ("apache2", "/usr/sbin/apache2"),
    ("apache2-bin",),  # the program and its modules, without a service
    "use a Debian",
)
PROXIES = (NGINX, CADDY, HAPROXY, APACHE)

#: The services that Debian's packages start, by package. The tests start processes of their own.
SERVICES = {
    "redis-server": "redis-server",
    "postgresql": "postgresql",
    "nginx-light": "nginx",
    "caddy": "caddy",
    "haproxy": "haproxy",
}


def in_ci() -> bool:
    """Whether this is CI, where a missing part is a failure."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def can_install() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """Keeps Debian from starting the servers that it installs: policy-rc.d exits with 101."""
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
    """Runs apt-get. Returns whether it succeeded. Its output is printed only if it failed."""
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
    """Installs packages. It updates the package lists only if needed."""
    wanted = ("install", "--yes", "--no-install-recommends", *packages)

    def attempt() -> bool:
        if apt_get("--print-uris", *wanted) and apt_get(*wanted):
            return True
        say("updating the package lists")
        # Without this mode, a list that cannot be downloaded is no error.
        updated = apt_get("-o", "APT::Update::Error-Mode=any", "update")
        if apt_get(*wanted):
            return True
        # No list has the package: another attempt would not help.
        return updated and not apt_get("--print-uris", *wanted)

    services = [SERVICES[package] for package in packages if package in SERVICES]
    with no_services():
        if not patiently(attempt):
            say("apt-get failed (see above)")
    for service in services:  # it must not start at the next boot either
        if shutil.which("systemctl"):
            subprocess.run(["systemctl", "disable", "--quiet", service], capture_output=True)
        elif shutil.which("update-rc.d"):
            subprocess.run(["update-rc.d", service, "disable"], capture_output=True)


def say(line: str) -> None:
    print(f"system parts: {line}", file=sys.stderr, flush=True)


def main(kind: str = "") -> int:
    """`kind` "engines" is what `make matrix` needs beyond the rest."""
    needed = (*ENGINES, *PROXIES) if kind == "engines" else PARTS
    if can_install():
        # Separately: a Debian without the headless Chromium still gets the others.
        for parts in (needed, () if kind else (HEADLESS,)):
            if packages := [
                package for part in parts if part.find() is None for package in part.packages
            ]:
                say(f"installing {' '.join(packages)} with apt-get (about 30 s)")
                install(packages)
    missing = [part for part in needed if part.find() is None]
    for part in missing:
        say(part.how() + ("" if in_ci() else ". Tests that need it are skipped"))
    return 1 if missing and in_ci() else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
