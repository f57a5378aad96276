"""The clock of a test."""

from types import TracebackType
from typing import Self
from unittest.mock import patch

from qrlogin.clock import SteadyWallClock


class Clock:
    """Turns the clock of all stores in memory, also of those that your application has made.

    with Clock() as clock:
        clock.turn(130)

    Stores in Redis and in a database keep their servers' clocks: use a store in memory in such
    tests.
    """

    def __init__(self) -> None:
        self._turned_ms = 0
        read = SteadyWallClock.__call__
        self._patch = patch.object(
            SteadyWallClock, "__call__", lambda clock: read(clock) + self._turned_ms
        )

    def turn(self, seconds: float) -> None:
        """Let so many seconds pass at once.

        :param seconds: at least 0.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        self._turned_ms += round(seconds * 1000)

    def __enter__(self) -> Self:
        self._patch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._patch.stop()
