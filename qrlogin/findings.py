"""What is said of a server or a site: one finding for each thing that was looked at.

A Redis store says so in the log when it first connects, and `python -m qrlogin doctor` prints it.
"""

from dataclasses import dataclass
from enum import StrEnum


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
