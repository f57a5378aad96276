"""Build the site: `python tools/build_docs.py` writes build/site/, from docs/ and the docstrings.

docs/index.md is the navigation: a heading is a part of the site, and its pages are those that the
part links to. The index.md of a folder orders the pages of that folder. Sphinx does the rest; each
of its warnings, such as a link without a target, fails the build.
"""

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from os.path import relpath
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from links import in_repository, rewrite, source_address
from public_modules import DESCRIBED

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUILD = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

#: Pages of the site that are not in docs/, and their paths in the site.
ELSEWHERE = {
    "README.md": "readme.md",
    "CHANGELOG.md": "about/changes.md",
    "CONTRIBUTING.md": "about/contributing.md",
    "SECURITY.md": "about/vulnerabilities.md",
    "examples/flask_app/README.md": "examples/flask.md",
    "examples/fastapi_app/README.md": "examples/fastapi.md",
    "examples/django_site/README.md": "examples/django.md",
}
#: A link to one of these folders leads to the page in it.
FOLDERS = {path.rpartition("/")[0]: path for path in ELSEWHERE if "/" in path}


class Entry(NamedTuple):
    """A link of a page that orders other pages."""

    page: str
    title: str
    about: str
    """What the page is for, from its row in the table."""


# The Markdown that the site shows


def pages() -> dict[str, str]:
    """Every page that is written by hand: its path in the repository, and its path in the site."""
    own = sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))
    return {path: path.removeprefix("docs/") for path in own} | ELSEWHERE


def shown(path: str, known: dict[str, str]) -> str:
    """The Markdown of a page, with links to pages of the site.

    A link to another file leads to the repository. While [project.urls] has no address of it, only
    the text of the link is shown.
    """
    source, folder = source_address(PROJECT), Path(known[path]).parent

    def change(target: str, picture: bool) -> str | None:
        file, mark, anchor = target.partition("#")
        found = (ROOT / path).parent.joinpath(file).resolve().relative_to(ROOT).as_posix()
        found = FOLDERS.get(found, found)
        if page := known.get(found):
            return relpath(page, folder) + mark + anchor
        if picture or found.startswith("docs/"):  # Sphinx reports one that does not exist
            return relpath(found.removeprefix("docs/"), folder)
        return source and in_repository(source, PROJECT["version"], found, picture)

    return rewrite((ROOT / path).read_text("utf-8"), change)


def reference() -> dict[str, str]:
    """The pages that Sphinx fills with docstrings, and their index.

    A name that two modules export is described once, on the page of the first one.
    """
    rows, found = [], {}
    described: dict[int, str] = {}
    for name in DESCRIBED:
        module = importlib.import_module(name)
        rows.append(f"| [{name}]({name}.md) | {first_sentence(module.__doc__ or '')} |")
        page = [f"# {name}", "", "```{eval-rst}", f".. automodule:: {name}", "   :no-members:", ""]
        again = []
        for each in public_names(module):
            value = getattr(module, each)
            first = described.setdefault(id(value), f"{name}.{each}")
            if first == f"{name}.{each}":
                page += [directive(name, each, value), ""]
            else:
                again.append(f"`{first}`")
        if again:
            page += [f"Also here: {', '.join(again)}.", ""]
        found[f"reference/{name}.md"] = "\n".join([*page, "```", ""])
    head = """# Every public name

This part is made from the docstrings, which `help()` and editors show, too. Each name links to its
source.

| module | what it holds |
| --- | --- |
"""
    return found | {"reference/index.md": head + "\n".join(rows) + "\n"}


def public_names(module: ModuleType) -> list[str]:
    """Those in `__all__`; without it, the classes and functions that the module defines."""
    defined = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    return list(getattr(module, "__all__", defined))


def directive(module: str, name: str, value: object) -> str:
    """The directive by which Sphinx describes this name."""
    if isinstance(value, type):
        kind = "exception" if issubclass(value, BaseException) else "class"
        # What comes from a base that is not public has no other place.
        private = any(base.__name__.startswith("_") for base in value.__mro__)
        more = "\n   :inherited-members: object" if private else ""
        return f".. auto{kind}:: {module}.{name}{more}"
    if inspect.isroutine(value):
        return f".. autofunction:: {module}.{name}"
    return f".. autodata:: {home_of(module, name)}.{name}\n   :no-value:"


def home_of(module: str, name: str) -> str:
    """The module that defines a constant: only there, Sphinx finds the docstring below it."""
    source = inspect.getsource(importlib.import_module(module))
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return home_of(node.module, alias.name)
    return module


def first_sentence(text: str) -> str:
    return re.split(r"(?<=[.?])\s", " ".join(text.split()), maxsplit=1)[0].rstrip(":")


# Navigation


def entries(markdown: str, folder: str) -> Iterator[Entry]:
    """The pages that a text of this folder links to, in order, each once."""
    seen = set()
    for line in markdown.splitlines():
        for title, target in re.findall(r"\[([^\]]+)\]\(([^)#:]+\.md)(?:#[^)]*)?\)", line):
            page = relpath(Path(folder, target))
            if page not in seen:
                seen.add(page)
                row = re.fullmatch(r"\| \[[^\]]+\]\([^)]+\)[^|]* \| ([^|]+) \|", line)
                yield Entry(page, title.replace("`", ""), row[1] if row else "")


def navigation(home: str) -> dict[str, list[Entry]]:
    """The parts of docs/index.md, each with its pages."""
    parts = re.split(r"^## (.+)$", home, flags=re.MULTILINE)[1:]
    found = {
        title: list(entries(text, "")) for title, text in zip(parts[::2], parts[1::2], strict=True)
    }
    found["Reference"].append(Entry("reference/index.md", "Every public name", ""))
    return found


def inside(index: str, texts: dict[str, str], placed: set[str]) -> list[Entry]:
    """The pages of its folder that an index.md links to, and that the home does not."""
    folder = index.rpartition("/")[0]
    return [
        each
        for each in entries(texts[index], folder)
        if each.page.startswith(f"{folder}/") and each.page not in {*placed, index}
    ]


def toctree(found: list[Entry], folder: str, caption: str = "") -> str:
    names = [f"{each.title} <{relpath(each.page, folder or '.')[:-3]}>" for each in found]
    head = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *head, "", *names, "```", ""])


# llms.txt


def llms(texts: dict[str, str]) -> str:
    """Every page with what it is for, in the form of https://llmstxt.org."""
    base = str(PROJECT.get("urls", {}).get("Documentation", "")).rstrip("/")
    parts = navigation(texts["index.md"])
    placed = {each.page for found in parts.values() for each in found}
    lines = [f"# {PROJECT['name']}", "", f"> {PROJECT['description']}", ""]
    lines += ["Each page is Markdown. llms-full.txt has all of them in one file.", ""]
    for part, found in parts.items():
        lines += [f"## {part}", ""]
        for each in found:
            more = inside(each.page, texts, placed) if each.page.endswith("/index.md") else []
            for page, title, about in [each, *more]:
                text = about or summary(texts[page])
                lines.append(f"- [{title}]({base}{'/' if base else ''}{page}): {text}")
        lines.append("")
    plain = rewrite("\n".join(lines), lambda target, _: target if target in texts else None)
    return plain.rstrip() + "\n"


def summary(markdown: str) -> str:
    """The first sentence below the title; for a module, that of its docstring."""
    if found := re.search(r"automodule:: (\S+)", markdown):
        return first_sentence(importlib.import_module(found[1]).__doc__ or "")
    paragraphs = re.split(r"\n\s*\n", markdown)
    return first_sentence(next(each for each in paragraphs if re.match(r"[\w`*\[\"<]", each)))


# Building


def all_texts() -> dict[str, str]:
    """The Markdown of every page, by its path in the site."""
    known = pages()
    return {there: shown(path, known) for path, there in known.items()} | reference()


def write_sources(texts: dict[str, str]) -> None:
    """Fills build/docs/ with what Sphinx reads."""
    shutil.rmtree(BUILD, ignore_errors=True)
    parts = navigation(texts["index.md"])
    placed = {each.page for found in parts.values() for each in found}
    trees = {"index.md": "".join(toctree(found, "", part) for part, found in parts.items())}
    for index in (page for page in texts if page.endswith("/index.md")):
        if found := inside(index, texts, placed):
            trees[index] = toctree(found, index.rpartition("/")[0])
    for page, text in texts.items():
        write(BUILD / "pages" / page, text + trees.get(page, ""))
    copy_pictures(BUILD / "pages")


def copy_pictures(to: Path) -> None:
    """Copies the pictures of docs/ and the style sheet."""
    for file in DOCS.rglob("*"):
        if file.suffix in (".png", ".svg", ".css"):
            copy = to / file.relative_to(DOCS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


#: What the theme leaves out: axe finds nothing else on the pages.
ACCESSIBLE = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer': '<aside aria-label="On this page" class="toc-drawer',
    "<pre>": '<pre tabindex="0">',  # it scrolls sideways on small screens
    '<th class="head"><p></p></th>': "<td></td>",
}


def make_accessible() -> None:
    for file in SITE.rglob("*.html"):
        text = file.read_text("utf-8")
        for theirs, ours in ACCESSIBLE.items():
            text = text.replace(theirs, ours)
        file.write_text(text, "utf-8")


def sphinx(builder: str, output: Path, *files: str) -> None:
    """Raises `SystemExit` if a page has a warning, after all of them are printed.

    :param builder: the name of Sphinx's builder.
    :param output: the folder that it writes.
    :param files: those of the pages that it writes; none of them means all.
    """
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-c", str(DOCS), "--quiet"]
    command += ["--fail-on-warning", "-d", str(BUILD / "doctrees")]
    command += [str(BUILD / "pages"), str(output), *files]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit("build_docs: the pages have the faults above")


def write_markdown(texts: dict[str, str]) -> None:
    """Puts the Markdown of each page beside its HTML, and llms.txt and llms-full.txt at the root.

    A page of the reference has the docstrings as plain text.
    """
    full = []
    for page, text in sorted(texts.items()):
        made = BUILD / "text" / Path(page).with_suffix(".txt")
        shown = made.read_text("utf-8") if "automodule::" in text else text
        write(SITE / page, shown)
        full.append(f"<!-- {page} -->\n\n{shown.strip()}\n")
    copy_pictures(SITE)
    write(SITE / "llms.txt", llms(texts))
    write(SITE / "llms-full.txt", "\n".join(full))


def main() -> int:
    texts = all_texts()
    write_sources(texts)
    shutil.rmtree(SITE, ignore_errors=True)
    sphinx("html", SITE)
    make_accessible()
    described = [page for page, text in texts.items() if "automodule::" in text]
    sphinx("text", BUILD / "text", *(str(BUILD / "pages" / page) for page in described))
    write_markdown(texts)
    print(f"{SITE.relative_to(ROOT)}/index.html: {len(texts)} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
