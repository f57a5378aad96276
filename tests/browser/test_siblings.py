"""A page on another host of the same domain tries to log its visitors in to an attacker's account.

The login of a script dialect is a script that any page can run: a page that begins one for its
visitor reads the public id, approves it on a phone of its own, and opens the address that logs in.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.wire import Cookie, Endpoint, Request, Response
from qrlogin.wire.dialects import PublicIdDialect
from qrlogin.wire.dialects.taobao import Taobao
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.message import StartResponse
from tests.browser.login_page import LoginPage
from tests.browser.two_servers import TwoServers
from tests.security_rows import row

HTML = (("Content-Type", "text/html; charset=utf-8"),)
#: What the pages share: load a script of the dialect, report to their own server, wait.
PAGE = """<!doctype html><meta charset="utf-8"><meta name="referrer" content="REFERRER">
<p id="said"></p><script>
const site = "SITE", say = (word) => document.getElementById("said").append(` ${word}`);
const load = (path) => new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = `${site}/${path}`;
  script.onload = resolve;
  script.onerror = () => { say("refused"); reject(new Error("refused")); };
  document.head.append(script);
});
const approve = (code) => fetch("/approve", {method: "POST", body: code});
let got;
window.back = (data) => { got = data; };
(async () => { ATTACK })().catch(() => {});
</script>"""
ATTACKS: Mapping[str, tuple[type[PublicIdDialect], str]] = {
    "wechat": (
        WeChat,
        """await load("jslogin");
        const uuid = window.QRLogin.uuid;
        await approve(`${site}/l/${uuid}`);
        await load(`cgi-bin/mmwebwx-bin/login?uuid=${uuid}`);
        location = window.redirect_uri;""",
    ),
    "taobao": (
        Taobao,
        """await load("qrcodelogin/generateQRCode4Login.do?callback=back");
        const token = got.lgToken;
        await approve(token);
        await load(`qrcodelogin/qrcodeLoginCheck.do?callback=back&lgToken=${token}`);
        location = got.url;""",
    ),
}


class Sites(TwoServers):
    """The site at www.shop.localhost, and a page at another host of the same domain."""

    def __init__(self, name: str, referrer: str, *, listed: bool) -> None:
        super().__init__()
        self.origin = f"http://www.shop.localhost:{self.server.port}"
        self.sibling = f"http://blog.shop.localhost:{self.neighbour.port}"
        self.qr = QRLogin(
            MemoryStore(), secret_keys=[bytes(range(32))], verification_uri=f"{self.origin}/qr"
        )
        make, attack = ATTACKS[name]
        options: dict[str, Any] = {"pages": (self.sibling,)} if listed else {}
        self._endpoint = Endpoint(self.qr, make(self.qr.core, **options), max_waiting=8)
        self._page = (
            PAGE.replace("ATTACK", attack)
            .replace("SITE", self.origin)
            .replace("REFERRER", referrer)
        )
        self.log_ins: list[str] = []  # subjects

    def answer(self, environ: Mapping[str, Any], start: StartResponse) -> Iterable[bytes]:
        request = Request.from_wsgi(environ, environ["PATH_INFO"])
        if request.path in ("", "favicon.ico"):
            whose = dict(request.cookies()).get("session", "nobody")
            return Response(200, HTML, f"<h1>{whose}</h1>".encode()).to_wsgi(start)
        if request.path == "page":  # the same page, on the site itself
            return Response(200, HTML, self._page.encode()).to_wsgi(start)
        if request.path == "approve":
            return self._approve(request).to_wsgi(start)
        answer = self._endpoint.browser(request)
        if answer.redeemed is not None:
            self.log_ins.append(answer.redeemed.subject)
            session = Cookie("session", answer.redeemed.subject, 600, secure=False)
            answer = Response(
                answer.status, answer.headers, answer.body, (*answer.cookies, session)
            )
        return answer.to_wsgi(start)

    def answer_beside(self, environ: Mapping[str, Any], start: StartResponse) -> Iterable[bytes]:
        request = Request.from_wsgi(environ, environ["PATH_INFO"])
        if request.path == "approve":
            return self._approve(request).to_wsgi(start)
        return Response(200, HTML, self._page.encode()).to_wsgi(start)

    def _approve(self, request: Request) -> Response:
        """The attacker's own phone."""
        code = request.body.decode()
        self.qr.scan(code, subject="the-attacker", shown_as="A")
        self.qr.confirm(code, subject="the-attacker")
        return Response.json(200, {})


@row(60)
@pytest.mark.parametrize("referrer", ["strict-origin-when-cross-origin", "no-referrer"])
@pytest.mark.parametrize("name", ATTACKS)
async def test_a_sibling_cannot_log_its_visitors_in(
    login_page: LoginPage, name: str, referrer: str
) -> None:
    with Sites(name, referrer, listed=False) as sites:
        await login_page.page.goto(f"{sites.sibling}/", wait_until="domcontentloaded")
        await login_page.page.get_by_text("refused").wait_for()
        assert sites.log_ins == []
        # No login was begun, and the browser got no cookie.
        assert await login_page.context.cookies() == []


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_listed_page_and_the_sites_own_page_log_in(
    login_page: LoginPage, name: str
) -> None:
    for listed, referrer in ((True, "strict-origin-when-cross-origin"), (False, "no-referrer")):
        with Sites(name, referrer, listed=listed) as sites:
            page = f"{sites.sibling}/" if listed else f"{sites.origin}/page"
            await login_page.page.goto(page, wait_until="domcontentloaded")
            await login_page.page.wait_for_url(f"{sites.origin}/")
            assert sites.log_ins == ["the-attacker"]
