"""Django's adapter tells the story that the bare applications tell, and minds what only Django does."""

import asyncio
import io
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.urls import include, path

from examples.django_site.qrlogin_django.adapter import qrlogin_urls
from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin, Redeemed
from qrlogin.wire import AsyncEndpoint, Endpoint, Native, Person
from qrlogin.wire.message import BODY_CAP
from tests.wire import django_mount
from tests.wire.sites import CREDENTIALS, Application, threaded, wsgiref_server
from tests.wire.story import play


def urls(endpoint: Endpoint, application: Application) -> list[Any]:
    def person(request: HttpRequest) -> Person | None:
        return CREDENTIALS.get(request.headers.get("Authorization", ""))

    def log_in(request: HttpRequest, redeemed: Redeemed) -> None:
        session = application.log_in(redeemed)
        request.session.flush()
        request.session["session"] = session

    def me(request: HttpRequest) -> HttpResponse:
        return JsonResponse(application.whoami(request.session.get("session"), request.session.get("basket")))

    def visit(request: HttpRequest) -> HttpResponse:
        request.session["basket"] = "apples"
        return HttpResponse()

    mounted = path("qr/", include(qrlogin_urls(endpoint, person, log_in)))
    return [mounted, path("me", me), path("visit", visit)]


def blocking(endpoint: Any, application: Application) -> Any:
    return django_mount.wsgi(urls(endpoint, application))


def test_the_story() -> None:
    """Blocking. Awaited it is told in a process of its own: Django leaves files open when it cancels a view."""
    with threaded(blocking, wsgiref_server, None) as site:
        play(site)


# What the bare applications have no such thing as


def views(endpoint: Endpoint | AsyncEndpoint) -> list[Any]:
    """Those of the phone's door, of redeem, and of the rest."""
    alice = Person("1", shown_as="A•••e")
    return [pattern.callback for pattern in qrlogin_urls(endpoint, lambda request: alice, lambda request, redeemed: None)]


def awaited_endpoint() -> AsyncEndpoint:
    qr = AsyncQRLogin(AsyncMemoryStore(), secret_keys=[bytes(range(32))], verification_uri="http://127.0.0.1/qr")
    return AsyncEndpoint(qr, Native(qr.core), max_waiting=1)


def test_a_view_whose_server_is_the_other_kind_says_so() -> None:
    qr = QRLogin(MemoryStore(), secret_keys=[bytes(range(32))], verification_uri="http://127.0.0.1/qr")
    for view in views(Endpoint(qr, Native(qr.core), max_waiting=1)):
        with pytest.raises(ImproperlyConfigured, match="under ASGI a wait must be awaited: give qrlogin_urls an AsyncEndpoint"):
            view(AsyncRequestFactory().post("/begin"), path="begin")
    for view in views(awaited_endpoint()):
        with pytest.raises(ImproperlyConfigured, match="under WSGI each request has an event loop of its own"):
            asyncio.run(view(RequestFactory().post("/begin"), path="begin"))


def test_of_a_long_body_no_more_is_read_than_shows_that_it_is_too_long() -> None:
    """Under ASGI Django has all of it, in a file if need be."""
    headers = [(b"content-type", b"application/json"), (b"sec-fetch-site", b"same-origin")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    request = ASGIRequest(scope, io.BytesIO(b"x" * (1 << 20)))
    phone, _, _ = views(awaited_endpoint())
    assert asyncio.run(phone(request, path="scan")).status_code == 413
    assert len(request.read()) == (1 << 20) - BODY_CAP - 1
