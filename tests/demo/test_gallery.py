"""The gallery: every state of the elements on one page, in a language and a theme."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import module
from qrlogin.demo.site import Site
from tests.browser.login_page import LoginPage
from tests.demo.running import RunningDemo, send
from tests.tables import for_each_row

SHOWN = """() => [...document.querySelectorAll("figure")].map((figure) =>
  [figure.closest("section").querySelector("h2").innerText, figure.dataset.shows,
   figure.lastElementChild.getAttribute("state")])"""
DIRECTIONS = """() => [...document.querySelectorAll("figure > *")].filter((it) => it.shadowRoot)
  .map((it) => getComputedStyle(it.shadowRoot.firstElementChild).direction)"""
FITS = "() => document.documentElement.scrollWidth <= innerWidth"


def states(name: str) -> list[str]:
    """The states of a card, which its module lists as VIEWS."""
    source = module(f"qr-{name}-card.js").decode()
    views = re.search(r"const VIEWS = Object\.freeze\(\{(.*?)\}\);", source, re.DOTALL)
    assert views
    return [*re.findall(r"(\w+): \[", views[1]), "outdated"]


@asynccontextmanager
async def gallery(
    chromium: Browser, demo: RunningDemo, shots: Path, query: str, width: int = 1500
) -> AsyncIterator[LoginPage]:
    """The page, once each figure shows its state. The policy allowed everything on it."""
    context = await chromium.new_context(
        viewport={"width": width, "height": 900}, locale="en-GB", reduced_motion="reduce"
    )
    page = await LoginPage.in_context(context, shots)
    page.forgives("/gallery/")  # what the elements log about the refusals that they show
    sent: list[str] = []
    page.page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    await page.page.clock.install()
    await page.page.goto(f"{demo.origin}/gallery?{query}")

    async def wrong() -> list[list[str]] | None:
        found = await page.page.evaluate(SHOWN)
        return [each for each in found if each[1].split(".")[0] != each[2]] if found else None

    await page.eventually(wrong, lambda found: found == [], "each figure's state", hurry=True)
    own = re.compile(rf"GET {demo.origin}/(gallery\?.*|demo/[\w.-]+|qrlogin/[\w-]+\.js)")
    assert [each for each in sent if not own.fullmatch(each)] == [], "no request is for a login"
    yield page
    assert page.problems == []
    await context.close()


async def test_the_gallery_shows_every_state_without_a_request_for_a_login(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with gallery(chromium, demo, tmp_path, "lang=en&theme=light") as page:
        shown = await page.page.evaluate(SHOWN)
        for name in ("login", "approve"):
            found = {key.split(".")[0] for tag, key, _ in shown if tag == f"<qr-{name}>"}
            assert found == set(states(name))
        assert await page.axe() == []
        await page.shot("gallery-en")


async def test_the_gallery_is_written_from_right_to_left_in_arabic(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """In dark, although the browser prefers light. A small screen shows all of it."""
    async with gallery(chromium, demo, tmp_path, "lang=ar&theme=dark", width=320) as page:
        assert set(await page.page.evaluate(DIRECTIONS)) == {"rtl"}
        scheme = await page.page.evaluate("() => getComputedStyle(document.body).colorScheme")
        assert scheme == "dark"
        assert await page.page.evaluate(FITS)
        await page.page.locator("select").first.select_option("ja")
        await page.page.wait_for_url("**/gallery?lang=ja&theme=dark")
        await page.shot("gallery-ar")


@for_each_row(
    "query, lang, theme",
    [
        ("", "fr", ""),
        ("lang=zh-TW&theme=dark", "zh-TW", "dark"),
        ("theme=light", "fr", "light"),
        ('lang="><b>&theme="><b>', "en", ""),
    ],
)
def test_the_address_of_the_gallery_selects_its_language_and_theme(
    site: Site, query: str, lang: str, theme: str
) -> None:
    """Without a language in it, the browser's is used."""
    html = send(site, "GET", f"/gallery?{query}", accept_language="fr").body.decode()
    assert f'<html lang="{lang}" dir="ltr" data-theme="{theme}">' in html
    assert re.findall(r'value="([^"]*)" selected', html) == [lang, theme]


def test_the_login_page_links_to_the_gallery_in_its_footer(site: Site) -> None:
    html = send(site, "GET", "/").body.decode()
    assert html.index("<footer>") < html.index('href="/gallery"')


@pytest.mark.parametrize("name", ["login", "approve"])
def test_the_states_of_a_card_are_found_in_its_module(name: str) -> None:
    assert {"unavailable", "refused", "stale", "outdated"} < set(states(name))
