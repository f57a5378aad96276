"""How long logins and codes live, and how often clients may call. Durations are whole seconds.

`STANDARD` is the default. Derive your own with `STANDARD.with_lifetime(60)` or
`dataclasses.replace(STANDARD, user_codes=True)`; a policy that is not safe raises `Misconfigured`
with the reason. This module knows no login and no clock.
"""

from dataclasses import dataclass, replace
from typing import Final

from qrlogin.arguments import MATCH_DIGITS
from qrlogin.errors import Misconfigured
from qrlogin.limits import Limits

MAX_TOTAL: Final = 600
"""The most seconds from begin to the last answer that logs a browser in: the sum of all windows.

NIST SP 800-63B-4 section 3.1.3.2, ASVS 6.5.5. Short-lived codes are mitigation 2 of RFC 10027
(BCP 247).
"""

MAX_WINDOW: Final = 150
"""The longest of the four windows after `lifetime`, in seconds."""

MIN_TO_DECIDE: Final = 20
"""The fewest seconds that a person gets to answer the phone's question."""

MIN_LATE_WINDOW: Final = 30
"""The fewest seconds for which a login can still be scanned after its code has left the screen."""

MAX_INTERVAL: Final = 60
"""The longest interval between two polls, in seconds: a longer one makes users wait for nothing."""

MAX_GUESSES: Final = 20
"""The most wrong codes per window.

RFC 8628 section 5.1 allows about five guesses at eight letters of twenty, for a risk of 2**-32.
"""

GUESS_WINDOWS: Final = range(60, 86_401)
"""The windows in which wrong codes may be counted, in seconds: from a minute to a day."""

_WINDOWS: Final = ("lifetime", "late_window", "decide_window", "redeem_window", "replay_window")
_WHOLE_NUMBERS: Final = (
    *_WINDOWS,
    "rotation",
    "rotation_grace",
    "match_digits",
    "interval",
    "guesses",
    "guess_window",
)


_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Policy:
    """Lifetimes, limits, and what the application promises to show.

    Raises `Misconfigured` for a value that is not safe, or for two that contradict each other.
    """

    lifetime: int = 120
    """Seconds after begin for which the browser shows a code.

    The sum of this and the four windows is at most 600.
    """

    late_window: int = 100
    """Seconds after that in which a phone that opened the code in time may still scan: its user
    signs in first, or its network is slow.

    30 to 150, and at least 20 more than `rotation_grace`. The default leaves 60 s to sign in, also
    to the user who read the last code and whose page took 15 s to open.
    """

    decide_window: int = 90
    """Seconds after a scan in which its user may confirm or deny. 20 to 150."""

    redeem_window: int = 30
    """Seconds after a confirm in which the browser may redeem. 1 to 150."""

    replay_window: int = 30
    """Seconds in which a lost answer to a redeem may be requested again with its `op`. 1 to 150."""

    rotation: int = 25
    """Seconds between two rotating scan codes. A photograph of an older code cannot be scanned."""

    rotation_grace: int = 18
    """Seconds for which a rotating code can still be scanned after the next one has replaced it.

    A camera needs a moment, and so does the page that it opens.
    """

    names_scanner: bool = True
    """Whether `scan()` must pass `shown_as`, the name that the browser shows.

    "" is a user without a name. `confirm(name=...)` is never required: not every site has names
    that are unique.
    """

    interval: int = 5
    """Seconds between two polls of a token endpoint (RFC 8628 section 3.2). 1 to 60.

    A client that polls sooner is slowed down.
    """

    match_digits: int = 0
    """How many digits the browser shows once it is scanned, for its user to type on the phone: 2 or
    3. 0: none.

    A person who was sent a picture of a code does not see the browser, so they cannot type them.
    Three wrong tries deny the login. Only the native dialect can show the digits, so no other can
    be mounted.
    """

    user_codes: bool = False
    """Whether logins may have a code to type, XXXX-XXXX, for users without a camera.

    Such a code is easier to phish.
    """

    guesses: int = 5
    """Wrong codes that an account may type in `guess_window` (RFC 8628 section 5.1). 1 to 20."""

    guess_window: int = 600
    """Seconds in which wrong typed codes are counted. 60 to 86 400."""

    limits: Limits | None = _LIMITS
    """How much one address may begin and hold, and one account may scan. None: no limits."""

    known_browser: bool = True
    """Whether browsers keep to which accounts they were logged in, so that the phone shows "never
    been used with your account". False: no such cookie is set or read, and the phone shows nothing.
    """

    plain_http: bool = False
    """Whether `verification_uri` may be http outside loopback.

    For a demo in your own network, never for real accounts.
    """

    def __post_init__(self) -> None:
        for name in _WHOLE_NUMBERS:
            value = getattr(self, name)
            if not _is_whole_number(value) or value < 0:
                raise Misconfigured(f"policy.{name} must be a whole number, not {value!r}")

        if self.limits is not None and not isinstance(self.limits, Limits):
            raise Misconfigured(
                f"policy.limits must be Limits(...), or None for no limits, not {self.limits!r}"
            )

        check_lifetime(self.lifetime, "policy.lifetime", Misconfigured)
        least_late = max(MIN_LATE_WINDOW, self.rotation_grace + MIN_TO_DECIDE)
        _check_window(self.late_window, "policy.late_window", Misconfigured, least_late)
        _check_window(self.decide_window, "policy.decide_window", Misconfigured, MIN_TO_DECIDE)
        _check_window(self.redeem_window, "policy.redeem_window", Misconfigured)
        _check_window(self.replay_window, "policy.replay_window", Misconfigured)
        self.check_total("the policy's windows", Misconfigured)

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

        if self.match_digits not in MATCH_DIGITS:
            raise Misconfigured(
                f"policy.match_digits must be 0, 2 or 3, not {self.match_digits!r}: one digit is "
                "guessed too often, and more than three are mistyped"
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

    def check_total(self, what: str, error: type[ValueError], **windows: int) -> None:
        """Raise `error` if a login with these windows could end more than 600 s after its begin.

        :param what: names the windows in the message.
        :param error: the class to raise.
        :param windows: seconds by name, in place of the policy's: `lifetime`, `late_window`,
            `decide_window`, `redeem_window` or `replay_window`.
        """
        seconds = {name: windows.get(name, getattr(self, name)) for name in _WINDOWS}
        total = sum(seconds.values())
        if total > MAX_TOTAL:
            parts = " + ".join(f"{name} {each}" for name, each in seconds.items())
            raise error(
                f"{what} add up to {total} s ({parts}), and a login may take {MAX_TOTAL} s at "
                "most: shorten one of them"
            )

    def with_lifetime(self, seconds: int) -> "Policy":
        """Return this policy with another lifetime, and a rotation that is not longer than it.

        It has no effect on the dialects: each has a lifetime of its own. Raises `Misconfigured`
        unless `seconds` is a whole number from 1 on, and the sum of all windows is at most 600.
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
    """Raise `error` unless a redeem window may be this long.

    :param seconds: the window to check.
    :param name: what the message calls it.
    :param error: the class to raise.
    """
    _check_window(seconds, name, error)


def _check_window(seconds: int, name: str, error: type[ValueError], least: int = 1) -> None:
    if not _is_whole_number(seconds) or not least <= seconds <= MAX_WINDOW:
        raise error(f"{name} must lie between {least} and {MAX_WINDOW} s, not {seconds!r}")


def check_lifetime(seconds: int, name: str, error: type[ValueError]) -> None:
    """Raise `error` unless a code may be shown this long.

    :param seconds: the lifetime to check.
    :param name: what the message calls it.
    :param error: the class to raise.
    """
    if not _is_whole_number(seconds) or not 1 <= seconds <= MAX_TOTAL:
        raise error(
            f"{name} must be a whole number of seconds between 1 and {MAX_TOTAL}, "
            f"not {seconds!r}: a longer-lived QR code can be photographed and reused"
        )


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


STANDARD: Final = Policy()
"""The default: codes for 120 s, a new one every 25 s, 90 s to decide, and the browser asks before
it continues.

RFC 10027 mitigations 2 and 3; RFC 8628 section 5.4.
"""

STRICT: Final = Policy(
    lifetime=60,
    late_window=90,
    decide_window=60,
    redeem_window=15,
    rotation=15,
    rotation_grace=10,
    match_digits=3,
)
"""For high-value accounts: half the lifetime, faster rotation, the same replay window, and three
digits to type on the phone.
"""

LAB: Final = Policy(
    lifetime=30,
    late_window=30,
    decide_window=30,
    redeem_window=10,
    rotation=10,
    rotation_grace=2,
    names_scanner=False,
)
"""For experiments: short enough to watch a code rotate and expire. Not for real accounts."""
