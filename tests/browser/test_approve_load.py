"""Opening the phone's page shows the question, and changes nothing.

Nor does a preview, a prefetch, a reload or going back.
"""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import MODULES, module
from tests.browser.approve_page import ApprovePage, approve_page
from tests.browser.approve_stub import CODE, ApproveStub
from tests.browser.login_page import TURN
from tests.browser.login_stub import Fault, problem
from tests.security_rows import row

LATER = "const at = performance.now() + 3600_000; performance.now = () => at"
PREFETCH = f'<link rel="prefetch" href="/qr/{CODE}">'


async def elsewhere(phone: ApprovePage, stub: ApproveStub) -> None:
    await phone.page.goto(f"{stub.origin}/elsewhere")
    await phone.page.get_by_role("heading", name="Elsewhere").wait_for()


@row(317)
async def test_opening_reloading_and_going_back_only_look(
    chromium: Browser, tmp_path: Path
) -> None:
    """The page looks once each time it comes into sight. A look changes nothing."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.page.reload()
            await phone.until("ask")
            await elsewhere(phone, stub)
            await phone.page.go_back()
            await phone.until("ask")
            await phone.ready()
            assert stub.kinds() == ["look", "look", "look"]
            assert {call.body["code"] for call in stub.calls} == {stub.url}


async def test_a_prefetch_sends_no_request(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub(head=PREFETCH) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            phone.forgives("prefetch")
            stub.policy += "; prefetch-src 'self'"
            await elsewhere(phone, stub)
            await phone.eventually(lambda: f"/qr/{CODE}" in dict(stub.pages), what="the prefetch")
            assert stub.calls == []
            await phone.page.get_by_role("link", name="Back to the code").click()
            await phone.until("ask")


async def test_a_page_that_is_out_of_sight_waits_with_its_look(
    chromium: Browser, tmp_path: Path
) -> None:
    """For example in a tab in the background. test_prerender.py shows a prerendered page."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.add_init_script(f"const state = 'hidden'; {TURN}")
            await phone.page.goto(stub.url)
            await phone.until("looking")
            await phone.page.wait_for_timeout(300)
            assert stub.calls == []
            await phone.turn("visible")
            await phone.until("ask")
            assert stub.kinds() == ["look"]


async def test_a_page_that_comes_back_into_sight_looks_again(
    chromium: Browser, tmp_path: Path
) -> None:
    """The question stays as it is while it is the same; otherwise the page shows what is so."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            keep = "it => { window.kept = it.shadowRoot.querySelector('dl') }"
            await phone.element.evaluate(keep)
            for looks, state, view in (
                (2, "pending", "ask"),
                (3, "scanned", "ask"),
                (4, "cancelled", "cancelled"),
            ):
                stub.state = state
                await phone.turn("hidden")
                await phone.turn("visible")
                await phone.eventually(lambda: len(stub.calls), lambda seen: seen >= looks)  # noqa: B023
                await phone.until(view)
                same = "it => it.shadowRoot.querySelector('dl') === window.kept"
                assert await phone.element.evaluate(same) == (looks == 2) or view != "ask"
            assert set(stub.kinds()) == {"look"}


async def test_a_look_that_fails_does_not_close_an_open_question(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            stub.faults["look"].append(Fault.DROPPED)
            await phone.turn("hidden")
            await phone.turn("visible")
            await phone.eventually(lambda: len(stub.calls) == 2)
            await phone.press("Yes, log in")
            await phone.until("approved")


async def test_a_person_who_logs_in_elsewhere_and_comes_back_sees_the_question(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.always["look"] = problem(401, "unauthenticated")
            await phone.page.goto(stub.url)
            await phone.until("signin")
            assert await phone.page.get_by_role("link", name="Sign in here").is_visible()
            await phone.turn("hidden")
            stub.always.clear()
            await phone.turn("visible")
            await phone.until("ask")
            assert not await phone.page.get_by_role("link", name="Sign in here").is_visible()


async def test_a_question_whose_time_is_over_closes_when_it_comes_back_into_sight(
    chromium: Browser, tmp_path: Path
) -> None:
    """Timers are late in the background, so the page does not wait for them."""
    with ApproveStub(lifetime=30) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.turn("hidden")
            await phone.page.evaluate(LATER)
            assert await phone.state() == "ask"
            await phone.turn("visible")
            assert await phone.state() == "expired"
            assert stub.kinds() == ["look"]


async def test_an_answer_for_a_page_that_was_left_changes_nothing(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.faults["look"].append(Fault.SILENT)
            await phone.page.goto(stub.url)
            await phone.until("looking")
            await phone.eventually(stub.kinds)
            await phone.page.evaluate(
                "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
            )
            await phone.until("ask")
            await phone.page.evaluate("document.querySelector('qr-approve').remove()")
            assert stub.kinds() == ["look", "look"]


#: Addresses of the page, and the code that the page finds in each.
CODES = {
    f"/qr/{CODE}": f"/qr/{CODE}",
    f"/qr/{CODE}?utm=x#y": f"/qr/{CODE}",
    f"/qr/{CODE}/": f"/qr/{CODE}",
    f"/qr/{CODE}/?utm=x": f"/qr/{CODE}",
    "/qr?user_code=WDJB-MJHT&utm=x#y": "/qr?user_code=WDJB-MJHT&utm=x",
    "/qr/?user_code=WDJB-MJHT": "/qr/?user_code=WDJB-MJHT",
    "/qr": "",
    "/qr/": "",
    "/qr?utm=x": "",
    "/qr?user_code=": "",
}


@pytest.mark.parametrize("at", ["/qr", "/qr/"])
async def test_the_look_sends_only_the_address_of_the_code(
    chromium: Browser, tmp_path: Path, at: str
) -> None:
    with ApproveStub() as stub:
        stub.attributes = stub.attributes.replace('at="/qr"', f'at="{at}"')
        async with approve_page(chromium, tmp_path) as phone:
            for path, code in list(CODES.items())[:: 1 if at == "/qr" else 4]:
                stub.calls.clear()
                await phone.page.goto("about:blank")  # an address with another # is no new page
                if "user_code=W" in path:
                    await phone.ask_typed(stub.origin + path)
                else:
                    await phone.page.goto(stub.origin + path)
                    await phone.until("ask" if code else "aim")
                sent = [call.body["code"] for call in stub.calls]
                assert sent == ([stub.origin + code] if code else []), path


async def test_the_application_can_set_the_code_that_its_scanner_read(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(f"{stub.origin}/qr")
            await phone.until("aim")
            await phone.element.evaluate("it => { it.code = ' what-the-scanner-read ' }")
            await phone.until("ask")
            assert [call.body for call in stub.calls] == [{"code": "what-the-scanner-read"}]
            await phone.element.evaluate("it => { it.code = '' }")
            await phone.until("aim")


@row(43)
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
        "defaultView",
        "documentElement",
    ]
    around = "".join(
        f'<form name="{name}" id="{name}"><input name="{name}" type="hidden"></form>'
        for name in names
    )
    with ApproveStub(children=around) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.url)
            await phone.page.locator("qr-approve[state=ask]").wait_for()
            await (
                phone.element.get_by_role("button", name="Yes, log in")
                .and_(phone.page.locator(":not([aria-disabled])"))
                .click()
            )
            await phone.page.locator("qr-approve[state=approved]").wait_for()


@row(41, 406)
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
