"""Every dialect at one address, and a client of each, with a server of either colour or without
one.

A new dialect needs a line in `SPEAKERS` and a player in `qrlogin.demo.players`.
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
AT_ONCE = 0.01  # seconds for which a poll is held in tests that change nothing meanwhile
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


class NativeClient(Player):
    """A page that speaks the native dialect. `wait` is how many seconds its requests are held."""

    scanned, approved, denied = "scanned", "confirmed", "denied"
    below, wait = "/qr", 0

    def begin(self) -> str:
        begun = self.client.post(f"{self.below}/begin", {}).json
        self._id, self._version = str(begun.get("login_id")), begun.get("version")
        self._tag, self._op = "", secrets.token_urlsafe(16)
        return str(begun.get("verification_uri_complete"))

    def look(self) -> str:
        answer = self.client.get(
            f"{self.below}/{self.id}?after={self._version}&wait={self.wait}"
        ).json
        self._version, self._tag = (
            answer.get("version"),
            answer.get("scanned_by", {}).get("tag", ""),
        )
        return str(answer.get("state"))

    def go_on(self) -> None:
        self.client.post(
            f"{self.below}/{self.id}/redeem", {"acknowledged": self._tag, "op": self._op}
        )


class ApplicationClient(WeChatOpen):
    """An application whose server exchanges the code that its page received."""

    def go_on(self) -> None:
        grant = "grant_type=authorization_code"
        answer = self.client.get(
            f"/sns/oauth2/access_token?appid=demo&secret=x&code={self._code}&{grant}"
        )
        self.client.bearer = str(answer.json.get("access_token", ""))


CLIENTS: Mapping[str, type[Player]] = {
    "native": NativeClient,
    **PLAYERS,
    "wechat_open, an application": ApplicationClient,
}


def goes_on(player: Player) -> bool:
    """Whether the client sends a further request once its login is approved."""
    return type(player).go_on is not Player.go_on


class InProcessClient(Client):
    """A client whose requests do not leave the process. It records them; while `only_records` is
    set, it does not send them.
    """

    def __init__(self, ask: Callable[[Request], Response]) -> None:
        super().__init__(ORIGIN, agent="Browser/1.0")
        self.ask, self.jar, self.sent, self.only_records = (
            ask,
            dict[str, str](),
            list[Request](),
            False,
        )

    def cookie(self, name: str) -> str:
        return self.jar.get(name, "")

    def _ask(self, request: urllib.request.Request) -> Answer:
        parts = urlsplit(request.full_url)
        body = request.data if isinstance(request.data, bytes) else b""
        kind = "application/x-www-form-urlencoded" if body else ""
        headers = {
            "user-agent": "Browser/1.0",
            "content-type": request.get_header("Content-type", kind),
            "cookie": self.cookies,
        }
        path = unquote(parts.path).removeprefix("/")
        sent = tuple((name, value) for name, value in headers.items() if value)
        asked = Request(request.get_method(), path, parts.query, sent, body)
        self.sent.append(asked)
        if self.only_records:
            return Answer(0, b"")
        answer = self.ask(asked)
        # It keeps a deleted cookie, as a browser does that did not receive the answer.
        self.jar |= {cookie.key: cookie.value for cookie in answer.cookies if cookie.max_age}
        return Answer(
            answer.status, answer.body, {name.lower(): value for name, value in answer.headers}
        )

    @property
    def cookies(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())


def no_camera(picture: bytes) -> str:
    """The camera of a phone that gets the code itself."""
    return ""


def code_of(player: Player, shown: str) -> str:
    """The public id of the login that a player has begun, which is in its URLs or its picture."""
    found = re.search(r"[0-9a-f]{32}", shown)
    return player.id if not found or player.id.endswith("==") else found[0]


def client(name: str, origin: str = ORIGIN, camera: Camera = no_camera) -> Player:
    return CLIENTS[name](origin, camera)


# The servers


def _dialects(core: Core, hold: float) -> Iterable[Dialect]:
    return (make(core) for name, make in speakers(hold).items() if name != "native")


def wsgi(endpoint: Endpoint, application: Application, hold: float = AT_ONCE) -> Any:
    """An application with all dialects at the root, and the native one below /qr/."""
    endpoints = [
        Endpoint(endpoint._qr, dialect, max_waiting=SLOTS)
        for dialect in _dialects(endpoint._qr.core, hold)
    ]
    native = bare_wsgi(endpoint, application)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"].removeprefix("/")
        for mounted in endpoints:
            if handles(mounted.dialect.browser_routes, path):
                answer = mounted.browser(Request.from_wsgi(environ, path))
                return _logged_in(application, path, answer).to_wsgi(start_response)
        made: Iterable[bytes] = native(environ, start_response)
        return made

    return app


def asgi(endpoint: AsyncEndpoint, application: Application, hold: float = AT_ONCE) -> Any:
    """The same for asyncio."""
    endpoints = [
        AsyncEndpoint(endpoint._qr, dialect, max_waiting=SLOTS)
        for dialect in _dialects(endpoint._qr.core, hold)
    ]
    native = bare_asgi(endpoint, application)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix("/")
        mounted = next(
            (mounted for mounted in endpoints if handles(mounted.dialect.browser_routes, path)),
            None,
        )
        if mounted is None:
            await native(scope, receive, send)
        elif scope["type"] == "websocket":
            await mounted.socket(scope, receive, send, path)
        else:
            answer = await mounted.browser(await Request.from_asgi(scope, receive, path))
            await _logged_in(application, path, answer).to_asgi(send)

    return app


def _logged_in(application: Application, path: str, answer: Response) -> Response:
    redeemed = answer.redeemed
    if redeemed is None or not answer.tokens_wanted:
        return _with_session(application, answer)
    return answer.with_json(tokens(path, application.log_in(redeemed), redeemed.subject, 600))
