"""What the environment says, and the secrets that it does not name: made once and kept in instance/, so that people and
sessions outlive a restart. What is wrong there is refused with what to do instead (`Misconfigured`).
"""

import os
import re
from pathlib import Path

from qrlogin import Misconfigured
from qrlogin.keyfile import load_or_create_key

INSTANCE = Path(__file__).resolve().parent.parent / "instance"
ORIGIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?")


def origin(default: str) -> str:
    said = (os.environ.get("QRLOGIN_ORIGIN") or default).rstrip("/")
    if not ORIGIN.fullmatch(said):
        raise Misconfigured(
            f"QRLOGIN_ORIGIN is what browsers call this site, without a path, such as {default}"
        )
    return said


def number(name: str, default: int | None, least: int = 1) -> int | None:
    said = os.environ.get(name)
    if said and not (re.fullmatch("[0-9]{1,6}", said) and int(said) >= least):
        raise Misconfigured(f"{name} is a whole number from {least} on, such as {default or 8}")
    return int(said) if said else default


def words(name: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def database() -> Path:
    """An SQLite file. For PostgreSQL and others DATABASES in settings.py is the place: Django knows no one address for them."""
    said = os.environ.get("QRLOGIN_DATABASE", "")
    path = said.removeprefix("sqlite:///")
    if "://" in path:
        raise Misconfigured(
            "QRLOGIN_DATABASE is the path of an SQLite file; others go into DATABASES in settings.py"
        )
    return Path(path) if path else _instance() / "db.sqlite3"


def kept(name: str) -> str:
    """The secret in this file of instance/, made if there is none."""
    return load_or_create_key(_instance() / name)


def _instance() -> Path:
    INSTANCE.mkdir(exist_ok=True)
    INSTANCE.chmod(0o700)  # also when it was there before
    return INSTANCE
