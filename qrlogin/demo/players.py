"""A client of each dialect, as short as can be: it begins, has a code to show, asks where it stands, and is logged in.

Written from what such clients are known to send, over HTTP alone: nothing here knows more of this package than an address.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from qrlogin.demo.client import Answer, Client

Camera = Callable[[bytes], str]


class Player:
    """One login of one client. The words are the dialect's own; `look` says one of them, or what else it was told."""

    scanned: ClassVar[str]
    approved: ClassVar[str]
    denied: ClassVar[str]

    def __init__(self, origin: str, camera: Camera) -> None:
        self.client, self.camera = (
            Client(origin, agent=f"a client that speaks {type(self).__name__}"),
            camera,
        )
        self.id = ""

    def begin(self) -> str:
        """What its QR code says, or what it shows to be typed."""
        raise NotImplementedError

    def look(self) -> str:
        """One poll."""
        raise NotImplementedError

    def go_on(self) -> None:
        """What it does once it was told that it is approved."""

    def who(self) -> str:
        """Whom it is logged in as; "" if nobody."""
        return str(self.client.get("/demo/me").json.get("name", ""))

    def open(self, address: str) -> Answer:
        """An address that it was given, whatever host that names: here everything is at one."""
        parts = urlsplit(address)
        return self.client.get(f"{parts.path}?{parts.query}")


class WeChat(Player):
    scanned, approved, denied = "201", "200", "400"

    def begin(self) -> str:
        self.id = _first(
            r'uuid = "(.*?)"',
            self.client.get("/jslogin?appid=wx782c26e4c19acffb&fun=new&lang=en_US"),
        )
        return self.camera(self.client.get(f"/qrcode/{self.id}").body)

    def look(self) -> str:
        told = self.client.get(f"/cgi-bin/mmwebwx-bin/login?loginicon=true&uuid={self.id}&tip=0")
        self._redirect = _first(r'redirect_uri="(.*?)"', told)
        return _first(r"window\.code=(\d+);", told)

    def go_on(self) -> None:
        self.open(self._redirect)


class WeChatOpen(Player):
    scanned, approved, denied = "404", "405", "403"

    def begin(self) -> str:
        page = self.client.get(
            "/connect/qrconnect?appid=demo&response_type=code&scope=snsapi_login&state=s"
        )
        self.id, self._last = _first(r"/connect/qrcode/([\w=-]+)", page), ""
        return self.camera(self.client.get(f"/connect/qrcode/{self.id}").body)

    def look(self) -> str:
        told = self.client.get(f"/connect/l/qrconnect?uuid={self.id}{self._last}")
        code, self._code = _first(r"wx_errcode=(\d+);", told), _first(r"wx_code='(.*?)'", told)
        self._last = f"&last={code}"
        return code

    def go_on(self) -> None:
        self.client.get(f"/connect/callback?code={self._code}")


class Taobao(Player):
    scanned, approved, denied = "10001", "10006", "10003"

    def begin(self) -> str:
        begun = _jsonp(
            self.client.get("/qrcodelogin/generateQRCode4Login.do?from=tb&callback=jsonp31")
        )
        self.id, self._url = str(begun.get("lgToken")), ""
        return self.camera(self.open(str(begun.get("url"))).body)

    def look(self) -> str:
        told = _jsonp(
            self.client.get(f"/qrcodelogin/qrcodeLoginCheck.do?lgToken={self.id}&callback=jsonp32")
        )
        self._url = str(told.get("url", ""))
        return str(told.get("code"))

    def go_on(self) -> None:
        self.open(self._url)


class NewLogin(Player):
    scanned, approved, denied = "SCANED", "CONFIRMED", "CANCELED"

    def begin(self) -> str:
        self._begun = _data(self.client.get("/newlogin/qrcode/generate.do?appName=demo"))
        return str(self._begun.get("codeContent"))

    def look(self) -> str:
        asked = {name: str(self._begun.get(name)) for name in ("t", "ck")}
        return str(_data(self.client.form("/newlogin/qrcode/query.do", asked)).get("qrCodeStatus"))


class Rfc8628(Player):
    scanned, approved, denied = "authorization_pending", "approved", "access_denied"

    def begin(self) -> str:
        begun = self.client.form("/device_authorization", {"client_id": "demo"}).json
        self.id = str(begun.get("device_code"))
        return str(begun.get("user_code"))

    def look(self) -> str:
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        told = self.client.form(
            "/token", {"grant_type": grant, "device_code": self.id, "client_id": "demo"}
        )
        self.client.bearer = str(told.json.get("access_token", ""))
        return self.approved if self.client.bearer else told.error

    def who(self) -> str:
        return str(self.client.get("/demo/userinfo").json.get("name", ""))


class Bilibili(Player):
    scanned, approved, denied = "86090", "0", "86038"

    def begin(self) -> str:
        begun = self.client.get("/x/passport-login/web/qrcode/generate").json.get("data", {})
        self.id = str(begun.get("qrcode_key"))
        return str(begun.get("url"))

    def look(self) -> str:
        told = self.client.get(f"/x/passport-login/web/qrcode/poll?qrcode_key={self.id}")
        return str(told.json.get("data", {}).get("code"))


class JD(Player):
    scanned, approved, denied = "202", "200", "205"

    def begin(self) -> str:
        shown = self.client.get("/show?appid=133&size=147")
        self.id, self._ticket = self.client.cookie("wlfstk_smdl"), ""
        return self.camera(shown.body)

    def look(self) -> str:
        told = _jsonp(self.client.get(f"/check?appid=133&callback=jQuery1234567&token={self.id}"))
        self._ticket = str(told.get("ticket", ""))
        return str(told.get("code"))

    def go_on(self) -> None:
        self.client.get(f"/uc/qrCodeTicketValidation?t={self._ticket}")


PLAYERS: Final[Mapping[str, type[Player]]] = {
    "wechat": WeChat,
    "wechat_open": WeChatOpen,
    "taobao": Taobao,
    "newlogin": NewLogin,
    "rfc8628": Rfc8628,
    "bilibili": Bilibili,
    "jd": JD,
}


def _first(pattern: str, answer: Answer) -> str:
    found = re.search(pattern, answer.text)
    return found[1] if found else ""


def _jsonp(answer: Answer) -> dict[str, Any]:
    """The one object in a call of a function."""
    try:
        read: dict[str, Any] = json.loads(_first(r"\((\{.*?\})\)", answer))
    except ValueError:
        return {}
    return read


def _data(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = answer.json.get("content", {})
    return dict(content.get("data", {}))
