"""How the doctor prints findings."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from qrlogin.findings import Finding, Level
from qrlogin.names import clean

_WIDTH: Final = 88
_MOST_BYTES: Final = 1000


def lines(finding: Finding) -> Iterator[str]:
    """The lines of one finding for a terminal, without control characters of a server."""
    seen = clean(finding.seen, _MOST_BYTES)
    yield from _wrapped(f"{finding.level.upper():<8} {finding.about}: ", seen)
    if finding.fix:
        yield from _wrapped(" " * 9 + "Fix: ", finding.fix)


def summary(findings: Sequence[Finding]) -> str:
    """One line that counts the findings by level."""
    counts = {level: sum(each.level is level for each in findings) for level in Level}
    problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
    return (
        f"{problems} problem{'s' * (problems != 1)}, {warnings} warning{'s' * (warnings != 1)}, "
        f"{counts[Level.OK]} ok"
    )


def exit_status(findings: Sequence[Finding]) -> int:
    """1 if there is a problem, else 0: warnings do not stop a deployment."""
    return int(any(each.level is Level.PROBLEM for each in findings))


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=" " * 9,
        break_long_words=False,
        break_on_hyphens=False,
    )
