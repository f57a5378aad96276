"""The docs are current: drawn parts, links, wire codes, routes and the error tree."""

import re
import subprocess
import sys
from pathlib import Path

from qrlogin import errors
from qrlogin.errors import QRLoginError
from qrlogin.wire import Native
from tests.tables import for_each_row
from tests.test_setup import project_files

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*/README.md"),
    ]
)


def test_the_pages_drawn_from_the_table_are_current() -> None:
    drawn = subprocess.run(
        [sys.executable, ROOT / "tools" / "draw_table.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert drawn.returncode == 0, drawn.stdout + drawn.stderr


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@for_each_row("page", PAGES)
def test_every_link_has_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), (
            f"{page.name} links to {target}: no such heading"
        )


@for_each_row("page", [ROOT / "CONTRIBUTING.md", ROOT / "README.md", ROOT / "docs" / "design.md"])
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = set(
        re.findall(r"`([\w./-]+\.(?:py|js|lua|md|toml))`", page.read_text(encoding="utf-8"))
    )
    here = [path.as_posix() for path in project_files()]
    for name in named - {"qrlogin/wire/dialects/NAME.py"}:
        assert any(path.endswith(f"/{name}") for path in here), f"{page.name} names {name}"


@for_each_row("page", PAGES)
def test_every_application_in_the_docs_ends_its_waits_when_the_server_stops(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M):
        mounts = re.search(r"Endpoint\(|PhoneLogin\(", block) and "nothing is held" not in block
        if re.search(r"\b(Flask|FastAPI|DispatcherMiddleware)\(|\burlpatterns\b", block) and mounts:
            assert re.search("drain_on_signals|close_at_exit|serving", block), block


def test_every_wire_code_is_documented() -> None:
    page = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, QRLoginError)
    ]
    for kind in kinds:
        if kind.wire_code != QRLoginError.wire_code:
            assert f"`{kind.wire_code}`" in page, f"{kind.__name__} is missing"
            assert str(kind.http_status) in page


def test_every_route_is_documented() -> None:
    page = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    for route in Native.browser_routes:
        assert route.path in page
    for route in Native.phone_routes:
        assert f"`phone/{route.path}`" in page or f"`POST phone/{route.path}`" in page


def test_the_error_tree_in_the_docstring_is_that_of_the_classes() -> None:
    drawn = re.findall(r"^    ([│├└─ ]*)(\w+)", errors.__doc__ or "", re.MULTILINE)
    depth = {name: len(branch) // 4 for branch, name in drawn if hasattr(errors, name)}
    kinds = {
        kind.__name__: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, QRLoginError)
    }
    assert depth.keys() == kinds.keys()
    for name, kind in kinds.items():
        assert (
            depth[name]
            == len([base for base in kind.__mro__ if issubclass(base, QRLoginError)]) - 1
        ), name
