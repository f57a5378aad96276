"""Adds security headers to every response, except where a view has set the header itself.

It also redirects from localhost to 127.0.0.1, because cookies and codes belong to one host.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
#: The scripts of Django's admin write HTML, which trusted types forbid.
ADMIN_POLICY: Final = POLICY.partition("; require-trusted-types-for")[0]
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@sync_and_async_middleware
def security_headers(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    if iscoroutinefunction(get_response):
        respond = cast(Callable[[HttpRequest], Awaitable[HttpResponseBase]], get_response)

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            return _with_headers(request, _redirect(request) or await respond(request))

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return _with_headers(request, _redirect(request) or get_response(request))

    return middleware


def _redirect(request: HttpRequest) -> HttpResponseBase | None:
    host = request.META.get("HTTP_HOST", "").partition(":")[0]
    if request.method == "GET" and host == "localhost" and "//127.0.0.1" in settings.ORIGIN:
        return HttpResponseRedirect(settings.ORIGIN + request.get_full_path())
    return None


def _with_headers(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if request.path.startswith("/staff/"):
        response.headers.setdefault("Content-Security-Policy", ADMIN_POLICY)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
