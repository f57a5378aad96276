"""The environment, read once at start. What is wrong there is refused with what to do instead.

Secrets that the environment does not name are made once and kept in instance/, so that people and sessions outlive a restart.
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

from qrlogin import STANDARD, Misconfigured, Policy
from qrlogin.demo.dialects import chosen
from qrlogin.keyfile import load_or_create_key

INSTANCE = Path(__file__).with_name("instance")
ORIGIN = "http://127.0.0.1:8000"  # of `uvicorn app:app`
MAX_WAITING = 2000  # browsers that wait in one process: a few kilobytes each, and no thread
ALONE = "several workers need a store that they share: set QRLOGIN_STORE, for example to redis://127.0.0.1:6379/0"


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
    said = {
        name: text.strip()
        for name, text in environ.items()
        if name.startswith("QRLOGIN_") and text.strip()
    }
    origin = said.get("QRLOGIN_ORIGIN", ORIGIN).rstrip("/")
    if not re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?", origin):
        raise Misconfigured(
            f"QRLOGIN_ORIGIN is what browsers call this site, without a path, such as {ORIGIN}"
        )
    store = said.get("QRLOGIN_STORE", "memory")
    several = one_of_several(sys.argv, environ) if store == "memory" else False
    if several:
        raise Misconfigured(ALONE)
    if several is None:
        logging.getLogger("uvicorn.error").warning("If this is not the only worker: %s", ALONE)
    dialects = chosen(said.get("QRLOGIN_DIALECTS", ""), "QRLOGIN_DIALECTS")
    keys = tuple(
        key.strip() for key in said.get("QRLOGIN_SECRET_KEYS", "").split(",") if key.strip()
    )
    with about("QRLOGIN_LIFETIME"):
        policy = STANDARD.with_lifetime(_number(said, "QRLOGIN_LIFETIME", STANDARD.lifetime))
    where = said.get("QRLOGIN_DATABASE") or str(_own(instance) / "people.sqlite3")
    return Settings(
        origin=origin,
        database=where if "://" in where else f"sqlite:///{Path(where).resolve()}",
        store=store,
        secret_keys=keys or (load_or_create_key(_own(instance) / "qrlogin_key"),),
        session_key=environ.get("SECRET_KEY", "")
        or load_or_create_key(_own(instance) / "session_key"),
        dialects=dialects,
        max_waiting=_number(said, "QRLOGIN_MAX_WAITING", MAX_WAITING, least=0),
        policy=replace(
            policy, user_codes="rfc8628" in dialects
        ),  # its devices show a code to type, and so do the pages then
    )


def _own(instance: Path) -> Path:
    """The folder, which nobody else can read; made when something is to be kept there."""
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    if instance.stat().st_mode & 0o077:  # it was there before
        instance.chmod(0o700)
    return instance


def _number(said: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    text = said.get(name, str(default))
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < least:
        raise Misconfigured(f"{name} is a whole number from {least} on, such as {default}")
    return int(text)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Whoever reads what is wrong knows the variable, and not what the library calls it."""
    try:
        yield
    except Misconfigured as error:
        raise Misconfigured(f"{name}: {error}") from None


def one_of_several(argv: Sequence[str], environ: Mapping[str, str]) -> bool | None:
    """Whether uvicorn has other workers beside this one; None where that cannot be known.

    No server tells its application, so it is what uvicorn was told that counts. To be somebody's child proves nothing: so is a
    single process under `--reload`, or under a supervisor, or one that hypercorn starts.
    """
    if (
        multiprocessing.parent_process() is None
        or "--reload" in argv
        or argv[1:2] == ["dev"]
        or "UVICORN_RELOAD" in environ
    ):
        return False
    said = re.findall(r"(?<!\S)--workers[ =](\d+)", " ".join(argv))  # the last one counts
    number = said[-1] if said else environ.get("UVICORN_WORKERS") or environ.get("WEB_CONCURRENCY")
    return number.lstrip("0") != "1" if number and "uvicorn" in sys.modules else None
