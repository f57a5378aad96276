"""The Flask example's passkeys in a real Chromium, with Chromium's virtual authenticator."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from playwright.async_api import Browser, CDPSession

from tests.browser.login_page import PATIENCE_S
from tests.examples.profiles import Profile, at_desk, in_hand
from tests.examples.running import FLASK, Running
from tests.examples.test_looks import SCREENS, fits
from tests.security_rows import row

pytestmark = pytest.mark.long

#: The phisher's site. No request leaves this machine: the test answers them.
EVIL = "https://localhost.evil.example/"
ANSWER = """async (options) => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  try { return (await navigator.credentials.get({ publicKey })).toJSON(); }
  catch (error) { return error.name; } }"""


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[str], Running]]:
    """Starts the example in these modes. A passkey belongs to a name, so it is on localhost."""
    running: dict[str, Running] = {}

    def serve(modes: str) -> Running:
        if modes not in running:
            running[modes] = Running(FLASK, host="localhost", QRLOGIN_PASSKEYS=modes)
        return running[modes]

    yield serve
    for each in running.values():
        each.close()


class Authenticator:
    """The passkeys of one page: Chromium's virtual authenticator, which a person unlocks."""

    def __init__(self, cdp: CDPSession, number: str) -> None:
        self.cdp, self.number = cdp, number

    @classmethod
    async def of(cls, profile: Profile) -> Self:
        cdp = await profile.context.new_cdp_session(profile.page)
        await cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = await cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return cls(cdp, made["authenticatorId"])

    async def is_unlocked(self, yes: bool) -> None:
        """Whether the person unlocks it: recognised by a finger, for example."""
        of = {"authenticatorId": self.number, "isUserVerified": yes}
        await self.cdp.send("WebAuthn.setUserVerified", of)

    async def passkeys(self) -> list[dict[str, Any]]:
        of = {"authenticatorId": self.number}
        found: list[dict[str, Any]] = (await self.cdp.send("WebAuthn.getCredentials", of))[
            "credentials"
        ]
        return found

    async def add(self, passkeys: list[dict[str, Any]]) -> None:
        """Passkeys that another device of the same person shares."""
        for each in passkeys:
            of = {"authenticatorId": self.number, "credential": each}
            await self.cdp.send("WebAuthn.addCredential", of)


async def create_passkey(profile: Profile) -> None:
    await profile.page.locator("a[href='/passkeys']").click()
    create = profile.page.get_by_role("button", name="Create a passkey on this device")
    await create.wait_for(timeout=PATIENCE_S * 1000)
    listed = profile.page.get_by_role("button", name="Remove")
    known = await listed.count()
    await create.press("Enter")
    await listed.nth(known).wait_for(timeout=PATIENCE_S * 1000)
    assert await profile.desk.axe() == []
    await profile.desk.shot("passkeys")
    await profile.page.get_by_role("link", name="Home").click()


@pytest.mark.matrix
@row(141)
async def test_a_passkey_approves_on_the_phone_and_later_logs_the_computer_in_without_a_code(
    chromium: Browser, serve: Callable[[str], Running], tmp_path: Path
) -> None:
    site, name = serve("create,approve"), f"alice-{secrets.token_hex(4)}"
    phone = await in_hand(chromium, site.origin, tmp_path, name)
    desk = await at_desk(chromium, site.origin, tmp_path)
    phone.desk.forgives("<qr-approve>")  # it logs that it refused to confirm
    of_phone, of_desk = await Authenticator.of(phone), await Authenticator.of(desk)

    await phone.scan(desk.desk)
    question = phone.page.url
    await phone.press(1)
    await phone.until("stepup")
    link = phone.page.get_by_role("link", name="Go to this step")
    assert await link.get_attribute("href") == f"{site.origin}/passkeys"
    assert await phone.desk.axe() == []
    await phone.desk.shot("approve-without-passkey")
    await phone.open("/")
    await create_passkey(phone)
    assert len(await of_phone.passkeys()) == 1

    await phone.open(question)
    await phone.until("ask")
    await of_phone.is_unlocked(False)
    await phone.press(1)
    await phone.until("blocked")
    assert "Nothing was approved." in await phone.page.locator("qr-approve").evaluate(
        "it => it.shadowRoot.firstElementChild.innerText"
    )
    assert await phone.desk.axe() == []
    await phone.desk.shot("approve-refused")
    assert await desk.desk.state() == "scanned", "no passkey, no approval"
    await of_phone.is_unlocked(True)
    await phone.press(0)  # view the details again
    await phone.until("ask")
    await phone.approve()
    await desk.answer(1)
    await desk.logged_in_as(name)

    await create_passkey(desk)
    await desk.log_out()
    await desk.desk.until("pending")
    assert await desk.desk.axe() == []
    await desk.desk.shot("login-with-passkey")
    button = desk.page.get_by_role("button", name="Log in with a passkey")
    await of_desk.is_unlocked(False)
    await button.click()
    await desk.page.get_by_text("Nothing has changed").wait_for(timeout=PATIENCE_S * 1000)
    assert await desk.desk.axe() == []
    await desk.desk.shot("login-refused")
    await of_desk.is_unlocked(True)
    await button.press("Space")
    await desk.logged_in_as(name)
    assert await desk.page.get_by_text("You logged in with a passkey.").count() == 1
    for each in (phone, desk):
        await each.close()


@row(7, 105, 111)
async def test_no_relay_answers_the_passkey_that_the_browser_itself_must_answer(
    chromium: Browser, serve: Callable[[str], Running], tmp_path: Path
) -> None:
    """The victim approves the attacker's code, and opens the attacker's page, too."""
    site, name = serve("browser"), f"alice-{secrets.token_hex(4)}"
    phone = await in_hand(chromium, site.origin, tmp_path, name)
    of_victim = await Authenticator.of(phone)
    await create_passkey(phone)
    attacker = await at_desk(chromium, site.origin, tmp_path)
    of_attacker = await Authenticator.of(attacker)

    async def relayed() -> None:
        """The attacker's browser gets what the phone approved, and is asked for a passkey."""
        await phone.scan(attacker.desk)
        await phone.approve()
        await attacker.answer(1)
        await attacker.page.wait_for_url("**/passkeys/finish", timeout=PATIENCE_S * 1000)

    await relayed()
    assert await attacker.desk.axe() == []
    await attacker.desk.shot("finish")
    button = attacker.page.get_by_role("button", name="Use my passkey")
    async with attacker.page.expect_response("**/passkeys/options/finish") as asked_for:
        await button.click()
    question = await (await asked_for.value).json()
    await attacker.page.get_by_text("Nothing has changed").wait_for(timeout=PATIENCE_S * 1000)
    await phone.page.route(f"{EVIL}**", lambda route: route.fulfill(body="<h1>A prize</h1>"))
    await phone.page.goto(EVIL)
    assert await phone.page.evaluate("isSecureContext")
    asked = {**question, "timeout": 1000}
    assert await phone.page.evaluate(ANSWER, asked) == "SecurityError"
    own = {**asked, "rpId": "localhost.evil.example"}
    assert await phone.page.evaluate(ANSWER, own) == "NotAllowedError"
    await attacker.open("/")
    assert attacker.page.url.endswith("/passkeys/finish"), "no one is logged in"

    await of_attacker.add(await of_victim.passkeys())  # now it is the victim's own computer
    await button.press("Enter")
    await attacker.logged_in_as(name)
    for each in (phone, attacker):
        await each.close()


@pytest.mark.matrix
@pytest.mark.parametrize("screen", SCREENS)
async def test_every_page_about_passkeys_fits_and_passes_axe(
    chromium: Browser, serve: Callable[[str], Running], tmp_path: Path, screen: str
) -> None:
    site, name = serve("approve,browser"), f"alice-{secrets.token_hex(4)}"
    phone = await Profile.new(chromium, site.origin, tmp_path, **SCREENS[screen])
    await phone.sign_up(name)
    phone.desk.forgives("<qr-approve>")
    await Authenticator.of(phone)
    await fits(phone, "home")
    await phone.open("/passkeys")
    await fits(phone, "passkeys-none")
    await phone.page.locator("button[data-passkey]").click()
    await phone.page.locator("button[name=passkey]").wait_for(timeout=PATIENCE_S * 1000)
    await fits(phone, "passkeys")
    desk = await Profile.new(chromium, site.origin, tmp_path, **SCREENS[screen])
    of_desk = await Authenticator.of(desk)
    await of_desk.is_unlocked(False)
    await desk.open("/login")
    await desk.desk.until("pending")
    await desk.page.locator("button[data-passkey]").click()
    await desk.page.get_by_role("alert").wait_for(timeout=PATIENCE_S * 1000)
    await fits(desk, "login")
    await desk.page.locator("qr-login .qr").scroll_into_view_if_needed()
    await phone.scan(desk.desk)
    await phone.approve()
    await desk.answer(1)
    await desk.page.wait_for_url("**/passkeys/finish", timeout=PATIENCE_S * 1000)
    await desk.page.locator("button[data-passkey]").click()
    await desk.page.get_by_role("alert").wait_for(timeout=PATIENCE_S * 1000)
    await fits(desk, "finish")
    for each in (phone, desk):
        await each.close()
