"""Each program and command in the docs is run or checked, or the page says why not.

Blocks of Python are run by pytest itself, unless they say `notest`. A comment above any other block
names the test that runs it, or the reason why none does:

    <!-- run by tests/spa/test_spa.py -->
    <!-- not run: it needs an account at the provider of a tunnel -->

A comment may also name the test of all such blocks of its page:

    <!-- all blocks run by tests/test_docs_mobile.py -->
"""

import contextlib
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from qrlogin.__main__ import _parser
from tests.test_docs import PAGES, ROOT
from tests.test_setup import PROJECT

BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>run by|not run:) (?P<by>[^>]+) -->\n+)?"
    r"```(?P<info>[^`\n]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
#: What a program prints, a grammar, or a message: nothing that a reader runs.
NOT_CODE = {"", "text"}
BROWSER = ROOT / "qrlogin" / "browser"


class Block(NamedTuple):
    page: Path
    language: str
    options: list[str]
    text: str
    mark: str
    by: str


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text("utf-8")
        whole = re.search(r"^<!-- all blocks run by (\S+) -->$", text, re.MULTILINE)
        for found in BLOCK.finditer(text):
            language, *options = found["info"].split() or [""]
            mark, by = found["mark"] or "", found["by"] or ""
            if whole and not mark and language != "python":
                mark, by = "run by", whole[1]
            yield Block(page, language, options, found["text"], mark, by)


def how(block: Block) -> str:
    """How a block is run or checked. Raises `AssertionError` for one that is not."""
    where = f"{block.page.relative_to(ROOT)}: ```{block.language}\n{block.text}"
    if block.mark == "run by":
        file = ROOT / block.by.strip()
        assert file.is_file(), where
        return "run by a test that the page names"
    if block.mark == "not run:":
        assert len(block.by.split()) >= 3, where
        return "not run, with a reason"
    if block.page.parent.name == "tutorials":
        return "run by tests/test_tutorials.py"
    if block.page.parent.parent.name == "examples" and block.language in ("sh", "diff", "python"):
        # tests/examples starts them by their first command, and applies their diffs.
        return "run by tests/examples"
    if block.language == "python":
        assert not {"notest", "skip"} & {*block.options}, where
        assert block.page == ROOT / "README.md" or (ROOT / "docs") in block.page.parents, where
        return "run by pytest"
    if block.language == "transcript":
        return "run by tests/wire/dialects"
    if block.language == "sh":
        for line in block.text.splitlines():
            check_command(line.partition(" #")[0].strip(), where)
        return "commands that exist, with options that exist"
    assert block.language == "html", where
    check_tags(block.text, where)
    return "tags and attributes that exist"


def check_command(line: str, where: str) -> None:
    """Raises `AssertionError` unless the command line is one of ours, and is accepted."""
    words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
    given = [word for word in shlex.split(line) if re.match(r"[A-Z_]+=", word)]
    if words[:3] == ["python", "-m", "qrlogin"]:
        assert is_taken(words[3:]), where
    elif words[0] == "make":
        targets = [*words[1:], *(word for word in given if word.startswith("ARGS="))]
        made = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True)
        assert made.returncode == 0, where
    elif words[:2] == ["pip", "install"]:
        extras = re.fullmatch(r"qrlogin\[([\w,]+)\]", words[2])
        assert extras, where
        assert set(extras[1].split(",")) <= set(PROJECT["project"]["optional-dependencies"]), where
    else:
        assert words[1:3] == ["-m", "pytest"], where
        assert (ROOT / words[-1].partition("::")[0]).is_file(), where


def is_taken(words: list[str]) -> bool:
    """Whether `python -m qrlogin` takes these words."""
    try:
        with contextlib.redirect_stderr(None):
            _parser().parse_args(words)
    except SystemExit as ended:
        return not ended.code  # --version
    return True


def check_tags(text: str, where: str) -> None:
    for name, rest in re.findall(r"<(qr-login|qr-approve)\b([^>]*)", text):
        source = (BROWSER / f"{name}-element.js").read_text("utf-8")
        for attribute in re.findall(r"\s([a-z-]+)(?==|\s|$)", rest):
            assert f'"{attribute}"' in source, f"{attribute} in {where}"


def test_each_block_of_the_docs_is_run_or_says_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    counts = Counter(how(block) for block in blocks() if block.language not in NOT_CODE)
    with capsys.disabled():
        print("\nblocks of the docs:", *(f"{n} {what};" for what, n in counts.most_common()))
        print("0 without a test and without a reason")
    assert counts["run by pytest"] > 60


def commands() -> Iterator[tuple[str, str]]:
    """Each command of qrlogin in the prose of a page or in what it prints, with the page's name."""
    for page in PAGES:
        for span in re.findall(r"`(python -m qrlogin [^`]+)`", page.read_text("utf-8")):
            yield page.name, " ".join(span.split())
    for block in blocks():
        if block.language == "text":
            for line in re.findall(r"^(?:\$ )?(python -m qrlogin .*)$", block.text, re.MULTILINE):
                yield block.page.name, line.partition("#")[0]


def test_every_command_in_the_prose_is_one_that_the_program_takes() -> None:
    found = list(commands())
    assert len(found) > 20
    # Prose may leave out what follows an option or a command.
    left_out: list[list[str]] = [[], ["x"], ["--as", "alice", "approve", "x"]]
    for page, command in found:
        words = shlex.split(command)[3:]
        assert any(is_taken([*words, *more]) for more in left_out), f"{page}: {command}"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "make no-such-target"),
        ("sh", "python -m qrlogin demo --no-such-option"),
        ("sh", "pip install 'qrlogin[no-such-extra]'"),
        ("sh", "curl https://example.com"),
        ("html", '<qr-login src="/qrlogin/" no-such-attribute="1">'),
        ("swift", "print(1)"),
    ],
)
def test_a_block_that_nothing_checks_is_reported(language: str, text: str) -> None:
    with pytest.raises(AssertionError):
        how(Block(ROOT / "docs" / "x.md", language, [], text, "", ""))
