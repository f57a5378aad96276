"""What guards every answer beside Django's own middleware; a header that a view has set stays as it is.

Cookies and codes belong to one address, so who came as localhost is led there.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
GUARDS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@sync_and_async_middleware
def guards(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    if iscoroutinefunction(get_response):
        answer = cast(Callable[[HttpRequest], Awaitable[HttpResponseBase]], get_response)

        async def awaited(request: HttpRequest) -> HttpResponseBase:
            return _guarded(_elsewhere(request) or await answer(request))

        return awaited

    def blocking(request: HttpRequest) -> HttpResponseBase:
        return _guarded(_elsewhere(request) or get_response(request))

    return blocking


def _elsewhere(request: HttpRequest) -> HttpResponseBase | None:
    if (
        request.method != "GET"
        or request.META.get("HTTP_HOST", "").partition(":")[0] != "localhost"
    ):
        return None
    return (
        HttpResponseRedirect(settings.ORIGIN + request.get_full_path())
        if "//127.0.0.1" in settings.ORIGIN
        else None
    )


def _guarded(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in GUARDS.items():
        response.headers.setdefault(name, value)
    return response
