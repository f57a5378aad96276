"""A page that is loaded again goes on with its login; a page without the element shows a way on."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Route

from qrlogin.browser import texts
from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Reply, Stub, html, problem
from tests.browser.words import EACH_LANGUAGE
from tests.security_rows import row

TYPED = {"user_code": "WDJB-MJHT"}


@row(513)
@pytest.mark.parametrize("state", ["pending", "scanned", "confirmed"])
async def test_a_reload_goes_on_with_the_same_login(
    login_page: LoginPage, stub: Stub, state: str
) -> None:
    stub.extra = TYPED
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.extra = {}  # only begin sends the code to type
    if state != "pending":
        stub.move(state)
        await login_page.until(state)
    await login_page.page.reload()
    await login_page.until(state)
    if state == "pending":
        assert "WDJB-MJHT" in await login_page.text()
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()
    assert stub.count("begin") == 1


@pytest.mark.parametrize("start", ["", "manual"])
async def test_a_reload_after_the_end_starts_anew(
    login_page: LoginPage, stub: Stub, start: str
) -> None:
    """The page was away while the login ended, so it still knows the login."""
    stub.attributes += f' start="{start}"'
    await login_page.page.goto(stub.url)
    if start:
        await login_page.press("Show QR code")
    await login_page.until("pending")
    await login_page.turn("hidden")
    stub.move("redeemed")
    await login_page.page.reload()
    await login_page.until("idle" if start else "pending")
    assert stub.count("begin") == (1 if start else 2)


async def test_a_reload_finds_the_login_after_a_failure(login_page: LoginPage, stub: Stub) -> None:
    """The server is down during the reload. The button finds the same login."""
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move("scanned")
    await login_page.until("scanned")
    stub.always["status"] = html(502)
    await login_page.page.clock.install()
    await login_page.page.reload()
    await login_page.until("unavailable", hurry=True)
    stub.always.clear()
    await login_page.press("Try again")
    await login_page.until("scanned")
    assert stub.count("begin") == 1


async def test_each_element_of_a_page_goes_on_with_a_login_of_its_own(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.around = '<qr-login src="/qrlogin/" id="first"></qr-login>'
    for loads in (1, 2):
        await (login_page.page.reload() if loads > 1 else login_page.page.goto(stub.url))
        await login_page.page.locator("#first[state=pending]").wait_for()
        await login_page.page.locator("qr-login:not(#first)[state=pending]").wait_for()
        links = (
            "() => [...document.querySelectorAll('qr-login')].map(it => it.shadowRoot"
            ".querySelector('[part=link]').href.split('.').slice(0, -1).join())"
        )
        assert len(set(await login_page.page.evaluate(links))) == 2
    assert stub.count("begin") == 3


REFUSALS: dict[str, tuple[Reply, str, str]] = {
    "another Origin": (problem(403, "forbidden"), "refused", "403 forbidden forbidden"),
    "a mount that is not there": (html(404), "refused", "404"),
    "a mount that is not there, as JSON": (problem(404, "not_found"), "refused", "404 not_found"),
    "a method that the mount refuses": (html(405), "refused", "405"),
    "no CSRF token, Flask": (html(400), "refused", "400"),
    "no CSRF token, Django": (html(403), "refused", "403"),
}


@pytest.mark.parametrize(
    ("answer", "state", "console"),
    [
        pytest.param(*row, id=name, marks=pytest.mark.matrix if "as JSON" in name else [])
        for name, row in REFUSALS.items()
    ],
)
async def test_a_configuration_error_reads_as_one(
    login_page: LoginPage, stub: Stub, answer: Reply, state: str, console: str
) -> None:
    """The page does not ask the person to try again later, and the console says what is wrong."""
    heard: list[str] = []
    login_page.page.on("console", lambda message: heard.append(message.text))
    login_page.forgives("<qr-login> /qrlogin/begin")
    stub.always["begin"] = answer
    await login_page.page.goto(stub.url)
    await login_page.ends(state, "Try again")
    assert stub.count("begin") == 1
    assert await login_page.page.locator("#password").is_visible()
    [line] = [line for line in heard if line.startswith("<qr-login>")]
    assert line.replace("<b>", "").startswith(f"<qr-login> /qrlogin/begin: {console}")


async def lost(route: Route) -> None:
    await route.abort()


async def test_the_children_show_when_a_module_does_not_load(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.context.route("**/qr-login-card.js", lost)
    await login_page.page.goto(stub.url)
    assert await login_page.page.locator("#password").is_visible()


OLD = {
    "no replaceChildren": "delete Element.prototype.replaceChildren",
    "no style sheets to adopt": "window.CSSStyleSheet = function () { throw new TypeError() }",
    "no listener with a signal": """{ const add = EventTarget.prototype.addEventListener;
        EventTarget.prototype.addEventListener = function (type, listener, options) {
          add.call(this, type, listener, options === true || !!options?.capture) } }""",
}


@pytest.mark.parametrize("script", OLD.values(), ids=OLD.keys())
@pytest.mark.parametrize("lang", EACH_LANGUAGE)
async def test_a_browser_that_is_too_old_says_so_before_anything_is_claimed(
    login_page: LoginPage, stub: Stub, lang: str, script: str
) -> None:
    stub.lang = lang
    await login_page.page.add_init_script(script)
    await login_page.page.goto(stub.url)
    await login_page.until("outdated")
    sentence = login_page.element.locator("p")
    assert await sentence.inner_text() == stub.word("outdated")
    assert await login_page.page.locator("#password").is_visible()
    assert stub.calls == []


TEMPLATES = sorted((Path(__file__).parent.parent.parent / "examples").glob("*/**/login.html"))


@pytest.mark.parametrize("lang", EACH_LANGUAGE)
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.parts[-3])
async def test_an_example_says_why_there_is_no_code_and_shows_the_way_on(
    chromium: Browser, stub: Stub, template: Path, lang: str
) -> None:
    """Without JavaScript, and where the module does not load, each sentence is true."""
    inside = re.search(
        r"(?:<qr-login .*?>|{% qr_login .*?%})(.*?)(?:</qr-login>|{% endqr_login)",
        template.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert inside
    pages = texts(lang)["pages"]
    stub.fallback = re.sub(r"{{ t\.(\w+) }}", lambda key: pages[key[1]], inside[1])
    for scripts, loads, expected in (
        (False, True, ["needsJavaScript", "noCode"]),
        (True, False, ["noCode"]),
        (True, True, []),
    ):
        context = await chromium.new_context(java_script_enabled=scripts)
        if not loads:
            await context.route("**/qr-login-card.js", lost)
        page = await context.new_page()
        await page.goto(stub.url)
        if scripts and loads:
            await page.locator("qr-login[state=pending]").wait_for()
        seen = await page.locator("qr-login").inner_text() if expected else ""
        assert seen.split("\n\n") == ([pages[key] for key in expected] or [""])
        assert await page.locator("qr-login > p").is_visible() is bool(expected)
        await context.close()
