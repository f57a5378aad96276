"""The languages of the elements: each is loaded when a page asks for it, and each is looked at.

`tests/test_texts.py` has the rules for the catalogue.
"""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Route

from qrlogin.browser import LANGUAGES, texts
from tests.browser.approve_page import FITS, approve_page
from tests.browser.approve_stub import ApproveStub
from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub
from tests.browser.words import strangers
from tests.security_rows import row
from tests.test_texts import PLURALS

OTHERS = [lang for lang in LANGUAGES if lang != "en"]
TITLE = "it => it.shadowRoot.querySelector('.title').textContent"
HAS_CARD = "() => document.querySelector('qr-login, qr-approve').shadowRoot"
CARD = """it => { const card = it.shadowRoot.querySelector(".card");
return [card.lang, card.dir, getComputedStyle(card).direction] }"""


async def test_the_plural_forms_of_a_language_are_those_of_intl(login_page: LoginPage) -> None:
    found = await login_page.page.evaluate(
        """langs => Object.fromEntries(langs.map(lang => {
        const rules = new Intl.PluralRules(lang), forms = new Set();
        for (let n = 0; n < 1000; n++) forms.add(rules.select(n));
        return [lang, [...forms].sort()] }))""",
        list(LANGUAGES),
    )
    expected = {lang: sorted(PLURALS.get(lang, ("one", "other"))) for lang in LANGUAGES}
    # Russian uses "other" for fractions alone.
    assert found == {**expected, "ru": ["few", "many", "one"]}


@row(511)
async def test_a_page_loads_its_own_language_and_no_other(
    login_page: LoginPage, stub: Stub
) -> None:
    loaded: list[str] = []
    login_page.page.on("request", lambda request: loaded.append(request.url.rpartition("/")[2]))
    stub.lang = "ar-EG"
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    assert await login_page.element.evaluate(TITLE) == texts("ar")["login"]["pending"]
    assert await login_page.element.evaluate(CARD) == ["ar", "rtl", "rtl"]
    assert [name for name in loaded if name.startswith("qr-login-texts-")] == [
        "qr-login-texts-ar.js"
    ]


async def test_no_child_and_nothing_without_a_name_shows_before_the_language_is_there(
    chromium: Browser, login_page: LoginPage, stub: Stub, tmp_path: Path
) -> None:
    """The children would disappear again at once, and a screen reader lists what has no name."""

    async def never(route: Route) -> None:
        pass

    stub.lang = "de"
    await login_page.page.route("**/qr-login-texts-de.js", never)
    await login_page.page.clock.install(time=0)
    await login_page.page.clock.pause_at(3600)
    await login_page.page.goto(stub.url)
    await login_page.page.wait_for_function(HAS_CARD)
    assert not await login_page.page.locator("#password").is_visible()
    assert await login_page.page.get_by_role("img").count() == 0
    with ApproveStub(lang="de") as other:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.route("**/qr-login-texts-de.js", never)
            await phone.page.clock.install(time=0)
            await phone.page.clock.pause_at(3600)
            await phone.page.goto(other.url)
            await phone.page.wait_for_function(HAS_CARD)
            for text in ("Sign in here", "report it", "On we go"):
                assert not await phone.page.get_by_text(text).is_visible()
            assert await phone.page.get_by_role("heading").count() == 0


@pytest.mark.parametrize("trouble", ["fails", "is slow"])
async def test_a_login_does_not_depend_on_its_language(
    login_page: LoginPage, stub: Stub, trouble: str
) -> None:
    """The texts are English then. A language that arrives later is used from the next state on."""
    held: list[Route] = []

    async def answer(route: Route) -> None:
        held.append(route)
        if trouble == "fails":
            await route.abort()

    for text in ("qr-login-texts-de", "did not load", "Failed to load resource"):
        login_page.forgives(text)
    await login_page.page.route("**/qr-login-texts-de.js", answer)
    stub.lang = "de"
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.until("pending", hurry=True)
    assert await login_page.element.evaluate(TITLE) == texts("en")["login"]["pending"]
    assert await login_page.element.evaluate(CARD) == ["en", "ltr", "ltr"]
    lang = "en"
    if trouble == "is slow":
        lang = "de"
        await held[0].continue_()
        await login_page.element.evaluate(
            "async it => (await import('/qrlogin/qr-login-texts.js')).languageIsThere(it)"
        )
    stub.move("denied")
    await login_page.until("denied", hurry=True)
    assert await login_page.element.evaluate(TITLE) == texts(lang)["login"]["denied"]


async def test_an_application_changes_a_text_of_a_language_before_it_is_loaded(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.lang = "fr"
    stub.module = """import { TEXTS } from "/qrlogin/qr-login-texts.js";
    Object.assign(TEXTS.fr.login, { pending: "Scannez !" });
    import("/qrlogin/qr-login-element.js");"""
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    assert await login_page.element.evaluate(TITLE) == "Scannez !"
    assert texts("fr")["login"]["pendingHint"] in await login_page.text()


DATA = [r"M•••a", r"(http://)?127\.0\.0\.1:\d+/qr", "WDJB-MJHT|W D J B, M J H T", "Log in"]


@row(503, 511)
@pytest.mark.matrix
@pytest.mark.parametrize("lang", OTHERS)
async def test_the_login_page_fits_in_every_language(
    login_page: LoginPage, stub: Stub, lang: str
) -> None:
    """On a small screen with large letters, too. Nothing on it is English."""
    stub.lang, stub.extra = lang, {"user_code": "WDJB-MJHT"}
    stub.fallback = stub.fallback.replace("Log in with a password", texts(lang)["pages"]["noCode"])
    for state in ("pending", "scanned", "confirmed", "denied", "cancelled", "expired"):
        await login_page.context.clear_cookies()
        await login_page.page.goto("about:blank")
        await login_page.page.goto(stub.url)
        await login_page.until("pending")
        if state != "pending":
            stub.move(state)
        await login_page.until(state)
        assert await strangers(login_page.page, lang, DATA) == [], state
        for width, size in ((320, "32px"), (420, "16px")):
            await login_page.page.set_viewport_size({"width": width, "height": 640})
            await login_page.page.evaluate(
                "size => { document.documentElement.style.fontSize = size }", size
            )
            scrolls = await login_page.page.evaluate("() => document.documentElement.scrollWidth")
            assert scrolls <= width, (state, width)
        await login_page.shot(f"{lang}-{state}")


@row(503, 511)
@pytest.mark.matrix
@pytest.mark.parametrize("lang", OTHERS)
async def test_the_time_of_a_request_is_in_the_language(
    chromium: Browser, tmp_path: Path, lang: str
) -> None:
    """Its digits are 0 to 9 in every language, as those that a person types."""
    with ApproveStub(lang=lang, begun_ago=70) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.url)
            await phone.until("ask")
            shown = await phone.element.evaluate(
                "it => it.shadowRoot.querySelector('#ago').textContent"
            )
            english = "1 minute ago"
            assert shown
            assert shown != english
            assert not [sign for sign in shown if sign.isdigit() and not sign.isascii()]
            assert await phone.page.evaluate(FITS)
            await phone.shot(f"{lang}-ask")
