"""<qr-login stream="events|socket">: the same states as by asking, and asking as soon as a stream is no good."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Reply, Stub, html, problem

STREAMS = ("events", "socket")
each_stream = pytest.mark.parametrize("kind", STREAMS)

# Written down on the page before anything else runs, and kept across what the element does.
HEARD = """window.heard = [];
addEventListener("qr-login:state", event => heard.push(event.detail.state))"""
OPEN = """window.open_streams = new Set();
for (const name of ["EventSource", "WebSocket"]) {
  const Kind = window[name];
  window[name] = class extends Kind { constructor(...all) { super(...all); open_streams.add(this) } } }"""


async def listening(desk: LoginPage, stub: Stub, kind: str, count: int = 1) -> None:
    await desk.eventually(lambda: stub.count(kind) >= count, what=f"{count} {kind}")


async def begin(desk: LoginPage, stub: Stub, kind: str) -> None:
    stub.attributes += f' stream="{kind}"'
    await desk.page.add_init_script(HEARD)
    await desk.page.goto(stub.url)
    await desk.until("pending")


async def begin_still(desk: LoginPage, stub: Stub, kind: str) -> None:
    """Up to its stream. The page's clock stands still: it does not begin to ask because a stream is slow to speak."""
    stub.attributes += f' stream="{kind}"'
    await desk.page.add_init_script(HEARD)
    await desk.opens(stub.url)
    await desk.eventually(lambda: stub.count(kind) == 1, what=kind, step=1)


async def another_picture(desk: LoginPage) -> None:
    path = "it => it.shadowRoot.querySelector('[part=qr] path').getAttribute('d')"
    first = await desk.element.evaluate(path)
    await desk.eventually(
        lambda: desk.element.evaluate(path), lambda now: now != first, "another picture"
    )


async def heard(desk: LoginPage) -> Sequence[str]:
    found: list[str] = await desk.page.evaluate("() => heard")
    return found


@each_stream
async def test_a_login_by_stream(desk: LoginPage, stub: Stub, kind: str) -> None:
    await begin_still(desk, stub, kind)
    for state in ("scanned", "pending", "scanned", "confirmed"):
        stub.move(state)
        await desk.until(state)
    assert await heard(desk) == [
        "starting",
        "pending",
        "scanned",
        "pending",
        "scanned",
        "confirmed",
    ]
    await desk.page.clock.run_for(20_000)
    assert stub.kinds() == ["begin", kind], "nothing was asked for beside the stream"
    await desk.page.clock.resume()
    await desk.press("Continue")
    await desk.logged_in()


@each_stream
@pytest.mark.parametrize("state", ["denied", "cancelled", "expired", "redeemed"])
async def test_an_end_closes_the_stream(desk: LoginPage, stub: Stub, kind: str, state: str) -> None:
    await desk.page.add_init_script(OPEN)
    await begin_still(desk, stub, kind)
    stub.move(state)
    await desk.until("used" if state == "redeemed" else state)
    closed = "() => [...open_streams].map(each => each.readyState >= 2)"
    await desk.eventually(lambda: desk.page.evaluate(closed), [True].__eq__)
    assert stub.kinds() == ["begin", kind]


@each_stream
async def test_a_picture_rotates_over_a_stream(desk: LoginPage, stub: Stub, kind: str) -> None:
    stub.rotation = 1
    await begin_still(desk, stub, kind)
    await another_picture(desk)
    assert stub.kinds() == ["begin", kind]


@each_stream
async def test_a_stream_that_has_lived_goes_on_where_it_ended(
    desk: LoginPage, stub: Stub, kind: str
) -> None:
    """Its life is bounded; and a connection drops now and then. Nothing is lost, nothing is told twice."""
    stub.rotation = 1
    await begin(desk, stub, kind)
    await another_picture(desk)
    for number, state in enumerate(("scanned", "pending", "confirmed"), 2):
        stub.end_streams()  # each has spoken
        await listening(desk, stub, kind, number)
        stub.move(state)
        await desk.until(state)
    assert next(call.query["after"] for call in stub.calls if call.kind == kind) == "1"
    assert await heard(desk) == ["starting", "pending", "scanned", "pending", "confirmed"]
    afters = [int(call.query["after"]) for call in stub.calls if call.kind == kind]
    assert afters == sorted(afters)
    assert afters[-1] >= 3


FAULTS: dict[str, Reply | Fault] = {
    "no such path": problem(404, "not_found"),
    "crowded": problem(503, "unavailable", retry_after=2),
    "nothing more to tell": Reply(204, b"", ()),
    "html": html(),
    "json": Reply(200, b"{}"),
    "nonsense": Reply(200, b"data: {\n\ndata: []\n\n", (("Content-Type", "text/event-stream"),)),
    "dropped": Fault.DROPPED,
}


@each_stream
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_where_a_stream_fails_it_asks(
    desk: LoginPage, stub: Stub, kind: str, fault: Reply | Fault
) -> None:
    desk.forgives("WebSocket connection to")
    desk.forgives("EventSource's response has a MIME type")
    stub.always[kind] = fault
    await begin(desk, stub, kind)
    await desk.eventually(lambda: stub.count("status") >= 1)
    stub.move("scanned")
    await desk.until("scanned")
    assert stub.count(kind) == 1, "not again so soon"
    assert "Retrying" not in await desk.text(), "nobody needs to know"
    stub.move("confirmed")
    await desk.press("Continue")
    await desk.logged_in()


@each_stream
async def test_a_stream_is_tried_again_after_a_while(
    desk: LoginPage, stub: Stub, kind: str
) -> None:
    desk.forgives("WebSocket connection to")
    await desk.page.clock.install()
    stub.lifetime, stub.hold = 600, 0.05
    stub.faults[kind].append(Fault.DROPPED)
    await begin(desk, stub, kind)
    await desk.eventually(lambda: stub.count("status") >= 1)
    await desk.eventually(lambda: stub.count(kind) == 2, what="a second stream", hurry=True)
    stub.move("scanned")
    await desk.until("scanned")


@each_stream
async def test_a_stream_that_keeps_everything_back_is_found_out(
    desk: LoginPage, stub: Stub, kind: str
) -> None:
    """Some proxies collect what they should hand on: then the next look shows news, and the stream is not trusted again."""
    stub.always[kind] = Fault.MUTE
    await begin_still(desk, stub, kind)
    stub.move("scanned")
    await desk.page.clock.run_for(5500)
    await desk.until("scanned")
    assert stub.count("status") >= 1
    await desk.page.clock.resume()
    stub.move("confirmed")
    await desk.until("confirmed")
    assert stub.count(kind) == 1


@each_stream
async def test_hidden_pages_have_no_stream(desk: LoginPage, stub: Stub, kind: str) -> None:
    await desk.page.add_init_script(OPEN)
    await begin(desk, stub, kind)
    await listening(desk, stub, kind)
    await desk.turn("hidden")
    await desk.eventually(
        lambda: desk.page.evaluate("() => [...open_streams].every(each => each.readyState >= 2)")
    )
    stub.move("scanned")
    await asyncio.sleep(0.3)
    assert await desk.state() == "pending"
    await desk.turn("visible")
    await desk.until("scanned")
    await listening(desk, stub, kind, 2)
    stub.move("confirmed")
    await desk.until("confirmed")


@each_stream
async def test_only_what_takes_a_connection_takes_a_place(
    desk: LoginPage, stub: Stub, kind: str
) -> None:
    """A WebSocket is none of the six that all windows share; asking again and again is, as soon as there is no socket."""
    desk.forgives("WebSocket connection to")
    places = "async () => (await navigator.locks.query()).held.length"
    await begin(desk, stub, kind)
    await listening(desk, stub, kind)
    assert await desk.page.evaluate(places) == (0 if kind == "socket" else 1)
    stub.always[kind] = Fault.DROPPED
    await desk.turn("hidden")
    await desk.eventually(lambda: desk.page.evaluate(places), (0).__eq__)
    await desk.turn("visible")
    await desk.eventually(lambda: stub.count("status") >= 2)
    await desk.eventually(lambda: desk.page.evaluate(places), (1).__eq__)


@each_stream
async def test_a_dead_server_is_said_and_a_living_one_heard_again(
    desk: LoginPage, stub: Stub, kind: str
) -> None:
    desk.forgives("WebSocket connection to")
    await begin(desk, stub, kind)
    await listening(desk, stub, kind)
    stub.stop()
    await desk.eventually(desk.text, lambda text: "Retrying…" in text)
    stub.start()
    stub.move("scanned")
    await desk.until("scanned")


async def test_a_page_that_was_taken_over_does_not_fight_back(desk: LoginPage, stub: Stub) -> None:
    told = b'event: superseded\ndata: {"error":"superseded"}\n\n'
    stub.always["events"] = Reply(200, told, (("Content-Type", "text/event-stream"),))
    stub.attributes += ' stream="events"'
    await desk.page.goto(stub.url)
    await desk.ends("superseded", "Continue here")
    await asyncio.sleep(0.3)
    assert stub.kinds() == ["begin", "events"]


async def test_a_malformed_stream_address_is_replaced_by_polls(desk: LoginPage, stub: Stub) -> None:
    await begin(desk, stub, "../logout")
    await desk.eventually(lambda: stub.count("status") == 1)
    assert set(stub.kinds()) == {"begin", "status"}
