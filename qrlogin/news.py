"""When a wait ends: what counts as news for a browser, and how long it may wait at most."""

import random
from dataclasses import replace
from enum import Enum, auto
from typing import Any, Final

from qrlogin.answers import Status
from qrlogin.errors import Unavailable
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


def aged(status: Status, seconds: float) -> Status:
    """`status` with the times that are left now, for a wait whose last read failed.

    :param status: what was read last.
    :param seconds: how long ago that was.
    :raises Unavailable: `status` is outdated: one of its times has ended.
    """
    times = {
        "expires_in": status.expires_in,
        "code_expires_in": status.code_expires_in,
        "rotates_in": status.rotates_in,
    }
    left: dict[str, Any] = {name: time - int(seconds) for name, time in times.items() if time}
    if any(time <= 0 for time in left.values()):
        raise Unavailable("the store did not answer until the status that was read last had ended")
    return replace(status, **left)


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
