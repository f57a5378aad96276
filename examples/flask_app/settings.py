"""Reads the environment, once, when the application starts.

Secrets that the environment does not set are created once and kept in instance/, so that accounts
and sessions outlive a restart.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from qrlogin import STANDARD, Misconfigured
from qrlogin.contrib.environment import read_settings

ORIGIN = "http://127.0.0.1:5000"  # the address of `flask run`
MAX_WAITING = 8  # half of the 16 threads in gunicorn.conf.py


def read(environ: Mapping[str, str], instance: Path) -> dict[str, object]:
    """Flask's configuration. Raises `Misconfigured`, which says what to set in the environment."""
    site = read_settings(environ, instance, origin=ORIGIN, max_waiting=MAX_WAITING, policy=STANDARD)
    return {
        "SECRET_KEY": site.session_key,
        "SQLALCHEMY_DATABASE_URI": site.database,
        "SESSION_COOKIE_NAME": site.cookie,
        "SESSION_COOKIE_SECURE": site.secure,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": False,  # or a late answer to a long poll undoes a logout
        "MAX_CONTENT_LENGTH": 1 << 16,
        "WTF_CSRF_TIME_LIMIT": None,  # a login page that was open overnight still works
        # The strict check needs a referrer. The phone's page sends none: its URL holds a code.
        "WTF_CSRF_SSL_STRICT": False,
        "QRLOGIN_ORIGIN": site.origin,
        "QRLOGIN_STORE": site.store,
        "QRLOGIN_SECRET_KEYS": site.secret_keys,
        "QRLOGIN_MAX_WAITING": site.max_waiting,
        "QRLOGIN_PROXIES": site.proxies,
        "QRLOGIN_POLICY": site.policy,
        "QRLOGIN_DIALECTS": site.dialects,
        "QRLOGIN_CLIENTS": site.clients,
        "QRLOGIN_PASSKEYS": passkeys(
            environ.get("QRLOGIN_PASSKEYS", ""), site.origin, site.dialects
        ),
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
