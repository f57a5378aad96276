"""The applications of tests/contrib/mounted.py, without a framework.

`gunicorn "tests.examples.variants.bare:wsgi_app()"` and
`uvicorn --factory tests.examples.variants.bare:asgi_app`. Their page for phones has a slash at the
end of its address. Their logins are in the store that QRLOGIN_STORE names, or in memory.
"""

import os
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from qrlogin import AsyncQRLogin, QRLogin
from qrlogin.contrib import asgi, wsgi
from qrlogin.stores import open_async_store, open_store
from qrlogin.wire import AsyncEndpoint, Endpoint
from tests.contrib.mounted import plain_asgi, plain_wsgi
from tests.wire.sites import KEY, PAGE, Application

STORE = os.environ.get("QRLOGIN_STORE", "memory")


def options() -> dict[str, Any]:
    return {"secret_keys": [KEY], "verification_uri": os.environ["QRLOGIN_ORIGIN"] + PAGE}


def wsgi_app() -> Any:
    qr = QRLogin(open_store(STORE), **options())
    wsgi.close_at_exit(qr)
    mounted = plain_wsgi(Endpoint(qr, max_waiting=8), Application())

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        body.read()  # and does not seek back
        answer: Iterable[bytes] = mounted({**environ, "wsgi.input": body}, start_response)
        return answer

    return app


def asgi_app() -> Any:
    qr = AsyncQRLogin(open_async_store(STORE), **options())
    mounted = plain_asgi(AsyncEndpoint(qr, max_waiting=1000), Application())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await asgi.lifespan(qr, receive, send)
            return
        if scope["type"] == "http":
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            scope["qrlogin.body"] = body
        await mounted(scope, receive, send)

    return app
