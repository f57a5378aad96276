"""Malformed bytes over real connections begin no login and get an answer below 500, or none.

A server may refuse them itself; otherwise the endpoint does.
"""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from qrlogin.wire import METHODS
from qrlogin.wire.message import BODY_CAP
from tests.security_rows import row
from tests.servers import LOOPBACK
from tests.tables import for_each_row
from tests.wire.sites import SITES, Site, bare_wsgi, threaded, wsgiref_server
from tests.wire.story import Browser, Phone


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    # The validator would refuse first, with a 500.
    bare = request.param == "bare WSGI"
    with (
        threaded(bare_wsgi, wsgiref_server, None) if bare else SITES[request.param](None) as running
    ):
        yield running


class RawAnswer:
    """One raw response; its status is 0 if the server closed the connection."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1]) if first.startswith("HTTP/1.") else 0
        self.whole = b"\r\n\r\n" in raw
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }


def send(site: Site, *sent: bytes, hang_up: bool = False) -> RawAnswer:
    """Send and read until the server is done. `hang_up`: first announce that nothing follows."""
    with socket.create_connection((LOOPBACK, site.port)) as connection:
        connection.settimeout(30)
        received = b""
        with suppress(
            ConnectionError
        ):  # a server that refuses a long body closes the connection within it
            for part in sent:
                connection.sendall(part)
        if hang_up:
            finish(connection)
        with suppress(ConnectionError):
            while got := connection.recv(65536):
                received += got
                answer = RawAnswer(received)
                if (
                    answer.whole
                    and len(answer.body) >= int(answer.headers.get("content-length", "0"))
                    and not hang_up
                ):
                    hang_up = True
                    finish(connection)  # some servers wait for the rest of a refused body
        return RawAnswer(received)


def finish(connection: socket.socket) -> None:
    """Close the sending side, if the server is still connected."""
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
    """The logins before the test, which must begin no other."""
    before = set(site.store._records._records)
    yield before
    assert set(site.store._records._records) == before


def test_a_correct_request_begins_a_login(site: Site) -> None:
    """Without this the other tests would prove nothing."""
    for sent in (
        head(BEGIN, "Content-Length: 2") + b"{}",
        head(BEGIN, f"Content-Length: {BODY_CAP}") + b"{" + PAD + b"}",
        head("POST /qr/begin HTTP/1.0", "Content-Length: 2") + b"{}",
    ):
        assert send(site, sent).status == 201


def test_a_body_beyond_the_cap_gets_413(site: Site, begun: set[str]) -> None:
    assert (
        send(site, head(BEGIN, f"Content-Length: {BODY_CAP + 1}") + b"{" + PAD + b" }").status
        == 413
    )


@row(29)
def test_an_announced_gigabyte_is_refused(site: Site, begun: set[str]) -> None:
    assert send(site, head(BEGIN, "Content-Length: 1073741824"), b"{" + b" " * 20_000).status in (
        413,
        0,
    )


def test_a_body_shorter_than_announced_is_refused(site: Site, begun: set[str]) -> None:
    assert send(
        site, head(BEGIN, "Content-Length: 50") + b"{}" + b" " * 20, hang_up=True
    ).status in (400, 0)
    assert send(
        site, head(BEGIN, f"Content-Length: {BODY_CAP * 2}") + b"{}", hang_up=True
    ).status in (400, 0)


@for_each_row("length", ["-2", "+2", "two", "0x2", "2.0", "9" * 5000, "", "2 2", "\xb2", "1_0"])
def test_a_malformed_content_length_begins_no_login(
    site: Site, begun: set[str], length: str
) -> None:
    assert send(site, head(BEGIN, f"Content-Length: {length}") + b"{}", hang_up=True).status in (
        0,
        400,
        413,
        411,
    )


def test_a_chunked_body_is_read_or_refused(site: Site) -> None:
    """A server without chunks must not take them for an empty, valid body."""
    answer = send(
        site, head(BEGIN, "Transfer-Encoding: chunked") + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    )
    assert answer.status in (201, 400, 411)


def test_a_chunked_body_without_end_is_refused(site: Site, begun: set[str]) -> None:
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    assert send(
        site, head(BEGIN, "Transfer-Encoding: chunked"), chunk * 40, hang_up=True
    ).status in (0, 400, 413, 411)


def test_malformed_chunks_begin_no_login(site: Site, begun: set[str]) -> None:
    for chunk in (b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}", b"2\r\n{", b"ffffffffffffffff\r\n{}"):
        answer = send(site, head(BEGIN, "Transfer-Encoding: chunked") + chunk, hang_up=True)
        assert (
            answer.status < 500
            or answer.headers["content-type"] != "application/json; charset=utf-8"
        )


@row(68, 425)
def test_a_request_with_two_lengths_is_refused(site: Site, begun: set[str]) -> None:
    for lines in (
        ("Content-Length: 2", "Content-Length: 40"),
        ("Content-Length: 40", "Content-Length: 2"),
    ):
        assert send(
            site, head(BEGIN, *lines) + b'{"deliver":"url"}' + b" " * 23, hang_up=True
        ).status in (0, 400)
    smuggled = head(BEGIN, "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    assert send(site, smuggled, hang_up=True).status in (0, 400)


@row(425)
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
        answer = send(site, first + b"GET /qr/other HTTP/1.1\r\nX: y" + second)
        assert answer.status == 400
        assert (
            answer.body.count(b"HTTP/1.") <= 1
        )  # the next response on the same connection, if the server keeps it
        assert b"HTTP/1.1 404" not in answer.body
        assert desk.look().json["state"] == "pending"


@for_each_row(
    "path", ["begin", "qr-login-element.js", "phone/scan", "A" * 22, "A" * 22 + "/cancel"]
)
def test_a_wrong_method_gets_405_with_the_allowed_ones(
    site: Site, begun: set[str], path: str
) -> None:
    right = "GET, HEAD" if path == "A" * 22 or path.endswith(".js") else "POST"
    for method in METHODS:
        if method not in right:
            answer = send(site, head(f"{method} /qr/{path} HTTP/1.1", "Content-Length: 0"))
            assert (answer.status, answer.headers["allow"]) == (405, right)
            assert answer.headers["cache-control"] == "no-store"
            assert (answer.body == b"") == (method == "HEAD")
            assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_a_head_is_answered_without_a_body(site: Site) -> None:
    path = "/qr/qr-login-element.js"
    sent = send(site, head(f"GET {path} HTTP/1.1"))
    for condition, status in (('"another"', 200), ("*", 304), (sent.headers["etag"], 304)):
        answer = send(site, head(f"HEAD {path} HTTP/1.1", f"If-None-Match: {condition}"))
        assert (answer.status, answer.body, answer.headers["etag"]) == (
            status,
            b"",
            sent.headers["etag"],
        )
        if status == 200:
            assert answer.headers["content-length"] == sent.headers["content-length"]


@for_each_row("method", ["FOO", "PROPFIND", "get"])
def test_an_unknown_method_is_refused(site: Site, begun: set[str], method: str) -> None:
    answer = send(site, head(f"{method} /qr/begin HTTP/1.1", "Content-Length: 2") + b"{}")
    assert answer.status in (400, 405)


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
        answer = send(site, head(f"POST {path} HTTP/1.1", "Content-Length: 2") + b"{}")
        assert answer.status in (301, 307, 308, 400, 404, 405), path
        assert "x" not in answer.headers
        assert "y" not in answer.headers.values()


def test_odd_headers_are_answered_below_500(site: Site) -> None:
    for line in (
        f"User-Agent: {'x' * 60_000}",
        "User-Agent: \x1b[31m\xff\x9d",
        "Cookie: " + "a=b; " * 1000,
        "X: " + "y" * 30_000,
    ):
        assert send(site, head(BEGIN, "Content-Length: 2", line) + b"{}").status in (201, 400, 431)
    for line in (
        "Origin: https://evil.net",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        f"Origin: https://{LOOPBACK}",
    ):
        assert send(site, head(BEGIN, "Content-Length: 2", line) + b"{}").status == 403
    twice = (f"Origin: {site.url}", "Origin: https://evil.net")
    for lines in (twice, twice[::-1]):
        assert send(site, head(BEGIN, "Content-Length: 2", *lines) + b"{}").status in (400, 403)


def test_no_answer_takes_its_addresses_from_the_request(site: Site) -> None:
    lines = (
        "Host: evil.net",
        "X-Forwarded-Host: evil.net",
        "X-Forwarded-Proto: https",
        "Forwarded: host=evil.net",
    )
    answer = send(site, head(BEGIN, "Content-Length: 2", *lines) + b"{}")
    assert answer.status == 201
    assert b"evil" not in answer.body
    assert f'"verification_uri":"{site.verification_uri}"'.encode() in answer.body


def test_a_websocket_upgrade_at_another_path_is_refused(site: Site, begun: set[str]) -> None:
    upgrade = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    answer = send(
        site, head(f"GET /qr/{'A' * 22} HTTP/1.1", *upgrade, "Content-Length: 0"), hang_up=True
    )
    assert answer.status in (0, 400, 403, 404, 426)


def test_an_unfinished_request_of_a_phone_does_not_affect_others(site: Site) -> None:
    for sent in (
        b"",
        b"P",
        b"POST /qr/phone/scan HT",
        head("POST /qr/phone/scan HTTP/1.1", "Content-Length: 9"),
    ):
        assert send(site, sent, hang_up=True).status in (0, 400, 401, 403, 408)
    with Browser(site) as desk, Phone(site, "alice") as alice:
        desk.begin()
        alice.see(desk.picture())
        assert alice.send("scan").status == 200
