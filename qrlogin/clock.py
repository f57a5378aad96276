"""The only module that reads the clock. The others receive the time as an argument, or leave it to
the store.
"""

import time


def now_ms() -> int:
    """The wall clock, in milliseconds since 1970. `MemoryStore` decides deadlines by it; Redis has
    its own clock.
    """
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds that never go back, to measure a duration. Their zero has no meaning."""
    return time.monotonic()
