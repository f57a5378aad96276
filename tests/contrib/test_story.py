"""The story of tests/wire/story.py, with the plain applications of qrlogin.contrib."""

from collections.abc import Iterable
from typing import Any

import pytest

from qrlogin import Redeemed
from qrlogin.contrib import asgi, wsgi
from qrlogin.wire import AsyncEndpoint, Cookie, Endpoint, Response
from tests.wire.sites import (
    CREDENTIALS,
    Application,
    awaited,
    bare_asgi,
    bare_wsgi,
    threaded,
    wsgiref_server,
)
from tests.wire.story import play

pytestmark = pytest.mark.matrix


def log_in(application: Application, redeemed: Redeemed) -> Response:
    session = Cookie("session", application.log_in(redeemed), 600, secure=False)
    no_basket = Cookie("basket", "", 0, secure=False)  # nothing from before the login is kept
    return Response(200, cookies=(session, no_basket))


def plain_wsgi(endpoint: Endpoint, application: Application) -> Any:
    pages = bare_wsgi(endpoint, application)
    mounted = wsgi.qrlogin_app(
        endpoint,
        person=lambda environ: CREDENTIALS.get(environ.get("HTTP_AUTHORIZATION", "")),
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
        person=lambda scope: CREDENTIALS.get(credential(scope)),
        log_in=lambda scope, redeemed: log_in(application, redeemed),
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/qr/"):
            await mounted({**scope, "root_path": "/qr"}, receive, send)
        else:
            await pages(scope, receive, send)

    return app


def test_the_story_passes_with_a_mounted_wsgi_application() -> None:
    with threaded(plain_wsgi, wsgiref_server, None) as site:
        play(site)


def test_the_story_passes_with_a_mounted_asgi_application() -> None:
    with awaited(plain_asgi, None) as site:
        play(site)
