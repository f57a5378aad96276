"""What the environment says, and the secrets that it does not name: made once and kept in instance/, so that people and
sessions outlive a restart. What is wrong there is refused with what to do instead.
"""

import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from qrlogin.demo.dialects import DIALECTS

INSTANCE = Path(__file__).resolve().parent.parent / "instance"
ORIGIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?")


def origin(default: str) -> str:
    said = os.environ.get("QRLOGIN_ORIGIN", default).rstrip("/")
    if not ORIGIN.fullmatch(said):
        raise ImproperlyConfigured(f"QRLOGIN_ORIGIN is what browsers call this site, without a path, such as {default}")
    return said


def number(name: str, default: int | None) -> int | None:
    said = os.environ.get(name)
    if said and not re.fullmatch("[1-9][0-9]{0,5}", said):
        raise ImproperlyConfigured(f"{name} is a whole number from 1 on, such as {default or 8}")
    return int(said) if said else default


def words(name: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def dialects() -> list[str]:
    names = words("QRLOGIN_DIALECTS")
    if unknown := [name for name in names if name not in DIALECTS]:
        raise ImproperlyConfigured(f"QRLOGIN_DIALECTS: there is no {unknown[0]!r}; there are {', '.join(DIALECTS)}")
    return list(dict.fromkeys(names))


def database() -> Path:
    """An SQLite file. For PostgreSQL and others DATABASES in settings.py is the place: Django knows no one address for them."""
    said = os.environ.get("QRLOGIN_DATABASE", "")
    path = said.removeprefix("sqlite:///")
    if "://" in path:
        raise ImproperlyConfigured("QRLOGIN_DATABASE is the path of an SQLite file; others go into DATABASES in settings.py")
    return Path(path) if path else _instance() / "db.sqlite3"


def kept(name: str, make: Callable[[], str]) -> str:
    """The secret in this file, made if there is none. It appears at once and whole, so two workers that start together agree."""
    path = _instance() / name
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="ascii") as file:  # mode 0600, a name of its own
            file.write(make())
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ImproperlyConfigured(f"others can read {path.name}: chmod 600 it, or take it away for a new one")
    return path.read_text("ascii").strip()


def _instance() -> Path:
    INSTANCE.mkdir(mode=0o700, exist_ok=True)
    return INSTANCE
