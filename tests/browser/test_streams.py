"""<qr-login stream="events|socket">: the states of a poll, and polls when a stream fails."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Reply, Stub, html, problem
from tests.tables import in_matrix

STREAMS = ("events", "socket")
each_stream = pytest.mark.parametrize("kind", STREAMS)

# Runs before the page's own scripts, and records every state.
HEARD = """window.heard = [];
addEventListener("qr-login:state", event => heard.push(event.detail.state))"""
OPEN = """window.open_streams = new Set();
for (const name of ["EventSource", "WebSocket"]) {
  const Kind = window[name];
  window[name] = class extends Kind {
    constructor(...all) { super(...all); open_streams.add(this) } } }"""


async def listening(login_page: LoginPage, stub: Stub, kind: str, count: int = 1) -> None:
    await login_page.eventually(lambda: stub.count(kind) >= count, what=f"{count} {kind}")


async def begin(login_page: LoginPage, stub: Stub, kind: str) -> None:
    stub.attributes += f' stream="{kind}"'
    await login_page.page.add_init_script(HEARD)
    await login_page.page.goto(stub.url)
    await login_page.until("pending")


async def begin_still(login_page: LoginPage, stub: Stub, kind: str) -> None:
    """Opens the page and waits for its stream, with the page's clock paused.

    So the page does not poll because the stream is slow.
    """
    stub.attributes += f' stream="{kind}"'
    await login_page.page.add_init_script(HEARD)
    await login_page.opens(stub.url)
    await login_page.eventually(lambda: stub.count(kind) == 1, what=kind, step=1)


async def another_picture(login_page: LoginPage) -> None:
    path = "it => it.shadowRoot.querySelector('[part=qr] path').getAttribute('d')"
    first = await login_page.element.evaluate(path)
    await login_page.eventually(
        lambda: login_page.element.evaluate(path), lambda now: now != first, "another picture"
    )


async def heard(login_page: LoginPage) -> Sequence[str]:
    found: list[str] = await login_page.page.evaluate("() => heard")
    return found


@each_stream
async def test_a_login_over_a_stream_sends_no_poll(
    login_page: LoginPage, stub: Stub, kind: str
) -> None:
    await begin_still(login_page, stub, kind)
    for state in ("scanned", "pending", "scanned", "confirmed"):
        stub.move(state)
        await login_page.until(state)
    assert await heard(login_page) == [
        "starting",
        "pending",
        "scanned",
        "pending",
        "scanned",
        "confirmed",
    ]
    await login_page.page.clock.run_for(20_000)
    assert stub.kinds() == ["begin", kind], "the page sent no other request"
    await login_page.page.clock.resume()
    await login_page.press("Continue")
    await login_page.logged_in()


@each_stream
@pytest.mark.parametrize("state", ["denied", "redeemed", *in_matrix(["cancelled", "expired"])])
async def test_an_end_closes_the_stream(
    login_page: LoginPage, stub: Stub, kind: str, state: str
) -> None:
    await login_page.page.add_init_script(OPEN)
    await begin_still(login_page, stub, kind)
    stub.move(state)
    await login_page.until("used" if state == "redeemed" else state)
    closed = "() => [...open_streams].map(stream => stream.readyState >= 2)"
    await login_page.eventually(lambda: login_page.page.evaluate(closed), [True].__eq__)
    assert stub.kinds() == ["begin", kind]


@each_stream
async def test_the_code_rotates_over_a_stream(login_page: LoginPage, stub: Stub, kind: str) -> None:
    stub.rotation = 1
    await begin_still(login_page, stub, kind)
    await another_picture(login_page)
    assert stub.kinds() == ["begin", kind]


@each_stream
async def test_a_new_stream_continues_where_the_last_one_ended(
    login_page: LoginPage, stub: Stub, kind: str
) -> None:
    """Streams end after some time, and connections drop. No change is lost or repeated."""
    stub.rotation = 1
    await begin(login_page, stub, kind)
    await another_picture(login_page)
    for number, state in enumerate(("scanned", "pending", "confirmed"), 2):
        stub.end_streams()  # each stream has sent a message
        await listening(login_page, stub, kind, number)
        stub.move(state)
        await login_page.until(state)
    assert next(call.query["after"] for call in stub.calls if call.kind == kind) == "1"
    assert await heard(login_page) == ["starting", "pending", "scanned", "pending", "confirmed"]
    afters = [int(call.query["after"]) for call in stub.calls if call.kind == kind]
    assert afters == sorted(afters)
    assert afters[-1] >= 3


FAULTS: dict[str, Reply | Fault] = {
    "no such path": problem(404, "not_found"),
    "crowded": problem(503, "unavailable", retry_after=2),
    "no content": Reply(204, b"", ()),
    "html": html(),
    "json": Reply(200, b"{}"),
    "nonsense": Reply(200, b"data: {\n\ndata: []\n\n", (("Content-Type", "text/event-stream"),)),
    "dropped": Fault.DROPPED,
}


#: To a WebSocket, every answer that opens no socket is the same error.
ALIKE = {"crowded", "no content", "html", "json", "nonsense"}


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        pytest.param(
            kind,
            fault,
            id=f"{name}-{kind}",
            marks=pytest.mark.matrix if kind == "socket" and name in ALIKE else [],
        )
        for kind in STREAMS
        for name, fault in FAULTS.items()
    ],
)
async def test_the_page_polls_when_a_stream_fails(
    login_page: LoginPage, stub: Stub, kind: str, fault: Reply | Fault
) -> None:
    login_page.forgives("WebSocket connection to")
    login_page.forgives("EventSource's response has a MIME type")
    await login_page.page.clock.install()
    stub.always[kind] = fault
    await begin(login_page, stub, kind)
    await login_page.eventually(lambda: stub.count("status") >= 1)
    stub.move("scanned")
    await login_page.until("scanned")
    assert stub.count(kind) == 1, "the next stream comes later"
    assert "Retrying" not in await login_page.text(), "the user does not have to know"
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()


@each_stream
async def test_a_stream_is_tried_again_after_a_while(
    login_page: LoginPage, stub: Stub, kind: str
) -> None:
    login_page.forgives("WebSocket connection to")
    await login_page.page.clock.install()
    stub.lifetime, stub.hold = 600, 0.05
    stub.faults[kind].append(Fault.DROPPED)
    await begin(login_page, stub, kind)
    await login_page.eventually(lambda: stub.count("status") >= 1)
    await login_page.eventually(lambda: stub.count(kind) == 2, what="a second stream", hurry=True)
    stub.move("scanned")
    await login_page.until("scanned")


@each_stream
async def test_a_poll_finds_out_that_a_stream_is_buffered(
    login_page: LoginPage, stub: Stub, kind: str
) -> None:
    """Some proxies buffer a stream. A poll then finds a change, and the page polls for now."""
    stub.always[kind] = Fault.MUTE
    await begin_still(login_page, stub, kind)
    stub.move("scanned")
    await login_page.page.clock.run_for(5500)
    await login_page.until("scanned")
    assert stub.count("status") >= 1
    await login_page.page.clock.resume()
    stub.move("confirmed")
    await login_page.until("confirmed")
    assert stub.count(kind) == 1


@each_stream
async def test_hidden_pages_have_no_stream(login_page: LoginPage, stub: Stub, kind: str) -> None:
    await login_page.page.add_init_script(OPEN)
    await begin(login_page, stub, kind)
    await listening(login_page, stub, kind)
    await login_page.turn("hidden")
    await login_page.eventually(
        lambda: login_page.page.evaluate(
            "() => [...open_streams].every(stream => stream.readyState >= 2)"
        )
    )
    stub.move("scanned")
    await asyncio.sleep(0.3)
    assert await login_page.state() == "pending"
    await login_page.turn("visible")
    await login_page.until("scanned")
    await listening(login_page, stub, kind, 2)
    stub.move("confirmed")
    await login_page.until("confirmed")


@each_stream
async def test_only_polls_and_event_streams_take_a_connection_slot(
    login_page: LoginPage, stub: Stub, kind: str
) -> None:
    """A WebSocket does not count towards the six connections that all windows share.

    Polls do, as soon as the page has no WebSocket.
    """
    login_page.forgives("WebSocket connection to")
    slots = "async () => (await navigator.locks.query()).held.length"
    await begin(login_page, stub, kind)
    await listening(login_page, stub, kind)
    assert await login_page.page.evaluate(slots) == (0 if kind == "socket" else 1)
    stub.always[kind] = Fault.DROPPED
    await login_page.turn("hidden")
    await login_page.eventually(lambda: login_page.page.evaluate(slots), (0).__eq__)
    await login_page.turn("visible")
    await login_page.eventually(lambda: stub.count("status") >= 2)
    await login_page.eventually(lambda: login_page.page.evaluate(slots), (1).__eq__)


@each_stream
async def test_a_stream_reconnects_after_the_server_restarts(
    login_page: LoginPage, stub: Stub, kind: str
) -> None:
    login_page.forgives("WebSocket connection to")
    await begin(login_page, stub, kind)
    await listening(login_page, stub, kind)
    stub.stop()
    await login_page.eventually(login_page.text, lambda text: "Retrying…" in text)
    stub.start()
    stub.move("scanned")
    await login_page.until("scanned")


async def test_a_page_that_was_taken_over_does_not_fight_back(
    login_page: LoginPage, stub: Stub
) -> None:
    event = b'event: superseded\ndata: {"error":"superseded"}\n\n'
    stub.always["events"] = Reply(200, event, (("Content-Type", "text/event-stream"),))
    stub.attributes += ' stream="events"'
    await login_page.page.goto(stub.url)
    await login_page.ends("superseded", "Continue here")
    await asyncio.sleep(0.3)
    assert stub.kinds() == ["begin", "events"]


async def test_a_malformed_stream_address_is_replaced_by_polls(
    login_page: LoginPage, stub: Stub
) -> None:
    await begin(login_page, stub, "../logout")
    await login_page.eventually(lambda: stub.count("status") == 1)
    assert set(stub.kinds()) == {"begin", "status"}
