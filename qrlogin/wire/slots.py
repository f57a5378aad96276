"""How many browsers may wait at a time, and which of those that wait have left.

It knows neither logins nor requests: a place is one of a number, and of a wait it knows how to end it.
"""

from collections import deque

from qrlogin.errors import Misconfigured


class WaitSlots:
    """`max_waiting` slots. Takes no lock: a stream that was dropped unread gives its place back whenever and in whichever thread
    the garbage is collected, perhaps in the middle of `take`.

    `WaitSlots(0)` is for a server with one thread: no request is held.
    Raises `Misconfigured` for a negative number, and for what is not a whole number.
    """

    def __init__(self, max_waiting: int) -> None:
        if not isinstance(max_waiting, int) or isinstance(max_waiting, bool) or max_waiting < 0:
            raise Misconfigured(
                "max_waiting is a whole number from 0 on: half of your server's threads, or 0 if it has one"
            )
        self._free = deque(range(max_waiting))

    def acquire(self) -> bool:
        """Whether there was one. Who took it gives it back once."""
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def release(self) -> None:
        self._free.append(0)


def as_wait_slots(max_waiting: int | WaitSlots) -> WaitSlots:
    """The slots of one endpoint: its own, or those that it shares with others of this process."""
    return max_waiting if isinstance(max_waiting, WaitSlots) else WaitSlots(max_waiting)
