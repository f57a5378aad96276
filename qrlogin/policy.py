"""How long logins and codes live, and how often clients may call. Durations are whole seconds.

`STANDARD` is the default. Derive your own with `STANDARD.with_lifetime(60)` or
`dataclasses.replace(STANDARD, user_codes=True)`; a policy that is not safe raises `Misconfigured`
with the reason. This module knows no login and no clock.
"""

from dataclasses import dataclass, replace
from typing import Final

from qrlogin.errors import Misconfigured

MAX_LIFETIME: Final = 600
"""The longest life of a login, in seconds.

Short-lived codes are mitigation 2 of RFC 10027 (BCP 247).
"""

MAX_WINDOW: Final = 150
"""The longest redeem window and the longest replay window, in seconds."""

MAX_INTERVAL: Final = 60
"""The longest interval between two polls, in seconds: a longer one makes users wait for nothing."""

MAX_GUESSES: Final = 20
"""The most wrong codes per window.

RFC 8628 section 5.1 allows about five guesses at eight letters of twenty, for a risk of 2**-32.
"""

GUESS_WINDOWS: Final = range(60, 86_401)
"""The windows in which wrong codes may be counted, in seconds: from a minute to a day."""

_WHOLE_NUMBERS: Final = (
    "lifetime",
    "redeem_window",
    "rotation",
    "rotation_grace",
    "replay_window",
    "interval",
    "guesses",
    "guess_window",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Lifetimes, limits, and what the application promises to show.

    Raises `Misconfigured` for a value that is not safe, or for two that contradict each other.
    """

    lifetime: int = 120
    """Seconds after begin in which the login must be scanned and confirmed. At most 600."""

    redeem_window: int = 30
    """Seconds beyond `lifetime` in which the browser may still redeem an approval. 1 to 150."""

    rotation: int = 25
    """Seconds between two rotating scan codes. A photograph of an older code cannot be scanned."""

    rotation_grace: int = 3
    """Seconds for which a rotating code can still be scanned after the next one has replaced it."""

    replay_window: int = 30
    """Seconds in which a lost answer to a redeem may be requested again with its `op`. 1 to 150."""

    names_scanner: bool = True
    """Whether `scan()` must pass `shown_as`, the name that the browser shows.

    "" is a user without a name.
    """

    interval: int = 5
    """Seconds between two polls of a token endpoint (RFC 8628 section 3.2). 1 to 60.

    A client that polls sooner is slowed down.
    """

    user_codes: bool = False
    """Whether logins may have a code to type, XXXX-XXXX, for users without a camera.

    Such a code is easier to phish.
    """

    guesses: int = 5
    """Wrong codes that an account may type in `guess_window` (RFC 8628 section 5.1). 1 to 20."""

    guess_window: int = 600
    """Seconds in which wrong typed codes are counted. 60 to 86 400."""

    plain_http: bool = False
    """Whether `verification_uri` may be http outside loopback.

    For a demo in your own network, never for real accounts.
    """

    def __post_init__(self) -> None:
        for name in _WHOLE_NUMBERS:
            value = getattr(self, name)
            if not _is_whole_number(value) or value < 0:
                raise Misconfigured(f"policy.{name} must be a whole number, not {value!r}")

        check_lifetime(self.lifetime, "policy.lifetime", Misconfigured)
        check_window(self.redeem_window, "policy.redeem_window", Misconfigured)
        check_window(self.replay_window, "policy.replay_window", Misconfigured)

        if not 1 <= self.rotation <= self.lifetime:
            raise Misconfigured(
                f"policy.rotation must lie between 1 and the lifetime of {self.lifetime} s, "
                f"not {self.rotation}"
            )
        if self.rotation_grace > self.rotation:
            raise Misconfigured(
                "policy.rotation_grace must not exceed policy.rotation: "
                "a photographed code would live too long"
            )

        if not 1 <= self.interval <= MAX_INTERVAL:
            raise Misconfigured(
                f"policy.interval must lie between 1 and {MAX_INTERVAL} s, not {self.interval}"
            )

        if not 1 <= self.guesses <= MAX_GUESSES:
            raise Misconfigured(
                f"policy.guesses must lie between 1 and {MAX_GUESSES}, not {self.guesses}: "
                "with more attempts, eight letters can be guessed"
            )
        if self.guess_window not in GUESS_WINDOWS:
            raise Misconfigured(
                f"policy.guess_window must lie between {GUESS_WINDOWS[0]} and "
                f"{GUESS_WINDOWS[-1]} s, not {self.guess_window}"
            )

    def with_lifetime(self, seconds: int) -> "Policy":
        """Return this policy with another lifetime, and a rotation that is not longer than it.

        It has no effect on the dialects: each has a lifetime of its own. Raises `Misconfigured`
        unless `seconds` is a whole number from 1 to 600.
        """
        check_lifetime(seconds, "policy.lifetime", Misconfigured)
        rotation = min(self.rotation, seconds)
        return replace(
            self,
            lifetime=seconds,
            rotation=rotation,
            rotation_grace=min(self.rotation_grace, rotation),
        )


def check_window(seconds: int, name: str, error: type[ValueError]) -> None:
    """Raise `error` unless a redeem window or a replay window may be this long.

    :param seconds: the window to check.
    :param name: what the message calls it.
    :param error: the class to raise.
    """
    if not _is_whole_number(seconds) or not 1 <= seconds <= MAX_WINDOW:
        raise error(
            f"{name} must lie between 1 and {MAX_WINDOW} s: without it a lost answer loses a login"
        )


def check_lifetime(seconds: int, name: str, error: type[ValueError]) -> None:
    """Raise `error` unless a login may live this long.

    :param seconds: the lifetime to check.
    :param name: what the message calls it.
    :param error: the class to raise.
    """
    if not _is_whole_number(seconds) or not 1 <= seconds <= MAX_LIFETIME:
        raise error(
            f"{name} must be a whole number of seconds between 1 and {MAX_LIFETIME}, "
            f"not {seconds!r}: a longer-lived QR code can be photographed and reused"
        )


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


STANDARD: Final = Policy()
"""The default: 120 s for a login, a new code every 25 s, and the browser asks before it continues.

RFC 10027 mitigations 2 and 3; RFC 8628 section 5.4.
"""

STRICT: Final = Policy(lifetime=60, redeem_window=15, rotation=15, rotation_grace=2)
"""For high-value accounts: half the lifetime, faster rotation, the same replay window."""

LAB: Final = Policy(
    lifetime=30, redeem_window=10, rotation=10, rotation_grace=2, names_scanner=False
)
"""For experiments: short enough to watch a code rotate and expire. Not for real accounts."""
