"""Opening the phone's page sends no request.

Nor does a preview, a prefetch, a reload or going back.
"""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import MODULES, module
from tests.browser.approve_page import ApprovePage, approve_page
from tests.browser.approve_stub import CODE, ApproveStub
from tests.browser.login_stub import Fault

PREFETCH = f'<link rel="prefetch" href="/qr/{CODE}">'


async def elsewhere(phone: ApprovePage, stub: ApproveStub) -> None:
    await phone.page.goto(f"{stub.origin}/elsewhere")
    await phone.page.get_by_role("heading", name="Elsewhere").wait_for()


async def test_opening_reloading_and_going_back_send_no_request(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            for _ in range(2):
                await phone.page.goto(stub.url)
                await phone.until("found")
                await phone.page.reload()
                await phone.until("found")
            await elsewhere(phone, stub)
            await phone.page.go_back()
            await phone.until("found")
            await phone.ready()
            assert stub.calls == []


async def test_a_prefetch_sends_no_request(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub(head=PREFETCH) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            phone.forgives("prefetch")
            stub.policy += "; prefetch-src 'self'"
            await elsewhere(phone, stub)
            await phone.page.get_by_role("link", name="Back to the code").click()
            await phone.until("found")
            assert stub.calls == []


async def test_returning_to_the_page_starts_it_again(chromium: Browser, tmp_path: Path) -> None:
    """Here the page is loaded again. test_page_cache.py tests the back/forward cache."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await elsewhere(phone, stub)
            await phone.page.go_back()
            await phone.until("found")
            assert stub.kinds() == ["scan"]


async def test_an_answer_for_a_page_that_was_left_changes_nothing(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.faults["scan"].append(Fault.SILENT)
            await phone.page.goto(stub.url)
            await phone.press("View details")
            await phone.until("looking")
            await phone.eventually(stub.kinds)
            await phone.page.evaluate(
                "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
            )
            await phone.until("found")
            await phone.page.evaluate("document.querySelector('qr-approve').remove()")
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
async def test_the_scan_sends_only_the_address_of_the_code(
    chromium: Browser, tmp_path: Path, path: str, code: str, at: str
) -> None:
    with ApproveStub() as stub:
        stub.attributes = stub.attributes.replace('at="/qr"', f'at="{at}"')
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.origin + path)
            await phone.until("found" if code else "aim")
            if code:
                await phone.press("View details")
                await phone.until("ask")
                assert [call.body for call in stub.calls] == [{"code": stub.origin + code}]


async def test_the_application_can_set_the_code_that_its_scanner_read(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(f"{stub.origin}/qr")
            await phone.until("aim")
            await phone.element.evaluate("it => { it.code = ' what-it-read ' }")
            await phone.until("found")
            await phone.press("View details")
            await phone.until("ask")
            assert [call.body for call in stub.calls] == [{"code": "what-it-read"}]
            await phone.element.evaluate("it => { it.code = '' }")
            await phone.until("aim")


async def test_named_forms_and_inputs_do_not_break_the_element(
    chromium: Browser, tmp_path: Path
) -> None:
    names = [
        "createElementNS",
        "querySelector",
        "visibilityState",
        "prerendering",
        "baseURI",
        "activeElement",
        "location",
        "top",
    ]
    around = "".join(
        f'<form name="{name}" id="{name}"><input name="{name}" type="hidden"></form>'
        for name in names
    )
    with ApproveStub(children=around) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.url)
            await (
                phone.element.get_by_role("button", name="View details")
                .and_(phone.page.locator(":not([aria-disabled])"))
                .click()
            )
            await phone.page.locator("qr-approve[state=ask]").wait_for()


def test_no_module_writes_html() -> None:
    for name in MODULES:
        source = module(name).decode()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "new Function",
            "setHTML",
        ):
            assert way not in source
