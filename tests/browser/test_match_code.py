"""A whole login with a match code, over the real server: two browsers, in both languages."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from qrlogin import STANDARD, MemoryStore, QRLogin
from qrlogin.browser import texts
from qrlogin.demo.server import Server
from qrlogin.wire import Endpoint, Native, Person, Request, Response
from qrlogin.wire.message import StartResponse
from tests.browser.approve_page import FITS, ApprovePage, approve_page
from tests.browser.login_page import LoginPage
from tests.browser.words import EACH_LANGUAGE, for_two
from tests.security_rows import row

HEAD = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>Log in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root {{ color-scheme: light dark }} body {{ margin: 0 }}</style>
<script type="module" src="/qrlogin/qr-{name}-element.js"></script></head><body><main>"""
LOGIN = (
    HEAD + '<h1>Log in</h1><qr-login src="/qrlogin/" next="/in"></qr-login></main></body></html>'
)
APPROVE = HEAD + (
    '<qr-approve src="/qrlogin/phone/" at="/qr" account="alice@example.com"></qr-approve>'
    "</main></body></html>"
)
INSIDE = "<!doctype html><html lang='en'><title>In</title><p id='in'>You are in.</p></html>"
LINK = "it => it.shadowRoot.querySelector('[part=link]').href"
DIGITS = "it => it.shadowRoot.querySelector('[part=digits] [aria-hidden]')?.textContent ?? ''"
NOTE = "it => it.shadowRoot.querySelector('[part=note]').textContent"
SMALL = {"width": 320, "height": 568}


@dataclass
class Site:
    qr: QRLogin
    lang: str = "en"

    def __post_init__(self) -> None:
        self.endpoint = Endpoint(self.qr, Native(self.qr.core), max_waiting=8)

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        path = str(environ["PATH_INFO"])
        if path.startswith("/qrlogin/phone/"):
            asked = Request.from_wsgi(environ, path.removeprefix("/qrlogin/phone/"))
            alice = Person("1", shown_as="a•••e", name="alice@example.com")
            return self.endpoint.phone(asked, alice).to_wsgi(start_response)
        if path.startswith("/qrlogin/"):
            asked = Request.from_wsgi(environ, path.removeprefix("/qrlogin/"))
            return self.endpoint.browser(asked).to_wsgi(start_response)
        page = INSIDE if path == "/in" else LOGIN.format(lang=self.lang, name="login")
        if path.startswith("/qr/"):
            page = APPROVE.format(lang=self.lang, name="approve")
        return Response(200, (("Content-Type", "text/html"),), page.encode()).to_wsgi(
            start_response
        )


@pytest.fixture
def site() -> Iterator[Site]:
    with Server("127.0.0.1", 0) as server:
        qr = QRLogin(
            MemoryStore(),
            secret_keys=[bytes(range(32))],
            verification_uri=f"http://127.0.0.1:{server.port}/qr",
            policy=replace(STANDARD, match_digits=3),
        )
        site = Site(qr)
        server.start(site)
        yield site
        server.stop(qr.close)


@asynccontextmanager
async def scanned(
    login_page: LoginPage, site: Site, chromium: Browser, shots: Path, **options: Any
) -> Any:
    """A phone whose person said yes, so that it asks for the digits, and the digits."""
    said = texts(site.lang)["approve"]
    await login_page.page.goto(f"{site.qr.core.origin}/")
    await login_page.until("pending")
    assert await login_page.element.evaluate(DIGITS) == ""
    address = await login_page.element.evaluate(LINK)
    async with approve_page(chromium, shots, **options) as phone:
        await phone.ask(address)
        assert await login_page.element.evaluate(DIGITS) == "", "shown before the scan"
        await phone.press(said["approve"])
        await phone.until("match")
        await login_page.until("scanned")
        yield phone, await login_page.element.evaluate(DIGITS)


async def enter(phone: ApprovePage, digits: str) -> None:
    await phone.element.locator("input").fill(digits)
    await phone.ready()
    await phone.page.keyboard.press("Enter")


def other(digits: str, step: int) -> str:
    return f"{(int(digits) + step) % 1000:03}"


@row(31, 514)
@pytest.mark.parametrize("lang", EACH_LANGUAGE)
async def test_a_person_types_the_digits_that_the_browser_shows(
    login_page: LoginPage, site: Site, chromium: Browser, tmp_path: Path, lang: str
) -> None:
    """By keyboard alone, on a small dark phone. The digits may be pasted with blanks; too few cost
    no try, and the page says how many tries are left.
    """
    site.lang = lang
    said = texts(lang)["approve"]
    options = {"viewport": SMALL, "color_scheme": "dark"}
    async with scanned(login_page, site, chromium, tmp_path, **options) as (phone, digits):
        assert len(digits) == 3
        assert texts(lang)["login"]["enterDigits"] in await login_page.text()
        assert await login_page.axe() == []
        await login_page.shot(f"digits-{lang}")
        field = phone.element.locator("input")
        assert await field.get_attribute("inputmode") == "numeric"
        assert await field.get_attribute("autocomplete") == "off"
        assert said["digitsHelp"].replace("*", "") in await phone.text()
        assert await phone.axe() == []
        assert await phone.page.evaluate(FITS)
        await phone.shot(f"match-{lang}")
        await enter(phone, digits[:2])
        assert await phone.element.evaluate(NOTE) == said["digitsMissing"]
        await enter(phone, other(digits, 1))
        await phone.eventually(lambda: phone.element.evaluate(NOTE))
        assert await phone.element.evaluate(NOTE) == for_two(said, "wrongDigits")
        assert await field.get_attribute("aria-invalid") == "true"
        assert await phone.axe() == []
        await phone.shot(f"wrong-{lang}")
        await enter(phone, " ".join(digits))
        await phone.until("approved")
        await login_page.until("confirmed")
        assert await login_page.element.evaluate(DIGITS) == ""
        await login_page.press(texts(lang)["login"]["yes"])
        await login_page.page.wait_for_url("**/in")


@row(31)
async def test_three_wrong_tries_deny_the_login_on_both_screens(
    login_page: LoginPage, site: Site, chromium: Browser, tmp_path: Path
) -> None:
    async with scanned(login_page, site, chromium, tmp_path) as (phone, digits):
        for step, left in ((1, "2 more times"), (2, "once more")):
            await enter(phone, other(digits, step))
            await phone.eventually(
                lambda: phone.element.evaluate(NOTE), lambda note, left=left: left in note
            )
        await enter(phone, other(digits, 3))
        await phone.until("mismatched")
        assert await phone.axe() == []
        await phone.shot("mismatched")
        await login_page.until("denied")


async def test_a_reload_of_either_page_asks_for_the_same_digits_again(
    login_page: LoginPage, site: Site, chromium: Browser, tmp_path: Path
) -> None:
    async with scanned(login_page, site, chromium, tmp_path) as (phone, digits):
        await login_page.page.reload()
        await login_page.until("scanned")
        assert await login_page.element.evaluate(DIGITS) == digits
        await phone.page.reload()
        await phone.until("ask")
        await phone.press("Yes, log in")
        await phone.until("match")
        await phone.press("No, not me")
        await phone.until("denied")
        await login_page.until("denied")
