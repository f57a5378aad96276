"""How many requests may be held at a time. It knows neither logins nor requests."""

from collections import deque
from contextlib import suppress

from qrlogin.errors import Misconfigured


class WaitSlots:
    """`max_waiting` slots, each for one held request. `WaitSlots(0)` holds no request.

    It uses no lock, because `release` may run inside a garbage collection, in any thread, even in
    the middle of `acquire`: a stream that the server dropped without reading it ends there.

    Raises `Misconfigured` for a negative number, and for anything but an `int`.
    """

    def __init__(self, max_waiting: int) -> None:
        self._held: dict[str, deque[int]] = {}  # by address: one item for each slot that it has
        if not isinstance(max_waiting, int) or isinstance(max_waiting, bool) or max_waiting < 0:
            raise Misconfigured(
                "max_waiting must be 0 or a positive whole number: "
                "half of your server's threads, or 0 if it has one"
            )
        self.max_waiting = max_waiting
        self._free = deque(range(max_waiting))

    @property
    def taken(self) -> int:
        """How many slots are taken: how many requests are held now."""
        return self.max_waiting - len(self._free)

    def acquire(self, address: str = "", most: int | None = None) -> bool:
        """Take a slot. Returns False if all are taken. Release each slot exactly once.

        :param address: who asks; "" if it is not known.
        :param most: returns False, too, if this address has so many slots. It never has more than
            half of them. None: no limit.
        """
        if address and most is not None and not self._share(address, most):
            return False
        try:
            self._free.pop()
        except IndexError:
            self._give_back(address)
            return False
        return True

    def is_share_used(self, address: str, most: int | None) -> bool:
        """Whether `acquire` refuses this address because of the slots that it has. The parameters
        are those of `acquire`.
        """
        held = self._held.get(address, ())
        return bool(address) and most is not None and len(held) >= self._largest_share(most)

    def release(self, address: str = "") -> None:
        """Give a slot back. `address` is the one that took it."""
        self._free.append(0)
        self._give_back(address)

    def _largest_share(self, most: int) -> int:
        return min(most, (self.max_waiting + 1) // 2)

    def _share(self, address: str, most: int) -> bool:
        # Appended first and counted then, as two threads may do it at once. A request that is
        # refused for that reason is answered unheld.
        held = self._held.setdefault(address, deque())
        held.append(0)
        if len(held) <= self._largest_share(most):
            return True
        self._give_back(address)
        return False

    def _give_back(self, address: str) -> None:
        held = self._held.get(address)
        if held:
            with suppress(IndexError):
                held.pop()
        if held is not None and not held:
            # Another thread may just add an item to it. Then this address has one slot more.
            self._held.pop(address, None)


def as_wait_slots(max_waiting: int | WaitSlots) -> WaitSlots:
    """The slots of an endpoint: its own for a number, or those that it shares with others."""
    return max_waiting if isinstance(max_waiting, WaitSlots) else WaitSlots(max_waiting)
