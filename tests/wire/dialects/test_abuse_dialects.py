"""Every route of every dialect refuses what is not its protocol before it reads the store."""

import itertools
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from qrlogin.browser import MODULES
from qrlogin.wire import JD, METHODS, Bilibili, Request, Taobao, TaobaoNewLogin, WeChat, WeChatOpen
from qrlogin.wire.message import BODY_CAP
from qrlogin.wire.routes import handles
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import SPEAKERS
from tests.wire.dialects.hostile import HOSTILE, SITES, SUFFIXES
from tests.wire.dialects.lifecycle import StagedLogin, login_at
from tests.wire.mount import CREDENTIAL, ORIGIN, post, with_headers
from tests.wire.test_requests import MALFORMED, ODD_METHODS

LINKS = [
    route
    for kind in (WeChat, WeChatOpen, Taobao, TaobaoNewLogin, Bilibili, JD)
    for route in kind.browser_routes
    if route.cross_site
]
EVERY = for_each_row("name", SPEAKERS)


def open_to_all(request: Request) -> bool:
    """The modules and documents that any page may read, and the routes that a link may open."""
    return (
        request.path.rpartition("/")[2] in MODULES
        or request.path.startswith(".well-known/")
        or request.path == "authorize"  # the same error for every request
        or handles(LINKS, request.path)
    )


def checks_origin(name: str, request: Request) -> bool:
    """Whether the route refuses even the other ports of this host ("same-site")."""
    return name == "native" or request.path.endswith("/webwxlogout")


def links_within_the_site(name: str, request: Request) -> bool:
    """Whether a page of another origin of this site may send the request."""
    return name == "rfc8628" or open_to_all(request) or request.path.endswith("connect/qrconnect")


# Methods and paths


@EVERY
def test_a_wrong_method_gets_405_with_the_allowed_ones(name: str) -> None:
    with login_at(name, "scanned") as login:
        for request in login.requests.values():
            right = {
                route.method for route, each in login.requests.items() if each.path == request.path
            }
            right |= {"HEAD"} if "GET" in right else set()
            for method in (*METHODS, *ODD_METHODS):
                if method not in right:
                    refused = login.refused(replace(request, method=method), 405)
                    assert set(dict(refused.headers)["Allow"].split(", ")) == right
                    assert (refused.body == b"") == (method == "HEAD")
            for header in ("x-http-method-override", "x-method-override", "x-http-method"):
                if request.method == "GET" and "POST" not in right:
                    login.refused(
                        with_headers(replace(request, method="POST"), (header, "GET")), 405
                    )


@EVERY
def test_a_path_with_an_addition_is_not_found(name: str) -> None:  # W16
    with login_at(name, "scanned") as login:
        for request in login.requests.values():
            for suffix in SUFFIXES:
                login.refused(replace(request, path=request.path + suffix), 404)
            for path in (
                f"/{request.path}",
                f"./{request.path}",
                f"x/../{request.path}",
                request.path.upper() + "X",
            ):
                login.refused(replace(request, path=path), 404)
        for path in (
            "",
            "/",
            "x" * 1_000_000,
            *(route.path for route in login.routes if "{" in route.path),
        ):
            login.refused(Request("GET", path), 404)


# Bodies

FORMS = (
    None,
    "",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/json",
    "application/x-www-form-urlencodedx",
)
GARBAGE = {
    **MALFORMED,
    "a parameter twice": b"ck=1&ck=1&client_id=1&client_id=1",
    "bad escapes": b"ck=%ff%00%zz&device_code=%ff",
    "many": b"&".join(b"a%d=" % n for n in range(500)),
    "gaps": b"&" * 4000,
}


@EVERY
def test_a_malformed_body_is_refused(name: str) -> None:  # W2, W3
    with login_at(name, "scanned") as login:
        for request, body in itertools.product(login.requests.values(), GARBAGE.values()):
            if request.method == "GET" and body:
                login.refused(replace(request, body=body), 400)
            elif not request.body:
                login.ask_and_check_changes(replace(request, body=body))  # the route reads no body
            else:
                login.refused(replace(request, body=body), 400, 415, 401)


@EVERY
def test_a_body_beyond_the_limit_is_refused(name: str) -> None:  # W1
    with login_at(name, "scanned") as login:
        for request in login.requests.values():
            for body in (
                b"\x00" * (BODY_CAP + 1),
                request.body + b" " * BODY_CAP,
                (b"x=" + b"y" * BODY_CAP)[: BODY_CAP + 1],
            ):
                login.refused(
                    replace(request, body=body[: BODY_CAP + 1].ljust(BODY_CAP + 1)), 400, 413
                )


@EVERY
def test_a_body_of_another_content_type_is_refused(name: str) -> None:  # W4
    with login_at(name, "scanned") as login:
        for request, content_type in itertools.product(login.requests.values(), FORMS):
            if request.body and not (name == "native" and content_type == "application/json"):
                headers = tuple(header for header in request.headers if header[0] != "content-type")
                sent = () if content_type is None else (("content-type", content_type),)
                login.refused(replace(request, headers=(*headers, *sent)), 415)


# Pages of other sites

ORIGINS = (
    None,
    ORIGIN,
    "null",
    "https://evil.net",
    "https://example.com.evil.net",
    "https://example.com:8443",
    "HTTPS://EXAMPLE.COM",
)


@row(419)
@EVERY
def test_pages_of_other_sites_are_refused(name: str) -> None:  # W11, W12
    with login_at(name, "scanned") as login:
        for request in login.requests.values():
            for origin in ORIGINS:
                for site in SITES:
                    sent = [
                        (key, text)
                        for key, text in (("origin", origin), ("sec-fetch-site", site))
                        if text is not None
                    ]
                    asked = with_headers(request, *sent)
                    if site not in (None, "same-origin", "same-site", "none") and not open_to_all(
                        request
                    ):
                        login.refused(asked, 403)
                    else:
                        # The mount asserts that no header allows an origin.
                        answer = login.ask_and_check_changes(asked)
                        assert b"evil" not in answer.body
                        if origin not in (None, ORIGIN) or checks_origin(name, request):
                            continue
                        if site == "same-site" and not links_within_the_site(name, request):
                            assert answer.status == 403
                        else:
                            assert answer.status != 403
            if not open_to_all(request):
                twice = (("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin"))
                for both in (twice, twice[::-1]):
                    login.refused(with_headers(request, *both), 400, 403)


FORWARDED = (
    "host",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-original-url",
    "x-rewrite-url",
    "referer",
    "via",
)


@EVERY
def test_addresses_come_from_the_configuration(name: str) -> None:  # W17
    with login_at(name, "confirmed") as login:
        sent = [(header, "https://evil.net/x") for header in FORWARDED]
        for request in login.requests.values():
            answer = login.ask_and_check_changes(with_headers(request, *sent))
            assert b"evil" not in answer.body
            assert "evil" not in str(answer.headers) + str(answer.cookies)


# Cookies


def about_the_login(login: StagedLogin) -> Iterator[Request]:
    """The requests that need the login's cookie."""
    for request in login.requests.values():
        if login.cookie and request.path != login.begin_path and not open_to_all(request):
            asked = login.asked
            login.ask_and_check_changes(request)
            if login.asked > asked and request.path != "jslogin":
                yield request


@EVERY
def test_a_cookie_that_is_not_the_logins_own_is_refused(name: str) -> None:  # W13
    with login_at(name, "scanned") as login:
        cookie, own = login.cookie, login.device_code
        if not cookie:
            return
        twin = cookie.removeprefix("__Host-")
        other = own[:-1] + ("A" if own[-1] != "A" else "B")
        # The genuine cookie of another login.
        foreign = next(iter(login.ask(login.requests[login.routes[0]]).cookies)).value
        wrong = [
            f"{cookie}={foreign}",
            f"{twin}={own}",
            f"__Secure-{twin}={own}",
            f"{cookie.upper()}={own}",
            f"{cookie}={other}",
            f"{cookie}=",
            cookie,
        ]
        wrong += [
            f"{cookie}={'x' * 8000}",
            f"{cookie}={own}x",
            f'{cookie}="{own}"',
            f"{cookie}={own},{own}",
            "a=b; " * 20_000,
        ]
        wrong += [
            f"{cookie}=\x00{own}",
            f"{cookie}={own.upper()}",
            f"{cookie}={'.' * 500}",
            f"{cookie}x={own}",
            f"={own}",
            ";;;=",
        ]
        wrong += [f"{cookie}={text}" for text in HOSTILE if ";" not in text]
        met = list(about_the_login(login))
        assert met
        for request in met:
            headers = tuple(header for header in request.headers if header[0] != "cookie")
            answers = {
                login.refused(replace(request, headers=(*headers, ("cookie", line))))
                for line in wrong
            }
            assert len(answers) == 1, "the answers to strangers differ"
            for line in (
                f"{cookie}={own}; {cookie}={other}",
                f"{cookie}={other}; {cookie}={own}",
                f"{cookie}={own}; {cookie}={own}",
            ):
                login.refused(replace(request, headers=(*headers, ("cookie", line))), 400)
                crumbs = tuple(("cookie", crumb) for crumb in line.split("; "))
                login.refused(replace(request, headers=(*headers, *crumbs)), 400)


@EVERY
def test_an_earlier_cookie_is_not_reused_for_a_new_login(name: str) -> None:  # F4
    with login_at(name, "pending") as login:
        request = login.requests[login.routes[0]]
        for line in (
            f"{login.cookie}={login.device_code}",
            "; ".join(f"__Host-qrl-{n:08x}=x.y.{n}" for n in range(50)),
            "x" * 65_000,
        ):
            begun = login.ask_and_check_changes(with_headers(request, ("cookie", line)))
            assert login.device_code not in str([cookie.value for cookie in begun.cookies])


@for_each_row(
    "cursor",
    ["", "-1", "9" * 16, "9" * 5000, "1e3", "٣", "x", "1; x", "0x1", " 1", "999999999999999"],
)
def test_a_malformed_cursor_is_ignored(cursor: str) -> None:
    with login_at("wechat", "scanned") as login:
        request = next(each for each in login.requests.values() if each.path.endswith("/login"))
        sent = f"{login.cookie}={login.device_code}; {login.cookie}-told={cursor}"
        answer = login.ask(replace(request, headers=(("cookie", sent),)))
        assert answer.body.startswith(b"window.code=201;")


# Caches, upgrades, logs

CACHES = {
    "if-none-match": '"x"',
    "if-modified-since": "Fri, 31 Dec 2100 23:59:59 GMT",
    "if-match": '"x"',
    "range": "bytes=0-1",
    "cache-control": "only-if-cached, max-stale",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "expect": "100-continue",
    "accept-encoding": "gzip",
    "sec-purpose": "prefetch",
    "content-encoding": "gzip",
    "te": "trailers",
}


@EVERY
def test_headers_about_caches_and_ranges_change_no_answer(name: str) -> None:  # W16, W37
    with login_at(name, "scanned") as login:
        for request in login.requests.values():
            plain = login.ask_and_check_changes(request)
            for header, value in CACHES.items():
                answer = login.ask_and_check_changes(with_headers(request, (header, value)))
                assert answer.status == plain.status
                if name != "rfc8628":  # its later polls get slow_down with a Retry-After
                    assert len(answer.headers) == len(plain.headers)
                assert bool(answer.body) == bool(plain.body)


@row(40)
@EVERY
def test_no_log_line_and_no_phone_shows_control_characters_of_a_request(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """W18, W31. The phone shows only the User-Agent, and the scope that a device asks for."""
    caplog.set_level(logging.DEBUG)
    with login_at(name, "pending") as login:
        mount = login.mount
        agent = ("user-agent", "evil\r\n\x1b[31m\u202e<b>\x00" + "A" * 64_000)
        request = replace(login.requests[login.routes[0]], headers=())
        request = with_headers(
            request,
            *(
                header
                for header in login.requests[login.routes[0]].headers
                if header[0] == "content-type"
            ),
        )
        before = {*mount.records}
        login.ask_and_check_changes(with_headers(request, agent))
        (new,) = (
            each for each in mount.records.keys() - before if "context" in mount.records[each]
        )
        context = mount.records[new]["context"]
        assert context.isascii()
        assert context.isprintable()
        assert len(context) <= 400
        assert "\\" not in context
        for each in login.requests.values():
            login.ask(with_headers(each, agent))
            login.ask(replace(each, path=each.path + "\r\nevil", query="\r\nevil=evil"))
        mount.phone(post("scan", {"code": "evil\r\n"}, CREDENTIAL))
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert "evil" not in record.getMessage()


@EVERY
def test_an_unavailable_store_changes_nothing_and_is_asked_once(name: str) -> None:  # W32
    with login_at(name, "scanned") as login:
        before = login.mount.records
        login.mount.store.down = True
        for request in login.requests.values():
            asked = login.asked
            answer = login.mount.browser(request)
            assert login.asked <= asked + 1
            assert b"hunter2" not in answer.body
            assert answer.redeemed is None
            if login.asked == asked:
                assert answer.status < 500
        assert login.mount.records == before
