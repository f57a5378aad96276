"""The source article's WeChat code, as it stands, with real jQuery in a real browser; and the page of WeChat's open platform."""

import asyncio
from collections.abc import Iterator

import pytest

from qrlogin import State
from tests.browser.login_page import LoginPage
from tests.browser.wechat_site import WeChatSite, text_of
from tests.servers import LOOPBACK

POLL = "cgi-bin/mmwebwx-bin/login"


@pytest.fixture
def site() -> Iterator[WeChatSite]:
    with WeChatSite() as running:
        yield running


async def told(desk: LoginPage, words: str) -> None:
    """Waits until the page has been told all this, and nothing else."""
    look = desk.page.locator("#status").text_content
    await desk.eventually(
        look, lambda seen: str(seen).strip() == words, f"the page to say {words!r}"
    )


@pytest.mark.parametrize(
    "beside", [False, True], ids=["same origin", "another origin of the same site"]
)
async def test_the_articles_code_logs_a_browser_in(
    desk: LoginPage, site: WeChatSite, beside: bool
) -> None:
    await desk.page.goto(
        f"{site.beside if beside else site.origin}/login", wait_until="domcontentloaded"
    )
    await desk.eventually(site.waiting, lambda count: count == 1)
    await desk.page.locator("img").evaluate("it => it.decode()")
    text = await text_of(desk.page.locator("img"))
    assert text.startswith(f"{site.origin}/l/")
    assert await desk.page.evaluate("() => window.QRLogin.code") == 200

    site.qr.scan(text, subject="1", shown_as="A•••e")
    await told(desk, "201")
    assert str(await desk.page.evaluate("() => window.userAvatar")).startswith(
        "data:image/png;base64,"
    )
    await desk.eventually(site.waiting, lambda count: count == 1)
    site.qr.release(text, subject="1")
    await told(desk, "201 408")
    await desk.eventually(site.waiting, lambda count: count == 1)
    site.qr.scan(text, subject="1", shown_as="A•••e")
    await told(desk, "201 408 201")
    await desk.eventually(site.waiting, lambda count: count == 1)
    await asyncio.sleep(1.5)  # time in which a client that is not held would ask dozens of times
    assert len(site.times(POLL)) == 4, "there were polls without news"

    site.qr.confirm(text, subject="1")
    await desk.logged_in()
    assert desk.page.url == f"{site.origin}/"
    cookies = {
        cookie["name"]: cookie["value"] for cookie in await desk.context.cookies(site.origin)
    }
    assert cookies["session"] == "of-1"
    assert cookies.keys() >= {"wxuin", "wxsid"}
    assert site.log_ins == ["1"]


async def test_the_articles_code_hears_that_it_is_over(desk: LoginPage, site: WeChatSite) -> None:
    await desk.page.goto(f"{site.origin}/login", wait_until="domcontentloaded")
    await desk.eventually(site.waiting, lambda count: count == 1)
    await desk.page.locator("img").evaluate("it => it.decode()")
    text = await text_of(desk.page.locator("img"))
    site.qr.scan(text, subject="1", shown_as="A•••e")
    await told(desk, "201")
    site.qr.deny(text, subject="1")
    await told(desk, "201 400")
    assert site.log_ins == []


async def test_a_page_of_another_site_gets_nothing(desk: LoginPage, site: WeChatSite) -> None:
    """To a browser, localhost and 127.0.0.1 are two sites."""
    await desk.page.goto(
        f"{site.beside.replace('localhost', LOOPBACK)}/login", wait_until="domcontentloaded"
    )
    await told(desk, "refused")
    assert site.times("jslogin"), "it was asked"
    assert await desk.page.evaluate("() => window.QRLogin") is None
    assert await desk.context.cookies() == []
    assert site.store._records._records == {}


# WeChat's open platform


async def says(desk: LoginPage, words: str) -> None:
    await desk.page.get_by_role("status").filter(has_text=words).wait_for()


@pytest.mark.parametrize("application", ["this site", "a neighbour"])
async def test_the_page_logs_a_browser_in(
    desk: LoginPage, site: WeChatSite, application: str
) -> None:
    wants = (
        ""
        if application == "this site"
        else f"?appid=wx-neighbour&redirect_uri={site.beside}/back&state=a%20b%26%3D%22%3C"
    )
    await desk.page.goto(f"{site.origin}/connect/qrconnect{wants}")
    await says(desk, "Scan the code")
    await desk.eventually(site.waiting, lambda count: count == 1)
    text = await text_of(desk.page.get_by_role("img"))
    assert text.startswith(f"{site.origin}/connect/confirm?uuid=")
    assert await desk.axe() == []
    await desk.shot("pending")

    site.qr.scan(text, subject="1", shown_as="A•••e")
    await says(desk, "approve on your phone")
    await desk.eventually(site.waiting, lambda count: count == 1)
    assert await desk.axe() == []
    await desk.shot("scanned")
    site.qr.release(text, subject="1")
    await says(desk, "may be scanned again")
    assert await text_of(desk.page.get_by_role("img")) == text
    site.qr.scan(text, subject="1", shown_as="A•••e")
    site.qr.confirm(text, subject="1")
    await desk.logged_in()
    assert site.log_ins == ["1"]
    if application == "this site":
        assert desk.page.url == f"{site.origin}/"
    else:
        assert desk.page.url.startswith(f"{site.beside}/back?code=")
        assert site.tokens == [{"access_token": "a-token", "openid": "1", "state": 'a b&="<'}]
    polls = site.times("connect/l/qrconnect")
    assert len(polls) <= 5, "there were polls without news"


async def test_the_page_says_that_it_is_over_and_offers_a_new_code(
    desk: LoginPage, site: WeChatSite
) -> None:
    await desk.page.emulate_media(color_scheme="dark")
    await desk.page.set_viewport_size({"width": 320, "height": 568})
    await desk.page.goto(f"{site.origin}/connect/qrconnect")
    await desk.eventually(site.waiting, lambda count: count == 1)
    first = await text_of(desk.page.get_by_role("img"))
    assert await desk.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    await desk.shot("small, dark")
    site.qr.scan(first, subject="1", shown_as="A•••e")
    site.qr.deny(first, subject="1")
    await says(desk, "no longer valid")
    assert await desk.axe() == []
    await desk.shot("over")
    await desk.page.get_by_role("link", name="Show a new code").click()
    await says(desk, "Scan the code")
    await desk.page.get_by_role("img").evaluate("it => it.decode()")
    second = await text_of(desk.page.get_by_role("img"))
    assert second != first
    assert (
        site.qr.run(site.qr.core.scan(second, subject="1", shown_as="A•••e")).state is State.SCANNED
    )


async def test_the_page_survives_a_server_that_is_away(desk: LoginPage, site: WeChatSite) -> None:
    """It asks again after five seconds, with what it was told last."""
    await desk.page.clock.install()
    await desk.page.route("**/connect/l/qrconnect?*", lambda route: route.abort())
    await desk.page.goto(f"{site.origin}/connect/qrconnect")
    text = await text_of(desk.page.get_by_role("img"))
    site.qr.scan(text, subject="1", shown_as="A•••e")
    await desk.page.unroute("**/connect/l/qrconnect?*")
    status = desk.page.get_by_role("status").text_content
    await desk.eventually(status, lambda seen: "approve on your phone" in str(seen), hurry=True)


async def test_going_back_to_a_page_whose_code_is_spent_shows_a_new_one(
    desk: LoginPage, site: WeChatSite
) -> None:
    """Whether the browser loads the page anew or thaws it. Driven like this it never thaws one, so it is told that it did."""
    await desk.page.goto(f"{site.origin}/connect/qrconnect")
    first = await text_of(desk.page.get_by_role("img"))
    site.qr.scan(first, subject="1", shown_as="A•••e")
    site.qr.confirm(first, subject="1")
    await desk.logged_in()
    await desk.page.go_back()
    await desk.page.get_by_role("img").evaluate("it => it.decode()")
    second = await text_of(desk.page.get_by_role("img"))
    async with desk.page.expect_navigation():
        await desk.page.evaluate(
            "() => { dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true})) }"
        )
    await desk.page.get_by_role("img").evaluate("it => it.decode()")
    third = await text_of(desk.page.get_by_role("img"))
    assert len({first, second, third}) == 3
