"""After "Yes", the phone's page says how the login ended."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.approve_page import ApprovePage, approve_page
from tests.browser.approve_stub import CONTEXT, ApproveStub, outcome
from tests.browser.login_stub import Fault, problem
from tests.browser.test_hostile import NAMES, unseen

YES = "Yes, log in"
BACK = "Return to the other window."


async def approved(phone: ApprovePage, stub: ApproveStub) -> None:
    """Approves the login. From now on only the test moves the page's clock."""
    await phone.opens(stub.url, "ask")
    await phone.press_still(YES)
    await phone.until("approved")


async def passes(phone: ApprovePage, seconds: int) -> None:
    """This time passes on the page, and every call is answered meanwhile."""
    for _ in range(seconds):
        await phone.page.clock.run_for(1000)
        await phone.answered()


@pytest.mark.parametrize(
    ("context", "title"),
    [
        (CONTEXT, "Firefox 140 on Windows 11 is logged in"),
        ({"browser": "Firefox 140"}, "Firefox 140 is logged in"),
        ({"browser": " ", "system": "Windows 11"}, "The other device is logged in"),
        ({"client": "TV"}, "The other device is logged in"),
    ],
)
async def test_the_page_says_which_browser_is_logged_in(
    chromium: Browser, tmp_path: Path, context: Mapping[str, Any], title: str
) -> None:
    with ApproveStub(context={**context}) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await approved(phone, stub)
            assert BACK in await phone.text()
            stub.state = "redeemed"
            await passes(phone, 4)
            await phone.until("redeemed")
            assert await phone.title() == title
            assert await phone.buttons() == []
            assert stub.calls[-1].kind == "outcome"
            assert stub.calls[-1].body == {"code": stub.url}
            await phone.shot("redeemed")


async def test_the_name_of_a_browser_is_shown_as_text(chromium: Browser, tmp_path: Path) -> None:
    """One function writes the names of all views; the question is tested with every name."""
    with ApproveStub(state="redeemed") as stub:
        async with approve_page(chromium, tmp_path) as phone:
            for name in list(filter(str.strip, NAMES))[::3]:
                stub.context = {"browser": name, "system": name}
                await phone.page.goto(stub.url)
                await phone.until("redeemed")
                title = await phone.title()
                assert title.endswith(" is logged in")
                assert unseen(title) == []
                tags = "it => [...it.shadowRoot.querySelectorAll('h1 *')].map(i => i.localName)"
                assert set(await phone.element.evaluate(tags)) <= {"bdi"}
                assert len(title) < 120


@pytest.mark.parametrize(
    ("state", "view", "says"),
    [
        ("expired", "uncollected", "get a new code on the login page and scan it"),
        ("denied", "denied", "No one was logged in"),
        ("cancelled", "cancelled", "The person at the browser cancelled this login."),
    ],
)
async def test_the_page_says_that_no_one_was_logged_in(
    chromium: Browser, tmp_path: Path, state: str, view: str, says: str
) -> None:
    """The browser never collected the login, or it was denied or cancelled in another window."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await approved(phone, stub)
            stub.state = state
            await passes(phone, 4)
            await phone.until(view)
            assert says in await phone.text()
            assert await phone.buttons() == []


async def test_the_page_asks_every_few_seconds_until_the_login_has_ended(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await approved(phone, stub)
            await passes(phone, 30)
            assert 8 <= stub.kinds().count("outcome") <= 10
            stub.state = "redeemed"
            await passes(phone, 4)
            await phone.until("redeemed")
            asked = len(stub.calls)
            await passes(phone, 20)
            assert len(stub.calls) == asked


async def test_a_page_out_of_sight_asks_when_it_comes_back(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await approved(phone, stub)
            await phone.turn("hidden")
            await passes(phone, 20)
            assert "outcome" not in stub.kinds()
            stub.state = "redeemed"
            await phone.turn("visible")
            await phone.until("redeemed")
            assert stub.kinds().count("outcome") == 1


async def test_a_failed_question_about_the_outcome_is_asked_again(
    chromium: Browser, tmp_path: Path
) -> None:
    """The approval is not in doubt, so the view stays."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await approved(phone, stub)
            stub.faults["outcome"].extend([Fault.DROPPED, problem(503, "unavailable")])
            await passes(phone, 4)
            assert "Retrying" in await phone.text()
            await passes(phone, 14)
            assert stub.kinds().count("outcome") >= 3
            assert "Retrying" not in await phone.text()
            assert await phone.state() == "approved"


@pytest.mark.parametrize("ending", ["no record", "no answer"])
async def test_a_page_that_cannot_learn_the_outcome_says_so(
    chromium: Browser, tmp_path: Path, ending: str
) -> None:
    """The record of a login that is over is gone after a while. No login lasts ten minutes."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await approved(phone, stub)
            if ending == "no record":
                stub.always["outcome"] = problem(410, "expired")
                await passes(phone, 4)
            else:
                stub.always["outcome"] = outcome("confirmed")
                await phone.page.clock.fast_forward(601_000)
                await passes(phone, 4)
            await phone.until("over")
            assert "Look at the other window" in await phone.text()
            assert "No one was logged in" not in await phone.text()
            asked = len(stub.calls)
            await passes(phone, 10)
            assert len(stub.calls) == asked


async def test_a_cancelled_approval_ends_the_questions(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await approved(phone, stub)
            await phone.press_still("Cancel this login")
            await phone.until("stopped")
            assert await phone.title() == "Login cancelled"
            assert "No one was logged in." in await phone.text()
            assert await phone.element.locator(".picture.quiet").is_visible()
            await passes(phone, 10)
            assert stub.kinds() == ["look", "scan", "confirm", "deny"]


async def test_an_approval_from_before_is_followed_too(chromium: Browser, tmp_path: Path) -> None:
    """It was approved in another tab, or in this one before it was closed."""
    with ApproveStub(state="confirmed") as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.opens(stub.url, "approved")
            stub.state = "redeemed"
            await passes(phone, 4)
            await phone.until("redeemed")
            assert stub.kinds() == ["look", "outcome"]
