"""Codes to type: the browser shows them, and the user types them on the phone."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin import MemoryStore, QRLogin
from qrlogin.demo.site import Site
from qrlogin.errors import Misconfigured
from qrlogin.keys import new_key
from qrlogin.policy import STANDARD
from qrlogin.wire import Endpoint, Native, Request
from tests.browser.login_page import PATIENCE_S, LoginPage
from tests.demo.phone_page import PhonePage
from tests.demo.running import ORIGIN, RunningDemo, bearer, json_of, send
from tests.security_rows import row

CODE = re.compile(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}")
UNKNOWN_CODE = "BCDF-GHJK"
TARGET = 44  # CSS pixels: WCAG 2.2, 2.5.5


# The server


def begin(*, user_codes: bool, policy: bool) -> dict[str, object]:
    qr = QRLogin(
        MemoryStore(),
        secret_keys=[new_key()],
        verification_uri=f"{ORIGIN}/qr",
        policy=replace(STANDARD, user_codes=policy),
    )
    endpoint = Endpoint(qr, Native(qr.core, user_codes=user_codes), max_waiting=1)
    headers = (("content-type", "application/json"),)
    return json_of(endpoint.browser(Request("POST", "begin", headers=headers, body=b"{}")))


def test_a_login_has_a_user_code_only_if_the_application_asks_for_one() -> None:
    begun = begin(user_codes=True, policy=True)
    assert CODE.fullmatch(str(begun["user_code"]))
    assert set(begun) - set(begin(user_codes=False, policy=True)) == {"user_code"}
    assert set(begin(user_codes=False, policy=False)) == set(begin(user_codes=False, policy=True))


def test_user_codes_need_a_policy_that_allows_them() -> None:
    with pytest.raises(Misconfigured, match="user_codes are off in the policy"):
        begin(user_codes=True, policy=False)


def test_a_status_does_not_contain_the_user_code(site: Site) -> None:
    begun = send(site, "POST", "/qrlogin/begin", {"deliver": "body"})
    device = {"authorization": f"Bearer {json_of(begun)['device_code']}"}
    assert "user_code" not in json_of(
        send(site, "GET", f"/qrlogin/{json_of(begun)['login_id']}", **device)
    )


def test_wrong_guesses_are_limited_and_right_ones_are_not_counted(site: Site) -> None:
    right = json_of(send(site, "POST", "/qrlogin/begin", {}))["user_code"]
    alice, bob = bearer(site, "alice"), bearer(site, "bob")

    def scan(code: str, phone: dict[str, str]) -> int:
        return send(site, "POST", "/qrlogin/phone/scan", {"code": code}, **phone).status

    assert [scan(right, alice) for _ in range(STANDARD.guesses + 1)] == [200] * (
        STANDARD.guesses + 1
    )
    assert [scan(UNKNOWN_CODE, alice) for _ in range(STANDARD.guesses + 1)] == [
        404
    ] * STANDARD.guesses + [429]
    assert scan(right, alice) == 429
    assert scan(right, bob) == 409, "guesses are counted for each account"


# The pages, in a real Chromium


@asynccontextmanager
async def login_page_and_phone(
    chromium: Browser, demo: RunningDemo, shots: Path, *, width: int = 390, scheme: str = "light"
) -> AsyncIterator[tuple[LoginPage, PhonePage]]:
    """A browser with the login page open, and a phone with a real keyboard."""
    desk = await chromium.new_context(
        viewport={"width": 1000, "height": 760},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    login_page = await LoginPage.in_context(desk, shots)
    phone = await PhonePage.in_context(
        await chromium.new_context(viewport={"width": width, "height": 720}, color_scheme=scheme),  # type: ignore[arg-type]
        shots,
    )
    await login_page.page.goto(demo.origin)
    await login_page.until("pending")
    yield login_page, phone
    await login_page.context.close()
    await phone.close()
    assert login_page.problems == []


async def shown_code(login_page: LoginPage) -> str:
    return await login_page.element.locator(".code").inner_text()


async def type_code(phone: PhonePage, code: str) -> None:
    await phone.page.get_by_label("Code", exact=True).fill(code)
    await phone.ready()
    await phone.page.keyboard.press("Enter")


@pytest.mark.parametrize(
    ("width", "scheme"), [(320, "light"), pytest.param(390, "dark", marks=pytest.mark.matrix)]
)
async def test_a_code_shown_in_the_browser_can_be_typed_on_the_phone(
    chromium: Browser, demo: RunningDemo, tmp_path: Path, width: int, scheme: str
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path, width=width, scheme=scheme) as (
        login_page,
        phone,
    ):
        code = await shown_code(login_page)
        assert CODE.fullmatch(code)
        assert await login_page.axe() == []
        await login_page.shot("browser-with-a-code")

        await phone.open(f"{demo.origin}/qr")
        await phone.view("who", "Whose phone is this?")
        await phone.press("Alice\u2019s phone")
        await phone.view("typing", "Enter the code")
        await type_code(phone, UNKNOWN_CODE)
        await phone.page.get_by_text("No pending login has this code.").wait_for(
            timeout=PATIENCE_S * 1000
        )
        await phone.view("typing", "Enter the code")
        field = phone.page.get_by_label("Code", exact=True)
        assert await field.get_attribute("aria-invalid") == "true"
        assert await field.evaluate(
            "it => it === it.getRootNode().activeElement && it.selectionEnd === it.value.length"
        )
        assert await login_page.state() == "pending"

        await phone.ready()
        await phone.page.keyboard.type(code.replace("-", " ").lower())  # replaces the selection
        await phone.page.keyboard.press("Enter")
        await phone.view("ask", "Log the other device in as Alice?")
        text = await phone.text()
        for fact in (
            code,
            "Chrome",
            "Linux",
            "your other device shows exactly this code",
            "they would be logged in as you",
        ):
            assert fact.lower() in text.lower()
        assert "the code is on the screen in front of you" not in text
        assert await phone.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        await phone.press("Yes, log in")
        await phone.view("approved", "Approved")
        await login_page.until("confirmed")
        assert not await login_page.element.locator(".code").is_visible()


@row(510)
async def test_every_target_is_large_enough_for_a_thumb(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path, width=320) as (login_page, phone):
        await phone.open(f"{demo.origin}/qr?user_code={await shown_code(login_page)}")
        await phone.press("Alice\u2019s phone")
        await phone.view("found", "Login request")
        await phone.press("View details")
        await phone.view("ask", "Log the other device in as Alice?")
        for address in (phone.page.url, f"{demo.origin}/qr", f"{demo.origin}/phone"):
            await phone.open(address)
            await phone.page.locator("h1:visible").wait_for()
            for target in await phone.page.locator(
                "button:visible, a:visible, input:visible"
            ).all():
                box = await target.bounding_box()
                assert box
                assert min(box["width"], box["height"]) >= TARGET, await target.inner_text()


@row(517)
async def test_a_screen_reader_spells_the_code(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """A person reads it where it is in the card. It is not announced: a new code would interrupt
    the person each time."""
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, _):
        code = await shown_code(login_page)
        read = await login_page.element.get_by_role("group").aria_snapshot()
        spelled = ", ".join(" ".join(half) for half in code.split("-"))
        assert f"Or enter {spelled} at {demo.origin}/qr" in read
        assert code not in read
        announced = await login_page.element.get_by_role("status").first.aria_snapshot()
        assert spelled not in announced


@row(214, 513)
async def test_an_address_with_the_code_asks_to_compare_it(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    """RFC 8628 sections 3.3.1 and 5.4: a code from a link is shown, and nothing else happens."""
    async with login_page_and_phone(chromium, demo, tmp_path) as (login_page, phone):
        code = await shown_code(login_page)
        for address in (f"qr?user_code={code}", f"qr/{code}", f"qr/-{code.lower()}--"):
            await phone.open(f"{demo.origin}/{address}")
            if await phone.page.locator("#no-account").is_visible():
                await phone.press("Bob\u2019s phone")
            await phone.page.get_by_text(
                "Does your other device show exactly this code?"
            ).wait_for()
            assert code in await phone.text()
            assert await login_page.state() == "pending"
        await phone.open(f"{demo.origin}/qr?user_code={code}")
        await phone.view("found", "Login request")
        assert f"phone --server {demo.origin} --as bob approve {code}" in (
            await phone.page.locator(".command").text_content() or ""
        )
        await phone.press("View details")
        await phone.view("ask", "Log the other device in as Bob?")
        assert code in await phone.text()
        await phone.press("No, not me")
        await phone.view("denied", "Login declined")
        await login_page.until("denied")


async def test_a_code_from_an_address_is_shown_as_text(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (_, phone):
        await phone.open(f"{demo.origin}/qr?user_code=%3Cimg%20src=x%3E;%20rm")
        await phone.press("Alice\u2019s phone")
        await phone.view("found", "Login request")
        assert await phone.element.locator(".code").text_content() == "<img src=x>; rm"
        assert not await phone.page.locator("details").is_visible(), (
            "users paste the command into a shell"
        )
        await phone.press("View details")
        await phone.view("gone", "Code not found")


async def test_a_scanned_code_is_not_asked_to_be_compared(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    async with login_page_and_phone(chromium, demo, tmp_path) as (_, phone):
        for tail in ("ab" * 16, "ypl2BF7kR0e3CZ8XGYY0Vg==", "AAAAAAAAAAAAAAAAAAAAAA.1.x"):
            await phone.open(f"{demo.origin}/qr/{tail}")
            if await phone.page.locator("#no-account").is_visible():
                await phone.press("Alice\u2019s phone")
            await phone.view("gone", "Code not found")
            assert await phone.element.locator(".code").count() == 0


async def test_too_many_wrong_codes_stop_the_phone_from_typing(
    chromium: Browser, tmp_path: Path
) -> None:
    with RunningDemo() as demo:
        async with login_page_and_phone(chromium, demo, tmp_path, width=320) as (login_page, phone):
            await phone.page.clock.install()
            await phone.open(f"{demo.origin}/qr")
            await phone.press("Bob\u2019s phone")
            for _ in range(STANDARD.guesses):
                await type_code(phone, UNKNOWN_CODE)
                await phone.page.get_by_text("No pending login has this code.").wait_for(
                    timeout=PATIENCE_S * 1000
                )
                await phone.element.locator(".note").evaluate("it => it.textContent = ''")
            await type_code(phone, await shown_code(login_page))
            await phone.view("guesses", "Too many wrong codes")
            assert "Wait 10 minutes before you enter another one" in await phone.text()
            assert await login_page.state() == "pending"
            await phone.page.clock.run_for(600)  # links react after half a second
            await phone.page.get_by_role("link", name="Scan another code").click()
            await phone.view("aim", "Scan a code")
            await phone.page.get_by_role("link", name="Enter a code").click()
            await phone.view("typing", "Enter the code")
