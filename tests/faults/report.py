"""The table of the last rows, from tests/faults/figures.json, in docs/reliability.md.

Each row says when, at what size and on what it was played, so a run may be continued another day.
`python -m tests.faults.report` writes the page; with `--check` it says whether it is up to date.
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
#: By the name of a size: what the table calls it, and the arguments of `make faults`.
SIZES = {
    "usual": ("usual", ""),
    "long": ("release", " ARGS=--long"),
    "small": ("small", " ARGS=--small"),
}
HEAD = (
    *("store", "size", "logins", "faults", "asked again", *(head for head, _ in WRONGS.values())),
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
    return [row["store"], SIZES[row["size"]][0], *counts, *seconds]


def table(rows: Sequence[Figures]) -> str:
    """The rows of one fault, in Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "| --- | --- |" + " ---: |" * (len(HEAD) - 2)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines)


def plain(rows: Sequence[Figures]) -> str:
    """All rows as text with columns, for a terminal."""
    shown = [["fault", *HEAD], *([row["fault"], *cells(row)] for row in rows)]
    widths = [max(len(line[at]) for line in shown) for at in range(len(HEAD) + 1)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 3 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in shown
    )


def key(row: Figures) -> tuple[str, str]:
    """The scenario and the store: there is one row for each pair."""
    return row["scenario"], row["store"]


def origins(rows: Sequence[Figures]) -> list[str]:
    """When and where the rows were played: a sentence for those of one day, size and seed."""
    together = dict[str, list[Figures]]()
    for row in rows:
        on = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        command = f"`make faults{SIZES[row['size']][1]}`, seed {row['seed']}"
        together.setdefault(
            f"Measured on {row['date']} on {row['machine']} with {on}: {command}", []
        ).append(row)
    return [
        f"{start}: {len(found)} rows, at a load of {max(row['load'] for row in found)} at most."
        for start, found in together.items()
    ]


def ended_early(row: Figures) -> str:
    """What a row has done of its size, if its time was over before; "" otherwise."""
    counts = ", ".join(
        f"{number(row[what])} of {number(wanted)} {what}"
        for what, wanted in row["wanted"].items()
        if row[what] < wanted
    )
    return f"{counts}, in {number(row['seconds'])} s" if counts else ""


def text(figures: Figures) -> str:
    """All tables, as they are in the page."""
    parts = origins(figures["rows"])
    absent = {**ELSEWHERE, **figures["absent"]}
    found, early = {key(row): row for row in figures["rows"]}, list[str]()
    for scenario in SCENARIOS:
        keys = [(scenario.name, store) for store in scenario.stores]
        if rows := [found[each] for each in keys if each in found]:
            parts.append(f"### {scenario.name}: {scenario.about}\n\n{table(rows)}")
        early += [f"- {', '.join(key(row))}: {why}" for row in rows if (why := ended_early(row))]
    if early:
        about = "A row has a time, too. These ended before they had all logins and faults."
        parts.append("### Rows that ended by their time\n\n" + "\n".join([about, "", *early]))
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


def keep(scenario: str, store: str, row: Figures | str) -> None:
    """Write one row into the file and the page, in place of the one of this scenario and store.

    :param scenario: its name.
    :param store: its name.
    :param row: the figures; or why it cannot be played here.
    """
    figures = read()
    figures["absent"].pop(f"{scenario}, {store}", None)
    figures["rows"] = [each for each in figures["rows"] if key(each) != (scenario, store)]
    if isinstance(row, str):
        figures["absent"][f"{scenario}, {store}"] = row
    else:
        figures["rows"].append(row)
    order = [(each.name, store) for each in SCENARIOS for store in each.stores]
    places = {pair: place for place, pair in enumerate(order)}
    # Without those that no scenario has any more.
    figures["rows"] = sorted(
        (each for each in figures["rows"] if key(each) in places),
        key=lambda each: places[key(each)],
    )
    write(figures)


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
