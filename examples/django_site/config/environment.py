"""Reads the environment. A value that is not valid raises `Misconfigured`, whose message says what
to set instead.

Secrets that the environment does not set are created once and kept in instance/, so that accounts
and sessions outlive a restart.
"""

import os
import re
from pathlib import Path

from qrlogin import Misconfigured
from qrlogin.addresses import site_origin
from qrlogin.keyfile import load_or_create_key

INSTANCE = Path(__file__).resolve().parent.parent / "instance"


def origin(default: str) -> str:
    """QRLOGIN_ORIGIN, spelled as browsers send it."""
    return site_origin(os.environ.get("QRLOGIN_ORIGIN") or default, "QRLOGIN_ORIGIN")


def number(name: str, default: int | None, least: int = 1) -> int | None:
    """The whole number in a variable, or the default if it is unset or empty."""
    text = os.environ.get(name)
    if text and not (re.fullmatch("[0-9]{1,6}", text) and int(text) >= least):
        raise Misconfigured(f"{name} is a whole number from {least} on, such as {default or 8}")
    return int(text) if text else default


def comma_separated(name: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def database() -> Path:
    """The path of an SQLite file. For other databases, change DATABASES in settings.py."""
    text = os.environ.get("QRLOGIN_DATABASE", "")
    path = text.removeprefix("sqlite:///")
    if "://" in path:
        raise Misconfigured(
            "QRLOGIN_DATABASE is the path of an SQLite file. "
            "For other databases, change DATABASES in settings.py."
        )
    return Path(path) if path else _instance() / "db.sqlite3"


def stored_key(name: str) -> str:
    """The secret in this file of instance/. Creates the file if it does not exist."""
    return load_or_create_key(_instance() / name)


def _instance() -> Path:
    INSTANCE.mkdir(exist_ok=True)
    INSTANCE.chmod(0o700)  # the folder may exist with other permissions
    return INSTANCE
