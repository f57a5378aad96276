"""What is counted while servers, networks and processes fail."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_KEPT = 20  # failures that a report shows

#: What must not happen: the name in a row, the head in the table, and what it means.
WRONGS = {
    "doubles": ("doubles", "logins handed out more than once: two redeems succeeded"),
    "lost": ("lost", "approvals that were answered, and that the waiting browser did not get"),
    "undone": ("undone", "denials and cancellations that were answered, and a redeem succeeded"),
    "wrong_user": ("wrong user", "redeems of a subject that did not confirm this login"),
    "untyped": ("untyped", "errors that are not qrlogin's own"),
    "late": ("late", "calls of the store that took longer than its budget"),
    "impossible": ("impossible", "histories that no order of the calls explains"),
    "stuck": ("stuck", "callers who got no answer although they asked for a minute"),
}


class NotHere(Exception):
    """This machine cannot do this. The message says why."""


@dataclass
class Row:
    """One line of the table: one fault, and one store."""

    fault: str
    """Such as "D8"."""
    store: str
    """Such as "Redis", or what is tried with it."""
    seed: int = 0
    logins: int = 0
    faults: int = 0
    """How often something was made to fail."""
    unavailable: int = 0
    """Calls that raised `Unavailable`: their callers asked again."""
    doubles: int = 0
    lost: int = 0
    undone: int = 0
    wrong_user: int = 0
    untyped: int = 0
    late: int = 0
    impossible: int = 0
    stuck: int = 0
    expired: int = 0
    """Logins that ran out of time, because the fault lasted longer than their windows."""
    recovery: list[float] = field(default_factory=list)
    """Seconds until a browser saw a change: from when it was answered, or from when the store
    answered again if that is later.
    """
    failures: list[str] = field(default_factory=list)
    """What happened in the first cases that must not happen."""
    expects: frozenset[str] = frozenset()
    """What cannot but happen here, and is shown: such as the doubles of the tutorial's store."""
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def add(self, what: str, why: str = "", *, times: int = 1) -> None:
        """Count something. Any thread may call it.

        :param what: the name of a field.
        :param why: for the report of failures.
        :param times: how often it happened.
        """
        with self._lock:
            setattr(self, what, getattr(self, what) + times)
            if why and what not in self.expects and len(self.failures) < _KEPT:
                self.failures.append(f"{what}: {why}")

    def recovered(self, seconds: float) -> None:
        with self._lock:
            self.recovery.append(seconds)

    @property
    def wrong(self) -> dict[str, int]:
        """What must not happen and did."""
        found = {name: getattr(self, name) for name in WRONGS}
        return {name: times for name, times in found.items() if times and name not in self.expects}

    @property
    def clean(self) -> bool:
        return not self.wrong

    def as_figures(self) -> dict[str, Any]:
        """For the file of the last run."""
        counts = {
            name: getattr(self, name)
            for name in ("fault", "store", "seed", "logins", "faults", "unavailable", *WRONGS)
        }
        return {
            **counts,
            "expired": self.expired,
            "expects": sorted(self.expects),
            "recovery": {
                "waits": len(self.recovery),
                **{
                    name: round(percentile(self.recovery, part), 3)
                    for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
                },
            },
        }


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which this part of all values is; 0 if there is none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
