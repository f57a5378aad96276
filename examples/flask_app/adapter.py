"""qrlogin in Flask: a blueprint with two routes, and an extension that reads `QRLOGIN_*` settings.

You write two functions: `person` returns who is signed in on the phone, `log_in` starts your own
session. Some dialects need two more: `log_out` ends a session, and `tokens` returns what an OAuth
client receives instead of a session.
"""

import atexit
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, NoReturn
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import ClientDisconnected

from qrlogin import STANDARD, Misconfigured, QRLogin, Redeemed, wire
from qrlogin.render import png
from qrlogin.stores import open_store
from qrlogin.wire.message import BODY_CAP


def not_given(*_: object) -> NoReturn:
    raise RuntimeError("this dialect needs log_out= or tokens=")


def read_request(path: str) -> wire.Request:
    """The request in qrlogin's form. A short body stays readable for the application."""
    short = 0 < (request.content_length or 0) <= BODY_CAP
    if not short and "stream" not in request.__dict__:  # nothing has read the body yet
        return wire.Request.from_wsgi(request.environ, path)
    try:
        body = (b"" if short else request.stream.read(BODY_CAP + 1)) or request.get_data()
    except ClientDisconnected:
        return wire.Request.from_wsgi(request.environ, path, body=b"")
    # Of a form that was parsed, Flask keeps only the fields.
    body = body or urlencode(list(request.form.items(multi=True))).encode()
    return wire.Request.from_wsgi(request.environ, path, body=body)


def qrlogin_blueprint(
    endpoint: wire.Endpoint,
    person: Callable[[], wire.Person | None],
    log_in: Callable[[Redeemed], None],
    *,
    log_out: Callable[[], None] = not_given,
    tokens: Callable[[Redeemed], Mapping[str, object]] = not_given,
    protect: Callable[[], None] = lambda: None,
    name: str = "qrlogin",
) -> Blueprint:
    """The two routes of one dialect. `protect` checks the CSRF token of the current request."""
    blueprint = Blueprint(name, __name__)

    def send(answer: wire.Response) -> Response:
        if answer.redeemed and answer.tokens_wanted:
            answer = answer.with_json(tokens(answer.redeemed))
        elif answer.redeemed:
            log_in(answer.redeemed)
        if answer.log_out:
            log_out()
        # With b"" Flask would overwrite the Content-Length of an answer to HEAD.
        body: Any = (answer.body or ()) if answer.events is None else answer.events
        response = Response(body, answer.status, answer.headers)
        for cookie in answer.cookies:
            response.set_cookie(**asdict(cookie))
        return response

    @blueprint.route("/phone/<path:path>", methods=wire.METHODS)
    def phone(path: str) -> Response:
        protect()
        return send(endpoint.phone(read_request(path), person()))

    @blueprint.route("/<path:path>", methods=wire.METHODS)
    def browser(path: str) -> Response:
        if path.endswith("/redeem"):  # only this route acts with the user's authority
            protect()
        return send(endpoint.browser(read_request(path)))

    return blueprint


def close_at_exit(qr: QRLogin) -> None:
    """Answer all held requests on SIGTERM and SIGINT, and close the store when the process exits.

    Call it once, in the main thread of the process that serves.
    """
    wire.drain_on_signals(qr)
    atexit.register(qr.close)


class PhoneLogin:
    """The extension. If the application uses Flask-WTF, set up `CSRFProtect` first."""

    def __init__(
        self,
        person: Callable[[], wire.Person | None],
        log_in: Callable[[Redeemed], None],
        **callbacks: Any,
    ) -> None:
        self.callbacks = {"person": person, "log_in": log_in, **callbacks}

    def init_app(self, app: Flask) -> QRLogin:
        """Mount the native dialect at /qrlogin. Raises `Misconfigured`."""
        try:
            store = open_store(app.config.get("QRLOGIN_STORE", "memory"))
        except Misconfigured as error:
            raise Misconfigured(f"QRLOGIN_STORE: {error}") from None
        origin, keys = app.config["QRLOGIN_ORIGIN"], app.config["QRLOGIN_SECRET_KEYS"]
        policy = app.config.get("QRLOGIN_POLICY", STANDARD)
        qr = QRLogin(store, secret_keys=keys, verification_uri=f"{origin}/qr", policy=policy)
        app.extensions["qrlogin"] = qr
        # All dialects share these slots, because they share the threads of the process.
        self.slots = wire.WaitSlots(app.config.get("QRLOGIN_MAX_WAITING", 8))
        codes, draw = policy.user_codes, app.config.get("QRLOGIN_DRAW_PNG", png)
        describe = wire.BrowserContext()
        native = wire.Native(qr.core, user_codes=codes, describe=describe, draw_png=draw)
        self.mount(app, native, url_prefix="/qrlogin")
        return qr

    def mount(
        self, app: Flask, dialect: wire.Dialect, *, url_prefix: str, name: str = "qrlogin"
    ) -> None:
        endpoint = wire.Endpoint(app.extensions["qrlogin"], dialect, max_waiting=self.slots)
        guarded = {"protect": csrf.protect} if (csrf := app.extensions.get("csrf")) else {}
        blueprint = qrlogin_blueprint(endpoint, **self.callbacks, **guarded, name=name)
        app.register_blueprint(csrf.exempt(blueprint) if csrf else blueprint, url_prefix=url_prefix)
