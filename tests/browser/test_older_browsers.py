"""The elements work in the oldest browsers that docs/element.md lists."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Route

from tests.browser.approve_page import ApprovePage, approve_page
from tests.browser.approve_stub import ApproveStub
from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub
from tests.browser.test_approve_states import click

ROOT = Path(__file__).parent.parent.parent
SHEETS = sorted([*ROOT.glob("examples/*/static/*.css"), *ROOT.glob("qrlogin/demo/assets/*.css")])
NEW_COLOURS = ("light-dark(", "color-mix(")

#: What the oldest browsers of docs/element.md lack.
NEW_FUNCTIONS = [
    *("URL.canParse", "URL.parse", "Object.hasOwn", "Object.groupBy"),
    *("AbortSignal.any", "AbortSignal.timeout"),
    *("AbortSignal.prototype.throwIfAborted", "AbortSignal.prototype.reason", "Array.fromAsync"),
    *("Array.prototype.findLast", "Array.prototype.toSorted", "Array.prototype.with"),
    *("Array.prototype.at", "String.prototype.at", "window.trustedTypes"),
    *(
        "Promise.withResolvers",
        "Promise.try",
        "Crypto.prototype.randomUUID",
        "window.structuredClone",
    ),
    *("HTMLElement.prototype.showPopover", "ElementInternals.prototype.states"),
    "Intl.Segmenter",
]
WITHOUT = "".join(
    f"delete {owner}.{name};"
    f"if ({owner}.{name} !== undefined) throw new Error('{owner}.{name} is still there');"
    for owner, _, name in (function.rpartition(".") for function in NEW_FUNCTIONS)
)

#: The contrast of each button and field, as in WCAG: of its text, and of its edge or background.
CONTRASTS = r"""() => {
  const number = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number); return { r, g, b, a } };
  const above = (it) => it.parentElement ?? it.getRootNode().host;
  const ground = (it) => {
    const here = number(it ? getComputedStyle(it).backgroundColor : "rgb(255, 255, 255)");
    return here.a ? here : ground(above(it)) };
  const light = ({ r, g, b }) => [r, g, b].map((part) => part / 255)
    .map((part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [.2126, .7152, .0722][index], 0);
  const contrast = (one, two) => {
    const [low, high] = [light(one), light(two)].sort((a, b) => a - b);
    return (high + .05) / (low + .05) };
  const inside = (root) => [...root.querySelectorAll("*")]
    .flatMap((it) => [it, ...(it.shadowRoot ? inside(it.shadowRoot) : [])]);
  const seen = inside(document).filter((it) => it.matches("button, input") && it.checkVisibility());
  return seen.map((it) => {
    const style = getComputedStyle(it), around = ground(above(it));
    const line = number(style.borderTopColor), drawn = parseFloat(style.borderTopWidth) > 0;
    // A transparent border is intended: that button looks like a link.
    const edge = !drawn ? 1 : line.a ? contrast(line, around) : 21;
    return { name: it.textContent || it.localName, text: contrast(number(style.color), ground(it)),
      shape: Math.max(edge, contrast(ground(it), around)) } }) }"""


async def forget_colours(context: BrowserContext) -> None:
    """Makes the browser reject the new colour functions, in values and in @supports."""

    async def older(route: Route) -> None:
        answer = await route.fetch()
        text = await answer.text()
        for name in NEW_COLOURS:
            text = text.replace(name, "no-such-function(")
        await route.fulfill(response=answer, body=text)

    await context.route(lambda url: url.endswith((".js", ".css")), older)


async def all_can_be_seen(login_page: LoginPage, name: str) -> None:
    await login_page.ready()
    for scheme in ("light", "dark"):
        await login_page.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        found = await login_page.page.evaluate(CONTRASTS)
        assert found, "the page has buttons"
        await login_page.shot(f"{name}-{scheme}")
        lost = [item for item in found if item["text"] < 4.5 or item["shape"] < 3]
        assert lost == [], f"{name}, {scheme}"


@asynccontextmanager
async def older_approve_page(chromium: Browser, shots: Path) -> AsyncIterator[ApprovePage]:
    async with approve_page(chromium, shots) as phone:
        await forget_colours(phone.context)
        await phone.page.add_init_script(WITHOUT)
        yield phone


async def test_without_light_dark_the_login_page_shows_its_buttons(
    login_page: LoginPage, stub: Stub
) -> None:
    await forget_colours(login_page.context)
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move("confirmed")
    await login_page.until("confirmed")
    await all_can_be_seen(login_page, "confirmed")


async def test_without_light_dark_the_phones_page_shows_its_buttons(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        stub.attributes += " typed"
        async with older_approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(f"{stub.origin}/qr")
            await phone.until("typing")
            await all_can_be_seen(phone, "typing")
            await phone.ask(stub.url)
            await all_can_be_seen(phone, "ask")


@pytest.mark.parametrize("sheet", SHEETS, ids=[sheet.parent.parent.name for sheet in SHEETS])
async def test_without_light_dark_a_style_sheet_shows_buttons(
    login_page: LoginPage, sheet: Path
) -> None:
    css = sheet.read_text(encoding="utf-8")
    for name in NEW_COLOURS:
        css = css.replace(name, "no-such-function(")
    await login_page.page.set_content(
        f'<style>{css}</style><main><div class="card"><form><input value="text">'
        '<button class="button">Plain</button><button class="button primary">First</button>'
        "</form></div></main>"
    )
    await all_can_be_seen(login_page, "page")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_colours_follow_the_scheme_of_the_page(
    login_page: LoginPage, stub: Stub, scheme: str
) -> None:
    """The system's preference does not count: a page that is always dark gets dark buttons."""
    await login_page.page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.element.evaluate(
        "(it, to) => { it.parentElement.style.colorScheme = to }", scheme
    )
    card = login_page.element.locator(".card")
    surface = await card.evaluate("it => getComputedStyle(it).backgroundColor")
    assert surface == {"light": "rgb(255, 255, 255)", "dark": "rgb(24, 33, 31)"}[scheme]


@pytest.mark.parametrize("stream", ["", "events", "socket"])
async def test_without_new_functions_the_login_page_logs_in(
    login_page: LoginPage, stub: Stub, stream: str
) -> None:
    stub.attributes += f' stream="{stream}"'
    await login_page.page.add_init_script(WITHOUT)
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    if stream:
        await login_page.eventually(lambda: stub.count(stream), what="a stream")
    await login_page.turn("hidden")
    await login_page.turn("visible")
    for state in ("scanned", "confirmed"):
        stub.move(state, shown_as="M" * 90)  # too long to be shown whole
        await login_page.until(state)
    await login_page.press("Continue")
    await login_page.logged_in()
    assert stub.count(stream) == 2 if stream else True


@pytest.mark.parametrize("path", ["", "?user_code=WDJB-MJHT"], ids=["scanned", "linked"])
async def test_without_new_functions_the_phone_approves(
    chromium: Browser, tmp_path: Path, path: str
) -> None:
    with ApproveStub() as stub:
        stub.context["browser"] = "x" * 170  # too long to be shown whole
        async with older_approve_page(chromium, tmp_path) as phone:
            await (phone.ask_typed(f"{stub.origin}/qr{path}") if path else phone.ask(stub.url))
            await click(phone, ".approve")
            await phone.until("approved")
        assert stub.kinds(reads=False) == ["scan", "confirm"]
