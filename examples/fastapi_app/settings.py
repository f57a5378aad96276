"""Reads the environment, once, when the application starts.

Secrets that the environment does not set are created once and kept in instance/, so that accounts
and sessions outlive a restart.
"""

import logging
import multiprocessing
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qrlogin import STANDARD, Misconfigured, Policy
from qrlogin.addresses import site_origin
from qrlogin.keyfile import load_or_create_key
from qrlogin.wire.dialects import client_options, dialect_names

INSTANCE = Path(__file__).with_name("instance")
ORIGIN = "http://127.0.0.1:8000"  # the address of `uvicorn app:app`
MAX_WAITING = 2000  # browsers that wait in one process; each takes some kilobytes and no thread
NOT_SHARED = (
    "several workers need a store that they share: "
    "set QRLOGIN_STORE, for example to redis://127.0.0.1:6379/0"
)


@dataclass(frozen=True, slots=True)
class Settings:
    origin: str
    database: str
    store: str
    secret_keys: tuple[str, ...] = field(repr=False)
    session_key: str = field(repr=False)
    dialects: tuple[str, ...]
    clients: Mapping[str, Mapping[str, Any]]
    proxies: int
    max_waiting: int
    policy: Policy

    @property
    def secure(self) -> bool:
        return self.origin.startswith("https:")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie.

        Another host of the same domain cannot set cookies whose names begin with __Host-.
        """
        return "__Host-session" if self.secure else "session"


def read(environ: Mapping[str, str] = os.environ, instance: Path = INSTANCE) -> Settings:
    """The settings in `QRLOGIN_*`. Raises `Misconfigured`, which says what to set."""
    given = {
        name: text.strip()
        for name, text in environ.items()
        if name.startswith("QRLOGIN_") and text.strip()
    }
    origin = site_origin(given.get("QRLOGIN_ORIGIN", ORIGIN), "QRLOGIN_ORIGIN")
    store = given.get("QRLOGIN_STORE", "memory")
    several = has_other_workers(sys.argv, environ) if store == "memory" else False
    if several:
        raise Misconfigured(NOT_SHARED)
    if several is None:
        logging.getLogger("uvicorn.error").warning("If this is not the only worker: %s", NOT_SHARED)
    dialects = dialect_names(given.get("QRLOGIN_DIALECTS", ""), "QRLOGIN_DIALECTS")
    keys = tuple(
        key.strip() for key in given.get("QRLOGIN_SECRET_KEYS", "").split(",") if key.strip()
    )
    with naming("QRLOGIN_LIFETIME"):
        policy = STANDARD.with_lifetime(_number(given, "QRLOGIN_LIFETIME", STANDARD.lifetime))
    database = given.get("QRLOGIN_DATABASE") or str(_folder(instance) / "people.sqlite3")
    return Settings(
        origin=origin,
        database=database if "://" in database else f"sqlite:///{Path(database).resolve()}",
        store=store,
        secret_keys=keys or (load_or_create_key(_folder(instance) / "qrlogin_key"),),
        session_key=environ.get("SECRET_KEY", "")
        or load_or_create_key(_folder(instance) / "session_key"),
        dialects=dialects,
        clients=client_options(
            dialects,
            given.get("QRLOGIN_CLIENTS", ""),
            "QRLOGIN_CLIENTS",
            local=not origin.startswith("https:"),
        ),
        proxies=_number(given, "QRLOGIN_PROXIES", 0, least=0),
        max_waiting=_number(given, "QRLOGIN_MAX_WAITING", MAX_WAITING, least=0),
        # Devices that use RFC 8628 show a code to type. Then the pages of this site take one too.
        policy=replace(policy, user_codes="rfc8628" in dialects),
    )


def _folder(instance: Path) -> Path:
    """The same path. Creates the folder if it does not exist, readable by its owner alone."""
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    if instance.stat().st_mode & 0o077:  # it existed with other permissions
        instance.chmod(0o700)
    return instance


def _number(given: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    text = given.get(name, str(default))
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < least:
        raise Misconfigured(f"{name} is a whole number from {least} on, such as {default}")
    return int(text)


@contextmanager
def naming(variable: str) -> Iterator[None]:
    """Puts the variable's name before the library's error message."""
    try:
        yield
    except Misconfigured as error:
        raise Misconfigured(f"{variable}: {error}") from None


def has_other_workers(argv: Sequence[str], environ: Mapping[str, str]) -> bool | None:
    """Whether uvicorn runs other workers beside this one; None if that is unknown.

    No server tells its application, so this reads uvicorn's command line and environment. A parent
    process alone proves nothing: a single process has one under `--reload`, under a supervisor, and
    when hypercorn starts it.
    """
    if (
        multiprocessing.parent_process() is None
        or "--reload" in argv
        or argv[1:2] == ["dev"]
        or "UVICORN_RELOAD" in environ
    ):
        return False
    workers = re.findall(r"(?<!\S)--workers[ =](\d+)", " ".join(argv))  # the last one counts
    number = (
        workers[-1] if workers else environ.get("UVICORN_WORKERS") or environ.get("WEB_CONCURRENCY")
    )
    return number.lstrip("0") != "1" if number and "uvicorn" in sys.modules else None
