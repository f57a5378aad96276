"""qrlogin in Django: three routes, blocking over an `Endpoint` (WSGI) or awaited over an `AsyncEndpoint` (ASGI).

`person` says who is signed in on the phone; `log_in` starts your own session. Some dialects ask for more: `log_out` ends a
session, `tokens` are what an OAuth client gets in place of one. All of them block; where views are awaited, they have a thread.
`PermissionDenied` out of `log_in` or `tokens` is answered with 403, as JSON.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from io import BytesIO
from typing import Any, NoReturn

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import (
    HttpRequest,
    HttpResponse,
    JsonResponse,
    RawPostDataException,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt

from qrlogin import Redeemed
from qrlogin.wire import AsyncEndpoint, Endpoint, Person, Request
from qrlogin.wire import Response as Answer
from qrlogin.wire.message import BODY_CAP


def missing(*_: object) -> NoReturn:
    raise RuntimeError("this dialect needs log_out= or tokens=")


def qrlogin_urls(
    endpoint: Endpoint | AsyncEndpoint,
    person: Callable[[HttpRequest], Person | None],
    log_in: Callable[[HttpRequest, Redeemed], None],
    *,
    log_out: Callable[[HttpRequest], None] = missing,
    tokens: Callable[[Redeemed], Mapping[str, object]] = missing,
) -> list[URLPattern]:
    def send(request: HttpRequest, answer: Answer) -> HttpResponseBase:
        try:
            if answer.redeemed and answer.tokens_wanted:
                answer = answer.with_json(tokens(answer.redeemed))
            elif answer.redeemed:
                log_in(request, answer.redeemed)
        except (
            PermissionDenied
        ) as error:  # Django's own page for it is none that the element can read
            return JsonResponse({"error": "forbidden", "error_description": str(error)}, status=403)
        if answer.log_out:
            log_out(request)
        kind = HttpResponse if answer.events is None else StreamingHttpResponse
        body = answer.body if answer.events is None else answer.events
        response = kind(body, status=answer.status, headers=dict(answer.headers))
        for cookie in answer.cookies:
            response.set_cookie(**asdict(cookie))
        return response

    def routes(phone: Callable[..., Any], browser: Callable[..., Any]) -> list[URLPattern]:
        """Django's middleware wants a CSRF token for what acts with this site's authority; nothing else here does."""
        redeem = re_path(r"^(?P<path>.*/redeem)\Z", browser)
        return [
            path("phone/<path:path>", phone),
            redeem,
            path("<path:path>", csrf_exempt(browser), name="door"),
        ]

    if isinstance(endpoint, AsyncEndpoint):

        async def awaited_phone(request: HttpRequest, path: str) -> HttpResponseBase:
            who = await sync_to_async(person)(request)
            return await sync_to_async(send)(
                request, await endpoint.phone(await from_asgi(request, path), who)
            )

        async def awaited_browser(request: HttpRequest, path: str) -> HttpResponseBase:
            return await sync_to_async(send)(
                request, await endpoint.browser(await from_asgi(request, path))
            )

        return routes(awaited_phone, awaited_browser)

    def phone(request: HttpRequest, path: str) -> HttpResponseBase:
        return send(request, endpoint.phone(from_wsgi(request, path), person(request)))

    def browser(request: HttpRequest, path: str) -> HttpResponseBase:
        return send(request, endpoint.browser(from_wsgi(request, path)))

    return routes(phone, browser)


def body_of(request: HttpRequest) -> HttpRequest | BytesIO:
    """Where the body is read. Django keeps a short one: the application may read it, too."""
    if re.fullmatch("[0-9]{1,4}", request.META.get("CONTENT_LENGTH") or ""):
        with suppress(RawPostDataException, OSError):  # a multipart form; a browser that left
            return BytesIO(request.body)
    return request


def from_wsgi(request: HttpRequest, path: str) -> Request:
    if not isinstance(request, WSGIRequest):
        raise ImproperlyConfigured(
            "under ASGI a wait must be awaited: give qrlogin_urls an AsyncEndpoint"
        )
    return Request.from_wsgi({**request.environ, "wsgi.input": body_of(request)}, path)


async def from_asgi(request: HttpRequest, path: str) -> Request:
    if not isinstance(request, ASGIRequest):
        raise ImproperlyConfigured(
            "under WSGI each request has an event loop of its own: give qrlogin_urls an Endpoint"
        )

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body_of(request).read(BODY_CAP + 1)}

    # Django itself cancels the view of a browser that left.
    return replace(
        await Request.from_asgi(dict(request.scope), receive, path), wait_disconnect=None
    )
