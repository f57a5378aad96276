"""docs/approve.md: its page and its script run, and its tables are complete.

The tests take the page and the script from the document without a change.
"""

import re
from pathlib import Path

from playwright.async_api import Browser

from qrlogin.browser import module
from tests.browser.approve_page import ApprovePage, approve_page
from tests.browser.approve_stub import ApproveStub
from tests.browser.test_approve_states import STATES

PAGE = (Path(__file__).parent.parent.parent / "docs" / "approve.md").read_text(encoding="utf-8")
SOURCE = (module("qr-approve-element.js") + module("qr-approve-card.js")).decode()


def shown(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(block)


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_tables_of_the_docs_are_complete() -> None:
    assert sorted(set(re.findall(r"`(\w+)`", section("States")))) == sorted(
        {*STATES, "src", "outdated"}
    )
    named = re.findall(r"^const (?:TEXT_ATTRIBUTES|FLAGS) = \[([^]]+)\]", SOURCE, re.MULTILINE)
    attributes = {*re.findall(r'"([\w-]+)"', " ".join(named)), "state"}
    assert len(attributes) == 9
    assert set(re.findall(r"`([\w-]+)`(?:,| \|)", section("Attributes"))) >= attributes
    calls = re.findall(r"^  (\w+): \{", SOURCE.partition("const ANSWERS")[2], re.MULTILINE)[:6]
    assert {*calls} <= set(re.findall(r"`(\w+)`", section("What it sends")))
    parts = {
        part for parts in re.findall(r'make\("[\w]+", "([\w ]+)"', SOURCE) for part in parts.split()
    }
    parts |= set(re.findall(r'"button (\w+)"', SOURCE))
    for classes in re.findall(r'#form\("\w+", "\w+", "([\w ]+)"', SOURCE):
        parts |= set(classes.split())
    parts |= set(re.findall(r'untrusted\(\w+, "(\w+)"', SOURCE))
    listed = section("Words and looks").partition("`::part()`: `")[2].partition("`")[0].split()
    assert set(listed) == parts


async def test_the_page_of_the_docs_works(chromium: Browser, tmp_path: Path) -> None:
    attributes = re.search(r"<qr-approve ([^>]*)>", shown("html"))
    assert attributes
    with ApproveStub(attributes=attributes[1]) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.press("No, not me")
            await phone.until("denied")


async def test_the_script_of_the_docs_sends_its_token(chromium: Browser, tmp_path: Path) -> None:
    class Mine(ApprovePage):
        tag = "my-approve"

    with ApproveStub(module=shown("js"), tag="my-approve") as stub:
        context = await chromium.new_context()
        phone = await Mine.in_context(context, tmp_path)
        assert isinstance(phone, Mine)
        await phone.page.add_init_script("sessionStorage.setItem('token', 'bearer-of-mina')")
        await phone.page.goto(f"{stub.origin}/qr")
        await phone.until("aim")
        await phone.page.evaluate(
            "document.dispatchEvent(new CustomEvent('scanned', {detail: 'read by a scanner'}))"
        )
        await phone.until("ask")
        assert [call.body for call in stub.calls] == [{"code": "read by a scanner"}]
        assert stub.calls[0].headers["authorization"] == "Bearer bearer-of-mina"
        await context.close()
        assert phone.problems == []
