"""What the doctor says: one finding for each thing that it looked at."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qrlogin.names import clean

_WIDTH: Final = 88
_MOST_BYTES: Final = 1000


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    """It is as it should be."""
    WARNING = "warning"
    """It works, and will disappoint some users or on some days."""
    PROBLEM = "problem"
    """Logins fail, or are not safe."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing."""

    level: Level
    """How much it matters."""
    about: str
    """What was looked at, in one or two words."""
    seen: str
    """What is so."""
    fix: str = ""
    """What to do about it. "": nothing."""


def ok(about: str, seen: str) -> Finding:
    """A finding that needs nothing."""
    return Finding(Level.OK, about, seen)


def warning(about: str, seen: str, fix: str) -> Finding:
    """A finding that some users meet, or some days.

    :param about: what was looked at.
    :param seen: what is so.
    :param fix: what to do about it.
    """
    return Finding(Level.WARNING, about, seen, fix)


def problem(about: str, seen: str, fix: str) -> Finding:
    """A finding that makes logins fail, or unsafe.

    :param about: what was looked at.
    :param seen: what is so.
    :param fix: what to do about it.
    """
    return Finding(Level.PROBLEM, about, seen, fix)


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
