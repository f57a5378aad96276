"""`for_each_row` runs every row of a table in one test and names the rows that fail."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.tables import for_each_row

ran = list[tuple[int, str]]()


@pytest.fixture
def offset() -> int:
    return 10


@for_each_row("number", [1, 2])
@for_each_row("letter", "ab")
def test_several_tables_multiply_beside_a_fixture(number: int, letter: str, offset: int) -> None:
    ran.append((number + offset, letter))
    if len(ran) == 4:
        assert ran == [(11, "a"), (11, "b"), (12, "a"), (12, "b")]


def unequal(said: str) -> None:
    assert said == ""


@pytest.mark.parametrize("fail", [pytest.fail, unequal, int])
def test_a_failing_row_fails_the_test_and_is_named(fail: Callable[[str], Any]) -> None:
    seen = []

    @for_each_row("number, letter", [(1, "a"), (2, "b"), (3, "c")])
    def test(number: int, letter: str) -> None:
        seen.append(letter)
        if number == 2:
            fail("wrong")

    with pytest.raises(AssertionError, match="1 of 3 rows failed\nnumber=2, letter='b': "):
        test()
    assert seen == ["a", "b", "c"]


def test_a_table_without_rows_or_without_its_parameter_is_an_error() -> None:
    with pytest.raises(AssertionError, match="without rows"):
        for_each_row("number", [])
    with pytest.raises(AssertionError, match="does not take other"):
        for_each_row("other", [1])(lambda number: None)
