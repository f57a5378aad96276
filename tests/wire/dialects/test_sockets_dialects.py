"""Malformed bytes on a socket begin no login in any dialect, in the demo's server and in uvicorn.

The server refuses some of them itself. The rest reach the dialects.
"""

from collections.abc import Iterator

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.demo.dialects import DIALECTS
from qrlogin.demo.server import Server
from qrlogin.demo.site import Site as DemoSite
from qrlogin.wire import METHODS, Endpoint
from qrlogin.wire.message import BODY_CAP
from tests.security_rows import row
from tests.servers import LOOPBACK
from tests.tables import for_each_row
from tests.wire.clock import Clock
from tests.wire.dialects.dialect_clients import SPEAKERS, TYPED, asgi
from tests.wire.mount import KEY
from tests.wire.sites import Application, Site, awaited
from tests.wire.test_servers import RawAnswer
from tests.wire.test_servers import send as send_raw

FORM = "application/x-www-form-urlencoded"
CODE = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module", params=["the demo", "awaited"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "awaited":
        with awaited(asgi, None, TYPED) as running:
            yield running
        return
    with Server(LOOPBACK, 0, log=True) as server:
        running = Site(server.port, Application(), Clock(), store=MemoryStore())
        with QRLogin(
            running.store, secret_keys=[KEY], verification_uri=f"{running.url}/qr", policy=TYPED
        ) as qr:
            server.start(DemoSite(qr, list(DIALECTS)))
            try:
                yield running
            finally:
                server.stop(qr.close)


@pytest.fixture
def nothing_begun(site: Site) -> Iterator[None]:
    before = set(site.store._records._records)
    yield
    assert set(site.store._records._records) == before


def routes() -> tuple[dict[str, set[str]], set[str]]:
    """The methods of every path, and the paths that other sites may link to."""
    qr = QRLogin(
        MemoryStore(), secret_keys=[KEY], verification_uri="https://example.com/qr", policy=TYPED
    )
    found: dict[str, set[str]] = {}
    links = set()
    for name, make in SPEAKERS.items():
        for route in (
            Endpoint(qr, make(qr.core), max_waiting=1).dialect.browser_routes
            if name != "native"
            else ()
        ):
            path = route.path.replace("{code}", CODE)
            found.setdefault(path, set()).add(route.method)
            if route.cross_site:
                links.add(path)
    return found, links


ROUTES, LINKS = routes()


def send(
    site: Site, first: str, *lines: str, body: bytes = b"", hang_up: bool = False
) -> RawAnswer:
    head = "\r\n".join([first, f"Host: {LOOPBACK}", "Connection: close", *lines]) + "\r\n\r\n"
    received = send_raw(site, head.encode("latin-1") + body, hang_up=hang_up)
    assert received.status not in (101, 500)
    return received


def length(body: bytes) -> tuple[str, str]:
    return f"Content-Type: {FORM}", f"Content-Length: {len(body)}"


def test_the_wellformed_requests_begin_a_login(site: Site) -> None:
    """So the tests below would see a login that a malformed request began."""
    begun = set(site.store._records._records) - set(site.store._records._counters)
    beginnings = [
        path
        for path in ROUTES
        if path in ("jslogin", "connect/qrconnect", "show") or "generat" in path
    ]
    for path in beginnings:
        assert send(site, f"GET /{path} HTTP/1.1").status == 200, path
    form = b"client_id=tv"
    assert send(site, "POST /device_authorization HTTP/1.1", *length(form), body=form).status == 200
    assert len(beginnings) == 6
    # A typed code has a second record, which names the login.
    records = set(site.store._records._records) - set(site.store._records._counters)
    assert len(records - begun) == 8


@for_each_row("path", ROUTES)
def test_a_wrong_method_gets_405_with_the_allowed_ones(
    site: Site, nothing_begun: None, path: str
) -> None:
    right = ROUTES[path] | ({"HEAD"} if "GET" in ROUTES[path] else set())
    for method in METHODS:
        if method not in right:
            received = send(site, f"{method} /{path} HTTP/1.1", "Content-Length: 0")
            assert received.status == 405
            assert set(received.headers["allow"].split(", ")) == right
            assert (
                received.headers["cache-control"],
                received.headers["x-content-type-options"],
            ) == (
                "no-store",
                "nosniff",
            )


@for_each_row("path", ROUTES)
def test_a_body_with_a_false_length_begins_no_login(
    site: Site, nothing_begun: None, path: str
) -> None:
    for method in ROUTES[path]:
        first = f"{method} /{path} HTTP/1.1"
        over = b"x" * (BODY_CAP + 1)
        assert 400 <= send(site, first, *length(over), body=over).status < 500
        received = send(
            site,
            first,
            f"Content-Type: {FORM}",
            "Content-Length: 1073741824",
            body=b"x" * 20_000,
            hang_up=True,
        )
        assert received.status in (0, 400, 413)
        for lines in (
            ("Content-Length: 2", "Content-Length: 40"),
            ("Content-Length: -2",),
            ("Content-Length: 0x2",),
        ):
            assert send(site, first, *lines, body=b"{}" + b" " * 38, hang_up=True).status in (
                0,
                400,
            )
        chunks = b"1\r\nx\r\n1\r\n=\r\n0\r\n\r\n"
        # The POST of these two routes reads no body.
        if path not in ("jslogin", "cgi-bin/mmwebwx-bin/webwxlogout") or method == "GET":
            received = send(
                site,
                first,
                f"Content-Type: {FORM}",
                "Transfer-Encoding: chunked",
                body=chunks,
                hang_up=True,
            )
            assert received.status == 0 or 400 <= received.status < 500


@row(68)
def test_a_request_hidden_in_a_body_is_not_read(site: Site) -> None:
    both = ("Transfer-Encoding: chunked", "Content-Length: 3")
    for path in ROUTES:
        for method in ROUTES[path]:
            before = len(site.store._records._records)
            hidden = b"0\r\n\r\nGET /jslogin HTTP/1.1\r\nHost: x\r\n\r\n"
            received = send(site, f"{method} /{path} HTTP/1.1", *both, body=hidden, hang_up=True)
            assert b"QRLogin" not in received.body or path == "jslogin"
            assert received.body.count(b"HTTP/1.") == 0
            # The first request may begin a login, if the server reads the chunks.
            assert len(site.store._records._records) <= before + 1


def test_a_malformed_path_is_refused(site: Site, nothing_begun: None) -> None:
    for path in (
        "jslogin%0d%0aX:y",
        "jslogin%00",
        "jslogin/x.css",
        "jslogin;x",
        "%2e%2e/jslogin",
        "show%ff",
        "l/%2e%2e",
        "l/*",
    ):
        received = send(site, f"GET /{path} HTTP/1.1")
        assert 400 <= received.status < 500, path
        assert "x" not in received.headers
    for code in (
        "%0d%0aX:y",
        "*",
        "{}",
        CODE + "%0a",
        "%30" * 32,
        "A" * 22,
        "A" * 22 + "%3D=",
        "x" * 8000,
    ):
        for path in (
            f"qrcode/{code}",
            f"l/{code}",
            f"qrcodelogin/{code}.png",
            f"connect/qrcode/{code}",
        ):
            assert 400 <= send(site, f"GET /{path} HTTP/1.1").status < 500, path


def test_malformed_headers_change_no_check(site: Site) -> None:
    polls = f"GET /qrcodelogin/qrcodeLoginCheck.do?lgToken={CODE} HTTP/1.1"
    for line in (
        f"Cookie: {'a=b; ' * 10_000}",
        f"User-Agent: {'x' * 60_000}",
        "Cookie: \x1b[31m\xff\x9d=\xff",
        "X: " + "y" * 30_000,
        "Range: bytes=0-1",
        "If-None-Match: *",
    ):
        assert send(site, polls, line).status in (200, 400, 431)
    for path in ROUTES:
        for method in (
            ROUTES[path] if path not in LINKS and not path.startswith(".well-known") else ()
        ):
            assert (
                send(
                    site,
                    f"{method} /{path} HTTP/1.1",
                    "Sec-Fetch-Site: cross-site",
                    "Content-Length: 0",
                ).status
                == 403
            )
            assert send(
                site, f"{method} /{path} HTTP/1.1", *["Sec-Fetch-Site: cross-site"] * 2
            ).status in (400, 403)


def test_there_is_no_websocket(site: Site) -> None:
    upgrade = (
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    for path in ROUTES:
        send(
            site,
            f"GET /{path} HTTP/1.1",
            "Connection: Upgrade",
            *upgrade,
            "Content-Length: 0",
            hang_up=True,
        )


def test_the_log_has_a_line_for_each_request_without_its_code(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:  # W31
    capsys.readouterr()
    paths = [
        f"l/{CODE}",
        f"connect/l/qrconnect?uuid={CODE}",
        "jslogin%0aGET%20/forged%20200",
        "%1b[31m",
        f"x?{CODE}",
        CODE,
    ]
    for path in paths:
        send(site, f"GET /{path} HTTP/1.1")
    lines = capsys.readouterr().err.splitlines()
    # uvicorn writes no line here.
    assert len(lines) == (len(paths) if isinstance(site.store, MemoryStore) else 0)
    for line in lines:
        assert line.isprintable()
        assert CODE not in line
        assert not line.startswith("GET /forged")
