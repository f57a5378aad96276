"""The npm package, as `python -m qrlogin elements` writes it and npm packs it, in applications of
Vite, Next and Angular: their compilers check the types, and their builds log in at a real server.
"""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import npm_parts
import pytest
from playwright.async_api import Browser, Route

from qrlogin.browser import package, texts
from tests.browser.login_page import LoginPage
from tests.demo.running import RunningDemo
from tests.servers import missing

pytestmark = pytest.mark.matrix

FOLDER = Path(__file__).parent
NODE_MODULES = FOLDER / "node_modules"
#: How each application is built, and where its pages are then.
BUILDS = {
    "vite": (["vite/bin/vite.js", "build", "vite", "--outDir", "dist"], ".", "vite/dist"),
    "next": (["next/dist/bin/next", "build", "next"], ".", "next/out"),
    "angular": (["@angular/cli/bin/ng.js", "build"], "angular", "angular/dist/browser"),
}
QUIET = {"NEXT_TELEMETRY_DISABLED": "1", "NG_CLI_ANALYTICS": "false", "CI": "1"}


def node(program: str, *arguments: str, cwd: Path = FOLDER) -> None:
    command = [npm_parts.node() or "node", str(NODE_MODULES / program), *arguments]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env=os.environ | QUIET, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", autouse=True)
def _package(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The package, packed by npm and unpacked as npm would install it."""
    if not npm_parts.ready(FOLDER):
        missing("Vite, Next and Angular from npm", npm_parts.HOW)
    source = package.write(tmp_path_factory.mktemp("package"))
    npm = next(npm_parts.npms())
    subprocess.run([*npm, "pack"], cwd=source, check=True, capture_output=True, timeout=60)
    installed = NODE_MODULES / package.NAME
    shutil.rmtree(installed, ignore_errors=True)
    with tarfile.open(next(source.glob("*.tgz"))) as packed:
        packed.extractall(source / "unpacked", filter="data")
    shutil.move(source / "unpacked" / "package", installed)


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with RunningDemo() as running:
        yield running


def test_typescript_knows_the_elements_and_their_events() -> None:
    """In strict mode. A line of the page has a wrong property, and TypeScript must refuse it."""
    node("typescript/bin/tsc", "-p", ".")


@pytest.mark.parametrize("name", BUILDS)
async def test_a_build_logs_in(
    chromium: Browser, demo: RunningDemo, tmp_path: Path, name: str
) -> None:
    command, folder, output = BUILDS[name]
    node(*command, cwd=FOLDER / folder)
    page = await LoginPage.in_context(await chromium.new_context(), tmp_path)

    async def file(route: Route) -> None:
        path = route.request.url.removeprefix(demo.origin).partition("?")[0].strip("/")
        built = FOLDER / output / (path or "index.html")
        await (route.fulfill(path=built) if built.is_file() else route.continue_())

    await page.page.route(f"{demo.origin}/**", file)
    await page.page.goto(demo.origin)
    await page.until("pending")
    language = "de" if name == "vite" else "en"
    title = "Bitte scannen" if name == "vite" else texts("en")["login"]["pending"]
    assert (await page.text()).splitlines()[0] == title
    assert texts(language)["login"]["pendingHint"] in await page.text()
    if name != "next":  # the page listens to the state
        await page.page.locator("output", has_text="pending").wait_for()
