"""<qr-approve> inside frameworks: properties, late attributes, moves, morphs, and a server."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from npm_parts import node
from playwright.async_api import Browser

from qrlogin.browser import MODULES, module
from tests.browser.approve_page import approve_page
from tests.browser.approve_stub import CODE, ApproveStub
from tests.browser.login_stub import problem

YES = "Yes, log in"
MOUNTED = {"src": "/qrlogin/phone/", "at": "/qr"}
#: A module that builds the element with a script, as a framework does.
BUILD = """import("/qrlogin/qr-approve-element.js");
document.querySelector("qr-approve").remove();
const it = window.it = document.createElement("qr-approve");"""


def built(script: str) -> ApproveStub:
    return ApproveStub(module=BUILD + script, attributes="", children="")


def properties(**values: Any) -> str:
    return f"Object.assign(it, {json.dumps({**MOUNTED, **values})});"


async def test_every_attribute_is_a_property(chromium: Browser, tmp_path: Path) -> None:
    """A property shows the attribute and writes it. No value at all removes the attribute."""
    texts = ["src", "at", "account", "site", "home", "csrfHeader", "csrfToken"]
    script = """(it, names) => { const seen = []; for (const name of names) {
      const attribute = name.replace("csrfH", "csrf-h").replace("csrfT", "csrf-t");
      it[name] = "/x"; seen.push(it.getAttribute(attribute), it[name]);
      for (const none of [null, undefined, false, NaN]) {
        it[name] = "/x"; it[name] = none;
        seen.push(it.hasAttribute(attribute), it[name]) } }
      return seen }"""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            phone.forgives("src must be a path")
            await phone.ask(stub.url)
            expected = ["/x", "/x", *[False, ""] * 4] * len(texts)
            assert await phone.element.evaluate(script, texts) == expected
            flag = """it => [true, false, 1, null, undefined, NaN].map(value => {
              it.typed = value; return [it.hasAttribute("typed"), it.typed] })"""
            on, off = [True, True], [False, False]
            assert await phone.element.evaluate(flag) == [on, off, on, off, off, off]


async def test_no_property_has_the_name_of_a_method(chromium: Browser, tmp_path: Path) -> None:
    """A framework that sets a property would replace the method."""
    script = """it => it.constructor.observedAttributes.map(
      name => typeof it[name.replace(/-./, dash => dash[1].toUpperCase())])"""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            assert set(await phone.element.evaluate(script)) == {"string", "boolean"}


FLAGS = {
    "": "aim",
    "typed": "typing",
    'typed=""': "typing",
    'typed="true"': "typing",
    **{f'typed="{value}"': "aim" for value in ("false", "null", "undefined", "NaN")},
}


async def test_a_flag_that_a_framework_writes_as_false_is_off(
    chromium: Browser, tmp_path: Path
) -> None:
    async with approve_page(chromium, tmp_path) as phone:
        for written, state in FLAGS.items():
            with ApproveStub() as stub:
                stub.attributes += f" {written}"
                await phone.page.goto(f"{stub.origin}/qr")
                await phone.until(state)
                await phone.page.goto("about:blank")


async def test_a_code_without_a_value_is_no_code(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(f"{stub.origin}/qr")
            for none in ("null", "undefined", "false", "NaN", "''"):
                await phone.until("aim")
                await phone.element.evaluate("it => { it.code = 'what-the-scanner-read' }")
                await phone.until("ask")
                await phone.element.evaluate(f"it => {{ it.code = {none} }}")
            await phone.until("aim")
            assert {call.body["code"] for call in stub.calls} == {"what-the-scanner-read"}


async def test_properties_that_are_set_before_the_definition_count(
    chromium: Browser, tmp_path: Path
) -> None:
    given = properties(account="Mina", code="what-the-scanner-read", csrfHeader="X-C", csrfToken=7)
    with built(f"{given} document.querySelector('main').append(it)") as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(f"{stub.origin}/qr")
            assert await phone.title() == "Log this browser in as Mina?"
            assert [call.body["code"] for call in stub.calls] == ["what-the-scanner-read"]
            assert stub.calls[0].headers["x-c"] == "7"
            assert await phone.element.get_attribute("csrf-token") == "7"


@pytest.mark.parametrize("late", ["properties", "attributes"])
async def test_attributes_that_come_late_count(
    chromium: Browser, tmp_path: Path, late: str
) -> None:
    """They come after the element is on the page, one by one. Nothing is sent before."""
    script = "setTimeout(() => {" + (
        properties(csrfHeader="X-C", csrfToken="t") + "setTimeout(() => { it.account = 'Mina' })"
        if late == "properties"
        else """for (const [name, value] of [["src", "/qrlogin/phone/"], ["at", "/qr"],
          ["csrf-header", "X-C"], ["csrf-token", "t"]]) it.setAttribute(name, value);
          setTimeout(() => it.setAttribute("account", "Mina"));"""
    )
    with built(f"document.querySelector('main').append(it); {script} }}, 100)") as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.eventually(phone.title, lambda seen: seen == "Log this browser in as Mina?")
            assert {call.headers["x-c"] for call in stub.calls} == {"t"}
            assert {call.body["code"] for call in stub.calls} == {stub.url}


async def test_a_new_account_is_shown_without_another_look(
    chromium: Browser, tmp_path: Path
) -> None:
    """A new token does not disturb the question either."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.element.evaluate(
                "it => { window.kept = it.shadowRoot.querySelector('dl');"
                " it.csrfHeader = 'X-C'; it.csrfToken = 'new' }"
            )
            same = "it => it.shadowRoot.querySelector('dl') === window.kept"
            assert await phone.element.evaluate(same)
            await phone.element.evaluate("it => { it.account = 'Mina' }")
            assert await phone.title() == "Log this browser in as Mina?"
            await phone.press(YES)
            await phone.until("approved")
            assert stub.kinds(reads=False) == ["scan", "confirm"]
            assert stub.kinds()[:2] == ["look", "scan"]
            assert stub.calls[-1].headers["x-c"] == "new"


@pytest.mark.parametrize("move", ["append", "document"])
async def test_an_element_that_is_moved_goes_on(
    chromium: Browser, tmp_path: Path, move: str
) -> None:
    """It keeps its question, its styles and its guard, in another document too."""
    script = (
        "it => document.querySelector('main').parentElement.append(it)"
        if move == "append"
        else """it => { const other = document.implementation.createHTMLDocument();
          other.body.append(it); document.body.append(it) }"""
    )
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.ready()
            width = "it => getComputedStyle(it.shadowRoot.querySelector('.card')).display"
            await phone.element.evaluate(script)
            assert await phone.state() == "ask"
            assert await phone.element.evaluate(width) == "flex"
            await phone.press(YES)
            await phone.until("approved")
            assert stub.kinds(reads=False) == ["scan", "confirm"]
            assert stub.kinds().count("look") == 1


async def test_an_element_that_is_moved_into_a_frame_refuses(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.page.evaluate(
                """() => { const frame = document.createElement("iframe");
                document.body.append(frame);
                const it = window.it = document.querySelector("qr-approve");
                frame.contentDocument.body.append(it) }"""
            )
            await phone.eventually(
                lambda: phone.page.evaluate("it.state"), lambda seen: seen == "framed"
            )
            display = "getComputedStyle(it.shadowRoot.querySelector('.card')).display"
            assert await phone.page.evaluate(display) == "flex"


async def test_an_element_that_is_removed_and_comes_back_starts_again(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            script = "it => { window.it = it; window.home = it.parentElement; it.remove() }"
            await phone.element.evaluate(script)
            stub.state = "cancelled"
            await phone.turn("hidden")
            await phone.turn("visible")
            assert stub.kinds() == ["look"], "an element that is not on the page sends nothing"
            await phone.page.evaluate("home.append(it)")
            await phone.until("cancelled")


async def test_a_morph_cannot_take_away_what_the_element_wrote(
    chromium: Browser, tmp_path: Path
) -> None:
    """It makes the attributes those of the server's HTML. The state is also a `:state()`."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.element.evaluate("it => { it.account = 'Mina'; it.typed = true }")
            await phone.element.evaluate(
                "it => { for (const name of ['state', 'account', 'typed'])"
                " it.removeAttribute(name) }"
            )
            await phone.until("ask")
            assert await phone.title() == "Log this browser in as Mina?"
            assert await phone.element.get_attribute("typed") == ""
            assert await phone.element.evaluate("it => it.matches(':state(ask):not(:state(x))')")
            assert await phone.element.evaluate("it => it.state") == "ask"


async def test_an_element_that_is_not_displayed_does_not_look(
    chromium: Browser, tmp_path: Path
) -> None:
    hide = '<link rel="stylesheet" href="data:text/css,main{display:none}">'
    with ApproveStub(head=hide) as stub:
        stub.policy = stub.policy.replace("style-src 'self'", "style-src 'self' data:")
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.url)
            await phone.until("looking")
            await phone.page.wait_for_timeout(300)
            assert stub.calls == []
            await phone.page.evaluate("document.querySelector('link[href^=data]').remove()")
            await phone.until("ask")
            assert stub.kinds() == ["look"]


async def test_a_cached_preview_does_not_look(chromium: Browser, tmp_path: Path) -> None:
    """Turbo shows a copy of the page until the page is there."""
    with ApproveStub(module='import("/qrlogin/qr-approve-element.js");') as stub:
        stub.module = (
            'document.documentElement.setAttribute("data-turbo-preview", "");' + stub.module
        )
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.url)
            await phone.until("looking")
            await phone.page.wait_for_timeout(300)
            assert stub.calls == []
            await phone.page.evaluate(
                """() => { const it = document.querySelector("qr-approve");
                const copy = it.cloneNode(true); it.replaceWith(copy);
                document.documentElement.removeAttribute("data-turbo-preview") }"""
            )
            await phone.until("ask")
            assert stub.kinds() == ["look"]


async def test_events_have_a_second_name_without_a_colon(chromium: Browser, tmp_path: Path) -> None:
    """Some templates cannot listen to a name with a colon."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.add_init_script(
                """window.events = []; for (const type of ["qr-approve-state", "qr-approve-done"])
                addEventListener(type, event => events.push({...event.detail}))"""
            )
            await phone.ask(stub.url)
            await phone.press("No, not me")
            await phone.until("denied")
            assert await phone.page.evaluate("events") == [
                *({"state": state} for state in ("looking", "ask", "sending", "denied")),
                {"decision": "denied"},
            ]


# Configuration errors, and pages without the module


@pytest.mark.parametrize(
    ("status", "error", "attributes"),
    [
        (403, "forbidden", ""),
        (404, "not_found", ""),
        (400, "", ' csrf-header="X-C" csrf-token="t"'),
        (403, "", ""),
        (400, "invalid_request", ""),
        (415, "unsupported_media_type", ""),
    ],
)
async def test_a_configuration_error_reads_as_one(
    chromium: Browser, tmp_path: Path, status: int, error: str, attributes: str
) -> None:
    """The server's sentence goes to the console, for the developer."""
    with ApproveStub() as stub:
        stub.attributes += attributes
        stub.always["look"] = problem(status, error)
        async with approve_page(chromium, tmp_path) as phone:
            lines: list[str] = []
            phone.page.on("console", lambda message: lines.append(message.text))
            await phone.page.goto(stub.url)
            await phone.until("refused")
            assert await phone.title() == "Phone login is not available"
            assert await phone.page.locator("#children").is_visible()
            [line] = [line for line in lines if "/qrlogin/phone/look" in line]
            assert str(status) in line
            assert f"<b>{error}</b>" in line or not error
            assert CODE not in "".join(lines)
            assert stub.kinds() == ["look"]


@pytest.mark.parametrize("missing", ["qr-approve-element.js", "qr-login-parts.js"])
async def test_without_its_modules_the_children_show(
    chromium: Browser, tmp_path: Path, missing: str
) -> None:
    """A page that nothing loads for is not blank."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.context.route(f"**/{missing}", lambda route: route.abort())
            await phone.page.goto(stub.url)
            assert await phone.page.locator("#children").is_visible()
            assert stub.calls == []


async def test_a_browser_that_is_too_old_says_so_before_anything_is_claimed(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.add_init_script("delete window.ResizeObserver")
            await phone.page.goto(stub.url)
            await phone.until("outdated")
            assert "too old" in await phone.text()
            assert await phone.page.locator("#children").is_visible()
            assert stub.calls == []


def test_a_server_that_renders_pages_can_import_the_module(tmp_path: Path) -> None:
    if (program := node()) is None:
        pytest.skip("node is missing")
    for name in MODULES:
        (tmp_path / name).write_bytes(module(name))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "main.js").write_text(
        'import { QRApproveElement } from "./qr-approve-element.js";'
        "console.log(typeof QRApproveElement)"
    )
    done = subprocess.run([program, "main.js"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("function\n", "")
