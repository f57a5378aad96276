"""HTTP as values: what came in, what goes out. WSGI and ASGI are read and written here and nowhere else.

No decision is taken here, and nothing is refused: a body is read up to one byte beyond the cap, so that whoever decides can
see that it was too long. This module knows no login.
"""

import json
import re
import select
import socket
import ssl
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, Self

from qrlogin.answers import Redeemed

BODY_CAP: Final = 4096  # bytes; no request of any dialect comes near it
#: For adapters whose framework wants a list: every method must reach us, so that a wrong one is told which are right.
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

#: Where servers put the connection of a request. The last is for whoever writes a server and wants waits to notice who left.
_SOCKETS: Final = ("werkzeug.socket", "gunicorn.socket", "qrlogin.socket")
_HUNG_UP: Final = getattr(
    select, "POLLRDHUP", 0
)  # Linux; elsewhere an end behind bytes that nobody has read is not seen

_LENGTH: Final = re.compile(r"[0-9]+")
_PHRASES: Final = {each.value: each.phrase for each in HTTPStatus} | {499: "Client Closed Request"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path` is what follows the mount, without a slash in front; header names are lower case."""

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)  # cut off one byte after BODY_CAP
    client: str | None = None  # the peer of the socket; no header is trusted
    wait_disconnect: Callable[[], Awaitable[None]] | None = field(
        default=None, repr=False, compare=False
    )  # returns when the browser left
    is_disconnected: Callable[[], bool] | None = field(
        default=None, repr=False, compare=False
    )  # whether it has left; WSGI, where known

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header, by its lower-case name."""
        return tuple(value for key, value in self.headers if key == name)

    def cookies(self) -> list[tuple[str, str]]:
        """Names and values as sent (RFC 6265 section 4.2.1); HTTP/2 may split them over several headers."""
        crumbs = (crumb.partition("=") for line in self.all("cookie") for crumb in line.split(";"))
        return [(name.strip(), value.strip()) for name, _, value in crumbs]

    @classmethod
    def from_wsgi(cls, environ: Mapping[str, Any], path: str, *, body: bytes | None = None) -> Self:
        """Read a PEP 3333 environ; `path` is the part below the mount.

        If your framework has read the body already, hand it over as `body`: it can be read only once.

        WSGI has no word for a browser that left. Where the server shows its connection (werkzeug, gunicorn) or tells (waitress),
        `is_disconnected` asks it; elsewhere a wait goes on to its end, though nobody hears the answer.
        """
        headers = [
            (key[5:].replace("_", "-").lower(), str(value))
            for key, value in environ.items()
            if key.startswith("HTTP_")
        ]
        if environ.get("CONTENT_TYPE"):
            headers.append(("content-type", environ["CONTENT_TYPE"]))
        return cls(
            method=environ["REQUEST_METHOD"],
            path=path.removeprefix("/"),
            query=environ.get("QUERY_STRING", ""),
            headers=tuple(headers),
            body=_wsgi_body(environ) if body is None else body[: BODY_CAP + 1],
            client=environ.get("REMOTE_ADDR") or None,
            is_disconnected=_disconnect_check(environ),
        )

    @classmethod
    async def from_asgi(
        cls, scope: Scope, receive: Receive, path: str, *, body: bytes | None = None
    ) -> Self:
        """Read an ASGI HTTP scope; `path` is the part below the mount. Remembers how to notice that the browser left.

        If your framework has read the body already, hand it over as `body`: `receive` gives it only
        once, and waits after that.
        """
        more, left = body is None, False
        body = body or b""
        while more and len(body) <= BODY_CAP:
            message = await receive()
            if left := message["type"] == "http.disconnect":
                body = b""  # half a request is none
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)

        async def wait_disconnect() -> None:
            while not left and (await receive())["type"] != "http.disconnect":
                pass

        return cls(
            method=scope["method"],
            path=path.removeprefix("/"),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=tuple(
                (key.decode("latin-1").lower(), value.decode("latin-1"))
                for key, value in scope["headers"]
            ),
            body=body[: BODY_CAP + 1],
            client=scope["client"][0] if scope.get("client") else None,
            wait_disconnect=wait_disconnect,
        )

    @classmethod
    def from_websocket(cls, scope: Scope, path: str) -> Self:
        """Read an ASGI websocket scope: the GET that asks for the upgrade (RFC 6455 section 4.1)."""
        return cls(
            method="GET",
            path=path.removeprefix("/"),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=tuple(
                (key.decode("latin-1").lower(), value.decode("latin-1"))
                for key, value in scope["headers"]
            ),
            client=scope["client"][0] if scope.get("client") else None,
        )


def _disconnect_check(environ: Mapping[str, Any]) -> Callable[[], bool] | None:
    told: Callable[[], bool] | None = environ.get("waitress.client_disconnected")
    if told is not None:
        return told
    connection = next(
        (environ[name] for name in _SOCKETS if hasattr(environ.get(name), "fileno")), None
    )
    return None if connection is None else lambda: is_connection_closed(connection)


def is_connection_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed this connection. Waits for nothing and takes nothing from it.

    Bytes that were sent ahead are no leaving. Under TLS they hide the end of the connection, but for Linux, which tells it apart.
    """
    try:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(connection.fileno(), select.POLLIN | _HUNG_UP)
            events = poll.poll(0)
            if not events or events[0][1] & (
                _HUNG_UP | select.POLLHUP | select.POLLERR | select.POLLNVAL
            ):
                return bool(events)
        elif not select.select([connection], [], [], 0)[0]:
            return False
        plain = (
            socket.socket.recv if isinstance(connection, ssl.SSLSocket) else type(connection).recv
        )
        return (
            plain(connection, 1, socket.MSG_PEEK) == b""
        )  # there is something to read, so this does not wait
    except BlockingIOError:
        return False
    except (OSError, ValueError):  # it was reset, or is closed already
        return True


def _wsgi_body(environ: Mapping[str, Any]) -> bytes:
    """The body up to one byte beyond the cap; nothing when it broke off in the middle, for half a request is none."""
    length, source = environ.get("CONTENT_LENGTH") or "", environ["wsgi.input"]
    try:
        if not _LENGTH.fullmatch(length):
            # Chunked, if the server promises to end the input by itself; else nobody could tell where the body ends.
            return bytes(source.read(BODY_CAP + 1)) if environ.get("wsgi.input_terminated") else b""
        digits = length.lstrip("0")
        size = min(int(digits or "0"), BODY_CAP + 1) if len(digits) < 16 else BODY_CAP + 1
        body = bytes(source.read(size)) if size else b""
        return body if len(body) == size else b""
    except OSError:  # how servers say that the client left, or that its chunks are none
        return b""


@dataclass(frozen=True, slots=True)
class Cookie:
    """Its names are those of `set_cookie` in werkzeug, Starlette and Django: `response.set_cookie(**asdict(cookie))`."""

    key: str
    value: str = field(repr=False)
    max_age: int
    path: str = "/"
    secure: bool = True
    httponly: bool = True
    samesite: str = "Lax"

    def header(self) -> str:
        """The value of a Set-Cookie header (RFC 6265)."""
        flags = ("; Secure" if self.secure else "") + ("; HttpOnly" if self.httponly else "")
        return f"{self.key}={self.value}; Max-Age={self.max_age}; Path={self.path}; SameSite={self.samesite}{flags}"


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. When `redeemed` is set, log that person in, in a fresh session, before you send it."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    cookies: tuple[Cookie, ...] = ()
    redeemed: Redeemed | None = None
    tokens_wanted: bool = False  # `redeemed` is for a client with tokens: answer `with_json(...)`, and start no session
    log_out: bool = False  # end this browser's session before you send it
    #: A stream: send this in place of `body`, each part at once, and close it when the browser leaves. From an `AsyncEndpoint`
    #: it is an `AsyncIterable`.
    events: Iterable[bytes] | AsyncIterable[bytes] | None = field(
        default=None, repr=False, compare=False
    )

    @classmethod
    def json(cls, status: int, payload: Mapping[str, object]) -> Self:
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(status, (("Content-Type", "application/json; charset=utf-8"),), body)

    def with_json(self, payload: Mapping[str, object]) -> Self:
        """This answer with another body: what a token endpoint issues is the application's to say."""
        headers = tuple(header for header in self.headers if header[0] != "Content-Type")
        made = type(self).json(self.status, payload)
        return replace(self, headers=made.headers + headers, body=made.body)

    def with_headers(self, *headers: tuple[str, str]) -> Self:
        return replace(self, headers=self.headers + headers)

    def header_list(self) -> list[tuple[str, str]]:
        """All headers, cookies and length included, for a server that takes them as they are."""
        cookies = [("Set-Cookie", cookie.header()) for cookie in self.cookies]
        # A 304 has the length of the body that it spares (RFC 9110 section 8.6), so none is better than 0.
        # A stream has none: the server sends it in chunks, or closes the connection after it.
        length = (
            []
            if self.status in (204, 304) or self.events is not None
            else [("Content-Length", str(len(self.body)))]
        )
        headers = [*self.headers, *cookies, *length]
        if any(_CONTROL.search(name + value) for name, value in headers):
            raise ValueError(
                "a header must not hold control characters"
            )  # it would split the answer in two
        return headers

    def to_wsgi(self, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a PEP 3333 server."""
        if isinstance(self.events, AsyncIterable):
            raise TypeError("this stream is awaited: answer it with to_asgi, or use Endpoint")
        start_response(f"{self.status} {_PHRASES.get(self.status, 'Unknown')}", self.header_list())
        return [self.body] if self.events is None else self.events

    async def to_asgi(self, send: Send, kind: str = "http.response") -> None:
        """Answer an ASGI server. `kind` is how its messages are called: "websocket.http.response" where a socket is refused."""
        events = self.events
        if events is not None and not isinstance(events, AsyncIterable):
            raise TypeError("this stream blocks: answer it with to_wsgi, or use AsyncEndpoint")
        try:
            headers = [
                (key.lower().encode("latin-1"), value.encode("latin-1"))
                for key, value in self.header_list()
            ]
            await send({"type": f"{kind}.start", "status": self.status, "headers": headers})
            if events is None:
                return await send({"type": f"{kind}.body", "body": self.body})
            async for part in events:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            if close := getattr(events, "aclose", None):
                await close()
