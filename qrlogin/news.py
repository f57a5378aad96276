"""When a wait ends: what counts as news for a browser, and how long it may wait at most."""

import random
from enum import Enum, auto
from typing import Final

from qrlogin.answers import Status
from qrlogin.table import TERMINAL, State


class _Marker(Enum):
    FROM_NOW = auto()


FROM_NOW: Final = _Marker.FROM_NOW
"""What a browser knows that does not say it. It waits for a change after the first status that is
read for it: without that, every state but pending would be news for ever, and answered at once."""

Known = int | State | _Marker | None
"""What a browser knows: a version or a state. None: it knows that the login is pending."""


def known(status: Status, after: Known) -> int | State | None:
    """`after`, as `is_news` takes it.

    :param status: the first status that was read for this wait.
    :param after: what the browser knows.
    """
    return status.version if after is FROM_NOW else after


def is_news(status: Status, after: int | State | None) -> bool:
    """Whether a browser that knows `after` has to receive `status` at once.

    :param status: it was just read.
    :param after: the version or the state that the browser knows. None: it knows that the login is
        pending.
    """
    if is_over(status):
        return True
    if isinstance(after, int):
        return status.version != after
    return status.state is not (after or State.PENDING)


def is_over(status: Status) -> bool:
    """Whether the login has ended, so that no other news will come."""
    return status.state is State.EXPIRED or status.state in TERMINAL


def wait_limit(status: Status, timeout: float) -> float:
    """How many seconds to wait at most. No notification comes when a code rotates or a login
    expires, and the browser must see both.
    """
    return min(timeout, status.expires_in, status.rotates_in or timeout)


def unavailable_pause() -> float:
    """Seconds until a wait reads the store again that did not answer: at random, so that the waits
    of thousands of browsers do not read it together.
    """
    return random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not security


def timed_out(listener: object) -> bool:
    """Whether the last `wait` of this listener ended because its time was over, and the store is
    sure that the login has not changed. False if the listener does not say it.

    :param listener: of a store, blocking or asyncio.
    """
    return bool(getattr(listener, "timed_out", False))
