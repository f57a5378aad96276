"""qrlogin in Flask: a blueprint with two routes.

`person` says who is signed in on the phone, without touching the request's body; `log_in` starts your own session. Some dialects
ask for more: `log_out` ends a session, `tokens` are what an OAuth client gets in place of one.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import NoReturn

from flask import Blueprint, Response, request

from qrlogin import Redeemed
from qrlogin.wire import METHODS, Endpoint, Person, Request
from qrlogin.wire import Response as Answer


def missing(*_: object) -> NoReturn:
    raise RuntimeError("this dialect needs log_out= or tokens=")


def qrlogin_blueprint(
    endpoint: Endpoint,
    person: Callable[[], Person | None],
    log_in: Callable[[Redeemed], None],
    *,
    log_out: Callable[[], None] = missing,
    tokens: Callable[[Redeemed], Mapping[str, object]] = missing,
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
        response = Response(answer.body, answer.status, answer.headers)
        for cookie in answer.cookies:
            response.set_cookie(**asdict(cookie))
        return response

    @blueprint.route("/phone/<path:path>", methods=METHODS)
    def phone(path: str) -> Response:
        return send(endpoint.phone(Request.from_wsgi(request.environ, path), person()))

    @blueprint.route("/<path:path>", methods=METHODS)
    def browser(path: str) -> Response:
        return send(endpoint.browser(Request.from_wsgi(request.environ, path)))

    return blueprint
