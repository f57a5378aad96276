"""In wsgi.py, in place of the function of the same name in django.core.wsgi: waits block, and end when the server is told to."""

import atexit
from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application as django_application

from qrlogin import Misconfigured, QRLogin
from qrlogin.wire import drain_on_signals

from . import registry
from .conf import several


def get_wsgi_application() -> WSGIHandler:
    application = django_application()
    qr = registry.qrlogin()
    if not isinstance(qr, QRLogin):
        raise RuntimeError("this process serves ASGI already")
    if wrong := several():
        raise ImproperlyConfigured(wrong)
    with suppress(
        Misconfigured
    ):  # signals reach the main thread only; under runserver's reloader this is none, and ends with it
        drain_on_signals(qr)
    atexit.register(qr.close)
    return application
