"""A phone in a real Chromium, as a person holds it: it opens what a camera read from the other screen."""

import io
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser

from tests.browser.desk import PATIENCE_S, Desk
from tests.render.readers import decode

PHONE = {"width": 390, "height": 844}


async def pick_up(chromium: Browser, shots: Path) -> "Hand":
    context = await chromium.new_context(viewport=PHONE, is_mobile=True, has_touch=True)  # type: ignore[arg-type]
    seat = await Desk.sit_down(context, shots)
    return Hand(seat)


async def camera(desk: Desk) -> str:
    """What the one QR code on that screen says, read from a screenshot by a decoder that knows nothing of us."""

    async def look() -> str:
        found = decode(Image.open(io.BytesIO(await desk.page.screenshot())))
        return found[0].decode() if len(found) == 1 else ""

    return str(await desk.eventually(look, what="a QR code"))


class Hand:
    """The phone's page and what a person does on it."""

    def __init__(self, seat: Desk) -> None:
        self.seat, self.page, self.problems = seat, seat.page, seat.problems

    async def open(self, address: str) -> None:
        await self.page.goto(address)

    async def view(self, name: str, title: str) -> None:
        """Waits for this screen with this heading, and holds it against axe."""
        view = self.page.locator(f"[data-view={name}]")
        await view.locator("h1", has_text=title).wait_for(timeout=PATIENCE_S * 1000)
        assert await self.page.locator("h1:visible").count() == 1
        assert await self.seat.axe() == []
        await self.seat.shot(f"phone-{name}-{title}".replace(" ", "-").replace("?", ""))

    async def press(self, name: str) -> None:
        button = self.page.locator("[data-view]:visible, header").get_by_role("button", name=name, exact=True)
        await button.and_(self.page.locator(":not([aria-disabled])")).click(timeout=PATIENCE_S * 1000)

    async def scan(self, desk: Desk, name: str) -> None:
        """Points at the screen of the desk and says who one is."""
        await self.open(await camera(desk))
        await self.press(f"Continue as {name}")

    async def text(self) -> str:
        return await self.page.locator("main").inner_text()

    async def put_away(self) -> None:
        await self.seat.context.close()
        assert self.problems == []
