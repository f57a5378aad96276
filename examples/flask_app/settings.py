"""Reads the environment, once, when the application starts.

Secrets that the environment does not set are created once and kept in instance/, so that accounts
and sessions outlive a restart.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from qrlogin import STANDARD, Misconfigured
from qrlogin.addresses import site_origin
from qrlogin.keyfile import load_or_create_key
from qrlogin.wire.dialects import client_options, dialect_names

DEFAULT_ORIGIN = "http://127.0.0.1:5000"  # the address of `flask run`
DEFAULT_MAX_WAITING = 8  # half of the 16 threads in gunicorn.conf.py


def read(environ: Mapping[str, str], instance: Path) -> dict[str, object]:
    """Flask's configuration. Raises `Misconfigured`, which says what to set in the environment."""
    origin = site_origin(environ.get("QRLOGIN_ORIGIN") or DEFAULT_ORIGIN, "QRLOGIN_ORIGIN")
    secure = origin.startswith("https:")
    names = dialect_names(environ.get("QRLOGIN_DIALECTS", ""), "QRLOGIN_DIALECTS")
    try:
        lifetime = read_number(environ, "QRLOGIN_LIFETIME", STANDARD.lifetime)
        policy = STANDARD.with_lifetime(lifetime)
    except Misconfigured as error:
        raise Misconfigured(f"QRLOGIN_LIFETIME: {error}") from None
    return {
        "SECRET_KEY": environ.get("SECRET_KEY")
        or load_or_create_key(folder(instance) / "secret_key"),
        "SQLALCHEMY_DATABASE_URI": database_url(
            environ.get("QRLOGIN_DATABASE") or str(folder(instance) / "people.sqlite3")
        ),
        # Another host of the same domain cannot set cookies whose names begin with __Host-.
        "SESSION_COOKIE_NAME": "__Host-session" if secure else "session",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": False,  # or a late answer to a long poll undoes a logout
        "MAX_CONTENT_LENGTH": 1 << 16,
        "WTF_CSRF_TIME_LIMIT": None,  # a login page that was open overnight still works
        # The strict check needs a referrer. The phone's page sends none: its URL holds a code.
        "WTF_CSRF_SSL_STRICT": False,
        "QRLOGIN_ORIGIN": origin,
        "QRLOGIN_STORE": environ.get("QRLOGIN_STORE") or "memory",
        "QRLOGIN_SECRET_KEYS": secret_keys(environ.get("QRLOGIN_SECRET_KEYS", ""), instance),
        "QRLOGIN_MAX_WAITING": read_number(
            environ, "QRLOGIN_MAX_WAITING", DEFAULT_MAX_WAITING, least=0
        ),
        "QRLOGIN_PROXIES": read_number(environ, "QRLOGIN_PROXIES", 0, least=0),
        "QRLOGIN_DIALECTS": names,
        "QRLOGIN_CLIENTS": client_options(
            names, environ.get("QRLOGIN_CLIENTS", ""), "QRLOGIN_CLIENTS", local=not secure
        ),
        "QRLOGIN_PASSKEYS": passkeys(environ.get("QRLOGIN_PASSKEYS", ""), origin, names),
        # Devices that use RFC 8628 show a code to type. Then the pages of this site take one too.
        "QRLOGIN_POLICY": replace(policy, user_codes="rfc8628" in names),
    }


def passkeys(text: str, origin: str, dialects: Sequence[str]) -> frozenset[str]:
    """What passkeys are for: `create`, `approve`, `browser`; empty: there are none."""
    chosen = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not chosen <= {"create", "approve", "browser"}:
        raise Misconfigured("QRLOGIN_PASSKEYS is a list of create, approve and browser")
    host = urlsplit(origin).hostname or ""
    if chosen and (":" in host or re.fullmatch("[0-9.]+", host)):
        raise Misconfigured(
            "QRLOGIN_PASSKEYS needs a name in QRLOGIN_ORIGIN, because no passkey belongs to an "
            "address: http://localhost:5000, for example"
        )
    if "browser" in chosen and dialects:
        raise Misconfigured(
            "QRLOGIN_PASSKEYS=browser excludes QRLOGIN_DIALECTS: a client that gets a token, "
            "or reads no page, answers no passkey"
        )
    return chosen


def folder(instance: Path) -> Path:
    """The same path. Creates the folder if it does not exist, readable by its owner alone."""
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    if instance.stat().st_mode & 0o077:  # it existed with other permissions
        instance.chmod(0o700)
    return instance


def read_number(environ: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    """The whole number in a variable, or the default if it is unset or empty."""
    text = environ.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < least:
        raise Misconfigured(f"{name} is a whole number from {least} on, such as {default}")
    return int(text)


def database_url(where: str) -> str:
    """An SQLAlchemy URL, from one or from the path of an SQLite file."""
    return where if "://" in where else f"sqlite:///{Path(where).resolve()}"


def secret_keys(text: str, instance: Path) -> list[str]:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    return keys or [load_or_create_key(folder(instance) / "qrlogin_key")]
