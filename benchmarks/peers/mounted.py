"""qrlogin over Redis in Flask, FastAPI and Django, as the peers are measured: without a database.

Any name is a phone, and a session is a signed cookie. `native` draws the picture, and `devices` is
the dialect RFC 8628, without one. What an application adds is in the three examples.
"""

import os
from dataclasses import replace
from typing import Any

from qrlogin import STANDARD, AsyncQRLogin, QRLogin, Redeemed
from qrlogin.stores import open_async_store, open_store
from qrlogin.wire import AsyncEndpoint, Endpoint, Person
from qrlogin.wire.dialects.rfc8628 import Rfc8628

KEY = bytes(range(32))
SECRET = "of the sessions of the benchmark"
urlpatterns: list[Any] = []
"""Of the Django application."""


def options(*, user_codes: bool) -> dict[str, Any]:
    return {
        "secret_keys": [KEY],
        "verification_uri": f"{os.environ['QRLOGIN_ORIGIN']}/qr",
        "policy": replace(STANDARD, limits=None, user_codes=user_codes),
    }


def blocking(*, user_codes: bool) -> QRLogin:
    return QRLogin(open_store(os.environ["REDIS"]), **options(user_codes=user_codes))


def person_in(header: str | None) -> Person | None:
    name = (header or "").removeprefix("Phone ")
    return Person(name, name=name) if name else None


def tokens(redeemed: Redeemed) -> dict[str, object]:
    return {"access_token": redeemed.login_id, "token_type": "Bearer"}


def fastapi() -> Any:
    from fastapi import FastAPI, Request
    from starlette.middleware.sessions import SessionMiddleware

    from qrlogin.contrib.fastapi import qrlogin_router, serving

    async def person(request: Request) -> Person | None:
        return person_in(request.headers.get("authorization"))

    async def log_in(request: Request, redeemed: Redeemed) -> None:
        request.session.clear()
        request.session["user"] = redeemed.subject

    qr = AsyncQRLogin(open_async_store(os.environ["REDIS"]), **options(user_codes=False))
    app = FastAPI(lifespan=lambda _: serving(qr))
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    endpoint = AsyncEndpoint(qr, max_waiting=1000)
    app.include_router(qrlogin_router(endpoint, person, log_in), prefix="/qrlogin")
    return app


def flask(kind: str) -> Any:
    from flask import Flask, request, session

    from qrlogin.contrib.flask import qrlogin_blueprint

    def person() -> Person | None:
        return person_in(request.headers.get("Authorization"))

    def log_in(redeemed: Redeemed) -> None:
        session.clear()
        session["user"] = redeemed.subject

    app = Flask(__name__)
    app.secret_key = SECRET
    qr = blocking(user_codes=kind == "devices")
    native = qrlogin_blueprint(Endpoint(qr, max_waiting=8), person, log_in)
    app.register_blueprint(native, url_prefix="/qrlogin")
    if kind == "devices":
        tv = Endpoint(qr, Rfc8628(qr.core, clients=lambda client: True), max_waiting=8)
        app.register_blueprint(qrlogin_blueprint(tv, person, log_in, tokens=tokens, name="tv"))
    return app


def django(kind: str) -> Any:
    from django.conf import settings

    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    )
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest
    from django.urls import include, path

    from qrlogin.contrib.django import qrlogin_urls

    def person(request: HttpRequest) -> Person | None:
        return person_in(request.headers.get("Authorization"))

    def log_in(request: HttpRequest, redeemed: Redeemed) -> None:
        request.session.flush()
        request.session["user"] = redeemed.subject

    application = get_wsgi_application()
    qr = blocking(user_codes=kind == "devices")
    native = qrlogin_urls(Endpoint(qr, max_waiting=8), person, log_in)
    urlpatterns.append(path("qrlogin/", include(native)))
    if kind == "devices":
        tv = Endpoint(qr, Rfc8628(qr.core, clients=lambda client: True), max_waiting=8)
        urlpatterns.append(path("", include(qrlogin_urls(tv, person, log_in, tokens=tokens))))
    return application
