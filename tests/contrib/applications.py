"""One application in each framework, with all that other people's applications do to a request.

Each reads every body before qrlogin does, has CSRF protection, and knows a phone by a cookie or by
a token of its own. `Shop` says what its `log_in` does.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any

import fastapi
import flask
from django import http
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.test import override_settings
from django.urls import include, path
from fastapi.responses import JSONResponse
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf
from starlette.requests import HTTPConnection

from qrlogin import Redeemed, Scanned
from qrlogin.contrib import asgi, wsgi
from qrlogin.contrib.django import Application as DjangoApplication
from qrlogin.contrib.django import qrlogin_urls
from qrlogin.contrib.fastapi import qrlogin_router
from qrlogin.contrib.flask import qrlogin_blueprint
from qrlogin.errors import Forbidden
from qrlogin.wire import (
    ALLOW,
    AsyncEndpoint,
    Cookie,
    Endpoint,
    Person,
    Request,
    Response,
    Ruling,
)
from tests.wire import django_mount
from tests.wire.sites import (
    CREDENTIALS,
    Application,
    Site,
    awaited,
    threaded,
    werkzeug_server,
    wsgiref_server,
)

JWT, NAME = "a.signed.token", {"name": "Alice"}
CSRF = "the-only-token"


@dataclass
class Shop:
    """What `log_in` returns or raises, by the name of a case, and what it was called with."""

    grant: str = "nothing"
    returns: Any = None  # in the case "nothing"
    log_ins: list[Redeemed] = field(default_factory=list)
    ruling: Ruling | None = ALLOW  # None: the judge fails
    judged: list[tuple[Scanned, Person, Request]] = field(default_factory=list)

    def judge(self, *asked: Any) -> Ruling:
        self.judged.append(asked)
        if self.ruling is None:
            raise RuntimeError("a secret")
        return self.ruling


def person(authorization: str, phone: str | None) -> Person | None:
    return CREDENTIALS.get(authorization or f"Bearer phone-of-{phone}")


# The frameworks


def flask_app(endpoint: Endpoint, shop: Shop) -> Any:
    app = flask.Flask(__name__)
    app.secret_key = bytes(32)
    CSRFProtect(app)

    def log_in(redeemed: Redeemed) -> Any:
        shop.log_ins.append(redeemed)
        match shop.grant:
            case "mapping":
                return NAME
            case "response":
                response = flask.jsonify(NAME)
                response.set_cookie("jwt", JWT, httponly=True)
                response.headers["X-Shop"] = "open"
                return response
            case "refusal":
                return flask.jsonify(error="closed"), 403
            case "framework's refusal":
                flask.abort(flask.make_response(flask.jsonify(error="closed"), 403))
            case "Forbidden":
                raise Forbidden("the account is closed")
        return shop.returns

    @app.get("/page")
    def page() -> dict[str, str]:
        return {"X-CSRFToken": generate_csrf()}

    app.before_request(lambda: (flask.request.get_data(), None)[1])
    blueprint = qrlogin_blueprint(
        endpoint,
        lambda: person(
            flask.request.headers.get("Authorization", ""), flask.request.cookies.get("phone")
        ),
        log_in,
    )
    app.register_blueprint(blueprint, url_prefix="/qr")
    return app


def fastapi_app(endpoint: AsyncEndpoint, shop: Shop) -> Any:
    async def read_body(asked: HTTPConnection) -> None:
        if isinstance(asked, fastapi.Request):  # and no websocket
            await asked.body()

    app = fastapi.FastAPI(dependencies=[fastapi.Depends(read_body)])

    def find_person(request: fastapi.Request) -> Person | None:
        return person(request.headers.get("Authorization", ""), request.cookies.get("phone"))

    def protect(request: fastapi.Request) -> None:
        if request.headers.get("X-CSRF") != CSRF:
            raise fastapi.HTTPException(403, "forbidden")

    async def log_in(request: fastapi.Request, redeemed: Redeemed) -> Any:
        shop.log_ins.append(redeemed)
        match shop.grant:
            case "mapping":
                return NAME
            case "response":
                response = JSONResponse(NAME, headers={"X-Shop": "open"})
                response.set_cookie("jwt", JWT, httponly=True)
                return response
            case "refusal":
                return JSONResponse({"error": "closed"}, 403)
            case "framework's refusal":
                raise fastapi.HTTPException(403, "closed")
            case "Forbidden":
                raise Forbidden("the account is closed")
        return shop.returns

    @app.get("/page")
    def page() -> dict[str, str]:
        return {"X-CSRF": CSRF}

    app.include_router(qrlogin_router(endpoint, find_person, log_in, protect=protect), prefix="/qr")
    return app


class ReadBody:
    """Django middleware that reads each body."""

    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        assert request.body is not None
        return self.get_response(request)


DJANGO = override_settings(
    MIDDLEWARE=[
        "tests.contrib.applications.ReadBody",
        "django.middleware.csrf.CsrfViewMiddleware",
    ]
)


def django_urls(endpoint: Endpoint | AsyncEndpoint, shop: Shop) -> list[Any]:
    def find_person(request: HttpRequest) -> Person | None:
        return person(request.headers.get("Authorization", ""), request.COOKIES.get("phone"))

    def log_in(request: HttpRequest, redeemed: Redeemed) -> Any:
        shop.log_ins.append(redeemed)
        match shop.grant:
            case "mapping":
                return NAME
            case "response":
                response = http.JsonResponse(NAME, headers={"X-Shop": "open"})
                response.set_cookie("jwt", JWT, httponly=True)
                return response
            case "refusal":
                return http.JsonResponse({"error": "closed"}, status=403)
            case "framework's refusal":
                raise PermissionDenied("closed")
            case "Forbidden":
                raise Forbidden("the account is closed")
        return shop.returns

    def page(request: HttpRequest) -> http.HttpResponse:
        return http.JsonResponse({"X-CSRFToken": get_token(request)})

    mounted = (qrlogin_urls(endpoint, find_person, log_in), "qrlogin")
    return [path("qr/", include(mounted)), path("page", page)]


def django_wsgi(endpoint: Endpoint, shop: Shop) -> Any:
    return django_mount.wsgi(django_urls(endpoint, shop))


def django_asgi(endpoint: AsyncEndpoint, shop: Shop) -> Any:
    return DjangoApplication(
        django_mount.asgi(django_urls(endpoint, shop)), endpoint.qr, lambda: endpoint
    )


# Without a framework


def plain_log_in(shop: Shop, redeemed: Redeemed) -> Any:
    shop.log_ins.append(redeemed)
    match shop.grant:
        case "mapping":
            return NAME
        case "response":
            jwt = Cookie("jwt", JWT, 600, secure=False)
            return Response(
                200,
                (("Content-Type", "application/json"), ("X-Shop", "open")),
                b'{"name": "Alice"}',
                (jwt,),
            )
        case "refusal":
            return Response.json(403, {"error": "closed"})
        case "framework's refusal" | "Forbidden":
            raise Forbidden("the account is closed")
    return shop.returns


def cookie(header: str, name: str) -> str | None:
    found = SimpleCookie(header).get(name)
    return str(found.value) if found else None


def plain_wsgi(endpoint: Endpoint, shop: Shop) -> Any:
    def find_person(environ: dict[str, Any]) -> Person | None:
        sent = environ.get("HTTP_COOKIE", "")
        return person(environ.get("HTTP_AUTHORIZATION", ""), cookie(sent, "phone"))

    def protect(environ: dict[str, Any]) -> None:
        if environ.get("HTTP_X_CSRF") != CSRF:
            raise Forbidden("no token")

    def log_in(environ: dict[str, Any], redeemed: Redeemed) -> Any:
        return plain_log_in(shop, redeemed)

    mounted = wsgi.qrlogin_app(endpoint, find_person, log_in, protect=protect)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/page":
            return Response.json(200, {"X-CSRF": CSRF}).to_wsgi(start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        again = BytesIO(environ["wsgi.input"].read(length))
        again.read()  # and does not seek back
        below = environ["PATH_INFO"].removeprefix("/qr")
        return mounted(
            {**environ, "wsgi.input": again, "SCRIPT_NAME": "/qr", "PATH_INFO": below},
            start_response,
        )

    return app


def plain_asgi(endpoint: AsyncEndpoint, shop: Shop) -> Any:
    def header(scope: Any, name: bytes) -> str:
        return str(dict(scope["headers"]).get(name, b"").decode())

    async def find_person(scope: Any) -> Person | None:
        return person(header(scope, b"authorization"), cookie(header(scope, b"cookie"), "phone"))

    def protect(scope: Any) -> None:
        if header(scope, b"x-csrf") != CSRF:
            raise Forbidden("no token")

    def log_in(scope: Any, redeemed: Redeemed) -> Any:
        return plain_log_in(shop, redeemed)

    mounted = asgi.qrlogin_app(endpoint, find_person, log_in, protect=protect)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/page":
            return await Response.json(200, {"X-CSRF": CSRF}).to_asgi(send)
        scope = {**scope, "root_path": "/qr"}
        if scope["type"] == "http":
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            scope["qrlogin.body"] = body
        return await mounted(scope, receive, send)

    return app


# All of them, served


Make = Callable[[Any, Shop], Any]
BLOCKING: dict[str, tuple[Make, Any]] = {
    "Flask": (flask_app, werkzeug_server),
    "Django under WSGI": (django_wsgi, wsgiref_server),
    "WSGI": (plain_wsgi, wsgiref_server),
}
AWAITED: dict[str, Make] = {
    "FastAPI": fastapi_app,
    "Django under ASGI": django_asgi,
    "ASGI": plain_asgi,
}
ALL = (*BLOCKING, *AWAITED)


@contextmanager
def served(name: str, shop: Shop) -> Iterator[Site]:
    """The application of this name, over loopback."""
    running: AbstractContextManager[Site]
    if name in BLOCKING:
        make, server = BLOCKING[name]
        running = threaded(lambda endpoint, _: make(endpoint, shop), server, None, judge=shop.judge)
    else:
        running = awaited(lambda endpoint, _: AWAITED[name](endpoint, shop), None, judge=shop.judge)
    with DJANGO, running as site:
        yield site


__all__ = ["ALL", "AWAITED", "JWT", "NAME", "Application", "Shop", "served"]
