"""Django's adapter passes the story, and handles bodies and servers as Django needs."""

import asyncio
import io
from dataclasses import asdict
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.urls import include, path

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin, Redeemed
from qrlogin.contrib.django import qrlogin_urls
from qrlogin.wire import AsyncEndpoint, Endpoint, Native, Person
from qrlogin.wire.message import BODY_CAP
from tests.wire import django_mount
from tests.wire.sites import CREDENTIALS, PAGE, Application, threaded, wsgiref_server
from tests.wire.story import Browser, Phone, play


def urls(endpoint: Endpoint, application: Application) -> list[Any]:
    def person(request: HttpRequest) -> Person | None:
        return CREDENTIALS.get(request.headers.get("Authorization", ""))

    def log_in(request: HttpRequest, redeemed: Redeemed) -> None:
        session = application.log_in(redeemed)
        request.session.flush()
        request.session["session"] = session

    def me(request: HttpRequest) -> HttpResponse:
        return JsonResponse(
            application.whoami(request.session.get("session"), request.session.get("basket"))
        )

    def visit(request: HttpRequest) -> HttpResponse:
        request.session["basket"] = "apples"
        return HttpResponse()

    def page(request: HttpRequest, code: str) -> HttpResponse:
        response = HttpResponse("Log a browser in?")
        for cookie in endpoint.landing_cookies(code):
            response.set_cookie(**asdict(cookie))
        return response

    mounted = path("qr/", include(qrlogin_urls(endpoint, person, log_in)))
    opened = path(f"{PAGE.removeprefix('/')}<code>", page)
    return [mounted, path("me", me), path("visit", visit), opened]


def blocking(endpoint: Any, application: Application) -> Any:
    return django_mount.wsgi(urls(endpoint, application))


def test_the_story_passes_with_django() -> None:
    """The blocking adapter. The async one runs in its own process (tests/examples): Django leaves
    files open when it cancels a view.
    """
    with threaded(blocking, wsgiref_server, None) as site:
        play(site)


# Cases that only Django has


def views(endpoint: Endpoint | AsyncEndpoint) -> list[Any]:
    """The views of the phone routes and of the browser routes."""
    alice = Person("1", shown_as="A•••e")
    return [
        pattern.callback
        for pattern in qrlogin_urls(endpoint, lambda request: alice, lambda request, redeemed: None)
    ]


def awaited_endpoint() -> AsyncEndpoint:
    qr = AsyncQRLogin(
        AsyncMemoryStore(), secret_keys=[bytes(range(32))], verification_uri="http://127.0.0.1/qr"
    )
    return AsyncEndpoint(qr, Native(qr.core), max_waiting=1)


def test_a_view_under_the_wrong_kind_of_server_raises() -> None:
    qr = QRLogin(
        MemoryStore(), secret_keys=[bytes(range(32))], verification_uri="http://127.0.0.1/qr"
    )
    for view in views(Endpoint(qr, Native(qr.core), max_waiting=1)):
        with pytest.raises(
            ImproperlyConfigured,
            match="under ASGI a wait must be awaited: give qrlogin_urls an AsyncEndpoint",
        ):
            view(AsyncRequestFactory().post("/begin"), path="begin")
    for view in views(awaited_endpoint()):
        with pytest.raises(
            ImproperlyConfigured, match="under WSGI each request has an event loop of its own"
        ):
            asyncio.run(view(RequestFactory().post("/begin"), path="begin"))


def reading_twice(read_before: Any, read_after: Any) -> Any:
    """An application that reads each body before the adapter and again after it."""

    def urls_that_read(endpoint: Endpoint, application: Application) -> list[Any]:
        patterns = urls(endpoint, application)
        for pattern in patterns[0].url_patterns:
            pattern.callback = reading(pattern.callback, read_before, read_after)
        return patterns

    return lambda endpoint, application: django_mount.wsgi(urls_that_read(endpoint, application))


def reading(view: Any, read_before: Any, read_after: Any) -> Any:
    def viewed(request: HttpRequest, **found: Any) -> Any:
        read_before(request)
        answer = view(request, **found)
        read_after(request)
        return answer

    return viewed


READS: dict[str, Any] = {
    "nothing": lambda request: None,
    "the bytes": lambda request: request.body,
    "the form": lambda request: request.POST.get("code"),
    "the bytes, then the stream": lambda request: (request.body, request.read()),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_the_application_can_read_the_body_before_and_after(read: Any) -> None:
    seen = list[bytes]()
    after = lambda request: seen.append(request.body)  # noqa: E731
    with (
        threaded(reading_twice(read, after), wsgiref_server, None) as site,
        Browser(site) as desk,
        Phone(site, "alice") as alice,
    ):
        alice.code = desk.begin().json["verification_uri_complete"]
        assert [alice.send(verb).status for verb in ("scan", "confirm")] == [200, 200]
        assert desk.redeem(desk.look().json["scanned_by"]["tag"]).status == 200
    assert seen[:1] == [b"{}"]


def test_a_multipart_form_is_refused_after_the_application_has_read_it() -> None:
    """Django keeps no part of such a form, so it cannot be read again."""
    with (
        threaded(reading_twice(READS["the form"], READS["nothing"]), wsgiref_server, None) as site,
        Browser(site) as desk,
    ):
        assert desk.http.post("/qr/begin", files={"a": (None, b"b")}).status_code == 415


def test_a_body_that_breaks_off_is_refused() -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ConnectionResetError

    request = RequestFactory().post(
        "/begin", b"{}", "application/json", headers={"Sec-Fetch-Site": "same-origin"}
    )
    request.environ["wsgi.input"] = request._stream = Broken()
    qr = QRLogin(
        MemoryStore(), secret_keys=[bytes(range(32))], verification_uri="http://127.0.0.1/qr"
    )
    assert (
        views(Endpoint(qr, Native(qr.core), max_waiting=1))[1](request, path="begin").status_code
        == 400
    )


def test_the_application_can_read_the_body_before_an_async_view() -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"2"),
        (b"sec-fetch-site", b"same-origin"),
    ]
    for read in READS.values():
        request = ASGIRequest(
            {"type": "http", "method": "POST", "path": "/", "headers": headers}, io.BytesIO(b"{}")
        )
        read(request)
        browser = views(awaited_endpoint())[1]
        assert asyncio.run(browser(request, path="begin")).status_code == 201
        assert request.body == b"{}"


def test_a_long_body_is_read_no_further_than_the_cap() -> None:
    """Under ASGI Django has the whole body, in a file if it is large."""
    headers = [(b"content-type", b"application/json"), (b"sec-fetch-site", b"same-origin")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    request = ASGIRequest(scope, io.BytesIO(b"x" * (1 << 20)))
    phone, _ = views(awaited_endpoint())
    assert asyncio.run(phone(request, path="scan")).status_code == 413
    assert len(request.read()) == (1 << 20) - BODY_CAP - 1
