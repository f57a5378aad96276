"""Hostile pages, names and answers.

No secret of the login leaks into the page, and the page cannot break the login.
"""

import re
import unicodedata
from functools import partial

import pytest

from qrlogin.browser import texts
from qrlogin.names import clean, exact, marked
from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub
from tests.browser.words import EACH_LANGUAGE
from tests.security_rows import row

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
    # Looks like "alice" and differs from it.
    "a\u061cl\u200bi\u00adc\u2060e\u2064\ufeff\U000e0041\U000e007f",
    "می\u200cخواهم क\u094d\u200dष",  # noqa: RUF001
    "",
]

FULL_NAME = "it => it.shadowRoot.querySelector('[part=name]').textContent"


def unseen(text: str) -> list[str]:
    """The invisible characters, and those that change the direction of text.

    Joiners do not count, because several scripts need them.
    """
    return [
        char
        for char in text
        if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char not in "\u200c\u200d"
    ]


@row(41)
async def test_a_name_is_shown_as_text(login_page: LoginPage, stub: Stub) -> None:
    """One page shows all of them in turn, and logs in as an account with such a name."""
    login_page.page.on("dialog", lambda dialog: login_page.problems.append(dialog.message))
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    for name in NAMES:
        await login_page.until("pending")
        stub.move("confirmed", name)
        await login_page.until("confirmed")
        await is_shown_as_text(login_page, name)
        stub.move("pending")
    await login_page.until("pending")
    stub.move("confirmed", NAMES[0])
    await login_page.until("confirmed")
    await login_page.shot("name")
    await login_page.press("Continue")
    await login_page.logged_in()


async def is_shown_as_text(login_page: LoginPage, name: str) -> None:
    shown = await login_page.element.evaluate(
        "it => it.shadowRoot.querySelector('[part=name]').textContent"
    )
    assert len(shown) <= 160
    assert unseen(shown) == []
    whole = clean(name, 10_000)
    cut = shown.removesuffix("…")
    if len(whole) <= 80:
        assert shown == (whole or "an unnamed account")
    else:
        assert shown == f"{cut}…"
        assert whole.startswith(cut)
        assert 70 < len(cut) <= 80
        assert cut[0] == "x" or len(cut) % 7 == 0  # no emoji sequence is cut
    title = await login_page.element.evaluate(
        "it => it.shadowRoot.querySelector('[part=title]').textContent"
    )
    assert title == f"Continue as {shown}?"
    assert await login_page.buttons() == ["That is not me", "Continue"]
    assert (
        await login_page.element.evaluate(
            "it => it.shadowRoot.querySelectorAll('img, script, a:not([part=link])').length"
        )
        == 0
    )
    assert await login_page.page.evaluate(
        "() => document.documentElement.scrollWidth <= innerWidth"
    )


@pytest.mark.parametrize("lang", EACH_LANGUAGE)
async def test_a_full_name_is_shown_whole_as_text_and_fits(
    login_page: LoginPage, stub: Stub, lang: str
) -> None:
    """The longest and the strangest ones, on a narrow screen. Odd letters are in a box."""
    stub.lang = lang
    await login_page.page.set_viewport_size({"width": 320, "height": 640})
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    names = [*map(partial(exact, limit=320), NAMES), "maria@example.com", "\u0430lice", "玛丽"]
    for name in filter(None, names):
        stub.move("confirmed", "M•••a", f"tag of {name[:20]}", name=name)
        await login_page.eventually(partial(login_page.element.evaluate, FULL_NAME), name.__eq__)
        boxes = await login_page.element.evaluate(
            "it => [...it.shadowRoot.querySelectorAll('[part=odd]')].map((box) => box.textContent)"
        )
        assert boxes == re.findall(r"\[([^\x00-\x7f]+)\]", marked(name))
        hint = texts(lang)["login"]["confirmedOdd" if boxes else "confirmedHint"]
        assert hint in await login_page.text()
        assert await login_page.page.evaluate(
            "() => document.documentElement.scrollWidth <= innerWidth"
        )
    assert await login_page.axe() == []
    stub.move("confirmed", "M•••a", "tag of Mallory")
    await login_page.eventually(
        login_page.text, lambda text: texts(lang)["login"]["confirmedMasked"] in text
    )
    await login_page.shot(f"full-name-{lang}")


async def test_a_name_that_is_not_text_is_shown_as_unnamed(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.extra = {"scanned_by": {"shown_as": {"toString": 1}, "tag": ["tag-of-mina"]}}
    stub.move("confirmed")
    await login_page.until("confirmed")
    assert "an unnamed account" in await login_page.text()


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


@row(43, 407)
async def test_named_forms_and_inputs_do_not_break_the_element(
    login_page: LoginPage, stub: Stub
) -> None:
    """<form name=x> becomes document.x and hides the document's own function."""
    stub.around = "".join(
        f'<form name="{name}" id="{name}"><input name="{name}" type="hidden"></form>'
        for name in CLOBBERED
    )
    stub.around += "".join(f'<img name="{name}" id="{name}" alt="">' for name in CLOBBERED)
    stub.attributes += ' next="/account"'
    await login_page.page.goto(stub.url)
    shadowed = "names => names.filter(name => /HTML/.test(document[name]))"
    assert set(CLOBBERED) - set(await login_page.page.evaluate(shadowed, CLOBBERED)) == {"location"}
    await login_page.element.and_(login_page.page.locator("[state=pending]")).wait_for()
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()


@row(43)
async def test_a_polluted_prototype_changes_no_answer(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.add_init_script(
        """for (const [name, value] of Object.entries({
          retry_after: 100, error: "denied", scanned_by: {shown_as: "E", tag: "e"}, qr: 1}))
          Object.defineProperty(Object.prototype, name,
            {value, writable: true, configurable: true})"""
    )
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move("scanned")
    await login_page.until("scanned")
    stub.move("confirmed")
    await login_page.until("confirmed")
    assert "Continue as M•••a?" in await login_page.text()


SCRAPE = """() => { const found = [];
const walk = node => { found.push(node.nodeValue ?? "");
  for (const { name, value } of node.attributes ?? []) found.push(name + "=" + value);
  for (const key of Object.getOwnPropertyNames(node)) found.push(key + "=" + String(node[key]));
  if (node.shadowRoot) walk(node.shadowRoot);
  for (const child of node.childNodes) walk(child) };
walk(document.documentElement);
found.push(document.cookie, location.href,
  ...performance.getEntriesByType("resource").map(entry => entry.name));
for (const store of [localStorage, sessionStorage, history.state, window.events])
  found.push(JSON.stringify(store));
return found.join("\\n") }"""


@row(42, 321, 460)
async def test_no_secret_in_the_page(login_page: LoginPage, stub: Stub) -> None:
    """No script, style sheet or log can read the device_code, the tag or `op`."""
    await login_page.page.add_init_script(
        """window.events = [];
        for (const type of ["qr-login:state", "qr-login:redeemed"])
          addEventListener(type, event => { events.push(event.detail); event.preventDefault() })"""
    )
    await login_page.page.goto(stub.url)
    seen = ""
    for state in ("pending", "scanned", "confirmed", "redeemed"):
        if state == "redeemed":
            await login_page.press("Continue")
        elif state != "pending":
            stub.move(state)
        await login_page.until(state)
        seen += await login_page.page.evaluate(SCRAPE)
    (redeem,) = [call for call in stub.calls if call.kind == "redeem"]
    assert "confirmed" in seen
    assert stub.login.login_id in seen, (
        "the search works: it finds the login_id, which grants nothing, in the URLs"
    )
    for secret in (stub.login.device_code, stub.login.tag, redeem.body["op"], stub.sessions[0]):
        assert secret not in seen


@row(42)
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
async def test_no_request_goes_to_another_origin(
    login_page: LoginPage, stub: Stub, src: str
) -> None:
    login_page.forgives("src must be a path of this origin")
    asked: list[str] = []
    login_page.page.on("request", lambda request: asked.append(request.url))
    stub.attributes = f'src="{src}"'
    await login_page.page.goto(stub.url)
    await login_page.ends("refused", "Try again")
    await login_page.press("Try again")
    await login_page.ends("refused", "Try again")
    assert all(url.startswith(stub.url) for url in asked)
    assert stub.calls == []


async def test_a_malformed_csrf_header_attribute_is_refused(
    login_page: LoginPage, stub: Stub
) -> None:
    login_page.forgives("<qr-login>")
    stub.attributes += ' csrf-header="not a header"'
    await login_page.page.goto(stub.url)
    await login_page.ends("refused", "Try again")


async def test_the_element_works_on_plain_http_without_webcrypto(
    login_page: LoginPage, stub: Stub
) -> None:
    """On http in a LAN, browsers have no crypto.subtle and no randomUUID."""
    await login_page.page.add_init_script(
        "delete Crypto.prototype.subtle; delete Crypto.prototype.randomUUID"
    )
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()


async def test_two_elements_work_on_one_page(login_page: LoginPage, stub: Stub) -> None:
    stub.around = '<qr-login src="/qrlogin/"></qr-login>'
    await login_page.page.goto(stub.url)
    await login_page.eventually(lambda: stub.count("status") == 2)
    first, second = stub.logins.values()
    assert first.device_code != second.device_code
    assert await login_page.page.locator("qr-login[state=pending]").count() == 2
