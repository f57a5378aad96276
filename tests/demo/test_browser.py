"""The demo as people see it: a real Chromium plays the desk and the phones, each a profile of its own.

What passes from one screen to the other is a picture, read by a decoder. Both sides report each violation of their policy and
each error of their scripts, and axe looks at every screen.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.login_page import PATIENCE_S, LoginPage
from tests.demo.phone_page import PhonePage, camera, glance, open_phone
from tests.demo.running import RunningDemo

NO, YES = "No, not me", "Yes, log in"


@pytest.fixture(scope="module")
def brief_demo() -> Iterator[RunningDemo]:
    """Its logins live for four seconds."""
    with RunningDemo("--lifetime", "4") as running:
        yield running


@asynccontextmanager
async def desk_and_phone(
    chromium: Browser, demo: RunningDemo, shots: Path, *, width: int = 1200, scheme: str = "light"
) -> AsyncIterator[tuple[LoginPage, PhonePage]]:
    """Two strangers: a desk with the login page open, and a phone."""
    context = await chromium.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    desk, phone = await LoginPage.in_context(context, shots), await open_phone(chromium, shots)
    await desk.page.goto(demo.origin)
    await desk.eventually(
        desk.state, lambda state: state in ("pending", "expired"), "a login"
    )  # a brief one may be over already
    yield desk, phone
    await context.close()
    await phone.close()
    assert desk.problems == []


async def brief_code(desk: LoginPage) -> str:
    """What the camera reads. If a slow machine has let the login expire before, there is a new code on the screen."""

    async def look() -> str:
        if await desk.state() == "expired":
            await desk.press("Show a new code")
        return await glance(desk)

    return str(await desk.eventually(look, what="a QR code"))


async def heading(desk: LoginPage, text: str) -> None:
    await desk.page.get_by_role("heading", name=text).wait_for(timeout=PATIENCE_S * 1000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_scan_approve_continue(
    chromium: Browser, demo: RunningDemo, tmp_path: Path, scheme: str
) -> None:
    async with desk_and_phone(chromium, demo, tmp_path, scheme=scheme) as (desk, phone):
        assert await desk.axe() == []
        await desk.shot("desk-pending")
        await phone.open(await camera(desk))
        await phone.view("who", "Whose phone is this?")
        await phone.press("Alice\u2019s phone")
        await phone.view("found", "Login request")
        assert await desk.state() == "pending"  # looking at the address scanned nothing
        await phone.press("View details")
        await phone.view("ask", "Log in this browser as Alice?")
        shown = await phone.text()
        for fact in (
            "Chrome",
            "Linux",
            "127.0.0.1",
            "Alice",
            demo.origin.removeprefix("http://"),
            "ago",
        ):
            assert fact in shown
        assert "Approve only if the code is on the screen in front of you." in shown
        assert "you did not start this login, choose No" in shown
        await desk.until("scanned")
        await phone.press(YES)
        await phone.view("approved", "Approved")
        assert "Return to the other window." in await phone.text()
        await desk.until("confirmed")
        assert "Continue as A•••e?" in await desk.text()
        assert await desk.axe() == []
        await desk.press("Continue")
        await heading(desk, "You are logged in as Alice")
        assert await desk.axe() == []
        await desk.shot("desk-logged-in")
        await desk.page.get_by_role("button", name="Log out").click()
        await desk.until("pending")
        await desk.page.reload()
        await desk.until("pending")


async def test_deny(chromium: Browser, demo: RunningDemo, tmp_path: Path) -> None:
    async with desk_and_phone(chromium, demo, tmp_path) as (desk, phone):
        await phone.scan(desk, "Alice")
        await phone.press(NO)
        await phone.view("denied", "Login declined")
        await desk.until("denied")
        assert await desk.buttons() == ["Show a new code"]
        await desk.press("Show a new code")
        await desk.until("pending")


async def test_stop_after_approving(chromium: Browser, demo: RunningDemo, tmp_path: Path) -> None:
    async with desk_and_phone(chromium, demo, tmp_path) as (desk, phone):
        await phone.scan(desk, "Alice")
        await phone.press(YES)
        await desk.until("confirmed")
        await phone.press("Cancel this login")
        await phone.view("denied", "Login declined")
        await desk.until("denied")


async def test_that_is_not_me(chromium: Browser, demo: RunningDemo, tmp_path: Path) -> None:
    async with desk_and_phone(chromium, demo, tmp_path) as (desk, phone):
        await phone.scan(desk, "Bob")
        await desk.until("scanned")
        assert "B•b" in await desk.text()
        await desk.press("That is not me")
        await desk.until("cancelled")
        await phone.press(YES)
        await phone.view("cancelled", "Login cancelled")


async def test_not_now_then_again(chromium: Browser, demo: RunningDemo, tmp_path: Path) -> None:
    async with desk_and_phone(chromium, demo, tmp_path) as (desk, phone):
        await phone.scan(desk, "Alice")
        await desk.until("scanned")
        await phone.press("Not now")
        await phone.view("released", "Nothing was approved")
        await desk.until("pending")
        await phone.press("View details again")
        await phone.press(YES)
        await desk.until("confirmed")
        await desk.press("Continue")
        await heading(desk, "You are logged in as Alice")


async def test_a_second_account(chromium: Browser, demo: RunningDemo, tmp_path: Path) -> None:
    async with desk_and_phone(chromium, demo, tmp_path) as (desk, alice):
        bob = await open_phone(chromium, tmp_path)
        read = await camera(desk)
        await alice.open(read)
        await alice.look("Alice")
        await desk.until("scanned")
        await bob.open(read)
        await bob.look("Bob")
        await bob.view("taken", "Scanned by another account")
        await alice.press("Not now")
        await desk.until("pending")
        await bob.scan(desk, "Bob")  # he is still Bob: the phone remembers
        await bob.press(YES)
        await desk.until("confirmed")
        await desk.press("Continue")
        await heading(desk, "You are logged in as Bob")
        await bob.close()


async def test_expired_before_the_scan(
    chromium: Browser, brief_demo: RunningDemo, tmp_path: Path
) -> None:
    async with desk_and_phone(chromium, brief_demo, tmp_path) as (desk, phone):
        first = await brief_code(desk)
        await phone.open(first)
        await desk.until("expired")
        await phone.look("Alice")
        await phone.view("expired", "This code has expired")
        assert await brief_code(desk) != first


async def test_a_login_that_expires_before_the_answer_is_shown_as_expired(
    chromium: Browser, brief_demo: RunningDemo, tmp_path: Path
) -> None:
    async with desk_and_phone(chromium, brief_demo, tmp_path) as (desk, phone):
        await phone.open(await brief_code(desk))
        await phone.look("Alice")
        await phone.view("expired", "This code has expired")  # without a tap
        await desk.until("expired")


async def test_one_person_with_two_windows(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """The way of most people who try this: no phone, no camera, one browser."""
    async with desk_and_phone(chromium, demo, tmp_path) as (desk, _):
        async with desk.context.expect_page() as opened:
            await desk.page.get_by_role("link", name="Simulate one in a new window").click()
        phone = PhonePage(desk.context, await opened.value, tmp_path)
        assert phone.page.url == await camera(desk)
        await phone.look("Alice")
        await phone.press(YES)
        await phone.view("approved", "Approved")
        await desk.page.bring_to_front()
        await desk.until("confirmed")
        await desk.press("Continue")
        await heading(desk, "You are logged in as Alice")
        assert phone.problems == []


async def test_a_phone_without_a_code(chromium: Browser, demo: RunningDemo, tmp_path: Path) -> None:
    async with desk_and_phone(chromium, demo, tmp_path) as (desk, phone):
        await phone.open(f"{demo.origin}/phone")
        await phone.view("who", "Whose phone is this?")
        await phone.press("Bob\u2019s phone")
        await phone.view("aim", "Scan a code")
        await phone.page.get_by_role("link", name="This browser\u2019s login page").click()
        await phone.page.get_by_text(
            "No login page in this browser is waiting for a phone."
        ).wait_for()
        await phone.page.get_by_label("Or paste the content of another QR code").fill(
            await camera(desk)
        )
        await phone.press("Scan")
        await phone.view("found", "Login request")
        await phone.press("View details")
        await phone.view("ask", "Log in this browser as Bob?")
        await phone.press("Switch")
        await phone.look("Alice")
        await phone.view("taken", "Scanned by another account")


async def test_an_unknown_code_is_refused(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with desk_and_phone(chromium, demo, tmp_path) as (_, phone):
        await phone.open(f"{demo.origin}/qr/a.code-of_nobody")
        await phone.look("Alice")
        await phone.view("gone", "Code not found")


async def test_the_demo_is_gone(chromium: Browser, tmp_path: Path) -> None:
    with RunningDemo() as demo:
        async with desk_and_phone(chromium, demo, tmp_path) as (desk, phone):
            await phone.scan(desk, "Alice")
            await phone.view("ask", "Log in this browser as Alice?")
            demo.end()
            await phone.press(YES)
            await phone.view("unavailable", "No response from the server")
            assert await phone.page.get_by_role("button", name="Try again").is_visible()


async def test_a_tap_for_the_screen_before_is_no_answer(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """Two taps in a row where "Continue" was must not approve, whatever has come to lie there."""
    async with desk_and_phone(chromium, demo, tmp_path) as (desk, phone):
        await phone.scan(desk, "Alice")
        await phone.view("ask", "Log in this browser as Alice?")
        # a moment that lasts
        await phone.page.evaluate(
            "window.again = setInterval(() => dispatchEvent(new Event('focus')), 20)"
        )
        await phone.page.locator("button.approve[aria-disabled]").wait_for()
        await phone.page.get_by_role("button", name=YES).click(force=True)
        assert await phone.element.get_attribute("state") == "ask"
        await phone.page.evaluate("clearInterval(window.again)")
        await phone.press(YES)
        await desk.until("confirmed")


async def test_by_keyboard_declining_comes_first(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with desk_and_phone(chromium, demo, tmp_path) as (desk, phone):
        await phone.open(await camera(desk))
        for view in (
            "h1:visible",
            "demo-approve[state=found]",
        ):  # Alice's phone is the first; then there is one button
            await phone.page.locator(view).wait_for()
            await phone.page.keyboard.press("Tab")
            await phone.page.locator("button:focus:not([aria-disabled])").wait_for()
            await phone.page.keyboard.press("Enter")
        await phone.view("ask", "Log in this browser as Alice?")
        order = []
        for _ in range(3):
            await phone.page.keyboard.press("Tab")
            order.append(
                await phone.element.evaluate("it => it.shadowRoot.activeElement.textContent")
            )
        assert order == [NO, YES, "Not now"]
        deny, approve = [
            await phone.page.get_by_role("button", name=name, exact=True).bounding_box()
            for name in order[:2]
        ]
        assert deny
        assert approve
        assert (deny["width"], deny["height"], deny["y"]) == (
            approve["width"],
            approve["height"],
            approve["y"],
        )


@pytest.mark.parametrize("width", [320, 1000])
async def test_nothing_is_cut_off(
    chromium: Browser, demo: RunningDemo, tmp_path: Path, width: int
) -> None:
    async with desk_and_phone(chromium, demo, tmp_path, width=width) as (desk, phone):
        fits = "() => document.documentElement.scrollWidth <= innerWidth"
        await phone.page.set_viewport_size({"width": width, "height": 640})
        assert await desk.page.evaluate(fits)
        assert await desk.axe() == []
        await phone.scan(desk, "Alice")
        await phone.view("ask", "Log in this browser as Alice?")
        assert await phone.page.evaluate(fits)
        await phone.press(YES)
        await phone.view("approved", "Approved")
        assert await phone.page.evaluate(fits)
