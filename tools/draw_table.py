"""Draw the protocol from its table: docs/states.svg, and the table in docs/protocol.md.

Run it after you change a row: `.venv/bin/python tools/draw_table.py`. With `--check` it changes
nothing, and exits with 1 if they are out of date. The positions of the states are decided here;
everything else follows from the table.
"""

import sys
from html import escape
from pathlib import Path

from qrlogin.table import ABSENT, ANY, TABLE, Row, State

DOCS = Path(__file__).parent.parent / "docs"
MARKS = ("<!-- drawn from qrlogin/table.py -->", "<!-- end of the drawn part -->")

WIDTH, HEIGHT, BOX = 940, 330, (118, 42)
POSITIONS = {
    ABSENT: (30, 165),
    State.PENDING: (150, 165),
    State.SCANNED: (390, 165),
    State.CONFIRMED: (630, 165),
    State.REDEEMED: (870, 165),
    State.CANCELLED: (390, 40),
    State.DENIED: (510, 290),
}
#: The events that a browser causes. The picture shows those of a phone in another colour.
BROWSER = ("begin", "cancel", "redeem", "collect")

STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1b1f24 }
text { text-anchor: middle; dominant-baseline: middle }
rect { fill: #fff; stroke: #1b1f24; stroke-width: 1.5 } rect.end { fill: #eceff3 }
path { fill: none; stroke-width: 1.6 }
.browser { stroke: #0a58ca } text.browser { fill: #0a58ca; stroke: none }
.phone { stroke: #b3410e } text.phone { fill: #b3410e; stroke: none }
.dot { fill: #1b1f24 } .key { text-anchor: start }
@media (prefers-color-scheme: dark) {
  svg { background: #16191d } text { fill: #e7eaee }
  rect { fill: #22272e; stroke: #e7eaee } rect.end { fill: #3a414b }
  .browser { stroke: #7db2ff } text.browser { fill: #7db2ff }
  .phone { stroke: #ffa071 } text.phone { fill: #ffa071 }
  .dot { fill: #e7eaee } #tip-browser path { fill: #7db2ff } #tip-phone path { fill: #ffa071 }
}
"""


def transitions() -> dict[tuple[str, str], list[str]]:
    """The events that lead from one state to another, by (from, to)."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in TABLE.values():
        for source in row.sources:
            if source != ANY and row.to:
                found.setdefault((source, row.to), []).append(row.name)
            if row.count:
                found.setdefault((source, row.count.to), []).append(f"third {row.name}")
    return found


def picture() -> str:
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'role="img" aria-labelledby="t">'
        ),
        '<title id="t">The states of a login and what leads from one to the next</title>',
        f"<style>{STYLE}</style><defs>",
    ]
    for who, colour in (("browser", "#0a58ca"), ("phone", "#b3410e")):
        parts.append(
            f'<marker id="tip-{who}" viewBox="0 0 8 8" refX="7.5" refY="4" '
            f'markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" style="fill:{colour};stroke:none"/></marker>'
        )
    parts.append("</defs>")
    for (source, target), events in transitions().items():
        who = "browser" if events[0] in BROWSER else "phone"
        path, label = _arrow(source, target)
        parts.append(f'<path class="{who}" d="{path}" marker-end="url(#tip-{who})"/>')
        parts.append(
            f'<text class="{who}" x="{label[0]:.0f}" y="{label[1]:.0f}">'
            f"{escape(', '.join(events))}</text>"
        )
    for state, (x, y) in POSITIONS.items():
        if state == ABSENT:
            parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="6"/>')
            continue
        ends = not any(source == state for source, _ in transitions())
        left, top = x - BOX[0] / 2, y - BOX[1] / 2
        parts.append(
            f'<rect class="{"end" if ends else ""}" x="{left:.0f}" y="{top:.0f}" '
            f'width="{BOX[0]}" height="{BOX[1]}" rx="10"/><text x="{x}" y="{y}">{state}</text>'
        )
    for who, y in (("browser", 296), ("phone", 316)):
        parts.append(f'<text class="key {who}" x="20" y="{y}">— the {who}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _arrow(source: str, target: str) -> tuple[str, tuple[float, float]]:
    (x1, y1), (x2, y2) = POSITIONS[source], POSITIONS[target]
    width, height = (6, 6) if source == ABSENT else (BOX[0] / 2, BOX[1] / 2)
    if y1 == y2 and x1 < x2:  # forward
        start, end = x1 + width, x2 - BOX[0] / 2 - 2
        return f"M{start:.0f} {y1}H{end:.0f}", ((start + end) / 2, y1 - 12)
    if y1 == y2:  # back
        return (
            f"M{x1 - 30} {y1 + 21}C{x1 - 60} {y1 + 75} {x2 + 60} {y1 + 75} {x2 + 30} {y1 + 24}",
            ((x1 + x2) / 2, y1 + 76),
        )
    down = 1 if y2 > y1 else -1
    lean = 34 if x2 > x1 else -34 if x2 < x1 else 0
    sx, sy, ex, ey = x1 + lean, y1 + down * height, x2 - lean, y2 - down * (BOX[1] / 2 + 2)
    # The label of a flat arrow needs a larger distance.
    beside = 28 + abs(ex - sx) * 0.09
    return f"M{sx} {sy:.0f}L{ex} {ey:.0f}", (
        (sx + ex) / 2 + (beside if lean >= 0 else -beside),
        (sy + ey) / 2,
    )


def table() -> str:
    """The rows as Markdown."""
    lines = [
        "| event | must prove | if set | from (dies at) | to | repeated when | writes |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in TABLE.values():
        cells = (
            row.name,
            _list(row.proves),
            _list(row.guards),
            _sources(row),
            _to(row),
            _repeats(row),
            _writes(row),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "-"


def _sources(row: Row) -> str:
    names = {ABSENT: "absent", ANY: "any known"}
    return ", ".join(
        names.get(state, state) + (f" ({dies_at})" if dies_at else "")
        for state, dies_at in row.sources.items()
    )


def _to(row: Row) -> str:
    to = row.to or "stays"
    return f"{to}; {row.count.to} when {row.count.field} is {row.count.limit}" if row.count else to


def _repeats(row: Row) -> str:
    if not row.repeats:
        return "-"
    states = " / ".join("any state" if state == ANY else state for state in row.repeats)
    conditions = [f"{name} equal" for name in row.repeats_if] + (
        [f"before {row.repeats_until}"] if row.repeats_until else []
    )
    return ", ".join([states, *conditions])


def _writes(row: Row) -> str:
    counted = (row.count.field,) if row.count else ()
    written = ", ".join(row.writes + counted + row.instants) or ("nothing" if row.reads else "-")
    return written + (
        f"; when refused while {' / '.join(row.paces)}: pace_at, pace_ms, pace_mark"
        if row.paces
        else ""
    )


def main() -> int:
    page = DOCS / "protocol.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    wanted = {
        page: f"{before}{MARKS[0]}\n\n{table()}\n\n{MARKS[1]}{after}",
        DOCS / "states.svg": picture(),
    }
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.name} is out of date: run .venv/bin/python tools/draw_table.py")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"updated {path.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
