"""The applications of qrlogin.contrib, served by a real server without any framework.

`uvicorn tests.contrib.alone:asgi_app` and `gunicorn "tests.contrib.alone:wsgi_app()"`. The code
does not rotate, so a poll is held for as long as it asks.
"""

from dataclasses import replace
from typing import Any

from qrlogin import STANDARD, AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin
from qrlogin.contrib import asgi, wsgi
from qrlogin.wire import AsyncEndpoint, Endpoint

OPTIONS: dict[str, Any] = {
    "secret_keys": [bytes(range(32))],
    "verification_uri": "http://127.0.0.1/qr",
    "policy": replace(STANDARD, rotation=STANDARD.lifetime),
}


def wsgi_app() -> wsgi.Application:
    """Called in the worker, after gunicorn has installed its signal handlers."""
    qr = QRLogin(MemoryStore(), **OPTIONS)
    wsgi.close_at_exit(qr)
    return wsgi.qrlogin_app(Endpoint(qr, max_waiting=4), lambda environ: None, lambda *_: None)


_qr = AsyncQRLogin(AsyncMemoryStore(), **OPTIONS)
asgi_app = asgi.qrlogin_app(AsyncEndpoint(_qr, max_waiting=4), lambda scope: None, lambda *_: None)
