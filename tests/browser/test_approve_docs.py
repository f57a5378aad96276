"""What docs/approve.md says of <qr-approve>: its page and its script run as they stand, its tables leave nothing out."""

import re
from pathlib import Path

from playwright.async_api import Browser

from qrlogin.browser import module
from tests.browser.approve_stub import ApproveStub
from tests.browser.test_approve_states import STATES
from tests.browser.thumb import Thumb, thumb

PAGE = (Path(__file__).parent.parent.parent / "docs" / "approve.md").read_text(encoding="utf-8")
SOURCE = module("qr-approve-element.js").decode()


def shown(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(block)


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_tables_are_complete() -> None:
    assert sorted(set(re.findall(r"`(\w+)`", section("States")))) == sorted(set(STATES) | {"src"})
    read = {*re.findall(r'[gs]etAttribute\("([\w-]+)"|hasAttribute\("([\w-]+)"', SOURCE + module("qr-login-parts.js").decode())}
    attributes = {name for pair in read for name in pair if name} & {
        *("src", "at", "account", "site", "home", "typed", "csrf-header", "csrf-token", "state")
    }
    assert len(attributes) == 9
    assert all(f"`{name}`" in section("Attributes") for name in attributes)
    parts = {part for parts in re.findall(r'make\("[\w]+", "([\w ]+)"', SOURCE) for part in parts.split()}
    parts |= set(re.findall(r'"button (\w+)"', SOURCE))
    parts |= set(re.findall(r'untrusted\(\w+, "(\w+)"', SOURCE))
    listed = section("Words and looks").partition("`::part()`: `")[2].partition("`")[0].split()
    assert set(listed) == parts


async def test_the_page_of_the_docs(chromium: Browser, tmp_path: Path) -> None:
    attributes = re.search(r"<qr-approve ([^>]*)>", shown("html"))
    assert attributes
    with ApproveStub(attributes=attributes[1]) as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.ask(stub.url)
            await hand.press("No, not me")
            await hand.until("denied")


async def test_the_script_of_the_docs(chromium: Browser, tmp_path: Path) -> None:
    class Mine(Thumb):
        tag = "my-approve"

    with ApproveStub(module=shown("js"), tag="my-approve") as stub:
        context = await chromium.new_context()
        hand = await Mine.sit_down(context, tmp_path)
        assert isinstance(hand, Mine)
        await hand.page.add_init_script("sessionStorage.setItem('token', 'bearer-of-mina')")
        await hand.page.goto(f"{stub.origin}/qr")
        await hand.until("aim")
        await hand.page.evaluate("document.dispatchEvent(new CustomEvent('scanned', {detail: 'read by a scanner'}))")
        await hand.press("View details")
        await hand.until("ask")
        assert [call.body for call in stub.calls] == [{"code": "read by a scanner"}]
        assert stub.calls[0].headers["authorization"] == "Bearer bearer-of-mina"
        await context.close()
        assert hand.problems == []
