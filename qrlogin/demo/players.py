"""A client of each dialect, as short as possible: it begins, shows a code, polls, and logs in.

They are written from what such clients are known to send, over HTTP alone: the code here knows an
address, and nothing else of the package.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from qrlogin.demo.client import Answer, Client

#: Reads the QR code in a picture; "" if there is not exactly one.
Camera = Callable[[bytes], str]


class Player:
    """One login of one client. `look` returns the dialect's own word for the state, as below."""

    scanned: ClassVar[str]
    """After a phone scanned the code."""
    approved: ClassVar[str]
    """After the phone approved."""
    denied: ClassVar[str]
    """After the phone denied."""

    def __init_subclass__(cls, *, scanned: str = "", approved: str = "", denied: str = "") -> None:
        if scanned:  # a class without words has those of its base
            cls.scanned, cls.approved, cls.denied = scanned, approved, denied

    def __init__(self, origin: str, camera: Camera) -> None:
        self.client: Client = Client(origin, agent=f"{type(self).__name__}-client/1")
        self.camera = camera
        self._id = ""

    @property
    def id(self) -> str:
        """The id by which its client names the login; "" before it begins."""
        return self._id

    def begin(self) -> str:
        """Begins a login. Returns the text of its QR code, or the code to type."""
        raise NotImplementedError

    def look(self) -> str:
        """Polls once. Returns the state."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Takes the last step after the approval, if the dialect has one."""

    def who(self) -> str:
        """The name of the account that is logged in; "" if there is none."""
        return str(self.client.get("/demo/me").json.get("name", ""))

    def open(self, address: str) -> Answer:
        """Opens an address from an answer, on the demo's own host, whatever host it names."""
        parts = urlsplit(address)
        return self.client.get(f"{parts.path}?{parts.query}")


class WeChat(Player, scanned="201", approved="200", denied="400"):
    def begin(self) -> str:
        self._id = _first(
            r'uuid = "(.*?)"',
            self.client.get("/jslogin?appid=wx782c26e4c19acffb&fun=new&lang=en_US"),
        )
        return self.camera(self.client.get(f"/qrcode/{self._id}").body)

    def look(self) -> str:
        answer = self.client.get(f"/cgi-bin/mmwebwx-bin/login?loginicon=true&uuid={self._id}&tip=0")
        self._redirect = _first(r'redirect_uri="(.*?)"', answer)
        return _first(r"window\.code=(\d+);", answer)

    def go_on(self) -> None:
        self.open(self._redirect)


class WeChatOpen(Player, scanned="404", approved="405", denied="403"):
    def begin(self) -> str:
        page = self.client.get(
            "/connect/qrconnect?appid=demo&response_type=code&scope=snsapi_login&state=s"
        )
        self._id, self._last = _first(r"/connect/qrcode/([\w=-]+)", page), ""
        return self.camera(self.client.get(f"/connect/qrcode/{self._id}").body)

    def look(self) -> str:
        answer = self.client.get(f"/connect/l/qrconnect?uuid={self._id}{self._last}")
        code, self._code = _first(r"wx_errcode=(\d+);", answer), _first(r"wx_code='(.*?)'", answer)
        self._last = f"&last={code}"
        return code

    def go_on(self) -> None:
        self.client.get(f"/connect/callback?code={self._code}")


class Taobao(Player, scanned="10001", approved="10006", denied="10003"):
    def begin(self) -> str:
        begun = _jsonp(
            self.client.get("/qrcodelogin/generateQRCode4Login.do?from=tb&callback=jsonp31")
        )
        self._id, self._url = str(begun.get("lgToken")), ""
        return self.camera(self.open(str(begun.get("url"))).body)

    def look(self) -> str:
        answer = _jsonp(
            self.client.get(f"/qrcodelogin/qrcodeLoginCheck.do?lgToken={self._id}&callback=jsonp32")
        )
        self._url = str(answer.get("url", ""))
        return str(answer.get("code"))

    def go_on(self) -> None:
        self.open(self._url)


class NewLogin(Player, scanned="SCANED", approved="CONFIRMED", denied="CANCELED"):
    def begin(self) -> str:
        self._begun = _data(self.client.get("/newlogin/qrcode/generate.do?appName=demo"))
        return str(self._begun.get("codeContent"))

    def look(self) -> str:
        fields = {name: str(self._begun.get(name)) for name in ("t", "ck")}
        return str(_data(self.client.form("/newlogin/qrcode/query.do", fields)).get("qrCodeStatus"))


class Rfc8628(Player, scanned="authorization_pending", approved="approved", denied="access_denied"):
    def begin(self) -> str:
        begun = self.client.form("/device_authorization", {"client_id": "demo"}).json
        self._id = str(begun.get("device_code"))
        return str(begun.get("user_code"))

    def look(self) -> str:
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        answer = self.client.form(
            "/token", {"grant_type": grant, "device_code": self._id, "client_id": "demo"}
        )
        self.client.bearer = str(answer.json.get("access_token", ""))
        return self.approved if self.client.bearer else answer.error

    def who(self) -> str:
        return str(self.client.get("/demo/userinfo").json.get("name", ""))


class Bilibili(Player, scanned="86090", approved="0", denied="86038"):
    def begin(self) -> str:
        begun = self.client.get("/x/passport-login/web/qrcode/generate").json.get("data", {})
        self._id = str(begun.get("qrcode_key"))
        return str(begun.get("url"))

    def look(self) -> str:
        answer = self.client.get(f"/x/passport-login/web/qrcode/poll?qrcode_key={self._id}")
        return str(answer.json.get("data", {}).get("code"))


class JD(Player, scanned="202", approved="200", denied="205"):
    def begin(self) -> str:
        shown = self.client.get("/show?appid=133&size=147")
        self._id, self._ticket = self.client.cookie("wlfstk_smdl"), ""
        return self.camera(shown.body)

    def look(self) -> str:
        check = f"/check?appid=133&callback=jQuery1234567&token={self._id}"
        answer = _jsonp(self.client.get(check))
        self._ticket = str(answer.get("ticket", ""))
        return str(answer.get("code"))

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
    """The argument of a JSONP call; empty if it is not a JSON object."""
    try:
        read: dict[str, Any] = json.loads(_first(r"\((\{.*?\})\)", answer))
    except ValueError:
        return {}
    return read


def _data(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = answer.json.get("content", {})
    return dict(content.get("data", {}))
