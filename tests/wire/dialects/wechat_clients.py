"""A client of each WeChat dialect, for a service of `polled_clients`, and the steps between its
polls.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from qrlogin import MemoryStore, QRLogin
from qrlogin.core import Core
from qrlogin.wire import Response
from qrlogin.wire.dialects.public_id import PublicIdDialect
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.dialects.wechat_open import WeChatOpen
from tests.wire.dialects.polled_clients import Client, RequestParts, Service
from tests.wire.mount import ALICE, BOB, KEY, URI

HOLD = 0.02  # seconds for which a poll without news is held
BACKEND = {"appid": "wx1", "secret": "of-the-backend"}
NEIGHBOUR = (
    "https://example.com:8443/back"  # an application on the same host, and of another origin
)


def wechat(core: Core, **settings: Any) -> WeChat:
    return WeChat(core, **{"hold": HOLD, **settings})


def wechat_open(core: Core, **settings: Any) -> WeChatOpen:
    applications: dict[str, Any] = {
        "redirect_uris": lambda appid, address: (appid, address) == ("wx1", NEIGHBOUR),
        "clients": lambda appid, secret: {"appid": appid, "secret": secret} == BACKEND,
    }
    return WeChatOpen(core, **{"hold": HOLD, **applications, **settings})


class EitherWeChatClient(Client):
    @property
    def device_code(self) -> str:
        """The cookie of this login. The jar also has cursors, and cookies of other logins."""
        login_id = self.service.core.login_id_of(self.code)
        (found,) = (value for value in self.jar.values() if value.startswith(f"{login_id}."))
        return found


class WeChatClient(EitherWeChatClient):
    dialect: ClassVar[type[PublicIdDialect]] = WeChat
    begin_path, poll_path, collect_path = (
        "jslogin",
        "cgi-bin/mmwebwx-bin/login",
        "cgi-bin/mmwebwx-bin/webwxnewloginpage",
    )
    more = "loginicon=true&"

    def begin(self, *headers: tuple[str, str]) -> Response:
        answer = self.send(
            self.begin_path, "appid=wx782c26e4c19acffb&fun=new&lang=zh_CN&_=1", None, *headers
        )
        if found := re.search(
            r'window.QRLogin.code = (\d+); window.QRLogin.uuid = "(\S+?)"', answer.body.decode()
        ):
            self.code = self.key = found[2]
            self.text = f"https://example.com/l/{self.code}"
        return answer

    def poll_request(self, code: str | None = None) -> RequestParts:
        uuid = self.key if code is None else code  # not encoded, as clients send it
        return self.poll_path, f"{self.more}uuid={uuid}&tip=0&r=-1764000000.5&_=1764000000000", None

    def collect_request(self) -> RequestParts:
        found = re.search(r'window.redirect_uri="(\S+?)";', self.poll().body.decode())
        assert found
        url = urlsplit(found[1])
        return url.path.lstrip("/"), url.query, None


class WeChatOpenClient(EitherWeChatClient):
    dialect: ClassVar[type[PublicIdDialect]] = WeChatOpen
    begin_path, poll_path, collect_path = (
        "connect/qrconnect",
        "connect/l/qrconnect",
        "connect/callback",
    )
    wants: Mapping[str, str] = {}  # the query of the page
    last = ""

    def begin(self, *headers: tuple[str, str]) -> Response:
        answer = self.send(self.begin_path, urlencode(self.wants), None, *headers)
        if found := re.search(r"/connect/qrcode/([0-9a-zA-Z]+)", answer.body.decode()):
            self.code = self.key = found[1]
            self.text = f"https://example.com/connect/confirm?uuid={self.code}"
        return answer

    def poll_request(self, code: str | None = None) -> RequestParts:
        uuid = self.key if code is None else code
        return (
            self.poll_path,
            f"uuid={uuid}{f'&last={self.last}' if self.last else ''}&_=1764000000000",
            None,
        )

    @property
    def wx_code(self) -> str:
        found = re.fullmatch(
            r"window\.wx_errcode=405;window\.wx_code='(\w+)';", self.poll().body.decode()
        )
        assert found
        return found[1]

    def collect_request(self) -> RequestParts:
        return self.collect_path, urlencode({"code": self.wx_code, "state": ""}), None


def happen(client: Client, *steps: str) -> None:
    """Take steps that are not polls."""
    service = client.service
    for step in steps:
        match step:
            case "away":
                service.store.down = True
            case "cancel":
                device = service.core.read_device_code(client.device_code)
                service.run(service.core.cancel(device))
            case "collect":
                assert client.collect().redeemed
            case step if step.startswith("+"):
                service.clock.advance(int(step))
            case _:
                verb, _, person = step.partition(":")
                client.phone(verb, BOB if person else ALICE)


C = TypeVar("C", bound=EitherWeChatClient)


def strangers(client: C, other: C) -> tuple[C, C, C, str]:
    """Three browsers: without cookies, with the secret of another login under this one's name, and
    with a secret that another application signed; and the public id of the login of the last.
    """
    service, kind = client.service, type(client)
    elsewhere = QRLogin(
        MemoryStore(now=service.clock), secret_keys=[KEY[::-1]], verification_uri=URI
    )
    foreign = elsewhere.run(elsewhere.core.begin(fixed=True, ask_browser=False))
    (name,) = (name for name, value in client.jar.items() if value == client.device_code)
    return (
        kind(service),
        kind(service, {name: other.device_code}),
        kind(service, {name: foreign.device_code}),
        foreign.scan_code,
    )


def forget(service: Service) -> None:
    """Delete all logins, as the end of the process does to a memory store."""
    service.store.inner._records._records.clear()


def parameters(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, strict_parsing=True))
