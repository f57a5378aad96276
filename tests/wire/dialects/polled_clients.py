"""The polled dialects: a service of either colour over either store, and a client of each dialect.

Every answer of a service is checked for the headers that all of them must have.
"""

import asyncio
import itertools
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin
from qrlogin.core import Core
from qrlogin.operation import Operation
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.wire import AsyncEndpoint, Cookie, Endpoint, Person, Request, Response
from qrlogin.wire.dialects.bilibili import Bilibili
from qrlogin.wire.dialects.jd import JD
from qrlogin.wire.dialects.public_id import PublicIdDialect
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.taobao_newlogin import TaobaoNewLogin
from tests.wire.clock import Clock
from tests.wire.mount import (
    ALICE,
    BOB,
    CREDENTIAL,
    JSON,
    KEY,
    NOON,
    ORIGIN,
    URI,
    AsyncSpy,
    Colour,
    Spy,
)

FORM = ("content-type", "application/x-www-form-urlencoded")
MakeDialect = Callable[[Core], PublicIdDialect]
NOTHING = "0" * 32  # in place of credentials
BIZ_EXT = (  # {"pds_login_result":{"accessToken":"000…","refreshToken":"000…"}}
    "eyJwZHNfbG9naW5fcmVzdWx0Ijp7ImFjY2Vzc1Rva2VuIjoiMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAiLCJyZWZyZXNoVG9rZW4iOiIw"
    "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMCJ9fQ=="
)
#: What the data of Bilibili begins with until the login is confirmed.
_NO_CREDENTIALS = '"url":"","refresh_token":"","timestamp":0,'
_LIFETIME = PublicIdDialect.default_lifetime  # of each dialect here, in seconds
RequestParts = tuple[str, str, str | None]  # path, query, form


class Service:
    """One dialect for browsers and the native one for phones, over one store."""

    def __init__(self, make: MakeDialect, colour: Colour, redis_url: str | None) -> None:
        self.clock = Clock(NOON)
        self.redeemed: list[Any] = []
        self._loop = asyncio.Runner() if colour == "async" else None
        self._make, self._redis_url, self._prefix = make, redis_url, f"test-{secrets.token_hex(6)}:"
        if self._loop:
            self._loop.run(self._open())
            return
        redis = redis_url and RedisStore.from_url(redis_url, prefix=self._prefix, now=self.clock)
        self.store = Spy(redis or MemoryStore(now=self.clock))
        self.qr: Any = QRLogin(self.store, secret_keys=[KEY], verification_uri=URI)
        self._dialect: Any = Endpoint(self.qr, make(self.qr.core), max_waiting=4)
        self._native: Any = Endpoint(self.qr, max_waiting=4)

    async def _open(self) -> None:
        url = self._redis_url
        redis = url and AsyncRedisStore.from_url(url, prefix=self._prefix, now=self.clock)
        self.store = AsyncSpy(redis or AsyncMemoryStore(now=self.clock))
        self.qr = AsyncQRLogin(self.store, secret_keys=[KEY], verification_uri=URI)
        self._dialect = AsyncEndpoint(self.qr, self._make(self.qr.core), max_waiting=4)
        self._native = AsyncEndpoint(self.qr, max_waiting=4)

    @property
    def core(self) -> Core:
        core: Core = self.qr.core
        return core

    def run(self, operation: Operation[Any]) -> Any:
        return self._now(self.qr.run(operation))

    def browser(self, request: Request) -> Response:
        answer = self._now(self._dialect.browser(request))
        headers = dict(answer.headers)
        assert len(headers) == len(answer.headers), "a header is there twice"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert not any(name.startswith("Access-Control") for name in headers)
        assert all(
            part.isascii() and part.isprintable()
            for header in answer.header_list()
            for part in header
        )
        assert answer.status < 500 or self.store.down
        assert b"hunter2" not in answer.body
        if answer.redeemed:
            self.redeemed.append(answer.redeemed)
        made: Response = answer
        return made

    def phone(self, verb: str, code: str, person: Person = ALICE) -> Response:
        request = Request("POST", verb, "", (JSON, CREDENTIAL), json.dumps({"code": code}).encode())
        made: Response = self._now(self._native.phone(request, person))
        return made

    def close(self) -> None:
        self._now(self.qr.close())
        if self._loop:
            self._loop.close()

    def _now(self, answer: Any) -> Any:
        return self._loop.run(answer) if self._loop else answer


@contextmanager
def opened(
    make: MakeDialect, colour: Colour = "sync", redis_url: str | None = None
) -> Iterator[Service]:
    service = Service(make, colour, redis_url)
    try:
        yield service
    finally:
        service.close()


class Client:
    """A browser that speaks one dialect, and the phone that scans its code."""

    dialect: ClassVar[type[PublicIdDialect]]
    begin_path: ClassVar[str]
    poll_path: ClassVar[str]
    collect_path: ClassVar[str] = ""  # where the login is collected, unless the poll collects it
    poll_bodies: ClassVar[Mapping[str, str]]  # what a poll returns in each state; {…}: see `facts`

    def __init__(self, service: Service, jar: dict[str, str] | None = None) -> None:
        self.service, self.jar = service, {} if jar is None else jar
        self.code, self.text = "", ""  # the public id; the text in the picture
        self.key = ""  # the parameter of a poll: the public id, except in newlogin

    def send(
        self, path: str, query: str = "", form: str | None = None, *headers: tuple[str, str]
    ) -> Response:
        sent = [("cookie", self.cookies)] if self.jar else []
        kind = [] if form is None else [FORM]
        body = (form or "").encode()
        answer = self.service.browser(
            Request("GET" if form is None else "POST", path, query, (*sent, *kind, *headers), body)
        )
        self.jar |= {cookie.key: cookie.value for cookie in answer.cookies if cookie.max_age}
        return answer

    @property
    def cookies(self) -> str:
        """The value of the Cookie header."""
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())

    def begin(self, *headers: tuple[str, str]) -> Response:
        raise NotImplementedError

    def poll_request(self, code: str | None = None) -> RequestParts:
        """The poll of the login with this `code`; without one, of this client's own login."""
        raise NotImplementedError

    def poll(self, code: str | None = None, *headers: tuple[str, str]) -> Response:
        return self.send(*self.poll_request(code), *headers)

    def collect_request(self) -> RequestParts:
        """The request that collects the login once it is confirmed."""
        return self.poll_request()

    def collect(self, *headers: tuple[str, str]) -> Response:
        return self.send(*self.collect_request(), *headers)

    @property
    def device_code(self) -> str:
        (found,) = (
            value
            for name, value in self.jar.items()
            if name.startswith("__Host-qrl-") and name != "__Host-qrl-known"
        )
        return found

    def facts(self) -> dict[str, object]:
        """The values of {…} in `poll_bodies`."""
        seen = self.service.run(
            self.service.core.status(self.service.core.read_device_code(self.device_code))
        )
        return {"code": self.code, "login_id": seen.login_id, "ticket": seen.ticket, "began": NOON}

    def ticket(self, ticket: str) -> str:
        """The query that collects with this ticket."""
        return (
            f"t={self.code}{ticket}"
            if isinstance(self, JDClient)
            else f"webpas={self.code}&token={ticket}"
        )

    def phone(self, verb: str, person: Person = ALICE) -> None:
        assert self.service.phone(verb, self.text, person).status == 200


class TaobaoClient(Client):
    dialect = Taobao
    begin_path, poll_path, collect_path = (
        "qrcodelogin/generateQRCode4Login.do",
        "qrcodelogin/qrcodeLoginCheck.do",
        "member/loginByIm.do",
    )
    poll_bodies: ClassVar = {
        "pending": '{"code":"10000","message":"login start state","success":true}',
        "scanned": '{"code":"10001","message":"mobile scan QRCode success","success":true}',
        "denied": '{"code":"10003","message":"mobile login cancel","success":true}',
        "ended": '{"code":"10004","message":"QRCode expired!code=1, msg=data not exist",'
        '"success":true}',
        "away": '{"code":"10005","message":"login failed","success":true}',
        "confirmed": '{"code":"10006","success":true,"url":"https://example.com/member/loginByIm.do?uid=cntaobao{login_id}'
        "&token={ticket}&time={began}&asker=qrcodelogin&ask_version=1.0.0&defaulturl=https%3A%2F%2Fexample.com%2F"
        '&webpas={code}"}',
    }

    def begin(self, *headers: tuple[str, str]) -> Response:
        answer = self.send(
            self.begin_path, "adUrl=&adImage=&from=tb&appkey=00000000&umid_token=C1", None, *headers
        )
        if answer.status == 200:
            self.code = self.key = json.loads(answer.body)["lgToken"]
            self.text = f"https://example.com/qrcodeCheck.htm?lgToken={self.code}&tbScanOpenType=Notification"
        return answer

    def poll_request(self, code: str | None = None) -> RequestParts:
        query = {
            "lgToken": self.key if code is None else code,
            "defaulturl": "https://www.taobao.com",
            "_ksTS": "1_2",
        }
        return self.poll_path, urlencode(query), None

    def collect_request(self) -> RequestParts:
        url = urlsplit(json.loads(self.poll().body)["url"])
        return url.path.lstrip("/"), f"{url.query}&umid_token=C1", None


class NewLoginClient(Client):
    dialect = TaobaoNewLogin
    begin_path, poll_path = "newlogin/qrcode/generate.do", "newlogin/qrcode/query.do"
    poll_bodies: ClassVar = {
        **{
            state: f'{{"content":{{"data":{{"qrCodeStatus":{data}}},"status":0,"success":true}},'
            '"hasError":false}'
            for state, data in {
                "pending": '"NEW","resultCode":100',
                "scanned": '"SCANED","resultCode":100',
                "denied": '"CANCELED","resultCode":100',
                "ended": '"EXPIRED","resultCode":100',
                "confirmed": '"CONFIRMED","resultCode":100,"loginResult":"success",'
                f'"bizExt":"{BIZ_EXT}","st":"{NOTHING}"',
            }.items()
        },
        "away": '{"error":"unavailable","error_description":"The login service is temporarily '
        'unavailable. Try again.","retry_after":1}',
    }

    def begin(self, *headers: tuple[str, str]) -> Response:
        answer = self.send(
            self.begin_path, "appName=aliyun_drive&fromSite=52&appName=aliyun_drive", None, *headers
        )
        if answer.status == 200:
            data = json.loads(answer.body)["content"]["data"]
            self.key, self.text = data["ck"], data["codeContent"]
            (self.code,) = parse_qs(urlsplit(self.text).query)["lgToken"]
        return answer

    def poll_request(self, code: str | None = None) -> RequestParts:
        form = urlencode(
            {"t": NOON, "ck": self.key if code is None else code, "ua": "", "isMobile": "false"}
        )
        return self.poll_path, "appName=aliyun_drive&fromSite=52", form


class BilibiliClient(Client):
    dialect = Bilibili
    begin_path, poll_path = (
        "x/passport-login/web/qrcode/generate",
        "x/passport-login/web/qrcode/poll",
    )
    poll_bodies: ClassVar = {
        **{
            state: f'{{"code":0,"message":"0","ttl":1,"data":{{{data}}}}}'
            for state, data in {
                "pending": _NO_CREDENTIALS + '"code":86101,"message":"未扫码"',
                "scanned": _NO_CREDENTIALS + '"code":86090,"message":"二维码已扫码未确认"',
                "denied": _NO_CREDENTIALS + '"code":86038,"message":"二维码已失效"',
                "ended": _NO_CREDENTIALS + '"code":86038,"message":"二维码已失效"',
                "confirmed": f'"url":"https://example.com/?DedeUserID=0&SESSDATA={NOTHING}&bili_jct={NOTHING}"'
                f',"refresh_token":"{NOTHING}","timestamp":{{now}},"code":0,"message":""',
            }.items()
        },
        "away": '{"code":-500,"message":"服务器错误","ttl":1}',
    }

    def begin(self, *headers: tuple[str, str]) -> Response:
        answer = self.send(self.begin_path, "", None, *headers)
        if answer.status == 200:
            data = json.loads(answer.body).get(
                "data", {"qrcode_key": "", "url": ""}
            )  # missing while the store is unavailable
            self.code, self.text = data["qrcode_key"], data["url"]
            self.key = self.code
        return answer

    def poll_request(self, code: str | None = None) -> RequestParts:
        return self.poll_path, urlencode({"qrcode_key": self.key if code is None else code}), None


class JDClient(Client):
    dialect = JD
    begin_path, poll_path, collect_path = "show", "check", "uc/qrCodeTicketValidation"
    poll_bodies: ClassVar = {
        "pending": 'jQuery1234567({ "code" : 201, "msg" : "二维码未扫描" })',
        "scanned": 'jQuery1234567({ "code" : 202, "msg" : "请手机客户端确认登录" })',
        "denied": 'jQuery1234567({ "code" : 205, "msg" : "二维码已取消授权" })',
        "ended": 'jQuery1234567({ "code" : 203, "msg" : "二维码过期" })',
        "away": 'jQuery1234567({ "code" : 500, "msg" : "服务器错误" })',
        "confirmed": 'jQuery1234567({ "code" : 200, "ticket" : "{code}{ticket}" })',
    }

    def begin(self, *headers: tuple[str, str]) -> Response:
        answer = self.send(self.begin_path, "appid=133&size=147&t=1", None, *headers)
        if answer.status == 200:
            self.code = self.key = self.jar["wlfstk_smdl"]
            self.text = f"https://example.com/p?k={self.code}"
        return answer

    def poll_request(self, code: str | None = None) -> RequestParts:
        query = {
            "appid": "133",
            "callback": "jQuery1234567",
            "token": self.key if code is None else code,
            "_": "1",
        }
        return self.poll_path, urlencode(query), None

    def collect_request(self) -> RequestParts:
        script = self.poll().body.decode()
        ticket = json.loads(script[script.index("(") + 1 : -1])["ticket"]
        return self.collect_path, urlencode({"t": ticket}), None


CLIENTS: dict[str, type[Client]] = {
    "taobao": TaobaoClient,
    "newlogin": NewLoginClient,
    "bilibili": BilibiliClient,
    "jd": JDClient,
}
#: The steps so far, and the state that the next poll returns.
HISTORIES: dict[str, tuple[tuple[str, ...], str]] = {
    "begun": ((), "pending"),
    "scanned": (("scan",), "scanned"),
    "released": (("scan", "release"), "pending"),
    "scanned again, by another": (("scan", "release", "scan by bob"), "scanned"),
    "confirmed": (("scan", "confirm"), "confirmed"),
    "confirmed, at the last moment": (("scan", "wait 89", "confirm", "wait 29"), "confirmed"),
    "each step at the last moment": (
        ("wait last second", "scan", "wait 89", "confirm", "wait 29"),
        "confirmed",
    ),
    "denied": (("scan", "deny"), "denied"),
    "confirmed, then denied": (("scan", "confirm", "deny"), "denied"),
    "given up": (("cancel",), "ended"),
    "collected, long ago": (("scan", "confirm", "collect", "wait 31"), "ended"),
    "too late to scan": (("wait lifetime",), "ended"),
    "too late to confirm": (("scan", "wait 90"), "ended"),
    "too late to collect": (("scan", "confirm", "wait 30"), "ended"),
    "long gone": (("scan", "confirm", "wait 3600"), "ended"),
    "the store is away": (("scan", "away"), "away"),
}


def check_device_cookie(cookie: Cookie, max_age: int) -> None:
    """Check the attributes of the cookie that holds the device_code."""
    assert (cookie.httponly, cookie.secure, cookie.samesite, cookie.path) == (
        True,
        True,
        "Lax",
        "/",
    )
    assert cookie.max_age == max_age
    assert cookie.key.startswith("__Host-qrl-")


def reach(client: Client, history: str) -> None:
    """Begin a login, and take the steps of a history."""
    assert client.begin(("user-agent", "Firefox/140.0")).status == 200
    for step in HISTORIES[history][0]:
        verb, _, more = step.partition(" ")
        match verb:
            case "wait" if more in ("lifetime", "last second"):
                client.service.clock.advance(_LIFETIME - (more == "last second"))
            case "wait":
                client.service.clock.advance(int(more))
            case "cancel":
                client.service.run(
                    client.service.core.cancel(
                        client.service.core.read_device_code(client.device_code)
                    )
                )
            case "collect":
                assert client.collect().redeemed
            case "away":
                client.service.store.down = True
            case _:
                client.phone(verb, BOB if more else ALICE)


#: One colour over memory and the other over Redis. The suites of the stores prove all four.
COLOURS_AND_STORES: tuple[tuple[Colour, str], ...] = (("sync", "memory"), ("async", "redis"))
#: Every client: a test that takes `kind`, `colour` and `store` runs eight times.
EVERYWHERE = pytest.mark.parametrize(
    ("kind", "colour", "store"),
    [(kind, *pair) for kind, pair in itertools.product(CLIENTS, COLOURS_AND_STORES)],
)


def redis_of(request: pytest.FixtureRequest, store: str) -> str | None:
    """The URL of a real Redis, if this run uses one."""
    url: str | None = request.getfixturevalue("redis_url") if store == "redis" else None
    return url


assert ORIGIN == "https://example.com"  # the bodies above contain it
