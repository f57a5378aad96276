"""HTTP as values: what came in, what goes out. WSGI and ASGI are read and written here and nowhere else.

No decision is taken here, and nothing is refused: a body is read up to one byte beyond the cap, so that whoever decides can
see that it was too long. This module knows no login.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, Self

from qrlogin.answers import Redeemed

BODY_CAP: Final = 4096  # bytes; no request of any dialect comes near it
#: For adapters whose framework wants a list: every method must reach us, so that a wrong one is told which are right.
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

_LENGTH: Final = re.compile(r"[0-9]+")
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
    gone: Callable[[], Awaitable[None]] | None = field(default=None, repr=False, compare=False)  # returns when the browser left

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header, by its lower-case name."""
        return tuple(value for key, value in self.headers if key == name)

    def cookies(self) -> list[tuple[str, str]]:
        """Names and values as sent (RFC 6265 section 4.2.1); HTTP/2 may split them over several headers."""
        crumbs = (crumb.partition("=") for line in self.all("cookie") for crumb in line.split(";"))
        return [(name.strip(), value.strip()) for name, _, value in crumbs]

    @classmethod
    def from_wsgi(cls, environ: Mapping[str, Any], path: str) -> Self:
        """Read a PEP 3333 environ; `path` is the part below the mount."""
        headers = [(key[5:].replace("_", "-").lower(), str(value)) for key, value in environ.items() if key.startswith("HTTP_")]
        if environ.get("CONTENT_TYPE"):
            headers.append(("content-type", environ["CONTENT_TYPE"]))
        return cls(
            method=environ["REQUEST_METHOD"],
            path=path.lstrip("/"),
            query=environ.get("QUERY_STRING", ""),
            headers=tuple(headers),
            body=_wsgi_body(environ),
            client=environ.get("REMOTE_ADDR") or None,
        )

    @classmethod
    async def from_asgi(cls, scope: Scope, receive: Receive, path: str) -> Self:
        """Read an ASGI HTTP scope; `path` is the part below the mount. Remembers how to notice that the browser left."""
        body, more, left = b"", True, False
        while more and len(body) <= BODY_CAP:
            message = await receive()
            if left := message["type"] == "http.disconnect":
                body = b""  # half a request is none
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)

        async def gone() -> None:
            while not left and (await receive())["type"] != "http.disconnect":
                pass

        return cls(
            method=scope["method"],
            path=path.lstrip("/"),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=tuple((key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in scope["headers"]),
            body=body[: BODY_CAP + 1],
            client=scope["client"][0] if scope.get("client") else None,
            gone=gone,
        )


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
        length = [] if self.status in (204, 304) else [("Content-Length", str(len(self.body)))]
        headers = [*self.headers, *cookies, *length]
        if any(_CONTROL.search(name + value) for name, value in headers):
            raise ValueError("a header must not hold control characters")  # it would split the answer in two
        return headers

    def to_wsgi(self, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a PEP 3333 server."""
        start_response(f"{self.status} {HTTPStatus(self.status).phrase}", self.header_list())
        return [self.body]

    async def to_asgi(self, send: Send) -> None:
        """Answer an ASGI server."""
        headers = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in self.header_list()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
