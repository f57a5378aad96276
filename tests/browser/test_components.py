"""docs/components.md: each component is built as it is, and a person logs in with it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import npm_parts
import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.demo.server import Server
from tests.browser.login_page import LoginPage
from tests.browser.test_login_in_frameworks import ELEMENT, FOLDER, HEARD, HTML, SCRIPT, Site
from tests.servers import missing

PAGE = (Path(__file__).parent.parent.parent / "docs" / "components.md").read_text("utf-8")
#: For each language: the component's file, and a page that shows it and hears its answer.
PAGES = {
    "jsx": ("PhoneLogin.jsx", "page.jsx", """
import { createRoot } from "react-dom/client";
import { PhoneLogin } from "./PhoneLogin.jsx";
createRoot(document.getElementById("app")).render(<PhoneLogin onLogIn={hear} />);
"""),
    "vue": ("PhoneLogin.vue", "page.js", """
import { createApp, h } from "vue";
import PhoneLogin from "./PhoneLogin.vue";
createApp({ render: () => h(PhoneLogin, { onLogIn: hear }) }).mount("#app");
"""),
    "svelte": ("PhoneLogin.svelte", "page.js", """
import { mount } from "svelte";
import PhoneLogin from "./PhoneLogin.svelte";
mount(PhoneLogin, { target: document.getElementById("app"), props: { onLogIn: hear } });
"""),
    "ts": ("PhoneLogin.ts", "page.js", """
import "@angular/compiler";
import { provideZonelessChangeDetection } from "@angular/core";
import { bootstrapApplication } from "@angular/platform-browser";
import { PhoneLogin } from "./PhoneLogin.ts";
document.getElementById("app").append(document.createElement("app-phone-login"));
const providers = [provideZonelessChangeDetection()];
bootstrapApplication(PhoneLogin, { providers }).then(({ components }) => {
  components[0].instance.logIn.subscribe(hear);
});
"""),
}  # fmt: skip
HEAR = """
function hear(body) {
  document.getElementById("heard").textContent = body.token;
}
"""
#: For each page that a server renders: what loads its library.
RENDERED = {
    "htmx": 'import htmx from "htmx.org";\nwindow.htmx = htmx;',
    "Turbo": 'import * as Turbo from "@hotwired/turbo";\nwindow.Turbo = Turbo;',
}


def block(language: str, heading: str = "") -> str:
    section = PAGE.partition(f"\n## {heading}\n")[2] if heading else PAGE
    found = re.search(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.M)
    assert found, (language, heading)
    return found[1]


def built(name: str, files: dict[str, str], entry: str) -> bytes:
    """The bundle of these files, which find the frameworks beside them."""
    node = npm_parts.node()
    if node is None or not npm_parts.ready(FOLDER):
        missing("an npm package of the frameworks", npm_parts.HOW)
    folder = FOLDER / "node_modules" / f"docs-{name}"
    folder.mkdir(exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text)
    made = folder / "made"
    command = [node, "build.mjs", f"node_modules/docs-{name}/{entry}", str(made)]
    subprocess.run(command, cwd=FOLDER, check=True, timeout=120)
    return made.read_bytes()


@pytest.fixture
def site() -> Iterator[Site]:
    with Server("127.0.0.1", 0) as server:
        uri = f"http://127.0.0.1:{server.port}/qr"
        qr = QRLogin(MemoryStore(), secret_keys=[bytes(range(32))], verification_uri=uri)
        site = Site(qr, scripts=ELEMENT + SCRIPT)
        site.body = '<div id="app"></div><output id="heard"></output>'
        server.start(site)
        yield site
        server.stop(qr.close)


async def log_in(login_page: LoginPage, site: Site) -> None:
    await login_page.page.goto(site.origin)
    await login_page.page.evaluate("window.sameDocument = true")
    await login_page.until("pending")
    children = await login_page.element.evaluate("it => it.textContent.trim()")
    assert children == "Log in with your password"
    look = "it => it.shadowRoot.querySelector('[part=link]').href"
    code = await login_page.element.evaluate(look)
    site.qr.scan(code, subject="1", shown_as="A•••e")
    site.qr.confirm(code, subject="1", name="alice@example.com")
    await login_page.until("confirmed")
    await login_page.press("Continue")


@pytest.mark.matrix
@pytest.mark.parametrize("language", PAGES)
async def test_a_component_of_the_docs_logs_in(
    login_page: LoginPage, site: Site, language: str
) -> None:
    component, page, script = PAGES[language]
    site.script = built(language, {component: block(language), page: script + HEAR}, page)
    await log_in(login_page, site)
    await login_page.eventually(lambda: login_page.page.evaluate(HEARD), "a-token".__eq__)


@pytest.mark.matrix
@pytest.mark.parametrize("library", RENDERED)
async def test_a_page_of_the_docs_goes_on_without_a_full_load(
    login_page: LoginPage, site: Site, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.script = built(library, {"page.js": RENDERED[library]}, "page.js")
    monkeypatch.setattr(
        site,
        "_html",
        lambda path: HTML.format(
            scripts=site.scripts,
            body="<h1>Your account</h1>" if path == "/account" else block("html", library),
        ),
    )
    await log_in(login_page, site)
    await login_page.page.get_by_role("heading", name="Your account").wait_for()
    assert await login_page.page.evaluate("window.sameDocument") is True
