"""Links of the README and of the pages, where they are shown elsewhere than in the repository."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zxingcpp
from links import in_repository, rewrite
from PIL import Image

from tests.tables import for_each_row
from tests.test_setup import PROJECT, output

ROOT = Path(__file__).parent.parent
SOURCE = "https://forge.example/qrlogin"


@for_each_row(
    "markdown, rewritten",
    [
        ("[a](docs/a.md#b) [c](https://c.example)", "[a](/docs/a.md#b) [c](https://c.example)"),
        ("[here](#b), `[a](a.md)`", "[here](#b), `[a](a.md)`"),
        ("![a picture](p.png)", "![a picture](/p.png)"),
        ("[![a](p.png) b](a.md)", "[![a](/p.png) b](/a.md)"),
        ("[`a`](a.md)", "[`a`](/a.md)"),
        ("[two\nlines](a.md)", "[two\nlines](/a.md)"),
        ("```md\n[a](a.md)\n```\n[b](b.md)", "```md\n[a](a.md)\n```\n[b](/b.md)"),
        ("[a text](gone.md)", "a text"),
        ("[![a](p.png)](gone.md)", "![a](/p.png)"),
    ],
)
def test_links_are_rewritten_outside_code(markdown: str, rewritten: str) -> None:
    changed = rewrite(markdown, lambda target, _: None if "gone" in target else f"/{target}")
    assert changed == rewritten


def readme_of_the_wheel(folder: Path, urls: str) -> str:
    """The README in the metadata of a wheel that has these lines in [project.urls]."""
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert project.count("[project.urls]\n") == 1
    set_up = project.replace("[project.urls]\n", f"[project.urls]\n{urls}")
    (folder / "pyproject.toml").write_text(set_up, "utf-8")
    return output(sys.executable, "-m", "hatchling", "metadata", "readme", cwd=folder)


def relative_links(markdown: str) -> list[str]:
    found: list[str] = []
    rewrite(markdown, lambda target, _: found.append(target))
    return found


def test_one_setting_makes_all_links_of_the_readme_absolute(tmp_path: Path) -> None:
    readme = readme_of_the_wheel(tmp_path, f'Source = "{SOURCE}/"\n')
    assert relative_links(readme) == []
    pattern = rf"\]\({SOURCE}/(blob|raw)/v{PROJECT['project']['version']}/([^)#]+)"
    files = re.findall(pattern, readme)
    assert len(files) == len(relative_links((ROOT / "README.md").read_text("utf-8")))
    for kind, name in files:
        assert (ROOT / name).exists(), name
        assert (kind == "raw") == name.endswith(".png")
    assert in_repository(SOURCE, "1", "a.png", True) == f"{SOURCE}/raw/v1/a.png"


@pytest.mark.skipif("Source" in PROJECT["project"]["urls"], reason="the address is set")
def test_without_an_address_the_readme_has_no_link_that_leads_nowhere(tmp_path: Path) -> None:
    readme = readme_of_the_wheel(tmp_path, "")
    assert relative_links(readme) == []
    assert "Try it with a real phone" in readme


def test_a_version_with_a_date_has_the_address_of_its_repository() -> None:
    newest = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert "not yet released" in newest[1] or PROJECT["project"]["urls"].get("Source")


def test_the_readme_shows_a_code_of_this_version() -> None:
    """`tools/take_pictures.py` takes the pictures again."""
    (code,) = zxingcpp.read_barcodes(Image.open(ROOT / "docs" / "pictures" / "login.png"))
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/qr/[\w-]{48}", code.text)


def test_git_ignores_the_site() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    asked = ["git", "check-ignore", "--quiet", "build/site/index.html"]
    assert subprocess.run(asked, cwd=ROOT).returncode == 0
