"""The demo as an application: its pages, who its phones belong to, its sessions."""

import json
import re
import sys
from urllib.parse import unquote

import pytest

from qrlogin.demo import pages
from qrlogin.demo.people import MOST, PEOPLE, Sessions
from qrlogin.demo.site import SESSION, Site, described
from qrlogin.wire import Request, Response
from qrlogin.wire.context import _parser
from tests.demo.running import ORIGIN, Clock, ask, bearer, cookies, said
from tests.tables import for_each_row

PAGES = (
    "/",
    "/phone",
    "/qr",
    "/qr/abc",
    "/no/such/page",
    "/demo/phone-window",
    "/demo/style.css",
    "/demo/phone.js",
    "/demo/icon.svg",
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def begin(site: Site, **headers: str) -> tuple[dict[str, str], str]:
    """The answer, and the Cookie header for later."""
    begun = ask(site, "POST", "/qrlogin/begin", {}, **headers)
    assert begun.status == 201
    return said(begun), cookies(begun)


def scan(site: Site, begun: dict[str, str], name: str = "alice", act: str = "scan") -> Response:
    return ask(
        site,
        "POST",
        f"/qrlogin/phone/{act}",
        {"code": begun["verification_uri_complete"]},
        **bearer(site, name),
    )


def redeem(site: Site, begun: dict[str, str], cookie: str, op: str = "o" * 22) -> Response:
    tag = said(ask(site, "GET", f"/qrlogin/{begun['login_id']}", cookie=cookie))["scanned_by"][
        "tag"
    ]
    return ask(
        site,
        "POST",
        f"/qrlogin/{begun['login_id']}/redeem",
        {"acknowledged": tag, "op": op},
        cookie=cookie,
    )


def log_in(site: Site, name: str = "alice", cookie: str = "") -> str:
    """The Cookie header of a browser that was logged in; what it had before is in `cookie`."""
    begun, device = begin(site)
    for act in ("scan", "confirm"):
        assert scan(site, begun, name, act).status == 200
    redeemed = redeem(site, begun, "; ".join(filter(None, (device, cookie))))
    assert redeemed.status == 200
    return cookies(redeemed)


# Pages


@for_each_row("path", PAGES)
def test_every_page_is_guarded(site: Site, path: str) -> None:
    headers = dict(ask(site, "GET", path).headers)
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


def test_the_page_of_a_session_is_guarded_too(site: Site) -> None:
    page = ask(site, "GET", "/", cookie=log_in(site))
    strangers = dict(ask(site, "GET", "/").headers)
    assert {**dict(page.headers), "Referrer-Policy": "no-referrer"} == strangers
    assert (
        dict(page.headers)["Referrer-Policy"] == "same-origin"
    )  # or its form would say "Origin: null" and be refused


@pytest.mark.parametrize("path", ["/", "/phone", "/qr", "/no/such/page"])
def test_pages_hold_neither_script_nor_style(site: Site, path: str) -> None:
    html = ask(site, "GET", path).body.decode()
    assert "<style" not in html
    assert not re.search(r"\s(style|on\w+)=", html)
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert "{" not in html  # no word was forgotten


def test_the_phone_page_puts_text_in_as_text() -> None:
    script = pages.asset("phone.js").body.decode()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", script
    )


def test_opening_a_code_changes_nothing(site: Site) -> None:
    """A link preview, a prefetch or a prerender opens the address: only a person's tap may scan."""
    begun, cookie = begin(site)
    path = begun["verification_uri_complete"].removeprefix(ORIGIN)
    before = ask(site, "GET", f"/qrlogin/{begun['login_id']}", cookie=cookie).body
    for headers in (
        {},
        {"cookie": cookie},
        bearer(site, "alice"),
        {"sec_purpose": "prefetch;prerender"},
    ):
        assert ask(site, "GET", path, **headers).status == 200
        assert ask(site, "HEAD", path, **headers).status == 200
    assert ask(site, "POST", path, {}).status == 405
    assert ask(site, "GET", f"/qrlogin/{begun['login_id']}", cookie=cookie).body == before


def test_the_phone_page_is_the_same_for_every_code(site: Site) -> None:
    begun, _ = begin(site)
    genuine = ask(site, "GET", begun["verification_uri_complete"].removeprefix(ORIGIN))
    others = (
        "/qr/x",
        "/phone",
        "/qr",
        "/qr?user_code=WDJB-MJHT",
        f"/qr/{'ab' * 16}",
        "/qr/ypl2BF7kR0e3CZ8XGYY0Vg==",
    )
    assert [ask(site, "GET", path) for path in others] == [genuine] * len(others)


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
def test_a_wrong_method_hears_the_right_one(
    site: Site, method: str, path: str, allowed: str
) -> None:
    answer = ask(site, method, path)
    assert answer.status == 405
    assert dict(answer.headers)["Allow"] == allowed


@for_each_row(
    "path",
    [
        "/qr/",
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
def test_nothing_else_is_there(site: Site, path: str) -> None:
    assert ask(site, "GET", path).status == 404


@pytest.mark.parametrize("host", ["localhost:8000", "192.0.2.7:8000", "evil.example"])
def test_another_name_of_this_machine_leads_to_the_right_one(site: Site, host: str) -> None:
    """Cookies and Origin go by the name; a page under another one could not log in."""
    for path in ("/", "/phone", "/qr/abc", "/qr", "/qr?user_code=WDJB-MJHT"):
        answer = ask(site, "GET", path, host=host)
        assert (answer.status, dict(answer.headers)["Location"]) == (303, ORIGIN + path)
    for odd in ("/qr?user_code=%0d%0a", "/qr?user_code=a&x=b", "/qr?\x01"):
        assert dict(ask(site, "GET", odd, host=host).headers)["Location"] == f"{ORIGIN}/qr"


# Phones


def test_a_phone_needs_its_token(site: Site) -> None:
    """Nothing else makes somebody the owner of a phone: no cookie, no name in the body, no other scheme."""
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
        assert ask(site, "POST", "/qrlogin/phone/scan", code, **headers).status == 401
    assert (
        ask(site, "POST", "/qrlogin/phone/scan", code, cookie=session).status == 403
    )  # not even from a page of ours
    assert (
        ask(
            site, "POST", "/qrlogin/phone/scan", code | {"subject": "1001"}, **bearer(site, "bob")
        ).status
        == 400
    )
    assert scan(site, begun).status == 200


def test_tokens_differ_by_person_and_by_start(site: Site, clock: Clock) -> None:
    tokens = [
        bearer(each, name)["authorization"] for each in (site, Site(site._qr)) for name in PEOPLE
    ]
    assert len(set(tokens)) == 4
    assert min(map(len, tokens)) > 40


def test_unlocking_is_for_the_site_itself(site: Site) -> None:
    assert (
        ask(site, "POST", "/demo/phone", {"name": "alice"}, origin="https://evil.example").status
        == 403
    )
    assert (
        ask(site, "POST", "/demo/phone", {"name": "alice"}, sec_fetch_site="cross-site").status
        == 403
    )
    nobody = ask(site, "POST", "/demo/phone", {"name": "mallory"})
    assert nobody.status == 404
    assert "alice" in said(nobody)["error_description"]
    assert ask(site, "POST", "/demo/phone", {"name": 1}).status == 400


def test_the_phone_is_shown_the_browser_that_asks(site: Site) -> None:
    begun, _ = begin(site, user_agent=FIREFOX)
    context = said(scan(site, begun))["context"]
    assert context == {"browser": "Firefox 140", "system": "Linux", "address": "127.0.0.1"}


def test_a_browser_without_a_user_agent_gets_no_description() -> None:
    assert described()(Request("POST", "begin")) == {}


def test_without_ua_parser_the_phone_is_shown_what_the_browser_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The demo needs no extra for that."""
    monkeypatch.setitem(sys.modules, "ua_parser", None)
    _parser.cache_clear()
    try:
        describe = described()
    finally:
        monkeypatch.undo()
        _parser.cache_clear()
    request = Request("POST", "begin", headers=(("user-agent", FIREFOX),), client="192.0.2.7")
    assert describe(request) == {"browser": FIREFOX, "address": "192.0.2.7"}
    assert describe(Request("POST", "begin", client="127.0.0.1")) == {"address": "127.0.0.1"}
    assert describe(Request("POST", "begin")) == {}


# Sessions


def test_a_login_starts_a_session_of_its_own(site: Site) -> None:
    cookie = log_in(site)
    assert cookie.startswith(f"{SESSION}=")
    assert b"You are logged in as Alice" in ask(site, "GET", "/", cookie=cookie).body
    assert said(ask(site, "GET", "/demo/me", cookie=cookie)) == {"name": "Alice"}
    assert b"<qr-login" in ask(site, "GET", "/").body
    assert ask(site, "GET", "/demo/me").status == 401
    assert ask(site, "GET", "/demo/me", cookie=f"{SESSION}=guess").status == 401


def test_a_session_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site) -> None:
    begun, device = begin(site)
    for act in ("scan", "confirm"):
        scan(site, begun, act=act)
    [cookie] = redeem(site, begun, device).cookies
    assert (cookie.key, cookie.httponly, cookie.samesite, cookie.path) == (
        SESSION,
        True,
        "Lax",
        "/",
    )


def test_a_login_leaves_nothing_of_the_session_before(site: Site) -> None:
    """Session fixation: an id that somebody put there before must not become the id of the login."""
    alice = log_in(site)
    bob = log_in(site, "bob", alice)
    assert alice != bob
    assert ask(site, "GET", "/demo/me", cookie=alice).status == 401
    assert said(ask(site, "GET", "/demo/me", cookie=bob)) == {"name": "Bob"}


def test_a_repeated_redeem_gives_one_session(site: Site) -> None:
    begun, device = begin(site)
    for act in ("scan", "confirm"):
        scan(site, begun, act=act)
    first = redeem(site, begun, device)
    tag_was_shown = json.loads(first.body)
    # The answer was lost: the browser asks again, first without, then with the cookie.
    again = redeem(site, begun, device)
    with_cookie = redeem(site, begun, f"{device}; {cookies(first)}")
    assert again.body == first.body == with_cookie.body
    assert tag_was_shown["state"] == "redeemed"
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
        assert ask(site, "POST", "/logout", cookie=cookie, **refused).status == 403
    assert ask(site, "GET", "/demo/me", cookie=cookie).status == 200
    left = ask(site, "POST", "/logout", cookie=cookie, origin=ORIGIN)
    assert (left.status, dict(left.headers)["Location"]) == (303, "/")
    assert [(each.key, each.max_age) for each in left.cookies] == [(SESSION, 0)]
    assert ask(site, "GET", "/demo/me", cookie=cookie).status == 401


def test_sessions_do_not_pile_up() -> None:
    sessions = Sessions()
    ids = [sessions.start(f"login {number}", "1001") for number in range(MOST + 5)]
    assert len(sessions) == MOST
    assert sessions.find(ids[4]) is None
    assert sessions.find(ids[5]) == sessions.find(ids[-1]) == PEOPLE["alice"]


# One person plays both sides


def test_the_phone_window_shows_the_newest_code_of_this_browser(site: Site, clock: Clock) -> None:
    first, one = begin(site)
    clock.ms += 2000
    second, two = begin(site)
    stranger = begin(site)[0]
    answer = ask(
        site, "GET", "/demo/phone-window", cookie=f"{two}; {one}; qrl-0a0b0c0d=forged; other=x"
    )
    assert (answer.status, dict(answer.headers)["Location"]) == (
        303,
        second["verification_uri_complete"],
    )
    scan(site, second)
    answer = ask(site, "GET", "/demo/phone-window", cookie=f"{one}; {two}")
    assert dict(answer.headers)["Location"] == first["verification_uri_complete"]
    clock.ms += 26_000  # the code has rotated since
    answer = ask(site, "GET", "/demo/phone-window", cookie=one)
    assert dict(answer.headers)["Location"] not in (
        first["verification_uri_complete"],
        stranger["verification_uri_complete"],
    )
    assert (
        scan(site, {"verification_uri_complete": dict(answer.headers)["Location"]}, "bob").status
        == 200
    )


def test_the_phone_window_without_a_code_says_so(site: Site, clock: Clock) -> None:
    _, cookie = begin(site)
    clock.ms += 121_000
    for headers in ({}, {"cookie": cookie}, {"cookie": "qrl-0a0b0c0d=forged"}):
        answer = ask(site, "GET", "/demo/phone-window", **headers)
        assert dict(answer.headers)["Location"] == "/phone#nothing-phone-window"
    assert dict(ask(site, "GET", "/demo/terminal").headers)["Location"] == "/phone#nothing-terminal"


def test_the_terminal_has_a_window_too(site: Site) -> None:
    begun = said(ask(site, "POST", "/qrlogin/begin", {"deliver": "body"}))
    site.show_terminal(begun["device_code"])
    answer = ask(site, "GET", "/demo/terminal")
    assert dict(answer.headers)["Location"] == begun["verification_uri_complete"]
    scan(site, begun)
    assert dict(ask(site, "GET", "/demo/terminal").headers)["Location"] == "/phone#nothing-terminal"


@pytest.mark.parametrize(
    "path", ["/qr/x%0d%0aSet-Cookie:%20evil=1", "/qr/%3Cb%3E", "/qr/a%20b", "/qr/"]
)
def test_what_cannot_be_a_code_is_no_page_and_no_header(site: Site, path: str) -> None:
    for host in ("127.0.0.1:8000", "localhost:8000"):
        answer = ask(site, "GET", unquote(path), host=host)
        assert answer.status == 404
        assert not any("evil" in value for _, value in answer.header_list())
