"""`get_wsgi_application` for your wsgi.py, in place of Django's function of the same name."""

import atexit
from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application as django_application

from qrlogin import Misconfigured, QRLogin
from qrlogin.wire import drain_on_signals

from . import registry
from .conf import unshared_memory


def get_wsgi_application() -> WSGIHandler:
    """Django's application. On SIGTERM its held requests are answered; at exit its store is closed.

    Raises ImproperlyConfigured.
    """
    application = django_application()
    qr = registry.qrlogin()
    if not isinstance(qr, QRLogin):
        raise RuntimeError("this process serves ASGI already")
    if message := unshared_memory():
        raise ImproperlyConfigured(message)
    # Only the main thread receives signals. Under runserver's reloader this is another thread,
    # which ends with the main thread.
    with suppress(Misconfigured):
        drain_on_signals(qr)
    atexit.register(qr.close)
    return application
