"""What one or two of the polled dialects have alone: callbacks, where a login goes on to, pictures, forms, own credentials."""

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
from tests.tables import for_each_row
from tests.wire.dialects.polled_clients import (
    CLIENTS,
    FORM,
    NOTHING,
    OfBilibili,
    OfJD,
    OfNewLogin,
    OfTaobao,
    opened,
    reach,
)
from tests.wire.dialects.wechat_clients import EitherWeChatClient, OfWeChat, OfWeChatOpen
from tests.wire.mount import KEY

PENDING = OfTaobao.words["pending"]
#: An SWF file in letters and digits, as a callback (CVE-2014-4671), as much of it as a reader recognises.
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
    with opened(Taobao) as house:
        client = OfTaobao(house)
        client.begin()
        told = client.send(client.polls, f"callback={quote(name)}&lgToken={client.code}")
        assert told.body.decode() == f"(function(){{{name}({PENDING});}})();"
        assert dict(told.headers)["Content-Type"] == "application/javascript; charset=utf-8"
        told = client.send(client.begins, f"callback={quote(name)}")
        assert re.fullmatch(
            rf'\(function\(\)\{{{re.escape(name)}\(\{{"success":true,"message":"null","url":"//example\.com/qrcodelogin/'
            r'([0-9a-f]{32})\.png","lgToken":"\1","adToken":"[0-9a-f]{32}"\}\);\}\)\(\);',
            told.body.decode(),
        )


@for_each_row("name", NO_CALLBACKS)
@for_each_row("kind", ["taobao", "jd"])
def test_what_is_no_callback_is_refused_and_not_repeated(kind: str, name: str) -> None:
    with opened(CLIENTS[kind].dialect) as house:
        client = CLIENTS[kind](house)
        client.begin()
        before = len(house.store.calls)
        for path, field in (
            (client.polls, "token" if kind == "jd" else "lgToken"),
            (client.begins, ""),
        ):
            if path == "show":
                continue  # it answers with a picture
            told = client.send(path, urlencode({"callback": name, field: client.code}))
            assert told.status == 400
            assert dict(told.headers)["Content-Type"] == "application/json; charset=utf-8"
            assert (
                name.encode() not in told.body or len(name) < 4
            )  # "a(" and the like stand in every text
        for doubled in (
            f"callback=a&callback=b&{field}={client.code}",
            f"callback=%FF&{field}={client.code}",
        ):
            assert client.send(client.polls, doubled).status == 400
        assert len(house.store.calls) == before


def test_no_callback_or_an_empty_one_means_bare_json() -> None:
    with opened(Taobao) as house:
        client = OfTaobao(house)
        client.begin()
        for more in ("", "&callback=", "&callback"):
            told = client.send(client.polls, f"lgToken={client.code}{more}")
            assert (told.body.decode(), dict(told.headers)["Content-Type"]) == (
                PENDING,
                "application/json; charset=utf-8",
            )
    with opened(JD) as house:
        jd = OfJD(house)
        jd.begin()
        told = jd.send(jd.polls, f"token={jd.code}")
        assert json.loads(told.body)["code"] == 201
        assert dict(told.headers)["Content-Type"] == "application/json; charset=utf-8"


@for_each_row("name", [*CALLBACKS, *NO_CALLBACKS])
def test_without_jsonp_a_callback_is_not_listened_to(name: str) -> None:
    with opened(lambda core: Taobao(core, jsonp=False)) as house:
        client = OfTaobao(house)
        client.begin()
        told = client.send(client.polls, urlencode({"callback": name, "lgToken": client.code}))
        assert (told.body.decode(), dict(told.headers)["Content-Type"]) == (
            PENDING,
            "application/json; charset=utf-8",
        )


def test_a_refusal_uses_the_jsonp_callback_too() -> None:
    with opened(Taobao) as house:
        told = OfTaobao(house).send(OfTaobao.polls, f"callback=cb&lgToken={'0' * 32}")
        assert told.body.decode() == f"(function(){{cb({OfTaobao.words['ended']});}})();"
        house.store.down = True
        assert OfTaobao(house).begin().status == 503


def test_nothing_in_the_json_of_a_callback_closes_it() -> None:
    """Some clients take what stands before the first `)`."""
    with opened(lambda core: Taobao(core, landing_path="/a(b)c")) as house:
        client = OfTaobao(house)
        reach(client, "confirmed")
        told = client.send(client.polls, f"callback=cb&lgToken={client.code}").body.decode()
        assert told.count(")") == 4  # all of the wrapper
        assert json.loads(told.removeprefix("(function(){cb(").partition(")")[0])["code"] == "10006"
        assert dict(client.collect().headers)["Location"] == "https://example.com/a(b)c"


# Where it goes on


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


@for_each_row("asked", [*HONOURED, *NOT_HONOURED])
def test_a_login_goes_on_to_pages_of_this_site_only(asked: str) -> None:
    meant = "https://example.com" + HONOURED.get(asked, "/home")
    with opened(lambda core: Taobao(core, landing_path="/home")) as house:
        client = OfTaobao(house)
        reach(client, "confirmed")
        told = client.send(client.polls, urlencode({"lgToken": client.code, "defaulturl": asked}))
        url = urlsplit(json.loads(told.body)["url"])
        assert parse_qs(url.query)["defaulturl"] == [meant]
        query = re.sub(
            r"defaulturl=[^&]*", f"defaulturl={quote(asked)}", url.query
        )  # who opens it may have changed it
        answer = client.send(url.path.lstrip("/"), query)
        assert (answer.status, dict(answer.headers)["Location"]) == (302, meant)
        assert answer.redeemed


def test_two_places_to_go_on_to_are_refused() -> None:
    with opened(Taobao) as house:
        client = OfTaobao(house)
        client.begin()
        before = len(house.store.calls)
        assert (
            client.send(client.polls, f"lgToken={client.code}&defaulturl=/a&defaulturl=/b").status
            == 400
        )
        assert len(house.store.calls) == before


@pytest.mark.parametrize("landing", ["/home", "/home?from=qr"])
def test_the_landing_of_bilibili_keeps_its_query(landing: str) -> None:
    with opened(lambda core: Bilibili(core, landing_path=landing)) as house:
        client = OfBilibili(house)
        reach(client, "confirmed")
        url = urlsplit(json.loads(client.poll().body)["data"]["url"])
        assert url.path == "/home"
        assert parse_qs(url.query) == {
            **({"from": ["qr"]} if "from" in landing else {}),
            "DedeUserID": ["0"],
            "SESSDATA": [NOTHING],
            "bili_jct": [NOTHING],
        }


# What a client sees of it


@pytest.mark.parametrize(
    "at", ["https://example.com", "https://example.com/taobao/", "https://example.com/a/b"]
)
def test_the_pictures_say_what_the_phone_needs(at: str) -> None:
    root = at.rstrip("/")
    with opened(lambda core: Taobao(core, at=at)) as house:
        taobao = OfTaobao(house)
        url = json.loads(taobao.begin().body)["url"]
        assert url == f"{root.removeprefix('https:')}/qrcodelogin/{taobao.code}.png"
        before = len(house.store.calls)
        answer = OfTaobao(house).send(
            f"qrcodelogin/{taobao.code}.png"
        )  # by whoever: without the cookie
        assert OfTaobao(house).send(f"qrcodelogin/{'0' * 32}.png").status == 404
        assert len(house.store.calls) == before
        (text,) = decode(Image.open(io.BytesIO(answer.body)))
        assert (
            text.decode()
            == f"{root}/qrcodeCheck.htm?lgToken={taobao.code}&tbScanOpenType=Notification"
        )
        assert house.phone("scan", text.decode()).status == 200
    with opened(lambda core: JD(core, at=at)) as house:
        jd = OfJD(house)
        answer = jd.begin()
        assert dict(answer.headers)["Content-Type"] == "image/png"
        (text,) = decode(Image.open(io.BytesIO(answer.body)))
        assert text.decode() == f"{root}/p?k={jd.code}"
        assert house.phone("scan", text.decode()).status == 200


@for_each_row(
    "kind, folder, query, forged",
    [
        (OfWeChat, "qrcode", "t=webwx", "A" * 22 + "=="),
        (OfWeChatOpen, "connect/qrcode", "", "0" * 32),
    ],
)
def test_the_picture_of_wechat_needs_no_cookie_and_no_store(
    kind: type[EitherWeChatClient], folder: str, query: str, forged: str
) -> None:
    with opened(kind.dialect) as house:
        client, stranger = kind(house), kind(house)
        client.begin()
        before = len(house.store.calls)
        picture = stranger.send(f"{folder}/{client.code}", query)
        assert picture.body == png(client.text)
        assert dict(picture.headers)["Content-Type"] == "image/png"
        assert stranger.send(f"{folder}/{forged}").status == 404
        assert len(house.store.calls) == before


def test_nothing_of_the_person_is_in_the_url() -> None:
    with opened(Taobao) as house:
        client = OfTaobao(house)
        reach(client, "confirmed")
        url = json.loads(client.poll().body)["url"]
        assert client.poll().body == client.poll().body
        (uid,), (token,) = (
            parse_qs(urlsplit(url).query)["uid"],
            parse_qs(urlsplit(url).query)["token"],
        )
        assert uid == f"cntaobao{house.core.login_id_of(client.code)}"
        assert re.fullmatch("[0-9a-f]{32}", token)
        assert re.findall(r"uid=(.*?)&token=(.*?)&", url) == [(uid, token)]


# Forms, of newlogin


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
def test_a_query_is_a_form(kind: str, body: bytes, status: int) -> None:
    with opened(TaobaoNewLogin) as house:
        client = OfNewLogin(house)
        client.begin()
        before = len(house.store.calls)
        headers = [("content-type", kind)] if kind else []
        cookies = "; ".join(f"{name}={value}" for name, value in client.jar.items())
        asked = Request(
            "POST",
            client.polls,
            "",
            (("cookie", cookies), *headers),
            body.replace(b"{ck}", client.key.encode()),
        )
        told = house.browser(asked)
        assert told.status == status
        assert (told.body.decode() == client.words["pending"]) == (status == 200)
        assert len(house.store.calls) == before + (status == 200)


def test_a_query_is_no_get_and_the_poll_id_no_code() -> None:
    with opened(TaobaoNewLogin) as house:
        client = OfNewLogin(house)
        client.begin()
        assert client.send(client.polls, f"ck={client.key}").status == 405
        assert house.phone("scan", client.key).status == 404
        assert client.poll(client.code).body.decode() == client.words["ended"]


def test_an_application_gives_credentials_of_its_own() -> None:
    with opened(TaobaoNewLogin) as house:
        client = OfNewLogin(house)
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
    """Python's clients would keep a secure one, and not send it."""
    with QRLogin(
        MemoryStore(), secret_keys=[KEY], verification_uri="http://127.0.0.1:8000/qr"
    ) as qr:
        shown = Endpoint(qr, JD(qr.core), max_waiting=1).browser(Request("GET", "show"))
        assert [(cookie.key[:4], cookie.secure) for cookie in shown.cookies] == [
            ("qrl-", False),
            ("wlfs", False),
        ]
        bilibili = Endpoint(qr, Bilibili(qr.core), max_waiting=1)
        begun = bilibili.browser(Request("GET", OfBilibili.begins))
        key = json.loads(begun.body)["data"]["qrcode_key"]
        qr.scan(key, subject="1", shown_as="A")
        qr.confirm(key, subject="1")
        cookie = ("cookie", f"{begun.cookies[0].key}={begun.cookies[0].value}")
        told = bilibili.browser(Request("GET", OfBilibili.polls, f"qrcode_key={key}", (cookie,)))
        assert [cookie.secure for cookie in told.cookies] == [False] * 3


# Several at a time


@pytest.mark.parametrize("kind", ["taobao", "newlogin", "bilibili"])
def test_two_tabs_of_one_browser_do_not_take_each_others_login(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as house:
        jar: dict[str, str] = {}
        tabs = [CLIENTS[kind](house, jar) for _ in range(2)]
        for tab in tabs:
            tab.jar = jar
            tab.begin()
            jar |= tab.jar
        for tab in tabs:
            tab.jar = jar
        tabs[0].phone("scan")
        assert [tab.poll().body.decode() for tab in tabs] == [
            tabs[0].words["scanned"],
            tabs[0].words["pending"],
        ]
