"""The rules that all modules of this package share. Nothing here knows a framework."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from inspect import signature
from typing import Final, NoReturn, Protocol, TypeGuard

from qrlogin.errors import BadRequest, LoginError, Misconfigured, Unavailable
from qrlogin.wire.message import Cookie, Request, Response
from qrlogin.wire.validation import has_token

REFUSALS: Final = (LoginError, Unavailable, BadRequest)
"""What a callback of the application may raise to refuse a request in the dialect's words."""

CSRF_REFUSED: Final = (
    "the CSRF token is missing, wrong or old: load the page again. If that does not help, give the "
    "element the attributes csrf-header and csrf-token"
)
"""The description of the error that a request without a valid CSRF token gets."""

#: They describe the body of the application's response, and that body is not sent.
_OF_THE_BODY: Final = (
    *("content-length", "content-type", "content-encoding", "content-disposition"),
    *("transfer-encoding", "etag", "last-modified", "connection"),
)
WRONG_IN_ASGI: Final = "in an event loop, use AsyncEndpoint and AsyncQRLogin"
WRONG_IN_WSGI: Final = "in threads, use Endpoint and QRLogin"
"""What `check_endpoint` says about the other kind of endpoint."""

LISTS: Final = ("vary", "link", "server-timing")
"""Headers that may be in a response several times, or once with their values joined by commas."""

_REPEATABLE: Final = ("set-cookie", *LISTS)
#: The server makes them.
_OF_THE_CONNECTION: Final = ("content-length", "transfer-encoding", "connection")
#: These methods change nothing, so no CSRF protection is asked about them.
_SAFE: Final = ("GET", "HEAD", "OPTIONS", "TRACE")


class Lands(Protocol):
    """An endpoint, as the page behind `verification_uri` needs it."""

    def landing_cookies(self, code: str) -> tuple[Cookie, ...]:
        """The cookies for the page that was opened with this code."""


class AsyncLands(Protocol):
    """The same of an `AsyncEndpoint`."""

    async def landing_cookies(self, code: str) -> tuple[Cookie, ...]:
        """The cookies for the page that was opened with this code."""


def not_given(*_: object) -> NoReturn:
    """Raises `RuntimeError`: a dialect needs a function that the application did not give."""
    raise RuntimeError("this dialect needs log_out= or tokens=")


def check_arguments(function: Callable[..., object], name: str, *arguments: str) -> None:
    """Raises `Misconfigured` if a function of the application cannot be called like this.

    :param function: The function. Without a readable signature, it is not checked.
    :param name: Its name in qrlogin.
    :param arguments: What it is called with, by position.
    """
    try:
        signature(function, follow_wrapped=False).bind(*arguments)  # a decorator may add one
    except TypeError as error:
        if callable(function):
            called = f"{name}({', '.join(arguments)})"
            raise Misconfigured(f"{name} is called as {called}: {error}") from None
        raise Misconfigured(f"{name} must be a function") from None
    except ValueError:  # some functions that are written in C
        pass


def check_endpoint(endpoint: object, right: type, wrong: str) -> None:
    """Raises `Misconfigured` if an endpoint is not of the kind that this kind of server calls.

    :param endpoint: What the application gave.
    :param right: `Endpoint` or `AsyncEndpoint`.
    :param wrong: What to use in place of the other kind.
    """
    if not isinstance(endpoint, right):
        given = type(endpoint).__name__
        raise Misconfigured(f"this takes an {right.__name__}, not {given}: {wrong}")


def needs_csrf_token(request: Request, *, phone: bool) -> bool:
    """Whether the application's CSRF protection must be asked.

    It must be where a request acts with a user's authority: on the phone's routes and on redeem.
    A method that changes nothing does not act; among them is OPTIONS, because a preflight cannot
    carry a token. A request with a token in `Authorization` has no ambient authority: browsers add
    such a header only when a script of an allowed origin asks for it.
    """
    acts = request.method not in _SAFE and (phone or request.path.endswith("/redeem"))
    return acts and not has_token(request)


def needs_person(request: Request) -> bool:
    """Whether `person` must be asked. A preflight (OPTIONS) comes without credentials, so a
    `person` that refuses such a request would refuse every preflight.
    """
    return request.method != "OPTIONS"


def is_mapping_to_send(returned: object, *, also: str) -> TypeGuard[Mapping[str, object]]:
    """Whether `log_in` returned a mapping: False for None and for a bool, which mean nothing.

    Raises `TypeError` for anything else. `also` names the responses that the caller has handled.
    """
    if returned is None or isinstance(returned, bool):  # Flask-Login's login_user returns a bool
        return False
    if not isinstance(returned, Mapping):
        raise TypeError(
            f"log_in returned {type(returned).__name__}: return None, a mapping, or {also}"
        )
    return True


def granted_response(returned: object) -> Response:
    """What `log_in` returned to a plain WSGI or ASGI application, as a response.

    Raises `TypeError` for what is neither a response nor a mapping, None or a bool.
    """
    if isinstance(returned, Response):
        return returned
    if is_mapping_to_send(returned, also="a qrlogin.wire.Response"):
        return Response.json(200, returned)
    return Response(200)


def with_log_in(
    answer: Response, headers: Iterable[tuple[str, str]], body: bytes = b"", status: int = 200
) -> Response:
    """The answer to a redeem, with what the application's own response adds to it.

    JSON in the body becomes `session`, where the dialect has a place for it. A header that the
    answer has already is kept, for example `Cache-Control: no-store`. A response with an error
    status is sent in place of the answer, with those headers of the answer that do not describe its
    body: a page of another origin must be able to read it, and no cache may keep it.

    Raises `ValueError` for a redirect, which a script of the page could not follow for its user.

    :param answer: The answer of the dialect.
    :param headers: All headers of the application's response, its cookies included.
    :param body: The body of the application's response.
    :param status: The status of the application's response.
    """
    sent = [(name, value) for name, value in headers]
    if 300 <= status < 400:
        raise ValueError(
            f"log_in returned a redirect ({status}): return a mapping or a response with status "
            "200, and let the page go on by itself (the element's attribute `next`)"
        )
    if status >= 400:
        own = tuple(each for each in answer.headers if each[0].lower() not in _OF_THE_BODY)
        return Response(status, (*own, *_added(own, sent, _OF_THE_CONNECTION)), body)
    kind = "".join(value for name, value in sent if name.lower() == "content-type")
    if body and kind.partition(";")[0].strip().lower() == "application/json":
        answer = answer.with_session(json.loads(body))
    return replace(answer, headers=(*answer.headers, *extra_headers(answer.headers, sent)))


def extra_headers(
    own: Iterable[tuple[str, str]], added: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Those of the added headers that an answer with these headers of its own may carry, too."""
    return _added(own, added, _OF_THE_BODY)


def _added(
    own: Iterable[tuple[str, str]], added: Iterable[tuple[str, str]], without: Iterable[str]
) -> list[tuple[str, str]]:
    taken = {name.lower() for name, _ in own}.difference(_REPEATABLE).union(without)
    return [(name, value) for name, value in added if name.lower() not in taken]
