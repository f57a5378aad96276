"""The marks that tie tests to the tables of docs/security/, and the numbers that those pages quote.

`@row(9)` above a test says that it proves row 9. `tools/draw_security.py` finds the marks in the
source and writes the tests into the tables, so a test that disappears makes them out of date.
"""

import tomllib
from pathlib import Path

import pytest

COUNTS = Path(__file__).parent.parent / "docs" / "security" / "counts.toml"

row = pytest.mark.row
"""`@row(9)`, or `@row(2, 14)` for several: this test proves those rows of docs/security."""


def counted(name: str, number: int) -> None:
    """Fails if docs/security quotes another number under this name than the test has counted."""
    quoted = tomllib.loads(COUNTS.read_text("utf-8"))[name]
    assert number == quoted, (
        f"this test counted {number} {name}, and docs/security/counts.toml says {quoted}. If you "
        f"meant to change it, write {number} there and run tools/draw_security.py. A smaller "
        "number is a smaller proof."
    )
