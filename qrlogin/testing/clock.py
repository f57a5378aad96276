"""The clock of a test."""

from typing import Self
from unittest.mock import patch

from qrlogin.clock import SteadyWallClock


class Clock:
    """Turns the clock of every memory store, including your application's.

    with Clock() as clock:
        clock.turn(130)

    Redis and SQL stores keep the clock of their server or machine: use a memory store in such
    tests.
    """

    def __init__(self) -> None:
        self._turned_ms, self._entered = 0, False
        read = SteadyWallClock.__call__
        self._patch = patch.object(
            SteadyWallClock, "__call__", lambda clock: read(clock) + self._turned_ms
        )

    def turn(self, seconds: float) -> None:
        """Let so many seconds pass at once. Raises `RuntimeError` outside the `with` block.

        :param seconds: at least 0.
        """
        if not self._entered:
            raise RuntimeError("use it as a context manager: with Clock() as clock")
        if seconds < 0:
            raise ValueError("time does not go back")
        self._turned_ms += round(seconds * 1000)

    def __enter__(self) -> Self:
        self._patch.start()
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()
        self._entered = False
