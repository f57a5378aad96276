"""Opening an address is no decision: previews, prefetches, reloads and ways back ask the server nothing."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import module
from tests.browser.approve_stub import CODE, ApproveStub
from tests.browser.stub import Fault
from tests.browser.thumb import Thumb, thumb

PREFETCH = f'<link rel="prefetch" href="/qr/{CODE}">'


async def elsewhere(hand: Thumb, stub: ApproveStub) -> None:
    await hand.page.goto(f"{stub.origin}/elsewhere")
    await hand.page.get_by_role("heading", name="Elsewhere").wait_for()


async def test_opening_and_going_back_asks_nothing(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            for _ in range(2):
                await hand.page.goto(stub.url)
                await hand.until("found")
                await hand.page.reload()
                await hand.until("found")
            await elsewhere(hand, stub)
            await hand.page.go_back()
            await hand.until("found")
            await hand.ready()
            assert stub.calls == []


async def test_a_prefetch_asks_nothing(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub(head=PREFETCH) as stub:
        async with thumb(chromium, tmp_path) as hand:
            hand.forgives("prefetch")
            stub.policy += "; prefetch-src 'self'"
            await elsewhere(hand, stub)
            await hand.page.get_by_role("link", name="Back to the code").click()
            await hand.until("found")
            assert stub.calls == []


async def test_who_comes_back_begins_afresh(chromium: Browser, tmp_path: Path) -> None:
    """The page is loaded again here; what the back/forward cache does is in test_page_cache.py."""
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.ask(stub.url)
            await elsewhere(hand, stub)
            await hand.page.go_back()
            await hand.until("found")
            assert stub.kinds() == ["scan"]


async def test_an_answer_for_a_page_that_was_left_changes_nothing(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            stub.faults["scan"].append(Fault.SILENT)
            await hand.page.goto(stub.url)
            await hand.press("View details")
            await hand.until("looking")
            await hand.eventually(stub.kinds)
            await hand.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
            await hand.until("found")
            await hand.page.evaluate("document.querySelector('qr-approve').remove()")
            assert stub.kinds() == ["scan"]


@pytest.mark.parametrize("at", ["/qr", "/qr/"])
@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/qr/{CODE}", f"/qr/{CODE}"),
        (f"/qr/{CODE}?utm=x#y", f"/qr/{CODE}"),
        (f"/qr/{CODE}/", f"/qr/{CODE}"),
        (f"/qr/{CODE}/?utm=x", f"/qr/{CODE}"),
        ("/qr?user_code=WDJB-MJHT&utm=x#y", "/qr?user_code=WDJB-MJHT&utm=x"),
        ("/qr/?user_code=WDJB-MJHT", "/qr/?user_code=WDJB-MJHT"),
        ("/qr", ""),
        ("/qr/", ""),
        ("/qr?utm=x", ""),
        ("/qr?user_code=", ""),
    ],
)
async def test_what_is_sent_is_the_address_and_nothing_that_hangs_on_it(
    chromium: Browser, tmp_path: Path, path: str, code: str, at: str
) -> None:
    with ApproveStub() as stub:
        stub.attributes = stub.attributes.replace('at="/qr"', f'at="{at}"')
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.goto(stub.origin + path)
            await hand.until("found" if code else "aim")
            if code:
                await hand.press("View details")
                await hand.until("ask")
                assert [call.body for call in stub.calls] == [{"code": stub.origin + code}]


async def test_a_scanner_of_the_application_hands_over_what_it_read(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.goto(f"{stub.origin}/qr")
            await hand.until("aim")
            await hand.element.evaluate("it => { it.code = ' what-it-read ' }")
            await hand.until("found")
            await hand.press("View details")
            await hand.until("ask")
            assert [call.body for call in stub.calls] == [{"code": "what-it-read"}]
            await hand.element.evaluate("it => { it.code = '' }")
            await hand.until("aim")


async def test_named_forms_and_inputs_shadow_nothing(chromium: Browser, tmp_path: Path) -> None:
    names = ["createElementNS", "querySelector", "visibilityState", "prerendering", "baseURI", "activeElement", "location", "top"]
    around = "".join(f'<form name="{name}" id="{name}"><input name="{name}" type="hidden"></form>' for name in names)
    with ApproveStub(children=around) as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.goto(stub.url)
            await hand.element.get_by_role("button", name="View details").and_(hand.page.locator(":not([aria-disabled])")).click()
            await hand.page.locator("qr-approve[state=ask]").wait_for()


def test_nothing_is_ever_written_as_html() -> None:
    for name in ("qr-approve-element.js", "qr-login-parts.js", "qr-login-texts.js"):
        source = module(name).decode()
        for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function", "setHTML"):
            assert way not in source
