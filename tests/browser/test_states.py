"""Each state on the screen: its texts, its buttons, and what axe finds in light and dark."""

import io
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Browser

from qrlogin.browser import texts
from tests.browser.login_page import COLOURS, LoginPage
from tests.browser.login_stub import Fault, Stub, html, picture, problem
from tests.browser.words import strangers
from tests.render.readers import decode
from tests.security_rows import row

Act = Callable[[LoginPage, Stub], Awaitable[None]]


async def shown(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.goto(stub.url)


def moved(state: str) -> Act:
    async def act(login_page: LoginPage, stub: Stub) -> None:
        await login_page.page.goto(stub.url)
        await login_page.until("pending")
        stub.move(state)

    return act


def refusing(kind: str, status: int, error: str) -> Act:
    async def act(login_page: LoginPage, stub: Stub) -> None:
        stub.always[kind] = problem(status, error)
        await login_page.page.goto(stub.url)

    return act


async def manual(login_page: LoginPage, stub: Stub) -> None:
    stub.attributes += ' start="manual"'
    await login_page.page.goto(stub.url)


async def starting(login_page: LoginPage, stub: Stub) -> None:
    stub.always["begin"] = Fault.SILENT
    await login_page.page.goto(stub.url)


async def redeeming(login_page: LoginPage, stub: Stub) -> None:
    stub.always["redeem"] = Fault.SILENT
    await moved("confirmed")(login_page, stub)
    await login_page.press(stub.word("yes"))


async def redeemed(login_page: LoginPage, stub: Stub) -> None:
    await moved("confirmed")(login_page, stub)
    await login_page.element.evaluate(
        "it => it.addEventListener('qr-login:redeemed', event => event.preventDefault())"
    )
    await login_page.press(stub.word("yes"))


async def offline(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.clock.install()
    await manual(login_page, stub)
    await login_page.context.set_offline(True)
    await login_page.press(stub.word("start"))
    await login_page.until("offline", hurry=True)


async def forgotten(login_page: LoginPage, stub: Stub) -> None:
    """The server has recognized the login before, so cookies work.

    Other windows have pushed out the cookie of this one.
    """
    stub.hold = 0.2
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.eventually(lambda: stub.count("status") >= 1)
    stub.always["status"] = problem(404, "unknown_login")
    await login_page.until("forgotten", hurry=True)


async def wrong(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.clock.install()
    await refusing("begin", 500, "internal")(login_page, stub)
    await login_page.until("unavailable", hurry=True)
    await login_page.page.clock.resume()


async def stale(login_page: LoginPage, stub: Stub) -> None:
    """The page was open until its CSRF token expired."""
    stub.hold = 0.2
    login_page.forgives("403")
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.always["begin"] = html(403)
    await login_page.element.evaluate("it => it.begin()")


async def not_set_up(login_page: LoginPage, stub: Stub) -> None:
    stub.attributes = 'src="https://elsewhere.example/qrlogin/"'
    login_page.forgives("src must be a path of this origin")
    await login_page.page.goto(stub.url)


STATES: list[tuple[str, Act, str, list[str]]] = [
    ("idle", manual, "Log in with your phone", ["Show QR code"]),
    ("starting", starting, "One moment…", []),
    ("pending", shown, "Scan with your phone", []),
    ("scanned", moved("scanned"), "Scanned by M•••a", ["That is not me"]),
    ("confirmed", moved("confirmed"), "Continue as M•••a?", ["That is not me", "Continue"]),
    ("redeeming", redeeming, "Logging in…", []),
    ("redeemed", redeemed, "You are logged in", []),
    ("denied", moved("denied"), "Declined on the phone", ["Show a new code"]),
    ("cancelled", moved("cancelled"), "Login cancelled", ["Show a new code"]),
    ("expired", moved("expired"), "This code has expired", ["Show a new code"]),
    (
        "superseded",
        refusing("status", 409, "superseded"),
        "Open in another window",
        ["Continue here"],
    ),
    (
        "unknown",
        refusing("status", 404, "unknown_login"),
        "This code no longer works",
        ["Show a new code"],
    ),
    ("forgotten", forgotten, "This code no longer works", ["Show a new code"]),
    ("used", moved("redeemed"), "This code was already used", ["Reload page"]),
    ("offline", offline, "You are offline", ["Try again"]),
    ("unavailable", wrong, "Something went wrong", ["Try again"]),
    ("refused", not_set_up, "Phone login is not available", ["Try again"]),
    ("paused", refusing("begin", 503, "paused"), "Phone login is paused", ["Try again"]),
    ("stale", stale, "This page has expired", ["Reload page"]),
]


#: What a person presses and is below 44 CSS pixels in one direction (WCAG 2.2, 2.5.5 and 2.5.8).
SMALL = """it => [...it.shadowRoot.querySelectorAll("button, a")].filter(target => {
  const { width, height } = target.getBoundingClientRect();
  return width && Math.min(width, height) < 44 }).map(target => target.textContent)"""


@row(501, 502, 510, 516)
@pytest.mark.parametrize(
    ("state", "act", "title", "buttons"), STATES, ids=[row[0] for row in STATES]
)
async def test_a_state_shows_its_title_and_buttons(
    login_page: LoginPage, stub: Stub, state: str, act: Act, title: str, buttons: list[str]
) -> None:
    await act(login_page, stub)
    await login_page.until(state)
    assert (await login_page.text()).splitlines()[0] == title
    assert await login_page.buttons() == buttons
    shows_fallback = state in (
        *("offline", "unavailable", "refused", "paused", "stale", "unknown"),
    )
    assert await login_page.page.locator("#password").is_visible() is shows_fallback
    await login_page.page.wait_for_function(
        "() => !document.querySelector('qr-login').shadowRoot.querySelector('[aria-disabled]')"
    )
    assert await login_page.element.evaluate(SMALL) == []
    for scheme in ("light", "dark"):
        await login_page.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        rules = COLOURS if scheme == "dark" else ()
        assert await login_page.axe(*rules) == [], scheme
        await login_page.shot(f"{state}-{scheme}")
    for size, width, root in (("small", 320, "16px"), ("large-text", 320, "32px")):
        await login_page.page.set_viewport_size({"width": width, "height": 640})
        await login_page.page.evaluate(
            "size => { document.documentElement.style.fontSize = size }", root
        )
        assert (
            await login_page.page.evaluate("() => document.documentElement.scrollWidth") <= width
        ), size
        await login_page.shot(f"{state}-{size}")


@row(503, 511)
@pytest.mark.matrix
@pytest.mark.parametrize(
    ("state", "act"), [row[:2] for row in STATES], ids=[row[0] for row in STATES]
)
async def test_a_state_is_shown_in_chinese(
    login_page: LoginPage, stub: Stub, state: str, act: Act
) -> None:
    stub.lang, stub.extra = "zh-CN", {"user_code": "WDJB-MJHT"}
    stub.fallback = stub.fallback.replace(
        "Log in with a password", texts("zh-CN")["pages"]["noCode"]
    )
    await act(login_page, stub)
    await login_page.until(state)
    assert await strangers(login_page.page, "zh-CN", DATA) == []
    assert (
        await login_page.element.evaluate("it => it.shadowRoot.querySelector('.card').lang")
        == "zh-CN"
    )
    await login_page.page.wait_for_function(
        "() => !document.querySelector('qr-login').shadowRoot.querySelector('[aria-disabled]')"
    )
    await login_page.page.emulate_media(color_scheme="dark")
    assert await login_page.axe() == []
    await login_page.page.set_viewport_size({"width": 320, "height": 640})
    await login_page.page.evaluate("() => { document.documentElement.style.fontSize = '32px' }")
    assert await login_page.page.evaluate("() => document.documentElement.scrollWidth") <= 320
    await login_page.page.evaluate("() => { document.documentElement.style.fontSize = '' }")
    await login_page.page.emulate_media(color_scheme="light")
    await login_page.page.set_viewport_size({"width": 420, "height": 600})
    await login_page.shot(f"{state}-zh")


@pytest.mark.parametrize(
    ("before", "title"),
    [("scanned", "Not approved in time"), ("confirmed", "Login not completed in time")],
)
async def test_an_expired_login_says_what_did_not_happen_in_time(
    login_page: LoginPage, stub: Stub, before: str, title: str
) -> None:
    """A code that was scanned has not expired: the login has."""
    await moved(before)(login_page, stub)
    await login_page.until(before)
    stub.move("expired")
    await login_page.until("expired")
    assert (await login_page.text()).splitlines()[0] == title
    assert "Show a new code and scan it." in await login_page.text()


DATA = [
    re.escape("M•••a"),
    r"127\.0\.0\.1:\d+/qr|http://127\.0\.0\.1:\d+/qr",
    "WDJB-MJHT|W D J B, M J H T",
    "Log in",  # the heading of the stub's page
]


async def test_the_list_of_states_is_complete(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.goto(stub.url)
    texts = await login_page.page.evaluate(
        "async () => Object.keys((await import('/qrlogin/qr-login-texts.js')).TEXTS.en.login)"
    )
    assert {text.removesuffix("Hint") for text in texts if text.endswith("Hint")} == {
        row[0] for row in STATES
    }


async def test_an_application_can_set_its_own_texts(login_page: LoginPage, stub: Stub) -> None:
    """The module that imports the element runs before the element reads its texts."""
    page = (Path(__file__).parents[2] / "docs" / "element.md").read_text("utf-8")
    (stub.module,) = re.findall(r"^```js\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    stub.attributes += ' lang="fr"'
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    assert (await login_page.text()).splitlines()[0] == "Scannez avec votre téléphone"


@row(234)
@pytest.mark.parametrize("scheme", ["light", "dark", "forced"])
async def test_the_picture_is_read_by_a_decoder_that_we_did_not_write(
    login_page: LoginPage, stub: Stub, scheme: str
) -> None:
    if scheme == "forced":
        await login_page.page.emulate_media(forced_colors="active")
    else:
        await login_page.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    found = decode(Image.open(io.BytesIO(await login_page.page.screenshot())))
    page = f"{stub.url}qr/"
    assert [text.decode()[: len(page) + 21] for text in found] == [page + stub.login.login_id[:21]]


async def test_the_picture_rotates_without_a_new_login(login_page: LoginPage, stub: Stub) -> None:
    stub.rotation = 1
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    path = "it => it.shadowRoot.querySelector('[part=qr] path').getAttribute('d')"
    first = await login_page.element.evaluate(path)
    await login_page.eventually(
        lambda: login_page.element.evaluate(path), lambda now: now != first, "another picture"
    )
    assert stub.count("begin") == 1


@row(228)
async def test_a_picture_that_is_too_old_to_scan_fades(login_page: LoginPage, stub: Stub) -> None:
    stub.always["status"] = Fault.SILENT
    await login_page.opens(stub.url)
    stale = "it => it.shadowRoot.querySelector('.picture').classList.contains('stale')"
    assert await login_page.element.evaluate(stale) is False
    await login_page.page.clock.fast_forward(29_000)
    assert await login_page.element.evaluate(stale) is True
    assert "Expires within 2 minutes" in await login_page.text()


@row(506)
async def test_the_countdown_is_announced_rarely(login_page: LoginPage, stub: Stub) -> None:
    """In two minutes it is announced four times. The ring, which is silent, moves all the time."""
    stub.always["status"] = Fault.SILENT
    await login_page.opens(stub.url)
    await login_page.element.evaluate(
        """it => { window.heard = [];
        const listen = new MutationObserver(() =>
          heard.push(it.shadowRoot.querySelector('[part=note]').textContent));
        for (const region of it.shadowRoot.querySelectorAll('[role=status]'))
          listen.observe(region, {childList: true, characterData: true, subtree: true}) }"""
    )
    ring = (
        "it => Number(it.shadowRoot.querySelector('.remaining').style.getPropertyValue('--left'))"
    )
    lengths = []
    for _ in range(34):
        await login_page.page.clock.run_for(1000)
        lengths.append(await login_page.element.evaluate(ring))
    assert len(set(lengths)) == 34
    assert lengths == sorted(lengths, reverse=True)
    assert await login_page.page.evaluate("() => heard.length") <= 3


async def test_a_released_login_shows_the_code_again(login_page: LoginPage, stub: Stub) -> None:
    """The phone releases the login. The code comes back, and another account may scan it."""
    await moved("scanned")(login_page, stub)
    await login_page.until("scanned")
    stub.move("pending")
    await login_page.until("pending")
    assert await login_page.element.get_by_role("img", name="Login QR code").is_visible()
    stub.move("scanned", "B•b", "tag-of-bob")
    await login_page.until("scanned")
    assert "Scanned by B•b" in await login_page.text()
    stub.move("scanned", "M•••a", "tag-of-mina")
    await login_page.eventually(login_page.text, lambda text: "Scanned by M•••a" in text)


MOVING = "it => it.shadowRoot.getAnimations().length"


@row(506, 507)
async def test_reduced_motion_stops_the_animations(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.emulate_media(reduced_motion="reduce")
    await moved("scanned")(login_page, stub)
    await login_page.until("scanned")
    assert await login_page.element.evaluate(MOVING) == 0
    await login_page.page.emulate_media(reduced_motion="no-preference")
    assert await login_page.element.evaluate(MOVING) > 0


@row(504)
async def test_the_keyboard_alone_is_enough(login_page: LoginPage, stub: Stub) -> None:
    await manual(login_page, stub)
    await login_page.until("idle")
    await login_page.ready()
    await login_page.page.keyboard.press("Tab")
    await login_page.page.keyboard.press("Enter")
    await login_page.until("pending")
    assert await focused(login_page) == "card", (
        "the pressed button is gone, and the card has the focus"
    )
    stub.move("confirmed")
    await login_page.until("confirmed")
    # Pressed before the question appeared, so it does not answer it.
    await login_page.page.keyboard.press("Enter")
    await login_page.page.wait_for_timeout(600)
    assert await login_page.state() == "confirmed"
    await login_page.page.keyboard.press("Tab")
    assert await focused(login_page) == "That is not me"
    await login_page.shot("focus")
    await login_page.page.keyboard.press("Tab")
    assert await focused(login_page) == "Continue"
    await login_page.page.keyboard.press("Enter")
    await login_page.logged_in()


async def focused(login_page: LoginPage) -> str:
    """The label of the button or the name of the part that has the focus, or an empty string."""
    return str(await login_page.element.evaluate(FOCUSED))


FOCUSED = """it => { const at = it.shadowRoot.activeElement;
return at?.tagName === "BUTTON" ? at.textContent : at?.getAttribute("part") ?? "" }"""


@row(508)
async def test_the_question_takes_the_focus_only_when_nothing_else_has_it(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.around = '<label>Password <input id="field" type="password"></label>'
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.page.locator("#field").focus()
    stub.move("confirmed")
    await login_page.until("confirmed")
    await login_page.page.keyboard.type("hunter2")
    assert await login_page.page.locator("#field").input_value() == "hunter2"
    stub.move("denied")
    await login_page.until("denied")
    await login_page.page.reload()
    await login_page.until("pending")
    assert await focused(login_page) == ""
    stub.move("scanned")
    await login_page.until("scanned")
    assert await focused(login_page) == ""
    stub.move("confirmed")
    await login_page.until("confirmed")
    assert await focused(login_page) == "card"


@row(509)
async def test_a_click_from_before_the_question_answers_nothing(
    login_page: LoginPage, stub: Stub
) -> None:
    """Another account scans during the click: the same button now means another account."""
    await login_page.page.clock.install()
    await moved("confirmed")(login_page, stub)
    await login_page.until("confirmed")
    await login_page.page.clock.pause_at(
        await login_page.page.evaluate("() => Date.now() / 1000 + 20")
    )
    stub.move("confirmed", "E•e", "tag-of-eve")
    await login_page.eventually(login_page.text, lambda text: "Continue as E•e?" in text)
    await login_page.element.get_by_role("button", name="Continue").click(force=True)
    assert await login_page.state() == "confirmed"
    assert stub.count("redeem") == 0
    await login_page.page.clock.resume()
    await login_page.press("Continue")
    await login_page.logged_in()


async def test_without_javascript_the_children_stay(chromium: Browser, stub: Stub) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(stub.url)
    assert await page.get_by_role("link", name="Log in with a password").is_visible()
    await context.close()


@row(414)
async def test_the_watch_reports_a_policy_violation(login_page: LoginPage, stub: Stub) -> None:
    """The other tests rely on the watch, so it must report a style attribute on the page."""
    await login_page.page.goto(stub.url)
    await login_page.page.evaluate("() => document.body.setAttribute('style', 'color: red')")
    # The watch reports the first one, and Chromium itself the second one.
    reports = {"policy violated: style-src", "Content Security Policy"}
    await login_page.eventually(
        lambda: {part for part in reports for text in login_page.problems if part in text},
        reports.__eq__,
    )
    login_page.problems.clear()


async def test_a_code_may_have_any_size(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    box = "it => it.shadowRoot.querySelector('[part=qr]').getAttribute('viewBox')"
    for text in ("a", "b" * 300):
        made = picture(text)
        stub.extra = {"qr": made}
        stub.move("pending")
        expected = f"0 0 {made['size']} {made['size']}"
        await login_page.eventually(
            lambda: login_page.element.evaluate(box), expected.__eq__, expected
        )
        found = decode(Image.open(io.BytesIO(await login_page.page.screenshot())))
        assert found == [text.encode()]


@pytest.mark.parametrize(
    ("state", "tone"), [("denied", "alarm"), ("cancelled", "muted"), ("scanned", "accent")]
)
async def test_the_drawing_has_the_colour_of_its_state(
    login_page: LoginPage, stub: Stub, state: str, tone: str
) -> None:
    await moved(state)(login_page, stub)
    await login_page.until(state)
    drawn = "it => getComputedStyle(it.shadowRoot.querySelector('.icon')).stroke"
    colours = {
        "accent": "rgb(11, 107, 91)",
        "alarm": "rgb(168, 64, 42)",
        "muted": "rgb(85, 98, 95)",
    }
    assert await login_page.element.evaluate(drawn) == colours[tone]
