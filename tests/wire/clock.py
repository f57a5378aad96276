"""Time for tests: a clock that tests advance, and time-outs that suit a slow machine."""

import time
from collections.abc import Callable

#: The time-out for what takes milliseconds: only a broken program reaches it.
PATIENCE_SECONDS = 20
#: The time-out for a server to start, which takes a second, or ten when many start together.
START_SECONDS = 60


class Clock:
    """A clock in milliseconds: the machine's, or one that stands still at `at` until `advance`."""

    def __init__(self, at: int | None = None) -> None:
        self._at, self._ahead = at, 0

    def __call__(self) -> int:
        return (time.time_ns() // 1_000_000 if self._at is None else self._at) + self._ahead

    def stop(self) -> None:
        """Freeze the time."""
        self._at, self._ahead = self(), 0

    def advance(self, seconds: float) -> None:
        self._ahead += round(seconds * 1000)


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as the condition is true; fail after `seconds`."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it never came true"
        time.sleep(0.005)
