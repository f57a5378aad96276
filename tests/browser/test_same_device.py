"""A login page on a phone leads with a link to the address of the code, and folds the code.

A phone cannot scan its own screen.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Stub
from tests.browser.words import strangers
from tests.security_rows import row

LINK = "it => it.shadowRoot.querySelector('[part=link]').href"
NAME = "Approve here"
FOLD = "Scan with another phone"


@pytest.fixture
def phone(
    stub: Stub, loop: asyncio.Runner, chromium: Browser, tmp_path: Path
) -> Iterator[LoginPage]:
    """A browser on a phone. The server stops after it."""
    context = loop.run(
        chromium.new_context(
            viewport={"width": 360, "height": 720},
            has_touch=True,
            is_mobile=True,
            reduced_motion="reduce",
        )
    )
    page = loop.run(LoginPage.in_context(context, tmp_path))
    yield page
    loop.run(context.close())
    assert page.problems == []


@row(132)
async def test_a_phone_shows_a_link_that_follows_the_code(phone: LoginPage, stub: Stub) -> None:
    stub.rotation = 2
    await phone.page.goto(stub.url)
    await phone.until("pending")
    link = phone.element.get_by_role("link", name=NAME)
    assert await link.is_visible()
    assert (await phone.text()).splitlines()[0] == "Already logged in on this phone?"
    assert not await phone.element.get_by_role("img").is_visible()
    first = await phone.element.evaluate(LINK)
    assert first.startswith(f"{stub.url}qr/{stub.login.login_id}.")
    await phone.eventually(
        lambda: phone.element.evaluate(LINK), lambda now: now != first, "the next code"
    )
    await phone.ready()
    assert await phone.axe() == []
    await phone.shot("same-device")
    async with phone.context.expect_page() as opened:
        await link.tap()
    await opened.value  # a new tab, so that this page stays open
    await phone.eventually(lambda: [path for path in stub.pages if path.startswith("/qr/")])
    assert (
        await phone.element.evaluate("it => it.shadowRoot.querySelector('[part=link]').rel")
        == "noopener"
    )
    stub.move("scanned")
    await phone.until("scanned")
    assert not await phone.element.get_by_role("link", name=NAME).is_visible()
    assert await phone.element.get_by_role("button", name=FOLD).count() == 0
    assert await phone.element.locator(".icon").is_visible()


@pytest.mark.parametrize(
    ("lang", "scheme"),
    [
        ("en", "light"),
        ("zh-CN", "dark"),
        pytest.param("en", "dark", marks=pytest.mark.matrix),
        pytest.param("zh-CN", "light", marks=pytest.mark.matrix),
    ],
)
async def test_a_phone_unfolds_the_code_for_another_phone(
    phone: LoginPage, stub: Stub, lang: str, scheme: str
) -> None:
    """With the keyboard, too, and on the smallest screen."""
    stub.lang, stub.extra = lang, {"user_code": "WDJB-MJHT"}
    await phone.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await phone.page.set_viewport_size({"width": 320, "height": 640})
    await phone.page.goto(stub.url)
    await phone.until("pending")
    await phone.ready()
    fold = phone.element.get_by_role("button", name=stub.word("otherPhone"))
    code = phone.element.get_by_role("img", name=stub.word("label"))
    assert not await code.is_visible()
    assert "WDJB-MJHT" not in await phone.text()
    assert await phone.axe() == []
    await phone.shot(f"folded-{lang}-{scheme}")
    heading = (await phone.text()).split("\n\n")[:2]
    assert heading == [stub.word("phoneTitle"), stub.word("phoneText")]
    await phone.page.keyboard.press("Tab")  # the link
    await phone.page.keyboard.press("Tab")
    await phone.page.keyboard.press("Enter")
    assert await code.is_visible()
    assert await fold.get_attribute("aria-expanded") == "true"
    assert "WDJB-MJHT" in await phone.text()
    assert await phone.element.evaluate("it => it.shadowRoot.activeElement.className") == "fold"
    assert (await phone.text()).split("\n\n")[:2] == heading, "the code adds, and changes nothing"
    below = (
        "it => it.shadowRoot.querySelector('.fold').compareDocumentPosition("
        "it.shadowRoot.querySelector('.picture'))"
    )
    assert await phone.element.evaluate(below) == 4, "the code opens below its button"
    assert await phone.axe() == []
    assert await phone.page.evaluate("() => document.documentElement.scrollWidth") <= 320
    await phone.shot(f"unfolded-{lang}-{scheme}")
    await fold.press("Enter")
    assert not await code.is_visible()


async def test_a_tablet_shows_the_code_and_the_link(phone: LoginPage, stub: Stub) -> None:
    await phone.page.set_viewport_size({"width": 820, "height": 1180})
    await phone.page.goto(stub.url)
    await phone.until("pending")
    assert await phone.element.get_by_role("img").is_visible()
    assert await phone.element.get_by_role("link", name=stub.word("sameDevice")).is_visible()
    assert await phone.element.get_by_role("button", name=FOLD).count() == 0
    await phone.page.set_viewport_size({"width": 360, "height": 720})  # folded, in a split screen
    await phone.element.get_by_role("link", name=NAME, exact=True).wait_for()


async def test_the_link_is_in_the_language_of_the_page(phone: LoginPage, stub: Stub) -> None:
    stub.lang, stub.fallback = "zh-CN", ""
    await phone.page.goto(stub.url)
    await phone.until("pending")
    assert await phone.element.get_by_role("link", name=stub.word("openApp")).is_visible()
    assert await strangers(phone.page, "zh-CN", ["Log in"]) == []
    await phone.shot("same-device-zh")


@row(52, 131)
async def test_a_desktop_shows_no_link(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    assert await login_page.element.get_by_role("link", name=NAME).count() == 0


@row(131)
@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "app://login", "/qr/x", "", None, {"a": 1}],
)
async def test_only_a_web_address_is_a_link(phone: LoginPage, stub: Stub, address: object) -> None:
    stub.extra = {"verification_uri_complete": address}
    await phone.page.goto(stub.url)
    await phone.until("pending")
    assert await phone.element.get_by_role("link").count() == 0
    assert await phone.element.get_by_role("img").is_visible(), "the code is all there is"


async def test_the_link_may_lead_to_another_host(phone: LoginPage, stub: Stub) -> None:
    stub.extra = {"verification_uri_complete": "https://app.example/qr/x"}
    await phone.page.goto(stub.url)
    await phone.until("pending")
    assert await phone.element.evaluate(LINK) == "https://app.example/qr/x"
    assert await phone.element.get_by_role("link", name=NAME).is_visible()


@row(52, 132)
async def test_an_expired_code_is_not_offered_as_a_link(phone: LoginPage, stub: Stub) -> None:
    stub.always["status"] = Fault.SILENT
    await phone.opens(stub.url)
    assert await phone.element.get_by_role("link", name=NAME).is_visible()
    await phone.page.clock.fast_forward(29_000)
    assert not await phone.element.get_by_role("link", name=NAME).is_visible()
