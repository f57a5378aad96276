"""Each state on the screen: what a person reads, which buttons there are, and that axe has nothing to say in light and dark."""

import io
import re
from collections.abc import Awaitable, Callable

import pytest
from PIL import Image
from playwright.async_api import Browser

from qrlogin.browser import texts
from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Stub, picture, problem
from tests.browser.words import strangers
from tests.render.readers import decode

Act = Callable[[LoginPage, Stub], Awaitable[None]]


async def shown(desk: LoginPage, stub: Stub) -> None:
    await desk.page.goto(stub.url)


def moved(state: str) -> Act:
    async def act(desk: LoginPage, stub: Stub) -> None:
        await desk.page.goto(stub.url)
        await desk.until("pending")
        stub.move(state)

    return act


def refusing(kind: str, status: int, error: str) -> Act:
    async def act(desk: LoginPage, stub: Stub) -> None:
        stub.always[kind] = problem(status, error)
        await desk.page.goto(stub.url)

    return act


async def manual(desk: LoginPage, stub: Stub) -> None:
    stub.attributes += ' start="manual"'
    await desk.page.goto(stub.url)


async def starting(desk: LoginPage, stub: Stub) -> None:
    stub.always["begin"] = Fault.SILENT
    await desk.page.goto(stub.url)


async def redeeming(desk: LoginPage, stub: Stub) -> None:
    stub.always["redeem"] = Fault.SILENT
    await moved("confirmed")(desk, stub)
    await desk.press(stub.word("yes"))


async def redeemed(desk: LoginPage, stub: Stub) -> None:
    await moved("confirmed")(desk, stub)
    await desk.element.evaluate(
        "it => it.addEventListener('qr-login:redeemed', event => event.preventDefault())"
    )
    await desk.press(stub.word("yes"))


async def offline(desk: LoginPage, stub: Stub) -> None:
    await desk.page.clock.install()
    await manual(desk, stub)
    await desk.context.set_offline(True)
    await desk.press(stub.word("start"))
    await desk.until("offline", hurry=True)


async def forgotten(desk: LoginPage, stub: Stub) -> None:
    """The server knew the login for a while: cookies work, so other windows have pushed this one's cookie out."""
    stub.hold = 0.2
    await desk.page.goto(stub.url)
    await desk.eventually(lambda: stub.count("status") >= 1)
    stub.always["status"] = problem(404, "unknown_login")


async def not_set_up(desk: LoginPage, stub: Stub) -> None:
    stub.attributes = 'src="https://elsewhere.example/qrlogin/"'
    desk.forgives("src must be a path of this origin")
    await desk.page.goto(stub.url)


STATES: list[tuple[str, Act, str, list[str]]] = [
    ("idle", manual, "Log in with your phone", ["Show QR code"]),
    ("starting", starting, "One moment…", []),
    ("pending", shown, "Scan with your phone", []),
    ("scanned", moved("scanned"), "Scanned by M•••a", ["That is not me"]),
    ("confirmed", moved("confirmed"), "Continue as M•••a?", ["Continue", "That is not me"]),
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
    ("unavailable", refusing("begin", 403, "forbidden"), "Something went wrong", ["Try again"]),
    ("refused", not_set_up, "Phone login is not available", ["Try again"]),
]


@pytest.mark.parametrize(
    ("state", "act", "title", "buttons"), STATES, ids=[row[0] for row in STATES]
)
async def test_a_state(
    desk: LoginPage, stub: Stub, state: str, act: Act, title: str, buttons: list[str]
) -> None:
    await act(desk, stub)
    await desk.until(state)
    assert (await desk.text()).splitlines()[0] == title
    assert await desk.buttons() == buttons
    shows_fallback = state in ("offline", "unavailable", "refused", "unknown")
    assert await desk.page.locator("#password").is_visible() is shows_fallback
    await desk.page.wait_for_function(
        "() => !document.querySelector('qr-login').shadowRoot.querySelector('[aria-disabled]')"
    )
    for scheme in ("light", "dark"):
        await desk.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert await desk.axe() == [], scheme
        await desk.shot(f"{state}-{scheme}")
    for size, width, root in (("small", 320, "16px"), ("large-text", 320, "32px")):
        await desk.page.set_viewport_size({"width": width, "height": 640})
        await desk.page.evaluate("size => { document.documentElement.style.fontSize = size }", root)
        assert await desk.page.evaluate("() => document.documentElement.scrollWidth") <= width, size
        await desk.shot(f"{state}-{size}")


@pytest.mark.parametrize(
    ("state", "act"), [row[:2] for row in STATES], ids=[row[0] for row in STATES]
)
async def test_a_state_in_chinese(desk: LoginPage, stub: Stub, state: str, act: Act) -> None:
    stub.lang, stub.extra = "zh-CN", {"user_code": "WDJB-MJHT"}
    stub.fallback = stub.fallback.replace(
        "Log in with a password", texts("zh-CN")["pages"]["orWithPassword"]
    )
    await act(desk, stub)
    await desk.until(state)
    assert await strangers(desk.page, "zh-CN", DATA) == []
    assert await desk.element.evaluate("it => it.shadowRoot.querySelector('.card').lang") == "zh-CN"
    await desk.page.wait_for_function(
        "() => !document.querySelector('qr-login').shadowRoot.querySelector('[aria-disabled]')"
    )
    await desk.page.emulate_media(color_scheme="dark")
    assert await desk.axe() == []
    await desk.page.set_viewport_size({"width": 320, "height": 640})
    await desk.page.evaluate("() => { document.documentElement.style.fontSize = '32px' }")
    assert await desk.page.evaluate("() => document.documentElement.scrollWidth") <= 320
    await desk.page.evaluate("() => { document.documentElement.style.fontSize = '' }")
    await desk.page.emulate_media(color_scheme="light")
    await desk.page.set_viewport_size({"width": 420, "height": 600})
    await desk.shot(f"{state}-zh")


DATA = [
    re.escape("M•••a"),
    r"127\.0\.0\.1:\d+/qr|http://127\.0\.0\.1:\d+/qr",
    "WDJB-MJHT|W D J B, M J H T",
    "Log in",
]  # the last: the stub's heading


async def test_every_state_of_the_module_is_above(desk: LoginPage, stub: Stub) -> None:
    await desk.page.goto(stub.url)
    texts = await desk.page.evaluate(
        "async () => Object.keys((await import('/qrlogin/qr-login-texts.js')).TEXTS.en.login)"
    )
    assert {text.removesuffix("Hint") for text in texts if text.endswith("Hint")} == {
        row[0] for row in STATES
    }


async def test_an_application_has_its_own_words(desk: LoginPage, stub: Stub) -> None:
    """From the first one on: the module that imports the element comes before the element's first word."""
    stub.attributes += ' start="manual" lang="de"'
    stub.module = """import { TEXTS } from "/qrlogin/qr-login-texts.js"; import "/qrlogin/qr-login-element.js";
    TEXTS.de = { login: { idle: "Mit dem Telefon anmelden", start: "Code zeigen" } };"""
    await desk.page.goto(stub.url)
    await desk.until("idle")
    assert (await desk.text()).splitlines()[0] == "Mit dem Telefon anmelden"
    assert await desk.buttons() == ["Code zeigen"]


@pytest.mark.parametrize("scheme", ["light", "dark", "forced"])
async def test_the_picture_is_read_by_a_decoder_that_we_did_not_write(
    desk: LoginPage, stub: Stub, scheme: str
) -> None:
    if scheme == "forced":
        await desk.page.emulate_media(forced_colors="active")
    else:
        await desk.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await desk.page.goto(stub.url)
    await desk.until("pending")
    found = decode(Image.open(io.BytesIO(await desk.page.screenshot())))
    assert [each.decode().rsplit(".", 1)[0] for each in found] == [
        f"{stub.url}qr/{stub.login.login_id}"
    ]


async def test_the_picture_rotates_without_a_new_login(desk: LoginPage, stub: Stub) -> None:
    stub.rotation = 1
    await desk.page.goto(stub.url)
    await desk.until("pending")
    path = "it => it.shadowRoot.querySelector('[part=qr] path').getAttribute('d')"
    first = await desk.element.evaluate(path)
    await desk.eventually(
        lambda: desk.element.evaluate(path), lambda now: now != first, "another picture"
    )
    assert stub.count("begin") == 1


async def test_a_picture_that_is_too_old_to_scan_fades(desk: LoginPage, stub: Stub) -> None:
    stub.always["status"] = Fault.SILENT
    await desk.opens(stub.url)
    stale = "it => it.shadowRoot.querySelector('.picture').classList.contains('stale')"
    assert await desk.element.evaluate(stale) is False
    await desk.page.clock.fast_forward(29_000)
    assert await desk.element.evaluate(stale) is True
    assert "Expires within 2 minutes" in await desk.text()


async def test_the_countdown_is_calm(desk: LoginPage, stub: Stub) -> None:
    """Two minutes are announced four times; the ring, which nobody hears, moves all the time."""
    stub.always["status"] = Fault.SILENT
    await desk.opens(stub.url)
    await desk.element.evaluate(
        """it => { window.heard = [];
        const listen = new MutationObserver(() => heard.push(it.shadowRoot.querySelector('[part=note]').textContent));
        for (const region of it.shadowRoot.querySelectorAll('[role=status]'))
          listen.observe(region, {childList: true, characterData: true, subtree: true}) }"""
    )
    ring = (
        "it => Number(it.shadowRoot.querySelector('.remaining').style.getPropertyValue('--left'))"
    )
    lengths = []
    for _ in range(34):
        await desk.page.clock.run_for(1000)
        lengths.append(await desk.element.evaluate(ring))
    assert len(set(lengths)) == 34
    assert lengths == sorted(lengths, reverse=True)
    assert await desk.page.evaluate("() => heard.length") <= 3


async def test_released_on_the_phone(desk: LoginPage, stub: Stub) -> None:
    """Cancelled there, state_for_phone again: the picture comes back, and so may another person."""
    await moved("scanned")(desk, stub)
    await desk.until("scanned")
    stub.move("pending")
    await desk.until("pending")
    assert await desk.element.get_by_role("img", name="Login QR code").is_visible()
    stub.move("scanned", "B•b", "tag-of-bob")
    await desk.until("scanned")
    assert "Scanned by B•b" in await desk.text()
    stub.move("scanned", "M•••a", "tag-of-mina")
    await desk.eventually(desk.text, lambda text: "Scanned by M•••a" in text)


MOVING = "it => it.shadowRoot.getAnimations().length"


async def test_reduced_motion(desk: LoginPage, stub: Stub) -> None:
    await desk.page.emulate_media(reduced_motion="reduce")
    await moved("scanned")(desk, stub)
    await desk.until("scanned")
    assert await desk.element.evaluate(MOVING) == 0
    await desk.page.emulate_media(reduced_motion="no-preference")
    assert await desk.element.evaluate(MOVING) > 0


async def test_the_keyboard_alone(desk: LoginPage, stub: Stub) -> None:
    await manual(desk, stub)
    await desk.until("idle")
    await desk.ready()
    await desk.page.keyboard.press("Tab")
    await desk.page.keyboard.press("Enter")
    await desk.until("pending")
    assert await focused(desk) == "card", "the pressed button is gone, its place is not lost"
    stub.move("confirmed")
    await desk.until("confirmed")
    await desk.page.keyboard.press(
        "Enter"
    )  # on its way before the question came: it answers nothing
    await desk.page.wait_for_timeout(600)
    assert await desk.state() == "confirmed"
    await desk.page.keyboard.press("Tab")
    assert await focused(desk) == "Continue"
    await desk.shot("focus")
    await desk.page.keyboard.press("Tab")
    assert await focused(desk) == "That is not me"
    await desk.page.keyboard.press("Shift+Tab")
    await desk.page.keyboard.press("Enter")
    await desk.logged_in()


async def focused(desk: LoginPage) -> str:
    """The label of the button that has the focus, or the name of the part, or nothing."""
    return str(await desk.element.evaluate(FOCUSED))


FOCUSED = """it => { const at = it.shadowRoot.activeElement;
return at?.tagName === "BUTTON" ? at.textContent : at?.getAttribute("part") ?? "" }"""


async def test_the_question_takes_the_focus_only_when_nothing_else_has_it(
    desk: LoginPage, stub: Stub
) -> None:
    stub.around = '<label>Password <input id="field" type="password"></label>'
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.page.locator("#field").focus()
    stub.move("confirmed")
    await desk.until("confirmed")
    await desk.page.keyboard.type("hunter2")
    assert await desk.page.locator("#field").input_value() == "hunter2"
    await desk.page.reload()
    await desk.until("pending")
    assert await focused(desk) == ""
    stub.move("scanned")
    await desk.until("scanned")
    assert await focused(desk) == ""
    stub.move("confirmed")
    await desk.until("confirmed")
    assert await focused(desk) == "card"


async def test_a_click_from_before_the_question_answers_nothing(
    desk: LoginPage, stub: Stub
) -> None:
    """Somebody else scanned in the moment of the click: the same place on the screen now means another person."""
    await desk.page.clock.install()
    await moved("confirmed")(desk, stub)
    await desk.until("confirmed")
    await desk.page.clock.pause_at(await desk.page.evaluate("() => Date.now() / 1000 + 20"))
    stub.move("confirmed", "E•e", "tag-of-eve")
    await desk.eventually(desk.text, lambda text: "Continue as E•e?" in text)
    await desk.element.get_by_role("button", name="Continue").click(force=True)
    assert await desk.state() == "confirmed"
    assert stub.count("redeem") == 0
    await desk.page.clock.resume()
    await desk.press("Continue")
    await desk.logged_in()


async def test_without_javascript_the_children_stay(chromium: Browser, stub: Stub) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(stub.url)
    assert await page.get_by_role("link", name="Log in with a password").is_visible()
    await context.close()


async def test_the_policy_watch_bites(desk: LoginPage, stub: Stub) -> None:
    """What the other tests call clean is watched: a style attribute on the same page is reported."""
    await desk.page.goto(stub.url)
    await desk.page.evaluate("() => document.body.setAttribute('style', 'color: red')")
    told = {
        "policy violated: style-src",
        "Content Security Policy",
    }  # by the watch, and by Chromium itself
    await desk.eventually(
        lambda: {part for part in told for each in desk.problems if part in each}, told.__eq__
    )
    desk.problems.clear()


async def test_a_picture_may_be_of_any_size(desk: LoginPage, stub: Stub) -> None:
    await desk.page.goto(stub.url)
    await desk.until("pending")
    box = "it => it.shadowRoot.querySelector('[part=qr]').getAttribute('viewBox')"
    for text in ("a", "b" * 300):
        made = picture(text)
        stub.extra = {"qr": made}
        stub.move("pending")
        expected = f"0 0 {made['size']} {made['size']}"
        await desk.eventually(lambda: desk.element.evaluate(box), expected.__eq__, expected)
        found = decode(Image.open(io.BytesIO(await desk.page.screenshot())))
        assert found == [text.encode()]


@pytest.mark.parametrize(
    ("state", "tone"), [("denied", "alarm"), ("cancelled", "muted"), ("scanned", "accent")]
)
async def test_what_went_wrong_has_a_colour_of_its_own(
    desk: LoginPage, stub: Stub, state: str, tone: str
) -> None:
    await moved(state)(desk, stub)
    await desk.until(state)
    drawn = "it => getComputedStyle(it.shadowRoot.querySelector('.icon')).stroke"
    colours = {
        "accent": "rgb(11, 107, 91)",
        "alarm": "rgb(168, 64, 42)",
        "muted": "rgb(85, 98, 95)",
    }
    assert await desk.element.evaluate(drawn) == colours[tone]
