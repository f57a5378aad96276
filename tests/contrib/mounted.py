"""The plain WSGI and ASGI applications of qrlogin.contrib, mounted at /qr/ beside a few pages.

Their `log_in` sets a cookie of a session and a JWT cookie.
"""

from collections.abc import Iterable
from typing import Any

from qrlogin import Redeemed
from qrlogin.contrib import asgi, wsgi
from qrlogin.names import clean
from qrlogin.wire import AsyncEndpoint, Cookie, Endpoint, Person, Response
from tests.examples.variants import JWT, name_in
from tests.wire.sites import CREDENTIALS, Application, bare_asgi, bare_wsgi


def log_in(application: Application, redeemed: Redeemed) -> Response:
    session = Cookie("session", application.log_in(redeemed), 600, secure=False)
    no_basket = Cookie("basket", "", 0, secure=False)  # nothing from before the login is kept
    jwt = Cookie("jwt", JWT, 600, secure=False)
    return Response(200, cookies=(session, no_basket, jwt))


def person(header: str) -> Person | None:
    name = name_in(header)
    return Person(clean(name, 200), name=name) if name else CREDENTIALS.get(header)


def plain_wsgi(endpoint: Endpoint, application: Application) -> Any:
    pages = bare_wsgi(endpoint, application)
    mounted = wsgi.qrlogin_app(
        endpoint,
        person=lambda environ: person(environ.get("HTTP_AUTHORIZATION", "")),
        log_in=lambda environ, redeemed: log_in(application, redeemed),
    )

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        mount, _, below = environ["PATH_INFO"].partition("/qr/")
        if mount:
            found: Iterable[bytes] = pages(environ, start_response)
            return found
        moved = {"SCRIPT_NAME": "/qr", "PATH_INFO": f"/{below}"}
        return mounted({**environ, **moved}, start_response)

    return app


def plain_asgi(endpoint: AsyncEndpoint, application: Application) -> Any:
    def credential(scope: Any) -> str:
        return str(dict(scope["headers"]).get(b"authorization", b"").decode())

    pages = bare_asgi(endpoint, application)
    mounted = asgi.qrlogin_app(
        endpoint,
        person=lambda scope: person(credential(scope)),
        log_in=lambda scope, redeemed: log_in(application, redeemed),
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/qr/"):
            await mounted({**scope, "root_path": "/qr"}, receive, send)
        else:
            await pages(scope, receive, send)

    return app
