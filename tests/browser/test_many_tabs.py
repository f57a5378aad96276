"""Seven visible windows of one browser over HTTP/1.1.

A browser has six connections to a host, for all its windows together.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from playwright.async_api import BrowserContext

from qrlogin import MemoryStore, QRLogin, State
from qrlogin.demo.server import Server
from qrlogin.wire import Endpoint, Request, Response
from tests.browser.login_page import PATIENCE_S, LoginPage

PAGE = """<!doctype html><html lang="en"><title>Log in</title>
<script type="module" src="/qrlogin/qr-login-element.js"></script>
<qr-login src="/qrlogin/" {stream}></qr-login></html>"""
HTML = (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"))


def application(endpoint: Endpoint) -> Callable[[Mapping[str, Any], Any], Any]:
    """The login page, with a stream if the query asks for one, and the browser routes."""

    def answer(environ: Mapping[str, Any], start_response: Any) -> Any:
        path = str(environ["PATH_INFO"]).removeprefix("/")
        if path.startswith("qrlogin/"):
            return endpoint.browser(
                Request.from_wsgi(environ, path.removeprefix("qrlogin/"))
            ).to_wsgi(start_response)
        page = PAGE.format(stream='stream="events"' if environ["QUERY_STRING"] == "events" else "")
        return Response(200 if not path else 404, HTML, page.encode()).to_wsgi(start_response)

    return answer


@pytest.fixture
def site() -> Iterator[QRLogin]:
    """A real server with a slot for every request: only the browser's own limit counts."""
    with Server("127.0.0.1", 0) as server:
        qr = QRLogin(
            MemoryStore(),
            secret_keys=[bytes(range(32))],
            verification_uri=f"http://127.0.0.1:{server.port}/qr",
        )
        server.start(application(Endpoint(qr, max_waiting=64)))
        yield qr
        server.stop(qr.close)


async def windows(
    context: BrowserContext, site: QRLogin, login_page: LoginPage, query: str
) -> list[LoginPage]:
    """Opens seven windows. The last one is `login_page`."""
    origin, patience = site.core.origin, PATIENCE_S * 1000  # shorter than a poll is held
    older = []
    for _ in range(6):
        one = LoginPage(context, await context.new_page(), login_page.shots)
        await one.page.goto(f"{origin}/{query}", timeout=patience)
        await one.eventually(one.state, lambda state: state in ("pending", "forgotten"))
        older.append(one)
    await login_page.page.goto(f"{origin}/{query}", timeout=patience)
    return [*older, login_page]


@pytest.mark.parametrize("query", ["", pytest.param("?events", marks=pytest.mark.matrix)])
async def test_six_open_windows_do_not_starve_a_seventh(
    login_page: LoginPage, site: QRLogin, query: str
) -> None:
    all_of_them = await windows(login_page.context, site, login_page, query)
    await login_page.until("pending")
    cookies = [cookie["value"] for cookie in await login_page.context.cookies()]
    assert len(cookies) == 4, "a browser keeps the cookies of four logins"
    newest = max(
        (site.status(code) for code in cookies), key=lambda seen: (seen.expires_in, seen.version)
    )
    shown = await login_page.element.evaluate(
        "it => it.shadowRoot.querySelector('[part=link]').href"
    )
    assert newest.state is State.PENDING
    site.scan(shown, subject="1", shown_as="A•••e")
    await login_page.until("scanned")
    site.confirm(shown, subject="1")
    await login_page.until("confirmed")
    assert "Continue as A•••e?" in await login_page.text()
    for one in all_of_them[:3]:  # their next poll says that their login was pushed out
        await one.eventually(one.state, lambda state: state in ("pending", "forgotten"))
    assert [problem for one in all_of_them for problem in one.problems] == []


async def test_a_window_whose_login_was_pushed_out_says_so(
    login_page: LoginPage, site: QRLogin
) -> None:
    """The page says why, and begins again only when a person clicks."""
    await login_page.page.goto(f"{site.core.origin}/")
    await login_page.until("pending")
    await login_page.eventually(
        lambda: login_page.element.evaluate(
            "async () => (await navigator.locks.query()).held.length"
        ),
        (1).__eq__,
    )
    await login_page.turn("hidden")
    async with login_page.page.expect_request(re.compile(r"[?&]wait=[1-9]")):
        await login_page.turn("visible")  # polls at once, and then with a wait: the cookie works
    for cookie in await login_page.context.cookies():
        await login_page.context.clear_cookies(name=cookie["name"])
    await login_page.turn("hidden")
    await login_page.turn("visible")
    await login_page.ends("forgotten", "Show a new code")
    assert "too many windows" in await login_page.text()
    await login_page.press("Show a new code")
    await login_page.until("pending")
