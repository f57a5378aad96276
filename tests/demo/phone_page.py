"""A phone in a real Chromium: it opens the address that a camera read from the other screen."""

import io
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser

from tests.browser.approve_page import SIZE, ApprovePage
from tests.browser.login_page import PATIENCE_S, LoginPage
from tests.render.readers import decode

#: Scans for the account of this phone, which takes the login.
CLAIM = """() => {
  const { token } = JSON.parse(sessionStorage.getItem("qrlogin-demo-phone"));
  return fetch("/qrlogin/phone/scan", { method: "POST", credentials: "omit",
    body: JSON.stringify({ code: location.href }),
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` } }) }"""


async def open_phone(chromium: Browser, shots: Path, *, locale: str = "en-GB") -> "PhonePage":
    context = await chromium.new_context(
        viewport=SIZE,  # type: ignore[arg-type]
        is_mobile=True,
        has_touch=True,
        locale=locale,
    )
    return await PhonePage.in_context(context, shots)


async def camera(login_page: LoginPage) -> str:
    """The text of the one QR code on the page, which a decoder reads from a screenshot."""
    return str(await login_page.eventually(lambda: camera_or_nothing(login_page), what="a QR code"))


async def camera_or_nothing(login_page: LoginPage) -> str:
    """The text of the QR code; "" if there is not exactly one at this moment."""
    found = decode(Image.open(io.BytesIO(await login_page.page.screenshot())))
    return found[0].decode() if len(found) == 1 else ""


class PhonePage(ApprovePage):
    """The phone of the demo: it shows <qr-approve> among views of its own."""

    tag = "demo-approve"

    async def open(self, address: str) -> None:
        await self.page.goto(address)

    async def view(self, name: str, title: str) -> None:
        """Waits for a view with this heading, and checks it with axe."""
        view = self.page.locator(f"[data-view={name}], demo-approve[state={name}]")
        await (
            view.locator("h1", has_text=title)
            .and_(self.page.locator("h1:visible"))
            .wait_for(timeout=PATIENCE_S * 1000)
        )
        assert await self.page.locator("h1:visible").count() == 1
        assert await self.axe() == []
        await self.shot(f"phone-{name}-{title}".replace(" ", "-").replace("?", ""))

    async def press(self, name: str) -> None:
        button = self.page.locator("[data-view]:visible, header").get_by_role(
            "button", name=name, exact=True
        )
        await self.click(button)

    async def scan(self, login_page: LoginPage, name: str) -> None:
        """Scans the code of the login page, chooses an account if needed, and sees the question."""
        await self.open(await camera(login_page))
        await self.look(name)
        await self.until("ask")

    async def look(self, name: str) -> None:
        """Chooses an account if needed. The page then looks by itself."""
        await self.page.locator("h1:visible").wait_for()
        if not await self.page.locator("#owner").is_visible():
            await self.press(f"{name}\u2019s phone")

    async def claim(self) -> None:
        """Scans the code as a phone in a terminal does, without an answer, and reloads the page."""
        await self.page.evaluate(CLAIM)
        await self.page.reload()
        await self.until("ask")

    async def close(self) -> None:
        await self.context.close()
        assert self.problems == []
