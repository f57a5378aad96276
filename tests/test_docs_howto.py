"""The how-to pages: the texts that they quote are real, and no question or noun is missing."""

import ast
import contextlib
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from qrlogin.__main__ import _parser
from qrlogin.browser import module, texts
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


def first_cells(text: str) -> list[str]:
    """The words in the first column of all tables, without the heads of the tables."""
    rows = re.findall(r"^\| ([^|]+?) \|.*\n(?!\| ---)", text, re.M)
    return [word for row in rows if row != "---" for word in row.replace("`", "").split(", ")]


def test_the_glossary_has_each_noun_of_the_design() -> None:
    design = (DOCS / "design.md").read_text("utf-8")
    (nouns,) = re.findall(r"^## The nouns\n(.*?)^## ", design, re.DOTALL | re.M)
    glossary = (DOCS / "glossary.md").read_text("utf-8")
    words = first_cells(glossary)
    assert "held status" in first_cells(nouns)
    assert set(first_cells(nouns)) <= set(words)
    assert len(words) == len(set(words)), "a word is explained twice"
    for row in re.findall(r"^\| (?!---|word).*$", glossary, re.M):
        assert all(cell.strip() for cell in row.strip("|").split("|")), row
        assert row.count("|") == 4, row


#: What people ask about QR login on public trackers, and a word of the heading that answers it.
ASKED = {
    "latency of news": "fast",
    "what a screenshot can do": "screenshot",
    "phishing": "phishing",
    "several servers": "several servers",
    "expired while scanning": "expires while",
    "approved and nothing happens": "nothing happens",
    "computer was offline": "offline",
    "iOS, Android, React Native": "React Native",
    "SPA, JWT, CORS": "JWT",
    "second factor": "second factor",
    "no camera": "no camera",
    "log out from the phone": "from the phone",
    "proxies": "nginx",
    "how many can wait": "How many",
    "second scanner": "second person",
}


def sections(page: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)\n", page, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_each_question_is_answered_shortly_with_a_link() -> None:
    answers = sections((DOCS / "questions.md").read_text("utf-8"))
    assert len(answers) == len(ASKED) == 15
    for asked, word in ASKED.items():
        ((heading, answer),) = [each for each in answers.items() if word in each[0]]
        assert heading.endswith(("?", "Why?")), asked
        plain = re.sub(r"\]\([^)]*\)", "", one_line(answer))
        sentences = re.findall(r"[.?!](?=\s|$)", plain)
        assert 2 <= len(sentences) <= 5, (heading, len(sentences))
        assert re.search(r"\]\([\w/-]+\.md", answer), heading


def test_the_questions_are_one_step_from_the_readme_and_from_the_list_of_pages() -> None:
    for page, path in ((ROOT / "README.md", "docs/"), (DOCS / "index.md", "")):
        text = page.read_text("utf-8")
        for name in ("questions", "troubleshooting", "glossary"):
            assert f"]({path}{name}.md)" in text, f"{page.name} does not link to {name}"


#: Pages about what can be set wrong. Each names the command that finds it.
SET_UP = [
    *("deploy", "proxies", "servers", "stores", "frameworks", "http", "single-page", "events"),
    *("mobile", "streams", "real-phone", "troubleshooting", "questions", "security/index"),
]


@for_each_row("page", SET_UP)
def test_the_doctor_is_linked_where_something_can_be_set_wrong(page: str) -> None:
    assert re.search(r"\]\((\.\./)?doctor\.md", (DOCS / f"{page}.md").read_text("utf-8")), page


def test_each_cause_says_how_to_be_sure_or_what_to_do() -> None:
    for heading, section in sections(TROUBLE).items():
        rows = re.findall(r"^\| (?!---).*\|$", section, re.M)
        assert len(rows) >= 3, heading
        for row in rows:
            cells = [cell.strip() for cell in row.strip("|").split(" | ")]
            assert len(cells) >= 2, row
            assert all(cells), row


def test_the_theme_of_the_docs_uses_names_that_the_elements_have() -> None:
    page = (DOCS / "element.md").read_text("utf-8")
    (theme,) = re.findall(r"^```css\n(.*?)^```", page, re.DOTALL | re.M)
    parts = module("qr-login-parts.js") + module("qr-login-card.js")
    used = re.findall(r"^  --qr-login-([\w-]+): ", theme, re.M)
    assert len(used) == 4
    for name in used:
        assert f"`--qr-login-{name}`" in page.replace(theme, ""), name
        assert re.search(rf"\b{name}\b", parts.decode()), name
    listed = page.partition("`::part()` are `")[2].partition("`")[0].split()
    assert set(re.findall(r"::part\((\w+)\)", theme)) <= set(listed)
    states = page.partition("The states are `")[2].partition("Time")[0]
    assert all(state in states for state in re.findall(r"state=\"(\w+)\"", theme))


def commands() -> Iterator[tuple[str, str]]:
    """Each command line of qrlogin that a page names, with the name of the page."""
    for page in (ROOT / "README.md", *DOCS.rglob("*.md"), *ROOT.glob("examples/*/README.md")):
        text = page.read_text("utf-8")
        for span in re.findall(r"`(python -m qrlogin [^`]+)`", text):
            yield page.name, one_line(span)
        for block in re.findall(r"^```(?:sh|text)\n(.*?)^```", text, re.DOTALL | re.M):
            for line in re.findall(r"^(?:\$ )?(python -m qrlogin .*)$", block, re.M):
                yield page.name, line.partition("#")[0]


def test_every_command_in_the_docs_is_one_that_the_program_takes() -> None:
    found = list(commands())
    assert len(found) > 20
    for page, command in found:
        words = shlex.split(command)[3:]
        # Prose may leave out what follows an option or a command.
        for more in ([], ["x"], ["--as", "alice", "approve", "x"]):
            try:
                with contextlib.redirect_stderr(None):
                    _parser().parse_args([*words, *more])
                break
            except SystemExit as ended:
                if not ended.code:  # --version
                    break
        else:
            raise AssertionError(f"{page}: {command}")


#: What checks the blocks of each language on these pages. Python runs in every page.
CHECKED = {
    "proxies": {"sh", "nginx", "caddyfile", "haproxy", "apache"},  # tests/proxies
    "mobile": {"sh", "swift", "kotlin", "dart", "js", "jsx", "xml", "nginx"},  # test_docs_mobile.py
    "components": {"html", "jsx", "vue", "svelte", "ts"},  # tests/browser/test_components.py
    "troubleshooting": {"text"},  # above
    "devices": set[str](),
    "second-factors": set[str](),
    "questions": set[str](),
    "glossary": set[str](),
    "deploy": {"sh"},  # tests/test_docs_deploy.py
}


@for_each_row("page, languages", CHECKED.items())
def test_no_block_of_a_page_is_without_a_check(page: str, languages: set[str]) -> None:
    text = (DOCS / f"{page}.md").read_text("utf-8")
    fences = re.findall(r"^ *```([^\n]*)\n.*?^ *```$", text, re.DOTALL | re.M)
    assert {fence.partition(" ")[0] for fence in fences} - {"python"} == languages
    assert not any("notest" in fence or "skip" in fence for fence in fences)
