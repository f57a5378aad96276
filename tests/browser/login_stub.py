"""A scripted server with the native routes, so that the element is tested alone.

It uses only the modules of the elements from qrlogin. It keeps one state per login, which a test
changes with `move`, answers as the native dialect does, records every call, and misbehaves on
request: `faults` holds, for each kind of call, what the next calls get instead of an answer.
"""

import contextlib
import errno
import hashlib
import json
import math
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import segno

from qrlogin.browser import ELEMENT, MODULES, module, texts
from tests.browser.streaming import stream
from tests.servers import LOOPBACK, free_port

CSP = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
STYLE = b"""
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, "DejaVu Sans", sans-serif }
body { margin: 0; background: light-dark(#eef2f0, #0d1312); color: light-dark(#17211f, #eef4f2) }
main { display: grid; place-content: safe center; min-block-size: 100vh; padding: .5rem;
  box-sizing: border-box; grid-template-columns: minmax(0, 22rem) }
h1 { font-size: 1.25rem; text-align: center } a { color: inherit }
"""
PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css"><script type="module" src="{script}"></script></head>
<body><main><h1>{title}</h1>{body}</main></body></html>"""
LIVE = ("pending", "scanned", "confirmed")
FALLBACK = '<a id="password" href="/password">Log in with a password</a>'


class Fault(Enum):
    """Ways to give no answer."""

    DROPPED = "closes the connection and does nothing"
    LOST = "does what was asked, then closes the connection"
    SILENT = "keeps the connection open and sends nothing"
    MUTE = "opens the stream and sends no message"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server sends instead of the right answer."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


def problem(status: int, error: str, **more: Any) -> Reply:
    """An error in the native spelling."""
    body = {"error": error, "error_description": f"<b>{error}</b>", **more}
    headers = [("Content-Type", "application/json")]
    if "retry_after" in more:
        headers.append(("Retry-After", str(more["retry_after"])))
    return Reply(status, json.dumps(body).encode(), tuple(headers))


def html(status: int = 200) -> Reply:
    """An answer in HTML, as from a proxy or a framework."""
    return Reply(status, b"<!doctype html><h1>Sorry</h1>", (("Content-Type", "text/html"),))


@dataclass(frozen=True, slots=True)
class Call:
    """One request that arrived."""

    kind: str
    """begin, status, events, socket, redeem or cancel."""
    query: dict[str, str]
    headers: dict[str, str]
    """By name in lower case."""
    body: Any


@dataclass(slots=True)
class Login:
    login_id: str
    device_code: str
    begun: float
    deadline: float
    state: str = "pending"
    version: int = 1
    shown_as: str = ""
    name: str = ""
    tag: str = ""
    op: str = ""


@dataclass
class Stub:
    """`with Stub() as stub`: listens on loopback until the block ends.

    Set the fields before the page opens.
    """

    attributes: str = 'src="/qrlogin/"'
    around: str = ""
    fallback: str = FALLBACK
    lang: str = "en"
    module: str = ""
    """The page's own script, which imports the element. Without it, the page loads the element."""
    lifetime: int = 120
    """Seconds until a login expires."""
    shown: float = 0
    """Seconds for which a login's codes may be shown. 0: as a server that does not say so."""
    rotation: float = 25
    """Seconds until the next code."""
    hold: float = 25
    """Seconds for which a poll is held at most."""
    cut: float = 0
    """Seconds after which a proxy ends a held poll with a 504. 0: never."""
    worker: str = ""
    """The source of a service worker, at /worker.js."""
    extra: dict[str, Any] = field(default_factory=dict)
    """More fields for every answer, or other values of its fields."""
    faults: defaultdict[str, deque[Reply | Fault]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    always: dict[str, Reply | Fault] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    """The paths of all other requests."""
    logins: dict[str, Login] = field(default_factory=dict)
    sessions: list[str] = field(default_factory=list)
    ended: int = 0
    """How often `end_streams` was called."""
    port: int = 0

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def login(self) -> Login:
        """The newest login."""
        return list(self.logins.values())[-1]

    def word(self, key: str) -> str:
        """A text of the element, in the page's language."""
        return texts(self.lang)["login"][key]

    def kinds(self) -> list[str]:
        return [call.kind for call in self.calls]

    def count(self, kind: str) -> int:
        return self.kinds().count(kind)

    def move(
        self,
        state: str,
        shown_as: str = "M•••a",
        tag: str = "tag-of-mina",
        login: Login | None = None,
        name: str = "",
    ) -> None:
        """Changes the state of a login, as the phone or the clock would. Default: the newest."""
        with self.changed:
            login = login or self.login
            login.state, login.shown_as, login.tag, login.name = state, shown_as, tag, name
            login.version += 1
            if state == "confirmed":
                login.deadline = time.monotonic() + 40
            self.changed.notify_all()

    def end_streams(self) -> None:
        """Ends all open streams, as a server does when their time is over."""
        with self.changed:
            self.ended += 1
            self.changed.notify_all()

    def start(self) -> None:
        """Listens. After a `stop`, on the same port."""
        handler = type("Bound", (Handler,), {"stub": self})
        server = listening(handler, self.port)
        server.daemon_threads = True
        self._server, self.port = server, server.server_port
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stops listening and drops the held requests."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            with self.changed:
                self.changed.notify_all()
            server.server_close()

    @property
    def alive(self) -> bool:
        return self._server is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # The routes

    def begin(self, _call: Call, _login: Login | None) -> Reply:
        now = time.monotonic()
        login = Login(secrets.token_urlsafe(16), secrets.token_hex(16), now, now + self.lifetime)
        self.logins[login.login_id] = login
        cookie = f"qrl-{login.login_id[:8]}={login.device_code}; Path=/; HttpOnly; SameSite=Lax"
        return self.answer(login, 201, f"{cookie}; Max-Age=150", verification_uri=f"{self.url}qr")

    def status(self, call: Call, login: Login | None) -> Reply:
        if login is None:
            return problem(404, "unknown_login")
        wait = min(float(call.query.get("wait", 0)), self.hold, login.deadline - time.monotonic())
        if login.state == "pending":
            wait = min(wait, self._rotation(login)[1])
            if (left := self._left(login)) > 0:
                wait = min(wait, left)
        cut = 0 < self.cut < wait
        give_up = time.monotonic() + (self.cut if cut else wait)
        with self.changed:
            while (
                (left := give_up - time.monotonic()) > 0
                and str(login.version) == call.query.get("after")
                and self.alive
            ):
                self.changed.wait(left)
            if cut and str(login.version) == call.query.get("after"):
                return html(504)
        echo: dict[str, Any] = {key: call.query[key] for key in ("echo",) if key in call.query}
        shown = call.headers.get("accept", "").partition("; picture=")[2]
        return self.answer(login, shown=shown, **echo)

    def cancel(self, _call: Call, login: Login | None) -> Reply:
        if login is None:
            return problem(404, "unknown_login")
        login.state = "cancelled"
        return self.answer(login)

    def redeem(self, call: Call, login: Login | None) -> Reply:
        if login is None:
            return problem(404, "unknown_login")
        if login.state == "redeemed" and call.body["op"] != login.op:
            return problem(409, "already_redeemed")
        if login.state not in ("confirmed", "redeemed"):
            return problem(409, "wrong_state")
        if call.body["acknowledged"] != login.tag:
            return problem(409, "scanner_changed")
        if login.state == "confirmed":
            self.sessions.append(secrets.token_hex(8))
        login.state, login.op = "redeemed", call.body["op"]
        return self.answer(
            login, 200, f"session={self.sessions[-1]}; Path=/; HttpOnly; SameSite=Lax"
        )

    def _left(self, login: Login) -> float:
        """The seconds for which the login's codes may still be shown."""
        return login.begun + self.shown - time.monotonic() if self.shown else 0

    def _rotation(self, login: Login) -> tuple[int, float]:
        """How many codes the login had before, and the seconds until the next one."""
        past, into = divmod(time.monotonic() - login.begun, self.rotation)
        return int(past), self.rotation - into

    def answer(
        self, login: Login, status: int = 200, cookie: str = "", *, shown: str = "", **more: Any
    ) -> Reply:
        with self.changed:  # state and version must be from the same moment
            body: dict[str, Any] = {
                "login_id": login.login_id,
                "state": login.state,
                "version": login.version,
                **more,
            }
            left = login.deadline - time.monotonic()
        if left <= 0 and body["state"] in LIVE:
            return problem(410, "expired")
        if body["state"] in LIVE:
            body["expires_in"] = int(left) + 1
        if body["state"] in ("scanned", "confirmed"):
            body["scanned_by"] = {"shown_as": login.shown_as, "tag": login.tag}
            body["scanned_by"] |= {"name": login.name} if login.name else {}
        if body["state"] == "pending" and self.shown:
            body["code_expires_in"] = math.ceil(self._left(login))
        if body["state"] == "pending" and body.get("code_expires_in", 1) > 0:
            past, rotates_in = self._rotation(login)
            uri = f"{self.url}qr/{login.login_id}.{past}"
            body |= {"rotates_in": rotates_in, "verification_uri_complete": uri, "qr": picture(uri)}
            if body["qr"]["id"] == shown:
                del body["qr"]
        else:
            body.pop("code_expires_in", None)
        headers = [
            ("Content-Type", "application/json"),
            *([("Set-Cookie", cookie)] if cookie else []),
        ]
        return Reply(status, json.dumps(body | self.extra).encode(), tuple(headers))


def listening(handler: type[BaseHTTPRequestHandler], port: int = 0) -> ThreadingHTTPServer:
    """A server on this port. Without one, on a free port: it tries again if the port is taken."""
    while True:
        try:
            return ThreadingHTTPServer((LOOPBACK, port or free_port()), handler)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise


def picture(text: str) -> dict[str, Any]:
    """The code as {size, path, id}: dark modules as one path, and a quiet zone of 4 modules."""
    rows = [bytes(row) for row in segno.make(text, micro=False).matrix]
    path = "".join(
        f"M{x + 4} {y + 4}h1v1h-1z"
        for y, row in enumerate(rows)
        for x, dark in enumerate(row)
        if dark
    )
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    return {"size": len(rows) + 8, "path": path, "id": name}


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: one connection per request, so that Chromium never resends a request by itself."""

    stub: Stub

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/qrlogin/") and not path.endswith(".js"):
            last = path.rsplit("/", 1)[1]
            return self._wire(last if last in ("events", "socket") else "status")
        return self._send(self._page(path))

    def do_POST(self) -> None:
        self._wire(urlsplit(self.path).path.rsplit("/", 1)[1])

    def _wire(self, kind: str) -> None:
        stub, url = self.stub, urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(kind, query, headers, json.loads(raw) if raw else None)
        fault = stub.faults[kind].popleft() if stub.faults[kind] else stub.always.get(kind)
        stub.calls.append(call)  # from now on a test may change the next answers
        if isinstance(fault, Reply):
            return self._send(fault)
        if fault is Fault.SILENT:
            with stub.changed:
                stub.changed.wait_for(lambda: not stub.alive, 60)
        if fault in (Fault.DROPPED, Fault.SILENT):
            return None
        answers: dict[str, Callable[[Call, Login | None], Reply]] = {
            "begin": stub.begin, "status": stub.status, "redeem": stub.redeem, "cancel": stub.cancel
        }  # fmt: skip
        login = stub.logins.get(url.path.split("/")[2])
        cookies = SimpleCookie(self.headers.get("Cookie", "")).values()
        if login and login.device_code not in [cookie.value for cookie in cookies]:
            login = None  # the answer for an unknown login and for another browser is the same
        if kind in ("events", "socket") and login:
            return self._stream(kind, call, login, mute=fault is Fault.MUTE)
        reply = answers[kind](call, login) if kind in answers else problem(404, "unknown_login")
        return None if fault is Fault.LOST or not stub.alive else self._send(reply)

    def _stream(self, kind: str, call: Call, login: Login, *, mute: bool) -> None:
        stub = self.stub
        self.close_connection, ended = True, stub.ended

        def rest(seconds: float) -> bool:
            with stub.changed:
                stub.changed.wait(seconds)
            return stub.alive and stub.ended == ended

        after = call.headers.get("last-event-id") or call.query.get("after", "")
        shown = call.query.get("picture", "")
        with contextlib.suppress(ConnectionError):  # the page has closed the stream
            stream(
                self,
                kind,
                after,
                look=lambda: stub.answer(login, shown=shown).body,
                rest=rest,
                mute=mute,
            )

    def _page(self, path: str) -> Reply:
        stub = self.stub
        stub.pages.append(path)
        if (name := path.rpartition("/")[2]) in MODULES:
            return Reply(200, module(name), (("Content-Type", "text/javascript"),))
        if path == "/page.js":
            return Reply(200, stub.module.encode(), (("Content-Type", "text/javascript"),))
        if path == "/worker.js":
            return Reply(200, stub.worker.encode(), (("Content-Type", "text/javascript"),))
        if path == "/style.css":
            return Reply(200, STYLE, (("Content-Type", "text/css"),))
        session = SimpleCookie(self.headers.get("Cookie", "")).get("session")
        inside = session is not None and session.value in stub.sessions
        if path == "/":
            body = f"{stub.around}<qr-login {stub.attributes}>{stub.fallback}</qr-login>"
            title = "Log in"
            if inside:
                body, title = '<p id="in">You are in.</p>', "Welcome"
        elif path == "/account":
            body, title = f'<p id="in">{"You are in." if inside else "Who are you?"}</p>', "Account"
        else:
            return Reply(404, b"", ())
        text = PAGE.format(
            lang=stub.lang,
            title=title,
            body=body,
            script="/page.js" if stub.module else f"/qrlogin/{ELEMENT}",
        )
        return Reply(200, text.encode(), (("Content-Type", "text/html; charset=utf-8"),))

    def _send(self, reply: Reply) -> None:
        try:
            self.send_response(reply.status)
            # Trusted Types would ask for a policy before the page may start a worker.
            csp = CSP.partition("; require-trusted")[0] if self.stub.worker else CSP
            policy = (
                ("Content-Security-Policy", csp),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
            )
            for name, value in (*reply.headers, *policy, ("Content-Length", str(len(reply.body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
        except ConnectionError:  # the page has aborted this request
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Logs nothing: `calls` has every request."""
