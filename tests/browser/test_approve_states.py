"""Every view of <qr-approve>, reached one by one: what it says, in which language, and whether everybody can use it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser

from qrlogin.browser import LANGUAGES, texts
from tests.browser.approve_stub import CHILDREN, CODE, CONTEXT, ApproveStub
from tests.browser.stub import CSP, Fault, problem
from tests.browser.thumb import FITS, Thumb, thumb

#: How a scan goes wrong, by the view that says so.
REFUSED: Mapping[str, tuple[int, str]] = {
    "gone": (404, "unknown_login"),
    "taken": (409, "already_scanned"),
    "denied": (409, "denied"),
    "cancelled": (409, "cancelled"),
    "used": (409, "already_redeemed"),
    "moved": (409, "wrong_state"),
    "expired": (410, "expired"),
    "signin": (401, "unauthenticated"),
    "stale": (403, "forbidden"),
    "refused": (404, "not_found"),
}
STATES = [
    *("found", "typing", "aim", "looking", "ask", "sending", "approved", "redeemed", "released", "late"),
    *("guesses", "unavailable", "offline", "framed", *REFUSED),
]
ENDS = [state for state in STATES if state not in ("found", "typing", "aim", "looking", "ask", "sending", "framed", "signin")]
ACTIONS = {
    "found": ["look"],
    "ask": ["deny", "approve", "release"],
    "approved": ["stop"],
    "released": ["rescan"],
    "moved": ["rescan"],
    "signin": ["again"],
    "offline": ["again"],
    "unavailable": ["again"],
    "stale": ["reload"],
    "typing": ["lookUp"],
}


async def click(hand: Thumb, selector: str) -> None:
    await hand.ready()
    await hand.element.locator(f"button{selector}").click()


async def reach(hand: Thumb, stub: ApproveStub, state: str) -> None:
    """Opens the page and does what leads to this view, without reading a word of it."""
    stub.state = {"redeemed": "redeemed"}.get(state, "pending")
    stub.faults.clear()
    stub.always.clear()
    stub.attributes = stub.attributes.replace(" typed", "") + (" typed" if state == "typing" else "")
    await hand.page.goto(f"{stub.origin}/qr" if state in ("typing", "aim") else stub.url)
    if state in ("typing", "aim", "found"):
        await hand.until(state)
        return
    if state in REFUSED:
        stub.faults["scan"].append(problem(*REFUSED[state]))
    elif state == "guesses":
        stub.faults["scan"].append(problem(429, "too_many_guesses", retry_after=600))
    elif state == "unavailable":
        stub.faults["scan"].append(problem(503, "unavailable", retry_after=60))
    elif state == "looking":
        stub.faults["scan"].append(Fault.SILENT)
    await hand.until("found")
    if state == "offline":
        await hand.context.set_offline(True)
    await click(hand, "")
    if state in ("sending", "approved", "late", "released"):
        await hand.until("ask")
        if state == "sending":
            stub.faults["confirm"].append(Fault.SILENT)
        await click(hand, ".quiet" if state == "released" else ".approve")
    if state == "late":
        await hand.until("approved")
        stub.state = "redeemed"
        await click(hand, ".quiet")
    await hand.until(state)
    await hand.eventually(lambda: not any([*stub.faults.values()]), what="everything planned for this view")
    await hand.context.set_offline(False)


def test_the_list_is_complete() -> None:
    strings = texts("en")["approve"]
    assert sorted(STATES) == sorted({key for key in strings if f"{key}Text" in strings} | {"guesses"})


@pytest.mark.long
@pytest.mark.parametrize("lang", LANGUAGES)
async def test_every_view_in_every_language(chromium: Browser, tmp_path: Path, lang: str) -> None:
    """By axe, light and dark; fits; one heading; the focus on it; the right buttons; children only where they help."""
    strings = texts(lang)["approve"]
    with ApproveStub(lang=lang) as stub:
        async with thumb(chromium, tmp_path) as hand:
            for state in (each for each in STATES if each != "framed"):
                await reach(hand, stub, state)
                wanted = {"ask": "ask", "guesses": "guesses"}.get(state, state)
                assert await hand.title() == strings[wanted].replace("{account}", "Alice"), state
                assert await hand.element.evaluate("it => it.shadowRoot.activeElement?.localName") == "h1", state
                assert await hand.buttons() == [strings[action] for action in ACTIONS.get(state, [])], state
                assert await hand.page.locator("#children").is_visible() == (state in ("signin", "refused")), state
                assert await hand.page.locator("[slot=report]").is_visible() == (state in ("denied", "late")), state
                assert await hand.page.locator("[slot=end]").is_visible() == (state in ENDS), state
                assert await hand.element.get_by_role("link", name=strings["home"]).count() == (state in ENDS), state
                assert await hand.page.evaluate(FITS), state
                await hand.ready()
                scheme: Literal["light", "dark"]
                for scheme in ("light", "dark") if lang == "en" else ("light",):  # colours speak no language
                    await hand.page.emulate_media(color_scheme=scheme)
                    assert await hand.axe() == [], (state, scheme)
                    await hand.shot(f"{lang}-{state}-{scheme}")


MARKED = """import { TEXTS } from "/qrlogin/qr-login-texts.js";
for (const [key, text] of Object.entries(TEXTS.en.approve)) TEXTS.en.approve[key] = text && `⟦${text}⟧`;
import("/qrlogin/qr-approve-element.js");"""
BLOCKS = "h1, p, dt, dd, button, a, label, input"
OUTSIDE = """(it, blocks) => [...it.shadowRoot.querySelectorAll(blocks)].flatMap(block => [block.textContent,
  ...["aria-label", "title", "placeholder", "alt", "value"].map(name => block.getAttribute(name) ?? "")])
  .map(text => text.replace(/⟦[^⟦⟧]*⟧/g, "")).filter(Boolean)"""


@pytest.mark.long
async def test_no_word_comes_from_elsewhere(chromium: Browser, tmp_path: Path) -> None:
    """What is not marked is what the server or the application said."""
    with ApproveStub(module=MARKED, children="") as stub:
        stub.attributes += ' site="Example"'
        data = {*CONTEXT.values(), "Example", stub.origin.removeprefix("http://"), "Alice", f"Example{stub.origin[7:]}"}
        async with thumb(chromium, tmp_path) as hand:
            for state in (each for each in STATES if each != "framed"):
                await reach(hand, stub, state)
                loose = await hand.element.evaluate(OUTSIDE, BLOCKS)
                assert set(loose) <= data, state
                blocks = await hand.element.evaluate("it => it.shadowRoot.textContent")
                assert "⟦" in blocks, state


TARGETS = """it => [...it.shadowRoot.querySelectorAll("button, a, input")].map(each => {
  const box = each.getBoundingClientRect(); return [each.localName, box.width, box.height] })"""  # not the application's own


async def test_a_language_that_is_half_done(chromium: Browser, tmp_path: Path) -> None:
    module = """import { TEXTS } from "/qrlogin/qr-login-texts.js";
    TEXTS.fr = { approve: { found: "Une connexion est demandée" } };
    import("/qrlogin/qr-approve-element.js");"""
    with ApproveStub(module=module, lang="fr-CA") as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.goto(stub.url)
            await hand.until("found")
            assert await hand.title() == "Une connexion est demandée"
            assert await hand.buttons() == ["View details"]


@pytest.mark.parametrize("state", ["ask", "found", "denied", "typing"])
@pytest.mark.parametrize("width", [320, 195], ids=["320px", "390px-at-200%"])
async def test_narrow_and_enlarged(chromium: Browser, tmp_path: Path, width: int, state: str) -> None:
    """200 % zoom halves the CSS pixels of a phone of 390."""
    with ApproveStub(context={**CONTEXT, "ticket": "x" * 100}) as stub:
        async with thumb(chromium, tmp_path, viewport={"width": width, "height": 600}) as hand:
            await reach(hand, stub, state)
            assert await hand.page.evaluate(FITS)
            sizes = await hand.element.evaluate(TARGETS)
            assert sizes
            assert [each for each in sizes if min(each[1:]) < 44] == []
            await hand.shot(f"{state}-{width}")


async def test_still_and_without_colours(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path, reduced_motion="reduce", forced_colors="active") as hand:
            await reach(hand, stub, "looking")
            animated = "it => it.shadowRoot.getAnimations({subtree: true}).length"
            assert await hand.element.evaluate(animated) == 0
            await hand.shot("forced-looking")
            await reach(hand, stub, "ask")
            assert await hand.axe() == []
            await hand.shot("forced-ask")
        async with thumb(chromium, tmp_path) as hand:
            await reach(hand, stub, "looking")
            assert await hand.element.evaluate(animated) > 0, "the measure sees what moves"


async def test_a_frame_is_told_why(chromium: Browser, tmp_path: Path) -> None:
    """Where no header forbids it, the element itself refuses. The way out leads to the page, without the code."""
    with ApproveStub(policy=CSP.replace("frame-ancestors 'none'; ", "")) as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.goto(f"{stub.origin}/frame")
            inside = hand.page.frame_locator("iframe").locator("qr-approve[state=framed]")
            await inside.get_by_role("heading", name="This page cannot be used here").wait_for()
            assert await inside.get_by_role("button").count() == 0
            assert await inside.get_by_role("link", name="Open in a new tab").get_attribute("href") == f"{stub.origin}/qr"
            frame = hand.page.frames[1]
            await frame.evaluate("() => { const it = document.querySelector('qr-approve'); it.start(); it.code = 'x' }")
            assert await inside.get_attribute("state") == "framed"
            assert CODE not in await inside.evaluate("it => it.outerHTML + it.shadowRoot.innerHTML")
            await hand.page.wait_for_timeout(600)  # no press counts for half a second after a view appears
            async with hand.context.expect_page() as opened:
                await inside.get_by_role("link", name="Open in a new tab").click()
            page = await opened.value
            await page.locator("qr-approve[state=aim]").wait_for()
            assert stub.calls == []


async def test_our_pages_cannot_be_framed_at_all(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            hand.forgives("frame-ancestors")
            hand.forgives("chrome-error")
            await hand.page.goto(f"{stub.origin}/frame")
            await hand.page.get_by_role("heading", name="A frame").wait_for()
            await hand.eventually(lambda: "/qr/" in str(stub.pages))
            assert not [each for each in hand.page.frames if each.url.endswith(CODE)]


async def test_without_javascript_the_children_are_there(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path, java_script_enabled=False) as hand:
            await hand.page.goto(stub.url)
            assert await hand.page.locator("#children").is_visible()
            assert "Sign in here" in CHILDREN
