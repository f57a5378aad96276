"""The demo with a match code, by keyboard alone: from the picture to the session, on small screens.

Only the picture passes from one screen to the other. axe checks every screen.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import texts
from tests.browser.login_page import LoginPage
from tests.browser.words import for_two
from tests.demo.phone_page import PhonePage, camera
from tests.demo.running import RunningDemo
from tests.security_rows import row

FOCUSED = """() => { let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at?.tagName === "INPUT" ? "the field" : at?.textContent.trim() ?? "" }"""
DIGITS = "it => it.shadowRoot.querySelector('[part=digits] [aria-hidden]').textContent"
NOTE = "it => it.shadowRoot.querySelector('[part=note]').textContent"
#: By how many pixels the answers cover the warning, and the button "No" is below the edge.
COVERED = """it => it.shadowRoot.querySelector("[part=warning]").getBoundingClientRect().bottom
  - it.shadowRoot.querySelector(".answers").getBoundingClientRect().top"""
BELOW = """it => it.shadowRoot.querySelector("[part~=deny]").getBoundingClientRect().bottom
  - innerHeight"""


@pytest.fixture(scope="module")
def demo_with_digits() -> Iterator[RunningDemo]:
    with RunningDemo("--match-digits", "3") as running:
        yield running


async def tab_to(page: LoginPage, label: str) -> None:
    """Presses Tab until this button, or "the field", has the focus, and the button is enabled."""
    await page.ready()
    passed = list[str]()
    while (focused := str(await page.page.evaluate(FOCUSED))) != label:
        passed.append(focused)
        assert len(passed) < 12, f"Tab does not reach {label!r}: {passed}"
        await page.page.keyboard.press("Tab")


async def press(page: LoginPage, label: str) -> None:
    await tab_to(page, label)
    await page.page.keyboard.press("Enter")


@row(31, 69, 514)
@pytest.mark.parametrize("lang", ["en", pytest.param("zh-CN", marks=pytest.mark.matrix)])
async def test_a_person_logs_in_with_a_match_code_by_keyboard_alone(
    chromium: Browser, demo_with_digits: RunningDemo, tmp_path: Path, lang: str
) -> None:
    """On the smallest phone, the warnings and both answers are in sight without scrolling."""
    said, asked = texts(lang)["approve"], texts(lang)["login"]
    wide = await chromium.new_context(
        locale=lang, viewport={"width": 1200, "height": 800}, reduced_motion="reduce"
    )
    small = await chromium.new_context(
        locale=lang, viewport={"width": 320, "height": 568}, is_mobile=True, has_touch=True
    )
    desk = await LoginPage.in_context(wide, tmp_path)
    phone = await PhonePage.in_context(small, tmp_path)
    await desk.page.goto(demo_with_digits.origin)
    await desk.until("pending")
    assert await desk.axe() == []

    await phone.open(await camera(desk))
    await phone.page.locator("h1:visible").wait_for()
    await phone.page.keyboard.press("Tab")
    await phone.page.locator("button:focus").wait_for()
    await phone.page.keyboard.press("Enter")  # the first button is Alice's phone
    await phone.until("ask")
    assert await phone.axe() == []
    for width, height in ((390, 720), (360, 640), (320, 568)):
        await phone.page.set_viewport_size({"width": width, "height": height})
        assert await phone.element.evaluate(COVERED) <= 0, f"covered at {width}x{height}"
        assert await phone.element.evaluate(BELOW) <= 0, f"below the edge at {width}x{height}"
        await phone.shot(f"ask-{lang}-{height}")
    await press(phone, said["approve"])
    await phone.until("match")
    await desk.until("scanned")
    assert await phone.axe() == []
    digits = str(await desk.element.evaluate(DIGITS))
    assert await desk.axe() == []
    await desk.shot(f"digits-{lang}")

    await tab_to(phone, "the field")
    await phone.page.keyboard.type(f"{(int(digits) + 1) % 1000:03}")
    await press(phone, said["sendDigits"])
    await phone.eventually(lambda: phone.element.evaluate(NOTE))
    assert await phone.element.evaluate(NOTE) == for_two(said, "wrongDigits")
    assert await phone.page.evaluate(FOCUSED) == "the field"
    assert await phone.element.evaluate(BELOW) <= 0, "the button No is below the edge"
    assert await phone.axe() == []
    await phone.shot(f"wrong-{lang}")
    await phone.page.keyboard.type(digits)  # replaces the selection
    await phone.ready()
    await phone.page.keyboard.press("Enter")
    await phone.until("approved")
    assert await phone.axe() == []

    await desk.until("confirmed")
    assert await desk.axe() == []
    await press(desk, asked["yes"])
    await phone.until("redeemed")
    await desk.page.locator("h1", has_text="Alice").wait_for()
    assert await desk.axe() == []
    await phone.close()
    await wide.close()
    assert desk.problems == []
