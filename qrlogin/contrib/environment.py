"""The settings of a site from its environment: SECRET_KEY and `QRLOGIN_…`, as in the examples.

Each value is checked, and an error names its variable. A blank value counts as none. The site keeps
what the environment does not say in a folder, so that a restart changes nothing.
"""

import multiprocessing
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from qrlogin.addresses import site_origin
from qrlogin.errors import Misconfigured
from qrlogin.keyfile import load_or_create_key, private_folder
from qrlogin.policy import STANDARD, Policy
from qrlogin.wire.dialects import client_options, dialect_names

__all__ = ["SiteSettings", "has_other_workers", "naming", "read_settings"]

Default = TypeVar("Default", int, int | None)


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """What the environment says. `read_settings` makes it."""

    origin: str
    """QRLOGIN_ORIGIN: what browsers call the site, spelled as browsers send it."""
    store: str = field(repr=False)
    """QRLOGIN_STORE: what `open_store` opens; "memory" if it is not set."""
    database: str = field(repr=False)
    """QRLOGIN_DATABASE, the accounts, as an SQLAlchemy URL: it may be the path of an SQLite file.
    If it is not set, a file in the folder."""
    secret_keys: tuple[str, ...] = field(repr=False)
    """QRLOGIN_SECRET_KEYS, separated by commas. If it is not set, the folder keeps one."""
    session_key: str = field(repr=False)
    """SECRET_KEY: what signs the sessions of the site. If it is not set, the folder keeps one."""
    max_waiting: int | None
    """QRLOGIN_MAX_WAITING: how many browsers may wait in one process."""
    proxies: int
    """QRLOGIN_PROXIES: how many proxies of yours are in front of the server."""
    policy: Policy
    """With QRLOGIN_LIFETIME, in seconds. It has typed codes if the dialect RFC 8628 is on, because
    devices that use it show a code to type."""
    dialects: tuple[str, ...]
    """QRLOGIN_DIALECTS: the names of the other dialects, separated by commas, or `all`."""
    clients: Mapping[str, Mapping[str, Any]]
    """QRLOGIN_CLIENTS: the options that say which clients the dialects accept, by dialect."""

    @property
    def secure(self) -> bool:
        """Whether browsers reach the site over https."""
        return self.origin.startswith("https:")

    @property
    def cookie(self) -> str:
        """A name for the cookie of the site's session.

        Over https it begins with __Host-: other hosts of the same domain cannot set such cookies.
        """
        return "__Host-session" if self.secure else "session"


def read_settings(
    environ: Mapping[str, str],
    folder: Path,
    *,
    origin: str,
    database: str = "people.sqlite3",
    max_waiting: int | None = None,
    policy: Policy = STANDARD,
) -> SiteSettings:
    """Returns the settings. Raises `Misconfigured`, which names the variable and says what to set.

    :param environ: such as `os.environ`
    :param folder: keeps the keys and the database that the environment does not name. It is created
        when it is needed, readable by its owner alone
    :param origin: the default of QRLOGIN_ORIGIN
    :param database: the file name of the default database
    :param max_waiting: the default of QRLOGIN_MAX_WAITING
    :param policy: the policy without QRLOGIN_LIFETIME
    """
    given = {
        name: text.strip()
        for name, text in environ.items()
        if name.startswith("QRLOGIN_") and text.strip()
    }
    origin = site_origin(given.get("QRLOGIN_ORIGIN", origin), "QRLOGIN_ORIGIN")
    dialects = dialect_names(given.get("QRLOGIN_DIALECTS", ""), "QRLOGIN_DIALECTS")
    lifetime = _number(given, "QRLOGIN_LIFETIME", policy.lifetime, least=1)
    with naming("QRLOGIN_LIFETIME"):
        policy = policy.with_lifetime(lifetime)
    keys = (key.strip() for key in given.get("QRLOGIN_SECRET_KEYS", "").split(","))
    session_key = environ.get("SECRET_KEY", "")
    where = given.get("QRLOGIN_DATABASE") or f"{_folder(folder)}/{database}"
    return SiteSettings(
        origin=origin,
        store=given.get("QRLOGIN_STORE", "memory"),
        database=where if "://" in where else f"sqlite:///{Path(where).resolve()}",
        secret_keys=tuple(filter(None, keys)) or (_kept_key(folder, "qrlogin_key"),),
        session_key=session_key if session_key.strip() else _kept_key(folder, "secret_key"),
        max_waiting=_number(given, "QRLOGIN_MAX_WAITING", max_waiting),
        proxies=_number(given, "QRLOGIN_PROXIES", 0),
        policy=replace(policy, user_codes=policy.user_codes or "rfc8628" in dialects),
        dialects=dialects,
        clients=client_options(
            dialects,
            given.get("QRLOGIN_CLIENTS", ""),
            "QRLOGIN_CLIENTS",
            local=not origin.startswith("https:"),
        ),
    )


@contextmanager
def naming(variable: str) -> Iterator[None]:
    """Puts the name of a variable before the text of a `Misconfigured` that is raised within."""
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


def _kept_key(folder: Path, name: str) -> str:
    return load_or_create_key(_folder(folder) / name)


def _folder(folder: Path) -> Path:
    try:
        return private_folder(folder)
    except OSError as error:
        raise Misconfigured(
            f"the folder {folder} cannot be used ({error.strerror}). Give it to the user of this "
            "process, or set QRLOGIN_DATABASE, QRLOGIN_SECRET_KEYS and SECRET_KEY"
        ) from error


def _number(given: Mapping[str, str], name: str, default: Default, least: int = 0) -> int | Default:
    text = given.get(name)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < least:
        example = "" if default is None else f", such as {default}"
        raise Misconfigured(f"{name} is a whole number from {least} to 999999{example}")
    return int(text)
