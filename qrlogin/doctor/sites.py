"""Looks at a mount of the native dialect over HTTP, as a browser behind the same proxies meets it.

It asks on new connections, so that several workers answer, and holds one request and one stream.
"""

import json
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from qrlogin.clock import monotonic
from qrlogin.findings import Finding, ok, problem, warning

HOLD_SECONDS: Final = 25
#: How often a status is asked for on a new connection. With two workers, of which one does not know
#: the login, 1 of 65 000 runs meets only the other.
_WORKERS_TRIES: Final = 16
_PATIENCE_SECONDS: Final = 10.0
_STREAM_SECONDS: Final = 4.0
#: A cookie of a login: over http it has no prefix.
_COOKIE: Final = re.compile("(__Host-)?qrl-[0-9a-f]+=")
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """By name, in lower case. Of several with one name, the last."""
    cookies: Sequence[str] = field(repr=False)
    """Each Set-Cookie: a site, or a balancer in front of it, may set cookies of its own."""
    body: Mapping[str, Any] = field(repr=False)
    """The JSON object; empty for anything else."""
    seconds: float

    @property
    def error(self) -> str:
        return str(self.body.get("error", ""))


class _Site:
    """One mount, and the browser's cookie."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.secure, self.host = parts.scheme == "https", parts.hostname or ""
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._netloc, self._path = parts.netloc, parts.path.rstrip("/") + "/"
        self.cookies: Sequence[str] = ()
        """Each Set-Cookie of the answer to begin."""

    def ask(self, method: str, path: str, seconds: float = _PATIENCE_SECONDS) -> _Answer:
        """One request on a connection of its own. Raises OSError or HTTPException."""
        began = monotonic()
        connection, response = self.open(method, path, seconds)
        try:
            body = response.read()
        finally:
            connection.close()
        try:
            read = json.loads(body)
        except ValueError:
            read = {}
        return _Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.headers.get_all("Set-Cookie", []),
            read if isinstance(read, dict) else {},
            monotonic() - began,
        )

    def open(self, method: str, path: str, seconds: float) -> tuple[HTTPConnection, HTTPResponse]:
        """A connection and the head of the answer. Close the connection."""
        connection = (
            HTTPSConnection(self._netloc, timeout=seconds, context=ssl.create_default_context())
            if self.secure
            else HTTPConnection(self._netloc, timeout=seconds)
        )
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", "User-Agent": "qrlogin"}
        if self.cookies:
            headers["Cookie"] = "; ".join(each.partition(";")[0] for each in self.cookies)
        body = None
        if method == "POST":
            headers["Content-Type"], body = "application/json", b"{}"
        try:
            connection.request(method, self._path + path, body, headers)
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise


def look_at_site(url: str) -> Iterator[Finding]:
    """Begin a login there, follow it, and cancel it.

    :param url: the address of the mount, such as https://example.com/qrlogin/.
    """
    try:
        parts = urlsplit(url)
        is_address = (
            parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        )
    except ValueError:
        is_address = False
    if not is_address:
        yield problem(
            "url",
            "this is no address of a mount",
            "give https://example.com/qrlogin/, without a user",
        )
        return
    site = _Site(url)
    try:
        begun = site.ask("POST", "begin")
    except (OSError, HTTPException, ValueError) as error:
        # ValueError: what the server sent cannot be sent back.
        yield _unreachable(site, error)
        return
    if begun.status != 201:
        yield _not_begun(begun)
        return
    login_id = str(begun.body.get("login_id", ""))
    site.cookies = begun.cookies
    yield ok(
        "begin",
        f"a login began; its code is shown for {begun.body.get('code_expires_in')} s",
    )
    yield from _addresses(site, begun)
    yield from _headers(site, begun)
    try:
        yield from _workers(site, login_id)
        yield _hold(site, login_id)
        yield _stream(site, login_id)
        site.ask("POST", f"{login_id}/cancel")
    except (OSError, HTTPException, ValueError) as error:
        # ValueError: what the server sent cannot be sent back.
        yield _unreachable(site, error)


def _unreachable(site: _Site, error: Exception) -> Finding:
    if isinstance(error, ssl.SSLCertVerificationError):
        return problem(
            "url",
            f"the certificate is not valid: {error.verify_message}",
            "phones and browsers refuse it, too: renew it, or send the whole chain",
        )
    if isinstance(error, ssl.SSLError):
        return problem(
            "url", "the server does not speak TLS there", "use http://, or set TLS up there"
        )
    if isinstance(error, TimeoutError):
        return problem("url", "no answer in time", "check that the server runs, and its proxy")
    return problem(
        "url",
        f"{site.origin} cannot be reached ({type(error).__name__})",
        "check the address, and that the server runs",
    )


def _not_begun(begun: _Answer) -> Finding:
    said = f"begin is answered {begun.status} {begun.error}".rstrip()
    if begun.status in (404, 405):
        return problem(
            "begin", said, "give the address of the mount, such as https://example.com/qrlogin/"
        )
    if begun.status == 429:
        return problem(
            "begin",
            said,
            "this address has begun too many logins, or the application sees one address for all "
            "users: say how many proxies it has (QRLOGIN_PROXIES)",
        )
    if begun.status == 403:
        return problem(
            "begin",
            said,
            "the application was given another origin than this one, or a CSRF check of its own "
            "refuses the request: compare its QRLOGIN_ORIGIN or verification_uri",
        )
    if begun.status == 503:
        return problem("begin", said, "its store does not answer: run doctor --store there")
    if 300 <= begun.status < 400:
        return problem(
            "begin", f"{said}: a redirect", "give the address that it leads to; keep POST on it"
        )
    return problem("begin", said, "read the application's log")


def _addresses(site: _Site, begun: _Answer) -> Iterator[Finding]:
    uri = str(begun.body.get("verification_uri", ""))
    parts = urlsplit(uri)
    if f"{parts.scheme}://{parts.netloc}" != site.origin:
        yield problem(
            "origin",
            f"the QR code leads to {parts.scheme}://{parts.netloc}, and this is {site.origin}",
            "set the origin (QRLOGIN_ORIGIN, verification_uri) to what users see",
        )
    elif not site.secure and site.host not in _LOCAL:
        yield problem(
            "origin", "no TLS: anyone on the network path can read the login", "serve https"
        )
    else:
        yield ok("origin", f"the QR code leads to {uri}")


def _headers(site: _Site, begun: _Answer) -> Iterator[Finding]:
    cookie = next(filter(_COOKIE.match, begun.cookies), "")
    if not cookie:
        yield problem(
            "cookie",
            "no cookie of qrlogin arrives",
            "let the proxy or middleware pass Set-Cookie on",
        )
    elif site.secure and not (cookie.startswith("__Host-") and "Secure" in cookie):
        yield problem(
            "cookie",
            "it has no __Host- prefix although this is https",
            "the application was given an origin of http: set the one that users see",
        )
    elif "HttpOnly" not in cookie or "SameSite" not in cookie:
        yield problem(
            "cookie", "it lost HttpOnly or SameSite on its way", "let the proxy not rewrite cookies"
        )
    else:
        yield ok("cookie", "HttpOnly, SameSite" + (", Secure, __Host-" if site.secure else ""))
    if "no-store" not in begun.headers.get("cache-control", ""):
        yield problem(
            "caches",
            "Cache-Control: no-store was removed on the way",
            "a cache would give one browser's login to another: let the proxy keep the header",
        )
    if site.secure and "strict-transport-security" not in begun.headers:
        yield warning(
            "https",
            "there is no Strict-Transport-Security header",
            "set it, so that no first visit goes over http",
        )


def _workers(site: _Site, login_id: str) -> Iterator[Finding]:
    answers = [site.ask("GET", login_id) for _ in range(_WORKERS_TRIES)]
    lost = [each for each in answers if each.status != 200]
    if not lost:
        yield ok("workers", f"{_WORKERS_TRIES} requests on new connections knew the login")
    elif len(lost) == len(answers):
        yield problem(
            "workers",
            f"the login is not known a moment later ({lost[0].status} {lost[0].error})",
            "does the cookie come back? Do all processes have the same secret key and store?",
        )
    else:
        yield problem(
            "workers",
            f"{len(lost)} of {_WORKERS_TRIES} requests did not know the login "
            f"({lost[0].status} {lost[0].error})",
            "several processes have a store or a secret key each: set one Redis or database, and "
            "one key, for all of them",
        )


def _hold(site: _Site, login_id: str) -> Finding:
    about = "long polls"
    try:
        held = site.ask("GET", f"{login_id}?after=1&wait={HOLD_SECONDS}", HOLD_SECONDS + 10.0)
    except TimeoutError:
        return problem(
            about, "a held request was never answered", "a proxy loses it: hold shorter (max_hold)"
        )
    except (OSError, HTTPException):
        return problem(
            about, "a held request was cut off", "a proxy cuts it: hold shorter (max_hold)"
        )
    seconds = f"{held.seconds:.0f} s"
    if held.status in (502, 504, 524):
        return problem(
            about,
            f"a proxy ends a held request with {held.status} after {seconds}",
            f"hold shorter than that: Native(qr.core, max_hold={max(1, int(held.seconds * 0.8))})",
        )
    if held.status != 200:
        return problem(
            about, f"answered {held.status} {held.error} after {seconds}", "read the server's log"
        )
    if held.seconds < 1 and "retry_after" in held.body:
        return warning(
            about,
            f"not held: browsers ask again every {held.body['retry_after']} s",
            "the server has one thread, or max_waiting is 0 or used up: see docs/servers.md",
        )
    if held.body.get("version") != 1:
        return ok(about, f"answered after {seconds}, because the login changed")
    return ok(about, f"held for {seconds}")


def _stream(site: _Site, login_id: str) -> Finding:
    about = "streams"
    try:
        connection, response = site.open("GET", f"{login_id}/events?after=1", _STREAM_SECONDS)
    except TimeoutError:
        return warning(
            about,
            "nothing of an event stream arrives in time: a proxy buffers it",
            "turn buffering off there (nginx: proxy_buffering off), or keep to polls, as "
            "<qr-login> does by default",
        )
    try:
        if response.status != 200:
            return warning(
                about,
                f"refused with {response.status}",
                "the server holds no request now; polls still work",
            )
        try:
            arrived = response.read1(200)
        except TimeoutError:
            arrived = b""
        if arrived:
            return ok(about, "the beginning of an event stream arrives at once")
        return warning(
            about,
            "only the head of an event stream arrives: a proxy buffers it",
            "turn buffering off there (nginx: proxy_buffering off), or keep to polls",
        )
    finally:
        connection.close()
