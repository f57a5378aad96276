"""What is made from the modules of the elements is current, and the bundle works as they do."""

import build_elements
import npm_parts
import pytest

from qrlogin.browser import BUNDLE, module
from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub
from tests.servers import missing

HOW = "a module of the elements has changed: run `make elements`"


def test_the_bundle_is_made_from_the_present_modules() -> None:
    assert build_elements.fingerprint() in module(BUNDLE)[:200].decode(), HOW


@pytest.mark.matrix
def test_every_file_that_is_made_from_the_modules_is_current() -> None:
    """So the types in the JSDoc are valid in strict mode, too."""
    if not npm_parts.ready(build_elements.PROGRAMS):
        missing("esbuild, TypeScript and the manifest's analyzer", npm_parts.HOW)
    for path, content in build_elements.built().items():
        assert path.read_text("utf-8") == content, f"{path.name}: {HOW}"


async def test_the_bundle_is_one_request_and_loads_a_language(
    login_page: LoginPage, stub: Stub
) -> None:
    loaded: list[str] = []
    login_page.page.on("request", lambda request: loaded.append(request.url.rpartition("/")[2]))
    stub.lang = "fr"
    stub.module = f'import {{ TEXTS }} from "/qrlogin/{BUNDLE}"; TEXTS.fr.login.yes = "Oui";'
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    assert (await login_page.text()).splitlines()[0] == stub.word("pending")
    assert [name for name in loaded if name.startswith("qr-")] == [BUNDLE, "qr-login-texts-fr.js"]
    stub.move("confirmed")
    await login_page.until("confirmed")
    assert "Oui" in await login_page.buttons()
