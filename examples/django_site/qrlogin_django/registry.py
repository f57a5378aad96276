"""The one QRLogin of this process, created on first use: `QRLogin` under WSGI, `AsyncQRLogin` under
ASGI.

`qrlogin_django.asgi` sets `use_asyncio` before anything is created. Everything else means WSGI.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.urls import URLPattern, path

from qrlogin import STANDARD, AsyncQRLogin, QRLogin
from qrlogin.core import Core
from qrlogin.stores import open_async_store, open_store
from qrlogin.wire import AsyncEndpoint, BrowserContext, Dialect, Endpoint, Native, WaitSlots

from .adapter import qrlogin_urls
from .conf import callback, option, problems

use_asyncio = False

# `cache` alone would let two threads create two QRLogins, each with a memory store of its own.
_lock: Final = threading.RLock()


def qrlogin() -> QRLogin | AsyncQRLogin:
    """Raises ImproperlyConfigured, which says what to change in QRLOGIN."""
    with _lock:
        return _qrlogin()


def native(core: Core) -> Dialect:
    """The dialect that <qr-login> and <qr-approve> use."""
    return Native(core, user_codes=option("USER_CODES"), describe=BrowserContext())


def endpoint(make_dialect: Callable[[Core], Dialect] = native) -> Endpoint | AsyncEndpoint:
    """The endpoint of a dialect; the same object on every call. Raises as `qrlogin` does."""
    with _lock:
        return _endpoint(make_dialect)


def patterns(make_dialect: Callable[[Core], Dialect] = native) -> list[URLPattern]:
    """The URL patterns of a dialect, for `include()`.

    If QRLOGIN is not valid, every URL below raises ImproperlyConfigured, so that `manage.py check`
    can still load urls.py and list the problems.
    """
    try:
        found = endpoint(make_dialect)
    except ImproperlyConfigured as error:
        return [path("<path:path>", partial(_raise, str(error)), name="browser")]
    person, log_in, log_out, tokens = (
        callback(option(name)) for name in ("PERSON", "LOG_IN", "LOG_OUT", "TOKENS")
    )
    return qrlogin_urls(found, person, log_in, log_out=log_out, tokens=tokens)


@cache
def _qrlogin() -> QRLogin | AsyncQRLogin:
    if found := problems():
        raise ImproperlyConfigured(" ".join(message for _, message in found))
    policy = STANDARD.with_lifetime(option("LIFETIME"))
    options: dict[str, Any] = {
        "secret_keys": option("SECRET_KEYS"),
        "verification_uri": option("VERIFICATION_URI"),
        "policy": replace(policy, user_codes=bool(option("USER_CODES"))),
    }
    if use_asyncio:
        return AsyncQRLogin(open_async_store(option("STORE")), **options)
    return QRLogin(open_store(option("STORE")), **options)


@cache
def _wait_slots() -> WaitSlots:
    """All dialects share these slots, because they share the threads of the process.

    The default under WSGI is half of gunicorn's `--threads 16`.
    """
    configured = option("MAX_WAITING")
    return WaitSlots((1000 if use_asyncio else 8) if configured is None else configured)


@cache
def _endpoint(make_dialect: Callable[[Core], Dialect]) -> Endpoint | AsyncEndpoint:
    qr = _qrlogin()
    if isinstance(qr, AsyncQRLogin):
        return AsyncEndpoint(qr, make_dialect(qr.core), max_waiting=_wait_slots())
    return Endpoint(qr, make_dialect(qr.core), max_waiting=_wait_slots())


def _raise(message: str, request: HttpRequest, path: str) -> NoReturn:
    raise ImproperlyConfigured(message)
