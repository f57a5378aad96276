"""The tables and the plot of the last run, from benchmarks/figures.json.

`python -m benchmarks.report` writes them into docs/performance.md, docs/performance.svg,
docs/scaling.md and the README; with `--check` it says what differs, and changes nothing.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.figures import Figures

ROOT = Path(__file__).parent.parent
FIGURES = Path(__file__).with_name("figures.json")
PLOT = ROOT / "docs" / "performance.svg"
PAGES = {
    ROOT / "docs" / "performance.md": "tables",
    ROOT / "docs" / "scaling.md": "sites",
    ROOT / "README.md": "short",
}
OURS = "ours, bare ASGI"
#: The whole applications among the servers, which are ours as well.
OWN = ("the demo", "the FastAPI example", "the Flask example", "the Django example")
BEGIN, END = "<!-- measured by make bench: begin -->", "<!-- measured by make bench: end -->"


def number(value: float) -> str:
    """Three digits that count; thousands with a space."""
    if value >= 1000:
        return f"{round(value):,}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def span(found: Figures) -> str:
    return f"{number(found['low'])} to {number(found['high'])}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown: the first column is text, all others are numbers."""
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("| --- |" + " ---: |" * (len(head) - 1))
    lines += ["| " + " | ".join(str(each) for each in row) + " |" for row in rows]
    return "\n".join(lines)


def verdict(found: Figures) -> str:
    """Whether the median reached the bar, or by which factor it missed it."""
    goal, reached = found["bar"], found["median"]
    if found["moonshot"] and reached <= found["moonshot"]:
        return "moonshot"
    return "yes" if reached <= goal else f"no, {number(reached / goal)} × too much"


def ratios(figures: Figures) -> str:
    return table(
        ("ours", "compared with", "best", "median", "middle half", "bar", "moonshot", "reached"),
        [
            (
                each["ours"].removeprefix("ours, "),
                each["other"],
                number(each["best"]),
                f"**{number(each['median'])}**",
                span(each),
                each["bar"],
                each["moonshot"] or "",
                verdict(each),
            )
            for each in figures["costs"]["ratios"]
        ],
    )


def servers(figures: Figures) -> str:
    absent = [(name, why) for name, why in figures["absent"].items() if name in _known()]
    rows: list[Sequence[object]] = []
    for name, each in figures["costs"]["servers"].items():
        poll = number(each["poll"]["best"]) if "poll" in each else ""
        store = [number(each[kind]) if kind in each else "" for kind in _STORE]
        best, middle = number(each["login"]["best"]), number(each["login"]["median"])
        rows.append((name, best, middle, span(each["login"]), each["requests"], poll, *store))
    rows += [(name, f"not measured: {escape(why)}", *[""] * 8) for name, why in absent]
    head = ("server", "best ms", "median", "middle half", "requests", "ms per poll")
    return table((*head, "Redis commands", "round trips", "Redis µs"), rows)


def bars(figures: Figures) -> str:
    """The goals that are no ratio of two logins: the figure, the bar, the moonshot."""
    rows: list[Sequence[object]] = []

    def at_most(what: str, found: float, bar: float, moonshot: float | None = None) -> None:
        best = moonshot is not None and found <= moonshot
        reached = "moonshot" if best else "yes" if found <= bar else "no"
        rows.append((what, number(found), f"≤ {bar}", f"≤ {moonshot}" if moonshot else "", reached))

    if "costs" in figures and OURS in figures["costs"]["servers"]:
        at_most("round trips to Redis per login", figures["costs"]["servers"][OURS]["reads"], 5)
    if "costs" in figures and OURS in figures["costs"]["races"]:
        race = figures["costs"]["races"][OURS]
        at_most(f"doubles in {number(race['trials'])} races", race["doubles"], 0)
    if OURS in figures.get("parked", {}):
        ours, node = (figures["parked"].get(name) for name in (OURS, "node"))
        at_most("KB per waiting browser", ours["kb"], 15)
        at_most("idle, % of a core", ours["idle_percent"], 1)
        lost = sum(count for status, count in ours["burst"].items() if status != "200")
        at_most("woken at once, and not answered 200", lost, 0)
        if node:
            for which in ("p50", "p99"):
                kind = f"wake_{which}_ms"
                at_most(f"wake, {which} ÷ node", ours[kind] / node[kind], 2, 1)
            slower = node["burst_per_s"] / ours["burst_per_s"]
            at_most("node ÷ ours, answers per second when all are woken", slower, 3.33, 1.25)
    if "pictures" in figures:
        at_most("ms for the path of a picture", figures["pictures"]["path"]["best"], 0.9)
    if "imports" in figures:
        at_most("import qrlogin ÷ import segno", figures["imports"]["ratio"]["median"], 1)
    return table(("", "reached", "bar", "moonshot", ""), rows)


_STORE = ("commands", "reads", "redis_us")


def _known() -> set[str]:
    from benchmarks.contestants import EVERY

    return set(EVERY)


#: RFC 8628 lets a client repeat its question, and ours repeats the answer.
_REPEATED = """
`no QR`: for 150 s our dialect RFC 8628 repeats its answer to the client that has the device_code,
so that a lost answer costs no login. All eight get the same login, with `replayed`. An application
that keys its tokens by `login_id` issues one token for it ([HTTP](http.md#mount-it)); the
application of this benchmark does not."""


def races(figures: Figures) -> str:
    return (
        table(
            ("server", "races", "more than one session", "no session"),
            [
                (name, number(each["trials"]), f"**{each['doubles']}**", each["lost"])
                for name, each in figures["costs"]["races"].items()
            ],
        )
        + "\n"
        + _REPEATED
    )


def parked(figures: Figures) -> str:
    found = figures["parked"]
    kinds: dict[str, str] = {
        "waiters": "waiting browsers",
        "kb": "KB per waiting browser",
        "idle_percent": "idle, % of a core",
        "idle_commands": "Redis commands per second meanwhile",
        "park_us": "µs of CPU to accept one",
        "wake_us": "µs of CPU to wake one",
        "wake_p50_ms": "wake, p50 ms",
        "wake_p99_ms": "wake, p99 ms",
        "burst_per_s": "all woken at once: answers per second",
    }
    rows: list[Sequence[object]] = [
        (title, *(number(each[kind]) for each in found.values())) for kind, title in kinds.items()
    ]

    def counted(each: Figures) -> str:
        return ", ".join(f"{number(count)} × {status}" for status, count in each["burst"].items())

    early = [sum(each["early"].values()) for each in found.values()]
    rows += [("… by status", *map(counted, found.values())), ("answered before a wake", *early)]
    return table(("", *found), rows)


def crowd(figures: Figures) -> str:
    found = figures["crowd"]
    names = [name for name in ("ours, bare ASGI", "the tutorial") if name in found]
    return table(
        (
            f"{number(found['browsers'])} browsers wait, {found['held']} s a time",
            "% of a core",
            "answers per second",
        ),
        [
            (name, number(found[name]["core_percent"]), number(found[name]["answers_per_s"]))
            for name in names
        ],
    )


def growth(figures: Figures) -> str:
    rows: list[Sequence[object]] = []
    for place in ("redis", "memory"):
        for each in figures["growth"][place]:
            theirs = number(each["redis_us"]["best"]) if "redis_us" in each else ""
            ours = each["login_us"]
            where = "Redis" if place == "redis" else "memory"
            mine = (number(ours["best"]), number(ours["median"]), theirs, each.get("bytes", ""))
            rows.append((f"{where}, {number(each['live'])} live logins", *mine))
    head = ("", "µs per login, best", "median", "Redis µs", "bytes per live login")
    return table(head, rows)


def simple(found: Figures, unit: str) -> str:
    rows = [
        (name, number(each["best"]), number(each["median"]), span(each))
        for name, each in found.items()
        if name != "ratio"
    ]
    return table(("", f"best {unit}", "median", "middle half"), rows)


def parts(figures: Figures) -> Iterator[str]:
    """Each section of the page that has figures, with its heading."""
    if "costs" in figures:
        yield f"### Ratios\n\n{ratios(figures)}"
    yield f"### Other bars\n\n{bars(figures)}"
    if "costs" in figures:
        yield f"### Each server\n\n{servers(figures)}"
        yield f"### Races\n\n{races(figures)}"
    if "parked" in figures:
        yield f"### Waiting browsers\n\n{parked(figures)}"
    if "crowd" in figures:
        yield f"### A crowd that waits\n\n{crowd(figures)}"
    if "growth" in figures:
        yield f"### Many live logins\n\n{growth(figures)}"
    if "pictures" in figures:
        yield f"### The picture\n\n{simple(figures['pictures'], 'ms')}"
    if "imports" in figures:
        both = figures["imports"]["ratio"]
        said = f"`import qrlogin` is {number(both['median'])} × `import segno` ({span(both)})."
        yield f"### The import\n\n{simple(figures['imports'], 'ms')}\n\n{said}"
    for name, printed in figures.get("scripts", {}).items():
        yield f"### benchmarks/{name}.py\n\n```text\n{printed}\n```"
    others = {name: why for name, why in figures["absent"].items() if name not in _known()}
    if others:
        lines = [f"- {name}: {escape(why)}" for name, why in others.items()]
        yield "### Not measured\n\n" + "\n".join(lines)


def origin(figures: Figures) -> str:
    """Where and how the figures were measured. The only place that says that they are not final."""
    size = (
        "**Preliminary: a quick run on a busy machine. `make bench` replaces it.**\n"
        if figures["quick"]
        else ""
    )
    rounds = figures.get("costs", {}).get("rounds", 0)
    return (
        f"{size}Measured on {figures['date']} with Python {figures['python']} on\n"
        f"{figures['machine']}: {rounds} rounds, in {figures['minutes']} minutes."
    )


def text(figures: Figures) -> str:
    """All tables, as they are in docs/performance.md."""
    return "\n\n".join([origin(figures), *parts(figures)])


def short(figures: Figures) -> str:
    """The table of the README: the ratios of the medians."""
    rows: dict[str, dict[str, str]] = {}
    for each in figures["costs"]["ratios"]:
        found = f"{number(each['median'])} ({span(each)})"
        rows.setdefault(each["ours"], {})[each["other"]] = found
    others = list(dict.fromkeys(other for row in rows.values() for other in row))
    spent = figures["costs"]["servers"]
    found = table(
        ("server CPU of a login", "ms", *(f"÷ {other}" for other in others)),
        [
            (
                name.removeprefix("ours, "),
                number(spent[name]["login"]["median"]),
                *(row.get(other, "") for other in others),
            )
            for name, row in rows.items()
        ],
    )
    return f"{origin(figures)}\n\n{found}"


STYLE = """\
<style>
text { fill: #1f2328 } .bar { fill: #8c959f } .ours { fill: #0969da } .span { stroke: #1f2328 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #4493f8 } .span { stroke: #e6edf3 }
}
</style>"""


def plot(figures: Figures) -> str:
    """A bar for each server: the median, and a line over its middle half. Ours are blue."""
    found = figures["costs"]["servers"]
    shown = sorted(found.items(), key=lambda each: float(each[1]["login"]["median"]))
    left, row, top = 200, 26, 46
    scale = 430 / max(each["login"]["high"] for _, each in shown)
    height = top + row * len(shown) + 10
    title = "Server CPU of one login, in milliseconds"
    how = "the median, and the middle half of all windows"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" role="img"',
        'aria-labelledby="title" font-family="system-ui, sans-serif" font-size="13">',
        f'<title id="title">{title}, by server</title>',
        STYLE,
        f'<text x="10" y="22"><tspan font-weight="600">{title}</tspan> ({how})</text>',
    ]
    for at, (name, each) in enumerate(shown):
        spent, y = each["login"], top + row * at
        kind = "ours" if name.startswith("ours") or name in OWN else "bar"
        wide, low, high = (spent[which] * scale for which in ("median", "low", "high"))
        end = left + max(wide, high) + 8
        line = f"M{left + low:.1f} {y + 8}H{left + high:.1f}"
        lines += [
            f'<text x="{left - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{left}" y="{y}" width="{wide:.1f}" height="16" rx="2"/>',
            f'<path class="span" stroke-width="1.5" d="{line}"/>',
            f'<text x="{end:.1f}" y="{y + 13}">{number(spent["median"])}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def inserted(page: str, kind: str, figures: Figures) -> str:
    """The page with the tables of this run between its markers."""
    from benchmarks import scaling  # which makes its tables with this module

    made = {"tables": text, "sites": scaling.text, "short": short}[kind](figures)
    begin, end = re.escape(BEGIN), re.escape(END)
    found, count = re.subn(
        f"{begin}.*?{end}", lambda _: f"{BEGIN}\n\n{made}\n\n{END}", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"a page needs one pair of markers, and has {count}")
    return found


def pages(figures: Figures) -> dict[Path, str]:
    """The content of each file that shows figures."""
    found = {path: inserted(path.read_text("utf-8"), kind, figures) for path, kind in PAGES.items()}
    return {**found, PLOT: plot(figures)}


def write(figures: Figures) -> None:
    FIGURES.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for path, content in pages(figures).items():
        path.write_text(content, "utf-8")


def read() -> Any:
    return json.loads(FIGURES.read_text("utf-8"))


def main(argv: Sequence[str]) -> int:
    if "--check" not in argv:
        write(read())
        return 0
    stale = [
        path.name
        for path, content in pages(read()).items()
        if not path.exists() or path.read_text("utf-8") != content
    ]
    for name in stale:
        print(f"{name} is not what benchmarks/figures.json says: python -m benchmarks.report")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
