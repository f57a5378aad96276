"""When a wait ends: what counts as news for a browser, and how long it may wait at most."""

from qrlogin.answers import Status
from qrlogin.table import TERMINAL, State


def is_news(seen: Status, after: int | State | None) -> bool:
    """Whether a browser that knows `after` has to hear of `seen` at once.

    :param seen: the status that was just read.
    :param after: the version or the state that the browser knows. None: it knows that the login is
        pending.
    """
    if seen.state is State.EXPIRED or seen.state in TERMINAL:
        return True
    if isinstance(after, int):
        return seen.version != after
    return seen.state is not (after or State.PENDING)


def wait_limit(seen: Status, timeout: float) -> float:
    """How many seconds to wait at most. No notification comes when a code rotates or a login
    expires, and the browser must see both.
    """
    return min(timeout, seen.expires_in, seen.rotates_in or timeout)
