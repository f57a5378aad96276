"""A server with scripted phone routes, and pages with <qr-approve>, so that it is tested alone.

It misbehaves as `login_stub.Stub` does.
"""

import json
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from qrlogin.browser import MODULES, module
from tests.browser.login_stub import CSP, STYLE, Call, Fault, Reply, listening, problem

ELEMENT = "qr-approve-element.js"
PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>Approve</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css">{head}
<script type="module" src="{script}"></script></head><body><main>{body}</main></body></html>"""
CHILDREN = (
    '<p id="children"><a href="/login">Sign in here</a></p>'
    '<p slot="report">You may <a href="/report">report it</a>.</p>'
    '<p slot="end"><a href="/start">On we go</a></p>'
)
CODE = "a.scanned_code-of.a.login"
LOGIN_ID = "L" * 22
CONTEXT: dict[str, Any] = {
    "browser": "Firefox 140",
    "system": "Windows 11",
    "place": "Utrecht, Netherlands",
    "address": "203.0.113.7",
}
#: The state after each call. A look and an outcome change nothing.
AFTER = {"scan": "scanned", "confirm": "confirmed", "deny": "denied", "release": "pending"}


def outcome(state: str) -> Reply:
    """What the server answers about how the login ended."""
    return Reply(200, json.dumps({"login_id": LOGIN_ID, "state": state}).encode())


@dataclass
class ApproveStub:
    """`with ApproveStub() as stub`: listens on loopback until the block ends.

    Set the fields before the page opens.
    """

    attributes: str = 'src="/qrlogin/phone/" at="/qr" account="Alice" home="/start"'
    children: str = CHILDREN
    lang: str = "en"
    head: str = ""
    module: str = ""
    tag: str = "qr-approve"
    policy: str = CSP
    caching: str = "no-store"
    """The Cache-Control header of the page."""
    context: dict[str, Any] = field(default_factory=lambda: dict(CONTEXT))
    known_browser: Any = None
    """What a look answers about this account on that browser; None: nothing."""
    begun_ago: int = 12
    lifetime: int = 100
    match_digits: int = 0
    """How many digits its browser shows."""
    state: str = "pending"
    """The state of its only login."""
    login_id: str = LOGIN_ID
    faults: defaultdict[str, deque[Reply | Fault]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    always: dict[str, Reply | Fault] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    pages: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """The path and the headers of every request for a page."""
    port: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address that a camera reads."""
        return f"{self.origin}/qr/{CODE}"

    def kinds(self, *, reads: bool = True) -> list[str]:
        """The kind of every call. Without `reads`, only of those that change something."""
        kinds = [call.kind for call in self.calls]
        return [kind for kind in kinds if reads or kind in AFTER]

    def answer(self, call: Call) -> Reply:
        if call.kind != "outcome":
            if self.state in ("denied", "cancelled") and call.kind != "deny":
                return problem(409, self.state)
            if self.state == "expired":
                return problem(410, "expired")
            if self.state == "redeemed" and call.kind in ("deny", "release"):
                return problem(409, "already_redeemed")
            repeated = call.kind in ("scan", "confirm") and self.state in ("confirmed", "redeemed")
            self.state = self.state if repeated else AFTER.get(call.kind, self.state)
        body: dict[str, Any] = {"login_id": self.login_id, "state": self.state}
        if call.kind in ("look", "scan"):
            body |= {
                "context": self.context,
                "begun_ago": self.begun_ago,
                "expires_in": self.lifetime,
                **({} if self.known_browser is None else {"known_browser": self.known_browser}),
                **({"match_digits": self.match_digits} if self.match_digits else {}),
            }
        return Reply(200, json.dumps(body).encode())

    def __enter__(self) -> Self:
        handler = type("Bound", (Handler,), {"stub": self})
        self._server = listening(handler)
        self._server.daemon_threads = True
        self.port, self._over = self._server.server_port, threading.Event()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def silent(self) -> None:
        """Blocks, so that a request stays without an answer until the block ends."""
        self._over.wait(60)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: one connection per request, so that Chromium never resends a request by itself."""

    stub: ApproveStub

    def do_GET(self) -> None:
        stub, path = self.stub, urlsplit(self.path).path
        if (name := path.rpartition("/")[2]) in MODULES:
            return self._send(Reply(200, module(name), (("Content-Type", "text/javascript"),)))
        if path == "/style.css":
            return self._send(Reply(200, STYLE, (("Content-Type", "text/css"),)))
        if path == "/page.js":
            return self._send(
                Reply(200, stub.module.encode(), (("Content-Type", "text/javascript"),))
            )
        stub.pages.append((path, {name.lower(): value for name, value in self.headers.items()}))
        if path == "/frame":
            frame = f'<iframe title="inside" src="/qr/{CODE}" width="400" height="600"></iframe>'
            return self._page(f"<h1>A frame</h1>{frame}", CSP + "; frame-src 'self'")
        if path == "/qr" or path.startswith(("/qr/", "/prefix/qr")):
            return self._page(f"<{stub.tag} {stub.attributes}>{stub.children}</{stub.tag}>")
        return self._page(f'<h1>Elsewhere</h1><a href="/qr/{CODE}">Back to the code</a>')

    def _page(self, body: str, policy: str = "") -> None:
        script = "/page.js" if self.stub.module else f"/qrlogin/{ELEMENT}"
        text = PAGE.format(lang=self.stub.lang, head=self.stub.head, script=script, body=body)
        kind = ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", self.stub.caching)
        self._send(Reply(200, text.encode(), kind), policy)

    def do_POST(self) -> None:
        stub, kind = self.stub, urlsplit(self.path).path.removeprefix("/qrlogin/phone/")
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = Call(
            kind, {}, {name.lower(): value for name, value in self.headers.items()}, json.loads(raw)
        )
        fault = stub.faults[kind].popleft() if stub.faults[kind] else stub.always.get(kind)
        stub.calls.append(call)  # from now on a test may change the next answers
        if isinstance(fault, Reply):
            return self._send(fault)
        if fault is Fault.SILENT:
            stub.silent()
        if fault in (Fault.DROPPED, Fault.SILENT):
            return None
        reply = stub.answer(call)
        return None if fault is Fault.LOST else self._send(reply)

    def _send(self, reply: Reply, policy: str = "") -> None:
        try:
            self.send_response(reply.status)
            for name, value in (
                *reply.headers,
                ("Content-Security-Policy", policy or self.stub.policy),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
                ("Content-Length", str(len(reply.body))),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
        except ConnectionError:  # the page has aborted this request
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Logs nothing: `calls` has every request."""
