"""Servers that are slow, wrong or down, and pages that are hidden.

Each test ends logged in or with exactly one labelled button.
"""

import asyncio
import json

import pytest
from playwright.async_api import Response

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Reply, Stub, html, problem
from tests.security_rows import row

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
        200, login_id="another-login", state="confirmed", version=9, expires_in=60
    ),
    "a login_id that is a path": said(
        201, login_id="../logout", state="pending", version=1, expires_in=60, qr=PICTURE
    ),
    "a redirect elsewhere": Reply(307, b"", (("Location", "/account"),)),
    "a dropped connection": Fault.DROPPED,
    "silence": Fault.SILENT,
}


#: What each of two calls meets in `make test`; the matrix has them all for both. One reader finds
#: them wrong in the same way, whichever call it was, and the rest is like one of these.
OF_BEGIN = ["503", "a login_id that is a path", "a redirect elsewhere", "silence"]
OF_STATUS = [
    *("502 in HTML", "503", "200 in HTML", "half a JSON", "null", "the wrong login"),
    *("a redirect elsewhere", "a dropped connection", "silence"),
]


def nonsense(kept: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "fault",
        [
            pytest.param(fault, id=name, marks=[] if name in kept else pytest.mark.matrix)
            for name, fault in NONSENSE.items()
        ],
    )


@nonsense(OF_BEGIN)
async def test_a_malformed_answer_to_begin_is_shown_as_unavailable(
    login_page: LoginPage, stub: Stub, fault: Reply | Fault
) -> None:
    await login_page.page.clock.install()
    stub.always["begin"] = fault
    await login_page.page.goto(stub.url)
    await login_page.ends("unavailable", "Try again", hurry=True)
    assert 1 <= stub.count("begin") <= 3
    asked = stub.count("begin")
    await login_page.page.clock.run_for(600_000)
    assert stub.count("begin") == asked, "a page without a user must not go on polling"
    stub.always.clear()
    await login_page.press("Try again")
    await login_page.until("pending")
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()


@row(235)
@nonsense(OF_STATUS)
async def test_a_malformed_answer_while_waiting_is_shown_as_unavailable(
    login_page: LoginPage, stub: Stub, fault: Reply | Fault
) -> None:
    await login_page.page.clock.install()
    stub.always["status"] = fault
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.ends("unavailable", "Try again", hurry=True)
    assert stub.count("status") <= 5
    stub.always.clear()
    await login_page.press("Try again")
    await login_page.until("pending")
    assert stub.count("begin") == 1, "the page continues a login that is not over"
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()
    assert "/account" not in stub.pages, "the page follows no redirect"


async def test_a_login_without_answers_expires_on_the_page(
    login_page: LoginPage, stub: Stub
) -> None:
    """The server sends no answer until the login must have expired."""
    await login_page.page.clock.install()
    stub.lifetime = 20
    stub.always["status"] = Fault.SILENT
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.ends("expired", "Show a new code", hurry=True)


STRANGE_STATES: dict[str, dict[str, object]] = {
    "unknown": {"state": "levitating"},
    "inherited": {"state": "constructor"},
    "missing": {"state": None},
    "no version": {"version": None},
    "a version that is a path": {"version": "1&wait=0"},
    "no picture": {"qr": None},
    "a picture that is no path": {"qr": {"size": 29, "path": "url(javascript:alert(1))"}},
    "a picture without a size": {"qr": {"size": "29", "path": "M4 4h1v1h-1z"}},
}


async def test_a_malformed_status_is_shown_as_unavailable(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    for about, more in STRANGE_STATES.items():
        print(about)
        stub.extra = more
        stub.move("pending")
        await login_page.ends("unavailable", "Try again", hurry=True)
        stub.extra = {}
        await login_page.press("Try again")
        await login_page.until("pending")


async def test_unknown_fields_of_an_answer_change_nothing(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.extra = {
        "weather": "fine",
        "__proto__": {"retry_after": 60},
        "hasOwnProperty": 1,
        "then": 1,
    }
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()


async def test_a_login_survives_a_server_that_was_down(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.stop()
    await login_page.eventually(login_page.text, lambda text: "Retrying…" in text)
    await login_page.ends("unavailable", "Try again", hurry=True)
    await login_page.press("Try again")
    assert await login_page.state() == "starting", "the click has a visible effect"
    await login_page.ends("unavailable", "Try again", hurry=True)
    stub.start()
    await login_page.press("Try again")
    await login_page.until("pending")
    assert stub.count("begin") == 1
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()


async def test_a_short_failure_is_retried_without_a_click(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.faults["begin"].append(problem(503, "unavailable"))
    stub.faults["status"].extend([html(502), Fault.DROPPED])
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.eventually(
        lambda: stub.count("status"), lambda count: count >= 3, "the third status", hurry=True
    )
    await login_page.until("pending")
    await login_page.eventually(login_page.text, lambda text: "Retrying" not in text)
    assert stub.count("begin") == 2


@row(219)
async def test_attempts_spread_out(login_page: LoginPage, stub: Stub) -> None:
    """Each pause is random, between half of a limit and the limit, and the limit doubles."""
    await login_page.page.add_init_script(
        """window.slept = []; const real = setTimeout;
        window.setTimeout = (act, ms) => ms % 1000 && ms > 0 && ms !== 500
          ? (slept.push(ms), real(act, 0)) : real(act, ms)"""
    )
    stub.always["status"] = problem(500, "internal")
    await login_page.page.goto(stub.url)
    await login_page.until("unavailable")
    slept = await login_page.page.evaluate("() => slept")
    for number, ms in enumerate(slept):
        assert 500 * 2**number <= ms <= 1000 * 2**number
    assert len(slept) == 4


@row(219)
async def test_too_many_requests_while_waiting(login_page: LoginPage, stub: Stub) -> None:
    """The page sends no request before the time that the server named."""
    await login_page.page.clock.install()
    stub.lifetime = 600
    stub.faults["status"].append(problem(429, "too_fast", retry_after=100))
    await login_page.page.goto(stub.url)
    await login_page.eventually(login_page.text, lambda text: "Retrying…" in text)
    await login_page.page.clock.run_for(60_000)
    await asyncio.sleep(0.2)
    assert stub.count("status") == 1
    await login_page.page.clock.run_for(50_000)
    await login_page.eventually(lambda: stub.count("status") >= 2)
    assert await login_page.state() == "pending"


async def test_after_too_many_requests_at_begin_the_page_offers_try_again(
    login_page: LoginPage, stub: Stub
) -> None:
    """The page does not show a placeholder during a long pause.

    Even after a click it sends no request before the time that the server named.
    """
    await login_page.page.clock.install()
    stub.faults["begin"].append(problem(429, "too_many", retry_after=100))
    await login_page.page.goto(stub.url)
    await login_page.ends("unavailable", "Try again")
    await login_page.press("Try again")
    await login_page.page.clock.run_for(60_000)
    await asyncio.sleep(0.2)
    assert stub.count("begin") == 1
    await login_page.page.clock.run_for(50_000)
    await login_page.until("pending")


async def says_when(response: Response) -> bool:
    """Whether this answer, and not an earlier one, contains `retry_after`."""
    return b"retry_after" in await response.body()


@row(233)
async def test_a_server_that_does_not_hold_is_not_flooded(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.clock.install(time=0)
    stub.hold, stub.lifetime = 0, 600
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.page.clock.pause_at(60)
    before = stub.count("status")
    for _ in range(60):
        # Less than a second, or a slow answer would look as if the server had held it.
        await login_page.page.clock.run_for(500)
        await login_page.answered()
    assert 5 <= stub.count("status") - before <= 30 / 3 + 2
    stub.extra = {"retry_after": 60}
    async with login_page.page.expect_response(says_when):
        for _ in range(20):
            await login_page.page.clock.run_for(500)
            await login_page.eventually(lambda: not login_page.awaits())
    await asyncio.sleep(0.2)
    before = stub.count("status")
    await login_page.page.clock.run_for(30_000)
    await asyncio.sleep(0.2)
    assert stub.count("status") == before


@row(232)
@pytest.mark.parametrize("as_error", [True, False])
async def test_an_expired_login_asks_for_nothing_by_itself(
    login_page: LoginPage, stub: Stub, as_error: bool
) -> None:
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    if as_error:
        stub.always["status"] = problem(410, "expired")
    stub.move("expired")
    await login_page.ends("expired", "Show a new code", hurry=True)
    calls = len(stub.calls)
    await login_page.page.clock.run_for(600_000)
    await login_page.turn("hidden")
    await login_page.turn("visible")
    await asyncio.sleep(0.2)
    assert len(stub.calls) == calls
    stub.always.clear()
    await login_page.press("Show a new code")
    await login_page.until("pending")
    assert stub.count("begin") == 2


async def test_a_hidden_page_stops_polling_and_a_visible_one_continues(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.eventually(lambda: stub.count("status") == 1)
    await login_page.turn("hidden")
    stub.move("scanned")
    await login_page.page.clock.run_for(60_000)
    assert stub.count("status") == 1
    assert await login_page.state() == "pending"
    await login_page.turn("visible")
    await login_page.until("scanned")
    await login_page.turn("hidden")
    stub.move("confirmed")
    # The login has expired by the page's clock, and not by the server's.
    await login_page.page.clock.run_for(600_000)
    await login_page.turn("visible")
    await login_page.press("Continue")
    await login_page.logged_in()
    assert stub.count("begin") == 1


async def test_a_page_that_opens_hidden_begins_when_it_is_visible(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.add_init_script(
        'Object.defineProperty(Document.prototype, "visibilityState",'
        ' {get: () => "hidden", configurable: true})'
    )
    await login_page.page.goto(stub.url)
    await login_page.until("starting")
    await asyncio.sleep(0.2)
    assert stub.calls == []
    await login_page.turn("visible")
    await login_page.until("pending")


async def test_a_page_that_is_hidden_during_begin_begins_once(
    login_page: LoginPage, stub: Stub
) -> None:
    """A begin request that is under way is neither dropped nor sent twice."""
    stub.faults["begin"].append(problem(503, "unavailable", retry_after=1))
    await login_page.opens(stub.url, "starting")
    await login_page.eventually(lambda: stub.count("begin") == 1, step=1)
    await login_page.turn("hidden")
    await login_page.turn("visible")
    await login_page.turn("hidden")
    await login_page.page.clock.resume()
    await login_page.until("pending")
    assert stub.kinds() == ["begin", "begin"]
    await login_page.turn("visible")
    await login_page.eventually(lambda: stub.count("status") >= 1)


async def test_a_page_from_the_page_cache_polls_again(login_page: LoginPage, stub: Stub) -> None:
    """The events are simulated, as Safari before 14.5 sends them: pagehide and pageshow alone.

    test_page_cache.py tests what Chromium does.
    """
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.page.evaluate(
        "() => dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))"
    )
    stub.move("scanned")
    await asyncio.sleep(0.2)
    assert await login_page.state() == "pending"
    await login_page.page.evaluate(
        "() => dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
    )
    await login_page.until("scanned")


async def test_a_removed_element_stops_and_continues_when_it_is_back(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.eventually(lambda: stub.count("status") == 1)
    await login_page.page.evaluate(
        "() => { window.kept = document.querySelector('qr-login'); kept.remove() }"
    )
    stub.move("scanned")
    await login_page.page.clock.run_for(60_000)
    await login_page.turn("hidden")
    await login_page.turn("visible")
    await asyncio.sleep(0.2)
    assert stub.kinds() == ["begin", "status"]
    await login_page.page.evaluate("() => document.querySelector('main').append(kept)")
    await login_page.until("scanned")
    assert stub.count("begin") == 1


async def test_a_page_that_was_taken_over_stops_polling(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.clock.install()
    stub.faults["status"].append(problem(409, "superseded"))
    await login_page.page.goto(stub.url)
    await login_page.ends("superseded", "Continue here")
    await login_page.page.clock.run_for(60_000)
    await login_page.turn("visible")
    await asyncio.sleep(0.2)
    assert stub.count("status") == 1, "the page does not take the login back"
    await login_page.press("Continue here")
    await login_page.until("pending")
    assert stub.count("begin") == 1


async def test_a_page_continues_when_it_is_online_again(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.eventually(lambda: stub.count("status") == 1)
    await login_page.context.set_offline(True)
    stub.move("pending")  # ends the held poll; the next one finds no network
    await login_page.ends("offline", "Try again", hurry=True)
    stub.move("confirmed")
    await login_page.context.set_offline(False)
    await login_page.press("Continue")
    await login_page.logged_in()


async def test_an_offline_browser_still_reaches_a_local_server(
    login_page: LoginPage, stub: Stub
) -> None:
    """A laptop without a network may serve itself, so `navigator.onLine` does not stop requests."""
    await login_page.page.add_init_script(
        'Object.defineProperty(Navigator.prototype, "onLine", {get: () => false})'
    )
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.page.evaluate("() => dispatchEvent(new Event('offline'))")
    stub.move("scanned")
    await login_page.until("scanned")


async def test_a_poll_is_not_held_long_after_the_login_expires(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.lifetime = 1
    await login_page.page.goto(stub.url)
    await login_page.ends("expired", "Show a new code")
    waits = [float(call.query["wait"]) for call in stub.calls if call.kind == "status"]
    assert max(waits) <= 5


@row(10)
@pytest.mark.parametrize("state", ["scanned", "confirmed"])
async def test_that_is_not_me_cancels_the_login(
    login_page: LoginPage, stub: Stub, state: str
) -> None:
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move(state)
    await login_page.press("That is not me")
    await login_page.ends("cancelled", "Show a new code")
    await login_page.eventually(lambda: stub.login.state == "cancelled")
    assert stub.sessions == []
    await login_page.press("Show a new code")
    await login_page.until("pending")
    assert stub.count("begin") == 2


async def test_that_is_not_me_works_even_if_the_server_does_not_answer(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move("confirmed")
    await login_page.until("confirmed")
    stub.always["cancel"] = Fault.DROPPED
    await login_page.press("That is not me")
    await login_page.ends("cancelled", "Show a new code")
    await login_page.eventually(lambda: stub.count("cancel") == 2, hurry=True)
    assert stub.count("redeem") == 0
