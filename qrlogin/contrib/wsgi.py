"""qrlogin as a WSGI application, to mount in any framework or server that speaks WSGI.

    from qrlogin.contrib.wsgi import close_at_exit, qrlogin_app

    app = DispatcherMiddleware(app, {"/qrlogin": qrlogin_app(endpoint, person, log_in)})
    close_at_exit(qr)

A middleware that reads bodies replaces `wsgi.input`, as PEP 3333 expects, or puts the bytes into
`environ["qrlogin.body"]`.
"""

import atexit
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any, Final

from qrlogin.answers import Redeemed
from qrlogin.contrib.shared import (
    REFUSALS,
    WRONG_IN_WSGI,
    Lands,
    check_arguments,
    check_endpoint,
    granted_response,
    needs_csrf_token,
    needs_person,
    not_given,
    with_log_in,
)
from qrlogin.login import QRLogin
from qrlogin.wire.dialect import Person
from qrlogin.wire.endpoint import Endpoint
from qrlogin.wire.error_response import NO_STORE
from qrlogin.wire.message import BODY_CAP, Request, Response, StartResponse
from qrlogin.wire.shutdown import drain_on_signals

__all__ = ["close_at_exit", "landing_headers", "qrlogin_app"]

Environ = dict[str, Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
LogIn = Callable[[Environ, Redeemed], Response | Mapping[str, object] | bool | None]

_BODY: Final = "qrlogin.body"


def qrlogin_app(
    endpoint: Endpoint,
    person: Callable[[Environ], Person | None],
    log_in: LogIn,
    *,
    log_out: Callable[[Environ], object] = not_given,
    tokens: Callable[[Redeemed], Mapping[str, object]] = not_given,
    protect: Callable[[Environ], object] = lambda environ: None,
) -> Application:
    """Returns the WSGI application that answers every path below its mount.

    :param endpoint: The dialect that it speaks.
    :param person: Returns who is signed in on the phone that sent this environ, or None.
    :param log_in: Starts the application's own session for a `Redeemed`. It may return a mapping,
        which the browser gets as `session`, or a `qrlogin.wire.Response`, whose headers and cookies
        are sent, too.
    :param log_out: Ends the session, for dialects that log out. What it returns is ignored.
    :param tokens: Returns what an OAuth client gets in place of a session.
    :param protect: Checks the CSRF token of this environ, and raises `Forbidden` if it is wrong.

    Raises `Misconfigured` for an `AsyncEndpoint`, and for a `log_in` that does not take what it
    gets.
    """
    check_endpoint(endpoint, Endpoint, WRONG_IN_WSGI)
    check_arguments(log_in, "log_in", "environ", "redeemed")

    def respond(environ: Environ, answer: Response) -> Response:
        redeemed = answer.redeemed
        if redeemed and answer.tokens_wanted:
            answer = answer.with_json(tokens(redeemed))
        elif redeemed:
            granted = granted_response(log_in(environ, redeemed))
            answer = with_log_in(answer, granted.header_list(), granted.body, granted.status)
        if answer.log_out:
            log_out(environ)
        return answer

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "").removeprefix("/")
        below = path.removeprefix("phone/")
        request = read_request(environ, below)
        try:
            if needs_csrf_token(request, phone=below != path):
                protect(environ)
            if below != path:
                who = person(environ) if needs_person(request) else None
                answer = endpoint.phone(request, who)
            else:
                answer = endpoint.browser(request)
            answer = respond(environ, answer)
        except REFUSALS as error:
            answer = endpoint.dialect.refuse(request, error)
        return answer.to_wsgi(start_response)

    return app


def read_request(environ: Environ, path: str) -> Request:
    """The request below the mount.

    The body is found even if a middleware has read it: in `environ["qrlogin.body"]`, or in an input
    that can be read again from its start. A short body stays readable for what comes after.
    """
    if isinstance(body := environ.get(_BODY), bytes):
        return Request.from_wsgi(environ, path, body=body)
    source = environ["wsgi.input"]
    if hasattr(source, "seekable") and source.seekable():
        source.seek(0)
        request = Request.from_wsgi(environ, path)
        source.seek(0)
        return request
    request = Request.from_wsgi(environ, path)
    if 0 < len(request.body) <= BODY_CAP:
        environ["wsgi.input"] = BytesIO(request.body)
    return request


def landing_headers(endpoint: Lands, code: str) -> list[tuple[str, str]]:
    """The headers to add to the page behind `verification_uri` when it is opened with this code.

    They set the cookies by which this phone can hand the code in later, for example after it has
    signed in. Add them whether or not a user is signed in.

    No cache may keep the page with its cookie, so `Cache-Control: no-store` is one of them. Leave
    it out if your page has a Cache-Control of its own.
    """
    cookies = endpoint.landing_cookies(code)
    return [NO_STORE, *(("Set-Cookie", cookie.header()) for cookie in cookies)]


def close_at_exit(qr: QRLogin) -> None:
    """Answer all held requests on SIGTERM and SIGINT, and close the store when the process exits.

    Call it once, in the main thread of the process that serves. Raises `Misconfigured` in any other
    thread.
    """
    atexit.register(qr.close)
    drain_on_signals(qr)
