"""The only reader of the clock. Everything else receives the time as an argument or leaves it to the store."""

import time


def now_ms() -> int:
    """The wall clock, in milliseconds since 1970. A memory store decides deadlines by it; Redis uses its own."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds that only ever go forward, for how long to wait; their zero means nothing."""
    return time.monotonic()
