"""Browser profiles in a real Chromium: computers (`at_desk`) and phones (`in_hand`).

Only a picture passes from one screen to the other. Each profile records its requests and answers,
so that a test can search them for secrets.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, Locator, Page, Request, Response

from tests.browser.approve_page import SIZE
from tests.browser.login_page import PATIENCE_S, LoginPage
from tests.demo.phone_page import camera
from tests.examples.visitors import PASSWORD

IN_HAND: dict[str, Any] = {"viewport": SIZE, "is_mobile": True, "has_touch": True}
ATTRIBUTES = """() => {
  const all = [], visit = (root) => { for (const each of root.querySelectorAll("*")) {
    for (const { name, value } of each.attributes) all.push(`${name}=${value}`);
    if (each.shadowRoot) visit(each.shadowRoot) } };
  visit(document);
  return all;
}"""


CLAIM = """() => {
  const it = document.querySelector("qr-approve");
  const headers = { "Content-Type": "application/json" };
  if (it.csrfHeader) headers[it.csrfHeader] = it.csrfToken;
  const body = JSON.stringify({ code: location.href });
  return fetch(`${it.src}scan`, { method: "POST", headers, body })
    .then((answer) => answer.text().then(() => answer.status)) }"""


@dataclass
class Profile:
    """One browser profile with one page at a time."""

    desk: LoginPage
    origin: str
    addresses: list[str] = field(default_factory=list)  # URL and referrer of every request
    headers: list[dict[str, str]] = field(default_factory=list)  # of every answer
    answers: list[Response] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    @classmethod
    async def new(cls, chromium: Browser, origin: str, shots: Path, **options: Any) -> Self:
        context = await chromium.new_context(**options)
        seat = await LoginPage.in_context(context, shots)
        profile = cls(seat, origin)
        context.on("request", profile._asked)
        context.on("response", profile._answered)
        return profile

    def _asked(self, request: Request) -> None:
        self.addresses += [request.url, request.headers.get("referer", "")]

    def _answered(self, response: Response) -> None:
        self.headers.append(dict(response.headers))
        self.answers.append(response)

    async def requested(self, pattern: str) -> None:
        """Returns when a request was sent whose URL matches."""
        await self.desk.eventually(
            lambda: any(re.search(pattern, each) for each in self.addresses), what=pattern
        )

    async def answer_with(self, state: str) -> Response:
        """The first answer of qrlogin with this state."""
        for answer in self.answers:
            json = "/qrlogin/" in answer.url and "json" in answer.headers.get("content-type", "")
            if json and (await answer.json()).get("state") == state:
                return answer
        raise AssertionError(f"no answer has the state {state!r}")

    @property
    def page(self) -> Page:
        return self.desk.page

    @property
    def context(self) -> BrowserContext:
        return self.desk.context

    async def cookies(self) -> dict[str, str]:
        held = {str(one["name"]): str(one["value"]) for one in await self.context.cookies()}
        self.secrets |= {value for name, value in held.items() if value and "lang" not in name}
        return held

    async def attributes(self) -> list[str]:
        found: list[str] = await self.page.evaluate(ATTRIBUTES)
        return found

    async def open(self, path: str) -> None:
        await self.page.goto(path if path.startswith("http") else self.origin + path)

    async def fill(self, name: str, password: str = PASSWORD) -> None:
        """Fill in the form and press Enter."""
        await self.page.locator("input[name=name]").fill(name)
        await self.page.locator("input[name=password]").fill(password)
        await self.page.locator("input[name=password]").press("Enter")

    async def sign_up(self, name: str) -> None:
        await self.open("/signup")
        await self.fill(name)
        await self.logged_in_as(name)

    async def logged_in_as(self, name: str) -> None:
        await self.page.wait_for_url(f"{self.origin}/", timeout=PATIENCE_S * 1000)
        await self.page.get_by_text(name).first.wait_for(timeout=PATIENCE_S * 1000)

    async def log_out(self) -> None:
        await self.page.locator("form[action$='/logout'] button").click()
        await self.page.wait_for_url("**/login**", timeout=PATIENCE_S * 1000)

    # The desk's page

    async def answer(self, which: int, state: str = "confirmed") -> None:
        """Press this button of <qr-login> once the login is in this state.

        For "Continue as …?", 0 is "that is not me" and 1 is yes.
        """
        await self.desk.until(state)
        await self.desk.click(self.desk.element.get_by_role("button").nth(which))

    # The phone's page

    @property
    def question(self) -> Locator:
        return self.page.locator("qr-approve")

    async def until(self, state: str) -> None:
        async def seen() -> str | None:
            return await self.question.get_attribute("state")

        await self.desk.eventually(
            seen, lambda is_now: is_now == state, f"<qr-approve state={state!r}>"
        )

    async def press(self, which: int) -> None:
        """Press this button of <qr-approve> as soon as it is enabled."""
        await self.desk.click(self.question.get_by_role("button").nth(which))

    async def scan(self, screen: LoginPage) -> None:
        """Scan the code on that screen and open its URL, which shows who asks."""
        await self.open(await camera(screen))
        await self.until("ask")

    async def claim(self) -> None:
        """Take the login whose question is open, as "Yes" does, but without an answer."""
        assert await self.page.evaluate(CLAIM) == 200

    async def approve(self) -> None:
        await self.press(1)
        await self.until("approved")

    async def deny(self) -> None:
        await self.press(0)
        await self.until("denied")

    async def close(self) -> None:
        await self.context.close()
        assert self.desk.problems == []


async def at_desk(
    chromium: Browser, origin: str, shots: Path, *, width: int = 1200, **options: Any
) -> Profile:
    """A computer with the login page open and a code on the screen."""
    profile = await Profile.new(
        chromium, origin, shots, viewport={"width": width, "height": 900}, **options
    )
    await profile.open("/login")
    await profile.desk.until("pending")
    return profile


async def in_hand(
    chromium: Browser, origin: str, shots: Path, name: str, **options: Any
) -> Profile:
    """A phone on which a new account is signed in."""
    profile = await Profile.new(chromium, origin, shots, **{**IN_HAND, **options})
    await profile.sign_up(name)
    return profile


async def buttons_enabled(profile: Profile) -> None:
    """Returns when the buttons of <qr-approve> are enabled.

    They are disabled at first, so that a click meant for the page before answers nothing.
    """
    await profile.page.wait_for_function(
        "() => !document.querySelector('qr-approve')"
        ".shadowRoot.querySelector('button[aria-disabled]')",
        timeout=PATIENCE_S * 1000,
    )
