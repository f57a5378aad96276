"""A page in a real Chromium that shows <qr-login>, and what a person does on it.

It works with any server.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import BrowserContext, ConsoleMessage, Error, Locator, Page, Request

PATIENCE_S = 30
ANSWER_S = 0.5  # after that, the server is holding the request

# Runs before the page's own scripts. It reports violations through the console, because console
# messages survive a navigation.
WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) =>
  console.error("policy violated:", event.violatedDirective, event.blockedURI, event.sample), true);
"""

TURN = """Object.defineProperty(Document.prototype, "visibilityState",
  {get: () => state, configurable: true});
document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))"""
# Which of these buttons are inert, and whether the test has installed the page's clock.
ARE_INERT = """buttons => [buttons.map(button => button.hasAttribute("aria-disabled")),
  !/native code/.test(requestIdleCallback)]"""
# All rules run. Only the violations come back, because whole results take twice as long.
AXE = """only => axe.run(document, {resultTypes: ["violations"],
  ...(only.length && {runOnly: only})}).then(found =>
  found.violations.map(({id, help, nodes}) => ({id, help, nodes: nodes.map(({html}) => ({html}))})))
"""
#: The rules of axe whose result depends on colours: the others need no second run in the dark.
COLOURS = ("color-contrast", "link-in-text-block")
INERT_MS = 500  # for which a new view accepts no press; see Guard in qr-login-parts.js
IDLE = "it.shadowRoot.querySelectorAll('button[aria-disabled]:not([hidden])').length"


class LoginPage:
    """Drives one page and collects what goes wrong on it: `problems` must stay empty."""

    def __init__(self, context: BrowserContext, page: Page, shots: Path) -> None:
        self.context = context
        self.page = page
        self.shots = shots
        self.problems: list[str] = []
        self._forgiven: list[str] = []
        self.element = page.locator("qr-login").first
        self._under_way: dict[Request, float] = {}  # and when each was sent, by our clock
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
        """Whether an answer is under way.

        The page's clock should not move meanwhile, or the page times out on a slow machine.
        """
        return any(time.monotonic() - since < ANSWER_S for since in self._under_way.values())

    async def answered(self) -> None:
        """Waits until every request is answered, with a server that holds none."""
        await self.eventually(lambda: not self._under_way, what=f"answers to {self._under_way}")

    def _heard(self, message: ConsoleMessage) -> None:
        # Chromium reports every 4xx, 5xx and refused connection this way. The tests cause those.
        expected = ["Failed to load resource", *self._forgiven]
        if message.type == "error" and not any(text in message.text for text in expected):
            self.problems.append(message.text)

    def forgives(self, text: str) -> None:
        """Ignores console errors that contain this text, because the test provokes them."""
        self._forgiven.append(text)

    async def opens(self, url: str, state: str = "pending") -> None:
        """Opens a page and waits for this state, with the page's clock paused.

        The clock moves only as far as the page needs to reach the state. Later, only the test moves
        it.
        """
        await self.page.clock.install(time=0)
        await self.page.clock.pause_at(3600)  # later than the page's clock can be by now
        await self.page.goto(url)
        await self.until(state, step=1)

    async def until(self, state: str, *, hurry: bool = False, step: int = 0) -> None:
        """Waits for the element's state. For `hurry` and `step` see `eventually`."""
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
        """Calls `look` until `good` accepts what it returns. Returns that.

        :param look: a function or a coroutine function
        :param good: a predicate; default: whether the value is truthy
        :param what: what the test waits for, for the error message
        :param hurry: makes the page's clock, installed before, run faster than ours
        :param step: milliseconds by which the page's clock moves after each look, even while an
            answer is under way
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
                await asyncio.sleep(0.01 if hurry or step else 0.02)
        raise AssertionError(f"waited for {what or good}, last saw {seen!r}")

    async def state(self) -> str | None:
        found: str | None = None
        with contextlib.suppress(Error):  # the page may be leaving right now
            found = await self.page.evaluate(
                "() => document.querySelector('qr-login')?.getAttribute('state')"
            )
        return found

    async def buttons(self) -> list[str]:
        """The label of each visible button, as a screen reader reads it."""
        return [await each.inner_text() for each in await self.element.get_by_role("button").all()]

    async def press(self, name: str) -> None:
        """Presses a button as soon as it reacts to presses."""
        await self.click(self.element.get_by_role("button", name=name, exact=True))

    async def click(self, button: Locator) -> None:
        """Clicks on a button of a card as soon as it is there and reacts to presses.

        The locator's own `click` looks twice a second, and so takes longer.
        """
        with contextlib.suppress(Error):  # the page may break what finds the button for a script
            await self.eventually(lambda: self._ready(button), what=f"{button} to react")
        await button.click(timeout=PATIENCE_S * 1000)

    async def ready(self) -> None:
        """Waits until the buttons of this view react to presses."""
        await self.eventually(
            lambda: self._ready(self.element.locator("button"), none=True), what="buttons to react"
        )

    async def _ready(self, buttons: Locator, *, none: bool = False) -> bool:
        """Whether these buttons react to presses; `none` if there are no such buttons.

        If the test has installed the page's clock, the time that they are inert passes at once.
        """
        inert, fake = await buttons.evaluate_all(ARE_INERT)
        if any(inert):
            await (self.page.clock.fast_forward(INERT_MS) if fake else asyncio.sleep(0.04))
        return not any(inert) if inert else none

    async def text(self) -> str:
        """All text that the element shows."""
        return str(await self.element.evaluate("it => it.shadowRoot.firstElementChild.innerText"))

    async def turn(self, visibility: str) -> None:
        """Hides the page or shows it again.

        Headless Chromium never does this, so the page gets a simulated event.
        """
        await self.page.evaluate(f"state => {{ {TURN} }}", visibility)

    async def returns(self, event: str) -> int:
        """Brings the window to the front, with this event.

        Returns how many buttons do not react at that moment.
        """
        happens = (
            "dispatchEvent(new Event('focus'))"
            if event == "focus"
            else f"const state = 'visible'; {TURN}"
        )
        return int(await self.element.evaluate(f"it => {{ {happens}; return {IDLE} }}"))

    async def logged_in(self) -> None:
        await self.page.locator("#in", has_text="You are in.").wait_for(timeout=PATIENCE_S * 1000)

    async def shot(self, name: str) -> None:
        """Saves a picture of the view in pytest's temporary folder, if `TEST_SHOTS` is set."""
        if os.environ.get("TEST_SHOTS"):
            await self.page.screenshot(path=self.shots / f"{name}.png", full_page=True)

    async def axe(self, *only: str) -> list[str]:
        """The violations that axe finds on the page, shadow roots included.

        :param only: the rules; default: all
        """
        if not await self.page.evaluate("() => 'axe' in window"):
            await self.page.evaluate(f"() => {{ {AXE_FILE_PATH.read_text()} }}")
        found = await self.page.evaluate(AXE, only)
        return [
            f"{each['id']}: {each['help']} {[node['html'] for node in each['nodes']]}"
            for each in found
        ]

    async def ends(self, state: str, button: str, *, hurry: bool = False) -> None:
        """Waits for a state that ends a failure: exactly one labelled button, and no retry note."""
        await self.until(state, hurry=hurry)
        assert await self.buttons() == [button]
        assert "Retrying" not in await self.text()
