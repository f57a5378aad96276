"""The login page itself is on a phone: beside the picture, which nobody there can scan, a link that says the same."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Stub
from tests.browser.words import strangers

LINK = "it => it.shadowRoot.querySelector('[part=link]').href"
NAME = "On this phone? Open the app"


@pytest.fixture
def hand(
    stub: Stub, loop: asyncio.Runner, chromium: Browser, tmp_path: Path
) -> Iterator[LoginPage]:
    """A browser on a phone; the server outlives it."""
    context = loop.run(
        chromium.new_context(viewport={"width": 360, "height": 720}, has_touch=True, is_mobile=True)
    )
    desk = loop.run(LoginPage.in_context(context, tmp_path))
    yield desk
    loop.run(context.close())
    assert desk.problems == []


async def test_a_link_beside_the_picture(hand: LoginPage, stub: Stub) -> None:
    stub.rotation = 2
    await hand.page.goto(stub.url)
    await hand.until("pending")
    link = hand.element.get_by_role("link", name=NAME)
    assert await link.is_visible()
    assert await hand.element.get_by_role("img").is_visible(), "another phone may still scan"
    first = await hand.element.evaluate(LINK)
    assert first.startswith(f"{stub.url}qr/{stub.login.login_id}.")
    await hand.eventually(
        lambda: hand.element.evaluate(LINK), lambda now: now != first, "the next code"
    )
    assert await hand.axe() == []
    await hand.shot("same-device")
    async with hand.context.expect_page() as opened:
        await link.tap()
    await opened.value  # a tab of its own, so that this page goes on
    await hand.eventually(lambda: [path for path in stub.pages if path.startswith("/qr/")])
    assert (
        await hand.element.evaluate("it => it.shadowRoot.querySelector('[part=link]').rel")
        == "noopener"
    )
    stub.move("scanned")
    await hand.until("scanned")
    assert not await hand.element.get_by_role("link", name=NAME).is_visible()


async def test_in_chinese(hand: LoginPage, stub: Stub) -> None:
    stub.lang, stub.fallback = "zh-CN", ""
    await hand.page.goto(stub.url)
    await hand.until("pending")
    assert await hand.element.get_by_role("link", name=stub.word("sameDevice")).is_visible()
    assert await strangers(hand.page, "zh-CN", ["Log in"]) == []
    await hand.shot("same-device-zh")


async def test_not_on_a_desktop(desk: LoginPage, stub: Stub) -> None:
    await desk.page.goto(stub.url)
    await desk.until("pending")
    assert await desk.element.get_by_role("link", name=NAME).count() == 0


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "app://login", "/qr/x", "", None, {"a": 1}],
)
async def test_only_a_web_address_is_a_link(hand: LoginPage, stub: Stub, address: object) -> None:
    stub.extra = {"verification_uri_complete": address}
    await hand.page.goto(stub.url)
    await hand.until("pending")
    assert await hand.element.get_by_role("link", name=NAME).count() == 0


async def test_another_host_may_be_the_apps(hand: LoginPage, stub: Stub) -> None:
    stub.extra = {"verification_uri_complete": "https://app.example/qr/x"}
    await hand.page.goto(stub.url)
    await hand.until("pending")
    assert await hand.element.evaluate(LINK) == "https://app.example/qr/x"
    assert await hand.element.get_by_role("link", name=NAME).is_visible()


async def test_a_dead_code_is_not_offered(hand: LoginPage, stub: Stub) -> None:
    stub.always["status"] = Fault.SILENT
    await hand.opens(stub.url)
    assert await hand.element.get_by_role("link", name=NAME).is_visible()
    await hand.page.clock.fast_forward(29_000)
    assert not await hand.element.get_by_role("link", name=NAME).is_visible()
