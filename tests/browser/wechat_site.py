"""A site with both WeChat dialects, and a neighbour: pages on another port of the same host.

The tests call the core in place of a phone. The host is localhost, because for a host without a
name Chromium treats another port as another site when it checks Cross-Origin-Resource-Policy,
though not when it sends cookies and Sec-Fetch-Site.
"""

import io
import json
import time
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPConnection
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from PIL import Image
from playwright.async_api import Locator

from qrlogin import MemoryStore, QRLogin
from qrlogin.wire import Cookie, Dialect, Endpoint, Request, Response
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.dialects.wechat_open import WeChatOpen
from qrlogin.wire.message import StartResponse
from qrlogin.wire.routes import handles
from tests.browser.two_servers import TwoServers
from tests.render.readers import decode
from tests.servers import LOOPBACK

HTML, JS = "text/html; charset=utf-8", "text/javascript; charset=utf-8"
IN = (
    '<!doctype html><html lang="en"><title>In</title>'
    '<main><h1 id="in">You are in.</h1></main></html>'
)
OUT = '<!doctype html><html lang="en"><title>Out</title><h1>Who are you?</h1></html>'
APPLICATION = ("wx-neighbour", "its-secret")
#: What the article leaves out: the address of the dialect, deferreds, and the calls.
PAGE = """<!doctype html><html lang="en"><title>Log in</title>
<img alt="" width="300" height="300"><p id="codes"></p>
<script src="/jquery.js"></script>
<script>
const i = {
  API_jsLogin: "SITE/jslogin?appid=wx782c26e4c19acffb&fun=new",
  API_login: "SITE/cgi-bin/mmwebwx-bin/login",
};
const t = {defer() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, {resolve, reject}));
  return it;
}};
</script>
<script src="/article.js"></script>
<script>
const say = (word) => document.getElementById("codes").append(` ${word}`);
async function poll(uuid, tip) {
  window.code = 0;
  const code = await checkLogin(uuid, tip).catch(() => 0);
  say(code);
  handleStatus(window);
  if (code === 201 || code === 408) poll(uuid);
}
getUUID().then((uuid) => {
  document.querySelector("img").src = `SITE/qrcode/${uuid}`;
  poll(uuid, 1);
}, () => say("refused"));
</script></html>"""


class WeChatSite(TwoServers):
    """The polls are held for the default time, which is longer than a test."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        super().__init__()
        self.origin, self.beside = (
            f"http://localhost:{server.port}" for server in (self.server, self.neighbour)
        )
        self.qr = QRLogin(
            self.store, secret_keys=[bytes(range(32))], verification_uri=f"{self.origin}/qr"
        )
        back = f"{self.beside}/back"
        dialects: tuple[Dialect, ...] = (
            WeChat(self.qr.core, pages=(self.beside,)),
            WeChatOpen(
                self.qr.core,
                redirect_uris=lambda appid, address: (appid, address) == (APPLICATION[0], back),
                clients=lambda appid, secret: (appid, secret) == APPLICATION,
            ),
        )
        self._endpoints = [Endpoint(self.qr, dialect, max_waiting=8) for dialect in dialects]
        self.asked: list[tuple[float, str]] = []  # the time and the path of each request
        self.log_ins: list[str] = []  # subjects
        self.tokens: list[dict[str, Any]] = []  # what the neighbour received

    def times(self, path: str) -> list[float]:
        return [when for when, what in self.asked if what == path]

    def waiting(self) -> int:
        """The number of held polls."""
        return len(self.store._listeners)

    # The pages and the routes

    def answer(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        request = Request.from_wsgi(environ, environ["PATH_INFO"])
        self.asked.append((time.monotonic(), request.path))
        for endpoint in self._endpoints:
            if handles(endpoint.dialect.browser_routes, request.path):
                return self._logged_in(request, endpoint.browser(request)).to_wsgi(start_response)
        if request.path == "":
            page = IN if ("session", "of-1") in request.cookies() else OUT
            return Response(200, (("Content-Type", HTML),), page.encode()).to_wsgi(start_response)
        return self._pages(request.path).to_wsgi(start_response)

    def _logged_in(self, request: Request, answer: Response) -> Response:
        if answer.redeemed is None:
            return answer
        self.log_ins.append(answer.redeemed.subject)
        if request.path == "sns/oauth2/access_token":
            return answer.with_json({"access_token": "a-token", "openid": answer.redeemed.subject})
        session = Cookie("session", f"of-{answer.redeemed.subject}", 600, secure=False)
        return Response(answer.status, answer.headers, answer.body, (*answer.cookies, session))

    def answer_beside(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        request = Request.from_wsgi(environ, environ["PATH_INFO"])
        if request.path == "back":
            # The server of an application redeems the code, with the browser's cookies.
            (code,), (state,) = (parse_qs(request.query)[name] for name in ("code", "state"))
            appid, secret = APPLICATION
            query = urlencode(
                {"appid": appid, "secret": secret, "code": code, "grant_type": "authorization_code"}
            )
            (cookies,) = request.all("cookie")
            asking = HTTPConnection(LOOPBACK, self.server.port, timeout=10)
            asking.request("GET", f"/sns/oauth2/access_token?{query}", headers={"Cookie": cookies})
            self.tokens.append(json.load(asking.getresponse()) | {"state": state})
            asking.close()
            return Response(200, (("Content-Type", HTML),), IN.encode()).to_wsgi(start_response)
        return self._pages(request.path).to_wsgi(start_response)

    def _pages(self, path: str) -> Response:
        served: dict[str, Callable[[], tuple[str, str]]] = {
            "login": lambda: (HTML, PAGE.replace("SITE", self.origin)),
            "article.js": lambda: (JS, Path(__file__).with_name("wechat_article.js").read_text()),
            "jquery.js": lambda: (
                JS,
                files("xstatic.pkg.jquery").joinpath("data/jquery.js").read_text(),
            ),
        }
        kind, text = served[path]() if path in served else (HTML, "")
        return Response(200 if text else 404, (("Content-Type", kind),), text.encode())


async def text_of(picture: Locator) -> str:
    """The text that a camera reads from the screen."""
    seen = Image.open(io.BytesIO(await picture.screenshot()))
    (found,) = decode(seen)
    return found.decode()
