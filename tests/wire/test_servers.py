"""Bytes that no client library would send, over real connections to each way of mounting: an answer below 500, or none.

What a server itself refuses is the server's affair; what it lets through is ours. Nothing of it begins a login.
"""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from qrlogin.wire import METHODS
from qrlogin.wire.message import BODY_CAP
from tests.servers import LOOPBACK
from tests.tables import for_each_row
from tests.wire.sites import SITES, Site, bare_wsgi, threaded, wsgiref_server
from tests.wire.story import Browser, Phone


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    # The validator would be the first to complain here, and with a 500.
    bare = request.param == "bare WSGI"
    with (
        threaded(bare_wsgi, wsgiref_server, None) if bare else SITES[request.param](None) as running
    ):
        yield running


class Heard:
    """One raw answer; without a status if the server hung up."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1]) if first.startswith("HTTP/1.") else 0
        self.whole = b"\r\n\r\n" in raw
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }


def tell(site: Site, *sent: bytes, hang_up: bool = False) -> Heard:
    """Send all of it and listen until the server is done. `hang_up`: say beforehand that nothing more will come."""
    with socket.create_connection((LOOPBACK, site.port)) as connection:
        connection.settimeout(30)
        heard = b""
        with suppress(
            ConnectionError
        ):  # a server that refuses a long body hangs up in the middle of it
            for part in sent:
                connection.sendall(part)
        if hang_up:
            finish(connection)
        with suppress(ConnectionError):
            while got := connection.recv(65536):
                heard += got
                answer = Heard(heard)
                if (
                    answer.whole
                    and len(answer.body) >= int(answer.headers.get("content-length", "0"))
                    and not hang_up
                ):
                    hang_up = True
                    finish(
                        connection
                    )  # some servers wait for the rest of a body that they have refused
        return Heard(heard)


def finish(connection: socket.socket) -> None:
    """Tell the server that nothing more will come, if it is still there."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def head(first: str, *lines: str, close: bool = True) -> bytes:
    always = ["Content-Type: application/json", *(["Connection: close"] if close else [])]
    host = (
        []
        if any(line.startswith("Host:") for line in lines) or "HTTP/1.0" in first
        else [f"Host: {LOOPBACK}"]
    )
    return ("\r\n".join([first, *host, *always, *lines]) + "\r\n\r\n").encode("latin-1")


BEGIN = "POST /qr/begin HTTP/1.1"
PAD = b" " * (BODY_CAP - 2)


@pytest.fixture
def begun(site: Site) -> Iterator[set[str]]:
    """The logins of the site, before; nothing may be added to them in the test."""
    before = set(site.store._records._records)
    yield before
    assert set(site.store._records._records) == before


def test_a_correct_request_begins_a_login(site: Site) -> None:
    """Or else the others would prove nothing."""
    for sent in (
        head(BEGIN, "Content-Length: 2") + b"{}",
        head(BEGIN, f"Content-Length: {BODY_CAP}") + b"{" + PAD + b"}",
        head("POST /qr/begin HTTP/1.0", "Content-Length: 2") + b"{}",
    ):
        assert tell(site, sent).status == 201


def test_a_body_beyond_the_cap_gets_413(site: Site, begun: set[str]) -> None:
    assert (
        tell(site, head(BEGIN, f"Content-Length: {BODY_CAP + 1}") + b"{" + PAD + b" }").status
        == 413
    )


def test_an_announced_gigabyte_is_refused(site: Site, begun: set[str]) -> None:
    assert tell(site, head(BEGIN, "Content-Length: 1073741824"), b"{" + b" " * 20_000).status in (
        413,
        0,
    )


def test_a_body_shorter_than_announced_is_refused(site: Site, begun: set[str]) -> None:
    assert tell(
        site, head(BEGIN, "Content-Length: 50") + b"{}" + b" " * 20, hang_up=True
    ).status in (400, 0)
    assert tell(
        site, head(BEGIN, f"Content-Length: {BODY_CAP * 2}") + b"{}", hang_up=True
    ).status in (400, 0)


@for_each_row("length", ["-2", "+2", "two", "0x2", "2.0", "9" * 5000, "", "2 2", "\xb2", "1_0"])
def test_a_malformed_content_length_begins_no_login(
    site: Site, begun: set[str], length: str
) -> None:
    assert tell(site, head(BEGIN, f"Content-Length: {length}") + b"{}", hang_up=True).status in (
        0,
        400,
        413,
        411,
    )


def test_a_chunked_body_is_read_or_refused(site: Site) -> None:
    """Who can read chunks reads them; a server that cannot must not take them for an empty body that is fine."""
    heard = tell(site, head(BEGIN, "Transfer-Encoding: chunked") + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
    assert heard.status in (201, 400, 411)


def test_a_chunked_body_without_end_is_refused(site: Site, begun: set[str]) -> None:
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    assert tell(
        site, head(BEGIN, "Transfer-Encoding: chunked"), chunk * 40, hang_up=True
    ).status in (0, 400, 413, 411)


def test_malformed_chunks_begin_no_login(site: Site, begun: set[str]) -> None:
    for chunk in (b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}", b"2\r\n{", b"ffffffffffffffff\r\n{}"):
        heard = tell(site, head(BEGIN, "Transfer-Encoding: chunked") + chunk, hang_up=True)
        assert (
            heard.status < 500 or heard.headers["content-type"] != "application/json; charset=utf-8"
        )


def test_a_request_with_two_lengths_is_refused(site: Site, begun: set[str]) -> None:
    for lines in (
        ("Content-Length: 2", "Content-Length: 40"),
        ("Content-Length: 40", "Content-Length: 2"),
    ):
        assert tell(
            site, head(BEGIN, *lines) + b'{"deliver":"url"}' + b" " * 23, hang_up=True
        ).status in (0, 400)
    smuggled = head(BEGIN, "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    assert tell(site, smuggled, hang_up=True).status in (0, 400)


def test_a_get_with_a_body_does_not_affect_the_next_request(site: Site) -> None:
    with Browser(site) as desk:
        desk.begin()
        first = head(
            f"GET /qr/{desk.login_id} HTTP/1.1",
            f"Cookie: {desk.cookies}",
            "Content-Length: 28",
            close=False,
        )
        second = head(f"GET /qr/{desk.login_id} HTTP/1.1", f"Cookie: {desk.cookies}")
        heard = tell(site, first + b"GET /qr/other HTTP/1.1\r\nX: y" + second)
        assert heard.status == 400
        assert (
            heard.body.count(b"HTTP/1.") <= 1
        )  # what follows on the same connection, if the server keeps it
        assert b"HTTP/1.1 404" not in heard.body
        assert desk.look().json["state"] == "pending"


@for_each_row(
    "path", ["begin", "qr-login-element.js", "phone/scan", "A" * 22, "A" * 22 + "/cancel"]
)
def test_a_wrong_method_gets_405_with_the_allowed_ones(
    site: Site, begun: set[str], path: str
) -> None:
    right = "GET" if path == "A" * 22 or path.endswith(".js") else "POST"
    for method in METHODS:
        if method != right:
            heard = tell(site, head(f"{method} /qr/{path} HTTP/1.1", "Content-Length: 0"))
            assert (heard.status, heard.headers["allow"]) == (405, right)
            assert heard.headers["cache-control"] == "no-store"
            assert (heard.body == b"") == (method == "HEAD")
            assert heard.headers["content-type"] == "application/json; charset=utf-8"


@for_each_row("method", ["FOO", "PROPFIND", "get"])
def test_an_unknown_method_is_refused(site: Site, begun: set[str], method: str) -> None:
    heard = tell(site, head(f"{method} /qr/begin HTTP/1.1", "Content-Length: 2") + b"{}")
    assert heard.status in (400, 405)


def test_odd_paths_begin_no_login(site: Site, begun: set[str]) -> None:
    for path in (
        "/qr/",
        "/qr/phone/",
        "/qr/phone",
        "/qr//begin/",
        "/qr/%2e%2e/me",
        "/qr/begin%00",
        "/qr/begin%0d%0aX:y",
        "/qr/%ff",
    ):
        heard = tell(site, head(f"POST {path} HTTP/1.1", "Content-Length: 2") + b"{}")
        assert heard.status in (301, 307, 308, 400, 404, 405), path
        assert "x" not in heard.headers
        assert "y" not in heard.headers.values()


def test_odd_headers_are_answered_below_500(site: Site) -> None:
    for line in (
        f"User-Agent: {'x' * 60_000}",
        "User-Agent: \x1b[31m\xff\x9d",
        "Cookie: " + "a=b; " * 1000,
        "X: " + "y" * 30_000,
    ):
        assert tell(site, head(BEGIN, "Content-Length: 2", line) + b"{}").status in (201, 400, 431)
    for line in (
        "Origin: https://evil.net",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        f"Origin: https://{LOOPBACK}",
    ):
        assert tell(site, head(BEGIN, "Content-Length: 2", line) + b"{}").status == 403
    twice = (f"Origin: {site.url}", "Origin: https://evil.net")
    for lines in (twice, twice[::-1]):
        assert tell(site, head(BEGIN, "Content-Length: 2", *lines) + b"{}").status in (400, 403)


def test_no_answer_takes_its_addresses_from_the_request(site: Site) -> None:
    lines = (
        "Host: evil.net",
        "X-Forwarded-Host: evil.net",
        "X-Forwarded-Proto: https",
        "Forwarded: host=evil.net",
    )
    heard = tell(site, head(BEGIN, "Content-Length: 2", *lines) + b"{}")
    assert heard.status == 201
    assert b"evil" not in heard.body
    assert f'"verification_uri":"{site.verification_uri}"'.encode() in heard.body


def test_a_websocket_upgrade_at_another_path_is_refused(site: Site, begun: set[str]) -> None:
    upgrade = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    heard = tell(
        site, head(f"GET /qr/{'A' * 22} HTTP/1.1", *upgrade, "Content-Length: 0"), hang_up=True
    )
    assert heard.status in (0, 400, 403, 404, 426)


def test_an_unfinished_request_of_a_phone_does_not_affect_others(site: Site) -> None:
    for sent in (
        b"",
        b"P",
        b"POST /qr/phone/scan HT",
        head("POST /qr/phone/scan HTTP/1.1", "Content-Length: 9"),
    ):
        assert tell(site, sent, hang_up=True).status in (0, 400, 401, 403, 408)
    with Browser(site) as desk, Phone(site, "alice") as alice:
        desk.begin()
        alice.see(desk.picture())
        assert alice.send("scan").status == 200
