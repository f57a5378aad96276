"""Every route of every dialect, asked in ways that are none of its protocol: refused, and the store does not hear of it."""

import itertools
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from qrlogin.browser import MODULES
from qrlogin.wire import JD, METHODS, Bilibili, Request, Taobao, TaobaoNewLogin, WeChat, WeChatOpen
from qrlogin.wire.message import BODY_CAP
from qrlogin.wire.routes import handles
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import SPEAKERS
from tests.wire.dialects.hostile import HOSTILE, SITES, SUFFIXES
from tests.wire.dialects.lifecycle import Life, lived
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
    """The one file and the documents that any page may read, and what a link in a messenger may open: nothing is anybody's."""
    return (
        request.path in MODULES
        or request.path.startswith(".well-known/")
        or handles(LINKS, request.path)
    )


def checks_origin(name: str, request: Request) -> bool:
    """Whether the route refuses even the other ports of this host ("same-site")."""
    return name == "native" or request.path.endswith("/webwxlogout")


# Methods and paths


@EVERY
def test_a_wrong_method_gets_405_with_the_allowed_ones(name: str) -> None:
    with lived(name, "scanned") as life:
        for request in life.requests.values():
            right = {
                route.method for route, each in life.requests.items() if each.path == request.path
            }
            for method in (*METHODS, *ODD_METHODS):
                if method not in right:
                    refused = life.refused(replace(request, method=method), 405)
                    assert set(dict(refused.headers)["Allow"].split(", ")) == right
                    assert (refused.body == b"") == (method == "HEAD")
            for header in ("x-http-method-override", "x-method-override", "x-http-method"):
                if request.method == "GET" and "POST" not in right:
                    life.refused(
                        with_headers(replace(request, method="POST"), (header, "GET")), 405
                    )


@EVERY
def test_a_path_with_something_added_is_no_path(name: str) -> None:  # W16
    with lived(name, "scanned") as life:
        for request in life.requests.values():
            for suffix in SUFFIXES:
                life.refused(replace(request, path=request.path + suffix), 404)
            for path in (
                f"/{request.path}",
                f"./{request.path}",
                f"x/../{request.path}",
                request.path.upper() + "X",
            ):
                life.refused(replace(request, path=path), 404)
        for path in (
            "",
            "/",
            "x" * 1_000_000,
            *(route.path for route in life.routes if "{" in route.path),
        ):
            life.refused(Request("GET", path), 404)


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
    with lived(name, "scanned") as life:
        for request, body in itertools.product(life.requests.values(), GARBAGE.values()):
            if request.method == "GET" and body:
                life.refused(replace(request, body=body), 400)
            elif not request.body:
                life.changes_nothing_unsaid(replace(request, body=body))  # it reads none
            else:
                life.refused(replace(request, body=body), 400, 415, 401)


@EVERY
def test_a_body_beyond_the_limit_is_refused(name: str) -> None:  # W1
    with lived(name, "scanned") as life:
        for request in life.requests.values():
            for body in (
                b"\x00" * (BODY_CAP + 1),
                request.body + b" " * BODY_CAP,
                (b"x=" + b"y" * BODY_CAP)[: BODY_CAP + 1],
            ):
                life.refused(
                    replace(request, body=body[: BODY_CAP + 1].ljust(BODY_CAP + 1)), 400, 413
                )


@EVERY
def test_a_body_of_another_content_type_is_refused(name: str) -> None:  # W4
    with lived(name, "scanned") as life:
        for request, content_type in itertools.product(life.requests.values(), FORMS):
            if request.body and not (name == "native" and content_type == "application/json"):
                headers = tuple(header for header in request.headers if header[0] != "content-type")
                sent = () if content_type is None else (("content-type", content_type),)
                life.refused(replace(request, headers=(*headers, *sent)), 415)


# Where it comes from

ORIGINS = (
    None,
    ORIGIN,
    "null",
    "https://evil.net",
    "https://example.com.evil.net",
    "https://example.com:8443",
    "HTTPS://EXAMPLE.COM",
)


@EVERY
def test_pages_of_other_sites_are_refused(name: str) -> None:  # W11, W12
    with lived(name, "scanned") as life:
        for request in life.requests.values():
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
                        life.refused(asked, 403)
                    else:
                        answer = life.changes_nothing_unsaid(
                            asked
                        )  # its mount asserts that no origin is allowed anything
                        assert b"evil" not in answer.body
                        if origin in (None, ORIGIN) and not checks_origin(name, request):
                            assert answer.status != 403
            if not open_to_all(request):
                twice = (("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin"))
                for both in (twice, twice[::-1]):
                    life.refused(with_headers(request, *both), 400, 403)


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
    with lived(name, "confirmed") as life:
        sent = [(header, "https://evil.net/x") for header in FORWARDED]
        for request in life.requests.values():
            answer = life.changes_nothing_unsaid(with_headers(request, *sent))
            assert b"evil" not in answer.body
            assert "evil" not in str(answer.headers) + str(answer.cookies)


# Cookies


def about_the_login(life: Life) -> Iterator[Request]:
    """What a cookie decides: whoever asks these without it is a stranger."""
    for request in life.requests.values():
        if life.cookie and request.path != life.begins and not open_to_all(request):
            asked = life.asked
            life.changes_nothing_unsaid(request)
            if life.asked > asked and request.path != "jslogin":
                yield request


@EVERY
def test_a_cookie_that_is_not_the_logins_own(name: str) -> None:  # W13
    with lived(name, "scanned") as life:
        cookie, own = life.cookie, life.device_code
        if not cookie:
            return
        twin = cookie.removeprefix("__Host-")
        other = own[:-1] + ("A" if own[-1] != "A" else "B")
        foreign = next(
            iter(life.ask(life.requests[life.routes[0]]).cookies)
        ).value  # genuine, and of another login
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
        met = list(about_the_login(life))
        assert met
        for request in met:
            headers = tuple(header for header in request.headers if header[0] != "cookie")
            told = {
                life.refused(replace(request, headers=(*headers, ("cookie", line))))
                for line in wrong
            }
            assert len(told) == 1, "strangers are all told the same"
            for line in (
                f"{cookie}={own}; {cookie}={other}",
                f"{cookie}={other}; {cookie}={own}",
                f"{cookie}={own}; {cookie}={own}",
            ):
                life.refused(replace(request, headers=(*headers, ("cookie", line))), 400)
                crumbs = tuple(("cookie", crumb) for crumb in line.split("; "))
                life.refused(replace(request, headers=(*headers, *crumbs)), 400)


@EVERY
def test_a_cookie_from_before_is_not_taken_for_a_new_login(name: str) -> None:  # F4
    with lived(name, "pending") as life:
        request = life.requests[life.routes[0]]
        for line in (
            f"{life.cookie}={life.device_code}",
            "; ".join(f"__Host-qrl-{n:08x}=x.y.{n}" for n in range(50)),
            "x" * 65_000,
        ):
            begun = life.changes_nothing_unsaid(with_headers(request, ("cookie", line)))
            assert life.device_code not in str([cookie.value for cookie in begun.cookies])


@for_each_row(
    "told",
    ["", "-1", "9" * 16, "9" * 5000, "1e3", "٣", "x", "1; x", "0x1", " 1", "999999999999999"],
)
def test_a_malformed_cursor_is_not_used(told: str) -> None:
    with lived("wechat", "scanned") as life:
        request = next(each for each in life.requests.values() if each.path.endswith("/login"))
        sent = f"{life.cookie}={life.device_code}; {life.cookie}-told={told}"
        answer = life.ask(replace(request, headers=(("cookie", sent),)))
        assert answer.body.startswith(b"window.code=201;")


# Caches, upgrades, logs

CACHES = {
    "if-none-match": "*",
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
def test_nothing_is_answered_from_a_cache_or_in_part(name: str) -> None:  # W16, W37
    with lived(name, "scanned") as life:
        for request in life.requests.values():
            plain = life.changes_nothing_unsaid(request)
            for header, value in CACHES.items():
                answer = life.changes_nothing_unsaid(with_headers(request, (header, value)))
                assert answer.status == plain.status
                assert name == "rfc8628" or len(answer.headers) == len(
                    plain.headers
                )  # which says "slow down", by and by
                assert bool(answer.body) == bool(plain.body)


@EVERY
def test_nothing_that_is_sent_gets_into_a_log_or_in_front_of_a_person(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """W18, W31. The one thing of a request that a person sees is the browser's name for itself, and for a device its scope."""
    caplog.set_level(logging.DEBUG)
    with lived(name, "pending") as life:
        mount = life.mount
        agent = ("user-agent", "evil\r\n\x1b[31m\u202e<b>\x00" + "A" * 64_000)
        request = replace(life.requests[life.routes[0]], headers=())
        request = with_headers(
            request,
            *(
                header
                for header in life.requests[life.routes[0]].headers
                if header[0] == "content-type"
            ),
        )
        before = {*mount.records}
        life.changes_nothing_unsaid(with_headers(request, agent))
        (new,) = (
            each for each in mount.records.keys() - before if "context" in mount.records[each]
        )
        context = mount.records[new]["context"]
        assert context.isascii()
        assert context.isprintable()
        assert len(context) <= 400
        assert "\\" not in context
        for each in life.requests.values():
            life.ask(with_headers(each, agent))
            life.ask(replace(each, path=each.path + "\r\nevil", query="\r\nevil=evil"))
        mount.phone(post("scan", {"code": "evil\r\n"}, CREDENTIAL))
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert "evil" not in record.getMessage()


@EVERY
def test_while_the_store_is_unavailable_every_route_says_so(name: str) -> None:  # W32
    with lived(name, "scanned") as life:
        before = life.mount.records
        life.mount.store.down = True
        for request in life.requests.values():
            asked = life.asked
            answer = life.mount.browser(request)
            assert life.asked <= asked + 1
            assert b"hunter2" not in answer.body
            assert answer.redeemed is None
            if life.asked == asked:
                assert answer.status < 500
        assert life.mount.records == before
