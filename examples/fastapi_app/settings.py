"""The environment, read once at start. What is wrong there is refused with what to do instead.

Secrets that the environment does not name are made once and kept in instance/, so that people and sessions outlive a restart.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from qrlogin import STANDARD, Misconfigured, Policy
from qrlogin.codes import new_key
from qrlogin.demo.dialects import DIALECTS

INSTANCE = Path(__file__).with_name("instance")
ORIGIN = "http://127.0.0.1:8000"  # of `uvicorn app:app`
MAX_WAITING = 2000  # browsers that wait in one process: a few kilobytes each, and no thread


@dataclass(frozen=True, slots=True)
class Settings:
    origin: str
    database: str
    store: str
    secret_keys: tuple[str, ...] = field(repr=False)
    session_key: str = field(repr=False)
    dialects: tuple[str, ...]
    max_waiting: int
    policy: Policy

    @property
    def secure(self) -> bool:
        return self.origin.startswith("https:")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie. No other host of this site can plant one whose name begins with __Host-."""
        return "__Host-session" if self.secure else "session"


def read(environ: Mapping[str, str] = os.environ, instance: Path = INSTANCE) -> Settings:
    """The settings in `QRLOGIN_*`. Raises `Misconfigured`."""
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = {name: text.strip() for name, text in environ.items() if name.startswith("QRLOGIN_") and text.strip()}
    origin = said.get("QRLOGIN_ORIGIN", ORIGIN).rstrip("/")
    if not re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?", origin):
        raise Misconfigured(f"QRLOGIN_ORIGIN is what browsers call this site, without a path, such as {ORIGIN}")
    store = said.get("QRLOGIN_STORE", "memory")
    if store != "memory" and not store.startswith(("redis://", "rediss://", "unix://")):
        raise Misconfigured("QRLOGIN_STORE is memory, or an address such as redis://127.0.0.1:6379/0")
    dialects = _names(said.get("QRLOGIN_DIALECTS", ""))
    if unknown := set(dialects) - set(DIALECTS):
        raise Misconfigured(f"QRLOGIN_DIALECTS: there is no {min(unknown)!r}; there are {', '.join(DIALECTS)}, and all")
    lifetime = _number(said, "QRLOGIN_LIFETIME", STANDARD.lifetime)
    rotation = min(STANDARD.rotation, lifetime)
    policy = replace(STANDARD, lifetime=lifetime, rotation=rotation, rotation_grace=min(STANDARD.rotation_grace, rotation))
    where = said.get("QRLOGIN_DATABASE", str(instance / "people.sqlite3"))
    return Settings(
        origin=origin,
        database=where if "://" in where else f"sqlite:///{Path(where).resolve()}",
        store=store,
        secret_keys=_names(said.get("QRLOGIN_SECRET_KEYS", "")) or (_kept(instance / "qrlogin_key"),),
        session_key=environ.get("SECRET_KEY", "") or _kept(instance / "session_key"),
        dialects=dialects,
        max_waiting=_number(said, "QRLOGIN_MAX_WAITING", MAX_WAITING),
        policy=replace(policy, user_codes="rfc8628" in dialects),  # its devices show a code to type, and so do the pages then
    )


def _names(text: str) -> tuple[str, ...]:
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    return tuple(DIALECTS) if [*names] == ["all"] else tuple(names)


def _number(said: Mapping[str, str], name: str, default: int) -> int:
    text = said.get(name, str(default))
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise Misconfigured(f"{name} is a whole number from 1 on, such as {default}")
    return int(text)


def _kept(path: Path) -> str:
    """The secret in this file, made if there is none. It appears at once and whole, so workers that start together agree."""
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # mode 0600, a name of its own
            file.write(new_key())
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise Misconfigured(f"others can read instance/{path.name}: chmod 600 it, or take it away for a new one")
    return path.read_text("utf-8").strip()
