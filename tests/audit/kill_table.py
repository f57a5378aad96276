"""Which checks catch which broken server, as the table in docs/audit.md.

`python -m tests.audit.kill_table` writes the table again, and prints it.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from qrlogin.audit import CHECKS, audit
from tests.audit.server import FLAWS, Server, target

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
MARKS = {
    "checks": ("<!-- drawn from the checks -->", "<!-- end of the checks -->"),
    "kills": ("<!-- drawn from the kills -->", "<!-- end of the kills -->"),
}


@cache
def kills() -> Mapping[str, list[str]]:
    """By flaw: the checks that failed, in their order."""
    order = [check.name for check in CHECKS]
    return {flaw: sorted(audit(target(Server(flaw))).failed, key=order.index) for flaw in FLAWS}


def drawn() -> Mapping[str, str]:
    """The generated parts of the page."""
    checks = [
        f"| `{each.name}` | {each.severity} | {each.proves} | {each.study} |" for each in CHECKS
    ]
    rows = [
        f"| {FLAWS[flaw]} | {', '.join(f'`{name}`' for name in caught)} |"
        for flaw, caught in kills().items()
    ]
    return {
        "checks": "\n".join(
            [
                "| check | if it fails | what it proves | study |",
                "| --- | --- | --- | --- |",
                *checks,
            ]
        ),
        "kills": "\n".join(["| the server is broken: | caught by |", "| --- | --- |", *rows]),
    }


def page_with(parts: Mapping[str, str], page: str) -> str:
    """The page with its generated parts."""
    for name, part in parts.items():
        head, _, rest = page.partition(MARKS[name][0])
        _, _, tail = rest.partition(MARKS[name][1])
        page = f"{head}{MARKS[name][0]}\n\n{part}\n\n{MARKS[name][1]}{tail}"
    return page


if __name__ == "__main__":
    PAGE.write_text(page_with(drawn(), PAGE.read_text("utf-8")), "utf-8")
    print(drawn()["kills"])
