"""qrlogin in Django: three routes, over an `Endpoint` under WSGI or an `AsyncEndpoint` under ASGI.

`person` returns who is signed in on the phone; `log_in` starts your own session. Some dialects need
two more: `log_out` ends a session, and `tokens` returns what an OAuth client receives instead of a
session. All four are blocking; under ASGI each call runs in a thread. `PermissionDenied` from
`log_in` or `tokens` is answered with 403, as JSON.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from io import BytesIO
from typing import Any, NoReturn

from asgiref.sync import sync_to_async
from django import http
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt

from qrlogin import Redeemed
from qrlogin.wire import AsyncEndpoint, Endpoint, Person, Request, Response
from qrlogin.wire.message import BODY_CAP


def not_given(*_: object) -> NoReturn:
    raise RuntimeError("this dialect needs log_out= or tokens=")


def qrlogin_urls(
    endpoint: Endpoint | AsyncEndpoint,
    person: Callable[[HttpRequest], Person | None],
    log_in: Callable[[HttpRequest, Redeemed], None],
    *,
    log_out: Callable[[HttpRequest], None] = not_given,
    tokens: Callable[[Redeemed], Mapping[str, object]] = not_given,
) -> list[URLPattern]:
    def send(request: HttpRequest, answer: Response) -> HttpResponseBase:
        try:
            if answer.redeemed and answer.tokens_wanted:
                answer = answer.with_json(tokens(answer.redeemed))
            elif answer.redeemed:
                log_in(request, answer.redeemed)
        except PermissionDenied as error:  # Django would answer with HTML, the element reads JSON
            refusal = {"error": "forbidden", "error_description": str(error)}
            return http.JsonResponse(refusal, status=403)
        if answer.log_out:
            log_out(request)
        kind = http.HttpResponse if answer.events is None else http.StreamingHttpResponse
        body = answer.body if answer.events is None else answer.events
        response = kind(body, status=answer.status, headers=dict(answer.headers))
        for cookie in answer.cookies:
            response.set_cookie(**asdict(cookie))
        return response

    def routes(phone: Callable[..., Any], browser: Callable[..., Any]) -> list[URLPattern]:
        """Django's middleware requires a CSRF token where a request acts with the user's authority:
        on the phone's routes and on redeem."""
        redeem = re_path(r"^(?P<path>.*/redeem)\Z", browser)
        rest = path("<path:path>", csrf_exempt(browser), name="browser")
        return [path("phone/<path:path>", phone), redeem, rest]

    if isinstance(endpoint, AsyncEndpoint):

        async def async_phone(request: HttpRequest, path: str) -> HttpResponseBase:
            who = await sync_to_async(person)(request)
            answer = await endpoint.phone(await from_asgi(request, path), who)
            return await sync_to_async(send)(request, answer)

        async def async_browser(request: HttpRequest, path: str) -> HttpResponseBase:
            answer = await endpoint.browser(await from_asgi(request, path))
            return await sync_to_async(send)(request, answer)

        return routes(async_phone, async_browser)

    def phone(request: HttpRequest, path: str) -> HttpResponseBase:
        return send(request, endpoint.phone(from_wsgi(request, path), person(request)))

    def browser(request: HttpRequest, path: str) -> HttpResponseBase:
        return send(request, endpoint.browser(from_wsgi(request, path)))

    return routes(phone, browser)


def body_stream(request: HttpRequest) -> HttpRequest | BytesIO:
    """Where to read the body. A short body stays readable for the application."""
    if re.fullmatch("[0-9]{1,4}", request.META.get("CONTENT_LENGTH") or ""):
        with suppress(
            http.RawPostDataException, OSError
        ):  # a multipart form; a disconnected browser
            return BytesIO(request.body)
    return request


def from_wsgi(request: HttpRequest, path: str) -> Request:
    if not isinstance(request, WSGIRequest):
        raise ImproperlyConfigured(
            "under ASGI a wait must be awaited: give qrlogin_urls an AsyncEndpoint"
        )
    return Request.from_wsgi({**request.environ, "wsgi.input": body_stream(request)}, path)


async def from_asgi(request: HttpRequest, path: str) -> Request:
    if not isinstance(request, ASGIRequest):
        raise ImproperlyConfigured(
            "under WSGI each request has an event loop of its own: give qrlogin_urls an Endpoint"
        )

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body_stream(request).read(BODY_CAP + 1)}

    asked = await Request.from_asgi(dict(request.scope), receive, path)
    return replace(asked, wait_disconnect=None)  # Django itself cancels the view on a disconnect
