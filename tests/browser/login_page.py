"""A page in a real Chromium that shows <qr-login>, as a person at the desk sees it. Knows no server: give it any URL."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, Request

PATIENCE_S = 15
ANSWER_S = 0.5  # an answer that is not there by then is one that the server holds back

# Runs before the page's own scripts. A violation is told through the console, because that survives a navigation.
WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) =>
  console.error("policy violated:", event.violatedDirective, event.blockedURI, event.sample), true);
"""

TURN = """Object.defineProperty(Document.prototype, "visibilityState", {get: () => state, configurable: true});
document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))"""
IDLE = "it.shadowRoot.querySelectorAll('button[aria-disabled]').length"


class LoginPage:
    """Drives one page and collects what went wrong on it: `problems` must stay empty."""

    def __init__(self, context: BrowserContext, page: Page, shots: Path) -> None:
        self.context = context
        self.page = page
        self.shots = shots
        self.problems: list[str] = []
        self._forgiven: list[str] = []
        self.element = page.locator("qr-login").first
        self._under_way: dict[Request, float] = {}  # and since when, by our clock
        page.on("request", self._asked)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", self._answered)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    @classmethod
    async def in_context(cls, context: BrowserContext, shots: Path) -> Self:
        await context.add_init_script(WATCH_POLICY)
        return cls(context, await context.new_page(), shots)

    def _asked(self, request: Request) -> None:
        self._under_way[request] = time.monotonic()

    def _answered(self, request: Request) -> None:
        self._under_way.pop(request, None)

    def awaits(self) -> bool:
        """Whether an answer is on its way; the page's clock should stand meanwhile, or it loses patience with a slow machine."""
        return any(time.monotonic() - since < ANSWER_S for since in self._under_way.values())

    async def answered(self) -> None:
        """Until all that was asked is answered: for a server that holds nothing back."""
        await self.eventually(lambda: not self._under_way, what=f"answers to {self._under_way}")

    def _heard(self, message: ConsoleMessage) -> None:
        # Chromium itself reports every 4xx, 5xx and refused connection this way; those are the tests' own doing.
        expected = ["Failed to load resource", *self._forgiven]
        if message.type == "error" and not any(each in message.text for each in expected):
            self.problems.append(message.text)

    def forgives(self, text: str) -> None:
        """This test provokes an error on the console."""
        self._forgiven.append(text)

    async def opens(self, url: str, state: str = "pending") -> None:
        """Up to this state. The page's clock stands still, but for what it needs to get there: later only the test moves it."""
        await self.page.clock.install(time=0)
        await self.page.clock.pause_at(3600)  # far from what it is by now
        await self.page.goto(url)
        await self.until(state, step=1)

    async def until(self, state: str, *, hurry: bool = False, step: int = 0) -> None:
        """Waits for the element's state. `hurry` and `step` as below."""
        await self.eventually(
            lambda: self.state(),
            lambda seen: seen == state,
            f"state {state!r}",
            hurry=hurry,
            step=step,
        )

    async def eventually(
        self,
        look: Callable[[], Any],
        good: Callable[[Any], bool] = bool,
        what: str = "",
        *,
        hurry: bool = False,
        step: int = 0,
    ) -> Any:
        """Looks until it is good. `look` may be a coroutine function. `hurry`: the page's clock (installed before) runs faster
        than ours. `step`: it moves by so many milliseconds after each look, whether or not an answer is on its way.
        """
        seen: Any = None
        async with asyncio.timeout(PATIENCE_S * 2):
            end = asyncio.get_running_loop().time() + PATIENCE_S
            while asyncio.get_running_loop().time() < end:
                seen = look()
                if asyncio.iscoroutine(seen):
                    seen = await seen
                if good(seen):
                    return seen
                if step:
                    await self.page.clock.run_for(step)
                if hurry and not self.awaits():
                    with contextlib.suppress(Error):  # the page may be leaving right now
                        await self.page.clock.fast_forward(1000)
                await asyncio.sleep(0.01)
        raise AssertionError(f"waited for {what or good}, last saw {seen!r}")

    async def state(self) -> str | None:
        found: str | None = None
        with contextlib.suppress(Error):  # the page may be leaving right now
            found = await self.page.evaluate(
                "() => document.querySelector('qr-login')?.getAttribute('state')"
            )
        return found

    async def buttons(self) -> list[str]:
        """What every visible button is called by a screen reader: each must be labelled."""
        return [await each.inner_text() for each in await self.element.get_by_role("button").all()]

    async def press(self, name: str) -> None:
        await self.element.get_by_role("button", name=name, exact=True).click()

    async def ready(self) -> None:
        """Until the buttons of this view can be pressed."""
        await self.element.locator("button[aria-disabled]").first.wait_for(
            state="detached", timeout=PATIENCE_S * 1000
        )

    async def text(self) -> str:
        """Everything the element shows."""
        return str(await self.element.evaluate("it => it.shadowRoot.firstElementChild.innerText"))

    async def turn(self, visibility: str) -> None:
        """Hides the page or shows it again. Chromium without a screen never does, so the page is told that it happened."""
        await self.page.evaluate(f"state => {{ {TURN} }}", visibility)

    async def returns(self, event: str) -> int:
        """The window comes back, as this event tells. How many buttons are out of use at this very moment?"""
        happens = (
            "dispatchEvent(new Event('focus'))"
            if event == "focus"
            else f"const state = 'visible'; {TURN}"
        )
        return int(await self.element.evaluate(f"it => {{ {happens}; return {IDLE} }}"))

    async def logged_in(self) -> None:
        await self.page.locator("#in", has_text="You are in.").wait_for(timeout=PATIENCE_S * 1000)

    async def shot(self, name: str) -> None:
        """A picture to look at, in pytest's temporary folder."""
        await self.page.screenshot(path=self.shots / f"{name}.png", full_page=True)

    async def axe(self) -> list[str]:
        """What axe has to say against the page, shadow roots included."""
        if not await self.page.evaluate("() => 'axe' in window"):
            await self.page.evaluate(f"() => {{ {AXE_FILE_PATH.read_text()} }}")
        found = await self.page.evaluate("() => axe.run()")
        return [
            f"{each['id']}: {each['help']} {[node['html'] for node in each['nodes']]}"
            for each in found["violations"]
        ]

    async def ends(self, state: str, button: str, *, hurry: bool = False) -> None:
        """The end of every trouble: a state that says so and exactly one labelled button."""
        await self.until(state, hurry=hurry)
        assert await self.buttons() == [button]
        assert "Retrying" not in await self.text()
        await self.shot(state)
