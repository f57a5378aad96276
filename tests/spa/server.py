"""The API of a single-page application: qrlogin, and one resource that takes the API's token.

It has no session and sets no cookie. `docs/single-page.md` shows the same in a few lines.
"""

import json
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from qrlogin import MemoryStore, QRLogin
from qrlogin.wire import Endpoint, Native, Person, Request, Response
from tests.servers import LOOPBACK

PHONES = {"Bearer phone-of-alice": Person("alice", name="alice@example.com", by_token=True)}
NAMES = {"alice": "Alice"}


@dataclass
class Api:
    """One API: where it is, and what it was asked."""

    origin: str
    page: str
    """The origin of the page that calls it."""
    tokens: dict[str, str] = field(default_factory=dict)
    """The subject, by access token."""
    of_login: dict[str, str] = field(default_factory=dict)
    """The access token, by login: a repeated redeem gets the same one."""
    requests: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    """Method, path and headers of every request."""

    def token(self, login_id: str, subject: str) -> str:
        token = self.of_login.setdefault(login_id, secrets.token_urlsafe(32))
        self.tokens[token] = subject
        return token


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Replaces the log of every request."""


@contextmanager
def served(port: int, page: str, verification_uri: str, origins: Sequence[str]) -> Iterator[Api]:
    """An API at this port of loopback. `origins` are those of `Native`."""
    api = Api(f"http://{LOOPBACK}:{port}", page)
    with QRLogin(
        MemoryStore(), secret_keys=[bytes(range(32))], verification_uri=verification_uri
    ) as qr:
        endpoint = Endpoint(qr, Native(qr.core, origins=origins), max_waiting=8)

        def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            request = Request.from_wsgi(environ, environ["PATH_INFO"])
            api.requests.append((request.method, request.path, dict(request.headers)))
            return answer(api, endpoint, request, environ).to_wsgi(start_response)

        server = make_server(LOOPBACK, port, app, threaded=True, request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield api
        finally:
            qr.drain()
            server.shutdown()
            server.server_close()


def answer(api: Api, endpoint: Endpoint, request: Request, environ: dict[str, Any]) -> Response:
    below, _, path = request.path.partition("/")
    if below == "qrlogin" and path.startswith("phone/"):
        asked = Request.from_wsgi(environ, path.removeprefix("phone/"), body=request.body)
        return endpoint.phone(asked, PHONES.get(environ.get("HTTP_AUTHORIZATION", "")))
    if below == "qrlogin":
        sent = endpoint.browser(Request.from_wsgi(environ, path, body=request.body))
        if sent.redeemed:
            token = api.token(sent.redeemed.login_id, sent.redeemed.subject)
            return sent.with_json({**json.loads(sent.body), "access_token": token})
        return sent
    # The application's own resource, and its own CORS.
    cors = (
        ("Access-Control-Allow-Origin", api.page),
        ("Access-Control-Allow-Headers", "authorization"),
        ("Vary", "Origin"),
    )
    if request.method == "OPTIONS":
        return Response(204, cors)
    subject = api.tokens.get(environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer "))
    status = 200 if subject else 401
    return Response.json(status, {"name": NAMES.get(subject or "", "")}).with_headers(*cors)
