"""A project with the setting QRLOGIN: its one QRLogin, its URLs, and its applications for servers.

There is a `QRLogin` under WSGI and an `AsyncQRLogin` under ASGI. It is created on first use:
`get_asgi_application` sets `use_asyncio` before that, and everything else means WSGI.
"""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any, Final, NoReturn

from django.core.asgi import get_asgi_application as django_asgi
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application as django_wsgi
from django.http import HttpRequest
from django.urls import URLPattern, path

from qrlogin import AsyncQRLogin, Misconfigured, QRLogin
from qrlogin.contrib.django import Application, awaited, close_at_exit, qrlogin_urls
from qrlogin.contrib.django import landing as landing_at
from qrlogin.contrib.django_conf import callback, option, policy, problems, unshared_memory
from qrlogin.core import Core
from qrlogin.stores import open_async_store, open_store
from qrlogin.wire import AsyncEndpoint, BrowserContext, Dialect, Endpoint, Native, WaitSlots

use_asyncio: bool = False
"""Whether this process serves ASGI."""

# `cache` alone would let two threads create two QRLogins, each with a memory store of its own.
_lock: Final = threading.RLock()


def qrlogin() -> QRLogin | AsyncQRLogin:
    """Raises ImproperlyConfigured, which says what to change in QRLOGIN."""
    with _lock:
        return _qrlogin()


def native(core: Core) -> Dialect:
    """The dialect that <qr-login> and <qr-approve> use."""
    given = option("DESCRIBE")
    describe = callback(given) if given else BrowserContext(proxies=option("PROXIES"))
    return Native(
        core,
        user_codes=core.policy.user_codes,
        origins=option("ORIGINS"),
        describe=describe,
        max_hold=option("MAX_HOLD"),
    )


def endpoint(make_dialect: Callable[[Core], Dialect] = native) -> Endpoint | AsyncEndpoint:
    """The endpoint of a dialect; the same object on every call. Raises as `qrlogin` does."""
    with _lock:
        return _endpoint(make_dialect)


def patterns(make_dialect: Callable[[Core], Dialect] = native) -> list[URLPattern]:
    """The URL patterns of a dialect, for `include()`.

    If QRLOGIN is not valid, this raises ImproperlyConfigured. In a project that imports
    `qrlogin.contrib.django_checks`, every URL below raises it, so that `manage.py check` can load
    urls.py and list the problems.
    """
    try:
        found = endpoint(make_dialect)
    except ImproperlyConfigured as error:
        if "qrlogin.contrib.django_checks" not in sys.modules:
            raise
        return [path("<path:path>", partial(_raise, str(error)), name="browser")]
    person, log_in, log_out, tokens = (
        callback(option(name)) for name in ("PERSON", "LOG_IN", "LOG_OUT", "TOKENS")
    )
    return qrlogin_urls(found, person, log_in, log_out=log_out, tokens=tokens)


def landing(view: Callable[..., Any]) -> Callable[..., Any]:
    """The view of the page behind VERIFICATION_URI, whose argument `code`, or whose first one, is
    the code in its path. Its pages get the landing cookies of the code.

    The page is for everybody: it shows users who are not signed in how to sign in first, and then
    leads them back.
    """
    return landing_at(view, endpoint)


def get_wsgi_application() -> WSGIHandler:
    """For your wsgi.py, in place of Django's function of the same name.

    On SIGTERM the held requests are answered, and at exit the store is closed. Raises
    ImproperlyConfigured.
    """
    application = django_wsgi()
    qr = qrlogin()
    if not isinstance(qr, QRLogin):
        raise RuntimeError("this process serves ASGI already")
    if message := unshared_memory():
        raise ImproperlyConfigured(message)
    # Only the main thread receives signals. Under runserver's reloader this is another thread,
    # which ends with the main thread.
    with suppress(Misconfigured):
        close_at_exit(qr)
    return application


def get_asgi_application() -> Application:
    """For your asgi.py, in place of Django's function of the same name. It serves websockets, too.

    On SIGTERM the held requests are answered, and at the end the store is closed. Raises
    ImproperlyConfigured.
    """
    global use_asyncio
    use_asyncio = True
    django = django_asgi()
    qr = qrlogin()
    if not isinstance(qr, AsyncQRLogin):
        raise RuntimeError("this process serves WSGI already")
    return Application(django, qr, endpoint, problem=unshared_memory)


@cache
def _qrlogin() -> QRLogin | AsyncQRLogin:
    if found := problems():
        raise ImproperlyConfigured(" ".join(message for _, message in found))
    on_event = callback(option("ON_EVENT")) if option("ON_EVENT") else None
    if use_asyncio:
        on_event = on_event and awaited(on_event)
    options: dict[str, Any] = {
        "secret_keys": option("SECRET_KEYS"),
        "verification_uri": option("VERIFICATION_URI"),
        "policy": policy(),
        "on_event": on_event,
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
    dialect, given = make_dialect(qr.core), option("JUDGE")
    # All phones pass through a native dialect, and so through the judge.
    judge = callback(given) if given and dialect.phone_routes else None
    paused = callback(option("PAUSED")) if option("PAUSED") else None
    if isinstance(qr, AsyncQRLogin):
        judge, paused = judge and awaited(judge), paused and awaited(paused)
        return AsyncEndpoint(qr, dialect, max_waiting=_wait_slots(), judge=judge, paused=paused)
    return Endpoint(qr, dialect, max_waiting=_wait_slots(), judge=judge, paused=paused)


def _raise(message: str, request: HttpRequest, path: str) -> NoReturn:
    raise ImproperlyConfigured(message)
