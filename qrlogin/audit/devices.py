"""Browsers and phones of an audit: HTTP clients that record what is sent and answered.

A check can tamper with what a device sends. So your five functions are written once, for honest
people, and the audit makes attackers of them. A login that is not spoken over HTTP can be audited,
too: then the checks of HTTP do not apply.
"""

import http.client
import io
import json as json_format
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import unquote, urlencode, urlsplit

TIMEOUT_S: Final = 40  # longer than most servers hold a poll

AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True, slots=True)
class Sent:
    """One HTTP request of a device."""

    method: str
    """GET, POST, …"""
    url: str = field(repr=False)
    """The absolute address."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By name, in lower case."""
    body: bytes = field(default=b"", repr=False)
    """The body; empty if there is none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response of any status. It is true if the status is 2xx."""

    status: int
    """The HTTP status code."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names in lower case, and values, in the order of the response."""
    body: bytes = field(default=b"", repr=False)
    """The body."""

    @property
    def text(self) -> str:
        """The body as UTF-8; bytes that are not valid are replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object in the body; empty if the body is anything else."""
        try:
            read = json_format.loads(self.body)
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}

    def header(self, name: str) -> str:
        """The values of this header, joined by commas; "" if the response does not have it."""
        return ", ".join(value for key, value in self.headers if key == name.lower())

    def __bool__(self) -> bool:
        return 200 <= self.status < 300


Transport = Callable[[Sent], Answer]
"""Sends a request and returns the answer. It does not follow redirects."""
#: What an attacker changes in a request before it is sent.
Tamper = Callable[[Sent], Sent]


def over_http(sent: Sent) -> Answer:
    """Sends a request over a new connection, and returns the answer. Raises `OSError` or
    `HTTPException` if no server answers.
    """
    parts = urlsplit(sent.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(sent.method, target, sent.body or None, dict(sent.headers))
        answer = connection.getresponse()
        headers = tuple((name.lower(), value) for name, value in answer.getheaders())
        return Answer(answer.status, headers, answer.read())
    finally:
        connection.close()


def over_wsgi(app: Callable[..., Iterable[bytes]]) -> Transport:
    """A transport that calls a WSGI application in this process, without a socket."""

    def send(sent: Sent) -> Answer:
        parts, started = urlsplit(sent.url), list[tuple[str, list[tuple[str, str]]]]()
        environ: dict[str, Any] = {
            "REQUEST_METHOD": sent.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(parts.path, "latin-1") or "/",
            "QUERY_STRING": parts.query,
            "CONTENT_LENGTH": str(len(sent.body)),
            "HTTP_HOST": parts.netloc,
            "SERVER_NAME": parts.hostname or "",
            "SERVER_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": parts.scheme,
            "wsgi.input": io.BytesIO(sent.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in sent.headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
            started.append((status, headers))

        parts_of_body = app(environ, start)
        try:
            body = b"".join(parts_of_body)
        finally:
            if close := getattr(parts_of_body, "close", None):
                close()
        status, headers = started[-1]
        return Answer(
            int(status.split()[0]), tuple((name.lower(), value) for name, value in headers), body
        )

    return send


class Keep(dict[str, Any]):
    """What your functions remember on a device. A name that is missing is "".

    So a function can send `browser.keep["secret"]` for an attacker, too, who has none.
    """

    def __missing__(self, name: str) -> str:
        return ""


class Device:
    """An HTTP client with cookies of its own. It records each exchange and follows no redirect.

    :param name: what reports call it
    :param origin: scheme, host and port in front of addresses that begin with /
    :param transport: how it sends requests
    """

    def __init__(self, name: str, origin: str = "", transport: Transport = over_http) -> None:
        self.name: str = name
        self.origin: str = origin.rstrip("/")
        self.keep: Keep = Keep()
        self._transport = transport
        self.headers: dict[str, str] = {"user-agent": AGENT}
        self.cookies: dict[str, str] = {}
        self.exchanged: list[tuple[Sent, Answer]] = []
        self.tamper: Tamper | None = None

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Sends a GET and returns the answer."""
        return self.request("GET", url, headers=headers)

    def post(
        self,
        url: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends a POST and returns the answer.

        :param url: the address; one that begins with / belongs to the target's origin
        :param json: an object to send as JSON
        :param form: fields to send as a form, if there is no `json`
        :param headers: more headers, by name
        """
        return self.request("POST", url, json=json, form=form, headers=headers)

    def request(
        self,
        method: str,
        url: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends a request with the cookies of this device, and returns the answer.

        :param method: the HTTP method
        :param url: the address; one that begins with / belongs to the target's origin
        :param json: an object to send as JSON
        :param form: fields to send as a form, if there is no `json`
        :param headers: more headers, by name
        """
        body, lines = b"", {**self.headers}
        if json is not None:
            body, lines["content-type"] = json_format.dumps(json).encode(), "application/json"
        elif form is not None:
            body = urlencode(form).encode()
            lines["content-type"] = "application/x-www-form-urlencoded"
        if self.cookies:
            lines["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if self.origin:
            lines["sec-fetch-site"] = "same-origin"
            if method not in ("GET", "HEAD"):
                lines["origin"] = self.origin
        lines |= {name.lower(): value for name, value in (headers or {}).items()}
        address = self.origin + url if url.startswith("/") else url
        sent = Sent(method, address, lines, body)
        if self.tamper is not None:
            sent = self.tamper(sent)
        answer = self._transport(sent)
        self.exchanged.append((sent, answer))
        for name, value in set_cookies(answer):
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer

    def copy(self) -> Self:
        """A device with the same cookies, headers and `keep`, which records anew."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.keep, made.headers = Keep(self.keep), dict(self.headers)
        made.cookies, made.exchanged = dict(self.cookies), []
        return made


class Browser(Device):
    """A browser that wants to be logged in, or an attacker's."""


class Phone(Device):
    """A phone on which `account` is signed in."""

    account: str = ""
    """The name of the account, one of the target's `accounts`."""


def set_cookies(answer: Answer) -> list[tuple[str, str]]:
    """The cookies that an answer sets, as names and values. The value of a deleted one is ""."""
    found = []
    for name, line in answer.headers:
        if name == "set-cookie":
            pair, _, flags = line.partition(";")
            key, _, value = pair.partition("=")
            gone = any(
                flag.strip().lower() in ("max-age=0", "max-age=-1") or "1970" in flag
                for flag in flags.split(";")
            )
            found.append((key.strip(), "" if gone else value.strip()))
    return found
