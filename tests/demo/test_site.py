"""The demo as an application: its pages, its phones, its sessions."""

import json
import re
from dataclasses import replace
from urllib.parse import unquote

import pytest

from qrlogin.demo import pages
from qrlogin.demo.people import MAX_SESSIONS, PEOPLE, Sessions
from qrlogin.demo.site import SESSION, Site
from qrlogin.wire import Response
from tests.demo.running import ORIGIN, Clock, bearer, cookie_header, json_of, send
from tests.tables import for_each_row

PAGES = (
    "/",
    "/phone",
    "/qr",
    "/qr/abc",
    "/no/such/page",
    "/gallery",
    "/demo/phone-window",
    "/demo/style.css",
    "/demo/phone.js",
    "/demo/gallery.js",
    "/demo/icon.svg",
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def begin(site: Site, **headers: str) -> tuple[dict[str, str], str]:
    """Begins a login. Returns the answer and the Cookie header."""
    begun = send(site, "POST", "/qrlogin/begin", {}, **headers)
    assert begun.status == 201
    return json_of(begun), cookie_header(begun)


def scan(site: Site, begun: dict[str, str], name: str = "alice", act: str = "scan") -> Response:
    return send(
        site,
        "POST",
        f"/qrlogin/phone/{act}",
        {"code": begun["verification_uri_complete"]},
        **bearer(site, name),
    )


def redeem(site: Site, begun: dict[str, str], cookie: str, op: str = "o" * 22) -> Response:
    tag = json_of(send(site, "GET", f"/qrlogin/{begun['login_id']}", cookie=cookie))["scanned_by"][
        "tag"
    ]
    return send(
        site,
        "POST",
        f"/qrlogin/{begun['login_id']}/redeem",
        {"acknowledged": tag, "op": op},
        cookie=cookie,
    )


def log_in(site: Site, name: str = "alice", cookie: str = "") -> str:
    """Logs a browser in, which has `cookie`. Returns its new Cookie header."""
    begun, device = begin(site)
    for act in ("scan", "confirm"):
        assert scan(site, begun, name, act).status == 200
    redeemed = redeem(site, begun, "; ".join(filter(None, (device, cookie))))
    assert redeemed.status == 200
    return cookie_header(redeemed)


# Pages


@for_each_row("path", PAGES)
def test_every_page_has_the_security_headers(site: Site, path: str) -> None:
    headers = dict(send(site, "GET", path).headers)
    directives = dict(
        part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";")
    )
    assert directives["default-src"] == "'none'"
    for directive in ("script-src", "style-src", "connect-src", "img-src", "form-action"):
        assert directives[directive] == "'self'"
    assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert directives["require-trusted-types-for"] == "'script'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_the_page_of_a_session_has_the_security_headers(site: Site) -> None:
    page = send(site, "GET", "/", cookie=log_in(site))
    without_session = dict(send(site, "GET", "/").headers)
    assert {**dict(page.headers), "Referrer-Policy": "no-referrer"} == without_session
    assert (
        dict(page.headers)["Referrer-Policy"] == "same-origin"
    )  # or its form would say "Origin: null" and be refused


@pytest.mark.parametrize("path", ["/", "/phone", "/qr", "/gallery", "/no/such/page"])
def test_pages_contain_no_inline_script_or_style(site: Site, path: str) -> None:
    html = send(site, "GET", path).body.decode()
    assert "<style" not in html
    assert not re.search(r"\s(style|on\w+)=", html)
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert "{" not in html  # every placeholder is filled


def test_the_script_of_the_phone_page_never_writes_html() -> None:
    script = pages.asset("phone.js").body.decode()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", script
    )


def test_opening_the_address_of_a_code_changes_nothing(site: Site) -> None:
    """Link previews, prefetches and prerenders open addresses. Only a tap may scan."""
    begun, cookie = begin(site)
    path = begun["verification_uri_complete"].removeprefix(ORIGIN)
    before = send(site, "GET", f"/qrlogin/{begun['login_id']}", cookie=cookie).body
    for headers in (
        {},
        {"cookie": cookie},
        bearer(site, "alice"),
        {"sec_purpose": "prefetch;prerender"},
    ):
        assert send(site, "GET", path, **headers).status == 200
        assert send(site, "HEAD", path, **headers).status == 200
    assert send(site, "POST", path, {}).status == 405
    assert send(site, "GET", f"/qrlogin/{begun['login_id']}", cookie=cookie).body == before


def test_the_phone_page_is_the_same_for_every_code(site: Site) -> None:
    begun, _ = begin(site)
    genuine = send(site, "GET", begun["verification_uri_complete"].removeprefix(ORIGIN))
    others = (
        "/qr/x",
        "/phone",
        "/qr",
        "/qr?user_code=WDJB-MJHT",
        f"/qr/{'ab' * 16}",
        "/qr/ypl2BF7kR0e3CZ8XGYY0Vg==",
    )
    assert cookie_header(genuine).startswith("qrl-landing=")
    plain = replace(genuine, cookies=())
    assert [send(site, "GET", path) for path in others] == [plain] * len(others)


def test_a_phone_that_opened_the_code_in_time_can_scan_it_after_signing_in(
    site: Site, clock: Clock
) -> None:
    """The page's cookie does it. Without it the link fails, as a photograph of the code does."""
    begun, _ = begin(site)
    code = begun["verification_uri_complete"]
    opened = send(site, "GET", code.removeprefix(ORIGIN))
    clock.ms += 100_000  # its code has rotated several times since
    for headers, status in (({}, 410), ({"cookie": cookie_header(opened)}, 200)):
        looked = send(
            site, "POST", "/qrlogin/phone/look", {"code": code}, **bearer(site, "alice"), **headers
        )
        assert looked.status == status


@for_each_row(
    "method, path, allowed",
    [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/phone", "GET, HEAD"),
        ("GET", "/logout", "POST"),
        ("GET", "/demo/phone", "POST"),
        ("POST", "/demo/me", "GET, HEAD"),
        ("POST", "/demo/terminal", "GET, HEAD"),
        ("PUT", "/demo/style.css", "GET, HEAD"),
        ("GET", "/qrlogin/begin", "POST"),
        ("GET", "/qrlogin/phone/scan", "POST"),
    ],
)
def test_a_wrong_method_is_answered_with_the_allowed_ones(
    site: Site, method: str, path: str, allowed: str
) -> None:
    answer = send(site, method, path)
    assert answer.status == 405
    assert dict(answer.headers)["Allow"] == allowed


@for_each_row(
    "path",
    [
        "/qr/a/b",
        "/qrs",
        "/phone/",
        "/demo/",
        "/demo/..",
        "/demo/site.py",
        "/qrlogin/",
        "/qrlogin/phone/",
    ],
)
def test_any_other_path_is_a_404(site: Site, path: str) -> None:
    assert send(site, "GET", path).status == 404


@pytest.mark.parametrize("host", ["localhost:8000", "192.0.2.7:8000", "evil.example"])
def test_another_host_name_redirects_to_the_origin(site: Site, host: str) -> None:
    """Cookies and Origin depend on the host name: under another one, a page could not log in."""
    for path in ("/", "/phone", "/qr/abc", "/qr", "/qr?user_code=WDJB-MJHT"):
        answer = send(site, "GET", path, host=host)
        assert (answer.status, dict(answer.headers)["Location"]) == (303, ORIGIN + path)
    for odd in ("/qr?user_code=%0d%0a", "/qr?user_code=a&x=b", "/qr?\x01"):
        assert dict(send(site, "GET", odd, host=host).headers)["Location"] == f"{ORIGIN}/qr"


# Phones


def test_only_its_token_identifies_a_phone(site: Site) -> None:
    """No cookie, no name in the body and no other scheme identifies a phone."""
    begun, cookie = begin(site)
    session = log_in(site)
    token = bearer(site, "alice")["authorization"].removeprefix("Bearer ")
    code = {"code": begun["verification_uri_complete"]}
    for headers in (
        {"authorization": "Bearer made-up"},
        {"authorization": f"Bearer {token}x"},
        {"authorization": f"Basic {token}"},
        {"authorization": token},
        {"authorization": "Bearer "},
        {"cookie": f"{cookie}; {session}", "origin": ORIGIN},
        {"cookie": f"Authorization={token}", "sec_fetch_site": "same-origin"},
    ):
        assert send(site, "POST", "/qrlogin/phone/scan", code, **headers).status == 401
    assert (
        send(site, "POST", "/qrlogin/phone/scan", code, cookie=session).status == 403
    )  # also from a page of the site
    assert (
        send(
            site, "POST", "/qrlogin/phone/scan", code | {"subject": "1001"}, **bearer(site, "bob")
        ).status
        == 400
    )
    assert scan(site, begun).status == 200


def test_tokens_differ_by_account_and_by_start(site: Site, clock: Clock) -> None:
    tokens = [
        bearer(started, name)["authorization"]
        for started in (site, Site(site._qr))
        for name in PEOPLE
    ]
    assert len(set(tokens)) == 4
    assert min(map(len, tokens)) > 40


def test_only_pages_of_the_site_can_unlock_a_phone(site: Site) -> None:
    assert (
        send(site, "POST", "/demo/phone", {"name": "alice"}, origin="https://evil.example").status
        == 403
    )
    assert (
        send(site, "POST", "/demo/phone", {"name": "alice"}, sec_fetch_site="cross-site").status
        == 403
    )
    unknown = send(site, "POST", "/demo/phone", {"name": "mallory"})
    assert unknown.status == 404
    assert "alice" in json_of(unknown)["error_description"]
    assert send(site, "POST", "/demo/phone", {"name": 1}).status == 400


def test_the_phone_is_shown_the_browser_that_asks(site: Site) -> None:
    begun, _ = begin(site, user_agent=FIREFOX)
    context = json_of(scan(site, begun))["context"]
    assert context == {"browser": "Firefox", "system": "Linux", "address": "127.0.0.1"}


# Sessions


def test_a_login_starts_a_session(site: Site) -> None:
    cookie = log_in(site)
    assert f"{SESSION}=" in cookie
    assert b"You are logged in as Alice" in send(site, "GET", "/", cookie=cookie).body
    assert json_of(send(site, "GET", "/demo/me", cookie=cookie)) == {"name": "Alice"}
    assert b"<qr-login" in send(site, "GET", "/").body
    assert send(site, "GET", "/demo/me").status == 401
    assert send(site, "GET", "/demo/me", cookie=f"{SESSION}=guess").status == 401


def test_the_session_cookie_is_httponly_and_samesite_lax(site: Site) -> None:
    begun, device = begin(site)
    for act in ("scan", "confirm"):
        scan(site, begun, act=act)
    [cookie] = (one for one in redeem(site, begun, device).cookies if one.key == SESSION)
    assert (cookie.key, cookie.httponly, cookie.samesite, cookie.path) == (
        SESSION,
        True,
        "Lax",
        "/",
    )


def test_a_login_ends_the_previous_session(site: Site) -> None:
    """Session fixation: an id that an attacker planted must not become the id of the session."""
    alice = log_in(site)
    bob = log_in(site, "bob", alice)
    assert alice != bob
    assert send(site, "GET", "/demo/me", cookie=alice).status == 401
    assert json_of(send(site, "GET", "/demo/me", cookie=bob)) == {"name": "Bob"}


def test_a_repeated_redeem_returns_the_same_session(site: Site) -> None:
    begun, device = begin(site)
    for act in ("scan", "confirm"):
        scan(site, begun, act=act)
    first = redeem(site, begun, device)
    # The answer was lost: the browser repeats it, first without and then with the cookie.
    again = redeem(site, begun, device)
    with_cookie = redeem(site, begun, f"{device}; {cookie_header(first)}")
    assert again.body == first.body == with_cookie.body
    assert json.loads(first.body)["state"] == "redeemed"
    assert again.cookies == first.cookies == with_cookie.cookies
    assert len(site._sessions) == 1
    assert redeem(site, begun, device, op="p" * 22).status == 409


def test_logging_out_ends_the_session(site: Site) -> None:
    cookie = log_in(site)
    for refused in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
    ):
        assert send(site, "POST", "/logout", cookie=cookie, **refused).status == 403
    assert send(site, "GET", "/demo/me", cookie=cookie).status == 200
    left = send(site, "POST", "/logout", cookie=cookie, origin=ORIGIN)
    assert (left.status, dict(left.headers)["Location"]) == (303, "/")
    assert [(cookie.key, cookie.max_age) for cookie in left.cookies] == [(SESSION, 0)]
    assert send(site, "GET", "/demo/me", cookie=cookie).status == 401


def test_the_oldest_session_is_dropped_at_the_limit() -> None:
    sessions = Sessions()
    ids = [sessions.start(f"login {number}", "1001") for number in range(MAX_SESSIONS + 5)]
    assert len(sessions) == MAX_SESSIONS
    assert sessions.find(ids[4]) is None
    assert sessions.find(ids[5]) == sessions.find(ids[-1]) == PEOPLE["alice"]


# Paths for one person who plays both sides


def test_the_phone_window_shows_the_newest_code_of_this_browser(site: Site, clock: Clock) -> None:
    first, one = begin(site)
    clock.ms += 2000
    second, two = begin(site)
    other = begin(site)[0]
    answer = send(
        site, "GET", "/demo/phone-window", cookie=f"{two}; {one}; qrl-0a0b0c0d=forged; other=x"
    )
    assert (answer.status, dict(answer.headers)["Location"]) == (
        303,
        second["verification_uri_complete"],
    )
    scan(site, second)
    answer = send(site, "GET", "/demo/phone-window", cookie=f"{one}; {two}")
    assert dict(answer.headers)["Location"] == first["verification_uri_complete"]
    clock.ms += 26_000  # the code has rotated since
    answer = send(site, "GET", "/demo/phone-window", cookie=one)
    assert dict(answer.headers)["Location"] not in (
        first["verification_uri_complete"],
        other["verification_uri_complete"],
    )
    assert (
        scan(site, {"verification_uri_complete": dict(answer.headers)["Location"]}, "bob").status
        == 200
    )


def test_the_phone_window_without_a_code_shows_a_note(site: Site, clock: Clock) -> None:
    _, cookie = begin(site)
    clock.ms += 121_000
    for headers in ({}, {"cookie": cookie}, {"cookie": "qrl-0a0b0c0d=forged"}):
        answer = send(site, "GET", "/demo/phone-window", **headers)
        assert dict(answer.headers)["Location"] == "/phone#nothing-phone-window"
    assert (
        dict(send(site, "GET", "/demo/terminal").headers)["Location"] == "/phone#nothing-terminal"
    )


def test_the_terminal_window_opens_the_code_of_the_terminal(site: Site) -> None:
    begun = json_of(send(site, "POST", "/qrlogin/begin", {"deliver": "body"}))
    site.show_terminal(begun["device_code"])
    answer = send(site, "GET", "/demo/terminal")
    assert dict(answer.headers)["Location"] == begun["verification_uri_complete"]
    scan(site, begun)
    assert (
        dict(send(site, "GET", "/demo/terminal").headers)["Location"] == "/phone#nothing-terminal"
    )


@pytest.mark.parametrize(
    "path", ["/qr/x%0D%0ASet-Cookie%3A%20evil%3D1", "/qr/%3Cb%3E", "/qr/a%20b", "/qr/", "/qr//a/"]
)
def test_a_wrapped_code_opens_the_page_and_sets_no_header(site: Site, path: str) -> None:
    """Servers and scanners add signs to an address. The page shows nothing of it."""
    opened = send(site, "GET", unquote(path), host="127.0.0.1:8000")
    assert (opened.status, opened.body) == (200, send(site, "GET", "/qr").body)
    moved = send(site, "GET", unquote(path), host="localhost:8000")
    assert (moved.status, dict(moved.headers)["Location"]) == (303, f"{ORIGIN}{path}")
    for answer in (opened, moved):
        assert not any("evil=" in value for _, value in answer.header_list())
