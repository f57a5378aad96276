"""Callbacks, pages after a login, pictures and forms of single polled dialects work as their
clients expect.
"""

import base64
import io
import json
import re
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from PIL import Image

from qrlogin import MemoryStore, QRLogin
from qrlogin.render import png
from qrlogin.wire import Endpoint, Request
from qrlogin.wire.dialects.bilibili import Bilibili
from qrlogin.wire.dialects.jd import JD
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.taobao_newlogin import TaobaoNewLogin, logged_in
from tests.render.readers import decode
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.polled_clients import (
    CLIENTS,
    FORM,
    NOTHING,
    BilibiliClient,
    JDClient,
    NewLoginClient,
    TaobaoClient,
    opened,
    reach,
)
from tests.wire.dialects.wechat_clients import EitherWeChatClient, WeChatClient, WeChatOpenClient
from tests.wire.mount import KEY

PENDING = TaobaoClient.poll_bodies["pending"]
#: The beginning of an SWF file in letters and digits, sent as a callback (CVE-2014-4671).
ROSETTA_FLASH = (
    "CWSMIKI0hCD0Up0IZUnnnnnnnnnnnnnnnnnnnUU5nnnnnn3Snn7iiudIbEAt333swW0ssG03"
    "sDDtDDDt0333333Gt333swwv3wwwFPOHtoHHvwHHFhH"
)
CALLBACKS = ("jsonp31", "a", "7", "$", "_.x", "jQuery110$_1.cb", "x" * 64)
NO_CALLBACKS = (
    "x" * 65,
    ROSETTA_FLASH,
    "a(",
    "alert(1)//",
    "a;b",
    "<script>",
    "a\nb",
    "a\n",
    "a\x00",
    "a b",
    "a-b",
    "a[0]",
    "é",
    "\u2028",
    "\U0001d4b6",  # a letter, but not an ASCII one
    "٣",
    "a=b",
    "a/**/",
    "//",
    "'",
    '"',
    "\\u0061",
)


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_is_called(name: str) -> None:
    with opened(Taobao) as service:
        client = TaobaoClient(service)
        client.begin()
        answer = client.send(client.poll_path, f"callback={quote(name)}&lgToken={client.code}")
        assert answer.body.decode() == f"(function(){{{name}({PENDING});}})();"
        assert dict(answer.headers)["Content-Type"] == "application/javascript; charset=utf-8"
        answer = client.send(client.begin_path, f"callback={quote(name)}")
        assert re.fullmatch(
            rf'\(function\(\)\{{{re.escape(name)}\(\{{"success":true,"message":"null","url":"//example\.com/qrcodelogin/'
            r'([0-9a-f]{32})\.png","lgToken":"\1","adToken":"[0-9a-f]{32}"\}\);\}\)\(\);',
            answer.body.decode(),
        )


@row(36)
@for_each_row("name", NO_CALLBACKS)
@for_each_row("kind", ["taobao", "jd"])
def test_a_callback_that_is_not_a_plain_name_is_refused_and_not_repeated(
    kind: str, name: str
) -> None:
    with opened(CLIENTS[kind].dialect) as service:
        client = CLIENTS[kind](service)
        client.begin()
        before = len(service.store.calls)
        for path, field in (
            (client.poll_path, "token" if kind == "jd" else "lgToken"),
            (client.begin_path, ""),
        ):
            if path == "show":
                continue  # it answers with a picture
            answer = client.send(path, urlencode({"callback": name, field: client.code}))
            assert answer.status == 400
            assert dict(answer.headers)["Content-Type"] == "application/json; charset=utf-8"
            if len(name) >= 4:  # "a(" and the like are in every text
                assert name.encode() not in answer.body
        for doubled in (
            f"callback=a&callback=b&{field}={client.code}",
            f"callback=%FF&{field}={client.code}",
        ):
            assert client.send(client.poll_path, doubled).status == 400
        assert len(service.store.calls) == before


def test_no_callback_or_an_empty_one_means_bare_json() -> None:
    with opened(Taobao) as service:
        client = TaobaoClient(service)
        client.begin()
        for more in ("", "&callback=", "&callback"):
            answer = client.send(client.poll_path, f"lgToken={client.code}{more}")
            assert (answer.body.decode(), dict(answer.headers)["Content-Type"]) == (
                PENDING,
                "application/json; charset=utf-8",
            )
    with opened(JD) as service:
        jd = JDClient(service)
        jd.begin()
        answer = jd.send(jd.poll_path, f"token={jd.code}")
        assert json.loads(answer.body)["code"] == 201
        assert dict(answer.headers)["Content-Type"] == "application/json; charset=utf-8"


@for_each_row("name", [*CALLBACKS, *NO_CALLBACKS])
def test_without_jsonp_a_callback_is_ignored(name: str) -> None:
    with opened(lambda core: Taobao(core, jsonp=False)) as service:
        client = TaobaoClient(service)
        client.begin()
        answer = client.send(
            client.poll_path, urlencode({"callback": name, "lgToken": client.code})
        )
        assert (answer.body.decode(), dict(answer.headers)["Content-Type"]) == (
            PENDING,
            "application/json; charset=utf-8",
        )


def test_a_refusal_calls_the_jsonp_callback() -> None:
    with opened(Taobao) as service:
        answer = TaobaoClient(service).send(
            TaobaoClient.poll_path, f"callback=cb&lgToken={'0' * 32}"
        )
        assert (
            answer.body.decode() == f"(function(){{cb({TaobaoClient.poll_bodies['ended']});}})();"
        )
        service.store.down = True
        assert TaobaoClient(service).begin().status == 503


def test_the_json_in_a_jsonp_call_contains_no_closing_bracket() -> None:
    """Some clients read up to the first `)`."""
    with opened(lambda core: Taobao(core, after_login_path="/a(b)c")) as service:
        client = TaobaoClient(service)
        reach(client, "confirmed")
        script = client.send(client.poll_path, f"callback=cb&lgToken={client.code}").body.decode()
        assert script.count(")") == 4  # all of them are in the wrapper
        assert (
            json.loads(script.removeprefix("(function(){cb(").partition(")")[0])["code"] == "10006"
        )
        assert dict(client.collect().headers)["Location"] == "https://example.com/a(b)c"


# Where a login leads


HONOURED = {
    "/": "/",
    "/account": "/account",
    "/account/": "/account/",
    "/a/b-c_d~e.f": "/a/b-c_d~e.f",
    "/a?b=c&d=%E4%BD%A0": "/a?b=c&d=%E4%BD%A0",
    "/?next=//evil.example": "/?next=//evil.example",
    "https://example.com/": "/",
    "https://example.com/a?b": "/a?b",
}
NOT_HONOURED = (
    "https://www.taobao.com",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/%2f%2fevil.example",
    "/%5cevil.example",
    "https:evil.example",
    "https:/evil.example",
    "https://evil.example/",
    "/\t/evil.example",
    "\t//evil.example",
    " //evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/..//evil.example",
    "/../x",
    "/./x",
    "/a/..",
    "/a//b",
    "@evil.example",
    "https://example.com@evil.example/",
    "https://example.com.evil.example/",
    "https://example.com:8443/",
    "https://example.com",
    "https://example.com//evil.example",
    "http://example.com/",
    "HTTPS://EXAMPLE.COM/",
    "https://user:pw@example.com/",
    "evil.example",
    "account",
    "/ä",
    "https://exämple.com/",
    "/a\r\nSet-Cookie: x=1",
    "/a\nb",
    "/a\x00b",
    "/a#b",
    "/a b",
    '/a"b',
    "/a<b>",
    "/a?b#c",
    "/a?\\b",
    "/a?" + "x" * 501,
    "?x=1",
    "/" + "x" * 3000 + "\n",
)


@row(34)
@for_each_row("asked", [*HONOURED, *NOT_HONOURED])
def test_a_login_leads_only_to_pages_of_this_site(asked: str) -> None:
    meant = "https://example.com" + HONOURED.get(asked, "/home")
    with opened(lambda core: Taobao(core, after_login_path="/home")) as service:
        client = TaobaoClient(service)
        reach(client, "confirmed")
        answer = client.send(
            client.poll_path, urlencode({"lgToken": client.code, "defaulturl": asked})
        )
        url = urlsplit(json.loads(answer.body)["url"])
        assert parse_qs(url.query)["defaulturl"] == [meant]
        # The browser that opens the address may have changed it.
        query = re.sub(r"defaulturl=[^&]*", f"defaulturl={quote(asked)}", url.query)
        answer = client.send(url.path.lstrip("/"), query)
        assert (answer.status, dict(answer.headers)["Location"]) == (302, meant)
        assert answer.redeemed


def test_a_repeated_defaulturl_is_refused() -> None:
    with opened(Taobao) as service:
        client = TaobaoClient(service)
        client.begin()
        before = len(service.store.calls)
        assert (
            client.send(
                client.poll_path, f"lgToken={client.code}&defaulturl=/a&defaulturl=/b"
            ).status
            == 400
        )
        assert len(service.store.calls) == before


@pytest.mark.parametrize("path", ["/home", "/home?from=qr"])
def test_the_page_after_a_login_of_bilibili_keeps_its_query(path: str) -> None:
    with opened(lambda core: Bilibili(core, after_login_path=path)) as service:
        client = BilibiliClient(service)
        reach(client, "confirmed")
        url = urlsplit(json.loads(client.poll().body)["data"]["url"])
        assert url.path == "/home"
        assert parse_qs(url.query) == {
            **({"from": ["qr"]} if "from" in path else {}),
            "DedeUserID": ["0"],
            "SESSDATA": [NOTHING],
            "bili_jct": [NOTHING],
        }


# Pictures and addresses


@pytest.mark.parametrize(
    "at", ["https://example.com", "https://example.com/taobao/", "https://example.com/a/b"]
)
def test_the_picture_contains_the_address_that_the_phone_scans(at: str) -> None:
    root = at.rstrip("/")
    with opened(lambda core: Taobao(core, at=at)) as service:
        taobao = TaobaoClient(service)
        url = json.loads(taobao.begin().body)["url"]
        assert url == f"{root.removeprefix('https:')}/qrcodelogin/{taobao.code}.png"
        before = len(service.store.calls)
        answer = TaobaoClient(service).send(f"qrcodelogin/{taobao.code}.png")  # needs no cookie
        assert TaobaoClient(service).send(f"qrcodelogin/{'0' * 32}.png").status == 404
        assert len(service.store.calls) == before
        (text,) = decode(Image.open(io.BytesIO(answer.body)))
        assert (
            text.decode()
            == f"{root}/qrcodeCheck.htm?lgToken={taobao.code}&tbScanOpenType=Notification"
        )
        assert service.phone("scan", text.decode()).status == 200
    with opened(lambda core: JD(core, at=at)) as service:
        jd = JDClient(service)
        answer = jd.begin()
        assert dict(answer.headers)["Content-Type"] == "image/png"
        (text,) = decode(Image.open(io.BytesIO(answer.body)))
        assert text.decode() == f"{root}/p?k={jd.code}"
        assert service.phone("scan", text.decode()).status == 200


@for_each_row(
    "kind, folder, query, forged",
    [
        (WeChatClient, "qrcode", "t=webwx", "A" * 22 + "=="),
        (WeChatOpenClient, "connect/qrcode", "", "0" * 32),
    ],
)
def test_the_picture_of_wechat_needs_no_cookie_and_no_store(
    kind: type[EitherWeChatClient], folder: str, query: str, forged: str
) -> None:
    with opened(kind.dialect) as service:
        client, stranger = kind(service), kind(service)
        client.begin()
        before = len(service.store.calls)
        picture = stranger.send(f"{folder}/{client.code}", query)
        assert picture.body == png(client.text)
        assert dict(picture.headers)["Content-Type"] == "image/png"
        assert stranger.send(f"{folder}/{forged}").status == 404
        assert len(service.store.calls) == before


def test_the_url_of_taobao_contains_no_data_of_the_person() -> None:
    with opened(Taobao) as service:
        client = TaobaoClient(service)
        reach(client, "confirmed")
        url = json.loads(client.poll().body)["url"]
        assert client.poll().body == client.poll().body
        (uid,), (token,) = (
            parse_qs(urlsplit(url).query)["uid"],
            parse_qs(urlsplit(url).query)["token"],
        )
        assert uid == f"cntaobao{service.core.login_id_of(client.code)}"
        assert re.fullmatch("[0-9a-f]{32}", token)
        assert re.findall(r"uid=(.*?)&token=(.*?)&", url) == [(uid, token)]


# The form of newlogin


@for_each_row(
    "kind, body, status",
    [
        ("application/x-www-form-urlencoded", b"ck={ck}&t=1", 200),
        (
            "application/x-www-form-urlencoded; charset=UTF-8",
            b"t=1&codeContent=https%3A%2F%2Fx&resultCode=100&ck={ck}",
            200,
        ),
        ("application/json", b'{"ck":"{ck}"}', 415),
        ("text/plain", b"ck={ck}", 415),
        ("multipart/form-data; boundary=x", b"ck={ck}", 415),
        ("", b"ck={ck}", 415),
        (FORM[1], b"ck={ck}&ua=" + b"x" * 4057, 200),  # 4 KB
        (FORM[1], b"ck={ck}&ck={ck}", 400),
        (FORM[1], b"t=1", 400),
        (FORM[1], b"", 400),
        (FORM[1], b"ck=\xff", 400),
        (FORM[1], b"ck=%FF", 400),
        (FORM[1], b"ck={ck}&ua=" + b"x" * 4058, 413),
        (FORM[1], b"&".join(b"x%d=1" % n for n in range(101)), 400),
    ],
)
def test_a_poll_of_newlogin_must_be_a_form(kind: str, body: bytes, status: int) -> None:
    with opened(TaobaoNewLogin) as service:
        client = NewLoginClient(service)
        client.begin()
        before = len(service.store.calls)
        headers = [("content-type", kind)] if kind else []
        asked = Request(
            "POST",
            client.poll_path,
            "",
            (("cookie", client.cookies), *headers),
            body.replace(b"{ck}", client.key.encode()),
        )
        answer = service.browser(asked)
        assert answer.status == status
        assert (answer.body.decode() == client.poll_bodies["pending"]) == (status == 200)
        assert len(service.store.calls) == before + (status == 200)


def test_a_poll_of_newlogin_is_a_post_and_its_ck_is_not_a_scan_code() -> None:
    with opened(TaobaoNewLogin) as service:
        client = NewLoginClient(service)
        client.begin()
        assert client.send(client.poll_path, f"ck={client.key}").status == 405
        assert service.phone("scan", client.key).status == 404
        assert client.poll(client.code).body.decode() == client.poll_bodies["ended"]


def test_an_application_can_send_its_own_credentials_to_newlogin() -> None:
    with opened(TaobaoNewLogin) as service:
        client = NewLoginClient(service)
        reach(client, "confirmed")
        answer = client.poll()
        assert answer.redeemed
        made = answer.with_json(
            logged_in({"pds_login_result": {"refreshToken": "of the application"}})
        )
        data = json.loads(made.body)["content"]["data"]
        assert json.loads(base64.b64decode(data["bizExt"])) == {
            "pds_login_result": {"refreshToken": "of the application"}
        }
        assert (data["qrCodeStatus"], data["loginResult"]) == ("CONFIRMED", "success")
        assert dict(made.headers) == dict(answer.headers)


def test_over_plain_http_on_loopback_no_cookie_is_secure() -> None:
    """Python's clients store a secure cookie and do not send it over http."""
    with QRLogin(
        MemoryStore(), secret_keys=[KEY], verification_uri="http://127.0.0.1:8000/qr"
    ) as qr:
        shown = Endpoint(qr, JD(qr.core), max_waiting=1).browser(Request("GET", "show"))
        assert [(cookie.key[:4], cookie.secure) for cookie in shown.cookies] == [
            ("qrl-", False),
            ("wlfs", False),
        ]
        bilibili = Endpoint(qr, Bilibili(qr.core), max_waiting=1)
        begun = bilibili.browser(Request("GET", BilibiliClient.begin_path))
        key = json.loads(begun.body)["data"]["qrcode_key"]
        qr.scan(key, subject="1", shown_as="A")
        qr.confirm(key, subject="1")
        cookie = ("cookie", f"{begun.cookies[0].key}={begun.cookies[0].value}")
        answer = bilibili.browser(
            Request("GET", BilibiliClient.poll_path, f"qrcode_key={key}", (cookie,))
        )
        assert [cookie.secure for cookie in answer.cookies] == [False] * 5


# Several logins


@pytest.mark.parametrize("kind", ["taobao", "newlogin", "bilibili"])
def test_two_tabs_of_one_browser_have_separate_logins(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as service:
        jar: dict[str, str] = {}
        tabs = [CLIENTS[kind](service, jar) for _ in range(2)]
        for tab in tabs:
            tab.jar = jar
            tab.begin()
            jar |= tab.jar
        for tab in tabs:
            tab.jar = jar
        tabs[0].phone("scan")
        assert [tab.poll().body.decode() for tab in tabs] == [
            tabs[0].poll_bodies["scanned"],
            tabs[0].poll_bodies["pending"],
        ]
