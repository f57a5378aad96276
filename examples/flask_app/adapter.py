"""qrlogin in Flask: a blueprint with two routes.

`person` says who is signed in on the phone, without touching the request's body; `log_in` starts your own session, and `log_out`
ends it, for dialects that can ask for that.
"""

from collections.abc import Callable
from dataclasses import asdict

from flask import Blueprint, Response, request

from qrlogin import Redeemed
from qrlogin.wire import METHODS, Endpoint, Person, Request
from qrlogin.wire import Response as Answer


def qrlogin_blueprint(
    endpoint: Endpoint,
    person: Callable[[], Person | None],
    log_in: Callable[[Redeemed], None],
    log_out: Callable[[], None] | None = None,
) -> Blueprint:
    blueprint = Blueprint("qrlogin", __name__)

    def send(answer: Answer) -> Response:
        if answer.redeemed:
            log_in(answer.redeemed)
        if answer.log_out and log_out:
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
