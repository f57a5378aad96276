"""A real `EventSource` on the event stream.

What it receives through a proxy that cuts every connection, and what stops it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, Page

from qrlogin import MemoryStore, QRLogin
from qrlogin.demo.server import Server
from qrlogin.wire import Endpoint, Request, Response, Streaming
from qrlogin.wire.message import StartResponse
from tests.security_rows import row
from tests.wire.stream_cutter import Cutting

PAGE = b"""<!doctype html><html lang="en"><title>Events</title><script>
const heard = {};
async function begin() {
  const headers = { "Content-Type": "application/json" };
  return (await fetch("/qr/begin", { method: "POST", headers, body: "{}" })).json();
}
function listen(name, login) {
  const source = new EventSource(`/qr/${login}/events`), list = (heard[name] = []);
  for (const kind of ["message", "code", "superseded"]) {
    source.addEventListener(kind, (event) => {
      const { state, version } = JSON.parse(event.data);
      list.push([kind, state ?? "", version ?? 0, event.lastEventId]);
    });
  }
  heard[name].source = source;
}
</script></html>"""


@dataclass
class Site:
    qr: QRLogin
    proxy: Cutting
    page: Page

    async def begin(self) -> tuple[str, str]:
        begun = await self.page.evaluate("begin()")
        return str(begun["login_id"]), str(begun["verification_uri_complete"])

    async def listen(self, name: str, login_id: str) -> None:
        await self.page.evaluate("([name, login]) => listen(name, login)", [name, login_id])

    async def hears(self, name: str, state: str) -> None:
        await self.page.wait_for_function(
            "([name, state]) =>"
            " heard[name].filter(([kind]) => kind !== 'code').at(-1)?.[1] === state",
            arg=[name, state],
        )

    async def heard(self, name: str, kind: str = "message") -> list[Any]:
        said: list[Any] = await self.page.evaluate(
            "(name) => heard[name].map((one) => [...one])", name
        )
        return [rest for first, *rest in said if first == kind]

    async def stops(self, name: str) -> None:
        await self.page.wait_for_function(
            "(name) => heard[name].source.readyState === EventSource.CLOSED", arg=name
        )


@contextmanager
def served(*, cuts: bool) -> Iterator[tuple[QRLogin, Cutting]]:
    with Cutting(cuts=cuts) as proxy, Server("127.0.0.1", 0) as server:
        qr = QRLogin(
            MemoryStore(), secret_keys=[bytes(range(32))], verification_uri=f"{proxy.url}/scan"
        )
        endpoint = Endpoint(qr, max_waiting=8, streaming=Streaming(retry_ms=(20, 60)))

        def answer(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            path = str(environ["PATH_INFO"])
            if path.startswith("/qr/"):
                browser: Callable[[Request], Response] = endpoint.browser
                return browser(Request.from_wsgi(environ, path.removeprefix("/qr/"))).to_wsgi(
                    start_response
                )
            return Response(200, (("Content-Type", "text/html"),), PAGE).to_wsgi(start_response)

        server.start(answer)
        proxy.start(server.port)
        try:
            yield qr, proxy
        finally:
            server.stop(qr.close)


@contextmanager
def site(*, cuts: bool) -> Iterator[Callable[[Page], Site]]:
    with served(cuts=cuts) as (qr, proxy):
        yield lambda page: Site(qr, proxy, page)


async def test_a_stream_that_is_cut_at_every_event_loses_nothing(
    chromium: Browser, loop: Any
) -> None:
    context = await chromium.new_context()
    with site(cuts=True) as at:
        here = at(await context.new_page())
        await here.page.goto(here.proxy.url)
        login_id, code = await here.begin()
        await here.listen("one", login_id)
        await here.hears("one", "pending")
        for act, state in (
            (here.qr.scan, "scanned"),
            (here.qr.release, "pending"),
            (here.qr.scan, "scanned"),
            (here.qr.confirm, "confirmed"),
        ):
            act(code, subject="1", **({"shown_as": "A•••e"} if act == here.qr.scan else {}))
            await here.hears("one", state)
        here.qr.deny(code, subject="1")
        await here.hears("one", "denied")
        await here.stops("one")  # 204: an EventSource does not reconnect after that
        assert await here.heard("one") == [
            ["pending", 1, "1"],
            ["scanned", 2, "2"],
            ["pending", 3, "3"],
            ["scanned", 4, "4"],
            ["confirmed", 5, "5"],
            ["denied", 6, "6"],
        ]
        assert here.proxy.cut >= 6
        asked = [head.lower() for head in here.proxy.streams]
        assert "last-event-id" not in asked[0]
        assert "last-event-id: 6\r\n" in asked[-1]
        await context.close()


async def test_the_older_of_two_streams_is_closed_and_does_not_reconnect(
    chromium: Browser, loop: Any
) -> None:
    context = await chromium.new_context()
    with site(cuts=False) as at:
        here = at(await context.new_page())
        await here.page.goto(here.proxy.url)
        login_id, code = await here.begin()
        await here.listen("older", login_id)
        await here.hears("older", "pending")
        await here.listen("newer", login_id)
        await here.page.wait_for_function("heard.older.at(-1)[0] === 'superseded'")
        # Without the event `superseded`, it would reconnect after 60 ms.
        await here.page.wait_for_timeout(1000)
        here.qr.scan(code, subject="1", shown_as="A•••e")
        await here.hears("newer", "scanned")
        assert len(here.proxy.streams) == 2
        assert len(await here.heard("newer", "superseded")) == 0
        await context.close()


@row(61)
async def test_a_stream_shows_a_login_only_to_the_browser_that_began_it(
    chromium: Browser, loop: Any
) -> None:
    context = await chromium.new_context()
    with site(cuts=False) as at:
        here = at(await context.new_page())
        begun = here.qr.begin()
        await here.page.goto(here.proxy.url)
        await here.listen("stranger", begun.login_id)
        await here.stops("stranger")  # 404: an EventSource does not reconnect after that
        assert await here.heard("stranger") == []
        await context.close()
