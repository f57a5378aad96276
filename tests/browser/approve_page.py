"""A phone's page in a real Chromium that shows <qr-approve>, and what a person does on it.

It works with any server.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.login_page import LoginPage

SIZE = {"width": 390, "height": 844}
FITS = "() => document.documentElement.scrollWidth <= innerWidth"


class ApprovePage(LoginPage):
    """Drives one page and collects what goes wrong on it."""

    tag = "qr-approve"

    def __init__(self, context: BrowserContext, page: Page, shots: Path) -> None:
        super().__init__(context, page, shots)
        self.element = page.locator(self.tag).first
        self.forgives("> /qrlogin/phone/")  # the element logs each refusal; the tests cause those

    async def state(self) -> str | None:
        found: str | None = await self.page.evaluate(
            "tag => document.querySelector(tag)?.getAttribute('state') ?? null", self.tag
        )
        return found

    async def press_still(self, name: str) -> None:
        """Presses a button while the page's clock is paused.

        A press counts half a second after the view appeared, so the clock moves on first.
        """
        await self.page.clock.run_for(1000)
        await self.press(name)

    async def title(self) -> str:
        return (await self.element.get_by_role("heading", level=1).inner_text()).strip()

    async def ask(self, url: str) -> None:
        """Opens the address that a camera read: the page shows the question at once."""
        await self.page.goto(url)
        await self.until("ask")

    async def ask_typed(self, url: str) -> None:
        """Opens a link that contains a typed code, and says that the other screen shows it too."""
        await self.page.goto(url)
        await self.until("found")
        await self.press("View details")
        await self.until("ask")


@asynccontextmanager
async def approve_page(
    chromium: Browser, shots: Path, **options: Any
) -> AsyncIterator[ApprovePage]:
    """A new phone. Fails at the end if anything went wrong on it."""
    context = await chromium.new_context(
        **{"viewport": SIZE, "is_mobile": True, "has_touch": True, **options}
    )
    phone = await ApprovePage.in_context(context, shots)
    yield phone
    await context.close()
    assert phone.problems == []
