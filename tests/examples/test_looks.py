"""Whether the examples' pages are accessible: keyboard only, small screens, zoom, dark, no motion,
two languages, and axe.
"""

import re
import secrets
from asyncio import to_thread
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from share_style import COPIES, SOURCE, differing

from tests.demo.phone_page import camera
from tests.examples.operators import Operator, signed_in
from tests.examples.profiles import Profile, at_desk, buttons_enabled, in_hand
from tests.examples.running import ALL, EXAMPLES, Running
from tests.examples.test_sessions import log_in
from tests.examples.visitors import PASSWORD, OfExamples
from tests.security_rows import row

#: 200 % zoom on a screen of 1280 x 800 leaves 640 x 400 CSS pixels. WCAG 2.2 (1.4.10) requires 320.
SCREENS: dict[str, dict[str, Any]] = {
    "small": {"viewport": {"width": 320, "height": 640}},
    "zoomed": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
    "dark and still": {
        "viewport": {"width": 1200, "height": 900},
        "color_scheme": "dark",
        "reduced_motion": "reduce",
    },
    "contrast": {"viewport": {"width": 1200, "height": 900}, "forced_colors": "active"},
    "Chinese": {"viewport": {"width": 390, "height": 844}, "locale": "zh-CN"},
    "Arabic": {"viewport": {"width": 320, "height": 640}, "locale": "ar"},
}
TOO_WIDE = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"


#: The texts of a page's language arrive after the page.
HAS_TEXTS = """() => [...document.querySelectorAll("qr-login, qr-approve")].every(
it => it.shadowRoot?.querySelector(".title")?.textContent)"""


async def fits(profile: Profile, name: str) -> None:
    await profile.page.wait_for_function(HAS_TEXTS)
    await profile.desk.shot(name)
    assert not await profile.page.evaluate(TOO_WIDE), f"{name} has to be scrolled sideways"
    assert await profile.desk.axe() == [], name


#: The three share one stylesheet, so screens that depend on it alone are tested with Flask only.
CASES = [
    (name, screen)
    for name in ALL
    for screen in SCREENS
    if name == "Flask" or screen in ("small", "Chinese")
]


@row(502)
@pytest.mark.matrix
@pytest.mark.parametrize(("which", "screen"), CASES)
async def test_every_page_fits_and_passes_axe(
    chromium: Browser, started: Callable[[str], Running], tmp_path: Path, which: str, screen: str
) -> None:
    options, origin, name = SCREENS[screen], started(which).origin, f"alice-{secrets.token_hex(4)}"
    desk = await Profile.new(chromium, origin, tmp_path, **options)
    for path in ("/signup", "/login"):
        await desk.open(path)
        await fits(desk, f"desk{path.replace('/', '-')}")
    await desk.desk.until("pending")
    await fits(desk, "desk-pending")
    await desk.page.locator("qr-login .qr").scroll_into_view_if_needed()
    address = await camera(desk.desk)
    phone = await Profile.new(chromium, origin, tmp_path, **options)
    await phone.open(address)
    await fits(phone, "phone-signed-out")
    await phone.sign_up(name)
    await phone.open("/qr")
    await fits(phone, "phone-no-code")
    await phone.open(await camera(desk.desk))
    await phone.until("ask")
    await fits(phone, "phone-ask")
    await phone.approve()
    await fits(phone, "phone-approved")
    await desk.desk.until("confirmed")
    await fits(desk, "desk-confirmed")
    await desk.answer(1)
    await desk.logged_in_as(name)
    await fits(desk, "desk-home")
    await desk.open("/browsers")
    await fits(desk, "desk-browsers")
    await phone.until("redeemed")
    await fits(phone, "phone-redeemed")
    assert await desk.page.evaluate("() => document.documentElement.lang") == (
        {"Chinese": "zh-CN", "Arabic": "ar"}.get(screen, "en")
    )
    for each in (phone, desk):
        await each.close()


@row(502)
@pytest.mark.matrix
@pytest.mark.parametrize(
    ("which", "screen"), [case for case in CASES if case[0] != "Django" and case[1] != "Chinese"]
)
async def test_the_operators_page_fits_and_passes_axe(
    chromium: Browser, tmp_path: Path, which: str, screen: str
) -> None:
    """With a browser in its list, and while logins are paused. So does the login page then. How
    Django's admin looks is left to Django.
    """
    with Running(ALL[which]) as server:
        manner = OfExamples(shared=False)
        operator = Operator(await to_thread(signed_in, server, "olga"), is_django=False)
        phone = await to_thread(manner.phone, server.origin, "alice")
        desk = await to_thread(log_in, manner, server, phone)
        page = await Profile.new(chromium, server.origin, tmp_path, **SCREENS[screen])
        await page.open("/login")
        await page.fill("olga")
        await page.logged_in_as("olga")
        for command in ("resume", "pause"):
            await to_thread(operator.press, command)
            await page.open("/staff")
            await page.page.locator("summary").click()
            await fits(page, f"staff-{command}")
        await page.open("/")
        await page.log_out()
        await fits(page, "login-paused")
        await page.close()
        for each in (operator.visitor, phone, desk.visitor):
            each.http.close()


def test_a_date_is_written_from_left_to_right_in_every_language() -> None:
    """In Arabic, its parts would be in the wrong order."""
    dates = [
        each
        for template in EXAMPLES.rglob("templates/**/*.html")
        for each in re.findall(r"<time [^>]*", template.read_text("utf-8"))
    ]
    assert dates
    assert [each for each in dates if 'dir="ltr"' not in each] == []


@row(504)
async def test_a_login_works_with_the_keyboard_alone(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    """Tab, Space and Enter are enough to log in. "No" comes first in the tab order."""
    origin, name = example.origin, f"alice-{secrets.token_hex(4)}"
    phone = await Profile.new(chromium, origin, tmp_path, viewport={"width": 390, "height": 844})
    await phone.open("/signup")
    await tab_to(phone, "input[name=name]")
    await phone.page.keyboard.type(name)
    await tab_to(phone, "input[name=password]")
    await phone.page.keyboard.type(PASSWORD)
    await phone.page.keyboard.press("Enter")
    await phone.logged_in_as(name)
    desk = await at_desk(chromium, origin, tmp_path)
    await phone.open(await camera(desk.desk))
    await phone.until("ask")
    await buttons_enabled(phone)
    order: list[str] = []
    for _ in range(2):
        if not order:
            await tab_to(phone, "qr-approve")
        else:
            await phone.page.keyboard.press("Tab")
        order.append(
            await phone.page.evaluate(
                "() => document.querySelector('qr-approve').shadowRoot.activeElement.innerText"
            )
        )
    shown = [await each.inner_text() for each in await phone.question.get_by_role("button").all()]
    assert order == shown[:2]
    await phone.page.keyboard.press("Space")
    await phone.until("approved")
    await desk.desk.until("confirmed")
    await desk.page.wait_for_timeout(600)
    await tab_to(desk, "qr-login")  # "That is not me"
    await desk.page.keyboard.press("Tab")
    await desk.page.keyboard.press("Enter")
    await desk.logged_in_as(name)
    for each in (phone, desk):
        await each.close()


async def tab_to(profile: Profile, selector: str) -> None:
    """Press Tab until the focus is there; inside an element, on one of its buttons."""
    for _ in range(30):
        await profile.page.keyboard.press("Tab")
        there = await profile.page.evaluate(
            """selector => {
              const at = document.activeElement, inside = at?.shadowRoot?.activeElement;
              if (!at?.matches(selector)) return false;
              return !at.shadowRoot || inside?.localName === "button" }""",
            selector,
        )
        if there:
            return
    raise AssertionError(f"no way to {selector} by Tab")


async def test_the_login_page_on_a_phone_links_to_the_phone_page(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    phone = await in_hand(chromium, example.origin, tmp_path, f"alice-{secrets.token_hex(4)}")
    await phone.log_out()
    await phone.desk.until("pending")
    link = phone.desk.element.get_by_role("link")
    assert (await link.get_attribute("href") or "").startswith(f"{example.origin}/qr/")
    await phone.close()


def test_the_style_of_the_examples_has_one_source_and_the_copies_are_equal() -> None:
    """`tools/share_style.py` renews the copies. A copied example is complete with its own."""
    assert {SOURCE, *COPIES} == {EXAMPLES / each.folder for each in ALL.values()}
    assert [path for path, _ in differing()] == []
