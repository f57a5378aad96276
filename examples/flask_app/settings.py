"""The environment, read once at start. What is wrong there is refused with what to do instead.

Secrets that the environment does not name are made once and kept in instance/, so that people and sessions outlive a restart.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from qrlogin import STANDARD, Misconfigured
from qrlogin.demo.dialects import chosen
from qrlogin.keyfile import load_or_create_key

DEFAULT_ORIGIN = "http://127.0.0.1:5000"  # of `flask run`
DEFAULT_MAX_WAITING = 8  # half of the 16 threads in gunicorn.conf.py
ORIGIN = re.compile(
    r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?"
)


def read(environ: Mapping[str, str], instance: Path) -> dict[str, object]:
    """Flask's configuration from `QRLOGIN_*`. Raises `Misconfigured`."""
    origin = (environ.get("QRLOGIN_ORIGIN") or DEFAULT_ORIGIN).rstrip("/")
    if not ORIGIN.fullmatch(origin):
        raise Misconfigured(
            f"QRLOGIN_ORIGIN is what browsers call this site, without a path, such as {DEFAULT_ORIGIN}"
        )
    secure = origin.startswith("https:")
    names = chosen(environ.get("QRLOGIN_DIALECTS", ""), "QRLOGIN_DIALECTS")
    try:
        policy = STANDARD.with_lifetime(number(environ, "QRLOGIN_LIFETIME", STANDARD.lifetime))
    except Misconfigured as error:
        raise Misconfigured(f"QRLOGIN_LIFETIME: {error}") from None
    return {
        "SECRET_KEY": environ.get("SECRET_KEY") or load_or_create_key(own(instance) / "secret_key"),
        "SQLALCHEMY_DATABASE_URI": database(
            environ.get("QRLOGIN_DATABASE") or str(own(instance) / "people.sqlite3")
        ),
        # No other site, and no other host of this one, can plant a session whose name begins so.
        "SESSION_COOKIE_NAME": "__Host-session" if secure else "session",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": False,  # else the answer to a long poll undoes a logout
        "MAX_CONTENT_LENGTH": 1 << 16,
        "WTF_CSRF_TIME_LIMIT": None,  # a login page that was open all night still works
        "WTF_CSRF_SSL_STRICT": False,  # wants a referrer, which the phone's page does not give: its address holds a code
        "QRLOGIN_ORIGIN": origin,
        "QRLOGIN_STORE": environ.get("QRLOGIN_STORE") or "memory",
        "QRLOGIN_SECRET_KEYS": secret_keys(environ.get("QRLOGIN_SECRET_KEYS", ""), instance),
        "QRLOGIN_MAX_WAITING": number(environ, "QRLOGIN_MAX_WAITING", DEFAULT_MAX_WAITING, least=0),
        "QRLOGIN_DIALECTS": names,
        "QRLOGIN_POLICY": replace(
            policy, user_codes="rfc8628" in names
        ),  # its devices show a code to type; so do the pages then
    }


def own(instance: Path) -> Path:
    """The folder, which nobody else can read; made when something is to be kept there."""
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    if instance.stat().st_mode & 0o077:  # it was there before
        instance.chmod(0o700)
    return instance


def number(environ: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    text = environ.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < least:
        raise Misconfigured(f"{name} is a whole number from {least} on, such as {default}")
    return int(text)


def database(where: str) -> str:
    """An address for SQLAlchemy, or the path of an SQLite file."""
    return where if "://" in where else f"sqlite:///{Path(where).resolve()}"


def secret_keys(text: str, instance: Path) -> list[str]:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    return keys or [load_or_create_key(own(instance) / "qrlogin_key")]
