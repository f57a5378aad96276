"""Seven windows of one browser, all of them visible, over HTTP/1.1, where a browser has six connections to a host for all."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from playwright.async_api import BrowserContext

from qrlogin import MemoryStore, QRLogin, State
from qrlogin.demo.server import Server
from qrlogin.wire import Endpoint, Request, Response
from tests.browser.login_page import PATIENCE_S, LoginPage

PAGE = """<!doctype html><html lang="en"><title>Log in</title><script type="module" src="/qrlogin/qr-login-element.js"></script>
<qr-login src="/qrlogin/" {stream}></qr-login></html>"""
HTML = (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"))


def application(endpoint: Endpoint) -> Callable[[Mapping[str, Any], Any], Any]:
    """The login page, with a stream where the query says so, and the browser's door."""

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
    """A real server with room for everybody: only the browser's own limit is met."""
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
    context: BrowserContext, site: QRLogin, desk: LoginPage, query: str
) -> list[LoginPage]:
    """Seven, the last of which is `desk`."""
    origin, patience = site.core.origin, PATIENCE_S * 1000  # less than a poll is held
    older = []
    for _ in range(6):
        one = LoginPage(context, await context.new_page(), desk.shots)
        await one.page.goto(f"{origin}/{query}", timeout=patience)
        await one.eventually(one.state, lambda state: state in ("pending", "forgotten"))
        older.append(one)
    await desk.page.goto(f"{origin}/{query}", timeout=patience)
    return [*older, desk]


@pytest.mark.parametrize("query", ["", "?events"])
async def test_six_open_windows_do_not_starve_a_seventh(
    desk: LoginPage, site: QRLogin, query: str
) -> None:
    all_of_them = await windows(desk.context, site, desk, query)
    await desk.until("pending")
    cookies = [each["value"] for each in await desk.context.cookies()]
    assert len(cookies) == 4, "a browser keeps the cookies of four logins"
    newest = max(
        (site.status(code) for code in cookies), key=lambda seen: (seen.expires_in, seen.version)
    )
    shown = await desk.element.evaluate("it => it.shadowRoot.querySelector('[part=link]').href")
    assert newest.state is State.PENDING
    site.scan(shown, subject="1", shown_as="A•••e")
    await desk.until("scanned")
    site.confirm(shown, subject="1")
    await desk.until("confirmed")
    assert "Continue as A•••e?" in await desk.text()
    for one in all_of_them[:3]:  # pushed out: said when they ask the next time
        await one.eventually(one.state, lambda state: state in ("pending", "forgotten"))
    assert [problem for one in all_of_them for problem in one.problems] == []


async def test_a_window_whose_login_was_pushed_out_says_so(desk: LoginPage, site: QRLogin) -> None:
    """It says why, and takes a place again only when a person wants it."""
    await desk.page.goto(f"{site.core.origin}/")
    await desk.until("pending")
    await desk.eventually(
        lambda: desk.element.evaluate("async () => (await navigator.locks.query()).held.length"),
        (1).__eq__,
    )
    await desk.turn("hidden")
    async with desk.page.expect_request(re.compile(r"[?&]wait=[1-9]")):
        await desk.turn("visible")  # asks at once, learns that its login is known, and waits
    for cookie in await desk.context.cookies():
        await desk.context.clear_cookies(name=cookie["name"])
    await desk.turn("hidden")
    await desk.turn("visible")
    await desk.ends("forgotten", "Show a new code")
    assert "too many windows" in await desk.text()
    await desk.press("Show a new code")
    await desk.until("pending")
