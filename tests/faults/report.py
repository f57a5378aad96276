"""The table of the last run, from tests/faults/figures.json, in docs/reliability.md.

`python -m tests.faults.report` writes it; with `--check` it says whether it is up to date.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import number
from tests.faults.rows import WRONGS
from tests.faults.scenarios import ELSEWHERE, SCENARIOS

FIGURES = Path(__file__).with_name("figures.json")
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- measured by make faults: begin -->", "<!-- measured by make faults: end -->"
HEAD = (
    *("store", "logins", "faults", "asked again", *(head for head, _ in WRONGS.values())),
    *("p50 s", "p99 s", "max s"),
)

Figures = Mapping[str, Any]


def cells(row: Figures) -> list[str]:
    """One row, in the order of `HEAD`. What must not happen and did is bold."""
    counts = [number(row[name]) for name in ("logins", "faults", "unavailable")]
    for name in WRONGS:
        times = number(row[name])
        counts.append(times if not row[name] or name in row["expects"] else f"**{times}**")
    waits = row["recovery"]
    seconds = [f"{waits[name]:.2f}" if waits["waits"] else "" for name in ("p50", "p99", "max")]
    return [row["store"], *counts, *seconds]


def table(rows: Sequence[Figures]) -> str:
    """The rows of one fault, in Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "| --- |" + " ---: |" * (len(HEAD) - 1)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines)


def plain(rows: Sequence[Figures]) -> str:
    """All rows as text with columns, for a terminal."""
    shown = [["fault", *HEAD], *([row["fault"], *cells(row)] for row in rows)]
    widths = [max(len(line[at]) for line in shown) for at in range(len(HEAD) + 1)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in shown
    )


def text(figures: Figures) -> str:
    """All tables, as they are in the page."""
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    origin = (
        f"Measured on {figures['date']} on {figures['machine']} with {versions}: "
        f"`make faults{figures['arguments']}`, seed {figures['seed']}, "
        f"in {figures['minutes']} minutes, at a load of {figures['load']}."
    )
    parts, absent = [origin], {**ELSEWHERE, **figures["absent"]}
    for scenario in SCENARIOS:
        rows = [row for row in figures["rows"] if row["scenario"] == scenario.name]
        if rows:
            parts.append(f"### {scenario.name}: {scenario.about}\n\n{table(rows)}")
    lines = [f"- {name}: {why}" for name, why in absent.items()]
    parts.append("### Not in the table\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def inserted(page: str, figures: Figures) -> str:
    """The page with the tables of this run between its markers."""
    found, count = re.subn(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}",
        lambda _: f"{BEGIN}\n\n{text(figures)}\n\n{END}",
        page,
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"a page needs one pair of markers, and has {count}")
    return found


def read() -> Any:
    return json.loads(FIGURES.read_text("utf-8"))


def write(figures: Figures) -> None:
    FIGURES.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(inserted(PAGE.read_text("utf-8"), figures), "utf-8")


def main(argv: Sequence[str]) -> int:
    if "--check" not in argv:
        write(read())
        return 0
    if PAGE.read_text("utf-8") == inserted(PAGE.read_text("utf-8"), read()):
        return 0
    print("docs/reliability.md is not what figures.json says: python -m tests.faults.report")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
