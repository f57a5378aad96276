"""The only module that reads the clock. The others receive the time as an argument, or leave it to
the store.
"""

import time
from typing import Final

_STEP_NS: Final = 1_000_000_000
"""The wall clock was set, and not only adjusted, if it moves by more than this against a steady
clock between two readings."""

#: Counts the time in which the machine sleeps, too. Windows has neither, and needs neither.
_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def now_ms() -> int:
    """The wall clock, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class SteadyWallClock:
    """The wall clock in milliseconds since 1970, except that it goes on when that is set back.

    `MemoryStore` decides deadlines by it; Redis has its own clock. If the time went back by an
    hour, every login would live an hour longer, and no code would rotate. A wall clock that is set
    forward is followed: logins then end early.
    """

    def __init__(self) -> None:
        self._ahead_ns = 0  # of the wall clock
        _, self._lead_ns = _read_ns()

    def __call__(self) -> int:
        wall, lead = _read_ns()
        if lead < self._lead_ns - _STEP_NS:
            # A pause between the two readings looks like a step back, but not twice in a row.
            wall, again = _read_ns()
            lead = max(lead, again)
        moved, self._lead_ns = lead - self._lead_ns, lead
        if moved < -_STEP_NS:
            self._ahead_ns -= moved
        elif moved > _STEP_NS:  # it may have been put right again
            self._ahead_ns -= min(moved, self._ahead_ns)
        return (wall + self._ahead_ns) // 1_000_000


def _read_ns() -> tuple[int, int]:
    """The wall clock, and how far it is ahead of a clock that is never set; in nanoseconds."""
    wall = time.time_ns()
    return wall, wall - _steady_ns()


def _steady_ns() -> int:
    return time.monotonic_ns() if _STEADY is None else time.clock_gettime_ns(_STEADY)


def monotonic() -> float:
    """Seconds that never go back, to measure a duration. Their zero has no meaning."""
    return time.monotonic()
