"""`make docs`: the site is complete, works without a network, and a broken link fails its build."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Literal

import build_docs
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from public_modules import DESCRIBED

from tests import servers
from tests.test_setup import output

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\(([^)]+)\)")
#: A field, a method, and what a class inherits from one that is not public.
MEMBERS = ("Begun.scan_code", "QRLogin.begin", "testing.Browser.user_code")
SHOWN = ("index.html", "tutorials/flask.html", "reference/qrlogin.html", "security/index.html")


def test_llms_txt_names_every_page_once() -> None:
    texts = build_docs.all_texts()
    assert {f"reference/{name}.md" for name in DESCRIBED} < texts.keys()
    lines = build_docs.llms(texts).splitlines()
    assert lines[0] == "# qrlogin"
    assert lines[2].startswith("> Log a browser in")
    named = [LINK.findall(line)[0] for line in lines if line.startswith("- ")]
    assert sorted(named) == sorted(texts.keys() - {"index.md"})
    for line in lines:
        assert not line.startswith("- ") or len(line.partition("): ")[2]) > 10, line


def copy_of_the_sources(folder: Path) -> Path:
    """What the site is built from, so that no test writes into build/ of the checkout."""
    for name in ("docs", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", *build_docs.ELSEWHERE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def built(folder: Path) -> subprocess.CompletedProcess[str]:
    """Builds the site of a copy; without a network where the system lets us take it away."""
    alone = ["unshare", "--map-root-user", "--net"]
    can = shutil.which("unshare") and not subprocess.run([*alone, "true"]).returncode
    command = [*(alone if can else []), sys.executable, "tools/build_docs.py"]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder / 'tools'}"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_of_the_sources(tmp_path_factory.mktemp("site"))
    done = built(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "site"


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=chromium_path, args=[*servers.CHROMIUM_ARGUMENTS]
        )


@pytest.mark.matrix
@pytest.mark.timeout(900)
def test_the_reference_has_every_public_name_with_its_source(site: Path) -> None:
    described = "".join(page.read_text("utf-8") for page in (site / "reference").glob("*.html"))
    full = (site / "llms-full.txt").read_text("utf-8")
    missing = []
    for name in DESCRIBED:
        module = import_module(name)
        page = (site / "reference" / f"{name}.html").read_text("utf-8")
        for each in getattr(module, "__all__", ()):
            # A constant has the id of the module that defines it.
            if not re.search(rf'id="qrlogin[\w.]*\.{each}"|\.{each}</span>', page):
                missing.append(f"{name}.{each}")
            assert each in full
    assert missing == []
    assert described.count("viewcode-link") > 300
    for shown in ("Parameters", "Raises", *(f'id="qrlogin.{name}"' for name in MEMBERS)):
        assert shown in described, shown


@pytest.mark.matrix
@pytest.mark.timeout(900)
def test_llms_txt_leads_to_files_of_the_site(site: Path) -> None:
    for target in LINK.findall((site / "llms.txt").read_text("utf-8")):
        assert (site / target).is_file(), target
        assert f"<!-- {target} -->" in (site / "llms-full.txt").read_text("utf-8")


@pytest.mark.matrix
@pytest.mark.timeout(900)
def test_every_page_fits_a_small_screen_and_loads_nothing_from_elsewhere(
    site: Path, chromium: Browser
) -> None:
    asked, wide = [], []
    with chromium.new_context(viewport={"width": 320, "height": 640}) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        for file in sorted(site.rglob("*.html")):
            if "_modules" in file.parts:
                continue
            page.goto(file.as_uri())
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wide.append(file.relative_to(site).as_posix())
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert wide == []


@pytest.mark.matrix
@pytest.mark.timeout(900)
def test_the_search_works_without_a_server(site: Path, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto((site / "index.html").as_uri())
        page.get_by_placeholder("Search").fill("rotating")
        page.keyboard.press("Enter")
        page.locator("#search-results a", has_text="Concepts").first.wait_for()


@pytest.mark.matrix
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_pass_axe_and_the_keyboard_reaches_their_content(
    site: Path, chromium: Browser, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    with chromium.new_context(color_scheme=scheme, reduced_motion="reduce") as context:
        page = context.new_page()
        for name in SHOWN:
            page.goto((site / name).as_uri())
            found = Axe().run(page).response["violations"]
            assert [faults(each) for each in found] == [], name
            assert keyboard_reaches_the_content(page), name
            if os.environ.get("TEST_SHOTS"):
                page.screenshot(path=tmp_path / f"{name.replace('/', '-')}-{scheme}.png")


def faults(violation: dict[str, object]) -> str:
    nodes = violation["nodes"]
    assert isinstance(nodes, list)
    return f"{violation['id']}: {[node['html'][:120] for node in nodes[:3]]}"


def keyboard_reaches_the_content(page: Page) -> bool:
    """The first stop is a link that skips the navigation."""
    page.keyboard.press("Tab")
    target: str = page.evaluate("document.activeElement.getAttribute('href')")
    return bool(page.locator(target).count())


@pytest.mark.matrix
@pytest.mark.timeout(900)
def test_a_broken_link_a_broken_anchor_and_a_page_without_a_place_fail_the_build(
    tmp_path: Path,
) -> None:
    folder = tmp_path
    (folder / "docs").mkdir()
    shutil.copytree(ROOT / "tools", folder / "tools")
    shutil.copytree(ROOT / "docs" / "_static", folder / "docs" / "_static")
    for name in ("pyproject.toml", "docs/conf.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "tools" / "public_modules.py").write_text('DESCRIBED = ("qrlogin.keyfile",)\n')
    for name in build_docs.ELSEWHERE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("# A page\n\nA text.\n")
    links = "".join(f"- [a page]({path})\n" for path in build_docs.ELSEWHERE)
    links = links.replace("](", "](../")
    home = f"# qrlogin\n\n## Start\n\n{links}\n## Reference\n\nThe rest.\n"
    (folder / "docs" / "index.md").write_text(home)
    done = built(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = "[gone](gone.md) [an anchor](../README.md#gone) ![a picture](gone.png)\n"
    (folder / "docs" / "index.md").write_text(f"{home}\n{broken}")
    (folder / "docs" / "nowhere.md").write_text("# Nowhere\n\nA text.\n")
    done = built(folder)
    assert done.returncode != 0
    for fault in (
        "cross-reference target not found: 'gone.md'",
        "local id not found in doc 'readme': 'gone'",
        "image file not readable: gone.png",
        "document isn't included in any toctree",
    ):
        assert fault in done.stderr, done.stderr


def test_make_docs_builds_the_site() -> None:
    made = output("make", "--no-print-directory", "--dry-run", "docs")
    assert "tools/build_docs.py" in made
