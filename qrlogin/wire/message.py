"""HTTP requests and responses as values. Only this module reads and writes WSGI and ASGI.

It decides nothing and refuses nothing: a body is read up to one byte beyond the cap, so that the
code that refuses it can see that it is too long. Nothing here knows a login.
"""

import _thread
import json
import re
import select
import socket
import ssl
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

from qrlogin.answers import Redeemed

BODY_CAP: Final = 4096
"""The most bytes that a body may have. No request of any dialect comes near it."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
"""For adapters whose framework wants a list of methods. Route all of them to the endpoint: it
answers a wrong method with 405, and names the right ones in the header Allow."""

#: The keys of an environ under which servers put the connection. The last is for servers that want
#: held requests to end when the browser disconnects, and have no key of their own.
_SOCKET_KEYS: Final = ("werkzeug.socket", "gunicorn.socket", "qrlogin.socket")
#: Only Linux reports a closed connection while there are still bytes to read.
_PEER_CLOSED: Final = getattr(select, "POLLRDHUP", 0)

_CONTENT_LENGTH: Final = re.compile(r"[0-9]+")
_PHRASES: Final = {each.value: each.phrase for each in HTTPStatus} | {499: "Client Closed Request"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

#: The bytes of the headers that `constant_header` has made, as ASGI takes them.
_CONSTANT: Final[dict[tuple[str, str], tuple[bytes, bytes]]] = {}

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


def constant_header(name: str, value: str) -> tuple[str, str]:
    """A header that many answers carry. It is checked and encoded here, once."""
    _check_header(name, value)
    _CONSTANT[name, value] = _encode_header(name, value)
    return name, value


def _check_header(name: str, value: str) -> None:
    # A line break would let a value add headers, or a body (response splitting).
    if _CONTROL.search(name) or _CONTROL.search(value):
        raise ValueError("a header must not hold control characters")


def _encode_header(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode("latin-1"), value.encode("latin-1")


JSON_TYPE: Final = constant_header("Content-Type", "application/json; charset=utf-8")
"""The header of every answer in JSON."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    """As it was sent, such as GET."""
    path: str
    """The path below the mount, without a slash in front."""
    query: str = field(default="", repr=False)
    """The query string, without the question mark."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names in lower case and values, in the order in which they were sent."""
    body: bytes = field(default=b"", repr=False)
    """At most one byte more than BODY_CAP."""
    client: str | None = None
    """The address of the other end of the connection. It is not taken from any header."""
    wait_disconnect: Callable[[], Awaitable[None]] | None = field(
        default=None, repr=False, compare=False
    )
    """ASGI: returns when the browser disconnects."""
    is_disconnected: Callable[[], bool] | None = field(default=None, repr=False, compare=False)
    """WSGI: whether the browser has disconnected. None if the server does not show that."""
    one_at_a_time: bool = field(default=False, compare=False)
    """WSGI: whether the server handles one request at a time, so that a request that is held would
    stop all others."""

    # What the headers say is read at the first question, because each request has many questions.
    _values: Mapping[str, Sequence[str]] | None = field(
        default=None, init=False, repr=False, compare=False
    )
    _cookies: list[tuple[str, str]] | None = field(
        default=None, init=False, repr=False, compare=False
    )
    #: `headers` as the server keeps them.
    _encoded: Sequence[tuple[bytes, bytes]] = field(
        default=(), init=False, repr=False, compare=False
    )

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header, by its lower-case name."""
        values = self._values
        if values is None:
            values = dict[str, list[str]]()
            for key, value in self.headers:
                values.setdefault(key, []).append(value)
            object.__setattr__(self, "_values", values)
        return tuple(values.get(name, ()))

    def cookies(self) -> list[tuple[str, str]]:
        """Names and values of all cookies, in the order in which they were sent.

        HTTP/2 may split them over several headers (RFC 6265 section 4.2.1, RFC 9113 section 8.2.3).
        """
        cookies = self._cookies
        if cookies is None:
            lines = self.all("cookie")
            crumbs = [crumb.partition("=") for line in lines for crumb in line.split(";")]
            cookies = [(name.strip(), value.strip()) for name, _, value in crumbs]
            object.__setattr__(self, "_cookies", cookies)
        return [*cookies]

    def _release_headers(self) -> None:
        """Forget what was read of the headers, while the request is held: a browser sends kilobytes
        of them. They are read again when they are asked for.
        """
        if self._encoded:
            with suppress(AttributeError):  # they were released before
                object.__delattr__(self, "headers")
            object.__setattr__(self, "_values", None)
            object.__setattr__(self, "_cookies", None)

    if not TYPE_CHECKING:  # a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> tuple[tuple[str, str], ...]:
            """The headers that were released. Python calls this for what is not there."""
            if name != "headers":
                raise AttributeError(f"'Request' object has no attribute {name!r}")
            headers = _decoded(self._encoded)
            object.__setattr__(self, "headers", headers)
            return headers

    @classmethod
    def from_wsgi(cls, environ: Mapping[str, Any], path: str, *, body: bytes | None = None) -> Self:
        """Read a WSGI environ (PEP 3333).

        WSGI does not report that a browser disconnected. `is_disconnected` is set if the server
        shows its connection (werkzeug, gunicorn) or answers the question itself (waitress). With
        other servers a held request goes on to its end.

        `one_at_a_time` is set if the server says that it has one thread (`wsgi.multithread` is
        false), or that it starts a process for each request (`wsgi.run_once`: CGI).

        :param environ: The environ of the request.
        :param path: The part of the path below the mount.
        :param body: The body, if your framework has read it already: it can be read only once.
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
            one_at_a_time=_is_one_at_a_time(environ),
        )

    @classmethod
    async def from_asgi(
        cls, scope: Scope, receive: Receive, path: str, *, body: bytes | None = None
    ) -> Self:
        """Read an ASGI HTTP scope. Sets `wait_disconnect`.

        :param scope: The ASGI scope, of type "http".
        :param receive: ASGI's receive.
        :param path: The part of the path below the mount.
        :param body: The body, if your framework has read it already: `receive` returns it only
            once, and waits after that.
        """
        more, disconnected = body is None, False
        body = body or b""
        while more and len(body) <= BODY_CAP:
            message = await receive()
            if disconnected := message["type"] == "http.disconnect":
                body = b""  # an incomplete body must not be taken for the whole
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
        wait_disconnect = partial(_wait_disconnect, _disconnected if disconnected else receive)
        return cls._from_scope(scope, path, scope["method"], body[: BODY_CAP + 1], wait_disconnect)

    @classmethod
    def from_websocket(cls, scope: Scope, path: str) -> Self:
        """Read an ASGI websocket scope: the GET that asks for the upgrade (RFC 6455 section 4.1).

        `path` is the part of the path below the mount.
        """
        return cls._from_scope(scope, path, "GET")

    @classmethod
    def _from_scope(
        cls,
        scope: Scope,
        path: str,
        method: str,
        body: bytes = b"",
        wait_disconnect: Callable[[], Awaitable[None]] | None = None,
    ) -> Self:
        encoded = scope["headers"]
        request = cls(
            method=method,
            path=path.removeprefix("/"),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=_decoded(encoded),
            body=body,
            client=scope["client"][0] if scope.get("client") else None,
            wait_disconnect=wait_disconnect,
        )
        if isinstance(encoded, (list, tuple)):  # ASGI allows what can be read only once
            object.__setattr__(request, "_encoded", encoded)
        return request


def _decoded(encoded: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        [(key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in encoded]
    )


async def _wait_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _disconnected() -> Message:
    return {"type": "http.disconnect"}


def _is_one_at_a_time(environ: Mapping[str, Any]) -> bool:
    if environ.get("wsgi.run_once"):
        return True
    # gevent's own server says that it has one thread. Once gevent (or eventlet) has replaced
    # Python's threads with its own, a request that waits stops no other.
    has_green_threads = _thread.get_ident.__module__ != "_thread"
    return not (environ.get("wsgi.multithread", True) or has_green_threads)


def _disconnect_check(environ: Mapping[str, Any]) -> Callable[[], bool] | None:
    check: Callable[[], bool] | None = environ.get("waitress.client_disconnected")
    if check is not None:
        return check
    connection = next(
        (environ[name] for name in _SOCKET_KEYS if hasattr(environ.get(name), "fileno")), None
    )
    return None if connection is None else lambda: is_connection_closed(connection)


def is_connection_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed this connection. Does not wait, and takes no byte from it.

    Bytes that the server has not read yet do not mean that it was closed. On systems other than
    Linux, such bytes hide that the connection was closed, and TLS sends some when it closes.
    """
    try:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(connection.fileno(), select.POLLIN | _PEER_CLOSED)
            events = poll.poll(0)
            if not events or events[0][1] & (
                _PEER_CLOSED | select.POLLHUP | select.POLLERR | select.POLLNVAL
            ):
                return bool(events)
        elif not select.select([connection], [], [], 0)[0]:
            return False
        # A TLS socket cannot peek, so this reads what lies below the TLS. It does not wait, because
        # there is something to read.
        recv = (
            socket.socket.recv if isinstance(connection, ssl.SSLSocket) else type(connection).recv
        )
        return recv(connection, 1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except (OSError, ValueError):  # the connection was reset, or our side has closed it
        return True


def _wsgi_body(environ: Mapping[str, Any]) -> bytes:
    """The body up to one byte beyond the cap, or b"" if the client did not send all of it."""
    length, source = environ.get("CONTENT_LENGTH") or "", environ["wsgi.input"]
    try:
        if not _CONTENT_LENGTH.fullmatch(length):
            # Without a length, only a server that ends the input itself can show where a body ends.
            return bytes(source.read(BODY_CAP + 1)) if environ.get("wsgi.input_terminated") else b""
        digits = length.lstrip("0")
        size = min(int(digits or "0"), BODY_CAP + 1) if len(digits) < 16 else BODY_CAP + 1
        body = bytes(source.read(size)) if size else b""
        return body if len(body) == size else b""
    except OSError:  # servers raise it when the client disconnected or sent malformed chunks
        return b""


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set. The fields are those of `set_cookie` in werkzeug, Starlette and Django:
    `response.set_cookie(**asdict(cookie))`.
    """

    key: str
    """Its name."""
    value: str = field(repr=False)
    """A secret, or "" to delete the cookie."""
    max_age: int
    """Seconds. 0 deletes the cookie."""
    path: str = "/"
    """Browsers send the cookie with requests below this path."""
    secure: bool = True
    """Whether browsers send it over https only."""
    httponly: bool = True
    """Whether scripts cannot read it."""
    samesite: str = "Lax"
    """Lax: other sites can make a browser send it by a link only."""

    def header(self) -> str:
        """The value of a Set-Cookie header (RFC 6265)."""
        flags = ("; Secure" if self.secure else "") + ("; HttpOnly" if self.httponly else "")
        lasting = f"{self.key}={self.value}; Max-Age={self.max_age}; Path={self.path}"
        return f"{lasting}; SameSite={self.samesite}{flags}"


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response, and what your application has to do before it sends it."""

    status: int
    """The HTTP status code."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names and values, without Set-Cookie, and without Content-Length unless `answers_head`."""
    body: bytes = field(default=b"", repr=False)
    """Empty if `events` is set."""
    cookies: tuple[Cookie, ...] = ()
    """Cookies to set."""
    redeemed: Redeemed | None = None
    """If set, log that person in, in a fresh session, before you send the response."""
    tokens_wanted: bool = False
    """`redeemed` is for a client that uses tokens: send `with_json(...)`, and start no session."""
    session_wanted: bool = False
    """`redeemed` is for a page that reads JSON: send it yours by `with_session(...)`."""
    log_out: bool = False
    """If set, end this browser's session before you send the response."""
    answers_head: bool = False
    """Whether this is the answer to a HEAD: without a body, and with the Content-Length of the body
    that a GET would have, if that is known."""
    events: Iterable[bytes] | AsyncIterable[bytes] | None = field(
        default=None, repr=False, compare=False
    )
    """If set, this is a stream: send these parts in place of `body`, each at once, and close the
    iterator when the browser disconnects. An `AsyncEndpoint` returns an `AsyncIterable`."""

    @classmethod
    def json(cls, status: int, payload: Mapping[str, object], *headers: tuple[str, str]) -> Self:
        """A response whose body is `payload` as JSON.

        :param status: the HTTP status code.
        :param payload: what the body holds.
        :param headers: the response's, beside Content-Type.
        """
        return cls(status, (JSON_TYPE, *headers), _to_json(payload).encode())

    def with_json(self, payload: Mapping[str, object]) -> Self:
        """This response with another body: the tokens that your application issues."""
        headers = [header for header in self.headers if header[0] != "Content-Type"]
        response = type(self).json(self.status, payload, *headers)
        return replace(self, headers=response.headers, body=response.body)

    def with_session(self, session: object) -> Self:
        """This response with `session` in its body, for the page that asked to redeem a login.

        Returns the same response if its dialect has no place for it (`session_wanted`).
        """
        if not self.session_wanted:
            return self
        return self.with_json({**json.loads(self.body), "session": session})

    def with_headers(self, *headers: tuple[str, str]) -> Self:
        """This response with these headers added."""
        return replace(self, headers=self.headers + headers)

    def header_list(self) -> list[tuple[str, str]]:
        """All headers, with the cookies and the length, for a server that sends them as they are.

        Raises `ValueError` if one holds a control character.
        """
        cookies = [("Set-Cookie", cookie.header()) for cookie in self.cookies]
        # The length of a 304 is that of the body which it omits (RFC 9110 section 8.6), so 0 would
        # be wrong. A stream has no length: the server sends chunks, or closes the connection.
        length = (
            []
            if self.status in (204, 304) or self.events is not None or self.answers_head
            else [("Content-Length", str(len(self.body)))]
        )
        headers = [*self.headers, *cookies, *length]
        for header in headers:
            if header not in _CONSTANT:
                _check_header(*header)
        return headers

    def to_wsgi(self, start_response: StartResponse) -> Iterable[bytes]:
        """Send this response to a WSGI server (PEP 3333).

        Raises `TypeError` for a stream of an `AsyncEndpoint`.
        """
        if isinstance(self.events, AsyncIterable):
            raise TypeError("this stream is awaited: answer it with to_asgi, or use Endpoint")
        start_response(f"{self.status} {_PHRASES.get(self.status, 'Unknown')}", self.header_list())
        return [self.body] if self.events is None else self.events

    async def to_asgi(self, send: Send, kind: str = "http.response") -> None:
        """Send this response to an ASGI server, and close its stream at the end.

        `kind` is the prefix of the types of the messages: "websocket.http.response" refuses a
        websocket. Raises `TypeError` for a stream of an `Endpoint`.
        """
        events = self.events
        if events is not None and not isinstance(events, AsyncIterable):
            raise TypeError("this stream blocks: answer it with to_wsgi, or use AsyncEndpoint")
        try:
            headers = [
                _CONSTANT.get(header) or _encode_header(*header) for header in self.header_list()
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
