"""Every dialect at one address, and a client of each: to be served in either colour, or spoken to without a server.

A new dialect is a line in `SPEAKERS`, and a player of the demo's.
"""

import re
import secrets
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from qrlogin import STANDARD
from qrlogin.core import Core
from qrlogin.demo.client import Answer, Client
from qrlogin.demo.dialects import tokens
from qrlogin.demo.players import PLAYERS, Camera, Player, WeChatOpen
from qrlogin.wire import AsyncEndpoint, Dialect, Endpoint, Native, Request, Response
from qrlogin.wire.dialects import wechat_open
from qrlogin.wire.dialects.bilibili import Bilibili
from qrlogin.wire.dialects.jd import JD
from qrlogin.wire.dialects.rfc8628 import Rfc8628
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.taobao_newlogin import TaobaoNewLogin
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.routes import handles
from tests.wire.mount import ORIGIN
from tests.wire.sites import SLOTS, Application, _with_session, bare_asgi, bare_wsgi

TYPED = replace(STANDARD, user_codes=True)
AT_ONCE = 0.01  # seconds that a poll without news is held, where nothing is to come
MakeDialect = Callable[[Core], Any]  # a Dialect


def everybody(*_: object) -> bool:
    return True


def speakers(hold: float = AT_ONCE) -> Mapping[str, MakeDialect]:
    """How to make each dialect."""
    return {
        "native": partial(Native, user_codes=True),
        "wechat": partial(WeChat, hold=hold),
        "wechat_open": partial(wechat_open.WeChatOpen, hold=hold, clients=everybody),
        "taobao": Taobao,
        "newlogin": TaobaoNewLogin,
        "rfc8628": partial(Rfc8628, clients=everybody),
        "bilibili": Bilibili,
        "jd": JD,
    }


SPEAKERS = speakers()

# The clients


class OfNative(Player):
    """A page of ours. With `wait`, its questions are held that many seconds."""

    scanned, approved, denied = "scanned", "confirmed", "denied"
    below, wait = "/qr", 0

    def begin(self) -> str:
        begun = self.client.post(f"{self.below}/begin", {}).json
        self.id, self._version = str(begun.get("login_id")), begun.get("version")
        self._tag, self._op = "", secrets.token_urlsafe(16)
        return str(begun.get("verification_uri_complete"))

    def look(self) -> str:
        told = self.client.get(
            f"{self.below}/{self.id}?after={self._version}&wait={self.wait}"
        ).json
        self._version, self._tag = told.get("version"), told.get("scanned_by", {}).get("tag", "")
        return str(told.get("state"))

    def go_on(self) -> None:
        self.client.post(
            f"{self.below}/{self.id}/redeem", {"acknowledged": self._tag, "op": self._op}
        )


class OfApplication(WeChatOpen):
    """An application whose server exchanges the code that its page was given."""

    def go_on(self) -> None:
        grant = "grant_type=authorization_code"
        told = self.client.get(
            f"/sns/oauth2/access_token?appid=demo&secret=x&code={self._code}&{grant}"
        )
        self.client.bearer = str(told.json.get("access_token", ""))


CLIENTS: Mapping[str, type[Player]] = {
    "native": OfNative,
    **PLAYERS,
    "wechat_open, an application": OfApplication,
}


def goes_on(player: Player) -> bool:
    """Whether it does one thing more once it was told that it is approved."""
    return type(player).go_on is not Player.go_on


class Near(Client):
    """A client whose requests do not leave the process. It remembers them; while it is `dry`, that is all it does."""

    def __init__(self, ask: Callable[[Request], Response]) -> None:
        super().__init__(ORIGIN, agent="Browser 1.0")
        self.ask, self.jar, self.sent, self.dry = ask, dict[str, str](), list[Request](), False

    def cookie(self, name: str) -> str:
        return self.jar.get(name, "")

    def _ask(self, request: urllib.request.Request) -> Answer:
        parts = urlsplit(request.full_url)
        body = request.data if isinstance(request.data, bytes) else b""
        kind = "application/x-www-form-urlencoded" if body else ""
        headers = {
            "user-agent": "Browser 1.0",
            "content-type": request.get_header("Content-type", kind),
            "cookie": self.cookies,
        }
        path = unquote(parts.path).removeprefix("/")
        sent = tuple((name, value) for name, value in headers.items() if value)
        asked = Request(request.get_method(), path, parts.query, sent, body)
        self.sent.append(asked)
        if self.dry:
            return Answer(0, b"")
        answer = self.ask(asked)
        for cookie in answer.cookies:
            self.jar[cookie.key] = cookie.value
        return Answer(
            answer.status, answer.body, {name.lower(): value for name, value in answer.headers}
        )

    @property
    def cookies(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())


def no_camera(picture: bytes) -> str:
    """For phones that are given the code itself."""
    return ""


def code_of(player: Player, shown: str) -> str:
    """The public code of the login that a player has begun: in its URLs, its picture, or both."""
    found = re.search(r"[0-9a-f]{32}", shown)
    return player.id if not found or player.id.endswith("==") else found[0]


def client(name: str, origin: str = ORIGIN, camera: Camera = no_camera) -> Player:
    return CLIENTS[name](origin, camera)


# The servers


def _doors(core: Core, hold: float) -> Iterable[Dialect]:
    return (make(core) for name, make in speakers(hold).items() if name != "native")


def wsgi(endpoint: Endpoint, application: Application, hold: float = AT_ONCE) -> Any:
    """All dialects at the root; the native one below /qr/, as `bare_wsgi` has it."""
    doors = [
        Endpoint(endpoint._qr, dialect, max_waiting=SLOTS)
        for dialect in _doors(endpoint._qr.core, hold)
    ]
    native = bare_wsgi(endpoint, application)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"].removeprefix("/")
        for door in doors:
            if handles(door.dialect.browser_routes, path):
                answer = door.browser(Request.from_wsgi(environ, path))
                return _logged_in(application, path, answer).to_wsgi(start_response)
        made: Iterable[bytes] = native(environ, start_response)
        return made

    return app


def asgi(endpoint: AsyncEndpoint, application: Application, hold: float = AT_ONCE) -> Any:
    """The same, awaited."""
    doors = [
        AsyncEndpoint(endpoint._qr, dialect, max_waiting=SLOTS)
        for dialect in _doors(endpoint._qr.core, hold)
    ]
    native = bare_asgi(endpoint, application)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix("/")
        door = next((door for door in doors if handles(door.dialect.browser_routes, path)), None)
        if door is None:
            await native(scope, receive, send)
        elif scope["type"] == "websocket":
            await door.socket(scope, receive, send, path)
        else:
            answer = await door.browser(await Request.from_asgi(scope, receive, path))
            await _logged_in(application, path, answer).to_asgi(send)

    return app


def _logged_in(application: Application, path: str, answer: Response) -> Response:
    redeemed = answer.redeemed
    if redeemed is None or not answer.tokens_wanted:
        return _with_session(application, answer)
    return answer.with_json(tokens(path, application.log_in(redeemed), redeemed.subject, 600))
