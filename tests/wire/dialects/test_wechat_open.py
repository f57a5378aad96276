"""WeChat's open platform sends the documented bytes in every state. A stranger learns nothing."""

import json
import re
from functools import partial
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

import pytest

from qrlogin.browser import LANGUAGES, texts
from qrlogin.wire import Request, Response
from qrlogin.wire.dialect import Exchange, HeldStatus
from qrlogin.wire.dialects.wechat_open import WeChatOpen
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.polled_clients import (
    COLOURS_AND_STORES,
    check_device_cookie,
    opened,
    redis_of,
)
from tests.wire.dialects.wechat_clients import (
    BACKEND,
    NEIGHBOUR,
    WeChatOpenClient,
    happen,
    parameters,
    strangers,
    wechat_open,
)
from tests.wire.mount import Colour

EVERYWHERE = pytest.mark.parametrize(("colour", "store"), COLOURS_AND_STORES)
TOKEN = "sns/oauth2/access_token"
CALLBACK = "https://example.com/connect/callback"
#: A number is a poll with this code; +n lets n seconds pass. As in the original's page, a poll
#: sends the code that was received last, unless it was 408.
STORIES = {
    "not scanned": "408 408",
    "scanned": "408 scan 404 408 404 408",
    "released, and scanned again": "scan 404 release 403 408 scan 404 release 403",
    "scanned and released between two polls": "scan release 408",
    "released after a poll without news": "scan 404 408 release 408",
    "approved": "scan 404 confirm 405 405",
    "scanned and approved between two polls": "scan confirm 405",
    "approved at the last moment": "408 +299 scan 404 +89 confirm +29 405",
    "refused": "scan 404 deny 403 402 403",
    "scanned and refused between two polls": "scan deny 403 402",
    "released, then refused": "scan 404 release 403 scan deny 402",
    "approved, then refused": "scan confirm 405 deny 403 402",
    "given up": "408 cancel 402 402",
    "collected": "scan confirm 405 collect 402 402",
    "not scanned in time": "408 +300 402",
    "not approved in time": "scan 404 +90 402 402",
    "not collected in time": "scan confirm 405 +30 402",
    "long gone": "scan confirm +3600 402",
    "the store is unavailable": "scan away 500 500",
}


@EVERYWHERE
@for_each_row("story", STORIES)
def test_each_poll_gets_the_documented_code(
    story: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat_open, colour, redis_of(request, store)) as service:
        client = WeChatOpenClient(service)
        client.begin()
        for step in STORIES[story].split():
            if not step.isdigit():
                happen(client, step)
                continue
            wx_code = f"{client.code}{client.facts()['ticket']}" if step == "405" else ""
            answer = client.poll()
            assert answer.body.decode() == f"window.wx_errcode={step};window.wx_code='{wx_code}';"
            assert dict(answer.headers)["Content-Type"] == "application/javascript; charset=utf-8"
            path, query, _ = client.poll_request()
            as_json = client.send(path, f"f=json&{query}")
            assert as_json.body.decode() == f'{{"wx_errcode":{step},"wx_code":"{wx_code}"}}'
            assert dict(as_json.headers)["Content-Type"] == "application/json; charset=utf-8"
            assert (
                (answer.status, answer.redeemed, answer.cookies)
                == (as_json.status, None, ())
                == (200, None, ())
            )
            client.last = "" if step == "408" else step


@EVERYWHERE
def test_a_login_from_beginning_to_end(
    colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat_open, colour, redis_of(request, store)) as service:
        client = WeChatOpenClient(service)
        page = client.begin(("user-agent", "Firefox/140.0"))
        (device,) = page.cookies
        check_device_cookie(device, 300 + 90 + 30 + 30)
        happen(client, "scan", "confirm")
        answer = client.collect()
        assert answer.redeemed is not None
        assert (answer.redeemed.subject, answer.redeemed.replayed) == ("1", False)
        assert answer.redeemed.context == {"browser": "Firefox"}
        assert (answer.status, dict(answer.headers)["Location"]) == (302, "https://example.com/")
        assert dict(answer.headers)["Referrer-Policy"] == "no-referrer"


@EVERYWHERE
def test_an_application_needs_the_code_and_the_browsers_cookie(
    colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat_open, colour, redis_of(request, store)) as service:
        client = WeChatOpenClient(service)
        client.wants = {
            "appid": "wx1",
            "redirect_uri": NEIGHBOUR,
            "response_type": "code",
            "scope": "snsapi_login",
            "state": "s",
        }
        assert Page(client.begin()).body["data-target"] == f"{NEIGHBOUR}?"
        happen(client, "scan", "confirm")
        code = client.wx_code
        asked = len(service.store.calls)

        def exchanged(jar: dict[str, str], **other: str) -> Response:
            query = {**BACKEND, "code": code, "grant_type": "authorization_code", **other}
            return WeChatOpenClient(service, jar).send(TOKEN, urlencode(query))

        invalid = b'{"errcode":40029,"errmsg":"invalid code"}'
        other = WeChatOpenClient(service)
        other.begin()
        asked += 1
        assert exchanged({}).body == invalid  # a code without its browser's cookie
        assert exchanged(other.jar).body == invalid
        assert (
            exchanged(client.jar, code="x").body
            == exchanged(client.jar, code=code[::-1]).body
            == invalid
        )
        assert (
            exchanged(client.jar, secret="guessed").body
            == b'{"errcode":40125,"errmsg":"invalid appsecret"}'
        )
        assert exchanged(client.jar, secret="").body == exchanged(client.jar, appid="wx2").body
        assert (
            exchanged(client.jar, grant_type="password").body
            == b'{"errcode":40002,"errmsg":"invalid grant_type"}'
        )
        assert len(service.store.calls) == asked, "a request without credentials reached the store"
        assert exchanged(client.jar, code=code[:-32] + "0" * 32).body == invalid

        answer = exchanged(client.jar)
        assert answer.redeemed is not None
        assert answer.body == b"{}"
        assert answer.with_json({"access_token": "t"}).body == b'{"access_token":"t"}'
        again = exchanged(client.jar)  # the answer was lost
        assert again.redeemed is not None
        assert again.redeemed.replayed
        service.clock.advance(31)
        assert exchanged(client.jar).body == invalid
        service.store.down = True
        assert exchanged(client.jar).body == b'{"errcode":-1,"errmsg":"system error"}'


@EVERYWHERE
@for_each_row("echo", [False, True])
def test_an_answer_lost_at_each_step_loses_no_login(
    echo: bool, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat_open, colour, redis_of(request, store)) as service:
        service.store.echo = echo
        client = WeChatOpenClient(service)
        client.begin()
        happen(client, "scan")
        assert client.poll() == client.poll()
        client.last = "404"
        happen(client, "release")
        assert client.poll() == client.poll()
        happen(client, "scan", "confirm")
        assert client.poll() == client.poll()
        path, query, _ = client.collect_request()
        first, second = client.send(path, query), client.send(path, query)
        assert (first.headers, first.status) == (second.headers, second.status)
        assert [redeemed.replayed for redeemed in service.redeemed] == [False, True]
        service.clock.advance(31)
        late = client.send(path, query)
        assert (late.status, json.loads(late.body)["error"]) == (409, "already_redeemed")


def test_a_poll_is_held_until_there_is_news_for_this_client() -> None:
    with opened(wechat_open) as service:
        client, dialect = WeChatOpenClient(service), WeChatOpen(service.core)
        client.begin()

        def held(last: str) -> object:
            client.last = last
            path, query, _ = client.poll_request()
            exchange = dialect.browser(Request("GET", path, query, (("cookie", client.cookies),)))
            assert isinstance(exchange, Exchange)
            assert isinstance(exchange.operation, HeldStatus)
            assert exchange.operation.timeout == 25
            return exchange.operation.after

        assert [held(last) for last in ("", "408", "403", "405", "x", "404")] == [
            None,
            None,
            None,
            None,
            None,
            "scanned",
        ]


# The page


class Page(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.shown: list[str] = []
        self.policy = dict(answer.headers)["Content-Security-Policy"]
        self.feed(answer.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        last = self.elements[-1][0] if self.elements else ""
        if last == "script":
            self.scripts.append(data)
        elif last != "style" and data.strip():
            self.shown.append(data.strip())

    def __getitem__(self, tag: str) -> dict[str, str | None]:
        (found,) = (attributes for name, attributes in self.elements if name == tag)
        return found

    @property
    def body(self) -> dict[str, str | None]:
        return self["body"]


def test_clients_find_the_uuid_in_the_page() -> None:
    with opened(wechat_open) as service:
        client = WeChatOpenClient(service)
        client.wants = {"appid": "wx1", "state": "a b&c"}
        answer = client.begin()
        html, uuid = answer.body.decode(), client.code
        assert re.fullmatch("[0-9a-f]{32}", uuid)
        assert f'<img src="/connect/qrcode/{uuid}"' in html
        assert f'G="{uuid}"' in html
        assert re.findall(r"uuid=([a-zA-Z0-9_-]+)", html) == [uuid]
        body = Page(answer).body
        assert {name: body[name] for name in body if not name[5:].isdigit()} == {
            "data-poll": f"/connect/l/qrconnect?uuid={uuid}&f=json",
            "data-target": f"{CALLBACK}?",
            "data-state": "a%20b%26c",
            "data-frame": "",
        }
        assert (answer.status, dict(answer.headers)["Content-Type"]) == (
            200,
            "text/html; charset=utf-8",
        )
        assert dict(answer.headers)["Referrer-Policy"] == "no-referrer"
        sources = [part.split() for part in Page(answer).policy.split("; ")]
        assert all(
            source in {"'none'", "'self'", "'script'"} or source.startswith("'sha256-")
            for _, *each in sources
            for source in each
        )
        assert [name for name, *each in sources if each == ["'none'"]] == [
            "default-src",
            "base-uri",
            "form-action",
            "trusted-types",
        ]


@for_each_row("lang", LANGUAGES)
def test_the_page_has_every_text_in_the_language_of_the_browser(lang: str) -> None:
    catalogue = texts(lang)
    known = {text for section in catalogue.values() for text in section.values()}
    with opened(wechat_open) as service:
        page = Page(WeChatOpenClient(service).begin(("accept-language", f"xx, {lang};q=0.5")))
    assert page["html"] == {"lang": lang, "dir": catalogue["pages"]["direction"]}
    said = [page.body[f"data-{code}"] for code in (402, 403, 404, 405)]
    shown = [*page.shown, page["img"]["alt"], *said]
    assert len(page.shown) == 5, "title, heading, status, link, noscript"
    assert set(shown) <= known


@pytest.mark.parametrize(
    "state",
    [
        '"><script>alert(1)</script>',
        "</script><script>",
        "{{uuid}}",
        "'\\\r\n\0",
        "é\u2028",
        "x" * 512,
    ],
)
def test_a_state_comes_back_unchanged_and_cannot_change_the_page(state: str) -> None:
    with opened(wechat_open) as service:
        client = WeChatOpenClient(service)
        client.wants = {"state": "harmless"}
        harmless = Page(client.begin())
        client.wants = {"state": state}
        page = Page(client.begin())
        assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]
        sent = page.body["data-state"]
        assert sent is not None
        assert parameters(f"state={sent}") == {"state": state}
        assert re.fullmatch("[A-Za-z0-9_.~%-]+", sent)


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("https://example.com/back", "https://example.com/back?"),
        ("https://example.com", "https://example.com?"),
        ("https://example.com/back?a=b&c", "https://example.com/back?a=b&c&"),
        ("https://example.com?a", "https://example.com?a&"),
        ("https://example.com/?a=1&copy=2", "https://example.com/?a=1&copy=2&"),  # no ©
        (NEIGHBOUR, f"{NEIGHBOUR}?"),
    ],
)
def test_a_registered_redirect_uri_becomes_the_target_of_the_page(
    address: str, target: str
) -> None:
    with opened(wechat_open) as service:
        client = WeChatOpenClient(service)
        client.wants = {"appid": "wx1", "redirect_uri": address}
        assert Page(client.begin()).body["data-target"] == target


ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/back",
    "https:evil.example",
    "https:///evil.example",
    "https://example.com.evil.example/",
    "https://example-com/",
    "https://example.com@evil.example/",
    "https://example.com:x@evil.example/",
    "https://example.com:@evil.example/",
    "https://example.com\\@evil.example/",
    "https://example.com\\.evil.example/",
    "https://example.com%2eevil.example/",
    "https://example.com#@evil.example/",
    "https://example.com/#x",
    "https://example.com/a b",
    "https://example.com/\t",
    "https://example.com/\r\nSet-Cookie: a=b",
    'https://example.com/"><script>',
    "https://example.com/é",
    "https://EXAMPLE.com/",
    "https://exam\u200bple.com/",
    "http://example.com/",
    "ftp://example.com/",
    "javascript:alert(1)//https://example.com/",
    "data:text/html,x",
    "https://example.com:8443/other",
    "https://example.com:8444/back",
    "https://example.com:843/",
    f"{NEIGHBOUR}/",
    f"{NEIGHBOUR}?a",
    f" {CALLBACK}",
    f"{CALLBACK}\n",
]


@row(422)
@for_each_row("address", ELSEWHERE)
def test_an_unregistered_redirect_uri_is_refused(address: str) -> None:
    with opened(wechat_open) as service:
        client = WeChatOpenClient(service)
        client.wants = {"appid": "wx1", "redirect_uri": address}
        answer = client.begin()
        assert (answer.status, json.loads(answer.body)["error"], answer.cookies) == (
            400,
            "invalid_request",
            (),
        )
        assert address not in answer.body.decode()
        assert service.store.calls == []


def test_a_registered_redirect_uri_of_another_host_is_refused() -> None:
    with opened(partial(wechat_open, redirect_uris=lambda appid, address: True)) as service:
        client = WeChatOpenClient(service)
        for address in ELSEWHERE:
            client.wants = {"appid": "wx1", "redirect_uri": address}
            if client.begin().status == 200:
                assert urlsplit(address).hostname == "example.com", address
                assert urlsplit(address).scheme == "https", address
                assert not re.search(r"[^!-~]|[\"#<>\\@]", address), address


def test_a_redirect_uri_is_registered_for_one_application() -> None:
    with opened(wechat_open) as service:
        client = WeChatOpenClient(service)
        client.wants = {"appid": "wx2", "redirect_uri": NEIGHBOUR}
        assert client.begin().status == 400
        client.wants = {"redirect_uri": NEIGHBOUR}
        assert client.begin().status == 400
        for wants in ({"appid": "x" * 65}, {"appid": "ü"}, {"state": "x" * 513}):
            client.wants = wants
            assert client.begin().status == 400


def test_self_redirect_navigates_the_frame() -> None:
    with opened(wechat_open) as service:
        client = WeChatOpenClient(service)
        client.wants = {"self_redirect": "true"}
        assert Page(client.begin()).body["data-frame"] == "self"
        client.wants = {"self_redirect": "1"}
        assert Page(client.begin()).body["data-frame"] == ""


# Strangers


@EVERYWHERE
def test_a_stranger_gets_the_answer_for_a_login_that_does_not_exist(
    colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat_open, colour, redis_of(request, store)) as service:
        client, other = WeChatOpenClient(service), WeChatOpenClient(service)
        client.begin()
        other.begin()
        happen(client, "scan", "confirm")
        path, query, _ = client.collect_request()
        asked = len(service.store.calls)
        without_cookie, thief, forger, foreign = strangers(client, other)

        answers = [each.poll(client.code) for each in (other, without_cookie, thief, forger)]
        answers += [
            client.poll(code)
            for code in (foreign, client.code[::-1], "0" * 32, "x", "x" * 3000, "%00")
        ]
        assert {answer.body for answer in answers} == {b"window.wx_errcode=402;window.wx_code='';"}
        assert len({(answer.headers, answer.cookies) for answer in answers}) == 1
        landed = [each.send(path, query) for each in (other, without_cookie, thief, forger)]
        landed += [
            client.send(path, f"code={code}") for code in ("x", "0" * 64, client.code, "x" * 3000)
        ]
        assert len(service.store.calls) == asked, "a forged code reached the store"
        landed.append(client.send(path, f"code={client.code}{'0' * 32}"))
        assert {(answer.status, answer.body) for answer in landed} == {(404, landed[0].body)}
        assert service.redeemed == []
        assert client.collect().redeemed  # the login is unharmed


# Other routes


def test_no_application_is_registered_by_default() -> None:
    with opened(WeChatOpen) as service:
        client = WeChatOpenClient(service)
        client.wants = {"appid": "wx1", "redirect_uri": NEIGHBOUR}
        assert client.begin().status == 400
        client.wants = {}
        client.begin()
        happen(client, "scan", "confirm")
        query = {
            "appid": "",
            "secret": "",
            "code": client.wx_code,
            "grant_type": "authorization_code",
        }
        assert (
            client.send(TOKEN, urlencode(query)).body
            == b'{"errcode":40125,"errmsg":"invalid appsecret"}'
        )
        assert client.collect().redeemed


def test_a_malformed_query_is_refused() -> None:
    with opened(wechat_open) as service:
        client = WeChatOpenClient(service)
        client.begin()
        asked = len(service.store.calls)
        for path, query in (
            (client.poll_path, ""),
            (client.poll_path, f"uuid={client.code}&last=404&last=404"),
            (client.poll_path, f"uuid={client.code}&f=%ff"),
            (client.collect_path, ""),
            (client.begin_path, "state=1&state=2"),
        ):
            assert client.send(path, query).status == 400, query
        assert len(service.store.calls) == asked


def test_the_mount_and_the_after_login_path_are_in_every_address() -> None:
    with opened(
        partial(wechat_open, at="https://example.com/open/", after_login_path="/account")
    ) as service:
        client = WeChatOpenClient(service)
        page = Page(client.begin())
        assert page["img"]["src"] == f"/open/connect/qrcode/{client.code}"
        assert page.body["data-poll"] == f"/open/connect/l/qrconnect?uuid={client.code}&f=json"
        assert page.body["data-target"] == "https://example.com/open/connect/callback?"
        assert (
            service.phone(
                "scan", f"https://example.com/open/connect/confirm?uuid={client.code}"
            ).status
            == 200
        )
        assert service.phone("confirm", client.code).status == 200
        assert dict(client.collect().headers)["Location"] == "https://example.com/account"
