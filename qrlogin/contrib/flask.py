"""qrlogin in Flask: a blueprint with two routes, and an extension that reads `QRLOGIN_*` settings.

You write two functions: `person` returns who is signed in on the phone, `log_in` starts your own
session. Some dialects need two more: `log_out` ends a session, and `tokens` returns what an OAuth
client receives instead of a session.

`log_in` may return what a view may return. A mapping, or the JSON of a response, is `session` in
the answer to a redeem; the headers and cookies of a response are sent with that answer. So a JWT
cookie is set as in any view: `response = jsonify(name=...)`, `set_access_cookies(response, token)`,
`return response`.

If the application uses Flask-WTF, its token is asked for on the phone's routes and on redeem, and
never for a request with a token in `Authorization`.
"""

import atexit
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, current_app, make_response, request
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wrappers import Response as BaseResponse
from werkzeug.wsgi import ClosingIterator

from qrlogin import STANDARD, Misconfigured, QRLogin, Redeemed, wire
from qrlogin.contrib.shared import (
    CSRF_REFUSED,
    REFUSALS,
    WRONG_IN_WSGI,
    Lands,
    check_arguments,
    check_endpoint,
    is_mapping_to_send,
    needs_csrf_token,
    needs_person,
    not_given,
    with_log_in,
)
from qrlogin.contrib.wsgi import close_at_exit
from qrlogin.contrib.wsgi import read_request as read_environ
from qrlogin.errors import InvalidCsrfToken
from qrlogin.render import png
from qrlogin.stores import open_store
from qrlogin.wire.dialects.native_routes import MAX_WAIT
from qrlogin.wire.error_response import NO_STORE
from qrlogin.wire.message import BODY_CAP

__all__ = [
    "PhoneLogin",
    "close_at_exit",
    "finish_requests_at_exit",
    "qrlogin_blueprint",
    "set_landing_cookies",
]

LAST_ANSWERS_S: Final = 1.0


def qrlogin_blueprint(
    endpoint: wire.Endpoint,
    person: Callable[[], wire.Person | None],
    log_in: Callable[[Redeemed], Any],
    *,
    log_out: Callable[[], object] = not_given,
    tokens: Callable[[Redeemed], Mapping[str, object]] = not_given,
    protect: Callable[[], object] | None = None,
    name: str = "qrlogin",
) -> Blueprint:
    """The two routes of one dialect.

    :param endpoint: The dialect. Each needs a blueprint of its own.
    :param person: Returns who is signed in on the phone, or None.
    :param log_in: Starts your own session. What it returns is described above.
    :param log_out: Ends the session, for dialects that log out.
    :param tokens: Returns what an OAuth client gets in place of a session.
    :param protect: Checks the CSRF token of the current request. Default: Flask-WTF's, if the
        application uses it.
    :param name: The name of the blueprint; each needs another one.

    Raises `Misconfigured` for an `AsyncEndpoint`, and for a function that does not take what it
    gets.
    """
    check_endpoint(endpoint, wire.Endpoint, WRONG_IN_WSGI)
    check_arguments(person, "person")
    check_arguments(log_in, "log_in", "redeemed")
    blueprint = Blueprint(name, __name__)

    def exempt(extensions: Mapping[str, Any]) -> None:
        """Flask-WTF asks for no token here by itself. Below, `_csrf_refusal` decides it."""
        if csrf := extensions.get("csrf"):
            csrf.exempt(blueprint)

    # The application may set up Flask-WTF before this blueprint is registered, or after it.
    blueprint.record(lambda state: exempt(state.app.extensions))
    blueprint.before_app_request(lambda: exempt(current_app.extensions))

    def answer(asked: wire.Request, is_phone: bool) -> Response:
        try:
            if needs_csrf_token(asked, phone=is_phone) and (status := _csrf_refusal(protect)):
                refusal = endpoint.dialect.refuse(asked, InvalidCsrfToken(CSRF_REFUSED))
                return _to_flask(replace(refusal, status=status))
            if not is_phone:
                return send(endpoint.browser(asked))
            return send(endpoint.phone(asked, person() if needs_person(asked) else None))
        except REFUSALS as error:
            return _to_flask(endpoint.dialect.refuse(asked, error))

    def send(answer: wire.Response) -> Response:
        redeemed = answer.redeemed
        if redeemed and answer.tokens_wanted:
            answer = answer.with_json(tokens(redeemed))
        elif redeemed:
            returned = log_in(redeemed)
            if isinstance(returned, BaseResponse | tuple) or is_mapping_to_send(
                returned, also="a response, alone or in a tuple as in a view"
            ):
                granted = make_response(returned)
                status = granted.status_code
                answer = with_log_in(answer, granted.headers, granted.get_data(), status)
        if answer.log_out:
            log_out()
        return _to_flask(answer)

    @blueprint.route("/phone/<path:path>", methods=wire.METHODS)
    def phone(path: str) -> Response:
        return answer(read_request(path), is_phone=True)

    @blueprint.route("/<path:path>", methods=wire.METHODS)
    def browser(path: str) -> Response:
        return answer(read_request(path), is_phone=False)

    return blueprint


def read_request(path: str) -> wire.Request:
    """The current request in qrlogin's form. `path` is the part of its path below the mount.

    A short body stays readable for the application, and one that the application has read is found.
    """
    if "stream" not in request.__dict__:  # nothing has read the body yet
        return read_environ(request.environ, path)
    short = 0 < (request.content_length or 0) <= BODY_CAP
    try:
        body = (b"" if short else request.stream.read(BODY_CAP + 1)) or request.get_data()
    except ClientDisconnected:
        return wire.Request.from_wsgi(request.environ, path, body=b"")
    # Of a form that was parsed, Flask keeps only the fields.
    body = body or urlencode(list(request.form.items(multi=True))).encode()
    return wire.Request.from_wsgi(request.environ, path, body=body)


def set_landing_cookies(page: Any, endpoint: Lands, code: str) -> Response:
    """The page behind `verification_uri`, with the cookies of the code that it was opened with.

    Return it from the view, whether or not a user is signed in. By these cookies the phone can hand
    the code in later, for example after it has signed in. No cache may keep the page with its
    cookie, so it gets `Cache-Control: no-store`, unless it has a Cache-Control of its own.

    :param page: What the view would return.
    :param endpoint: The native dialect's: `current_app.extensions["qrlogin_endpoint"]`, if the
        extension made it.
    :param code: The part of the page's path after `verification_uri`.
    """
    response = make_response(page)
    for cookie in endpoint.landing_cookies(code):
        response.set_cookie(**asdict(cookie))
    response.headers.setdefault(*NO_STORE)
    return response


def _csrf_refusal(protect: Callable[[], object] | None) -> int:
    """The status for a request whose CSRF token is not valid, or 0 if it is valid.

    The answer is spelled by the dialect, because elements read it.
    """
    csrf = current_app.extensions.get("csrf")
    if protect is None and csrf and current_app.config.get("WTF_CSRF_ENABLED", True):
        protect = csrf.protect
    try:
        if protect:
            protect()
    except HTTPException as error:
        if error.code is None or error.code < 400:
            raise
        return error.code
    return 0


def _to_flask(answer: wire.Response) -> Response:
    # With b"" Flask would overwrite the Content-Length of an answer to HEAD.
    body: Any = (answer.body or ()) if answer.events is None else answer.events
    response = Response(body, answer.status, answer.headers)
    if not any(name.lower() == "content-type" for name, _ in answer.headers):
        response.headers.pop("Content-Type", None)  # Flask's default, which would describe no body
    for cookie in answer.cookies:
        response.headers.add("Set-Cookie", cookie.header())
    return response


class PhoneLogin:
    """The extension. It reads `QRLOGIN_ORIGIN`, `QRLOGIN_SECRET_KEYS`, `QRLOGIN_STORE` ("memory"),
    `QRLOGIN_MAX_WAITING` (8), `QRLOGIN_MAX_HOLD` (25 seconds), `QRLOGIN_ORIGINS` (a list),
    `QRLOGIN_POLICY`, `QRLOGIN_PROXIES` (0), `QRLOGIN_DESCRIBE`, `QRLOGIN_DRAW_PNG`,
    `QRLOGIN_JUDGE`, `QRLOGIN_PAUSED` and `QRLOGIN_ON_EVENT` from `app.config`. `QRLOGIN_ORIGINS`
    and `QRLOGIN_MAX_HOLD` are `origins` and `max_hold` of `Native`, `QRLOGIN_PROXIES` is `proxies`
    of `BrowserContext`, and `QRLOGIN_JUDGE` and `QRLOGIN_PAUSED` are `judge` and `paused` of
    `Endpoint`.

    :param person: Returns who is signed in on the phone, or None.
    :param log_in: Starts your own session.
    :param callbacks: `log_out`, `tokens` and `protect`, as `qrlogin_blueprint` takes them.
    """

    def __init__(
        self,
        person: Callable[[], wire.Person | None],
        log_in: Callable[[Redeemed], Any],
        **callbacks: Any,
    ) -> None:
        self.callbacks: dict[str, Any] = {"person": person, "log_in": log_in, **callbacks}

    def init_app(self, app: Flask) -> QRLogin:
        """Mount the native dialect at /qrlogin. Raises `Misconfigured`.

        Afterwards `app.extensions["qrlogin"]` is the `QRLogin` that it returns, and
        `app.extensions["qrlogin_endpoint"]` the endpoint of the native dialect.
        """
        try:
            store = open_store(app.config.get("QRLOGIN_STORE", "memory"))
        except Misconfigured as error:
            raise Misconfigured(f"QRLOGIN_STORE: {error}") from None
        origin, keys = app.config.get("QRLOGIN_ORIGIN"), app.config.get("QRLOGIN_SECRET_KEYS")
        if not origin or not isinstance(origin, str):
            raise Misconfigured(
                'app.config["QRLOGIN_ORIGIN"] must be what browsers call this site, '
                "such as https://example.com"
            )
        if not keys:
            raise Misconfigured(
                'app.config["QRLOGIN_SECRET_KEYS"] must be a list of keys, the signing one first. '
                "Make one with: python -m qrlogin keygen"
            )
        policy = app.config.get("QRLOGIN_POLICY", STANDARD)
        qr = QRLogin(
            store,
            secret_keys=keys,
            verification_uri=f"{origin.rstrip('/')}/qr",
            policy=policy,
            on_event=app.config.get("QRLOGIN_ON_EVENT"),
        )
        app.extensions["qrlogin"] = qr
        # All dialects share these slots, because they share the threads of the process.
        self.slots: wire.WaitSlots = wire.WaitSlots(app.config.get("QRLOGIN_MAX_WAITING", 8))
        codes, draw = policy.user_codes, app.config.get("QRLOGIN_DRAW_PNG", png)
        describe = app.config.get("QRLOGIN_DESCRIBE") or wire.BrowserContext(
            proxies=app.config.get("QRLOGIN_PROXIES", 0)
        )
        native = wire.Native(
            qr.core,
            user_codes=codes,
            origins=app.config.get("QRLOGIN_ORIGINS", ()),
            describe=describe,
            draw_png=draw,
            max_hold=app.config.get("QRLOGIN_MAX_HOLD", MAX_WAIT),
        )
        app.extensions["qrlogin_endpoint"] = self.mount(app, native, url_prefix="/qrlogin")
        return qr

    def mount(
        self, app: Flask, dialect: wire.Dialect, *, url_prefix: str, name: str = "qrlogin"
    ) -> wire.Endpoint:
        """Mount another dialect. Returns its endpoint.

        :param app: The application, after `init_app`.
        :param dialect: The dialect, over `core` of the `QRLogin` that `init_app` returned.
        :param url_prefix: The path of the mount.
        :param name: The name of its blueprint.
        """
        # All phones pass through a native dialect, and so through the judge.
        judge = app.config.get("QRLOGIN_JUDGE") if dialect.phone_routes else None
        endpoint = wire.Endpoint(
            app.extensions["qrlogin"],
            dialect,
            max_waiting=self.slots,
            judge=judge,
            paused=app.config.get("QRLOGIN_PAUSED"),
        )
        blueprint = qrlogin_blueprint(endpoint, **self.callbacks, name=name)
        app.register_blueprint(blueprint, url_prefix=url_prefix)
        return endpoint


# `flask run`


class _RequestCounter:
    """WSGI middleware that counts the requests in progress."""

    def __init__(self, application: Any) -> None:
        self._application, self._count, self._changed = application, 0, threading.Condition()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self._add(1)
        try:
            return ClosingIterator(
                self._application(environ, start_response), lambda: self._add(-1)
            )
        except BaseException:
            self._add(-1)
            raise

    def _add(self, number: int) -> None:
        with self._changed:
            self._count += number
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Returns when no request is in progress, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count, seconds)


def finish_requests_at_exit(app: Flask, *, seconds: float = LAST_ANSWERS_S) -> None:
    """Let `flask run` finish its last answers when it is stopped, for at most so many seconds.

    `flask run` exits at once on SIGTERM, because its threads are daemons. gunicorn needs none of
    this: it finishes its requests itself. Call it before `close_at_exit`: exit functions run in
    reverse order, and the held requests must be answered first.
    """
    counter = _RequestCounter(app.wsgi_app)
    app.wsgi_app = counter  # type: ignore[method-assign]
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # Without this, Python's last garbage collection takes a second. The system frees all memory.
    atexit.register(gc.freeze)
    atexit.register(counter.wait, seconds)
