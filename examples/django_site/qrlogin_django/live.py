"""The one QRLogin of this process, made when it is first needed: blocking under WSGI, awaited under ASGI.

Which of the two is not guessed: `qrlogin_django.asgi` says so before anything is made, and everything else means WSGI.
"""

import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin, stores
from qrlogin.core import Core
from qrlogin.wire import AsyncEndpoint, BrowserContext, Dialect, Endpoint, Native, Places

from .adapter import qrlogin_urls
from .conf import callback, max_waiting, option, policy, problems

awaited = False


def qrlogin() -> QRLogin | AsyncQRLogin:
    """Raises ImproperlyConfigured, which says what to mend in QRLOGIN."""
    with _making:  # two threads may come first at once, and two stores in memory would be one too many
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
        return [path("<path:path>", _broken(str(error)), name="door")]
    return qrlogin_urls(at, callback("PERSON"), callback("LOG_IN"), log_out=callback("LOG_OUT"), tokens=callback("TOKENS"))


_making: Final = threading.RLock()


@cache
def _made() -> QRLogin | AsyncQRLogin:
    if wrong := problems():
        raise ImproperlyConfigured(" ".join(said for _, said in wrong))
    given: dict[str, Any] = {
        "secret_keys": option("SECRET_KEYS"),
        "verification_uri": option("VERIFICATION_URI"),
        "policy": policy(),
    }
    url = option("STORE")
    if awaited:
        return AsyncQRLogin(AsyncMemoryStore() if url == "memory" else stores.AsyncRedisStore.from_url(url), **given)
    return QRLogin(MemoryStore() if url == "memory" else stores.RedisStore.from_url(url), **given)


@cache
def _places() -> Places:
    """For all that is mounted: it is the threads that they share."""
    return Places(max_waiting(awaited=awaited))


@cache
def _endpoint(make: Callable[[Core], Dialect]) -> Endpoint | AsyncEndpoint:
    qr = _made()
    if isinstance(qr, AsyncQRLogin):
        return AsyncEndpoint(qr, make(qr.core), max_waiting=_places())
    return Endpoint(qr, make(qr.core), max_waiting=_places())


def _broken(why: str) -> Callable[..., HttpResponseBase]:
    def refuse(request: HttpRequest, path: str) -> HttpResponseBase:
        raise ImproperlyConfigured(why)

    return refuse
