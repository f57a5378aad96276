"""Attributes, properties and places: what frameworks and morphs do to <qr-login>."""

import json
import subprocess
from pathlib import Path

import npm_parts
import pytest

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub
from tests.servers import missing

BROWSER = Path(__file__).parent.parent.parent / "qrlogin" / "browser"
TEXTS = ["src", "next", "start", "stream", "csrfHeader", "csrfToken"]
NO_VALUE = ["false", "null", "undefined", "NaN"]
NO_AUTOSTART = '<qr-login id="spare" start="manual"></qr-login>'


async def test_every_attribute_is_a_property_under_a_name_that_no_method_has(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    found = await login_page.element.evaluate(
        """(it, texts) => {
        const dashed = name => name.replace(/[A-Z]/g, letter => "-" + letter.toLowerCase());
        const spare = document.createElement("qr-login"), kinds = {}, wrong = [];
        for (const name of [...texts, "picture"]) kinds[name] = typeof spare[name];
        const none = [false, null, undefined, NaN];
        for (const name of texts) {
          spare[name] = "x"; if (spare.getAttribute(dashed(name)) !== "x") wrong.push(name);
          for (const value of none) {
            spare[name] = "x"; spare[name] = value;
            if (spare.hasAttribute(dashed(name)) || spare[name] !== "")
              wrong.push([name, String(value)]);
            spare.setAttribute(dashed(name), String(value)); // as React 18 writes it
            if (spare[name] !== "") wrong.push([name, "text", String(value)]) } }
        for (const value of [true, "true", "picture", 1]) {
          spare.picture = value; if (!spare.picture) wrong.push(["picture", value]) }
        for (const value of [...none, ""]) {
          spare.picture = true; spare.picture = value;
          if (spare.picture || spare.hasAttribute("picture")) wrong.push(["picture", value]) }
        for (const text of ["false", "null", "undefined", "NaN"]) {
          spare.setAttribute("picture", text); if (spare.picture) wrong.push(["picture=", text]) }
        spare.setAttribute("picture", ""); if (!spare.picture) wrong.push("picture=");
        return {kinds, wrong, attributes: it.constructor.observedAttributes,
          methods: ["begin", "cancel", "request"].map(name => typeof it[name])} }""",
        TEXTS,
    )
    assert found["wrong"] == []
    assert found["kinds"] == {**dict.fromkeys(TEXTS, "string"), "picture": "boolean"}
    assert found["methods"] == ["function"] * 3
    assert len(found["attributes"]) == len(TEXTS) + 2  # and picture and state


@pytest.mark.parametrize("text", NO_VALUE)
async def test_an_attribute_that_says_no_value_is_off(
    login_page: LoginPage, stub: Stub, text: str
) -> None:
    names = ("start", "stream", "next", "picture", "csrf-header", "csrf-token")
    stub.attributes += "".join(f' {name}="{text}"' for name in names)
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()
    assert not [path for path in stub.pages if path.endswith(".png")]
    assert not [name for call in stub.calls for name in call.headers if name in NO_VALUE]
    assert not stub.count("events") + stub.count("socket")


async def test_properties_that_are_set_before_the_definition_count(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.attributes = ""
    stub.module = """Object.assign(document.querySelector("qr-login"),
      {src: "/qrlogin/", start: "manual", picture: false, csrfHeader: "X-Token", csrfToken: "t"});
    import("/qrlogin/qr-login-element.js");"""
    await login_page.page.goto(stub.url)
    await login_page.until("idle")
    assert await login_page.element.evaluate(
        "it => [it.start, it.src, it.picture, Object.keys(it).length]"
    ) == ["manual", "/qrlogin/", False, 0]
    await login_page.press("Show QR code")
    await login_page.until("pending")
    assert stub.calls[0].headers["x-token"] == "t"


async def test_attributes_that_are_rendered_late_count(login_page: LoginPage, stub: Stub) -> None:
    """No view of an error appears, and the login begins once, with the token."""
    stub.attributes = 'csrf-header="X-Token"'
    stub.module = """window.heard = [];
    addEventListener("qr-login:state", event => heard.push(event.detail.state));
    await import("/qrlogin/qr-login-element.js");
    const it = document.querySelector("qr-login");
    setTimeout(() => it.setAttribute("csrf-token", "t"), 100);
    setTimeout(() => it.setAttribute("src", "/qrlogin/"), 200);"""
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    assert [call.headers.get("x-token") for call in stub.calls if call.kind == "begin"] == ["t"]
    assert await login_page.page.evaluate("() => heard") == ["starting", "pending"]


async def test_attributes_that_are_rendered_very_late_count(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.attributes = ""
    login_page.forgives("src must be a path of this origin")
    await login_page.page.goto(stub.url)
    await login_page.until("refused")
    await login_page.element.evaluate("it => { it.src = '/qrlogin/' }")
    await login_page.until("pending")


async def test_start_can_be_rendered_late(login_page: LoginPage, stub: Stub) -> None:
    stub.attributes = ""
    await login_page.page.goto(stub.url)
    await login_page.until("starting")
    await login_page.element.evaluate("it => { it.start = 'manual'; it.src = '/qrlogin/' }")
    await login_page.until("idle")
    assert stub.calls == []
    await login_page.element.evaluate("it => { it.start = null }")
    await login_page.until("pending")


async def test_a_morph_that_removes_attributes_changes_nothing(
    login_page: LoginPage, stub: Stub
) -> None:
    """It knows the server's HTML: not the state, and not what a property wrote."""
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.element.evaluate("it => { it.next = '/account'; it.src = '/qrlogin/' }")
    strip = "it => { for (const {name} of [...it.attributes]) it.removeAttribute(name) }"
    await login_page.element.evaluate(strip)
    assert await login_page.element.evaluate("it => [it.getAttribute('state'), it.next]") == [
        "pending",
        "/account",
    ]
    assert await login_page.element.evaluate("it => it.matches(':state(pending)')")
    stub.move("confirmed")
    await login_page.until("confirmed")
    assert await login_page.element.evaluate(
        "it => it.matches(':state(confirmed)') && !it.matches(':state(pending)')"
    )
    await login_page.element.evaluate("it => it.setAttribute('state', 'pending')")
    await login_page.until("confirmed")
    await login_page.element.evaluate(strip)
    await login_page.press("Continue")
    await login_page.page.wait_for_url("**/account")
    assert stub.count("begin") == 1


async def test_a_src_that_a_morph_removes_stays_in_use(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.element.evaluate("it => it.removeAttribute('src')")
    stub.move("scanned")
    await login_page.until("scanned")
    assert stub.count("begin") == 1


async def test_an_element_that_moves_keeps_its_login_and_its_looks(
    login_page: LoginPage, stub: Stub
) -> None:
    """Within the document, out of it and back, and into another document and back."""
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.page.evaluate(
        """() => { window.it = document.querySelector("qr-login");
        it.style.setProperty("--qr-login-surface", "rgb(1, 2, 3)");
        document.body.append(it); it.remove(); document.body.prepend(it); it.remove();
        window.frame = document.body.appendChild(document.createElement("iframe"));
        Object.assign(frame.style, {width: "400px", height: "600px"}) }"""
    )
    looks = "() => getComputedStyle(it.shadowRoot.querySelector('.card')).backgroundColor"
    for place in ("frame.contentDocument.body", "document.body"):
        await login_page.page.evaluate(f"() => {{ {place}.append(it) }}")
        assert await login_page.page.evaluate(looks) == "rgb(1, 2, 3)"
        for state in ("scanned", "pending"):
            stub.move(state)
            await login_page.eventually(
                lambda: login_page.page.evaluate("() => it.getAttribute('state')"), state.__eq__
            )
    assert stub.count("begin") == 1


async def test_an_element_under_display_none_waits_until_it_is_shown(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.attributes += ' id="tab" hidden'
    await login_page.page.goto(stub.url)
    await login_page.until("starting")
    await login_page.page.wait_for_timeout(200)
    assert stub.calls == []
    show = "(it, hidden) => { it.hidden = hidden }"
    await login_page.element.evaluate(show, False)
    await login_page.until("pending")
    await login_page.eventually(lambda: stub.count("status") == 1)
    await login_page.element.evaluate(show, True)
    await login_page.page.wait_for_timeout(200)
    stub.move("scanned")
    await login_page.page.wait_for_timeout(200)
    assert await login_page.state() == "pending"
    await login_page.element.evaluate(show, False)
    await login_page.until("scanned")
    assert stub.count("begin") == 1


async def test_a_cached_preview_begins_no_login(login_page: LoginPage, stub: Stub) -> None:
    """Turbo shows a copy of a page, and marks the document, until it has the page."""
    stub.module = """document.documentElement.setAttribute("data-turbo-preview", "");
    import("/qrlogin/qr-login-element.js");"""
    stub.attributes += ' state="scanned"'
    await login_page.page.goto(stub.url)
    await login_page.until("starting")
    await login_page.page.wait_for_timeout(300)
    assert stub.calls == []
    await login_page.page.evaluate(
        "() => document.documentElement.removeAttribute('data-turbo-preview')"
    )
    await login_page.until("pending")


async def test_each_event_has_a_second_name_without_a_colon(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.page.evaluate(
        """() => { window.heard = [];
        for (const name of ["state", "redeemed"]) for (const mark of [":", "-"])
          addEventListener(`qr-login${mark}${name}`, event => {
            heard.push([event.type, event.detail]);
            if (event.type === "qr-login-redeemed") event.preventDefault() }) }"""
    )
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.until("redeemed")
    heard = await login_page.page.evaluate("() => heard")
    for name in ("state", "redeemed"):
        colon, dash = (
            [it for kind, it in heard if kind == f"qr-login{mark}{name}"] for mark in ":-"
        )
        assert colon == dash != []
    assert login_page.page.url == stub.url, "either event can keep the page"


def test_a_server_can_import_the_modules() -> None:
    """A framework renders a page on a server, where there is no document."""
    node = npm_parts.node()
    if node is None:
        missing("node", npm_parts.HOW)
    names = json.dumps([path.as_uri() for path in sorted(BROWSER.glob("qr-login-*.js"))])
    script = f"for (const name of {names}) await import(name); console.log('imported')"
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("imported\n", 0), done.stderr
