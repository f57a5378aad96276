"""In wsgi.py, in place of the function of the same name in django.core.wsgi: waits block, and end when the server is told to."""

import atexit
import threading

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application as django_application

from qrlogin import QRLogin
from qrlogin.wire import drain_on_signals

from .live import qrlogin


def get_wsgi_application() -> WSGIHandler:
    application = django_application()
    qr = qrlogin()
    if not isinstance(qr, QRLogin):
        raise RuntimeError("this process serves ASGI already")
    if threading.current_thread() is threading.main_thread():  # the reloader of runserver needs none: its threads end with it
        drain_on_signals(qr)
    atexit.register(qr.close)
    return application
