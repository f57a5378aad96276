"""What the application receives: frozen values, with durations in whole seconds.

A `repr` shows what may be logged: it leaves out codes and users. A value that holds a code cannot
be pickled, so no secret drifts into a cache, a queue or a crash report. This module knows no
store, no clock and no HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from qrlogin.table import State

EventName = Literal["begun", "scanned", "released", "confirmed", "denied", "cancelled", "redeemed"]
"""The changes of a login that an `Event` can report."""


class _HoldsCodes:
    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds codes and cannot be pickled: "
            "keep its login_id, and the device_code in the browser's cookie"
        )


@dataclass(frozen=True, slots=True)
class Begun(_HoldsCodes):
    """A new login.

    Show `verification_uri_complete` as a QR code. Give `device_code` to this browser only.
    """

    login_id: str
    """The public name of the login. It grants nothing."""

    device_code: str = field(repr=False)
    """The browser's secret. Never put it into a URL or a picture.

    Keep it in an HttpOnly cookie, or in the memory of a command-line client.
    """

    scan_code: str = field(repr=False)
    """The code in the QR code. A phone can scan with it, and nothing else, for a few seconds.

    The fixed code of a dialect lasts as long as its login.
    """

    verification_uri: str
    """The address of the page that opens on the phone, without a code."""

    verification_uri_complete: str = field(repr=False)
    """The text of the QR code: `verification_uri`/`scan_code` (RFC 8628 section 3.3.1)."""

    version: int
    """The version of the login, for `wait(after=...)`."""

    expires_in: int
    """Seconds until the login can no longer be scanned."""

    code_expires_in: int
    """Seconds for which the code may be shown."""

    rotates_in: int
    """Seconds until `status` or `wait` returns the next scan code, or none any more; 0 if it does
    not rotate.
    """

    state: State = State.PENDING
    """The state of the login."""

    user_code: str = field(default="", repr=False)
    """The code to type, XXXX-XXXX; "" unless `begin(user_code=True)` asked for it."""


@dataclass(frozen=True, slots=True)
class ScannedBy:
    """The user who scanned, for the browser's question "continue as …?"."""

    shown_as: str = field(repr=False)
    """The name to show before the approval, as `scan(shown_as=...)` gave it; "" for a user without
    a name. Other accounts may have the same.
    """

    tag: str = field(repr=False)
    """Proves which user the browser showed, and once the login is confirmed, under which `name`.
    Pass the tag of the confirmed status to `redeem(acknowledged=...)`.
    """

    name: str = field(default="", repr=False)
    """The account's full, unique name once the login is confirmed, as `confirm(name=...)` gave it:
    show this one in the question. "" before that, and if the application gave none: show
    `shown_as`.
    """


@dataclass(frozen=True, slots=True)
class Status(_HoldsCodes):
    """The state of a login. A phone gets the first four fields; the rest are for the browser."""

    login_id: str
    """The public name of the login. It grants nothing."""

    state: State
    """The state of the login, by the store's clock."""

    version: int
    """Changes whenever the state does. Compare it for equality, not for order."""

    expires_in: int
    """Seconds until this state expires; at least 1 until then, 0 for a state that has ended."""

    code_expires_in: int = 0
    """Seconds for which the code may be shown. 0: show none. A pending login can still be scanned
    then, by a phone that read the code before.
    """

    scan_code: str = field(default="", repr=False)
    """The current scan code while it may be shown; else "", as for a fixed code."""

    verification_uri_complete: str = field(default="", repr=False)
    """The text of the QR code, with `scan_code` in it; "" whenever that is."""

    rotates_in: int = 0
    """Seconds until the next scan code, or until there is none; 0 when `scan_code` is ""."""

    scanned_by: ScannedBy | None = None
    """The user who scanned; None before the scan, and after a denial or a cancellation."""

    match_code: str = field(default="", repr=False)
    """The digits to show while the login is scanned: its user types them on the phone. "" if the
    phone is not asked for them (`Policy.match_digits`), and in every other state.
    """

    ticket: str = field(default="", repr=False)
    """For the redirect of a dialect that does not ask the browser; "" until it is confirmed."""


@dataclass(frozen=True, slots=True)
class Landing(_HoldsCodes):
    """For the page that a rotating code opens: lets this browser scan the login although the code's
    own deadline has passed, so that its user can sign in first.
    """

    login_id: str
    """The public name of the login. It grants nothing."""

    token: str = field(repr=False)
    """Keep it in an HttpOnly cookie of this browser. Never put it into a link."""

    expires_in: int
    """Seconds until the login can no longer be scanned."""


@dataclass(frozen=True, slots=True)
class Scanned(_HoldsCodes):
    """What the phone shows before the user confirms: which browser asks, and since when.

    RFC 10027 M14.
    """

    login_id: str
    """The public name of the login. It grants nothing."""

    state: State
    """The state of the login: pending after a look. After a repeated scan it may be confirmed
    already.
    """

    context: Mapping[str, str]
    """The facts about the browser, as `begin(context=...)` gave them."""

    begun_ago: int
    """Seconds since the login began."""

    expires_in: int
    """Seconds left to decide; after a look, seconds left to scan."""

    match_digits: int = 0
    """How many digits the browser shows after the scan, and `confirm` needs as its `match_code`. 0:
    it needs none.
    """

    landing: str = field(default="", repr=False)
    """After a look at a rotating code: pass it to `scan(landing=...)`, because the code may be too
    old by the time that the user has read the question. "" where none is needed.
    """

    known_browser: bool | None = None
    """Whether this account was logged in on that browser before. Show False prominently: it is the
    one fact that a browser of someone else cannot fake. None: its client never says (a device of
    RFC 8628, a `begin` of your own code), or the policy's `known_browser` is off; show nothing.
    """


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The result of a login, returned once. Start a new session for `subject`."""

    login_id: str
    """The public name of the login. It grants nothing, so it may be in logs, URLs and databases.

    Keep it with the session that you start: each `Event` of this login has the same one, and you
    can find and end the session by it.
    """

    subject: str = field(repr=False)
    """The application's own id of the user who approved."""

    shown_as: str = field(repr=False)
    """The name of that user, as the browser showed it before the approval."""

    context: Mapping[str, str] = field(repr=False)
    """The facts about the browser, as `begin(context=...)` gave them."""

    redeemed_at_ms: int
    """When the login was redeemed, by the store's clock, in milliseconds since 1970."""

    replayed: bool = False
    """Whether this repeats an earlier result, for the same `op`.

    Give the same answer again, and do not count another login.
    """

    name: str = field(default="", repr=False)
    """The full name of that account, as the browser's question showed it; "" if `confirm` got none.
    """

    assurance: str = ""
    """What the approval met beyond the phone's session, as `confirm(assurance=...)` said it; ""
    if it said nothing. It is sealed with the approval.
    """

    phone: str = field(default="", repr=False)
    """The phone that approved, as `confirm(phone=...)` named it. It is sealed with the approval."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a login, and who made it: for notices, an audit trail, and ending sessions.

    `login_id` and `version` identify the change. Each version of a login is reported at most once,
    unless the store forgets what it has answered, as Redis may when a master dies; `at_ms` then
    differs. Expiry is computed from the clock: it writes nothing and causes no event.
    """

    name: EventName
    """What happened."""

    login_id: str
    """The public name of the login. It grants nothing.

    Keep it in the session that you start; you can then find and end the session by it.
    """

    version: int
    """The version of the login after the change."""

    at_ms: int
    """When it happened, by the store's clock, in milliseconds since 1970."""

    subject: str = field(default="", repr=False)
    """The user whose phone made the change; for `redeemed`, the user who is logged in.

    "" for the browser's other changes.
    """

    phone: str = field(default="", repr=False)
    """The phone, as the application's call named it; "" for the browser's changes."""

    shown_as: str = field(default="", repr=False)
    """The name that the browser shows for that user; "" if its seal does not match."""

    context: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The facts about the browser; empty if their seal does not match."""

    step_ms: int | None = field(default=None, repr=False)
    """How long this step of the login took, in milliseconds by the store's clock: from the begin to
    the scan or to the cancellation, from the scan to the decision (`confirmed`, `denied`,
    `released`), and from the approval to the redeem. None for `begun`, and if the record does not
    say. No seal covers it: it is for statistics.
    """
