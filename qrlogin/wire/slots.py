"""How many requests may be held at a time. It knows neither logins nor requests."""

from collections import deque

from qrlogin.errors import Misconfigured


class WaitSlots:
    """`max_waiting` slots, each for one held request. `WaitSlots(0)` holds no request.

    It uses no lock, because `release` may run inside a garbage collection, in any thread, even in
    the middle of `acquire`: a stream that the server dropped without reading it ends there.

    Raises `Misconfigured` for a negative number, and for anything but an `int`.
    """

    def __init__(self, max_waiting: int) -> None:
        if not isinstance(max_waiting, int) or isinstance(max_waiting, bool) or max_waiting < 0:
            raise Misconfigured(
                "max_waiting must be 0 or a positive whole number: "
                "half of your server's threads, or 0 if it has one"
            )
        self.max_waiting = max_waiting
        self._free = deque(range(max_waiting))

    def acquire(self) -> bool:
        """Take a slot. Returns False if all are taken. Release each slot exactly once."""
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def release(self) -> None:
        """Give a slot back."""
        self._free.append(0)


def as_wait_slots(max_waiting: int | WaitSlots) -> WaitSlots:
    """The slots of an endpoint: its own for a number, or those that it shares with others."""
    return max_waiting if isinstance(max_waiting, WaitSlots) else WaitSlots(max_waiting)
