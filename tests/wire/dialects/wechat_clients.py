"""A client of each WeChat dialect, for the house of `polled`, and what may happen between its polls."""

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
from tests.wire.dialects.polled_clients import Client, Errand, House
from tests.wire.mount import ALICE, BOB, KEY, URI

HOLD = 0.02  # seconds; only how long a poll without news takes
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
        """The one of this login: there are cursors beside it, and maybe other logins."""
        login_id = self.house.core.login_id_of(self.code)
        (found,) = (value for value in self.jar.values() if value.startswith(f"{login_id}."))
        return found


class OfWeChat(EitherWeChatClient):
    dialect: ClassVar[type[PublicIdDialect]] = WeChat
    begins, polls, lands = (
        "jslogin",
        "cgi-bin/mmwebwx-bin/login",
        "cgi-bin/mmwebwx-bin/webwxnewloginpage",
    )
    more = "loginicon=true&"

    def begin(self, *headers: tuple[str, str]) -> Response:
        answer = self.send(
            self.begins, "appid=wx782c26e4c19acffb&fun=new&lang=zh_CN&_=1", None, *headers
        )
        if found := re.search(
            r'window.QRLogin.code = (\d+); window.QRLogin.uuid = "(\S+?)"', answer.body.decode()
        ):
            self.code = self.key = found[2]
            self.text = f"https://example.com/l/{self.code}"
        return answer

    def asked(self, code: str | None = None) -> Errand:
        uuid = self.key if code is None else code  # not encoded, as the article's code does it
        return self.polls, f"{self.more}uuid={uuid}&tip=0&r=-1764000000.5&_=1764000000000", None

    def errand(self) -> Errand:
        found = re.search(r'window.redirect_uri="(\S+?)";', self.poll().body.decode())
        assert found
        url = urlsplit(found[1])
        return url.path.lstrip("/"), url.query, None


class OfWeChatOpen(EitherWeChatClient):
    dialect: ClassVar[type[PublicIdDialect]] = WeChatOpen
    begins, polls, lands = "connect/qrconnect", "connect/l/qrconnect", "connect/callback"
    wants: Mapping[str, str] = {}  # what the page is asked for
    last = ""

    def begin(self, *headers: tuple[str, str]) -> Response:
        answer = self.send(self.begins, urlencode(self.wants), None, *headers)
        if found := re.search(r"/connect/qrcode/([0-9a-zA-Z]+)", answer.body.decode()):
            self.code = self.key = found[1]
            self.text = f"https://example.com/connect/confirm?uuid={self.code}"
        return answer

    def asked(self, code: str | None = None) -> Errand:
        uuid = self.key if code is None else code
        return (
            self.polls,
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

    def errand(self) -> Errand:
        return self.lands, urlencode({"code": self.wx_code, "state": ""}), None


def happen(client: Client, step: str) -> None:
    """One step of a story that is not a poll."""
    house = client.house
    match step:
        case "away":
            house.store.down = True
        case "cancel":
            house.run(house.core.cancel(house.core.read_device_code(client.device_code)))
        case "collect":
            assert client.collect().redeemed
        case step if step.startswith("+"):
            house.clock.advance(int(step))
        case _:
            verb, _, who = step.partition(":")
            client.phone(verb, BOB if who else ALICE)


C = TypeVar("C", bound=EitherWeChatClient)


def strangers(client: C, other: C) -> tuple[C, C, C, str]:
    """A browser without cookies, one with another login's secret under this one's name, one with a secret that this application
    never signed; and the public code of that one's login.
    """
    house, kind = client.house, type(client)
    elsewhere = QRLogin(MemoryStore(now=house.clock), secret_keys=[KEY[::-1]], verification_uri=URI)
    foreign = elsewhere.run(elsewhere.core.begin(fixed=True, ask_browser=False))
    (name,) = (name for name, value in client.jar.items() if value == client.device_code)
    return (
        kind(house),
        kind(house, {name: other.device_code}),
        kind(house, {name: foreign.device_code}),
        foreign.scan_code,
    )


def forget(house: House) -> None:
    """Lose all logins, as a memory store does when its process ends."""
    house.store.inner._records._records.clear()


def parameters(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, strict_parsing=True))
