"""What the application receives: frozen values, with durations in whole seconds.

What may be shown is shown in `repr`; codes and people are not. An answer that holds a code refuses to be pickled, so that
no secret drifts into a cache, a queue or a crash report. This module knows no store, no clock and no HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from qrlogin.table import State

EventName = Literal["begun", "scanned", "released", "confirmed", "denied", "cancelled", "redeemed"]


class _HoldsCodes:
    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds codes and is not pickled: keep login_id, and the device_code in its cookie"
        )


@dataclass(frozen=True, slots=True)
class Begun(_HoldsCodes):
    """A new login. Show the picture of `verification_uri_complete`; keep `device_code` where only this browser has it."""

    login_id: str  # public; opens nothing
    device_code: str = field(
        repr=False
    )  # the browser's secret: HttpOnly cookie or a CLI's memory; never in a URL or a picture
    scan_code: str = field(
        repr=False
    )  # what the QR code carries; good for scanning only, and only for a few seconds
    verification_uri: str
    verification_uri_complete: str = field(
        repr=False
    )  # the QR code's text: verification_uri/scan_code (RFC 8628 3.3.1)
    version: int  # the cursor for wait(after=...)
    expires_in: int  # seconds until nobody can scan it any more
    rotates_in: int  # seconds until status or wait bring the next scan_code
    state: State = State.PENDING
    user_code: str = field(
        default="", repr=False
    )  # XXXX-XXXX, for people who type; "" unless it was asked for


@dataclass(frozen=True, slots=True)
class ScannedBy:
    """Who scanned, for the browser's question "continue as …?", and the proof that this very person was shown."""

    shown_as: str = field(repr=False)
    tag: str = field(repr=False)  # give it to redeem(acknowledged=...)


@dataclass(frozen=True, slots=True)
class Status(_HoldsCodes):
    """Where a login stands. What follows `expires_in` is for its browser only; a phone is never told them."""

    login_id: str
    state: State
    version: int  # changes whenever the state does; compare for equality, never for order
    expires_in: int  # seconds until this state dies; never 0 while it lives
    scan_code: str = field(default="", repr=False)  # while pending
    verification_uri_complete: str = field(default="", repr=False)  # while pending
    rotates_in: int = 0  # while pending
    scanned_by: ScannedBy | None = None  # once scanned
    ticket: str = field(
        default="", repr=False
    )  # once confirmed, if the browser is not asked: for the redirect of a dialect


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the phone's owner must see before confirming: which browser asks, and how long ago it began (RFC 10027 M14)."""

    login_id: str
    state: State
    context: Mapping[str, str]
    begun_ago: int  # seconds
    expires_in: int  # seconds left to decide


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The login is over and this is its yield, handed out once. Start the application's own session for `subject`, afresh."""

    login_id: str
    subject: str = field(repr=False)
    shown_as: str = field(repr=False)
    context: Mapping[str, str] = field(repr=False)
    redeemed_at_ms: int  # by the store's clock
    replayed: bool = (
        False  # the same op again: give the same answer, do not count it as another login
    )


@dataclass(frozen=True, slots=True)
class Event:
    """A login changed, and who changed it: one for each change, for notices, an audit trail, and sessions that have to be ended.

    `login_id` and `version` name it: of one login's versions each is told at most once, unless the store forgets what it has
    answered, as Redis may when a master dies; `at_ms` then differs. That a login expires is no change and no event: it is what
    the clock says of one that went no further.
    """

    name: EventName
    login_id: str  # public; opens nothing. Keep it in the session that you start, and you can end that session by it
    version: int
    at_ms: int  # when it happened, by the store's clock, in milliseconds since 1970
    subject: str = field(
        default="", repr=False
    )  # whose phone did it; of `redeemed`, who is logged in; "": the browser did it
    phone: str = field(
        default="", repr=False
    )  # as the phone's call named it; "" in what the browser did
    shown_as: str = field(default="", repr=False)  # how that person was shown to the browser
    context: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # the browser's, if its seal holds
