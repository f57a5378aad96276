"""The async tests of this folder share one event loop, because the browser outlives a test.

No other test uses this loop.
"""

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub
from tests.servers import CHROMIUM_ARGUMENTS


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        yield runner


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs `async def test_…(loop, …)`."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    runner = pyfuncitem.funcargs["loop"]
    assert isinstance(runner, asyncio.Runner)
    runner.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(scope="session")
def chromium(loop: asyncio.Runner, chromium_path: str) -> Iterator[Browser]:
    driver = loop.run(async_playwright().start())
    browser = loop.run(
        driver.chromium.launch(executable_path=chromium_path, args=CHROMIUM_ARGUMENTS)
    )
    yield browser
    loop.run(browser.close())
    loop.run(driver.stop())


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


@pytest.fixture
def login_page(
    request: pytest.FixtureRequest, loop: asyncio.Runner, chromium: Browser, tmp_path: Path
) -> Iterator[LoginPage]:
    """A new browser profile with one page. Fails at the end if anything went wrong on the page.

    It prefers reduced motion, because a page that waits with a moving ring takes an eighth of a
    core. The pages of tests/examples move.
    """
    if "stub" in request.fixturenames:
        # The server starts first and stops last, because an open page reports its absence.
        request.getfixturevalue("stub")
    context = loop.run(
        chromium.new_context(viewport={"width": 1000, "height": 720}, reduced_motion="reduce")
    )
    page = loop.run(LoginPage.in_context(context, tmp_path))
    yield page
    loop.run(context.close())
    assert page.problems == []
