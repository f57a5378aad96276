"""Pages, names and answers that mean harm: nothing of the login leaks into the page, and the page breaks nothing."""

import unicodedata

import pytest

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub

NAMES = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "</bdi></p><button>Continue</button>",
    "{name}{name}",
    "$&$`$'",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "a\u202eb\u2066c\u200fd",
    "line\nbreak\x00\x1b[31m",
    "x" * 5000,
    "👩‍👩‍👧‍👦" * 200,
    "a\u061cl\u200bi\u00adc\u2060e\u2064\ufeff\U000e0041\U000e007f",  # Alice to the eye, another to a comparison
    "می\u200cخواهم क\u094d\u200dष",  # noqa: RUF001
    "",
]


def unseen(text: str) -> list[str]:
    """Characters that show nothing themselves or turn others around. Joiners do not count: writing needs them."""
    return [
        each
        for each in text
        if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") and each not in "\u200c\u200d"
    ]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_a_name_is_text(desk: LoginPage, stub: Stub, name: str) -> None:
    desk.page.on("dialog", lambda dialog: desk.problems.append(dialog.message))
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.move("confirmed", name)
    await desk.until("confirmed")
    shown = await desk.element.evaluate(
        "it => it.shadowRoot.querySelector('[part=name]').textContent"
    )
    assert len(shown) <= 160
    assert unseen(shown) == []
    whole = "".join(each for each in name if not unseen(each))
    cut = shown.removesuffix("…")
    if len(whole) <= 80:
        assert shown == (whole or "an unnamed account")
    else:
        assert shown == f"{cut}…"
        assert whole.startswith(cut)
        assert 70 < len(cut) <= 80
        assert cut[0] == "x" or len(cut) % 7 == 0  # no family is parted
    title = await desk.element.evaluate(
        "it => it.shadowRoot.querySelector('[part=title]').textContent"
    )
    assert title == f"Continue as {shown}?"
    assert await desk.buttons() == ["Continue", "That is not me"]
    assert (
        await desk.element.evaluate(
            "it => it.shadowRoot.querySelectorAll('img, script, a:not([part=link])').length"
        )
        == 0
    )
    assert await desk.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    await desk.shot("name")
    await desk.press("Continue")
    await desk.logged_in()


async def test_names_that_are_no_text(desk: LoginPage, stub: Stub) -> None:
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.extra = {"scanned_by": {"shown_as": {"toString": 1}, "tag": ["tag-of-mina"]}}
    stub.move("confirmed")
    await desk.until("confirmed")
    assert "an unnamed account" in await desk.text()


CLOBBERED = [
    *(
        "createElement",
        "createElementNS",
        "querySelector",
        "activeElement",
        "visibilityState",
        "hidden",
        "baseURI",
    ),
    *(
        "addEventListener",
        "removeEventListener",
        "dispatchEvent",
        "body",
        "head",
        "defaultView",
        "location",
        "cookie",
    ),
    *(
        "adoptedStyleSheets",
        "documentElement",
        "hasFocus",
        "setTimeout",
        "fetch",
        "crypto",
        "performance",
        "navigator",
    ),
    *(
        "customElements",
        "CSSStyleSheet",
        "CustomEvent",
        "Headers",
        "URL",
        "AbortController",
        "qr-login",
        "title",
        "state",
    ),
]


async def test_named_forms_and_inputs_shadow_nothing(desk: LoginPage, stub: Stub) -> None:
    """<form name=x> becomes document.x, and the document's own functions disappear."""
    stub.around = "".join(
        f'<form name="{name}" id="{name}"><input name="{name}" type="hidden"></form>'
        for name in CLOBBERED
    )
    stub.around += "".join(f'<img name="{name}" id="{name}" alt="">' for name in CLOBBERED)
    stub.attributes += ' next="/account"'
    await desk.page.goto(stub.url)
    shadowed = "names => names.filter(name => /HTML/.test(document[name]))"
    assert set(CLOBBERED) - set(await desk.page.evaluate(shadowed, CLOBBERED)) == {"location"}
    await desk.element.and_(desk.page.locator("[state=pending]")).wait_for()
    stub.move("confirmed")
    await desk.press("Continue")
    await desk.logged_in()


async def test_a_polluted_prototype_answers_nothing(desk: LoginPage, stub: Stub) -> None:
    await desk.page.add_init_script(
        """for (const [name, value] of Object.entries({
          retry_after: 100, error: "denied", scanned_by: {shown_as: "E", tag: "e"}, qr: 1}))
        Object.defineProperty(Object.prototype, name, {value, writable: true, configurable: true})"""
    )
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.move("scanned")
    await desk.until("scanned")
    stub.move("confirmed")
    await desk.until("confirmed")
    assert "Continue as M•••a?" in await desk.text()


SCRAPE = """() => { const found = [];
const walk = node => { found.push(node.nodeValue ?? "");
  for (const each of node.attributes ?? []) found.push(each.name + "=" + each.value);
  for (const key of Object.getOwnPropertyNames(node)) found.push(key + "=" + String(node[key]));
  if (node.shadowRoot) walk(node.shadowRoot);
  for (const each of node.childNodes) walk(each) };
walk(document.documentElement);
found.push(document.cookie, location.href, ...performance.getEntriesByType("resource").map(each => each.name));
for (const each of [localStorage, sessionStorage, history.state, window.events]) found.push(JSON.stringify(each));
return found.join("\\n") }"""


async def test_no_secret_in_the_page(desk: LoginPage, stub: Stub) -> None:
    """Neither device code nor tag nor op is anywhere that another script, a stylesheet or a log could read."""
    await desk.page.add_init_script(
        """window.events = [];
        for (const type of ["qr-login:state", "qr-login:redeemed"])
          addEventListener(type, event => { events.push(event.detail); event.preventDefault() })"""
    )
    await desk.page.goto(stub.url)
    seen = ""
    for state in ("pending", "scanned", "confirmed", "redeemed"):
        if state == "redeemed":
            await desk.press("Continue")
        elif state != "pending":
            stub.move(state)
        await desk.until(state)
        seen += await desk.page.evaluate(SCRAPE)
    (redeem,) = [call for call in stub.calls if call.kind == "redeem"]
    assert "confirmed" in seen
    assert stub.login.login_id in seen, (
        "the scrape sees what is there: the powerless id in the addresses asked"
    )
    for secret in (stub.login.device_code, stub.login.tag, redeem.body["op"], stub.sessions[0]):
        assert secret not in seen


@pytest.mark.parametrize(
    "src",
    [
        "https://elsewhere.example/qrlogin/",
        "//elsewhere.example/",
        "javascript:alert(1)",
        "data:application/json,{}",
        "",
    ],
)
async def test_no_other_origin_is_asked(desk: LoginPage, stub: Stub, src: str) -> None:
    desk.forgives("src must be a path of this origin")
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    stub.attributes = f'src="{src}"'
    await desk.page.goto(stub.url)
    await desk.ends("refused", "Try again")
    await desk.press("Try again")
    await desk.ends("refused", "Try again")
    assert all(url.startswith(stub.url) for url in asked)
    assert stub.calls == []


async def test_a_malformed_csrf_header_attribute_is_refused(desk: LoginPage, stub: Stub) -> None:
    desk.forgives("<qr-login>")
    stub.attributes += ' csrf-header="not a header"'
    await desk.page.goto(stub.url)
    await desk.ends("refused", "Try again")


async def test_plain_http_without_webcrypto(desk: LoginPage, stub: Stub) -> None:
    """On http in a LAN there is no crypto.subtle and no randomUUID."""
    await desk.page.add_init_script(
        "delete Crypto.prototype.subtle; delete Crypto.prototype.randomUUID"
    )
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.move("confirmed")
    await desk.press("Continue")
    await desk.logged_in()


async def test_two_on_one_page(desk: LoginPage, stub: Stub) -> None:
    stub.around = '<qr-login src="/qrlogin/"></qr-login>'
    await desk.page.goto(stub.url)
    await desk.eventually(lambda: stub.count("status") == 2)
    first, second = stub.logins.values()
    assert first.device_code != second.device_code
    assert await desk.page.locator("qr-login[state=pending]").count() == 2
