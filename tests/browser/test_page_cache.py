"""The real back/forward cache: a page that was left is kept as it stands, runs on when somebody comes back, and may be old then.

Playwright turns that cache off, so these tests start a Chromium of their own; and `no-store` on a page keeps it out, so it is not
sent here. On a machine that is busy Chromium gives up keeping a page, and loads it again: then the story is told once more.
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
LATER = """const now = performance.now.bind(performance); let ahead = 0; performance.now = () => now() + ahead;
addEventListener("pageshow", ({ persisted }) => { if (persisted) ahead = 3_600_000 })"""
STALE = "it => it.shadowRoot.querySelector('.stale') !== null"


@pytest.fixture(scope="module")
def keeping(loop: asyncio.Runner, chromium: Browser) -> Iterator[Browser]:
    """A Chromium that has this cache, as people's have."""
    launch = chromium.browser_type.launch(
        executable_path=whole_chromium_binary(),
        args=CHROMIUM_ARGUMENTS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    browser = loop.run(launch)
    yield browser
    loop.run(browser.close())


@contextlib.asynccontextmanager
async def seat(keeping: Browser, shots: Path, kind: type[Kind]) -> AsyncIterator[Kind]:
    context = await keeping.new_context()
    desk = await kind.in_context(context, shots)
    assert isinstance(desk, kind)
    await desk.page.add_init_script(LISTEN)
    try:
        yield desk
    finally:
        await context.close()
    assert desk.problems == []


class NotKept(Exception):
    """Chromium's reasons, in its words."""


def told_again(story: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(story)
    async def tries(**given: Any) -> None:
        for _ in range(TRIES - 1):
            with contextlib.suppress(NotKept):
                return await story(**given)
        return await story(**given)

    return tries


async def back(desk: LoginPage) -> None:
    """Raises `NotKept` when the page was loaded again."""

    async def shown() -> Any:
        with contextlib.suppress(Error):  # the page is leaving right now
            return await desk.page.evaluate(SHOWN)

    await desk.page.evaluate("() => { history.back() }")
    kept = await desk.eventually(
        shown, lambda seen: seen in (KEPT, LOADED), "the page that was left"
    )
    if kept == LOADED:
        raise NotKept(await desk.page.evaluate(REASONS))


@pytest.mark.parametrize("stream", ["", "events", "socket"])
@told_again
async def test_a_login_goes_on(keeping: Browser, tmp_path: Path, stream: str) -> None:
    """With the code of now. Holding a poll, a stream and a lock does not keep the page out, for it gives them up in time."""
    with Stub(rotation=1) as stub:
        async with seat(keeping, tmp_path, LoginPage) as desk:
            stub.attributes += f" stream='{stream}'"
            await desk.page.goto(stub.url)
            await desk.until("pending")
            await desk.eventually(lambda: stub.count(stream or "status") >= 1)
            before = await desk.element.evaluate(PICTURE)
            await desk.page.goto(f"{stub.url}account")
            await back(desk)
            await desk.eventually(
                lambda: desk.element.evaluate(PICTURE),
                lambda path: path != before,
                "another picture",
            )
            stub.move("scanned")
            await desk.until("scanned")
            assert stub.count("begin") == 1


@told_again
async def test_a_code_that_died_meanwhile_is_not_offered(keeping: Browser, tmp_path: Path) -> None:
    """Not even before the server has said so."""
    with Stub() as stub:
        async with seat(keeping, tmp_path, LoginPage) as desk:
            await desk.page.add_init_script(LATER)
            await desk.page.goto(stub.url)
            await desk.until("pending")
            await desk.page.goto(f"{stub.url}account")
            stub.always["status"] = Fault.DROPPED
            await back(desk)
            assert (await desk.state(), await desk.element.evaluate(STALE)) == ("pending", True)
            stub.move("expired")
            stub.always.clear()
            await desk.ends("expired", "Show a new code")


async def test_a_browser_that_is_logged_in_is_not_asked_again(
    keeping: Browser, stub: Stub, tmp_path: Path
) -> None:
    """Somebody clicked on a link while the page was being left for `next`: coming back, it is asked for again."""
    stub.attributes += " next='/account'"
    async with seat(keeping, tmp_path, LoginPage) as desk:
        await desk.page.goto(stub.url)
        await desk.until("pending")
        stub.move("confirmed")
        await desk.until("confirmed")
        leave = "() => addEventListener('qr-login:redeemed', () => setTimeout(() => location.assign('/account?elsewhere')))"
        await desk.page.evaluate(leave)
        await desk.press("Continue")
        await desk.page.wait_for_url("**/account?elsewhere")
        await desk.page.evaluate("() => { history.back() }")
        await desk.page.wait_for_url(stub.url)
        await desk.logged_in()


@told_again
async def test_the_question_is_gone(keeping: Browser, tmp_path: Path) -> None:
    """What lay open when somebody left the phone's page is not there to be answered, and nothing is asked."""
    with ApproveStub(caching="no-cache") as stub:
        async with seat(keeping, tmp_path, ApprovePage) as hand:
            await hand.ask(stub.url)
            await hand.page.goto(f"{stub.origin}/elsewhere")
            await back(hand)
            await hand.until("found")
            assert await hand.buttons() == ["View details"]
            await hand.ready()
            assert stub.kinds() == ["scan"]
            await hand.press("View details")
            await hand.press("Yes, log in")
            await hand.until("approved")
