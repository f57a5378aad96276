"""The demo as users see it: a real Chromium plays the browser and the phones.

Only a picture passes from one screen to the other, and a decoder reads it. Both sides report
violations of their policy and errors of their scripts, and axe checks every screen.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import texts
from tests.browser.login_page import PATIENCE_S, LoginPage
from tests.demo.phone_page import PhonePage, camera, open_phone
from tests.demo.running import RunningDemo
from tests.security_rows import row

NO, YES = "No, not me", "Yes, log in"


@pytest.fixture(scope="module")
def brief_demo() -> Iterator[RunningDemo]:
    """A demo whose logins live for four seconds."""
    with RunningDemo("--lifetime", "4") as running:
        yield running


@asynccontextmanager
async def login_page_and_phone(
    chromium: Browser, demo: RunningDemo, shots: Path, *, width: int = 1200, scheme: str = "light"
) -> AsyncIterator[tuple[LoginPage, PhonePage]]:
    """A browser with the login page open, and a phone that shares nothing with it."""
    context = await chromium.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    login_page, phone = (
        await LoginPage.in_context(context, shots),
        await open_phone(chromium, shots),
    )
    await login_page.page.goto(demo.origin)
    await login_page.until("pending")
    yield login_page, phone
    await context.close()
    await phone.close()
    assert login_page.problems == []


async def heading(login_page: LoginPage, text: str) -> None:
    await login_page.page.get_by_role("heading", name=text).wait_for(timeout=PATIENCE_S * 1000)


async def test_the_phones_page_is_as_wide_as_the_phone(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """Upright, on its side, and half unfolded. It is neither a phone on a phone, nor scrolled."""
    phone = await open_phone(chromium, tmp_path)
    await phone.open(f"{demo.origin}/phone")
    await phone.view("who", "Whose phone is this?")
    for width, height in ((320, 568), (360, 640), (430, 932), (568, 320), (673, 841), (932, 430)):
        await phone.page.set_viewport_size({"width": width, "height": height})
        await phone.page.wait_for_function(
            """(width) => width === visualViewport.width
                && width === document.documentElement.scrollWidth
                && width === document.querySelector(".phone").getBoundingClientRect().width""",
            arg=width,
            timeout=PATIENCE_S * 1000,
        )
    await phone.close()


@row(137, 514, 515)
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.matrix)])
async def test_a_user_scans_approves_continues_and_is_logged_in(
    chromium: Browser, demo: RunningDemo, tmp_path: Path, scheme: str
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path, scheme=scheme) as (login_page, phone):
        assert await login_page.axe() == []
        await login_page.shot("browser-pending")
        await phone.open(await camera(login_page))
        await phone.view("who", "Whose phone is this?")
        await phone.press("Alice\u2019s phone")
        await phone.view("ask", "Log this browser in as Alice?")
        assert await login_page.state() == "pending"  # a look takes nothing
        shown = await phone.text()
        for fact in (
            "Chrome",
            "Linux",
            "127.0.0.1",
            "Alice",
            demo.origin.removeprefix("http://"),
            "Started",
        ):
            assert fact in shown
        assert "Approve only if the code is on the screen in front of you." in shown
        assert "you did not start this login, choose No" in shown
        await phone.press(YES)
        await phone.view("approved", "Approved")
        assert "Return to the other window." in await phone.text()
        await login_page.until("confirmed")
        assert "Continue as Alice?" in await login_page.text()
        assert await login_page.axe() == []
        await login_page.press("Continue")
        await heading(login_page, "You are logged in as Alice")
        assert await login_page.axe() == []
        await phone.view("redeemed", " is logged in")
        assert "Linux is logged in" in await phone.title()
        await login_page.shot("browser-logged-in")
        await login_page.page.get_by_role("button", name="Log out").click()
        await login_page.until("pending")
        await login_page.page.reload()
        await login_page.until("pending")


@row(69)
@pytest.mark.matrix  # test_phone.py proves it through the same server, without Chromium
async def test_the_second_login_is_on_a_known_browser_and_another_browser_is_not(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """The cookie outlives a log-out. It says nothing about other accounts and browsers."""
    known, never = "You have logged in on this browser before", "has never been used with your"
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        for account, expected in (("Alice", never), ("Alice", known), ("Bob", never)):
            other = await open_phone(chromium, tmp_path) if account == "Bob" else phone
            await other.scan(login_page, account)
            assert await other.axe() == []
            text = await other.text()
            assert (known in text, never in text) == (expected == known, expected == never)
            await other.shot(f"phone-known-{account}-{expected == known}")
            await other.press(YES)
            await login_page.until("confirmed")
            await login_page.press("Continue")
            await heading(login_page, f"You are logged in as {account}")
            await login_page.page.get_by_role("button", name="Log out").click()
            await login_page.until("pending")
        await other.close()
    async with login_page_and_phone(chromium, demo, tmp_path) as (elsewhere, phone):
        await phone.scan(elsewhere, "Alice")
        assert never in await phone.text()


async def test_a_denial_on_the_phone_ends_the_login(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        await phone.scan(login_page, "Alice")
        await phone.press(NO)
        await phone.view("denied", "Login declined")
        await login_page.until("denied")
        assert await login_page.buttons() == ["Show a new code"]
        await login_page.press("Show a new code")
        await login_page.until("pending")


async def test_an_approval_can_be_withdrawn_before_the_browser_continues(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        await phone.scan(login_page, "Alice")
        await phone.press(YES)
        await login_page.until("confirmed")
        await phone.press("Cancel this login")
        await phone.view("stopped", "Login cancelled")
        await login_page.until("denied")


async def test_that_is_not_me_in_the_browser_cancels_the_login(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        await phone.scan(login_page, "Bob")
        await phone.claim()
        await login_page.until("scanned")
        assert "B•b" in await login_page.text()
        await login_page.press("That is not me")
        await login_page.until("cancelled")
        await phone.press(YES)
        await phone.view("cancelled", "Login cancelled")


async def test_a_released_login_can_be_scanned_and_approved_again(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        await phone.scan(login_page, "Alice")
        await phone.claim()
        await login_page.until("scanned")
        await phone.press("Not now")
        await phone.view("released", "Nothing was approved")
        await login_page.until("pending")
        await phone.press("View details again")
        await phone.press(YES)
        await login_page.until("confirmed")
        await login_page.press("Continue")
        await heading(login_page, "You are logged in as Alice")


async def test_a_second_account_can_scan_only_after_the_first_releases_the_login(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, alice):
        bob = await open_phone(chromium, tmp_path)
        read = await camera(login_page)
        await alice.open(read)
        await alice.look("Alice")
        await alice.until("ask")
        await alice.claim()
        await login_page.until("scanned")
        await bob.open(read)
        await bob.look("Bob")
        await bob.view("taken", "Scanned by another account")
        await alice.press("Not now")
        await login_page.until("pending")
        await bob.scan(login_page, "Bob")  # he is still Bob: the phone remembers
        await bob.press(YES)
        await login_page.until("confirmed")
        await login_page.press("Continue")
        await heading(login_page, "You are logged in as Bob")
        await bob.close()


@pytest.mark.matrix
async def test_a_code_that_is_opened_too_late_is_shown_as_expired(
    chromium: Browser, brief_demo: RunningDemo, tmp_path: Path
) -> None:
    """It rotates after 4 s here, and may be opened for 4 s more."""
    async with login_page_and_phone(chromium, brief_demo, tmp_path) as (login_page, phone):
        code = await camera(login_page)
        await asyncio.sleep(9)
        await phone.open(code)
        await phone.view("who", "Whose phone is this?")
        await phone.look("Alice")
        await phone.view("expired", "This code has expired")


async def test_a_question_that_is_left_open_is_shown_as_expired(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """The countdown is that of the server's answer. Its end needs no tap."""
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        await phone.page.clock.install()
        await phone.scan(login_page, "Alice")
        await phone.page.clock.fast_forward(600_000)
        await phone.view("expired", "This code has expired")
        assert await phone.buttons() == []


async def test_one_user_can_play_both_sides_in_two_windows(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """Most users try the demo this way: no phone, no camera, one browser."""
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, _):
        async with login_page.context.expect_page() as opened:
            await login_page.page.get_by_role("link", name="Simulate one in a new window").click()
        phone = PhonePage(login_page.context, await opened.value, tmp_path)
        assert phone.page.url == await camera(login_page)
        await phone.look("Alice")
        await phone.press(YES)
        await phone.view("approved", "Approved")
        await login_page.page.bring_to_front()
        await login_page.until("confirmed")
        await login_page.press("Continue")
        await heading(login_page, "You are logged in as Alice")
        assert phone.problems == []


async def test_a_phone_without_a_code_offers_other_ways_to_scan(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        await phone.open(f"{demo.origin}/phone")
        await phone.view("who", "Whose phone is this?")
        await phone.press("Bob\u2019s phone")
        await phone.view("aim", "Scan a code")
        await phone.page.get_by_role("link", name="This browser\u2019s login page").click()
        await phone.page.get_by_text(
            "No login page in this browser is waiting for a phone."
        ).wait_for()
        await phone.page.get_by_label("Or paste the content of another QR code").fill(
            await camera(login_page)
        )
        await phone.press("Scan")
        await phone.view("ask", "Log this browser in as Bob?")
        await phone.press("Switch")
        await phone.look("Alice")
        await phone.view("ask", "Log this browser in as Alice?")


async def test_an_unknown_code_is_refused(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (_, phone):
        await phone.open(f"{demo.origin}/qr/a.code-of_nobody")
        await phone.look("Alice")
        await phone.view("gone", "Code not found")


async def test_the_phone_reports_that_the_demo_does_not_answer(
    chromium: Browser, tmp_path: Path
) -> None:
    with RunningDemo() as demo:
        async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
            await phone.scan(login_page, "Alice")
            await phone.view("ask", "Log this browser in as Alice?")
            demo.end()
            await phone.press(YES)
            await phone.view("unavailable", "No response from the server")
            assert await phone.page.get_by_role("button", name="Try again").is_visible()


async def test_a_second_tap_in_the_same_place_does_not_approve(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """A button that has just appeared ignores taps: the user meant the one before it."""
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        await phone.page.clock.install()
        await phone.scan(login_page, "Alice")
        await phone.view("ask", "Log this browser in as Alice?")
        # The pause begins, and cannot end before the tap, however slow the machine is.
        soon = await phone.page.evaluate("() => Date.now() / 1000 + 5")
        await phone.page.clock.pause_at(soon)
        await phone.page.evaluate("dispatchEvent(new Event('focus'))")
        await phone.page.locator("button.approve[aria-disabled]").wait_for()
        sent: list[str] = []
        phone.page.on("request", lambda request: sent.append(request.url))
        await phone.page.get_by_role("button", name=YES).click(force=True)
        await asyncio.sleep(0.2)
        assert not [url for url in sent if url.endswith("/scan")]
        assert await phone.element.get_attribute("state") == "ask"
        await phone.page.clock.resume()
        await phone.press(YES)
        await login_page.until("confirmed")


@row(138, 212, 508)
async def test_the_keyboard_reaches_deny_before_approve(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        await phone.open(await camera(login_page))
        await phone.page.locator("h1:visible").wait_for()
        await phone.page.keyboard.press("Tab")
        await phone.page.locator("button:focus").wait_for()
        await phone.page.keyboard.press("Enter")  # the first button is Alice's phone
        await phone.view("ask", "Log this browser in as Alice?")
        order = []
        for _ in range(2):
            await phone.page.keyboard.press("Tab")
            order.append(
                await phone.element.evaluate("it => it.shadowRoot.activeElement.textContent")
            )
        assert order == [NO, YES]
        deny, approve = [
            await phone.page.get_by_role("button", name=name, exact=True).bounding_box()
            for name in order
        ]
        assert deny
        assert approve
        assert (deny["width"], deny["height"], deny["y"]) == (
            approve["width"],
            approve["height"],
            approve["y"],
        )


@pytest.mark.parametrize("width", [320, 1000])
async def test_the_pages_never_scroll_sideways(
    chromium: Browser, demo: RunningDemo, tmp_path: Path, width: int
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path, width=width) as (login_page, phone):
        fits = "() => document.documentElement.scrollWidth <= innerWidth"
        await phone.page.set_viewport_size({"width": width, "height": 640})
        assert await login_page.page.evaluate(fits)
        assert await login_page.axe() == []
        await phone.scan(login_page, "Alice")
        await phone.view("ask", "Log this browser in as Alice?")
        assert await phone.page.evaluate(fits)
        await phone.press(YES)
        await phone.view("approved", "Approved")
        assert await phone.page.evaluate(fits)


async def test_without_javascript_each_page_says_so_and_what_to_do(
    chromium: Browser, demo: RunningDemo
) -> None:
    """The phone's page also says that nothing was approved. No link leads to a dead end."""
    context = await chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = await context.new_page()
    for path, key in (
        ("/", "demoNeedsJavaScript"),
        ("/phone", "approveNeedsJavaScript"),
        ("/qr/x.y", "approveNeedsJavaScript"),
    ):
        await page.goto(demo.origin + path)
        assert texts("en")["pages"][key] in await page.locator("main").inner_text(), path
        assert await page.locator("main").get_by_role("link").count() == 0, path
    await context.close()
