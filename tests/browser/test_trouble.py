"""Servers that are slow, wrong, rude or dead; pages that sleep. Each ends logged in or with exactly one labelled button."""

import asyncio
import json

import pytest
from playwright.async_api import Response

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Reply, Stub, html, problem

JSON = (("Content-Type", "application/json"),)
PICTURE = {"size": 29, "path": "M4 4h1v1h-1z"}


def said(status: int, **body: object) -> Reply:
    return Reply(status, json.dumps(body).encode(), JSON)


NONSENSE: dict[str, Reply | Fault] = {
    "500 in JSON": problem(500, "internal"),
    "500 without a body": Reply(500, b"", ()),
    "502 in HTML": html(502),
    "503": problem(503, "unavailable", retry_after=1),
    "200 in HTML": html(),
    "an empty body": Reply(200, b"", JSON),
    "half a JSON": Reply(200, b'{"login_id": "abc', JSON),
    "another JSON": Reply(200, b"[1, 2, 3]", JSON),
    "null": Reply(200, b"null", JSON),
    "the wrong login": said(
        200, login_id="somebody-elses", state="confirmed", version=9, expires_in=60
    ),
    "a login_id that is a path": said(
        201, login_id="../logout", state="pending", version=1, expires_in=60, qr=PICTURE
    ),
    "a redirect elsewhere": Reply(307, b"", (("Location", "/account"),)),
    "a dropped connection": Fault.DROPPED,
    "silence": Fault.SILENT,
}


@pytest.mark.parametrize("fault", NONSENSE.values(), ids=NONSENSE.keys())
async def test_a_malformed_answer_to_begin_is_shown_as_unavailable(
    desk: LoginPage, stub: Stub, fault: Reply | Fault
) -> None:
    await desk.page.clock.install()
    stub.always["begin"] = fault
    await desk.page.goto(stub.url)
    await desk.ends("unavailable", "Try again", hurry=True)
    assert 1 <= stub.count("begin") <= 3
    asked = stub.count("begin")
    await desk.page.clock.run_for(600_000)
    assert stub.count("begin") == asked, "a page that nobody looks at must not go on asking"
    stub.always.clear()
    await desk.press("Try again")
    await desk.until("pending")
    stub.move("confirmed")
    await desk.press("Continue")
    await desk.logged_in()


@pytest.mark.parametrize("fault", NONSENSE.values(), ids=NONSENSE.keys())
async def test_a_malformed_answer_while_waiting_is_shown_as_unavailable(
    desk: LoginPage, stub: Stub, fault: Reply | Fault
) -> None:
    await desk.page.clock.install()
    stub.always["status"] = fault
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.ends("unavailable", "Try again", hurry=True)
    assert stub.count("status") <= 5
    stub.always.clear()
    await desk.press("Try again")
    await desk.until("pending")
    assert stub.count("begin") == 1, "a login that lives is gone on with"
    stub.move("confirmed")
    await desk.press("Continue")
    await desk.logged_in()
    assert "/account" not in stub.pages, "no redirect is followed"


async def test_silence_beyond_the_end(desk: LoginPage, stub: Stub) -> None:
    """The server says nothing until the login must be over: then that is what the page says."""
    await desk.page.clock.install()
    stub.lifetime = 20
    stub.always["status"] = Fault.SILENT
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.ends("expired", "Show a new code", hurry=True)


STRANGE_STATES = {
    "unknown": {"state": "levitating"},
    "inherited": {"state": "constructor"},
    "missing": {"state": None},
    "no version": {"version": None},
    "a version that is a path": {"version": "1&wait=0"},
    "no picture": {"qr": None},
    "a picture that is no path": {"qr": {"size": 29, "path": "url(javascript:alert(1))"}},
    "a picture without a size": {"qr": {"size": "29", "path": "M4 4h1v1h-1z"}},
}


@pytest.mark.parametrize("more", STRANGE_STATES.values(), ids=STRANGE_STATES.keys())
async def test_answers_of_another_version(
    desk: LoginPage, stub: Stub, more: dict[str, object]
) -> None:
    await desk.page.clock.install()
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.extra = more
    stub.move("pending")
    await desk.ends("unavailable", "Try again", hurry=True)
    stub.extra = {}
    await desk.press("Try again")
    await desk.until("pending")


async def test_unknown_fields_of_an_answer_change_nothing(desk: LoginPage, stub: Stub) -> None:
    stub.extra = {
        "weather": "fine",
        "__proto__": {"retry_after": 60},
        "hasOwnProperty": 1,
        "then": 1,
    }
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.move("confirmed")
    await desk.press("Continue")
    await desk.logged_in()


async def test_a_dead_server(desk: LoginPage, stub: Stub) -> None:
    await desk.page.clock.install()
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.stop()
    await desk.eventually(desk.text, lambda text: "Retrying…" in text)
    await desk.ends("unavailable", "Try again", hurry=True)
    await desk.press("Try again")
    assert await desk.state() == "starting", "the click is seen to do something"
    await desk.ends("unavailable", "Try again", hurry=True)
    stub.start()
    await desk.press("Try again")
    await desk.until("pending")
    assert stub.count("begin") == 1
    stub.move("confirmed")
    await desk.press("Continue")
    await desk.logged_in()


async def test_a_hiccup_heals_by_itself(desk: LoginPage, stub: Stub) -> None:
    stub.faults["begin"].append(problem(503, "unavailable"))
    stub.faults["status"].extend([html(502), Fault.DROPPED])
    await desk.page.goto(stub.url)
    await desk.eventually(
        lambda: stub.count("status"), lambda count: count >= 3, "the third status"
    )
    await desk.until("pending")
    await desk.eventually(desk.text, lambda text: "Retrying" not in text)
    assert stub.count("begin") == 2


async def test_attempts_spread_out(desk: LoginPage, stub: Stub) -> None:
    """Each pause is drawn between half of it and all of it, and doubles."""
    await desk.page.add_init_script(
        """window.slept = []; const real = setTimeout;
        window.setTimeout = (act, ms) => ms % 1000 && ms > 0 && ms !== 500 ? (slept.push(ms), real(act, 0)) : real(act, ms)"""
    )
    stub.always["status"] = problem(500, "internal")
    await desk.page.goto(stub.url)
    await desk.until("unavailable")
    slept = await desk.page.evaluate("() => slept")
    for number, ms in enumerate(slept):
        assert 500 * 2**number <= ms <= 1000 * 2**number
    assert len(slept) == 4


async def test_too_many_requests_while_waiting(desk: LoginPage, stub: Stub) -> None:
    """Not again before the server said so."""
    await desk.page.clock.install()
    stub.lifetime = 600
    stub.faults["status"].append(problem(429, "too_fast", retry_after=100))
    await desk.page.goto(stub.url)
    await desk.eventually(desk.text, lambda text: "Retrying…" in text)
    await desk.page.clock.run_for(60_000)
    await asyncio.sleep(0.2)
    assert stub.count("status") == 1
    await desk.page.clock.run_for(50_000)
    await desk.eventually(lambda: stub.count("status") >= 2)
    assert await desk.state() == "pending"


async def test_too_many_requests_at_begin(desk: LoginPage, stub: Stub) -> None:
    """A long pause is not sat out behind a placeholder: the person is asked, and even a click keeps the server's word."""
    await desk.page.clock.install()
    stub.faults["begin"].append(problem(429, "too_many", retry_after=100))
    await desk.page.goto(stub.url)
    await desk.ends("unavailable", "Try again")
    await desk.press("Try again")
    await desk.page.clock.run_for(60_000)
    await asyncio.sleep(0.2)
    assert stub.count("begin") == 1
    await desk.page.clock.run_for(50_000)
    await desk.until("pending")


async def says_when(response: Response) -> bool:
    """Whether this answer, and not one from before, tells when to ask again."""
    return b"retry_after" in await response.body()


async def test_a_server_that_does_not_hold_is_not_flooded(desk: LoginPage, stub: Stub) -> None:
    await desk.page.clock.install(time=0)
    stub.hold, stub.lifetime = 0, 600
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.page.clock.pause_at(60)
    before = stub.count("status")
    for _ in range(60):
        await desk.page.clock.run_for(
            500
        )  # less than a second, or an answer on its way would look as if it had been held
        await desk.answered()
    assert 5 <= stub.count("status") - before <= 30 / 3 + 2
    stub.extra = {"retry_after": 60}
    async with desk.page.expect_response(says_when):
        for _ in range(20):
            await desk.page.clock.run_for(500)
            await desk.eventually(lambda: not desk.awaits())
    await asyncio.sleep(0.2)
    before = stub.count("status")
    await desk.page.clock.run_for(30_000)
    await asyncio.sleep(0.2)
    assert stub.count("status") == before


@pytest.mark.parametrize("as_error", [True, False])
async def test_an_expired_login_asks_for_nothing_by_itself(
    desk: LoginPage, stub: Stub, as_error: bool
) -> None:
    await desk.page.clock.install()
    await desk.page.goto(stub.url)
    await desk.until("pending")
    if as_error:
        stub.always["status"] = problem(410, "expired")
    stub.move("expired")
    await desk.ends("expired", "Show a new code", hurry=True)
    calls = len(stub.calls)
    await desk.page.clock.run_for(600_000)
    await desk.turn("hidden")
    await desk.turn("visible")
    await asyncio.sleep(0.2)
    assert len(stub.calls) == calls
    stub.always.clear()
    await desk.press("Show a new code")
    await desk.until("pending")
    assert stub.count("begin") == 2


async def test_a_hidden_page_rests_and_a_visible_one_reads_again(
    desk: LoginPage, stub: Stub
) -> None:
    await desk.page.clock.install()
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.eventually(lambda: stub.count("status") == 1)
    await desk.turn("hidden")
    stub.move("scanned")
    await desk.page.clock.run_for(60_000)
    assert stub.count("status") == 1
    assert await desk.state() == "pending"
    await desk.turn("visible")
    await desk.until("scanned")
    await desk.turn("hidden")
    stub.move("confirmed")
    await desk.page.clock.run_for(
        600_000
    )  # its own clock says that it is over; the server says that it is not
    await desk.turn("visible")
    await desk.press("Continue")
    await desk.logged_in()
    assert stub.count("begin") == 1


async def test_a_page_that_opens_hidden_asks_when_it_is_seen(desk: LoginPage, stub: Stub) -> None:
    await desk.page.add_init_script(
        'Object.defineProperty(Document.prototype, "visibilityState", {get: () => "hidden", configurable: true})'
    )
    await desk.page.goto(stub.url)
    await desk.until("starting")
    await asyncio.sleep(0.2)
    assert stub.calls == []
    await desk.turn("visible")
    await desk.until("pending")


async def test_hidden_while_the_login_begins(desk: LoginPage, stub: Stub) -> None:
    """A begin on its way is not thrown away, and not doubled."""
    stub.faults["begin"].append(problem(503, "unavailable", retry_after=1))
    await desk.opens(stub.url, "starting")
    await desk.eventually(lambda: stub.count("begin") == 1, step=1)
    await desk.turn("hidden")
    await desk.turn("visible")
    await desk.turn("hidden")
    await desk.page.clock.resume()
    await desk.until("pending")
    assert stub.kinds() == ["begin", "begin"]
    await desk.turn("visible")
    await desk.eventually(lambda: stub.count("status") >= 1)


async def test_back_from_the_page_cache(desk: LoginPage, stub: Stub) -> None:
    """Played, for browsers that say nothing else of it: Safari before 14.5. What Chromium does is in test_page_cache.py."""
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.page.evaluate(
        "() => dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))"
    )
    stub.move("scanned")
    await asyncio.sleep(0.2)
    assert await desk.state() == "pending"
    await desk.page.evaluate(
        "() => dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
    )
    await desk.until("scanned")


async def test_a_removed_element_is_silent_and_goes_on_when_it_is_back(
    desk: LoginPage, stub: Stub
) -> None:
    await desk.page.clock.install()
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.eventually(lambda: stub.count("status") == 1)
    await desk.page.evaluate(
        "() => { window.kept = document.querySelector('qr-login'); kept.remove() }"
    )
    stub.move("scanned")
    await desk.page.clock.run_for(60_000)
    await desk.turn("hidden")
    await desk.turn("visible")
    await asyncio.sleep(0.2)
    assert stub.kinds() == ["begin", "status"]
    await desk.page.evaluate("() => document.querySelector('main').append(kept)")
    await desk.until("scanned")
    assert stub.count("begin") == 1


async def test_another_window_took_over(desk: LoginPage, stub: Stub) -> None:
    await desk.page.clock.install()
    stub.faults["status"].append(problem(409, "superseded"))
    await desk.page.goto(stub.url)
    await desk.ends("superseded", "Continue here")
    await desk.page.clock.run_for(60_000)
    await desk.turn("visible")
    await asyncio.sleep(0.2)
    assert stub.count("status") == 1, "it does not fight back"
    await desk.press("Continue here")
    await desk.until("pending")
    assert stub.count("begin") == 1


async def test_offline_and_online_again(desk: LoginPage, stub: Stub) -> None:
    await desk.page.clock.install()
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.eventually(lambda: stub.count("status") == 1)
    await desk.context.set_offline(True)
    stub.move("pending")  # ends the wait; the next one finds no network
    await desk.ends("offline", "Try again", hurry=True)
    stub.move("confirmed")
    await desk.context.set_offline(False)
    await desk.press("Continue")
    await desk.logged_in()


async def test_a_server_without_a_network_is_still_a_server(desk: LoginPage, stub: Stub) -> None:
    """A laptop in the train serves its own demo: what the browser believes about the network decides nothing."""
    await desk.page.add_init_script(
        'Object.defineProperty(Navigator.prototype, "onLine", {get: () => false})'
    )
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.page.evaluate("() => dispatchEvent(new Event('offline'))")
    stub.move("scanned")
    await desk.until("scanned")


async def test_the_wait_never_outlives_the_login_by_much(desk: LoginPage, stub: Stub) -> None:
    stub.lifetime = 3
    await desk.page.goto(stub.url)
    await desk.ends("expired", "Show a new code")
    waits = [float(call.query["wait"]) for call in stub.calls if call.kind == "status"]
    assert max(waits) <= 5


@pytest.mark.parametrize("state", ["scanned", "confirmed"])
async def test_that_is_not_me(desk: LoginPage, stub: Stub, state: str) -> None:
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.move(state)
    await desk.press("That is not me")
    await desk.ends("cancelled", "Show a new code")
    await desk.eventually(lambda: stub.login.state == "cancelled")
    assert stub.sessions == []
    await desk.press("Show a new code")
    await desk.until("pending")
    assert stub.count("begin") == 2


async def test_that_is_not_me_holds_even_if_the_server_does_not_hear_it(
    desk: LoginPage, stub: Stub
) -> None:
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.move("confirmed")
    await desk.until("confirmed")
    stub.always["cancel"] = Fault.DROPPED
    await desk.press("That is not me")
    await desk.ends("cancelled", "Show a new code")
    await desk.eventually(lambda: stub.count("cancel") == 2)
    assert stub.count("redeem") == 0
