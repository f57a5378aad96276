"""The system checks of `manage.py check`.

Although servers run no checks, none starts with a QRLOGIN that fails E001 to E006.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.http.request import validate_host
from django.urls import Resolver404, resolve

from qrlogin.contrib.django_conf import SHARE, option, problems

REQUIRED_MIDDLEWARE: Final = {
    "django.contrib.sessions.middleware.SessionMiddleware": "a login starts a session",
    "django.contrib.auth.middleware.AuthenticationMiddleware": (
        "it says who is signed in on the phone"
    ),
    "django.middleware.csrf.CsrfViewMiddleware": (
        "without it a page of another site could approve in a user's name"
    ),
}


@register("qrlogin")
def check_qrlogin(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    wrong = problems()
    found: list[CheckMessage] = [
        Error(message, id=f"qrlogin.{check_id}") for check_id, message in wrong
    ]
    found += [
        Error(f"MIDDLEWARE lacks {name}: {why}.", id="qrlogin.E007")
        for name, why in REQUIRED_MIDDLEWARE.items()
        if name not in settings.MIDDLEWARE
    ]
    if wrong:
        return found
    return [*found, *_check_address(urlsplit(option("VERIFICATION_URI"))), *_check_store()]


def _check_address(uri: Any) -> Iterator[CheckMessage]:
    for path in (uri.path or "/", f"{uri.path}/code"):
        try:
            resolve(path)
        except Resolver404:
            yield Error(
                f"No URL pattern matches {path}, which is in the QR codes.",
                hint="A phone's camera opens VERIFICATION_URI, with and without a code after it: "
                "give both a view.",
                id="qrlogin.E008",
            )
    host = f"[{uri.hostname}]" if ":" in uri.hostname else uri.hostname
    if not settings.DEBUG and not validate_host(host, settings.ALLOWED_HOSTS):
        message = f"VERIFICATION_URI is at {host}, which is not in ALLOWED_HOSTS."
        yield Error(message, id="qrlogin.E009")
    if uri.scheme == "https" and not settings.SESSION_COOKIE_SECURE:
        message = "This site is https, and SESSION_COOKIE_SECURE is not True."
        yield checks.Warning(message, id="qrlogin.W001")


def _check_store() -> Iterator[CheckMessage]:
    workers = os.environ.get("WEB_CONCURRENCY", "1")  # gunicorn and uvicorn read it
    if option("STORE") == "memory" and workers != "1":
        message = f"{workers} worker processes do not share logins in memory: {SHARE}."
        yield checks.Warning(message, id="qrlogin.W002")


@register("qrlogin", deploy=True)
def check_deployment(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[CheckMessage]:
    if problems() or option("STORE") != "memory":
        return []
    message = "Logins are kept in memory: run one process, or give QRLOGIN a Redis."
    return [checks.Warning(message, id="qrlogin.W003")]
