"""The examples as people see them, in a real Chromium: a desk, a phone, a picture between them."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.login_page import PATIENCE_S
from tests.demo.phone_page import camera
from tests.examples.profiles import Profile, at_desk, in_hand
from tests.examples.running import ALL, Running


def somebody(name: str = "alice") -> str:
    return f"{name}-{secrets.token_hex(4)}"


@pytest.fixture(scope="module", params=ALL)
def brief(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The example with logins that live for two seconds."""
    with Running(ALL[request.param], QRLOGIN_LIFETIME="2") as running:
        yield running


async def test_scan_approve_continue(chromium: Browser, example: Running, tmp_path: Path) -> None:
    name, origin = somebody(), example.origin
    phone, desk = (
        await in_hand(chromium, origin, tmp_path, name),
        await at_desk(chromium, origin, tmp_path),
    )
    before = await desk.cookies()
    assert await desk.desk.axe() == []
    await phone.look_at(desk.desk)
    shown = await phone.question.evaluate("it => it.shadowRoot.firstElementChild.innerText")
    for fact in ("Chrome", "Linux", "127.0.0.1", name):
        assert fact in shown
    assert await phone.desk.axe() == []
    await desk.desk.until("scanned")
    await phone.approve()
    assert await phone.desk.axe() == []
    await desk.answer(0)
    await desk.logged_in_as(name)
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
        await each.away()


async def test_deny(chromium: Browser, example: Running, tmp_path: Path) -> None:
    phone, desk = (
        await in_hand(chromium, example.origin, tmp_path, somebody()),
        await at_desk(chromium, example.origin, tmp_path),
    )
    await phone.look_at(desk.desk)
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
        await each.away()


async def test_cancel(chromium: Browser, example: Running, tmp_path: Path) -> None:
    """Somebody else photographed the code, which is the mirror attack. The browser's person says "that is not me", while that
    somebody is still being asked, or has said yes; and nobody is logged in."""
    phone, desk = (
        await in_hand(chromium, example.origin, tmp_path, somebody()),
        await at_desk(chromium, example.origin, tmp_path),
    )
    await phone.look_at(desk.desk)
    await desk.answer(0, "scanned")
    await desk.desk.until("cancelled")
    assert await desk.desk.axe() == []
    await desk.desk.eventually(lambda: any(each.url.endswith("/cancel") for each in desk.answers))
    await phone.press(1)
    await phone.until("cancelled")
    assert await phone.desk.axe() == []
    await desk.answer(0, "cancelled")  # a new code
    await phone.look_at(desk.desk)
    await phone.approve()
    await desk.answer(1)
    await desk.desk.until("cancelled")
    await desk.open("/")
    assert "/login" in desk.page.url
    for each in (phone, desk):
        await each.away()


async def test_expiry(chromium: Browser, brief: Running, tmp_path: Path) -> None:
    phone, desk = (
        await in_hand(chromium, brief.origin, tmp_path, somebody()),
        await Profile.new(chromium, brief.origin, tmp_path),
    )
    await desk.open("/login")
    await desk.desk.until("expired")
    begun = await desk.told("pending")  # a camera could come too late for the picture
    await phone.open((await begun.json())["verification_uri_complete"])
    await phone.until("found")
    assert await desk.desk.axe() == []
    await phone.press(0)
    await phone.until("expired")
    assert await phone.desk.axe() == []
    for each in (phone, desk):
        await each.away()


async def test_two_tabs_are_two_logins(chromium: Browser, example: Running, tmp_path: Path) -> None:
    name = somebody()
    phone, desk = (
        await in_hand(chromium, example.origin, tmp_path, name),
        await at_desk(chromium, example.origin, tmp_path),
    )
    second = await desk.context.new_page()
    await second.goto(f"{example.origin}/login")
    await second.locator("qr-login[state=pending]").wait_for(timeout=PATIENCE_S * 1000)
    await phone.look_at(desk.desk)
    await phone.approve()
    await desk.desk.until("confirmed")
    assert await second.locator("qr-login").get_attribute("state") == "pending"
    await desk.answer(0)
    await desk.logged_in_as(name)
    await second.reload()
    assert name in await second.locator("body").inner_text() or "/login" in second.url
    for each in (phone, desk):
        await each.away()


async def test_a_second_account_after_the_first(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    """One browser, two people after another: nothing of the first is left for the second."""
    desk = await at_desk(chromium, example.origin, tmp_path)
    for name in (somebody("alice"), somebody("bob")):
        phone = await in_hand(chromium, example.origin, tmp_path, name)
        await phone.look_at(desk.desk)
        await phone.approve()
        await desk.answer(0)
        await desk.logged_in_as(name)
        await phone.away()
        await desk.log_out()
        await desk.desk.until("pending")
    await desk.away()


async def test_a_password_beside_it(chromium: Browser, example: Running, tmp_path: Path) -> None:
    name = somebody()
    phone = await in_hand(chromium, example.origin, tmp_path, name)
    await phone.away()
    desk = await at_desk(chromium, example.origin, tmp_path)
    await desk.fill(name, "not the passphrase at all")
    await desk.page.get_by_role("alert").wait_for(timeout=PATIENCE_S * 1000)
    assert await desk.desk.axe() == []
    await desk.desk.until("pending")
    await desk.fill(name)
    await desk.logged_in_as(name)
    await desk.away()


async def test_an_ordinary_camera_without_a_signed_in_app(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    """The page explains itself, changes nothing, and leads to a sign-in that comes back to the question."""
    name, origin = somebody(), example.origin
    known = await in_hand(chromium, origin, tmp_path, name)
    await known.log_out()
    desk = await at_desk(chromium, origin, tmp_path)
    await known.open(await camera(desk.desk))
    assert await known.question.count() == 0
    assert await known.desk.axe() == []
    assert await desk.desk.state() == "pending"
    await known.page.locator("a[href*='/login?next=']").first.click()
    await known.fill(name)
    await known.until("found")
    await known.press(0)
    await known.until("ask")
    await known.deny()
    for each in (known, desk):
        await each.away()
