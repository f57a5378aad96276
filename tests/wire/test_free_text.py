"""A person who begins a login without an account can put no text of their own on the phone."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from qrlogin import STANDARD, MemoryStore, Misconfigured, QRLogin
from qrlogin.wire import BrowserContext, Dialect, Endpoint, Native, Person, Request, Response
from qrlogin.wire.context import _parser
from qrlogin.wire.dialects import DIALECTS
from qrlogin.wire.dialects.rfc8628 import Rfc8628
from qrlogin.wire.dialects.wechat_open import WeChatOpen
from tests.application import KEY, URI
from tests.security_rows import row
from tests.tables import for_each_row

TYPED = replace(STANDARD, limits=None, user_codes=True)
#: An attacker's sentence in the spellings that different fields accept.
SENTENCE = "Security check of your account by Example. Press Yes to keep it"
SPELLINGS = (
    SENTENCE,
    SENTENCE.replace(" ", "-"),
    SENTENCE.replace(" ", "_"),
    "Press.Yes.to.keep.your.account",
)
#: User-Agents from which a name used to be copied: by the reader that is built in, and by patterns
#: of the extra.
AGENTS = (
    "{}/1.0",
    "{}-iPad/1.0 CFNetwork",
    "{}/1.0 CFNetwork",
    "Mozilla/5.0 {} bot/1.0",
    "{} crawler/1.0",
    "{}bot",
    "HbbTV/1.1.1 (; {} ;x 2012)",
)
FORM = ("content-type", "application/x-www-form-urlencoded")
JSON = ("content-type", "application/json")
PHONE = (JSON, ("authorization", "Bearer of-the-phone-app"))
ALICE = Person("1", "A•••e")

BEGINS = {
    "native": ("POST", "begin", "json"),
    "rfc8628": ("POST", "device_authorization", "form"),
    "wechat": ("GET", "jslogin", "query"),
    "wechat_open": ("GET", "connect/qrconnect", "query"),
    "taobao": ("GET", "qrcodelogin/generateQRCode4Login.do", "query"),
    "newlogin": ("GET", "newlogin/qrcode/generate.do", "query"),
    "bilibili": ("GET", "x/passport-login/web/qrcode/generate", "query"),
    "jd": ("GET", "show", "query"),
}
#: Every name under which some protocol or client has a text for people or of a device.
FIELDS = [
    "appid",
    "appkey",
    "appName",
    "client_id",
    "client_name",
    "client_uri",
    "logo_uri",
    "scope",
    "state",
    "device",
    "deviceName",
    "device_name",
    "device_id",
    "model",
    "name",
    "title",
    "label",
    "lang",
    "ui_locales",
    "login_hint",
    "binding_message",
    "fromSite",
    "from",
    "href",
    "style",
]
HEADERS = [
    "accept-language",
    "forwarded",
    "x-forwarded-for",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "via",
    "from",
    "x-client-data",
    "x-device-name",
    "sec-ch-ua",
    "sec-ch-ua-platform",
    "sec-ch-ua-model",
    "origin-agent",
    "referer",
]


@pytest.fixture(params=["with the extra", "built in"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each of the two readers of User-Agents."""
    if request.param == "built in":
        monkeypatch.setitem(sys.modules, "ua_parser", None)
    _parser.cache_clear()
    yield request.param
    _parser.cache_clear()


def shown_to_the_phone(make: Any, *begins: Request) -> list[dict[str, str]]:
    """The contexts that a phone is shown of the logins which these requests begin."""
    policy = replace(TYPED, limits=None)  # one phone scans them all
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=policy) as qr:
        dialect: Dialect = make(qr.core)
        begun: list[Any] = []
        run = qr.run

        def noted(operation: Any) -> Any:
            begun.append(result := run(operation))
            return result

        qr.run = noted  # type: ignore[method-assign]
        endpoint, phone = Endpoint(qr, dialect, max_waiting=1), Endpoint(qr, max_waiting=1)
        for request in begins:
            endpoint.browser(request)
        shown = []
        for each in begun:
            code = getattr(each, "user_code", "") or getattr(each, "scan_code", "")
            if code:
                body = json.dumps({"code": code}).encode()
                answer = phone.phone(Request("POST", "scan", "", PHONE, body), ALICE)
                assert answer.status == 200, answer.body
                shown.append(json.loads(answer.body)["context"])
        return shown


def requests(name: str) -> Iterator[Request]:
    """Requests that begin a login, each with a sentence in one place."""
    method, path, kind = BEGINS[name]
    honest = {"client_id": "tv"} if name == "rfc8628" else {}

    def made(fields: dict[str, str], *headers: tuple[str, str]) -> Request:
        if kind == "json":
            return Request(method, path, "", (JSON, *headers), b"{}")
        text = urlencode({**honest, **fields})
        if kind == "form":
            return Request(method, path, "", (FORM, *headers), text.encode())
        return Request(method, path, text, headers)

    for text in SPELLINGS:
        for agent in AGENTS:
            yield made({}, ("user-agent", agent.format(text)))
        for header in HEADERS:
            yield made({}, (header, text))
        for field in FIELDS:
            yield made({field: text})


@row(59)
@for_each_row("name", BEGINS)
@pytest.mark.usefixtures("reader")
def test_no_dialect_shows_a_text_of_the_request(name: str) -> None:
    """With clients that the application does not know, and with headers of an address that it
    does not check.
    """
    describe = BrowserContext(address=lambda request: ", ".join(request.all("x-forwarded-for")))
    options: dict[str, dict[str, Any]] = {
        "rfc8628": {"clients": lambda client: True, "scopes": ["watch"]},
        "wechat_open": {"clients": lambda *_: True, "redirect_uris": lambda *_: True},
    }
    make = {"native": Native, **DIALECTS}[name]
    shown = shown_to_the_phone(
        lambda core: make(core, describe=describe, **options.get(name, {})), *requests(name)
    )
    assert len(shown) > 4 * len(AGENTS)
    texts = {text for context in shown for text in context.values()}
    assert not [text for text in texts if "ress" in text or "ecurity" in text], texts


def begin_device(form: dict[str, str], describe: Any = lambda _: {}, **options: Any) -> Response:
    """The answer to a device that begins a login by RFC 8628."""
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=TYPED) as qr:
        dialect = Rfc8628(qr.core, clients=lambda _: True, describe=describe, **options)
        body = urlencode({"client_id": "tv", **form}).encode()
        return Endpoint(qr, dialect, max_waiting=1).browser(
            Request("POST", "device_authorization", "", (FORM,), body)
        )


@row(119)
@for_each_row(
    "scope",
    ["unknown", "watch unknown", "watch  record", " watch", "watch ", "WATCH", "watch,record"],
)
def test_a_scope_that_is_not_listed_is_refused(scope: str) -> None:
    """RFC 6749 section 5.2, RFC 8628 section 3.2."""
    answer = begin_device({"scope": scope}, scopes=["watch", "record"])
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_scope")


@row(59, 226, 452)
def test_the_phone_shows_the_words_of_the_application_for_a_client_and_its_scopes() -> None:
    words = {"watch": "Watch films", "record": "Aufnehmen", "openid": ""}
    shown = shown_to_the_phone(
        lambda core: Rfc8628(
            core,
            clients=lambda client: True,
            names={"tv": "Living room TV"}.get,
            scopes=words,
            describe=lambda _: {},
        ),
        Request(
            "POST",
            "device_authorization",
            "",
            (FORM,),
            b"client_id=tv&scope=openid+record+watch+record",
        ),
        Request("POST", "device_authorization", "", (FORM,), b"client_id=forged"),
    )
    assert shown == [
        {
            "client": "Living room TV",
            "scope": "openid record watch",
            "permissions": "Aufnehmen; Watch films",
        },
        {},
    ]


def test_the_number_of_scopes_that_fit_does_not_depend_on_who_asks() -> None:
    """Not on the address, the browser, the place, nor on the client and its name."""
    scopes = {f"scope-{n:02}": f"Words {n:02}" for n in range(40)}

    def fitting(describe: Any, name: str, client_id: str) -> int:
        def fits(number: int) -> bool:
            form = {"client_id": client_id, "scope": " ".join(list(scopes)[:number])}
            answer = begin_device(form, describe, names=lambda _: name, scopes=scopes)
            return answer.status == 200

        return max(number for number in range(41) if fits(number))

    longest = {"browser": "x" * 60, "address": "y" * 60, "place": "深" * 60}
    few = fitting(lambda _: longest, "n" * 300, "c" * 120)
    assert few == fitting(lambda _: {}, "n", "tv") == fitting(lambda _: longest, "名" * 99, "t")
    assert few >= 20


@for_each_row(
    "scopes",
    [
        "watch",
        {"two words": ""},
        {"": ""},
        {'"': ""},
        {"é": ""},
        {"a": None},
        {"a": "x" * 300},
        [1],
    ],
)
def test_scopes_that_no_request_could_name_or_no_phone_could_show_are_refused(scopes: Any) -> None:
    with pytest.raises(Misconfigured, match="scopes"):
        begin_device({}, scopes=scopes)


def test_discovery_lists_the_scopes() -> None:
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=TYPED) as qr:
        dialect = Rfc8628(qr.core, clients=lambda _: True, scopes={"b": "B", "a": ""})
        assert dialect.metadata["scopes_supported"] == ["b", "a"]
        with pytest.raises(Misconfigured, match="scopes="):
            Rfc8628(qr.core, clients=lambda _: True, metadata={"scopes_supported": ["a"]})


def test_wechat_open_shows_an_application_under_its_registered_name_only() -> None:
    shown = shown_to_the_phone(
        lambda core: WeChatOpen(
            core,
            names={"wx1": "Photo prints"}.get,
            describe=lambda _: {},
        ),
        Request("GET", "connect/qrconnect", "appid=wx1"),
        Request("GET", "connect/qrconnect", "appid=Press_Yes_to_keep_your_account"),
        Request("GET", "connect/qrconnect"),
    )
    assert shown == [{"client": "Photo prints"}, {}, {}]
