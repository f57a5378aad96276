"""When a wait ends: what counts as news for a browser, and how long it may wait at most."""

from qrlogin.answers import Status
from qrlogin.table import TERMINAL, State


def is_news(seen: Status, after: int | State | None) -> bool:
    """Whether a browser has to hear of this at once that was last told the version `after`, or that state (None: pending)."""
    if seen.state is State.EXPIRED or seen.state in TERMINAL:
        return True
    return (
        seen.version != after
        if isinstance(after, int)
        else seen.state is not (after or State.PENDING)
    )


def wait_limit(seen: Status, timeout: float) -> float:
    """Seconds to wait at most: nobody announces that a code rotates or that a login expires, and the browser must see both."""
    return min(timeout, seen.expires_in, seen.rotates_in or timeout)
