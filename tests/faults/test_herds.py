"""A thousand browsers leave one server, or Redis fails under them.

`python -m tests.faults.herds` does the same with ten thousand.
"""

import pytest

from tests.faults.herds import HERDS, WITNESSES, Herd, herd
from tests.tables import for_each_row

BROWSERS = 1000


@pytest.mark.matrix
@pytest.mark.parametrize("name", HERDS)
def test_a_herd_is_answered_and_leaves_nothing_behind(name: str) -> None:
    """Each browser hears that its login was scanned, and the server is as before."""
    row = herd(name, BROWSERS)
    print(f"\n{row.line()}", end=" ")
    assert row.problem == ""
    assert sum(row.answers.values()) == (WITNESSES if name.startswith("leave") else BROWSERS)


@for_each_row(
    "row, problem",
    [
        (Herd("a", 9, {"200 scanned": 9}, kb=3.0), ""),
        (Herd("a", 9, {"200 scanned": 8, "200 not scanned": 1}), "1 x 200 not scanned"),
        (Herd("a", 9, {"503 not scanned": 2}), "2 x 503 not scanned"),
        (Herd("a", 9, {"200 of another": 1}), "1 x 200 of another"),
        (Herd("a", 9, {"0 not scanned": 1}, files=3), "1 x 0 not scanned, 3 files"),
        (Herd("a", 9, {}, tasks=2, kb=9.5), "2 tasks, 9.5 KB each"),
    ],
)
def test_a_herd_says_what_went_wrong(row: Herd, problem: str) -> None:
    assert row.problem == problem
