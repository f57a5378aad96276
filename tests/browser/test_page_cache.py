"""The real back/forward cache: it keeps a page that the user leaves, and restores it later.

Playwright turns that cache off, so these tests start another Chromium. A page with `no-store` is
not kept, so the servers here do not send it. On a busy machine Chromium may drop the page and load
it again: then the test runs again.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.async_api import Browser, Error

from tests.browser.approve_page import ApprovePage
from tests.browser.approve_stub import ApproveStub
from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Stub
from tests.servers import CHROMIUM_ARGUMENTS, whole_chromium_binary

Kind = TypeVar("Kind", bound=LoginPage)
LISTEN = "window.shown = []; addEventListener('pageshow', event => shown.push(event.persisted))"
SHOWN = "() => [performance.getEntriesByType('navigation')[0].type, ...window.shown]"
KEPT, LOADED = ["navigate", False, True], ["back_forward", False]
PICTURE = "it => it.shadowRoot.querySelector('[part=qr] path').getAttribute('d')"
REASONS = "() => JSON.stringify(performance.getEntriesByType('navigation')[0].notRestoredReasons)"
TRIES = 3
LATER = """const now = performance.now.bind(performance); let ahead = 0;
performance.now = () => now() + ahead;
addEventListener("pageshow", ({ persisted }) => { if (persisted) ahead = 3_600_000 })"""
STALE = "it => it.shadowRoot.querySelector('.stale') !== null"


@pytest.fixture(scope="module")
def keeping(loop: asyncio.Runner, chromium: Browser) -> Iterator[Browser]:
    """A Chromium with this cache, as users have it."""
    launch = chromium.browser_type.launch(
        executable_path=whole_chromium_binary(),
        args=CHROMIUM_ARGUMENTS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    browser = loop.run(launch)
    yield browser
    loop.run(browser.close())


@contextlib.asynccontextmanager
async def page_of(keeping: Browser, shots: Path, kind: type[Kind]) -> AsyncIterator[Kind]:
    context = await keeping.new_context()
    page = await kind.in_context(context, shots)
    assert isinstance(page, kind)
    await page.page.add_init_script(LISTEN)
    try:
        yield page
    finally:
        await context.close()
    assert page.problems == []


class NotKept(Exception):
    """Chromium did not keep the page. The message is Chromium's reasons."""


def retried(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Runs a test up to `TRIES` times, until Chromium keeps the page."""

    @functools.wraps(test)
    async def tries(**given: Any) -> None:
        for _ in range(TRIES - 1):
            with contextlib.suppress(NotKept):
                return await test(**given)
        return await test(**given)

    return tries


async def back(login_page: LoginPage) -> None:
    """Goes back to the page. Raises `NotKept` if Chromium loads it again."""

    async def shown() -> Any:
        with contextlib.suppress(Error):  # the page is leaving right now
            return await login_page.page.evaluate(SHOWN)

    await login_page.page.evaluate("() => { history.back() }")
    kept = await login_page.eventually(
        shown, lambda seen: seen in (KEPT, LOADED), "the page that was left"
    )
    if kept == LOADED:
        raise NotKept(await login_page.page.evaluate(REASONS))


@pytest.mark.parametrize("stream", ["", "events", "socket"])
@retried
async def test_a_restored_page_continues_its_login(
    keeping: Browser, tmp_path: Path, stream: str
) -> None:
    """It shows the current code.

    A held poll, a stream or a lock does not keep the page out of the cache, because the page
    releases them in time.
    """
    with Stub(rotation=1) as stub:
        async with page_of(keeping, tmp_path, LoginPage) as login_page:
            stub.attributes += f" stream='{stream}'"
            await login_page.page.goto(stub.url)
            await login_page.until("pending")
            await login_page.eventually(lambda: stub.count(stream or "status") >= 1)
            before = await login_page.element.evaluate(PICTURE)
            await login_page.page.goto(f"{stub.url}account")
            await back(login_page)
            await login_page.eventually(
                lambda: login_page.element.evaluate(PICTURE),
                lambda path: path != before,
                "another picture",
            )
            stub.move("scanned")
            await login_page.until("scanned")
            assert stub.count("begin") == 1


@retried
async def test_a_restored_page_does_not_offer_an_expired_code(
    keeping: Browser, tmp_path: Path
) -> None:
    """The code fades before the server answers."""
    with Stub() as stub:
        async with page_of(keeping, tmp_path, LoginPage) as login_page:
            await login_page.page.add_init_script(LATER)
            await login_page.page.goto(stub.url)
            await login_page.until("pending")
            await login_page.page.goto(f"{stub.url}account")
            stub.always["status"] = Fault.DROPPED
            await back(login_page)
            assert (await login_page.state(), await login_page.element.evaluate(STALE)) == (
                "pending",
                True,
            )
            stub.move("expired")
            stub.always.clear()
            await login_page.ends("expired", "Show a new code")


async def test_a_restored_page_of_a_logged_in_browser_reloads(
    keeping: Browser, stub: Stub, tmp_path: Path
) -> None:
    """The user clicked on a link while the page was opening `next`, and came back."""
    stub.attributes += " next='/account'"
    async with page_of(keeping, tmp_path, LoginPage) as login_page:
        await login_page.page.goto(stub.url)
        await login_page.until("pending")
        stub.move("confirmed")
        await login_page.until("confirmed")
        leave = """() => addEventListener("qr-login:redeemed", () =>
          setTimeout(() => location.assign("/account?elsewhere")))"""
        await login_page.page.evaluate(leave)
        await login_page.press("Continue")
        await login_page.page.wait_for_url("**/account?elsewhere")
        await login_page.page.evaluate("() => { history.back() }")
        await login_page.page.wait_for_url(stub.url)
        await login_page.logged_in()


@pytest.mark.parametrize(("state", "view"), [("scanned", "ask"), ("expired", "expired")])
@retried
async def test_a_restored_page_does_not_show_the_old_question(
    keeping: Browser, tmp_path: Path, state: str, view: str
) -> None:
    """It looks again, once, and shows what is so now: the question, or how the login ended."""
    with ApproveStub(caching="no-cache") as stub:
        async with page_of(keeping, tmp_path, ApprovePage) as phone:
            await phone.ask(stub.url)
            await phone.page.goto(f"{stub.origin}/elsewhere")
            stub.state = state
            stub.calls.clear()
            await back(phone)
            await phone.until(view)
            await phone.ready()
            assert stub.kinds() == ["look"]


@retried
async def test_a_restored_page_says_how_the_approved_login_ended(
    keeping: Browser, tmp_path: Path
) -> None:
    with ApproveStub(caching="no-cache") as stub:
        async with page_of(keeping, tmp_path, ApprovePage) as phone:
            await phone.ask(stub.url)
            await phone.press("Yes, log in")
            await phone.until("approved")
            await phone.page.goto(f"{stub.origin}/elsewhere")
            stub.state = "redeemed"
            await back(phone)
            await phone.until("redeemed")
