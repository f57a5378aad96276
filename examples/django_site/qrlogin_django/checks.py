"""What `manage.py check` says about qrlogin. The servers refuse to start for the same reasons as far as QRLOGIN itself goes."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.http.request import validate_host
from django.urls import Resolver404, resolve

from .conf import SHARE, option, problems

NEEDED: Final = {
    "django.contrib.sessions.middleware.SessionMiddleware": "a login starts a session",
    "django.contrib.auth.middleware.AuthenticationMiddleware": "it says who is signed in on the phone",
    "django.middleware.csrf.CsrfViewMiddleware": "without it a page of another site could approve in somebody's name",
}


@register("qrlogin")
def check_qrlogin(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    wrong = problems()
    found: list[CheckMessage] = [Error(said, id=f"qrlogin.{number}") for number, said in wrong]
    found += [
        Error(f"MIDDLEWARE lacks {name}: {why}.", id="qrlogin.E007")
        for name, why in NEEDED.items()
        if name not in settings.MIDDLEWARE
    ]
    return found if wrong else [*found, *_address(urlsplit(option("VERIFICATION_URI"))), *_store()]


def _address(uri: Any) -> Iterator[CheckMessage]:
    for path in (uri.path or "/", f"{uri.path}/code"):
        try:
            resolve(path)
        except Resolver404:
            hint = "An ordinary camera opens VERIFICATION_URI with a code as its last part: give both a view."
            yield Error(
                f"No URL pattern fits {path}, which is in the QR codes.",
                hint=hint,
                id="qrlogin.E008",
            )
    host = f"[{uri.hostname}]" if ":" in uri.hostname else uri.hostname
    if not settings.DEBUG and not validate_host(host, settings.ALLOWED_HOSTS):
        yield Error(
            f"VERIFICATION_URI is at {host}, which is not in ALLOWED_HOSTS.", id="qrlogin.E009"
        )
    if uri.scheme == "https" and not settings.SESSION_COOKIE_SECURE:
        yield Caution(
            "This site is https, and SESSION_COOKIE_SECURE is not True.", id="qrlogin.W001"
        )


def _store() -> Iterator[CheckMessage]:
    workers = os.environ.get(
        "WEB_CONCURRENCY", "1"
    )  # what gunicorn and uvicorn start, if not told otherwise
    if option("STORE") == "memory" and workers != "1":
        yield Caution(
            f"{workers} worker processes do not share logins in memory: {SHARE}.", id="qrlogin.W002"
        )


@register("qrlogin", deploy=True)
def check_deployment(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[CheckMessage]:
    if not problems() and option("STORE") == "memory":
        return [
            Caution(
                "Logins are kept in memory: run one process, or give QRLOGIN a Redis.",
                id="qrlogin.W003",
            )
        ]
    return []
