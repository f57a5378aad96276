"""<qr-login stream="events|socket"> at a real server, uvicorn: a whole login over the stream, also when the server drops it."""

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

PAGE = """<!doctype html><html lang="en"><title>Log in</title><script type="module" src="/qr/qr-login-element.js"></script>
<qr-login src="/qr/" next="/in" stream="{kind}"></qr-login></html>"""
INSIDE = '<!doctype html><html lang="en"><title>Account</title><p id="in">You are in.</p></html>'


@dataclass
class Streams:
    """Those that the server has open."""

    open: list[asyncio.Future[Any]] = field(default_factory=list)
    count: int = 0

    def drop(self) -> list[asyncio.Future[Any]]:
        dropped = [*self.open]
        for task in dropped:
            task.get_loop().call_soon_threadsafe(task.cancel)
        return dropped


@contextmanager
def served(kind: str) -> Iterator[tuple[Site, Streams]]:
    """The bare ASGI application, with the pages of a login."""
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
async def test_a_login_over_a_stream_that_is_dropped_once(desk: LoginPage, kind: str) -> None:
    with served(kind) as (site, streams), Phone(site, "alice") as alice:
        asked: list[str] = []
        frames: list[list[str]] = []

        def asks(request: Request) -> None:
            if "/qr/" in request.url and not request.url.endswith(".js"):
                asked.append(request.url.partition("?")[0].rpartition("/")[2])

        def opens(socket: WebSocket) -> None:
            frames.append(said := [])
            socket.on("framereceived", lambda text: said.append(text))

        desk.page.on("request", asks)
        desk.page.on("websocket", opens)
        await desk.page.add_init_script(HEARD)
        await desk.page.goto(site.url)
        await desk.until("pending")
        alice.code = await desk.element.evaluate(
            "it => it.shadowRoot.querySelector('[part=link]').href"
        )
        await desk.eventually(lambda: site.held() == 1, what="a stream that waits")
        assert alice.send("scan").status == 200
        await desk.until("scanned")

        (dropped,) = streams.drop()
        await desk.eventually(dropped.done)
        assert alice.send("confirm").status == 200  # nobody is told at this moment
        await desk.until("confirmed")
        assert streams.count == 2
        assert await heard(desk) == ["starting", "pending", "scanned", "confirmed"]
        waits = [kind, kind] if kind == "events" else []
        assert asked == ["begin", *waits], "nothing was asked for beside the stream"
        if kind == "socket":
            told = [[json.loads(text)["state"] for text in said] for said in frames]
            assert told == [
                ["pending", "scanned"],
                ["confirmed"],
            ]  # pending: the picture may be another by now
        await desk.press("Continue")
        await desk.logged_in()
        assert asked == ["begin", *waits, "redeem"]
        assert [each.subject for each in site.application.log_ins] == ["1"]
