"""The base of the dialects with a public id: its options, its handlers, and the one route that
other sites may link to.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from qrlogin import MemoryStore, Misconfigured, QRLogin
from qrlogin.arguments import decode_context
from qrlogin.core import Core
from qrlogin.errors import Forbidden
from qrlogin.operation import Operation
from qrlogin.wire import (
    JD,
    Bilibili,
    Endpoint,
    Request,
    Response,
    Taobao,
    TaobaoNewLogin,
    WeChat,
    WeChatOpen,
)
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.public_id import Handler, PublicIdDialect
from qrlogin.wire.routes import Route
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.lifecycle import HISTORIES, login_at
from tests.wire.mount import KEY, ORIGIN, URI, Colour, Mount, get, with_headers

KINDS: dict[str, type[PublicIdDialect]] = {
    "bilibili": Bilibili,
    "jd": JD,
    "taobao": Taobao,
    "newlogin": TaobaoNewLogin,
    "wechat": WeChat,
    "wechat_open": WeChatOpen,
}
EVERY = for_each_row("name", KINDS)


def make_qr() -> QRLogin:
    return QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)


@pytest.fixture
def core() -> Core:
    return make_qr().core


# Options


@pytest.mark.parametrize("kind", KINDS.values())
def test_an_omitted_option_means_the_site_and_the_originals_lifetime(
    kind: type[PublicIdDialect], core: Core
) -> None:
    dialect = kind(core)
    assert (dialect.base_url, dialect.after_login_url) == (
        "https://example.com/",
        "https://example.com/",
    )
    assert dialect.lifetime == (300 if kind in (WeChat, WeChatOpen) else 180)
    chosen = kind(core, at="https://example.com/a/b/", after_login_path="/home", lifetime=60)
    assert (chosen.base_url, chosen.after_login_url, chosen.lifetime) == (
        "https://example.com/a/b/",
        "https://example.com/home",
        60,
    )


@for_each_row("kind", KINDS.values())
@for_each_row(
    "option, value",
    [
        ("at", "https://elsewhere.example/"),
        ("at", "https://example.com.evil.example"),
        ("at", "http://example.com"),
        ("at", "https://example.com/?a=b"),
        ("at", "https://example.com/#a"),
        ("at", 'https://example.com/"'),
        ("at", "https://example.com/a b"),
        ("at", "https://example.com/<b>"),
        ("lifetime", 0),
        ("lifetime", 601),
        ("lifetime", "60"),
    ],
)
def test_an_invalid_option_is_refused(
    kind: type[PublicIdDialect], option: str, value: object, core: Core
) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(Misconfigured, match=option):
        kind(core, **options)


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_misspelled_option_is_refused(kind: type[PublicIdDialect], core: Core) -> None:
    options: dict[str, Any] = {"landing_pth": "/home"}
    with pytest.raises(TypeError, match="landing_pth"):
        kind(core, **options)


def test_the_lifetime_of_the_dialect_is_the_lifetime_of_its_logins() -> None:
    qr = make_qr()
    begun = Endpoint(qr, Bilibili(qr.core, lifetime=60), max_waiting=1).browser(
        Request("GET", "x/passport-login/web/qrcode/generate")
    )
    assert qr.status(begun.cookies[0].value).expires_in == 60


# A custom dialect

ONE, TWO = Route("GET", "one", "It begins"), Route("GET", "two", "It ends")


class Custom(PublicIdDialect):
    """A route for each handler, and a handler for each route."""

    browser_routes: tuple[Route, ...] = (ONE, TWO)
    mine: tuple[str, ...] = ("one", "two")

    def handlers(self) -> Mapping[str, Handler]:
        return dict.fromkeys(self.mine, lambda request, code: self.script("done();"))


class NoHandler(Custom):
    mine = ("one",)


class NoRoute(Custom):
    mine = ("one", "two", "three")


class Misspelled(Custom):
    mine = ("one", "tow")


class Nothing(Custom):
    mine = ()


def test_a_dialect_with_all_its_handlers_answers(core: Core) -> None:
    qr = make_qr()
    endpoint = Endpoint(qr, Custom(qr.core), max_waiting=1)
    statuses = [endpoint.browser(get(path)).status for path in ("one", "two", "three")]
    assert statuses == [200, 200, 404]


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (NoHandler, "two"),
        (NoRoute, "three"),
        (Misspelled, "two"),
        (Misspelled, "tow"),
        (Nothing, "one"),
    ],
)
def test_a_route_without_a_handler_is_refused_at_construction(
    kind: type[Custom], missing: str, core: Core
) -> None:
    with pytest.raises(
        TypeError, match=f"{kind.__name__} has a route without a handler.*'{missing}'"
    ):
        kind(core)


def test_a_subclass_that_adds_a_route_alone_is_refused(core: Core) -> None:
    class More(Bilibili):
        browser_routes: tuple[Route, ...] = (*Bilibili.browser_routes, ONE)

    with pytest.raises(TypeError, match="More has a route without a handler"):
        More(core)


# The page that a login leads to


@EVERY
@for_each_row(
    "path",
    [
        "/a\r\nSet-Cookie: a=b",
        "/a\n",
        "/a\r",
        "\n/a",
        "/\x00",
        "/\t/evil.example",
        "/ a",
        "/\x7f",
        *("/caf\u00e9", "/\u8d26\u6237", "/\uff0fevil.example", "/a\u2028b", "/\u0661"),
        *("\\evil.example", "/\\evil.example", "\\\\evil.example", "/a\\b"),
        *("//evil.example", "//evil.example/a", "///evil.example", "//", "//@evil.example"),
        "evil.example",
        "a",
        "",
        "?a",
        "#a",
        "@evil.example",
        ":8443/",
        ".evil.example",
        "https://evil.example/",
        *('/"', "/<b>", "/`", "/{a}", "/|", "/^"),
    ],
)
def test_an_after_login_path_outside_this_site_is_refused(name: str, path: str, core: Core) -> None:
    with pytest.raises(Misconfigured, match="after_login_path must be a path of this site"):
        KINDS[name](core, after_login_path=path)


@EVERY
@for_each_row(
    "path", ["/", "/account", "/a/b/", "/a?b=c&d=//e", "/a#b", "/caf%C3%A9", "/@me", "/a//b"]
)
def test_an_after_login_path_is_used_unchanged(name: str, path: str, core: Core) -> None:
    assert KINDS[name](core, after_login_path=path).after_login_url == f"https://example.com{path}"


# Links from other sites


def sent_by(site: str, request: Request) -> Request:
    return with_headers(request, ("sec-fetch-site", site))


def contents(answer: Response) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    return answer.status, answer.headers, answer.body


@EVERY
@for_each_row("history", HISTORIES)
def test_only_the_scanned_address_is_open_to_other_sites(
    name: str, history: str, colour: Colour
) -> None:
    with login_at(name, history, colour) as login:
        assert login.requests.keys() == set(KINDS[name].browser_routes)
        opened = []
        for route, request in login.requests.items():
            if route.cross_site:
                answer = login.refused(sent_by("cross-site", request), 302)
                assert contents(answer) == contents(login.refused(request, 302))
                assert dict(answer.headers)["Location"].startswith(f"{URI}/")
                assert answer.cookies == ()
                opened.append(request.path)
            else:
                for site in (
                    "cross-site",
                    "cross-site, same-origin",
                    "Same-Origin",
                    "",
                    "anything",
                ):
                    assert b"forbidden" in login.refused(sent_by(site, request), 403).body
        assert len(opened) == 1


@EVERY
def test_the_scanned_address_opens_without_a_cookie(name: str) -> None:
    """A phone's browser has no cookie. A public id that this site did not sign is not found."""
    with login_at(name, "pending") as login:
        (request,) = (request for route, request in login.requests.items() if route.cross_site)
        stranger = sent_by("cross-site", login.without_secret(request))
        answer, code = login.refused(stranger, 302), login.code
        assert (answer.cookies, dict(answer.headers)["Location"]) == ((), f"{URI}/{code}")
        if stranger.query:
            login.refused(replace(stranger, query=""), 400)
        forged = (
            code[:-3] + ("A" if code[-3] != "A" else "B") + code[-2:]
            if code.endswith("=")
            else code[:-1] + "0g"[code[-1] == "0"]
        )
        login.refused(
            Request(
                stranger.method,
                stranger.path.replace(code, forged),
                stranger.query.replace(code, forged),
                stranger.headers,
            ),
            404,
        )


#: What a browser sends with a request of a page, and whether it is answered with a listed page and
#: without.
OTHER, FOREIGN = "https://login.example.com", "https://login.elsewhere.example"
SENT_BY_PAGES = [
    ({"sec-fetch-site": "same-origin"}, True, True),
    ({"sec-fetch-site": "none"}, True, True),
    ({"sec-fetch-site": "same-site"}, False, False),
    ({"sec-fetch-site": "same-site", "origin": OTHER}, True, False),
    ({"sec-fetch-site": "same-site", "referer": f"{OTHER}/"}, True, False),
    ({"sec-fetch-site": "same-site", "referer": f"{OTHER}/page?a=b"}, True, False),
    ({"sec-fetch-site": "same-site", "origin": "null", "referer": f"{OTHER}/"}, True, False),
    ({"sec-fetch-site": "same-site", "referer": f"{OTHER}@evil.example.com/"}, False, False),
    ({"sec-fetch-site": "same-site", "referer": "https://blog.example.com/"}, False, False),
    # Such as a redirect of the sibling, which a picture in a page of this site leads to.
    ({"sec-fetch-site": "same-site", "referer": f"{ORIGIN}/"}, False, False),
    ({"sec-fetch-site": "cross-site", "referer": f"{OTHER}/"}, False, False),
    # Browsers from before 2023, and sites on plain http.
    ({"referer": f"{ORIGIN}/login"}, True, True),
    ({"referer": f"{ORIGIN}:443/login"}, True, True),
    ({"origin": ORIGIN}, True, True),
    ({"referer": f"{OTHER}/"}, True, False),
    ({"referer": f"{OTHER}:443/"}, True, False),
    ({"origin": OTHER}, True, False),
    ({"referer": "https://blog.example.com/"}, False, False),
    ({"referer": "https://blog.example.com:8443/"}, False, False),
    ({"referer": "https://example.com:8443/"}, False, False),
    ({"referer": "https://example.com:80/"}, False, False),
    ({"referer": "http://example.com:443/"}, False, False),
    # Programs, some with the address of the site for which they were written.
    ({}, True, True),
    ({"origin": "null"}, True, True),
    ({"referer": "https://login.taobao.com/"}, True, True),
    ({"referer": f"{FOREIGN}/", "origin": FOREIGN}, True, True),
]


@row(60)
@for_each_row("sent, listed, unlisted", SENT_BY_PAGES)
def test_pages_of_other_origins_of_the_site_must_be_listed(
    sent: dict[str, str], listed: bool, unlisted: bool, core: Core
) -> None:
    for pages, answered in (((OTHER,), listed), ((), unlisted)):
        dialect = WeChat(core, pages=pages)
        request = Request("GET", "jslogin", headers=tuple(sent.items()))
        if answered:
            assert isinstance(dialect.browser(request), Exchange)
        else:
            with pytest.raises(Forbidden):
                dialect.browser(request)


@for_each_row(
    "pages",
    ["https://login.example.com", ["*"], ["null"], ["https://a.example.com/"], [7], [ORIGIN]],
)
def test_a_page_that_no_browser_names_cannot_be_listed(pages: Any, core: Core) -> None:
    with pytest.raises(Misconfigured, match="pages"):
        WeChat(core, pages=pages)
    with pytest.raises(Misconfigured, match="same site"):
        WeChat(core, pages=["http://localhost"])


def test_a_custom_route_may_be_opened_to_other_sites(colour: Colour) -> None:
    class WithOpenRoute(Custom):
        browser_routes: tuple[Route, ...] = (
            ONE,
            Route("GET", "two", "Any page may lead here", cross_site=True),
        )

    with Mount(colour, make=WithOpenRoute) as mount:
        assert [
            mount.browser(sent_by("cross-site", get(path))).status for path in ("one", "two")
        ] == [403, 200]
        assert [
            mount.browser(sent_by("same-origin", get(path))).status for path in ("one", "two")
        ] == [200, 200]


def test_only_the_description_is_cut_and_not_the_name_of_the_client(core: Core) -> None:
    describe = {"device": "x" * 400, "client": "forged", "client_id": "forged"}
    dialect = WeChatOpen(core, describe=lambda _: describe, names=lambda appid: f"App {appid}")
    exchange = dialect.browser(Request("GET", "connect/qrconnect", query=f"appid={'a' * 64}"))
    assert isinstance(exchange, Exchange)
    assert isinstance(exchange.operation, Operation)
    context = decode_context(exchange.operation.command.values["context"])
    assert context.keys() == {"device", "client"}
    assert context["client"] == f"App {'a' * 64}"
    assert context["device"].endswith("x…")
