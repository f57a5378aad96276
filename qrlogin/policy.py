"""How long things live and what is asked of people. Every duration is in whole seconds.

`STANDARD` is the default. Make your own with `STANDARD.with_lifetime(60)` or `dataclasses.replace`; an unsafe policy
is refused with the reason. This module knows no login and no clock.
"""

from dataclasses import dataclass, replace
from typing import Final

from qrlogin.errors import Misconfigured

#: Seconds in which a login can be approved, whoever asks. Short-lived codes are mitigation 2 of RFC 10027 (BCP 247).
MAX_LIFETIME: Final = 600
#: Seconds that an approval may wait for its browser beyond that.
MAX_WINDOW: Final = 150
#: Seconds between two polls: more would make people wait for nothing.
MAX_INTERVAL: Final = 60
#: RFC 8628 section 5.1 has about five guesses at eight letters of twenty stand for a risk of 2**-32.
MAX_GUESSES: Final = 20
GUESS_WINDOWS: Final = range(60, 86_401)  # seconds: a minute to a day


@dataclass(frozen=True, slots=True)
class Policy:
    """Lifetimes in seconds, and the browser's question. Raises `Misconfigured` for values that contradict each other."""

    lifetime: int = 120  # begin → scanned and confirmed
    redeem_window: int = 30  # how much longer an approval may still be collected
    rotation: int = 25  # a new QR code every so often; who photographed an old one is too late
    rotation_grace: int = 3  # for the code that was on the screen a moment ago
    replay_window: int = (
        30  # how long a redeem whose answer was lost may be repeated with the same op
    )
    names_scanner: bool = (
        True  # scan() must say whom the browser shows, "" for a person without a name
    )
    interval: int = 5  # between two polls of a token endpoint (RFC 8628 section 3.2); who comes sooner is slowed
    user_codes: bool = False  # codes to type, XXXX-XXXX: for people without a camera, and easier to talk somebody out of
    guesses: int = 5  # typed codes that may lead nowhere, of one account within guess_window (RFC 8628 section 5.1)
    guess_window: int = 600
    plain_http: bool = (
        False  # http outside loopback: for a demo in one's own network, never for real accounts
    )

    def __post_init__(self) -> None:
        whole = (
            "lifetime",
            "redeem_window",
            "rotation",
            "rotation_grace",
            "replay_window",
            "interval",
            "guesses",
            "guess_window",
        )
        for name in whole:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise Misconfigured(f"policy.{name} must be a whole number, not {value!r}")
        check_lifetime(self.lifetime, "policy.lifetime", Misconfigured)
        if not 1 <= self.rotation <= self.lifetime:
            raise Misconfigured(
                f"policy.rotation must lie between 1 and the lifetime of {self.lifetime} s, not {self.rotation}"
            )
        if self.rotation_grace > self.rotation:
            raise Misconfigured(
                "policy.rotation_grace must not exceed policy.rotation: a photographed code would live too long"
            )
        for name in ("redeem_window", "replay_window"):
            check_window(getattr(self, name), f"policy.{name}", Misconfigured)
        if not 1 <= self.interval <= MAX_INTERVAL:
            raise Misconfigured(
                f"policy.interval must lie between 1 and {MAX_INTERVAL} s, not {self.interval}"
            )
        if not 1 <= self.guesses <= MAX_GUESSES or self.guess_window not in GUESS_WINDOWS:
            raise Misconfigured(
                f"policy.guesses must lie between 1 and {MAX_GUESSES}, policy.guess_window between {GUESS_WINDOWS[0]} and "
                f"{GUESS_WINDOWS[-1]} s: eight letters are soon guessed by who may try often"
            )

    def with_lifetime(self, seconds: int) -> "Policy":
        """The same policy for logins that live for `seconds`; no code outlives its login. Dialects have lives of their own.

        Raises `Misconfigured`.
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
    """Raise `error` unless an approval may wait for `seconds`."""
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= MAX_WINDOW:
        raise error(
            f"{name} must lie between 1 and {MAX_WINDOW} s: without it a lost answer loses a login"
        )


def check_lifetime(seconds: int, name: str, error: type[ValueError]) -> None:
    """Raise `error` unless `seconds` is a life that a login may have."""
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int)
        or not 1 <= seconds <= MAX_LIFETIME
    ):
        raise error(
            f"{name} must be a whole number of seconds between 1 and {MAX_LIFETIME}, not {seconds!r}: "
            "a QR code that lives longer is a gift to whoever photographs it"
        )


#: 120 s for a login, a new code every 25 s, the browser asks before it continues (RFC 10027 mitigations 2, 3; RFC 8628 5.4).
STANDARD: Final = Policy()
#: For accounts that hurt: half the time, codes that are useless sooner; as much time as ever to ask again for a lost answer.
STRICT: Final = Policy(lifetime=60, redeem_window=15, rotation=15, rotation_grace=2)
#: For trying things out: short enough to watch a code rotate and expire. Not for real accounts.
LAB: Final = Policy(
    lifetime=30, redeem_window=10, rotation=10, rotation_grace=2, names_scanner=False
)
