"""Django's adapter tells the story that the bare applications tell."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from examples.django_site.qrlogin_django.adapter import qrlogin_urls
from qrlogin import Redeemed
from qrlogin.wire import Endpoint, Person
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
