"""The one QRLogin of this process, made when it is first needed: blocking under WSGI, awaited under ASGI.

Which of the two is not guessed: `qrlogin_django.asgi` says so before anything is made, and everything else means WSGI.
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

awaited = False


def qrlogin() -> QRLogin | AsyncQRLogin:
    """Raises ImproperlyConfigured, which says what to mend in QRLOGIN."""
    with (
        _making
    ):  # two threads may come first at once, and two stores in memory would be one too many
        return _made()


def native(core: Core) -> Dialect:
    """The dialect that <qr-login> and <qr-approve> speak."""
    return Native(core, user_codes=option("USER_CODES"), describe=BrowserContext())


def endpoint(make: Callable[[Core], Dialect] = native) -> Endpoint | AsyncEndpoint:
    """The endpoint of a dialect: the same one whenever it is asked for."""
    with _making:
        return _endpoint(make)


def patterns(make: Callable[[Core], Dialect] = native) -> list[URLPattern]:
    """The routes of a dialect, to be included. With a QRLOGIN that cannot be used, every one of them raises; see checks.py."""
    try:
        at = endpoint(make)
    except ImproperlyConfigured as error:
        return [path("<path:path>", partial(_refuse, str(error)), name="door")]
    person, log_in, log_out, tokens = (
        callback(option(name)) for name in ("PERSON", "LOG_IN", "LOG_OUT", "TOKENS")
    )
    return qrlogin_urls(at, person, log_in, log_out=log_out, tokens=tokens)


_making: Final = threading.RLock()


@cache
def _made() -> QRLogin | AsyncQRLogin:
    if wrong := problems():
        raise ImproperlyConfigured(" ".join(said for _, said in wrong))
    given: dict[str, Any] = {
        "secret_keys": option("SECRET_KEYS"),
        "verification_uri": option("VERIFICATION_URI"),
        "policy": replace(
            STANDARD.with_lifetime(option("LIFETIME")), user_codes=bool(option("USER_CODES"))
        ),
    }
    store = option("STORE")
    return (
        AsyncQRLogin(open_async_store(store), **given)
        if awaited
        else QRLogin(open_store(store), **given)
    )


@cache
def _places() -> WaitSlots:
    """For all that is mounted: it is the threads that they share. Half of gunicorn's `--threads 16`, unless told otherwise."""
    said = option("MAX_WAITING")
    return WaitSlots((1000 if awaited else 8) if said is None else said)


@cache
def _endpoint(make: Callable[[Core], Dialect]) -> Endpoint | AsyncEndpoint:
    qr = _made()
    if isinstance(qr, AsyncQRLogin):
        return AsyncEndpoint(qr, make(qr.core), max_waiting=_places())
    return Endpoint(qr, make(qr.core), max_waiting=_places())


def _refuse(why: str, request: HttpRequest, path: str) -> NoReturn:
    raise ImproperlyConfigured(why)
