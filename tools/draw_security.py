"""Draw the tables of docs/security/ from their rows, and from the tests that carry `@row(number)`.

Run it after you change docs/security/rows.toml or counts.toml, or mark, rename or remove a test:
`.venv/bin/python tools/draw_security.py`. With `--check` it changes nothing, and exits with 1 if a
page is out of date. The rows and the words around the tables are written by hand; which tests prove
a row is read from the tests, without importing them.
"""

import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "security"
DATA, NUMBERS = PAGES / "rows.toml", PAGES / "counts.toml"
#: The drawn part of a page stands between two of these.
MARKS = ("<!-- drawn from rows.toml: {} -->", "<!-- end of the drawn part -->")
ANSWERS = ("yes", "in part", "the application's", "no")


@dataclass(frozen=True)
class Proof:
    """One test that proves rows: its file below the root, its name, and the numbers it is given."""

    file: str
    name: str
    rows: tuple[int, ...]

    @property
    def link(self) -> str:
        """The test as a sentence, linked to its file."""
        words = self.name.removeprefix("test_").replace("_", " ")
        return f"[{words}](../../{self.file})"


@dataclass(frozen=True)
class Row:
    """One row of a table, as rows.toml has it, and the tests that prove it."""

    number: int
    at: str
    says: str
    answer: str
    how: str
    default: str
    untested: str
    tests: tuple[Proof, ...] = ()


@dataclass(frozen=True)
class Table:
    """One page: its name, the titles of its first columns, and its rows."""

    page: str
    title: str
    columns: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)


def marked(root: Path = ROOT) -> list[Proof]:
    """The tests below `root` that carry `@row(…)`, and those of the store suite, in order of file.

    The suite is shipped, and the pytest of another project does not know our mark. So rows.toml
    lists its tests under `suite`.
    """
    found = [
        Proof(file.relative_to(root).as_posix(), node.name, numbers)
        for file in sorted((root / "tests").rglob("test_*.py"))
        if "row(" in (text := file.read_text("utf-8"))
        for node in _tests(text)
        if (numbers := tuple(_numbers(node)))
    ]
    suite = _read(root)["suite"] if (root / "docs").exists() else {}
    for file in sorted((root / "qrlogin" / "stores" / "suite").glob("*.py")):
        for node in _tests(file.read_text("utf-8")):
            if node.name in suite:
                name = file.relative_to(root).as_posix()
                found.append(Proof(name, node.name, tuple(suite.pop(node.name))))
    if suite:
        raise SystemExit(f"rows.toml names tests that the store suite does not have: {[*suite]}")
    return found


def _tests(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[:5] == "test_":
            yield node


def _numbers(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    for mark in test.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "row":
            yield from (ast.literal_eval(number) for number in mark.args)


def _read(root: Path = ROOT) -> dict[str, Any]:
    return tomllib.loads((root / "docs" / "security" / DATA.name).read_text("utf-8"))


def tables(tests: Iterable[Proof]) -> list[Table]:
    """The tables of rows.toml, each row with the tests that prove it."""
    tests, read = list(tests), _read()
    made = {
        page: Table(page, each["title"], tuple(each["columns"]))
        for page, each in read["page"].items()
    }
    for each in read["row"]:
        words = {
            name: " ".join(each.get(name, "").split())
            for name in ("at", "says", "answer", "how", "default", "untested")
        }
        proof = tuple(test for test in tests if each["number"] in test.rows)
        made[each["page"]].rows.append(Row(each["number"], **words, tests=proof))
    return list(made.values())


def mistakes(drawn: list[Table], tests: Iterable[Proof]) -> list[str]:
    """What is wrong: each row has tests or says why not, and each mark has a row."""
    rows = [row for table in drawn for row in table.rows]
    found = [f"row {number} is there twice" for number, n in _twice(row.number for row in rows)]
    for table in drawn:
        numbers = [row.number for row in table.rows]
        if numbers != sorted(numbers):
            found.append(f"the rows of {table.page} are not in the order of their numbers")
    for row in rows:
        if row.answer not in ANSWERS:
            found.append(f"row {row.number}: {row.answer!r} is no answer")
        if not row.tests and not row.untested:
            found.append(f"row {row.number} has no test, and no `untested` that says why")
        if row.tests and row.untested:
            found.append(f"row {row.number} has a test, so remove its `untested`")
    known = {row.number for row in rows}
    for test in tests:
        found += [f"{test.name}: there is no row {n}" for n in test.rows if n not in known]
    return found


def _twice(numbers: Iterable[int]) -> list[tuple[int, int]]:
    return [(number, n) for number, n in Counter(numbers).items() if n > 1]


def as_markdown(table: Table) -> str:
    """The rows of one page."""
    titles = ["#", *table.columns, "answer", "default", "test"]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    for row in table.rows:
        proof = "<br>".join(test.link for test in row.tests) or f"*no test:* {row.untested}"
        said = [row.at, row.says] if len(table.columns) == 2 else [row.says]
        cells = [*said, f"**{row.answer}**: {row.how}", row.default, proof]
        escaped = [cell.replace("|", "\\|") for cell in cells]
        lines.append(f"| {row.number} | {' | '.join(escaped)} |")
    return "\n".join(lines)


def summary(drawn: list[Table]) -> str:
    """How many rows of each page have which answer, and how many have no test."""
    lines = [
        f"| table | rows | {' | '.join(ANSWERS)} | without a test |",
        f"| --- |{' ---: |' * (len(ANSWERS) + 2)}",
    ]
    for table in drawn:
        answers = Counter(row.answer for row in table.rows)
        counts = [len(table.rows), *(answers[answer] for answer in ANSWERS)]
        counts.append(sum(not row.tests for row in table.rows))
        cells = [f"[{table.title}]({table.page})", *map(str, counts)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def numbers() -> str:
    """The numbers of the searches, with the words of counts.toml."""
    read = tomllib.loads(NUMBERS.read_text("utf-8"))
    words = read.pop("words")
    lines = ["| counted | what |", "| ---: | --- |"]
    for name, number in read.items():
        grouped = f"{number:_}".replace("_", "&nbsp;")
        lines.append(f"| {grouped} | {words[name]} |")
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """The pages as they should be, by path. Raises SystemExit if the rows are wrong."""
    tests = marked()
    drawn = tables(tests)
    if wrong := mistakes(drawn, tests):
        raise SystemExit("docs/security/rows.toml and the marks do not fit:\n" + "\n".join(wrong))
    wanted = {}
    for table in drawn:
        wanted[PAGES / table.page] = _with(PAGES / table.page, table.page, as_markdown(table))
    index = PAGES / "index.md"
    wanted[index] = _with(index, "summary", summary(drawn))
    wanted[index] = _with(index, "numbers", numbers(), wanted[index])
    return wanted


def _with(page: Path, part: str, drawn: str, text: str | None = None) -> str:
    text = page.read_text("utf-8") if text is None else text
    before, begin, rest = text.partition(MARKS[0].format(part))
    _, end, after = rest.partition(MARKS[1])
    if not end:
        raise SystemExit(f"{page.name} has no place for the part {part!r}")
    return f"{before}{begin}\n\n{drawn}\n\n{end}{after}"


def stale() -> dict[Path, str]:
    """The pages that are out of date, as they should be."""
    return {page: text for page, text in pages().items() if page.read_text("utf-8") != text}


def main() -> int:
    old = stale()
    for page, text in old.items():
        if "--check" in sys.argv:
            print(f"{page.name} is out of date: run .venv/bin/python tools/draw_security.py")
        else:
            page.write_text(text, encoding="utf-8")
            print(f"updated {page.name}")
    return 1 if old and "--check" in sys.argv else 0


if __name__ == "__main__":
    raise SystemExit(main())
