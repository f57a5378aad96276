"""Nets that fail and servers that err while a person decides: the answer arrives, or the page says that it may not have."""

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.approve_stub import ApproveStub
from tests.browser.stub import Fault, Reply, html, problem
from tests.browser.thumb import Thumb, thumb

PRESSES = {"confirm": "Yes, log in", "deny": "No, not me", "release": "Not now"}
VIEWS = {"scan": "ask", "confirm": "approved", "deny": "denied", "release": "released"}
FOREIGN = Reply(200, json.dumps({"login_id": "M" * 22, "state": "confirmed"}).encode())


async def do(hand: Thumb, stub: ApproveStub, verb: str) -> None:
    """Presses what leads to this call."""
    await hand.page.goto(stub.url)
    await hand.press("View details")
    if verb != "scan":
        await hand.press(PRESSES[verb])


LOST, TRIED_LATER = Fault.LOST, problem(503, "unavailable", retry_after=1)
OTHERS = [Fault.DROPPED, problem(500, "error"), html(), html(502), html(429)]


@pytest.mark.parametrize(
    ("verb", "fault"),
    [*((verb, fault) for verb in VIEWS for fault in (LOST, TRIED_LATER)), *(("confirm", fault) for fault in OTHERS)],
)
async def test_what_was_pressed_arrives(chromium: Browser, tmp_path: Path, verb: str, fault: Fault | Reply) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            stub.faults[verb].append(fault)
            await do(hand, stub, verb)
            await hand.until(VIEWS[verb])
            assert stub.kinds().count(verb) == 2
            assert len({call.body["code"] for call in stub.calls}) == 1
            assert "Retrying" not in await hand.text()


@pytest.mark.parametrize("verb", list(VIEWS))
async def test_a_server_that_says_nothing(chromium: Browser, tmp_path: Path, verb: str) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.clock.install()
            stub.faults[verb].append(Fault.SILENT)
            await do(hand, stub, verb)
            await hand.eventually(lambda: verb in stub.kinds())
            await hand.page.clock.run_for(13_000)
            await hand.until(VIEWS[verb])
            assert stub.kinds().count(verb) == 2


@pytest.mark.parametrize("verb", list(VIEWS))
async def test_in_the_end_the_person_is_asked(chromium: Browser, tmp_path: Path, verb: str) -> None:
    """Never a spinner for ever; and "again" means the same again."""
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.clock.install()
            stub.always[verb] = Fault.LOST
            await do(hand, stub, verb)
            await hand.page.get_by_role("status").filter(has_text="Retrying…").wait_for()
            await hand.until("unavailable", hurry=True)
            assert stub.kinds().count(verb) == 4
            assert await hand.buttons() == ["Try again"]
            stub.always.clear()
            await hand.press("Try again")
            await hand.until(VIEWS[verb])
            assert stub.kinds()[-1] == verb


async def test_without_a_net(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.ask(stub.url)
            await hand.ready()
            await hand.context.set_offline(True)
            await hand.press(PRESSES["confirm"])
            await hand.until("offline")
            assert "Your request may not have gone through." in await hand.text()
            await hand.context.set_offline(False)
            await hand.press("Try again")
            await hand.until("approved")
            assert stub.kinds() == ["scan", "confirm"]


async def test_an_answer_for_another_login_is_none(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            stub.faults["confirm"].append(FOREIGN)
            await do(hand, stub, "confirm")
            await hand.until("approved")
            assert stub.kinds() == ["scan", "confirm", "confirm"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (problem(404, "unknown_login"), "gone"),
        (problem(409, "cancelled"), "cancelled"),
        (problem(409, "denied"), "denied"),
        (problem(409, "wrong_state"), "moved"),
        (problem(410, "expired"), "expired"),
        (html(401), "signin"),
        (html(403), "stale"),
        (html(404), "refused"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_no_is_taken_for_an_answer(chromium: Browser, tmp_path: Path, error: Reply, state: str) -> None:
    """Said once, believed at once: also by a framework that speaks HTML."""
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            stub.faults["confirm"].append(error)
            await do(hand, stub, "confirm")
            await hand.until(state)
            assert stub.kinds() == ["scan", "confirm"]


async def test_signed_in_meanwhile(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            stub.faults["scan"].append(problem(401, "unauthenticated"))
            await do(hand, stub, "scan")
            await hand.until("signin")
            assert await hand.page.get_by_role("link", name="Sign in here").is_visible()
            await hand.press("Try again")
            await hand.until("ask")
            assert not await hand.page.get_by_role("link", name="Sign in here").is_visible()


async def test_stopping_too_late_says_so(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            await do(hand, stub, "confirm")
            await hand.until("approved")
            stub.state = "redeemed"
            await hand.press("Cancel this login")
            await hand.until("late")
            assert "The browser is already logged in." in await hand.text()


async def test_it_was_approved_before(chromium: Browser, tmp_path: Path) -> None:
    """Another tab, or this one before it was closed: it can still be stopped."""
    with ApproveStub(state="confirmed") as stub:
        async with thumb(chromium, tmp_path) as hand:
            await do(hand, stub, "scan")
            await hand.until("approved")
            await hand.press("Cancel this login")
            await hand.until("denied")


async def test_a_mistyped_code_may_be_mended(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += " typed"
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.goto(f"{stub.origin}/qr")
            field = hand.element.get_by_label("Code")
            await hand.ready()
            await hand.page.keyboard.press("Tab")
            await hand.page.keyboard.press("Enter")  # nothing yet: the browser itself says so
            assert await hand.state() == "typing"
            stub.faults["scan"].append(problem(404, "unknown_login"))
            await hand.ready()
            await field.fill(" wdjb ")
            await hand.page.keyboard.press("Enter")
            await hand.page.get_by_role("status").filter(has_text="letter by letter").wait_for()
            assert await hand.state() == "typing"
            assert await field.get_attribute("aria-invalid") == "true"
            assert "note" in str(await field.get_attribute("aria-describedby"))
            assert await field.input_value() == "wdjb"
            await hand.page.keyboard.type("WDJB-MJHT")  # over what is selected
            await hand.element.get_by_role("button", name="Next").click()
            await hand.until("ask")
            assert [call.body["code"] for call in stub.calls] == ["wdjb", "WDJB-MJHT"]


@pytest.mark.parametrize(("wait", "says"), [(30, "Wait 1 minute"), (90, "Wait 2 minutes"), (600, "Wait 10 minutes")])
async def test_too_many_guesses_says_when(chromium: Browser, tmp_path: Path, wait: int, says: str) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            stub.faults["scan"].append(problem(429, "too_many_guesses", retry_after=wait))
            await do(hand, stub, "scan")
            await hand.until("guesses")
            assert says in await hand.text()
            assert stub.kinds() == ["scan"]


async def test_the_header_of_the_application(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += ' csrf-header="X-CSRFToken" csrf-token="t0"'
        async with thumb(chromium, tmp_path) as hand:
            await do(hand, stub, "deny")
            await hand.until("denied")
            assert [call.headers["x-csrftoken"] for call in stub.calls] == ["t0", "t0"]
            assert {call.headers["origin"] for call in stub.calls} == {stub.origin}
            assert not any("referer" in call.headers for call in stub.calls)


@pytest.mark.parametrize("src", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)", ""])
async def test_no_other_origin_is_asked(chromium: Browser, tmp_path: Path, src: str) -> None:
    with ApproveStub(attributes=f'src="{src}" at="/qr"') as stub:
        async with thumb(chromium, tmp_path) as hand:
            hand.forgives("src must be a path of this origin")
            asked: list[str] = []
            hand.page.on("request", lambda request: asked.append(request.url))
            await do(hand, stub, "scan")
            await hand.until("refused")
            assert all(url.startswith(stub.origin) for url in asked)
            assert stub.calls == []


async def test_a_page_that_is_too_old_can_be_loaded_again(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            stub.faults["confirm"].append(problem(403, "forbidden"))
            await do(hand, stub, "confirm")
            await hand.until("stale")
            await hand.press("Reload page")
            await hand.until("found")
