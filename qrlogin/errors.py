"""Every error that qrlogin raises: when it happens, and its status and code on the wire.

    QRLoginError                       catch this one to catch them all
    ├── Misconfigured                  set-up only: fix the configuration (also a ValueError)
    ├── BadArgument                    your code passed an impossible value (also a ValueError)
    ├── LoginError                     this login cannot do that: tell the user, offer a new code
    │   ├── UnknownLogin         404   no such login, or not the caller's: the two look alike
    │   │   ├── InvalidCode            not this application's code; found without the store
    │   │   ├── NotYours               genuine, but another browser, phone or account owns the login
    │   │   ├── RecordLost             no record of a login that is not over (a WARNING)
    │   │   └── RecordForged           the record fails its seal (an ERROR in the log)
    │   ├── AlreadyScanned       409   another account scanned first
    │   ├── ScannerChanged       409   what the browser acknowledged is out of date: ask again
    │   ├── AlreadyRedeemed      409   another call redeemed it
    │   ├── WrongState           409   too early or too late: redeem before confirm, for example
    │   ├── MatchCodeNeeded      409   the digits that the browser shows are missing
    │   ├── WrongMatchCode       409   they are wrong; see its `tries_left`
    │   ├── Denied               409   refused on the phone
    │   ├── Cancelled            409   cancelled in the browser
    │   ├── Superseded           409   a newer wait for the same login took over
    │   ├── Expired              410   a deadline passed
    │   └── TooFast              429   the caller polls too often; see its `retry_after`
    │       ├── TooManyGuesses         this account typed too many wrong codes
    │       ├── TooManyBegins          too many logins were begun from this address
    │       ├── TooManyScans           this account scanned too many codes
    │       └── TooManyWaits           HTTP only: too many streams from this address
    ├── Unavailable              503   the store is away, is full, or holds newer records
    │   ├── Crowded                    HTTP only: no slot is free for another stream
    │   └── Paused                     HTTP only: the application lets no new login begin now
    └── BadRequest               400   HTTP only: the request is malformed
        ├── Unauthenticated      401   the phone is not signed in
        ├── Forbidden            403   the request comes from another site
        │   └── InvalidCsrfToken 403   the application's CSRF protection refused it
        ├── DeniedBySite         403   the application's judge refused the phone
        ├── StepUpNeeded         403   the application's judge asks for one more step first
        ├── NoSuchPath           404
        ├── MethodNotAllowed     405   lists the methods that are allowed
        ├── TooLarge             413
        ├── UnsupportedMediaType 415
        └── UpgradeRequired      426   the path is for websockets

It is always safe to catch a parent. `str(error)` is for the developer and may say exactly what was
wrong. Clients receive `error.wire_code` and `error.wire_text`, which are the same for every
`UnknownLogin`, so that a stranger learns nothing. No message contains a code, a key or a user.
"""

from typing import ClassVar


class QRLoginError(Exception):
    """The base of all errors. Clients receive its `wire_code`, `wire_text` and `http_status`."""

    wire_code: ClassVar[str] = "error"
    """The stable name of the error on the wire. Clients may switch on it."""

    wire_text: ClassVar[str] = "The login did not work."
    """One sentence for the user. It is the same for every error with this `wire_code`."""

    http_status: ClassVar[int] = 500
    """The HTTP status of the response."""

    retry_after: int | None = None
    """Seconds after which the call may succeed; None: repeating it does not help."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.wire_text)


class Misconfigured(QRLoginError, ValueError):
    """The configuration is invalid; the message explains why. Never raised for a login."""


class BadArgument(QRLoginError, ValueError):
    """The application passed an impossible value: an empty subject, a context that is too large."""


class LoginError(QRLoginError):
    """This login cannot do what was asked. Another login can."""


class UnknownLogin(LoginError):
    """There is no such login, or this caller may not know of it."""

    wire_code = "unknown_login"
    wire_text = "There is no such login. Show a new code."
    http_status = 404


class InvalidCode(UnknownLogin):
    """The text is not one of this application's codes. No store was asked."""


class NotYours(UnknownLogin):
    """The code is genuine, but the login is not the caller's.

    Another browser began it, or another account or phone scanned it, or it is not scanned yet.
    """


class RecordLost(UnknownLogin):
    """The code is genuine and has not expired, but the store has no record of the login.

    The store restarted without persistence, evicted the record, or keeps it in the memory of
    another process.
    """


class RecordForged(UnknownLogin):
    """The stored record fails its seal, so something other than qrlogin wrote to the store.

    Nothing in the record is used.
    """


class AlreadyScanned(LoginError):
    """Another account scanned this code first. The browser can show a new one."""

    wire_code = "already_scanned"
    wire_text = "Someone else has already scanned this code. Show a new one."
    http_status = 409


class ScannerChanged(LoginError):
    """The browser acknowledged one user, but another has approved, or it acknowledged before the
    approval, when it had not been shown the full name.

    Read the status, and ask the browser's user again.
    """

    wire_code = "scanner_changed"
    wire_text = (
        "The login was approved, or scanned by another account, after the browser asked. "
        "Ask again with the name that it shows now."
    )
    http_status = 409


class AlreadyRedeemed(LoginError):
    """Another call has already redeemed the login."""

    wire_code = "already_redeemed"
    wire_text = "This login has already been used."
    http_status = 409


class WrongState(LoginError):
    """The login's current state does not allow this. The message names that state.

    It must be confirmed before it is redeemed, and scanned again after it was released.
    """

    wire_code = "wrong_state"
    wire_text = "The login cannot do this in its current state."
    http_status = 409


class MatchCodeNeeded(LoginError):
    """`confirm` needs `match_code`, the digits that the browser shows, as many as it shows. Nothing
    has changed, and no try was counted.
    """

    wire_code = "match_needed"
    wire_text = "Type the digits that the other screen shows."
    http_status = 409


class WrongMatchCode(LoginError):
    """The digits are not those that the browser shows. The last try denies the login."""

    wire_code = "wrong_match"
    wire_text = "These are not the digits that the other screen shows."
    http_status = 409

    def __init__(self, tries_left: int) -> None:
        super().__init__()
        self.tries_left = tries_left
        """How many tries are left. 0: the login is denied."""


class Denied(LoginError):
    """The user refused on the phone. Final."""

    wire_code = "denied"
    wire_text = "The login was refused on the phone."
    http_status = 409


class Cancelled(LoginError):
    """The browser cancelled the login. Final."""

    wire_code = "cancelled"
    wire_text = "The login was cancelled in the browser."
    http_status = 409


class Superseded(LoginError):
    """A newer wait for the same login has taken over in this process.

    Do not repeat the call: the newer wait gets the answer.
    """

    wire_code = "superseded"
    wire_text = "A newer request is waiting for this login."
    http_status = 409


class Expired(LoginError):
    """A deadline passed: of the code, of the login, or of an approval that was not redeemed."""

    wire_code = "expired"
    wire_text = "The code has expired. Show a new one."
    http_status = 410


class TooFast(LoginError):
    """The caller polls more often than allowed. Poll again after `retry_after` seconds."""

    wire_code = "too_fast"
    wire_text = "Too many requests. Wait a moment, then try again."
    http_status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after: int = retry_after


class TooManyGuesses(TooFast):
    """This account typed too many wrong codes (RFC 8628 section 5.1). Scanning still works.

    `retry_after` is the whole window in which wrong codes are counted; it may end sooner.
    """

    wire_code = "too_many_guesses"
    wire_text = "Too many wrong codes. Wait a while, or scan the code instead."


class TooManyBegins(TooFast):
    """Too many logins were begun from this address in a short time (`Limits.begins`).

    `retry_after` is when one more is granted, and 60 s at most for a begin with a turn: forget the
    turn then.
    """

    wire_code = "too_many_logins"
    wire_text = "Many logins are being started from your network. Try again in a moment."

    def __init__(self, retry_after: int, *, turn: str = "") -> None:
        super().__init__(retry_after)
        self.turn = turn
        """Keep it in this browser and pass it to the next begin: it then does not compete with
        first requests. "" if the browser has one already."""


class TooManyScans(TooFast):
    """This account scanned too many codes in a short time (`Limits.scans`).

    `retry_after` is when one more is granted.
    """

    wire_code = "too_many_scans"
    wire_text = "You have scanned many codes in a short time. Try again in a moment."


class TooManyWaits(TooFast):
    """Too many requests of this address are held (`Limits.waits`). A status that is not held is
    still answered.
    """

    wire_code = "too_many_waits"
    wire_text = "Many requests of your network are waiting. Poll instead of streaming."


class Unavailable(QRLoginError):
    """The store did not answer, so it is unknown whether the call took effect.

    It is safe to repeat the call; its answer shows what happened.
    """

    wire_code = "unavailable"
    wire_text = "The login service is temporarily unavailable. Try again."
    http_status = 503
    retry_after: int | None = 1


class Crowded(Unavailable):
    """All slots for held requests are taken. A status that is not held is still answered."""

    wire_code = "crowded"
    wire_text = "Too many requests are waiting. Poll instead of streaming, or try again."
    retry_after: int | None = 2


class Paused(Unavailable):
    """The application lets no new login begin now (`Endpoint(paused=…)`). Logins that have begun
    already go on.
    """

    wire_code = "paused"
    wire_text = "Login by phone is paused. Log in another way, or try again later."
    retry_after: int | None = 60


class BadRequest(QRLoginError):
    """The HTTP request is malformed. It changed nothing: correct it and send it again."""

    wire_code = "invalid_request"
    wire_text = "The request is malformed."
    http_status = 400


class Unauthenticated(BadRequest):
    """The phone is not signed in."""

    wire_code = "unauthenticated"
    wire_text = "Sign in on this phone first."
    http_status = 401


class Forbidden(BadRequest):
    """The request was sent by a page of another site."""

    wire_code = "forbidden"
    wire_text = "This request must come from the site itself."
    http_status = 403


class InvalidCsrfToken(Forbidden):
    """The application's CSRF protection refused the request: its page is too old, usually."""

    wire_code = "invalid_csrf_token"
    wire_text = "The CSRF token is missing, wrong or old: load the page again."


class DeniedBySite(BadRequest):
    """The application's judge refused this phone, or failed. The login is as it was before."""

    wire_code = "denied_by_site"
    wire_text = "The site does not allow this login."
    http_status = 403

    def __init__(self, words: str = "") -> None:
        super().__init__(words)
        self.words = words
        """The application's words for the person, cleaned; "" for none."""


class StepUpNeeded(BadRequest):
    """The application's judge asks for one more step first. The login is as it was before: repeat
    the call afterwards.
    """

    wire_code = "step_up_needed"
    wire_text = "The site asks for one more step first."
    http_status = 403

    def __init__(self, step_up_uri: str) -> None:
        super().__init__()
        self.step_up_uri = step_up_uri
        """Where the step is: a path of the site, or an https address."""


class NoSuchPath(BadRequest):
    """No route has this path."""

    wire_code = "not_found"
    wire_text = "There is nothing at this address."
    http_status = 404


class MethodNotAllowed(BadRequest):
    """The path exists, but not for this method. `allowed` lists the methods that it accepts."""

    wire_code = "method_not_allowed"
    wire_text = "This path does not accept that method."
    http_status = 405

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"use {' or '.join(allowed)}")
        self.allowed = allowed


class TooLarge(BadRequest):
    """The body is longer than any request of this protocol."""

    wire_code = "too_large"
    wire_text = "The request is too large."
    http_status = 413


class UnsupportedMediaType(BadRequest):
    """The body is of a media type that the path does not read."""

    wire_code = "unsupported_media_type"
    wire_text = "Send JSON, with Content-Type: application/json."
    http_status = 415


class UpgradeRequired(BadRequest):
    """The path is for websockets, but the request is not one, or the server does not support them.

    RFC 9110 section 15.5.22.
    """

    wire_code = "upgrade_required"
    wire_text = "Open this address as a websocket."
    http_status = 426
