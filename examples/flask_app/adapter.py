"""qrlogin in Flask: a blueprint with two routes over an endpoint, and an extension that sets it up from `QRLOGIN_*`.

`person` says who is signed in on the phone; `log_in` starts your own session. Some dialects
ask for more: `log_out` ends a session, `tokens` are what an OAuth client gets in place of one.
"""

import atexit
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, NoReturn
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import ClientDisconnected

from qrlogin import STANDARD, Misconfigured, QRLogin, Redeemed
from qrlogin.render import png
from qrlogin.stores import open_store
from qrlogin.wire import (
    METHODS,
    BrowserContext,
    Dialect,
    Endpoint,
    Native,
    Person,
    Request,
    WaitSlots,
    drain_on_signals,
)
from qrlogin.wire import Response as Answer
from qrlogin.wire.message import BODY_CAP


def missing(*_: object) -> NoReturn:
    raise RuntimeError("this dialect needs log_out= or tokens=")


def asked(path: str) -> Request:
    """The request as qrlogin reads it. Flask keeps a short body: the application may read it, too."""
    short = 0 < (request.content_length or 0) <= BODY_CAP
    if not short and "stream" not in request.__dict__:  # nothing has read it yet
        return Request.from_wsgi(request.environ, path)
    try:
        body = (b"" if short else request.stream.read(BODY_CAP + 1)) or request.get_data()
    except ClientDisconnected:
        return Request.from_wsgi(request.environ, path, body=b"")
    # Of a form that was parsed, Flask keeps only the fields.
    return Request.from_wsgi(
        request.environ, path, body=body or urlencode(list(request.form.items(multi=True))).encode()
    )


def qrlogin_blueprint(
    endpoint: Endpoint,
    person: Callable[[], Person | None],
    log_in: Callable[[Redeemed], None],
    *,
    log_out: Callable[[], None] = missing,
    tokens: Callable[[Redeemed], Mapping[str, object]] = missing,
    protect: Callable[[], None] = lambda: None,
    name: str = "qrlogin",
) -> Blueprint:
    blueprint = Blueprint(name, __name__)

    def send(answer: Answer) -> Response:
        if answer.redeemed and answer.tokens_wanted:
            answer = answer.with_json(tokens(answer.redeemed))
        elif answer.redeemed:
            log_in(answer.redeemed)
        if answer.log_out:
            log_out()
        body: Any = answer.body if answer.events is None else answer.events
        response = Response(body, answer.status, answer.headers)
        for cookie in answer.cookies:
            response.set_cookie(**asdict(cookie))
        return response

    @blueprint.route("/phone/<path:path>", methods=METHODS)
    def phone(path: str) -> Response:
        protect()
        return send(endpoint.phone(asked(path), person()))

    @blueprint.route("/<path:path>", methods=METHODS)
    def browser(path: str) -> Response:
        if path.endswith(
            "/redeem"
        ):  # the rest has no need of it: it begins, looks or gives up, in nobody's name
            protect()
        return send(endpoint.browser(asked(path)))

    return blueprint


def stop_politely(qr: QRLogin) -> None:
    """Call it once, in the main thread of the process that serves: told to stop, it ends all waits first, and its store last."""
    drain_on_signals(qr)
    atexit.register(qr.close)


class PhoneLogin:
    """The extension. Flask-WTF, if the application has it, guards what acts in somebody's name; set it up before this."""

    def __init__(
        self,
        person: Callable[[], Person | None],
        log_in: Callable[[Redeemed], None],
        **callbacks: Any,
    ) -> None:
        self.callbacks = {"person": person, "log_in": log_in, **callbacks}

    def init_app(self, app: Flask) -> QRLogin:
        try:
            store = open_store(app.config.get("QRLOGIN_STORE", "memory"))
        except Misconfigured as error:
            raise Misconfigured(f"QRLOGIN_STORE: {error}") from None
        origin, keys = app.config["QRLOGIN_ORIGIN"], app.config["QRLOGIN_SECRET_KEYS"]
        policy, draw = (
            app.config.get("QRLOGIN_POLICY", STANDARD),
            app.config.get("QRLOGIN_DRAW_PNG", png),
        )
        qr = QRLogin(store, secret_keys=keys, verification_uri=f"{origin}/qr", policy=policy)
        native = Native(
            qr.core, user_codes=policy.user_codes, describe=BrowserContext(), draw_png=draw
        )
        app.extensions["qrlogin"] = qr
        self.places = WaitSlots(
            app.config.get("QRLOGIN_MAX_WAITING", 8)
        )  # shared by all that is mounted
        self.mount(app, native, url_prefix="/qrlogin")
        return qr

    def mount(
        self, app: Flask, dialect: Dialect, *, url_prefix: str, name: str = "qrlogin"
    ) -> None:
        endpoint = Endpoint(app.extensions["qrlogin"], dialect, max_waiting=self.places)
        guarded = {"protect": csrf.protect} if (csrf := app.extensions.get("csrf")) else {}
        blueprint = qrlogin_blueprint(endpoint, **self.callbacks, **guarded, name=name)
        app.register_blueprint(csrf.exempt(blueprint) if csrf else blueprint, url_prefix=url_prefix)
