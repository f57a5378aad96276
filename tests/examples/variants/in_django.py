"""The settings of the Django example: `DJANGO_SETTINGS_MODULE=tests.examples.variants.in_django`.

Its page for phones has a slash at the end of its address.
"""

from collections.abc import Callable

from config.settings import *  # type: ignore[import-not-found]  # noqa: F403
from config.settings import MIDDLEWARE, ORIGIN, QRLOGIN
from django.http import HttpRequest, HttpResponse

from qrlogin import Redeemed
from qrlogin.wire import Person
from tests.examples.variants import JWT, name_in

# Their modules need the models, so the functions import them when they are called.


def person_or_app(request: HttpRequest) -> Person | None:
    from django.contrib.auth.models import User

    from qrlogin.contrib.django_auth import person

    if name := name_in(request.headers.get("Authorization", "")):
        name = User.normalize_username(name)
        request.user, _ = User.objects.get_or_create(username=name)
    return person(request)


def log_in_with_jwt(request: HttpRequest, redeemed: Redeemed) -> HttpResponse:
    from qrlogin.contrib.django_auth import log_in

    log_in(request, redeemed)
    response = HttpResponse()
    response.set_cookie("jwt", JWT, httponly=True)
    return response


def read_body(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    def middleware(request: HttpRequest) -> HttpResponse:
        assert request.body is not None
        return get_response(request)

    return middleware


MIDDLEWARE = [f"{__name__}.read_body", *MIDDLEWARE]
QRLOGIN = QRLOGIN | {
    "VERIFICATION_URI": f"{ORIGIN}/qr/",
    "PERSON": person_or_app,
    "LOG_IN": log_in_with_jwt,
}
