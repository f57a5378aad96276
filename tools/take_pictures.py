"""Take the pictures of docs/pictures/ again: `python tools/take_pictures.py`, after a change of how
the elements or the examples look.

It starts the examples, and takes the pictures in a real Chromium.
"""

import io
import sys
from pathlib import Path
from typing import Literal

import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.examples.operators import Operator, signed_in
from tests.examples.running import DJANGO, FASTAPI, FLASK, Example, Running
from tests.servers import CHROMIUM_ARGUMENTS, chromium_binary

Scheme = Literal["light", "dark"]

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
PROXIED = {"X-Forwarded-For": "203.0.113.7", "Accept-Language": "en"}


def shot(page: Page, name: str) -> Image.Image:
    """Take a picture. "": it is not kept."""
    page.wait_for_timeout(700)  # the page's transitions
    picture = Image.open(io.BytesIO(page.screenshot()))
    # Few colours: the file has a third of the size, and looks the same.
    if name:
        picture.convert("RGB").quantize(128).save(PICTURES / f"{name}.png", optimize=True)
    return picture


def take(chromium: Browser, origin: str, *, keep: bool) -> None:
    """A login by phone. With `keep`, its pictures are kept: those of one example are enough."""
    computer = chromium.new_context(
        viewport={"width": 1120, "height": 760}, user_agent=WINDOWS, extra_http_headers=PROXIED
    ).new_page()
    phone = chromium.new_context(
        viewport={"width": 390, "height": 890}, user_agent=IPHONE
    ).new_page()
    phone.goto(f"{origin}/signup")
    phone.locator("input[name=name]").fill("alice")
    phone.locator("input[name=password]").fill("a password of the example")
    phone.locator("input[name=password]").press("Enter")
    phone.wait_for_url(f"{origin}/")
    computer.goto(f"{origin}/login")
    computer.locator("qr-login[state=pending]").wait_for()
    (code,) = zxingcpp.read_barcodes(shot(computer, "login" if keep else ""))
    phone.goto(code.text)
    phone.locator("qr-approve[state=ask]").wait_for()
    shot(phone, "approve" if keep else "")
    phone.wait_for_timeout(1000)  # an early press does not count
    phone.locator("qr-approve").get_by_role("button").nth(1).click()
    computer.locator("qr-login[state=confirmed]").wait_for()
    computer.wait_for_timeout(1000)
    computer.locator("qr-login").get_by_role("button").nth(1).click()
    computer.wait_for_url(f"{origin}/")
    phone.set_viewport_size({"width": 390, "height": 660})
    phone.goto(f"{origin}/browsers")
    shot(phone, "browsers" if keep else "")


def take_of_operator(chromium: Browser, site: Running, name: str, scheme: Scheme) -> None:
    """The operator's page with alice's browser; in FastAPI also the login page during a pause."""
    operator = Operator(signed_in(site, "olga"), site.example is DJANGO)
    kept = [(each.name, each.value or "") for each in operator.visitor.http.cookies.jar]
    context = chromium.new_context(
        viewport={"width": 1120, "height": 980}, color_scheme=scheme, extra_http_headers=PROXIED
    )
    context.add_cookies([{"name": key, "value": text, "url": site.origin} for key, text in kept])
    page = context.new_page()
    page.goto(site.origin + operator.path)
    shot(page, name)
    if site.example is FASTAPI:
        operator.press("pause")
        other = chromium.new_context(viewport={"width": 1120, "height": 560}).new_page()
        other.goto(f"{site.origin}/login")
        shot(other, "paused")


#: The picture of the operator's page of each example, and its colours.
OPERATORS: dict[Example, tuple[str, Scheme]] = {
    FLASK: ("operator", "light"),
    FASTAPI: ("operator-dark", "dark"),
    DJANGO: ("operator-admin", "light"),
}


def main() -> int:
    with sync_playwright() as playwright:
        path = chromium_binary()
        with playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS) as chromium:
            for example, (name, scheme) in OPERATORS.items():
                with Running(example, QRLOGIN_PROXIES="1") as site:
                    take(chromium, site.origin, keep=example is FLASK)
                    take_of_operator(chromium, site, name, scheme)
    print(f"Look at them: {PICTURES}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
