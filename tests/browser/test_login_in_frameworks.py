"""<qr-login> and <qr-approve> in the frameworks that people use, each from npm, over the real
server.

The pages in `frameworks/` write `start="manual"`, `picture={false}` and `next={null}` in the way of
their framework, listen to both events, and can render the element again or mount it anew. They keep
the page after the login and show the token that the application answered with. At `/qr/…` the same
pages show <qr-approve>. Its `account` comes with the second rendering.
"""

import functools
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import npm_parts
import pytest
from playwright.async_api import Browser

from qrlogin import MemoryStore, QRLogin, State
from qrlogin.demo.server import Server
from qrlogin.wire import Endpoint, Person, Request, Response
from qrlogin.wire.message import StartResponse
from tests.browser.approve_page import approve_page
from tests.browser.login_page import LoginPage
from tests.servers import missing

FOLDER = Path(__file__).parent / "frameworks"
PAGES = {
    "React 19": "react19.jsx",
    "React 18": "react18.jsx",
    "Preact": "preact.jsx",
    "Vue": "vue.js",
    "Svelte": "svelte.js",
    "Solid": "solid.js",
    "Lit": "lit.js",
    "Angular": "angular.js",
    "htmx": "htmx.js",
    "idiomorph": "idiomorph.js",
    "Turbo": "turbo.js",
}
ELEMENT = '<script type="module" src="/qrlogin/qr-login-element.js"></script>'
APPROVE_ELEMENT = ELEMENT.replace("login-element", "approve-element")
SCRIPT = '<script type="module" src="/page.js"></script>'
HTML = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Log in</title>
<meta name="turbo-refresh-method" content="morph">{scripts}</head><body>{body}</body></html>"""
PART = """<qr-login src="/qrlogin/" start="manual" picture="false" title="rendered {count}">
</qr-login>"""
APPROVE_PART = """<qr-approve src="/qrlogin/phone/" at="/qr" typed="false" home="null"
account="Alice" title="rendered {count}"></qr-approve>"""
TURBO = """<button id="rerender">Refresh</button><button id="remount">Visit</button>
<output id="heard" data-turbo-permanent></output>"""
MARK = "() => { window.marked = document.querySelector('qr-login, qr-approve'); }"
SAME = "() => window.marked === document.querySelector('qr-login, qr-approve')"
HEARD = "() => document.getElementById('heard')?.textContent"


DOCS = FOLDER.parent.parent.parent / "docs" / "element.md"


DOCUMENTED = {
    "React 19, Preact": ["react19.jsx", "preact.jsx"],
    "React 18": ["react18.jsx"],
    "Vue 3": ["vue.js"],
    "Svelte 5": ["Page.svelte"],
    "Angular": ["angular.js"],
    "Solid": ["solid.js"],
    "Lit": ["lit.js"],
}


def test_the_docs_write_the_element_as_the_pages_do() -> None:
    section = DOCS.read_text(encoding="utf-8").partition("## In a framework\n")[2]
    rows = re.findall(r"^\| ([^|]+) \| `(.+?)` \| `(.+?)`", section.partition("\n## ")[0], re.M)
    assert [name for name, _, _ in rows] == list(DOCUMENTED)
    for name, *forms in rows:
        for file in DOCUMENTED[name]:
            page = (FOLDER / file).read_text(encoding="utf-8")
            assert all(form in page for form in forms), (name, forms)


@functools.cache
def bundle(name: str) -> bytes:
    """The page's script, with its framework."""
    node = npm_parts.node()
    if node is None or not npm_parts.ready(FOLDER):
        missing("an npm package of the frameworks", npm_parts.HOW)
    made = FOLDER / "node_modules" / f"bundle-{name}"
    subprocess.run([node, "build.mjs", name, made], cwd=FOLDER, check=True, timeout=120)
    return made.read_bytes()


@dataclass
class Site:
    """An application whose page is written in a framework."""

    qr: QRLogin
    script: bytes = b""
    scripts: str = ""
    body: str = '<div id="app"></div>'
    part: str = PART
    rendered: int = 0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint = Endpoint(self.qr, max_waiting=8)

    @property
    def origin(self) -> str:
        return self.qr.core.origin

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        path = str(environ["PATH_INFO"])
        self.asked.append(path)
        if path.startswith("/qrlogin/phone/"):
            request = Request.from_wsgi(environ, path[len("/qrlogin/phone/") :])
            answer = self.endpoint.phone(request, Person("1", shown_as="A•••e"))
        elif path.startswith("/qrlogin/"):
            answer = self.endpoint.browser(Request.from_wsgi(environ, path[len("/qrlogin/") :]))
            if answer.redeemed:  # log_in answers with a token
                body = json.dumps({**json.loads(answer.body), "token": "a-token"}).encode()
                answer = Response(answer.status, answer.headers, body)
        elif path == "/page.js":
            answer = Response(200, (("Content-Type", "text/javascript"),), self.script)
        else:
            answer = Response(200, (("Content-Type", "text/html"),), self._html(path).encode())
        return answer.to_wsgi(start_response)

    def _html(self, path: str) -> str:
        self.rendered += 1
        part = self.part.format(count=self.rendered)
        if path.startswith("/part/"):
            return part
        if self.body == TURBO and path != "/away":
            return HTML.format(scripts=self.scripts, body=part + TURBO)
        return HTML.format(scripts=self.scripts, body=self.body)

    def shows(self, framework: str, element: str, order: str) -> None:
        """Chooses the framework, and whether its page loads before or after the element."""
        self.script = bundle(PAGES[framework])
        both = [element, SCRIPT] if order == "defined first" else [SCRIPT, element]
        self.scripts = "".join(both)
        if framework == "Turbo":
            self.body = TURBO


@pytest.fixture
def site() -> Iterator[Site]:
    with Server("127.0.0.1", 0) as server:
        uri = f"http://127.0.0.1:{server.port}/qr"
        qr = QRLogin(MemoryStore(), secret_keys=[bytes(range(32))], verification_uri=uri)
        site = Site(qr)
        server.start(site)
        yield site
        server.stop(qr.close)


async def remount(page: LoginPage, framework: str) -> None:
    """Puts a new element in the place of the one on the page."""
    await page.page.locator("#remount").click()
    if framework in ("htmx", "idiomorph"):
        await page.eventually(lambda: page.page.evaluate(SAME), False.__eq__)
    else:
        await page.element.wait_for(state="detached")
        await page.page.locator("#remount").click()


@pytest.mark.matrix
@pytest.mark.parametrize("order", ["defined first", "defined last"])
@pytest.mark.parametrize("framework", PAGES)
async def test_a_login_in_a_framework(
    login_page: LoginPage, site: Site, framework: str, order: str
) -> None:
    site.shows(framework, ELEMENT, order)
    await login_page.page.goto(site.origin)

    await login_page.until("idle")  # start="manual" leaves the element whole
    await login_page.press("Show QR code")
    await login_page.until("pending")
    await login_page.eventually(lambda: login_page.page.evaluate(HEARD), "pending".__eq__)
    assert await login_page.element.evaluate("it => [it.start, it.picture, it.next]") == [
        "manual",
        False,
        "",
    ]

    await login_page.page.evaluate(MARK)
    first = await login_page.element.get_attribute("title")
    await login_page.page.locator("#rerender").click()
    await login_page.eventually(
        lambda: login_page.element.get_attribute("title"), lambda title: title != first, "a render"
    )
    assert await login_page.page.evaluate(SAME), "the framework keeps the element"
    assert await login_page.state() == "pending"

    await remount(login_page, framework)
    await login_page.until("pending")  # the new element goes on with the same login

    look = "it => it.shadowRoot.querySelector('[part=link]').href"
    code = await login_page.element.evaluate(look)
    site.qr.scan(code, subject="1", shown_as="A•••e")
    await login_page.until("scanned")
    site.qr.confirm(code, subject="1")
    await login_page.until("confirmed")
    await login_page.press("Continue")
    await login_page.until("redeemed")
    await login_page.eventually(lambda: login_page.page.evaluate(HEARD), "a-token".__eq__)
    assert site.asked.count("/qrlogin/begin") == 1
    assert not [path for path in site.asked if path.endswith(".png")]


@pytest.mark.matrix
@pytest.mark.parametrize("order", ["defined first", "defined last"])
@pytest.mark.parametrize("framework", PAGES)
async def test_an_approval_in_a_framework(
    chromium: Browser, tmp_path: Path, site: Site, framework: str, order: str
) -> None:
    site.shows(framework, APPROVE_ELEMENT, order)
    site.part = APPROVE_PART
    async with approve_page(chromium, tmp_path) as phone:

        async def hears(text: str, hurry: bool = False) -> None:
            await phone.eventually(
                lambda: phone.page.evaluate(HEARD), text.__eq__, text, hurry=hurry
            )

        await phone.page.clock.install()
        begun = site.qr.begin()
        await phone.ask(begun.verification_uri_complete)  # code={null} leaves the address's code
        await hears("ask")
        assert await phone.element.evaluate("it => [it.typed, it.home, it.csrfHeader]") == [
            False,
            "",
            "",
        ]

        await phone.page.evaluate(MARK)
        first = await phone.element.get_attribute("title")
        await phone.page.locator("#rerender").click()
        await phone.eventually(
            lambda: phone.element.get_attribute("title"), lambda title: title != first, "a render"
        )
        await phone.eventually(phone.title, "Log this browser in as Alice?".__eq__)
        assert await phone.page.evaluate(SAME), "the framework keeps the element"
        await phone.until("ask")  # a morph does not take away the state
        assert site.asked.count("/qrlogin/phone/look") == 1

        await remount(phone, framework)
        await phone.until("ask")
        await phone.press("Yes, log in")
        await hears("done approved")
        by = site.qr.status(begun.device_code).scanned_by
        assert by
        site.qr.redeem(begun.device_code, acknowledged=by.tag)
        await hears("redeemed", hurry=True)

        begun = site.qr.begin()
        await phone.ask(begun.verification_uri_complete)
        await phone.press("No, not me")
        await hears("done denied")
        assert site.qr.status(begun.device_code).state == State.DENIED
        assert [path for path in site.asked if path.startswith("/qrlogin/phone/")] == [
            f"/qrlogin/phone/{call}"
            for call in ("look", "look", "scan", "confirm", "outcome", "look", "scan", "deny")
        ]
