"""The examples in a real Chromium: a computer, a phone, and a picture between them."""

import secrets
from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import texts
from qrlogin.names import exact
from tests.browser.login_page import PATIENCE_S
from tests.demo.phone_page import camera
from tests.examples.profiles import Profile, at_desk, in_hand
from tests.examples.running import ALL, InStrict, Running
from tests.security_rows import row

#: What <qr-login> shows for its user to type on the phone.
DIGITS = "it => it.shadowRoot.querySelector('[part=digits] [aria-hidden]').textContent"


def new_name(name: str = "alice") -> str:
    return f"{name}-{secrets.token_hex(4)}"


async def test_scan_approve_and_continue_logs_in(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    # Joiners, two directions of writing, and an emoji at the end: the question shows joiners.
    name, origin = f"نیک\u200cپی {new_name()} 👩\u200d💻", example.origin
    phone, desk = (
        await in_hand(chromium, origin, tmp_path, name),
        await at_desk(chromium, origin, tmp_path),
    )
    before = await desk.cookies()
    assert await desk.desk.axe() == []
    await phone.scan(desk.desk)
    shown = await phone.question.evaluate("it => it.shadowRoot.firstElementChild.innerText")
    for fact in ("Chrome", "Linux", "127.0.0.1", name):
        assert fact in shown
    assert await phone.desk.axe() == []
    assert await desk.desk.state() == "pending", "a look takes nothing"
    await phone.approve()
    assert await phone.desk.axe() == []
    await desk.desk.until("confirmed")
    assert await desk.desk.element.locator("bdi.name").inner_text() == exact(name, 320)
    await desk.answer(1)
    await desk.logged_in_as(name)
    await phone.until("redeemed")
    assert await phone.desk.axe() == []
    assert await desk.desk.axe() == []
    after = await desk.cookies()
    assert {key: value for key, value in after.items() if before.get(key) != value}, (
        "the session is the one from before"
    )
    await desk.log_out()
    await desk.desk.until("pending")
    await desk.open("/")
    assert desk.page.url.startswith(f"{origin}/login")
    for each in (phone, desk):
        await each.close()


async def test_a_denied_login_logs_no_one_in(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    phone, desk = (
        await in_hand(chromium, example.origin, tmp_path, new_name()),
        await at_desk(chromium, example.origin, tmp_path),
    )
    await phone.scan(desk.desk)
    focused = await phone.page.evaluate(
        "() => document.querySelector('qr-approve').shadowRoot.activeElement?.className ?? ''"
    )
    assert focused, "the question takes the focus"
    await phone.deny()
    assert await phone.desk.axe() == []
    await desk.desk.until("denied")
    await desk.open("/")
    assert "/login" in desk.page.url
    for each in (phone, desk):
        await each.close()


async def test_that_is_not_me_cancels_the_login(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    """An attacker photographed the code (the mirror attack). The user at the browser says "that is
    not me", before or after the attacker approves, and the browser is not logged in."""
    phone, desk = (
        await in_hand(chromium, example.origin, tmp_path, new_name()),
        await at_desk(chromium, example.origin, tmp_path),
    )
    await phone.scan(desk.desk)
    await phone.claim()
    await desk.answer(0, "scanned")
    await desk.desk.until("cancelled")
    assert await desk.desk.axe() == []
    await desk.desk.eventually(lambda: any(each.url.endswith("/cancel") for each in desk.answers))
    await phone.press(1)
    await phone.until("cancelled")
    assert await phone.desk.axe() == []
    await desk.answer(0, "cancelled")  # a new code
    await phone.scan(desk.desk)
    await phone.approve()
    await desk.answer(0)
    await desk.desk.until("cancelled")
    await desk.open("/")
    assert "/login" in desk.page.url
    for each in (phone, desk):
        await each.close()


@pytest.mark.matrix  # the demo shows it, in tests/demo/test_browser.py
async def test_a_question_that_is_left_open_expires(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    phone, desk = (
        await in_hand(chromium, example.origin, tmp_path, new_name()),
        await at_desk(chromium, example.origin, tmp_path),
    )
    await phone.page.clock.install()
    await phone.scan(desk.desk)
    await phone.page.clock.fast_forward(600_000)
    await phone.until("expired")
    assert await phone.desk.axe() == []
    for each in (phone, desk):
        await each.close()


@pytest.mark.matrix  # tests/browser/test_many_tabs.py has seven
async def test_two_tabs_are_two_logins(chromium: Browser, example: Running, tmp_path: Path) -> None:
    name = new_name()
    phone, desk = (
        await in_hand(chromium, example.origin, tmp_path, name),
        await at_desk(chromium, example.origin, tmp_path),
    )
    second = await desk.context.new_page()
    await second.goto(f"{example.origin}/login")
    await second.locator("qr-login[state=pending]").wait_for(timeout=PATIENCE_S * 1000)
    await phone.scan(desk.desk)
    await phone.approve()
    await desk.desk.until("confirmed")
    assert await second.locator("qr-login").get_attribute("state") == "pending"
    await desk.answer(1)
    await desk.logged_in_as(name)
    await second.reload()
    assert name in await second.locator("body").inner_text() or "/login" in second.url
    for each in (phone, desk):
        await each.close()


async def test_a_second_account_logs_in_after_the_first(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    """One browser, two users in turn: the second finds nothing of the first."""
    desk = await at_desk(chromium, example.origin, tmp_path)
    for name in (new_name("alice"), new_name("bob")):
        phone = await in_hand(chromium, example.origin, tmp_path, name)
        await phone.scan(desk.desk)
        await phone.approve()
        await desk.answer(1)
        await desk.logged_in_as(name)
        await phone.close()
        await desk.log_out()
        await desk.desk.until("pending")
    await desk.close()


@row(141, 514)
async def test_the_password_form_works_beside_the_code(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    name = new_name()
    phone = await in_hand(chromium, example.origin, tmp_path, name)
    await phone.close()
    desk = await at_desk(chromium, example.origin, tmp_path)
    await desk.fill(name, "not the passphrase at all")
    await desk.page.get_by_role("alert").wait_for(timeout=PATIENCE_S * 1000)
    assert await desk.desk.axe() == []
    await desk.desk.until("pending")
    await desk.fill(name)
    await desk.logged_in_as(name)
    await desk.close()


async def test_a_signed_out_phone_is_led_to_sign_in_and_back(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    """The page explains itself and changes nothing. Signing in leads back to the question."""
    name, origin = new_name(), example.origin
    known = await in_hand(chromium, origin, tmp_path, name)
    await known.log_out()
    desk = await at_desk(chromium, origin, tmp_path)
    await known.open(await camera(desk.desk))
    assert await known.question.count() == 0
    assert await known.desk.axe() == []
    assert await desk.desk.state() == "pending"
    await known.page.locator("a[href*='/login?next=']").first.click()
    await known.fill(name)
    await known.until("ask")
    await known.deny()
    for each in (known, desk):
        await each.close()


async def test_without_javascript_a_phone_says_that_nothing_was_approved(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    """Its user is logged in, so it does not say "log in first"."""
    phone = await Profile.new(
        chromium, example.origin, tmp_path, java_script_enabled=False, locale="en-GB"
    )
    await phone.sign_up(new_name())
    await phone.open("/qr/a.code")
    pages = texts("en")["pages"]
    assert await phone.page.locator("main").inner_text() == pages["approveNeedsJavaScript"]
    await phone.close()


@row(31)
@pytest.mark.matrix
@pytest.mark.parametrize("name", ALL)
async def test_with_the_strict_policy_a_person_types_three_digits(
    chromium: Browser, name: str, tmp_path: Path
) -> None:
    with InStrict(ALL[name]) as example:
        person = new_name()
        phone, desk = (
            await in_hand(chromium, example.origin, tmp_path, person),
            await at_desk(chromium, example.origin, tmp_path),
        )
        await phone.scan(desk.desk)
        await phone.press(1)
        await phone.until("match")
        await desk.desk.until("scanned")
        assert await desk.desk.axe() == []
        digits = await desk.desk.element.evaluate(DIGITS)
        await phone.question.locator("input").fill(digits)
        assert await phone.desk.axe() == []
        await phone.press(0)
        await phone.until("approved")
        await desk.answer(1)
        await desk.logged_in_as(person)
        for each in (phone, desk):
            await each.close()
