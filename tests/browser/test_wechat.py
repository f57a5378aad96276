"""The WeChat code of the source article, unchanged, with real jQuery in a real browser.

And the page of WeChat's open platform.
"""

import asyncio
from collections.abc import Iterator

import pytest

from qrlogin import State
from tests.browser.login_page import LoginPage
from tests.browser.wechat_site import WeChatSite, text_of
from tests.security_rows import row
from tests.servers import LOOPBACK

POLL = "cgi-bin/mmwebwx-bin/login"


@pytest.fixture
def site() -> Iterator[WeChatSite]:
    with WeChatSite() as running:
        yield running


async def reports(login_page: LoginPage, words: str) -> None:
    """Waits until the page has received these codes, and no others."""
    look = login_page.page.locator("#codes").text_content
    await login_page.eventually(
        look, lambda seen: str(seen).strip() == words, f"the page to say {words!r}"
    )


@pytest.mark.parametrize(
    "beside", [False, True], ids=["same origin", "another origin of the same site"]
)
async def test_the_articles_code_logs_a_browser_in(
    login_page: LoginPage, site: WeChatSite, beside: bool
) -> None:
    await login_page.page.goto(
        f"{site.beside if beside else site.origin}/login", wait_until="domcontentloaded"
    )
    await login_page.eventually(site.waiting, lambda count: count == 1)
    await login_page.page.locator("img").evaluate("it => it.decode()")
    text = await text_of(login_page.page.locator("img"))
    assert text.startswith(f"{site.origin}/l/")
    assert await login_page.page.evaluate("() => window.QRLogin.code") == 200

    site.qr.scan(text, subject="1", shown_as="A•••e")
    await reports(login_page, "201")
    assert str(await login_page.page.evaluate("() => window.userAvatar")).startswith(
        "data:image/png;base64,"
    )
    await login_page.eventually(site.waiting, lambda count: count == 1)
    site.qr.release(text, subject="1")
    await reports(login_page, "201 408")
    await login_page.eventually(site.waiting, lambda count: count == 1)
    site.qr.scan(text, subject="1", shown_as="A•••e")
    await reports(login_page, "201 408 201")
    await login_page.eventually(site.waiting, lambda count: count == 1)
    await asyncio.sleep(1.5)  # in this time, polls that are not held would come by dozens
    assert len(site.times(POLL)) == 4, "there were polls without news"

    site.qr.confirm(text, subject="1")
    await login_page.logged_in()
    assert login_page.page.url == f"{site.origin}/"
    cookies = {
        cookie["name"]: cookie["value"] for cookie in await login_page.context.cookies(site.origin)
    }
    assert cookies["session"] == "of-1"
    assert cookies.keys() >= {"wxuin", "wxsid"}
    assert site.log_ins == ["1"]


async def test_the_articles_code_learns_that_the_login_was_denied(
    login_page: LoginPage, site: WeChatSite
) -> None:
    await login_page.page.goto(f"{site.origin}/login", wait_until="domcontentloaded")
    await login_page.eventually(site.waiting, lambda count: count == 1)
    await login_page.page.locator("img").evaluate("it => it.decode()")
    text = await text_of(login_page.page.locator("img"))
    site.qr.scan(text, subject="1", shown_as="A•••e")
    await reports(login_page, "201")
    site.qr.deny(text, subject="1")
    await reports(login_page, "201 400")
    assert site.log_ins == []


@row(36, 420)
async def test_a_page_of_another_site_gets_nothing(login_page: LoginPage, site: WeChatSite) -> None:
    """For a browser, localhost and 127.0.0.1 are two sites."""
    await login_page.page.goto(
        f"{site.beside.replace('localhost', LOOPBACK)}/login", wait_until="domcontentloaded"
    )
    await reports(login_page, "refused")
    assert site.times("jslogin"), "the page sent its request"
    assert await login_page.page.evaluate("() => window.QRLogin") is None
    assert await login_page.context.cookies() == []
    assert site.store._records._records == {}


# WeChat's open platform


async def says(login_page: LoginPage, words: str) -> None:
    await login_page.page.get_by_role("status").filter(has_text=words).wait_for()


@pytest.mark.parametrize("application", ["this site", "a neighbour"])
async def test_the_page_logs_a_browser_in(
    login_page: LoginPage, site: WeChatSite, application: str
) -> None:
    wants = (
        ""
        if application == "this site"
        else f"?appid=wx-neighbour&redirect_uri={site.beside}/back&state=a%20b%26%3D%22%3C"
    )
    await login_page.page.goto(f"{site.origin}/connect/qrconnect{wants}")
    await says(login_page, "Scan with your phone")
    await login_page.eventually(site.waiting, lambda count: count == 1)
    text = await text_of(login_page.page.get_by_role("img"))
    assert text.startswith(f"{site.origin}/connect/confirm?uuid=")
    assert await login_page.axe() == []
    await login_page.shot("pending")

    site.qr.scan(text, subject="1", shown_as="A•••e")
    await says(login_page, "Approve the login on your phone")
    await login_page.eventually(site.waiting, lambda count: count == 1)
    assert await login_page.axe() == []
    await login_page.shot("scanned")
    site.qr.release(text, subject="1")
    await says(login_page, "Nothing was approved")
    assert await text_of(login_page.page.get_by_role("img")) == text
    site.qr.scan(text, subject="1", shown_as="A•••e")
    site.qr.confirm(text, subject="1")
    await login_page.logged_in()
    assert site.log_ins == ["1"]
    if application == "this site":
        assert login_page.page.url == f"{site.origin}/"
    else:
        assert login_page.page.url.startswith(f"{site.beside}/back?code=")
        assert site.tokens == [{"access_token": "a-token", "openid": "1", "state": 'a b&="<'}]
    polls = site.times("connect/l/qrconnect")
    assert len(polls) <= 5, "there were polls without news"


async def test_a_denied_login_offers_a_new_code(login_page: LoginPage, site: WeChatSite) -> None:
    await login_page.page.emulate_media(color_scheme="dark")
    await login_page.page.set_viewport_size({"width": 320, "height": 568})
    await login_page.page.goto(f"{site.origin}/connect/qrconnect")
    await login_page.eventually(site.waiting, lambda count: count == 1)
    first = await text_of(login_page.page.get_by_role("img"))
    assert await login_page.page.evaluate(
        "() => document.documentElement.scrollWidth <= innerWidth"
    )
    await login_page.shot("small, dark")
    site.qr.scan(first, subject="1", shown_as="A•••e")
    site.qr.deny(first, subject="1")
    await says(login_page, "no longer works")
    assert await login_page.axe() == []
    await login_page.shot("over")
    await login_page.page.get_by_role("link", name="Show a new code").click()
    await says(login_page, "Scan with your phone")
    await login_page.page.get_by_role("img").evaluate("it => it.decode()")
    second = await text_of(login_page.page.get_by_role("img"))
    assert second != first
    assert (
        site.qr.run(site.qr.core.scan(second, subject="1", shown_as="A•••e")).state is State.SCANNED
    )


async def test_the_page_asks_again_while_the_server_is_down(
    login_page: LoginPage, site: WeChatSite
) -> None:
    """It polls again after five seconds, with the last state that it received."""
    await login_page.page.clock.install()
    await login_page.page.route("**/connect/l/qrconnect?*", lambda route: route.abort())
    await login_page.page.goto(f"{site.origin}/connect/qrconnect")
    text = await text_of(login_page.page.get_by_role("img"))
    site.qr.scan(text, subject="1", shown_as="A•••e")
    await login_page.page.unroute("**/connect/l/qrconnect?*")
    status = login_page.page.get_by_role("status").text_content
    await login_page.eventually(
        status, lambda seen: "Approve the login on your phone" in str(seen), hurry=True
    )


async def test_going_back_to_a_page_whose_code_is_spent_shows_a_new_one(
    login_page: LoginPage, site: WeChatSite
) -> None:
    """The browser may load the page again or restore it.

    Under Playwright it never restores one, so the test simulates the event.
    """
    await login_page.page.goto(f"{site.origin}/connect/qrconnect")
    first = await text_of(login_page.page.get_by_role("img"))
    site.qr.scan(first, subject="1", shown_as="A•••e")
    site.qr.confirm(first, subject="1")
    await login_page.logged_in()
    await login_page.page.go_back()
    await login_page.page.get_by_role("img").evaluate("it => it.decode()")
    second = await text_of(login_page.page.get_by_role("img"))
    async with login_page.page.expect_navigation():
        await login_page.page.evaluate(
            "() => { dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true})) }"
        )
    await login_page.page.get_by_role("img").evaluate("it => it.decode()")
    third = await text_of(login_page.page.get_by_role("img"))
    assert len({first, second, third}) == 3
