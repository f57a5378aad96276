"""qrlogin in Django: three routes, over an `Endpoint` under WSGI or an `AsyncEndpoint` under ASGI.

`person` returns who is signed in on the phone; `log_in` starts your own session. Some dialects need
two more: `log_out` ends a session, and `tokens` returns what an OAuth client receives instead of a
session. All four are blocking; under ASGI each call runs in a thread. `PermissionDenied` from
`log_in` or `tokens` is answered with 403, as JSON.

`log_in` may return a mapping, which is `session` in the answer to a redeem, or a response: its JSON
is `session`, and its headers and cookies are sent with that answer. So a JWT cookie is set as in
any view: `response = JsonResponse({"name": ...})`, `response.set_cookie(...)`, `return response`.

If the project has Django's `CsrfViewMiddleware`, its token is asked for on the phone's routes and
on redeem, and never for a request with a token in `Authorization`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache, wraps
from io import BytesIO
from typing import Any, TypeVar

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django import http
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import Resolver404, URLPattern, path, resolve
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt

from qrlogin import AsyncQRLogin, Redeemed
from qrlogin.arguments import is_async
from qrlogin.contrib import asgi
from qrlogin.contrib.shared import (
    CSRF_REFUSED,
    LISTS,
    REFUSALS,
    AsyncLands,
    Lands,
    check_arguments,
    is_mapping_to_send,
    needs_csrf_token,
    needs_person,
    not_given,
    with_log_in,
)
from qrlogin.contrib.wsgi import close_at_exit
from qrlogin.errors import Forbidden, InvalidCsrfToken
from qrlogin.wire import AsyncEndpoint, Endpoint, Person, Request, Response
from qrlogin.wire.endpoint import call
from qrlogin.wire.error_response import NO_STORE
from qrlogin.wire.message import BODY_CAP, Cookie, Receive, Scope, Send

__all__ = [
    "Application",
    "aset_landing_cookies",
    "awaited",
    "close_at_exit",
    "keeping_csrf_token",
    "landing",
    "qrlogin_urls",
    "set_landing_cookies",
]

Page = TypeVar("Page", bound=HttpResponseBase)


def awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function, such as a judge, for asyncio code: it runs in the thread that has Django's
    connections. An async one is returned as it is.
    """
    return function if is_async(function) else sync_to_async(function)


def qrlogin_urls(
    endpoint: Endpoint | AsyncEndpoint,
    person: Callable[[HttpRequest], Person | None],
    log_in: Callable[[HttpRequest, Redeemed], Any],
    *,
    log_out: Callable[[HttpRequest], object] = not_given,
    tokens: Callable[[Redeemed], Mapping[str, object]] = not_given,
) -> list[URLPattern]:
    """The URL patterns of one dialect, for `include()`.

    :param endpoint: The dialect: an `Endpoint` under WSGI, an `AsyncEndpoint` under ASGI.
    :param person: Returns who is signed in on the phone, or None.
    :param log_in: Starts your own session. What it returns is described above.
    :param log_out: Ends the session, for dialects that log out.
    :param tokens: Returns what an OAuth client gets in place of a session.

    Raises `Misconfigured` for a function that does not take what it gets.
    """
    check_arguments(person, "person", "request")
    check_arguments(log_in, "log_in", "request", "redeemed")

    def send(request: HttpRequest, asked: Request, answer: Response) -> HttpResponseBase:
        """Calls the functions of the application that this answer needs."""
        cookies: Mapping[str, Any] = {}
        try:
            redeemed = answer.redeemed
            if redeemed and answer.tokens_wanted:
                answer = answer.with_json(tokens(redeemed))
            elif redeemed:
                granted = log_in(request, redeemed)
                if not isinstance(granted, http.HttpResponse):
                    sends = is_mapping_to_send(granted, also="an HttpResponse with its content")
                    granted = http.JsonResponse(dict(granted)) if sends else None
                if granted is not None:
                    status, cookies = granted.status_code, granted.cookies
                    answer = with_log_in(answer, granted.headers.items(), granted.content, status)
            if answer.log_out:
                log_out(request)
        except PermissionDenied as error:  # Django would answer with HTML, the element reads JSON
            return refuse(asked, Forbidden(str(error)))
        except REFUSALS as error:
            answer = endpoint.dialect.refuse(asked, error)
        response = _to_django(answer)
        response.cookies.update(cookies)
        return response

    def refuse(asked: Request, error: Forbidden) -> HttpResponseBase:
        """403 in the dialect's words. A page of another origin may have to read it."""
        refusal = endpoint.dialect.refuse(asked, error)
        return _to_django(replace(refusal, status=403))

    def routes(phone: Callable[..., Any], browser: Callable[..., Any]) -> list[URLPattern]:
        """The views ask Django's CSRF protection themselves, where `needs_csrf_token` says so."""
        return [
            path("phone/<path:path>", csrf_exempt(phone)),
            path("<path:path>", csrf_exempt(browser), name="browser"),
        ]

    if isinstance(endpoint, AsyncEndpoint):
        # A thread costs more than the rest, so only what calls the application runs in one.

        def find(request: HttpRequest, asked: Request) -> Person | HttpResponseBase | None:
            """Who is signed in, or the refusal of this request."""
            if _lacks_csrf_token(request, asked, phone=True):
                return refuse(asked, InvalidCsrfToken(CSRF_REFUSED))
            return person(request) if needs_person(asked) else None

        async def async_phone(request: HttpRequest, path: str) -> HttpResponseBase:
            asked = await from_asgi(request, path)
            asks = needs_person(asked) or needs_csrf_token(asked, phone=True)
            found = await sync_to_async(find)(request, asked) if asks else None
            if isinstance(found, HttpResponseBase):
                return found
            return await async_send(request, asked, await endpoint.phone(asked, found))

        async def async_browser(request: HttpRequest, path: str) -> HttpResponseBase:
            asked = await from_asgi(request, path)
            if needs_csrf_token(asked, phone=False) and await sync_to_async(_lacks_csrf_token)(
                request, asked, phone=False
            ):
                return refuse(asked, InvalidCsrfToken(CSRF_REFUSED))
            return await async_send(request, asked, await endpoint.browser(asked))

        async def async_send(
            request: HttpRequest, asked: Request, answer: Response
        ) -> HttpResponseBase:
            if answer.redeemed or answer.log_out:
                return await sync_to_async(send)(request, asked, answer)
            return _to_django(answer)

        return routes(async_phone, async_browser)

    def phone(request: HttpRequest, path: str) -> HttpResponseBase:
        asked = from_wsgi(request, path)
        if _lacks_csrf_token(request, asked, phone=True):
            return refuse(asked, InvalidCsrfToken(CSRF_REFUSED))
        who = person(request) if needs_person(asked) else None
        return send(request, asked, endpoint.phone(asked, who))

    def browser(request: HttpRequest, path: str) -> HttpResponseBase:
        asked = from_wsgi(request, path)
        if _lacks_csrf_token(request, asked, phone=False):
            return refuse(asked, InvalidCsrfToken(CSRF_REFUSED))
        return send(request, asked, endpoint.browser(asked))

    return routes(phone, browser)


# Requests and responses


def body_stream(request: HttpRequest) -> HttpRequest | BytesIO:
    """Where to read the body. A short body stays readable for the application."""
    if re.fullmatch("[0-9]{1,4}", request.META.get("CONTENT_LENGTH") or ""):
        with suppress(
            http.RawPostDataException, OSError
        ):  # a multipart form; a disconnected browser
            return BytesIO(request.body)
    return request


def from_wsgi(request: HttpRequest, path: str) -> Request:
    """The request in qrlogin's form. `path` is the part of its path below the mount.

    Raises `ImproperlyConfigured` under ASGI.
    """
    if not isinstance(request, WSGIRequest):
        raise ImproperlyConfigured(
            "under ASGI a wait must be awaited: give qrlogin_urls an AsyncEndpoint"
        )
    return Request.from_wsgi({**request.environ, "wsgi.input": body_stream(request)}, path)


async def from_asgi(request: HttpRequest, path: str) -> Request:
    """The request in qrlogin's form. `path` is the part of its path below the mount.

    Raises `ImproperlyConfigured` under WSGI.
    """
    if not isinstance(request, ASGIRequest):
        raise ImproperlyConfigured(
            "under WSGI each request has an event loop of its own: give qrlogin_urls an Endpoint"
        )

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body_stream(request).read(BODY_CAP + 1)}

    # In the scope of Django's own AsyncClient, the query is text.
    scope = {**request.scope, "query_string": request.META["QUERY_STRING"].encode("latin-1")}
    asked = await Request.from_asgi(scope, receive, path)
    return replace(asked, wait_disconnect=None)  # Django itself cancels the view on a disconnect


def _to_django(answer: Response) -> HttpResponseBase:
    kind = http.HttpResponse if answer.events is None else http.StreamingHttpResponse
    response = kind(answer.body if answer.events is None else answer.events, status=answer.status)
    if not any(name.lower() == "content-type" for name, _ in answer.headers):
        del response.headers["Content-Type"]  # Django's default, which would describe no body
    for name, value in answer.headers:
        # Django keeps one value for each name.
        earlier = response.headers.get(name) if name.lower() in LISTS else None
        response.headers[name] = f"{earlier}, {value}" if earlier else value
    for cookie in answer.cookies:  # `asdict` would copy each value
        response.set_cookie(**{name: getattr(cookie, name) for name in cookie.__slots__})
    return response


# CSRF


def _lacks_csrf_token(request: HttpRequest, asked: Request, *, phone: bool) -> bool:
    """Whether this request needs a CSRF token and has none that is valid."""
    return needs_csrf_token(asked, phone=phone) and any(
        middleware(_no_response).process_view(request, _no_response, (), {}) is not None
        for middleware in _csrf_middleware()
    )


def _csrf_middleware() -> tuple[type[CsrfViewMiddleware], ...]:
    """The project's CSRF protection. It has passed these views already, because they are exempt."""
    return _csrf_classes(tuple(settings.MIDDLEWARE))


@cache
def _csrf_classes(dotted: tuple[str, ...]) -> tuple[type[CsrfViewMiddleware], ...]:
    found = map(import_string, dotted)
    return tuple(
        each for each in found if isinstance(each, type) and issubclass(each, CsrfViewMiddleware)
    )


def _no_response(request: HttpRequest) -> HttpResponseBase:
    return http.HttpResponse()


def keeping_csrf_token(request: HttpRequest, start_session: Callable[[], object]) -> None:
    """Call `start_session`, for example `lambda: auth.login(request, user)`, in `log_in`.

    Django makes a new CSRF token when it starts a session. This keeps the old one: if the answer to
    a redeem is lost, the page sends the same request again, and Django would refuse its token.
    """
    token = request.META.get("CSRF_COOKIE")
    start_session()
    request.META |= {"CSRF_COOKIE": token, "CSRF_COOKIE_NEEDS_UPDATE": False}


# The page behind `verification_uri`


def set_landing_cookies(page: Page, endpoint: Lands | AsyncLands, code: str) -> Page:
    """The page behind `verification_uri`, with the cookies of the code that it was opened with.

    Return it from the view, whether or not a user is signed in. By these cookies the phone can hand
    the code in later, for example after it has signed in. No cache may keep the page with its
    cookie, so it gets `Cache-Control: no-store`, unless it has a Cache-Control of its own. In an
    async view, await `aset_landing_cookies`.

    :param page: The view's response.
    :param endpoint: The native dialect's.
    :param code: The part of the page's path after `verification_uri`.
    """
    find: Callable[..., Any] = endpoint.landing_cookies
    return _landed(page, async_to_sync(find)(code) if iscoroutinefunction(find) else find(code))


async def aset_landing_cookies(page: Page, endpoint: Lands | AsyncLands, code: str) -> Page:
    """`set_landing_cookies`, awaited.

    :param page: The view's response.
    :param endpoint: The native dialect's.
    :param code: The part of the page's path after `verification_uri`.
    """
    return _landed(page, await call(endpoint.landing_cookies, code))


def _landed(page: Page, cookies: Iterable[Cookie]) -> Page:
    for cookie in cookies:
        page.set_cookie(**asdict(cookie))
    page.headers.setdefault(*NO_STORE)
    return page


def landing(
    view: Callable[..., Any], endpoint: Callable[[], Lands | AsyncLands]
) -> Callable[..., Any]:
    """The view of the page behind `verification_uri`, whose argument `code`, or whose first one, is
    the code in its path. Each of its pages has the cookies of `set_landing_cookies`. `endpoint`
    returns the native dialect's endpoint. An async view stays async.
    """

    def code_in(groups: tuple[str, ...], named: dict[str, Any]) -> str:
        return str(named.get("code") or next(iter(groups), ""))

    if iscoroutinefunction(view):

        @wraps(view)
        async def async_landed(request: HttpRequest, *groups: str, **named: Any) -> Any:
            page = await view(request, *groups, **named)
            return await aset_landing_cookies(page, endpoint(), code_in(groups, named))

        return async_landed

    @wraps(view)
    def landed(request: HttpRequest, *groups: str, **named: Any) -> Any:
        page = view(request, *groups, **named)
        return set_landing_cookies(page, endpoint(), code_in(groups, named))

    return landed


# ASGI


class Application:
    """Passes HTTP to Django and websockets to qrlogin, and serves the logins in between.

    On SIGTERM the held requests are answered, and at the end the store is closed.

    :param django: Django's own ASGI application.
    :param qr: The logins.
    :param endpoint: Returns the endpoint whose websockets these are.
    :param problem: Why this process must not start, if it must not.
    :param view_name: The name of the browser's view: its websockets are qrlogin's.
    """

    def __init__(
        self,
        django: Any,
        qr: AsyncQRLogin,
        endpoint: Callable[[], Endpoint | AsyncEndpoint],
        *,
        problem: Callable[[], str] = lambda: "",
        view_name: str = "qrlogin:browser",
    ) -> None:
        self._django, self._qr, self._endpoint = django, qr, endpoint
        self._problem, self._view_name = problem, view_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._django(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await asgi.lifespan(self._qr, receive, send, problem=self._problem())

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            match = resolve(scope["path"].removeprefix(scope.get("root_path", "")))
        except Resolver404:
            match = None
        endpoint = self._endpoint()
        if (
            match is None
            or match.view_name != self._view_name
            or not isinstance(endpoint, AsyncEndpoint)
        ):
            await send({"type": "websocket.close", "code": 1000})
        else:
            await asgi.socket(endpoint, scope, receive, send, match.kwargs["path"])
