"""Time for tests: a clock to set forward, and patience that does not depend on the machine's speed."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 20  # what is awaited takes milliseconds; only a broken program gets this far
START_SECONDS = 60  # the same of a process with a server, which takes a second, and ten where many start at a time


class Clock:
    """Milliseconds, from the machine's clock or standing still at `at`; `advance` is the only way to hurry it."""

    def __init__(self, at: int | None = None) -> None:
        self._at, self._ahead = at, 0

    def __call__(self) -> int:
        return (time.time_ns() // 1_000_000 if self._at is None else self._at) + self._ahead

    def stop(self) -> None:
        """It stands still from now on."""
        self._at, self._ahead = self(), 0

    def advance(self, seconds: float) -> None:
        self._ahead += round(seconds * 1000)


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as it is true; fail when that does not come."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it never came true"
        time.sleep(0.005)
