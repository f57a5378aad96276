"""Build the site: `python tools/build_docs.py` writes build/site/, from docs/ and the docstrings.

docs/index.md is the navigation: a heading is a part of the site, and its pages are those that the
part links to. The index.md of a folder orders the pages of that folder. Sphinx does the rest; each
of its warnings, such as a link without a target, fails the build.
"""

import argparse
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from os.path import relpath
from pathlib import Path

from links import in_repository, rewrite, source_address
from public_modules import PUBLIC

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUILD = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

#: Pages of the site that are not in docs/: where a file of the repository is shown.
ELSEWHERE = {
    "CHANGELOG.md": "about/changes.md",
    "CONTRIBUTING.md": "about/contributing.md",
    "SECURITY.md": "about/vulnerabilities.md",
    "examples/flask_app/README.md": "examples/flask.md",
    "examples/fastapi_app/README.md": "examples/fastapi.md",
    "examples/django_site/README.md": "examples/django.md",
}
#: Links to these lead to another page.
SAME_AS = {"README.md": "docs/index.md"} | {
    path.rpartition("/")[0]: path for path in ELSEWHERE if "/" in path
}


def pages() -> dict[str, str]:
    """Every page of the site: the path of its Markdown in the repository, and its path there."""
    own = {path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md")}
    return {path: path.removeprefix("docs/") for path in sorted(own)} | ELSEWHERE


def shown(path: str) -> str:
    """The Markdown of a page as the site shows it: its links lead to pages of the site.

    A link to another file leads to the repository. While [project.urls] has no address of it, only
    the text of the link is shown.
    """
    here, known, source = pages()[path], pages(), source_address(PROJECT)

    def change(target: str, picture: bool) -> str | None:
        file, hash_mark, anchor = target.partition("#")
        found = (ROOT / path).parent.joinpath(file).resolve().relative_to(ROOT).as_posix()
        found = SAME_AS.get(found, found)
        if page := known.get(found):
            return relpath(page, Path(here).parent) + hash_mark + anchor
        if (ROOT / found).is_relative_to(DOCS) and (ROOT / found).is_file():
            return relpath(found.removeprefix("docs/"), Path(here).parent)
        return source and in_repository(source, PROJECT["version"], found, picture)

    return rewrite((ROOT / path).read_text("utf-8"), change)


def linked_pages(markdown: str, folder: str) -> Iterator[str]:
    """The pages that a text of this folder links to, in order."""
    targets: list[str] = []
    rewrite(markdown, lambda target, _: targets.append(target))
    for target in dict.fromkeys(targets):
        file = target.partition("#")[0]
        if file.endswith(".md"):
            yield relpath(Path(folder, file))


def toctree(found: list[str], folder: str, caption: str = "") -> str:
    names = [relpath(page, folder or ".").removesuffix(".md") for page in found]
    head = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *head, "", *names, "```", ""])


def navigation(home: str) -> list[tuple[str, list[str]]]:
    """The parts of docs/index.md, each with its pages."""
    parts = re.split(r"^## (.+)$", home, flags=re.MULTILINE)[1:]
    return [
        (title, list(linked_pages(text, "")))
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def write_sources() -> None:
    """Fills build/docs/ with what Sphinx reads."""
    shutil.rmtree(BUILD, ignore_errors=True)
    texts = {there: shown(path) for path, there in pages().items()}
    texts |= reference()
    parts = navigation(texts["index.md"])
    placed = {page for _, found in parts for page in found}
    home = texts["index.md"]
    for title, found in parts:
        more = ["reference/index.md"] if title == "Reference" else []
        home += toctree(found + more, "", title)
    texts["index.md"] = home
    for there in [page for page in texts if page.endswith("/index.md")]:
        folder = there.rpartition("/")[0]
        inside = [
            page
            for page in linked_pages(texts[there], folder)
            if page.startswith(f"{folder}/") and page not in placed and page != there
        ]
        texts[there] += toctree(inside, folder) if inside else ""
    for there, text in texts.items():
        file = BUILD / "pages" / there
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    for file in DOCS.rglob("*"):
        if file.suffix in (".png", ".svg", ".css"):
            copy = BUILD / "pages" / file.relative_to(DOCS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def reference() -> dict[str, str]:
    """The pages of the reference, and their index."""
    rows, found = [], {}
    for name in PUBLIC:
        rows.append(f"| [{name}]({name}.md) | {first_sentence(docstring(name))} |")
        page = f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n"
        found[f"reference/{name}.md"] = page
    head = """# Every public name

This part is made from the docstrings: the same texts as in `help()` and in an editor. Each name
links to its source.

| module | what it holds |
| --- | --- |
"""
    return found | {"reference/index.md": head + "\n".join(rows) + "\n"}


def docstring(module: str) -> str:
    return importlib.import_module(module).__doc__ or ""


def first_sentence(text: str) -> str:
    return re.split(r"(?<=[.:?])\s", " ".join(text.split()), maxsplit=1)[0].rstrip(":")


# llms.txt


def llms(home: str) -> str:
    """The pages with what each is for, in the form of llms-txt: a title, a summary, and lists."""
    return home


def sphinx(builder: str, output: Path, *more: str) -> None:
    """Raises `SystemExit` if a page has a warning, after all of them are printed."""
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-c", str(DOCS), *more]
    command += ["--fail-on-warning", "--quiet", "-d", str(BUILD / "doctrees")]
    if subprocess.run([*command, str(BUILD / "pages"), str(output)], check=False).returncode:
        raise SystemExit("build_docs: the site has the faults above")


def main() -> int:
    write_sources()
    shutil.rmtree(SITE, ignore_errors=True)
    sphinx("html", SITE)
    print(f"{SITE.relative_to(ROOT)}: {len(list(SITE.rglob('*.html')))} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
