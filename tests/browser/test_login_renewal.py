"""A login page in sight replaces its code by itself, and a phone that read the old one gets in."""

import asyncio

import pytest

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub, problem
from tests.security_rows import row

RENEWALS = 3
NEW_CODE = "Show a new code"
HEARD = """window.heard = [];
addEventListener("qr-login:state", event => heard.push(event.detail.state))"""


#: Collects what a screen reader reads aloud: changes inside a live region that is not off.
ANNOUNCED = """it => { window.announced = [];
  new MutationObserver(changes => { for (const { target } of changes) {
    const region = (target.closest ? target : target.parentElement).closest("[role=status]");
    if (region && region.getAttribute("aria-live") !== "off")
      announced.push(region.textContent) } })
    .observe(it.shadowRoot, {childList: true, characterData: true, subtree: true}) }"""


async def open_page(login_page: LoginPage, stub: Stub, *, shown: float) -> None:
    """Opens a page of a server that shows each code for so many seconds, and takes scans later."""
    stub.shown, stub.lifetime = shown, 60
    await login_page.page.add_init_script(HEARD)
    await login_page.page.goto(stub.url)
    await login_page.until("pending")


@row(505)
async def test_a_page_in_sight_renews_its_code_three_times_and_then_asks_for_a_press(
    login_page: LoginPage, stub: Stub
) -> None:
    await open_page(login_page, stub, shown=1)
    await login_page.ends("expired", NEW_CODE)
    assert stub.count("begin") == 1 + RENEWALS
    heard = await login_page.page.evaluate("() => heard")
    assert heard == ["starting", "pending", "expired"], "no other view appears in between"
    await asyncio.sleep(1.2)
    assert stub.count("begin") == 1 + RENEWALS
    await login_page.press(NEW_CODE)
    await login_page.until("pending")
    await login_page.eventually(lambda: stub.count("begin") == 3 + RENEWALS, what="a new start")


async def test_a_code_that_changes_is_not_announced(login_page: LoginPage, stub: Stub) -> None:
    """Only what a person must know is read aloud: here, that the code has expired in the end."""
    stub.extra = {"user_code": "WDJB-MJHT"}
    await open_page(login_page, stub, shown=0.8)
    await login_page.element.evaluate(ANNOUNCED)
    for letters in ("BCDF-GHJK", "LMNP-QRST"):
        stub.extra = {"user_code": letters}
        await login_page.element.get_by_text(letters, exact=True).wait_for()
    assert await login_page.page.evaluate("() => announced") == []
    await login_page.until("expired")
    (heard,) = {*await login_page.page.evaluate("() => announced")} - {""}
    assert heard.startswith("This code has expired")


@pytest.mark.parametrize(
    "asked", [False, pytest.param(True, marks=pytest.mark.matrix)], ids=["renewed", "asked"]
)
async def test_a_phone_that_read_the_old_code_gets_in(
    login_page: LoginPage, stub: Stub, asked: bool
) -> None:
    """The page switches to the old login and cancels the new one."""
    await open_page(login_page, stub, shown=1)
    if asked:
        await login_page.until("expired")
    else:
        await login_page.eventually(lambda: len(stub.logins) == 2)
        stub.shown = 60
    first, *later = stub.logins.values()
    stub.move("scanned", login=first)
    await login_page.until("scanned")
    assert "Scanned by M•••a" in await login_page.text()
    assert "Expires within a minute" in await login_page.text(), "a time to decide"
    await login_page.eventually(
        lambda: [each.state for each in later], lambda all_: "pending" not in all_
    )
    assert {each.state for each in later} == {"cancelled"}
    stub.move("confirmed", login=first)
    await login_page.press("Continue")
    await login_page.logged_in()
    assert first.state == "redeemed"


async def test_a_denial_of_the_old_code_is_shown(login_page: LoginPage, stub: Stub) -> None:
    await open_page(login_page, stub, shown=1)
    await login_page.eventually(lambda: len(stub.logins) == 2)
    stub.shown = 60
    first, second = stub.logins.values()
    stub.move("denied", login=first)
    await login_page.ends("denied", NEW_CODE)
    await login_page.eventually(lambda: second.state == "cancelled")


async def test_a_scan_of_the_new_code_ends_the_old_login(login_page: LoginPage, stub: Stub) -> None:
    await open_page(login_page, stub, shown=1)
    await login_page.eventually(lambda: len(stub.logins) == 2)
    stub.shown = 60
    first, second = stub.logins.values()
    stub.move("scanned", login=second)
    await login_page.until("scanned")
    await login_page.eventually(lambda: first.state == "cancelled")


async def test_a_hidden_page_renews_when_it_is_seen_again(
    login_page: LoginPage, stub: Stub
) -> None:
    """The phone that read the code while the page was hidden gets in, without a new login."""
    await open_page(login_page, stub, shown=1)
    await login_page.turn("hidden")
    await asyncio.sleep(1.3)
    assert stub.count("begin") == 1
    stub.move("scanned")
    await login_page.turn("visible")
    await login_page.until("scanned")
    assert stub.count("begin") == 1
    stub.shown = 60
    stub.move("pending")
    await login_page.until("pending")
    stub.shown = 0.1
    await login_page.turn("hidden")
    await login_page.turn("visible")
    await login_page.eventually(lambda: len(stub.logins) == 2)


async def test_a_code_that_expired_while_the_page_was_hidden_is_renewed(
    login_page: LoginPage, stub: Stub
) -> None:
    await open_page(login_page, stub, shown=60)
    # Else the poll that the page gives up when it is hidden could get the answer below.
    await login_page.eventually(lambda: stub.count("status") >= 1)
    await login_page.turn("hidden")
    stub.faults["status"].append(problem(410, "expired"))
    await login_page.turn("visible")
    await login_page.eventually(lambda: len(stub.logins) == 2)
    stub.move("scanned")
    await login_page.until("scanned")


async def test_the_countdown_ends_when_the_code_leaves_the_screen(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.lifetime = 180
    stub.shown = 20
    await login_page.opens(stub.url)
    assert "Expires within 30 seconds" in await login_page.text()
    left = (
        "it => Number(it.shadowRoot.querySelector('.remaining').style.getPropertyValue('--left'))"
    )
    assert await login_page.element.evaluate(left) > 0.9
    await login_page.page.clock.run_for(10_000)
    assert 0.3 < await login_page.element.evaluate(left) < 0.6
