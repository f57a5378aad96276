"""The how-to pages: troubleshooting quotes real texts, and every question and noun has its place."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from qrlogin.browser import texts
from tests.tables import for_each_row

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TROUBLE = (DOCS / "troubleshooting.md").read_text("utf-8")


def one_line(text: str) -> str:
    return " ".join(text.split())


def of_python(tree: ast.AST) -> Iterator[str]:
    """The strings of a module, with … for each value that is put in."""
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if id(node) in notes:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[a-z]", "…", node.value)


def of_catalogue(table: object) -> Iterator[str]:
    for value in table.values() if isinstance(table, Mapping) else ():
        if isinstance(value, str):
            yield value.replace("*", "")
        yield from of_catalogue(value)


@cache
def written() -> str:
    """Every text that qrlogin writes, one a line: errors, the log, the doctor's findings, the
    elements."""
    modules = (ROOT / "qrlogin").rglob("*.py")
    found = [text for path in modules for text in of_python(ast.parse(path.read_text("utf-8")))]
    return "\n".join(map(one_line, [*found, *of_catalogue(texts("en"))]))


def is_written(quoted: str) -> bool:
    """Whether one text of qrlogin has these parts, in this order. … is what differs."""
    parts = [re.escape(part.strip()) for part in quoted.split("…") if part.strip()]
    return re.search(".*".join(parts), written()) is not None


def quotations(page: str) -> Iterator[str]:
    for block in re.findall(r"^```text\n(.*?)^```", page, re.DOTALL | re.M):
        yield from map(one_line, block.splitlines())
    prose = re.sub(r"^ *```.*?^ *```", "", page, flags=re.DOTALL | re.M)
    prose = re.sub(r"^#.*$|\]\([^)]*\)|`[^`]*`", "", prose, flags=re.M)
    yield from re.findall(r'"([^"]+)"', one_line(prose))


def test_troubleshooting_quotes_only_texts_that_qrlogin_writes() -> None:
    quoted = list(quotations(TROUBLE))
    assert len(quoted) > 50
    assert [text for text in quoted if not is_written(text)] == []
    assert not is_written("a text that … writes"), "the test finds everything"
