"""When a wait ends: what counts as news for a browser, and how long it may wait at most."""

from qrlogin.answers import Status
from qrlogin.table import TERMINAL, State


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
