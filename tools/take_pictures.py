"""Take the pictures of docs/pictures/ again: `python tools/take_pictures.py`, after a change of how
the elements look.

It starts the Flask example, and takes them in a real Chromium.
"""

import io
import sys
from pathlib import Path

import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.examples.running import FLASK, Running
from tests.servers import CHROMIUM_ARGUMENTS, chromium_binary

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
PROXIED = {"X-Forwarded-For": "203.0.113.7", "Accept-Language": "en"}


def shot(page: Page, name: str) -> Image.Image:
    page.wait_for_timeout(700)  # the page's transitions
    picture = Image.open(io.BytesIO(page.screenshot()))
    # Few colours: the file has a third of the size, and looks the same.
    picture.convert("RGB").quantize(128).save(PICTURES / f"{name}.png", optimize=True)
    return picture


def take(chromium: Browser, origin: str) -> None:
    computer = chromium.new_context(
        viewport={"width": 1120, "height": 760}, user_agent=WINDOWS, extra_http_headers=PROXIED
    ).new_page()
    phone = chromium.new_context(viewport={"width": 390, "height": 890}).new_page()
    phone.goto(f"{origin}/signup")
    phone.locator("input[name=name]").fill("alice")
    phone.locator("input[name=password]").fill("a password of the example")
    phone.locator("input[name=password]").press("Enter")
    phone.wait_for_url(f"{origin}/")
    computer.goto(f"{origin}/login")
    computer.locator("qr-login[state=pending]").wait_for()
    (code,) = zxingcpp.read_barcodes(shot(computer, "login"))
    phone.goto(code.text)
    phone.locator("qr-approve[state=ask]").wait_for()
    shot(phone, "approve")


def main() -> int:
    with Running(FLASK, QRLOGIN_PROXIES="1") as site, sync_playwright() as playwright:
        path = chromium_binary()
        with playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS) as chromium:
            take(chromium, site.origin)
    print(f"Look at them: {PICTURES}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
