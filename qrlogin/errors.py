"""Everything that qrlogin refuses, when it happens, and what it is called on the wire.

    QRLoginError                       catch this one and you have caught them all
    ├── Misconfigured                  at start only: fix the set-up (also a ValueError)
    ├── BadArgument                    your own code passed something impossible (also a ValueError)
    ├── LoginError                     one login, one refusal: tell the person, offer a new code
    │   ├── UnknownLogin         404   no such login, or not for you: the two are never told apart
    │   │   ├── InvalidCode            not a code of this application: forged, cut short, foreign (never reached the store)
    │   │   ├── NotYours               a genuine code, but another browser, phone or account began or scanned it
    │   │   ├── RecordLost             it began here and is not over, but the store has no record of it (logged as a warning)
    │   │   └── RecordForged           the stored record fails its seal: somebody wrote to the store (logged as an error)
    │   ├── AlreadyScanned       409   another account scanned first
    │   ├── ScannerChanged       409   the browser acknowledged somebody who is no longer the scanner: ask again
    │   ├── AlreadyRedeemed      409   collected before, by another call
    │   ├── WrongState           409   too early or too late for this: redeem before confirm, confirm after release
    │   ├── Denied               409   refused on the phone
    │   ├── Cancelled            409   given up in the browser
    │   ├── Superseded           409   a newer wait for the same login took over
    │   ├── Expired              410   a deadline passed
    │   └── TooFast              429   asked again before its interval was over; says when to
    │       └── TooManyGuesses         this account typed too many codes that lead nowhere
    ├── Unavailable              503   the store did not answer, is full, or holds what only a newer version can read
    │   └── Crowded                    HTTP only: no place is free for another stream
    └── BadRequest               400   HTTP only: the request itself is malformed
        ├── Unauthenticated      401   the phone is not signed in
        ├── Forbidden            403   the request comes from another site
        ├── NoSuchPath           404
        ├── MethodNotAllowed     405   says which methods are
        ├── TooLarge             413
        ├── UnsupportedMediaType 415
        └── UpgradeRequired      426   a websocket is spoken there

Catching a parent is always safe. `str(error)` is for the developer and may say what exactly was wrong; what goes to a client is
`error.wire_code` and `error.wire_text`, which are the same for every `UnknownLogin`, so that a stranger learns nothing.
No message holds a code, a key or a person.
"""

from typing import ClassVar


class QRLoginError(Exception):
    """The base of every error here. `wire_code`, `wire_text` and `http_status` are what a client is told."""

    wire_code: ClassVar[str] = "error"
    wire_text: ClassVar[str] = "The login did not work."
    http_status: ClassVar[int] = 500
    #: Seconds after which it makes sense to ask again; None: asking again does not help.
    retry_after: int | None = None

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.wire_text)


class Misconfigured(QRLoginError, ValueError):
    """A construction or a setting was refused. The message says what to change. No call with a login raises it."""


class BadArgument(QRLoginError, ValueError):
    """The application passed a value that cannot be meant: an empty subject, a context that is too large, a life of an hour."""


class LoginError(QRLoginError):
    """This login cannot do what was asked of it. Others can."""


class UnknownLogin(LoginError):
    """There is no such login, or none that this caller may know of."""

    wire_code = "unknown_login"
    wire_text = "There is no such login. Show a new code."
    http_status = 404


class InvalidCode(UnknownLogin):
    """The text is not one of this application's codes. Found out without asking the store."""


class NotYours(UnknownLogin):
    """The code is genuine, but the login belongs to another browser, or was scanned by another account or by nobody yet."""


class RecordLost(UnknownLogin):
    """The code is genuine and its time is not over, but the store has no record: it restarted without persistence, evicted
    the record, or keeps it in the memory of another process.
    """


class RecordForged(UnknownLogin):
    """The stored record does not carry the seal of the application's key. Nothing in it is believed."""


class AlreadyScanned(LoginError):
    """Another account scanned this code first. The browser can show a new one."""

    wire_code = "already_scanned"
    wire_text = "Somebody else has scanned this code already. Show a new one."
    http_status = 409


class ScannerChanged(LoginError):
    """The browser acknowledged one person and another is the scanner now. Read the status again and ask again."""

    wire_code = "scanner_changed"
    wire_text = "Somebody else has scanned this code since. Look again before you continue."
    http_status = 409


class AlreadyRedeemed(LoginError):
    """The login was collected before, by another call than this one."""

    wire_code = "already_redeemed"
    wire_text = "This login has been used already."
    http_status = 409


class WrongState(LoginError):
    """Not from where the login stands now: it is confirmed before it is redeemed, and scanned again after it was released."""

    wire_code = "wrong_state"
    wire_text = "The login is not at that point."
    http_status = 409


class Denied(LoginError):
    """The person refused on the phone. Final."""

    wire_code = "denied"
    wire_text = "The login was refused on the phone."
    http_status = 409


class Cancelled(LoginError):
    """The browser gave the login up. Final."""

    wire_code = "cancelled"
    wire_text = "The login was cancelled in the browser."
    http_status = 409


class Superseded(LoginError):
    """A newer wait for the same login has taken over in this process. Do not ask again: the newer one is being answered."""

    wire_code = "superseded"
    wire_text = "A newer request is waiting for this login."
    http_status = 409


class Expired(LoginError):
    """A deadline passed: the code's own, the login's, or the time in which an approval can be collected."""

    wire_code = "expired"
    wire_text = "The code has expired. Show a new one."
    http_status = 410


class TooFast(LoginError):
    """The caller asks more often than it was told to. Nothing is lost: ask again after `retry_after` seconds."""

    wire_code = "too_fast"
    wire_text = "Too many requests. Wait a little and ask again."
    http_status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class TooManyGuesses(TooFast):
    """This account typed too many codes that lead nowhere (RFC 8628 section 5.1). Scanning still works.

    `retry_after` is the whole window in which guesses count; it may be over sooner.
    """

    wire_code = "too_many_guesses"
    wire_text = "Too many wrong codes. Wait a while, or scan the code instead."


class Unavailable(QRLoginError):
    """The store could not decide. Whether the call took effect is unknown; the same call again finds out, and does no harm."""

    wire_code = "unavailable"
    wire_text = "The login service is out of reach for a moment. Try again."
    http_status = 503
    retry_after = 1


class Crowded(Unavailable):
    """As many browsers wait here already as may. A status that is not held is answered all the same."""

    wire_code = "crowded"
    wire_text = "Too many are waiting here. Ask without a stream, or try again."
    retry_after = 2


class BadRequest(QRLoginError):
    """The HTTP request is not one of this protocol. Changing nothing, it can be mended and sent again."""

    wire_code = "invalid_request"
    wire_text = "The request is malformed."
    http_status = 400


class Unauthenticated(BadRequest):
    """Nobody is signed in on the phone."""

    wire_code = "unauthenticated"
    wire_text = "Sign in on this phone first."
    http_status = 401


class Forbidden(BadRequest):
    """The request was sent by a page of another site."""

    wire_code = "forbidden"
    wire_text = "This request must come from the site itself."
    http_status = 403


class NoSuchPath(BadRequest):
    """Nothing answers here."""

    wire_code = "not_found"
    wire_text = "There is nothing here."
    http_status = 404


class MethodNotAllowed(BadRequest):
    """The path exists; `allowed` are the methods that it answers."""

    wire_code = "method_not_allowed"
    wire_text = "This path does not answer that method."
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
    """The body is not what the path reads."""

    wire_code = "unsupported_media_type"
    wire_text = "Send JSON, with Content-Type: application/json."
    http_status = 415


class UpgradeRequired(BadRequest):
    """A websocket is spoken here, and the request did not ask for one, or this server has none (RFC 9110 section 15.5.22)."""

    wire_code = "upgrade_required"
    wire_text = "Open this address as a websocket."
    http_status = 426
