"""The tables of docs/security/ are current, complete and honest."""

import re
from functools import cache
from pathlib import Path

import draw_security
import pytest
from draw_security import Proof, Row, Table

from tests.security_rows import COUNTS, row


@cache
def marked() -> list[Proof]:
    """All marked tests. Only a worker that runs these tests reads them, which takes a second."""
    return draw_security.marked()


def test_the_pages_of_security_are_current() -> None:
    """A test that was removed, renamed or unmarked makes the page of its row out of date."""
    stale = {page.name for page in draw_security.stale()}
    assert not stale, f"{stale}: run .venv/bin/python tools/draw_security.py, and look at the diff"


def test_a_marked_test_that_disappears_makes_its_page_out_of_date(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = next(test for test in marked() if 9 in test.rows)
    others = [test for test in marked() if test != lost]
    monkeypatch.setattr(draw_security, "marked", lambda: others)
    assert "attacks.md" in {page.name for page in draw_security.stale()}


def test_a_row_without_tests_says_why_and_a_mark_without_a_row_is_an_error() -> None:
    def asked(*tests: Proof, untested: str = "", number: int = 1, answer: str = "yes") -> list[str]:
        one = Row(number, "", "an attack", answer, "because", "on", untested, tests)
        return draw_security.mistakes([Table("attacks.md", "Attacks", ("attack",), [one])], tests)

    proof = Proof("tests/test_it.py", "test_it", (1,))
    assert asked(proof) == asked(untested="it cannot be tested") == []
    assert asked() == ["row 1 has no test, and no `untested` that says why"]
    assert asked(proof, untested="none") == ["row 1 has a test, so remove its `untested`"]
    assert asked(proof, number=2) == ["test_it: there is no row 1"]
    assert asked(proof, answer="maybe") == ["row 1: 'maybe' is no answer"]


def test_marks_are_found_in_the_source_wherever_they_are(tmp_path: Path) -> None:
    """The collector reads the marks of functions and methods, and imports nothing."""
    (tmp_path / "tests" / "below").mkdir(parents=True)
    (tmp_path / "tests" / "below" / "test_it.py").write_text(
        "import no_such_module\n"
        "@row(9)\n@pytest.mark.long\ndef test_one(): ...\n"
        "class TestIt:\n    @other\n    @row(2, 14)\n    async def test_two(self): ...\n"
        "def test_without(): ...\n"
    )
    assert [(test.file, test.name, test.rows) for test in draw_security.marked(tmp_path)] == [
        ("tests/below/test_it.py", "test_one", (9,)),
        ("tests/below/test_it.py", "test_two", (2, 14)),
    ]


def test_pytest_and_the_tables_see_the_same_marks(request: pytest.FixtureRequest) -> None:
    """The collector reads source, so it must see what pytest sees."""
    in_source = {(test.file, test.name): {*test.rows} for test in marked()}
    for item in request.session.items:
        if not isinstance(item, pytest.Function):
            continue
        numbers = {number for mark in item.iter_markers("row") for number in mark.args}
        file = item.path.relative_to(draw_security.ROOT).as_posix()
        name = item.originalname
        if file.startswith("tests/") and (numbers or (file, name) in in_source):
            assert in_source.get((file, name)) == numbers, item.nodeid


def test_the_numbers_of_attacks_have_no_gap() -> None:
    """A row that is answered otherwise keeps its number, and none is used again."""
    attacks = draw_security.tables(marked())[0]
    assert [one.number for one in attacks.rows] == [*range(1, len(attacks.rows) + 1)]


def test_all_seventeen_mitigations_of_rfc_10027_have_a_row() -> None:
    (page,) = [table for table in draw_security.tables(marked()) if table.page == "rfc10027.md"]
    assert [one.at for one in page.rows if 111 <= one.number <= 127] == [
        f"§6.1.{number}" for number in range(1, 18)
    ]
    assert [one.at for one in page.rows if "MUST" in one.at] == ["§2, 1 (MUST)", "§2, 4 (MUST)"]


def test_every_number_of_the_searches_is_held_by_a_test() -> None:
    names = set(re.findall(r'^"(.+?)" = \d+$', COUNTS.read_text("utf-8"), re.MULTILINE))
    tests = "".join(
        file.read_text("utf-8") for file in sorted(COUNTS.parents[2].glob("tests/*.py"))
    )
    assert names == set(re.findall(r'counted\(\s*"([^"]+)"', tests))


def test_a_mark_is_a_mark_of_pytest() -> None:
    assert row(9).mark.args == (9,)
