"""<qr-login stream="events|socket"> with uvicorn: a whole login over a stream that is dropped."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Request, WebSocket

from qrlogin.wire import AsyncEndpoint, Response
from tests.browser.login_page import LoginPage
from tests.browser.test_streams import HEARD, heard
from tests.wire.sites import Application, Site, awaited, bare_asgi
from tests.wire.story import Phone

PAGE = """<!doctype html><html lang="en"><title>Log in</title>
<script type="module" src="/qr/qr-login-element.js"></script>
<qr-login src="/qr/" next="/in" stream="{kind}"></qr-login></html>"""
INSIDE = '<!doctype html><html lang="en"><title>Account</title><p id="in">You are in.</p></html>'


@dataclass
class Streams:
    """The streams that the server has open."""

    open: list[asyncio.Future[Any]] = field(default_factory=list)
    count: int = 0

    def drop(self) -> list[asyncio.Future[Any]]:
        dropped = [*self.open]
        for task in dropped:
            task.get_loop().call_soon_threadsafe(task.cancel)
        return dropped


@contextmanager
def served(kind: str) -> Iterator[tuple[Site, Streams]]:
    """Serves the bare ASGI application with a login page."""
    streams = Streams()

    def make(endpoint: AsyncEndpoint, application: Application) -> Callable[..., Any]:
        inner = bare_asgi(endpoint, application)

        async def app(scope: Any, receive: Any, send: Any) -> Any:
            if page := {"/": PAGE.format(kind=kind), "/in": INSIDE}.get(scope["path"]):
                return await Response(
                    200, (("Content-Type", "text/html; charset=utf-8"),), page.encode()
                ).to_asgi(send)
            if not scope["path"].endswith(f"/{kind}"):
                return await inner(scope, receive, send)
            streams.open.append(task := asyncio.ensure_future(inner(scope, receive, send)))
            streams.count += 1
            try:
                await task
            finally:
                streams.open.remove(task)

        return app

    with awaited(make, None) as site:
        yield site, streams


@pytest.mark.parametrize("kind", ["events", "socket"])
async def test_a_login_survives_a_dropped_stream(login_page: LoginPage, kind: str) -> None:
    with served(kind) as (site, streams), Phone(site, "alice") as alice:
        asked: list[str] = []
        frames: list[list[str]] = []

        def asks(request: Request) -> None:
            if "/qr/" in request.url and not request.url.endswith(".js"):
                asked.append(request.url.partition("?")[0].rpartition("/")[2])

        def opens(socket: WebSocket) -> None:
            frames.append(said := [])
            socket.on("framereceived", lambda text: said.append(text))

        login_page.page.on("request", asks)
        login_page.page.on("websocket", opens)
        await login_page.page.add_init_script(HEARD)
        await login_page.page.goto(site.url)
        await login_page.until("pending")
        alice.code = await login_page.element.evaluate(
            "it => it.shadowRoot.querySelector('[part=link]').href"
        )
        await login_page.eventually(lambda: site.held() == 1, what="a stream that waits")
        assert alice.send("scan").status == 200
        await login_page.until("scanned")

        (dropped,) = streams.drop()
        await login_page.eventually(dropped.done)
        assert alice.send("confirm").status == 200  # no stream is open at this moment
        await login_page.until("confirmed")
        assert streams.count == 2
        assert await heard(login_page) == ["starting", "pending", "scanned", "confirmed"]
        waits = [kind, kind] if kind == "events" else []
        assert asked == ["begin", *waits], "the page sent no other request"
        if kind == "socket":
            states = [[json.loads(text)["state"] for text in said] for said in frames]
            # The first message says "pending", because the code may have rotated.
            assert states == [["pending", "scanned"], ["confirmed"]]
        await login_page.press("Continue")
        await login_page.logged_in()
        assert asked == ["begin", *waits, "redeem"]
        assert [log_in.subject for log_in in site.application.log_ins] == ["1"]
