"""Every view of <qr-approve>: what it shows, in each language, and whether it is accessible."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser

from qrlogin.browser import LANGUAGES, texts
from tests.browser.approve_page import FITS, ApprovePage, approve_page
from tests.browser.approve_stub import CHILDREN, CODE, CONTEXT, ApproveStub, outcome
from tests.browser.login_stub import CSP, Fault, problem
from tests.security_rows import row

#: The error of the look that leads to each view.
REFUSED: Mapping[str, tuple[int, str]] = {
    "gone": (404, "unknown_login"),
    "taken": (409, "already_scanned"),
    "denied": (409, "denied"),
    "cancelled": (409, "cancelled"),
    "used": (409, "already_redeemed"),
    "moved": (409, "wrong_state"),
    "expired": (410, "expired"),
    "signin": (401, "unauthenticated"),
    "refused": (404, "not_found"),
    "blocked": (403, "denied_by_site"),
    "stepup": (403, "step_up_needed"),
}
STATES = [
    *(
        "found",
        "typing",
        "aim",
        "looking",
        "ask",
        "sending",
        "approved",
        "redeemed",
        "uncollected",
        "over",
        "released",
        "late",
        "stopped",
        "short",
        "match",
        "mismatched",
    ),
    *("guesses", "unavailable", "offline", "framed", "stale", *REFUSED),
]
ENDS = [
    state
    for state in STATES
    if state
    not in (
        *("found", "typing", "aim", "looking", "ask", "match", "sending", "framed", "signin"),
        "stepup",
    )
]
AFTER_A_PRESS = [
    *("sending", "approved", "late", "stopped", "released", "offline", "uncollected", "over"),
    *("stale", "match", "mismatched"),
]
ACTIONS = {
    "found": ["look"],
    "ask": ["deny", "approve"],
    "approved": ["stop"],
    "released": ["rescan"],
    "moved": ["rescan"],
    "blocked": ["rescan"],
    "stepup": ["rescan"],
    "signin": ["again"],
    "offline": ["again"],
    "unavailable": ["again"],
    "stale": ["reload"],
    "typing": ["lookUp"],
    "match": ["sendDigits", "deny"],
}


async def click(phone: ApprovePage, selector: str) -> None:
    await phone.ready()
    await phone.element.locator(f"button{selector}").click()


async def reach(phone: ApprovePage, stub: ApproveStub, state: str) -> None:
    """Opens the page and does what leads to this view, in any language."""
    stub.state = {"redeemed": "redeemed", "released": "scanned", "short": "scanned"}.get(
        state, "pending"
    )
    stub.match_digits = 3 if state in ("match", "mismatched") else 0
    stub.lifetime = 19 if state == "short" else 100
    stub.faults.clear()
    stub.always.clear()
    stub.attributes = stub.attributes.replace(" typed", "") + (
        " typed" if state == "typing" else ""
    )
    if state in REFUSED:
        stub.faults["look"].append(problem(*REFUSED[state]))
    elif state == "guesses":
        stub.faults["look"].append(problem(429, "too_many_guesses", retry_after=600))
    elif state == "unavailable":
        stub.faults["look"].append(problem(503, "unavailable", retry_after=60))
    elif state == "looking":
        stub.faults["look"].append(Fault.SILENT)
    paths = {"typing": "/qr", "aim": "/qr", "found": "/qr/WDJB-MJHT"}
    await phone.page.goto(stub.origin + paths[state] if state in paths else stub.url)
    if state in (
        "sending",
        "approved",
        "late",
        "stopped",
        "released",
        "offline",
        "uncollected",
        "over",
        "stale",
        "match",
        "mismatched",
    ):
        await phone.until("ask")
        if state == "stale":
            stub.faults["scan"].append(problem(403, "csrf_failed"))
        if state == "sending":
            stub.faults["scan"].append(Fault.SILENT)
        if state == "offline":
            await phone.context.set_offline(True)
        if state == "uncollected":
            stub.always["outcome"] = outcome("expired")
        if state == "over":
            stub.always["outcome"] = problem(404, "unknown_login")
        await click(phone, ".quiet" if state == "released" else ".approve")
    if state == "mismatched":
        stub.faults["confirm"].append(problem(409, "wrong_match", tries_left=0))
        await phone.until("match")
        await phone.element.locator("input").fill("123")
        await click(phone, ".primary")
    if state in ("late", "stopped"):
        await phone.until("approved")
        stub.state = "redeemed" if state == "late" else stub.state
        await click(phone, ".quiet")
    await phone.until(state)
    await phone.eventually(
        lambda: not any([*stub.faults.values()]), what="everything planned for this view"
    )
    await phone.context.set_offline(False)


@row(512)
def test_the_list_of_states_is_complete() -> None:
    strings = texts("en")["approve"]
    assert sorted(STATES) == sorted(
        {key for key in strings if f"{key}Text" in strings} | {"guesses"}
    )


#: In which axe looks: the colours and the structure are the same in every language.
SCHEMES: Mapping[str, tuple[Literal["light", "dark"], ...]] = {
    "en": ("light", "dark"),
    "zh-CN": ("light",),
    "ar": ("light",),
}


@row(501, 516)
@pytest.mark.matrix
@pytest.mark.parametrize("lang", LANGUAGES)
async def test_every_view_is_accessible_in_every_language(
    chromium: Browser, tmp_path: Path, lang: str
) -> None:
    """axe finds nothing, in light and in dark. The page fits, and its heading has the focus.

    The right buttons, links and children are visible.
    """
    strings = texts(lang)["approve"]
    with ApproveStub(lang=lang) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            for state in (view for view in STATES if view != "framed"):
                await reach(phone, stub, state)
                wanted = {"redeemed": "redeemedSystem"}.get(state, state)
                title = strings[wanted].replace("{account}", "Alice")
                for fact in ("browser", "system"):
                    title = title.replace(f"{{{fact}}}", str(CONTEXT[fact]))
                assert await phone.title() == title, state
                assert (
                    await phone.element.evaluate("it => it.shadowRoot.activeElement?.localName")
                    == "h1"
                ), state
                assert await phone.buttons() == [
                    strings[action] for action in ACTIONS.get(state, [])
                ], state
                assert await phone.page.locator("#children").is_visible() == (
                    state in ("signin", "refused")
                ), state
                assert await phone.page.locator("[slot=report]").is_visible() == (
                    state in ("denied", "late")
                ), state
                assert await phone.page.locator("[slot=end]").is_visible() == (state in ENDS), state
                assert await phone.element.get_by_role("link", name=strings["home"]).count() == (
                    state in (*ENDS, "aim")
                ), state
                assert await phone.page.evaluate(FITS), state
                await phone.ready()
                for scheme in SCHEMES.get(lang, ()):
                    await phone.page.emulate_media(color_scheme=scheme)
                    assert await phone.axe() == [], (state, scheme)
                    await phone.shot(f"{lang}-{state}-{scheme}")


MARKED = """import { TEXTS } from "/qrlogin/qr-login-texts.js";
for (const texts of [TEXTS.en.both, TEXTS.en.approve])
  for (const key in texts) texts[key] &&= `⟦${texts[key]}⟧`;
import("/qrlogin/qr-approve-element.js");"""
BLOCKS = "h1, p, dt, dd, button, a, label, input"
OUTSIDE = """(it, blocks) => [...it.shadowRoot.querySelectorAll(blocks)]
  .flatMap(block => [block.textContent, ...["aria-label", "title", "placeholder", "alt", "value"]
    .map(name => block.getAttribute(name) ?? "")])
  .map(text => text.replace(/⟦[^⟦⟧]*⟧/g, "")).filter(Boolean)"""


@pytest.mark.matrix
async def test_every_text_comes_from_the_catalogue(chromium: Browser, tmp_path: Path) -> None:
    """Every text without a mark comes from the server or from the application."""
    with ApproveStub(module=MARKED, children="") as stub:
        stub.attributes += ' site="Example"'
        data = {
            *CONTEXT.values(),
            "Example",
            "WDJB-MJHT",
            stub.origin.removeprefix("http://"),
            "Alice",
            f"Example{stub.origin[7:]}",
        }
        async with approve_page(chromium, tmp_path) as phone:
            for state in (view for view in STATES if view != "framed"):
                await reach(phone, stub, state)
                loose = await phone.element.evaluate(OUTSIDE, BLOCKS)
                by_intl = {text for text in loose if re.fullmatch("now|[0-9]+ seconds ago", text)}
                assert set(loose) - by_intl <= data, state
                blocks = await phone.element.evaluate("it => it.shadowRoot.textContent")
                assert "⟦" in blocks, state


#: The sizes of what people press, without the children that the application wrote.
TARGETS = """it => [...it.shadowRoot.querySelectorAll("button, a, input")].map(target => {
  const box = target.getBoundingClientRect(); return [target.localName, box.width, box.height] })"""


async def test_a_text_that_a_language_lacks_is_shown_in_english(
    chromium: Browser, tmp_path: Path
) -> None:
    module = """import { TEXTS } from "/qrlogin/qr-login-texts.js";
    TEXTS.it = { approve: { aim: "Scansiona il codice" } };
    import("/qrlogin/qr-approve-element.js");"""
    with ApproveStub(module=module, lang="it-CH") as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(f"{stub.origin}/qr")
            await phone.until("aim")
            assert await phone.title() == "Scansiona il codice"
            assert "Open the camera on this phone" in await phone.text()


@row(503)
@pytest.mark.parametrize("state", ["ask", "found", "denied", "typing"])
@pytest.mark.parametrize("width", [320, 195], ids=["320px", "390px-at-200%"])
async def test_a_narrow_or_enlarged_page_fits(
    chromium: Browser, tmp_path: Path, width: int, state: str
) -> None:
    """At 200 % zoom, a phone of 390 CSS pixels has 195."""
    with ApproveStub(context={**CONTEXT, "ticket": "x" * 100}) as stub:
        async with approve_page(
            chromium, tmp_path, viewport={"width": width, "height": 600}
        ) as phone:
            await reach(phone, stub, state)
            assert await phone.page.evaluate(FITS)
            sizes = await phone.element.evaluate(TARGETS)
            assert sizes
            assert [size for size in sizes if min(size[1:]) < 44] == []
            await phone.shot(f"{state}-{width}")


@row(507)
async def test_reduced_motion_and_forced_colours_are_respected(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(
            chromium, tmp_path, reduced_motion="reduce", forced_colors="active"
        ) as phone:
            await reach(phone, stub, "looking")
            animated = "it => it.shadowRoot.getAnimations({subtree: true}).length"
            assert await phone.element.evaluate(animated) == 0
            await phone.shot("forced-looking")
            await reach(phone, stub, "ask")
            assert await phone.axe() == []
            await phone.shot("forced-ask")
        async with approve_page(chromium, tmp_path) as phone:
            await reach(phone, stub, "looking")
            assert await phone.element.evaluate(animated) > 0, "the measure finds animations"


@row(16, 417)
async def test_inside_a_frame_the_element_says_why_it_refuses(
    chromium: Browser, tmp_path: Path
) -> None:
    """If no header forbids frames, the element itself refuses.

    Its link leads to the page without the code.
    """
    with ApproveStub(policy=CSP.replace("frame-ancestors 'none'; ", "")) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(f"{stub.origin}/frame")
            inside = phone.page.frame_locator("iframe").locator("qr-approve[state=framed]")
            await inside.get_by_role("heading", name="This page cannot be used here").wait_for()
            assert await inside.get_by_role("button").count() == 0
            assert (
                await inside.get_by_role("link", name="Open in a new tab").get_attribute("href")
                == f"{stub.origin}/qr"
            )
            frame = phone.page.frames[1]
            await frame.evaluate(
                "() => { const it = document.querySelector('qr-approve');"
                " it.start(); it.code = 'x' }"
            )
            assert await inside.get_attribute("state") == "framed"
            assert CODE not in await inside.evaluate("it => it.outerHTML + it.shadowRoot.innerHTML")
            # No press counts for half a second after a view appears.
            await phone.page.wait_for_timeout(600)
            async with phone.context.expect_page() as opened:
                await inside.get_by_role("link", name="Open in a new tab").click()
            page = await opened.value
            await page.locator("qr-approve[state=aim]").wait_for()
            assert stub.calls == []


async def test_a_page_that_forbids_frames_is_not_framed(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            phone.forgives("frame-ancestors")
            phone.forgives("chrome-error")
            await phone.page.goto(f"{stub.origin}/frame")
            await phone.page.get_by_role("heading", name="A frame").wait_for()
            await phone.eventually(lambda: "/qr/" in str(stub.pages))
            assert not [frame for frame in phone.page.frames if frame.url.endswith(CODE)]


@pytest.mark.parametrize("touch", [True, False], ids=["phone", "computer"])
async def test_the_page_without_a_code_says_what_to_do_on_this_device(
    chromium: Browser, tmp_path: Path, touch: bool
) -> None:
    """A computer is not asked to scan its own screen. Both have a link home."""
    options: dict[str, object] = {} if touch else {"viewport": {"width": 1280, "height": 800}}
    with ApproveStub() as stub:
        async with approve_page(
            chromium, tmp_path, is_mobile=touch, has_touch=touch, **options
        ) as phone:
            await phone.page.goto(f"{stub.origin}/qr")
            await phone.until("aim")
            title, text = (
                ("Scan the QR code", "Open the camera on this phone")
                if touch
                else ("This page is for phones", "To log in on this computer")
            )
            assert await phone.title() == title
            assert text in await phone.text()
            home = phone.element.get_by_role("link", name="Home")
            assert await home.get_attribute("href") == f"{stub.origin}/start"
            assert await phone.axe() == []
            await phone.shot(f"aim-{touch}")


async def test_no_question_is_asked_with_less_than_20_seconds_left(
    chromium: Browser, tmp_path: Path
) -> None:
    """A page that is loaded again late says so. A question that is on the screen goes on."""
    with ApproveStub(state="scanned", lifetime=20) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            stub.lifetime = 19
            await phone.turn("hidden")
            await phone.turn("visible")
            await phone.eventually(lambda: stub.kinds().count("look") == 2)
            await phone.answered()
            assert await phone.state() == "ask"
            await phone.page.reload()
            await phone.until("short")
            assert await phone.title() == "Too little time is left"
            assert "Get a new code" in await phone.text()
            assert await phone.buttons() == []


async def test_without_javascript_the_children_are_visible(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path, java_script_enabled=False) as phone:
            await phone.page.goto(stub.url)
            assert await phone.page.locator("#children").is_visible()
            assert "Sign in here" in CHILDREN
