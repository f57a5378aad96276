"""The rules that all modules of this package share. Nothing here knows a framework."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final, NoReturn, Protocol

from qrlogin.errors import BadRequest, LoginError, Unavailable
from qrlogin.wire.message import Cookie, Request, Response
from qrlogin.wire.validation import has_token

REFUSALS: Final = (LoginError, Unavailable, BadRequest)
"""What a callback of the application may raise to refuse a request in the dialect's words."""

CSRF_REFUSED: Final = "the CSRF token is missing, wrong or old: load the page again"
"""The description of the error that a request without a valid CSRF token gets."""

#: They describe the body of the application's response, and that body is not sent.
_OF_THE_BODY: Final = (
    *("content-length", "content-type", "content-encoding", "content-disposition"),
    *("transfer-encoding", "etag", "last-modified", "connection"),
)
#: These may be in a response several times.
_REPEATABLE: Final = ("set-cookie", "vary", "link", "server-timing")


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


def needs_csrf_token(request: Request, *, phone: bool) -> bool:
    """Whether the application's CSRF protection must be asked.

    It must be where a request acts with a user's authority: on the phone's routes and on redeem.
    A request with a token in `Authorization` has no ambient authority: browsers add such a header
    only when a script of an allowed origin asks for it.
    """
    return (phone or request.path.endswith("/redeem")) and not has_token(request)


def with_log_in(
    answer: Response, headers: Iterable[tuple[str, str]], body: bytes = b""
) -> Response:
    """The answer to a redeem, with what the application's own response adds to it.

    JSON in the body becomes `session`, where the dialect has a place for it. A header that the
    answer has already is kept, for example `Cache-Control: no-store`.

    :param answer: The answer of the dialect.
    :param headers: All headers of the application's response, its cookies included.
    :param body: The body of the application's response.
    """
    sent = [(name, value) for name, value in headers]
    kind = "".join(value for name, value in sent if name.lower() == "content-type")
    if body and kind.partition(";")[0].strip().lower() == "application/json":
        answer = answer.with_session(json.loads(body))
    return replace(answer, headers=(*answer.headers, *extra_headers(answer.headers, sent)))


def extra_headers(
    own: Iterable[tuple[str, str]], added: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Those of the added headers that an answer with these headers of its own may carry, too."""
    taken = {name.lower() for name, _ in own}.difference(_REPEATABLE).union(_OF_THE_BODY)
    return [(name, value) for name, value in added if name.lower() not in taken]


async def call(function: Callable[..., Any], *arguments: object) -> Any:
    """What an async function returns. A plain function may block, so it runs in a thread."""
    if iscoroutinefunction(function):
        return await function(*arguments)
    returned = await asyncio.to_thread(function, *arguments)
    return await returned if isawaitable(returned) else returned
