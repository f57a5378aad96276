"""What an auditor writes: five functions that use a QR login as honest people do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from qrlogin.audit.devices import Answer, Browser, Phone, Transport, over_http

Seen = Literal["pending", "scanned", "confirmed", "ended", "refused"]
"""What a poll returns.

"ended": expired, denied, cancelled or used. "refused": the server says nothing to this browser.
A system without a word for "scanned" or "confirmed" returns "pending".
"""

STATES: Final = get_args(Seen)
"""Every word of `Seen`."""


@dataclass(frozen=True, slots=True)
class Login:
    """What anyone may know of a login that a browser began. It holds no secret of the browser."""

    code: str = field(repr=False)
    """The text of the QR code, or the code to type: all that a phone gets."""
    id: str = field(default="", repr=False)
    """What names the login in addresses and bodies of the browser's requests. Default: `code`.

    An address is in logs and in the browser's history, so an attacker may know it.
    """

    def __post_init__(self) -> None:
        if not self.code:
            raise ValueError("begin returned a login without a code: what does the phone scan?")
        object.__setattr__(self, "id", self.id or self.code)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that has been logged in."""

    account: str
    """The account, as it is named in the target's `accounts`."""
    token: str = field(default="", repr=False)
    """What names the session, such as a session cookie. "" if it is not known.

    A server may answer a repeated request with the same session, or end the earlier one (give
    `who`). If `token` is "", two answers count as two sessions.
    """


@dataclass(frozen=True, kw_only=True)
class Target:
    """A QR login to audit: five functions, and what else is known of it.

    The functions do what the login page and the phone do for honest people. They are called with
    devices of honest people and of attackers, from several threads, so they keep what they need on
    the device (`device.keep`) and nowhere else.
    """

    begin: Callable[[Browser], Login]
    """Begins a login as the login page does, and returns it."""
    poll: Callable[[Browser, Login], Seen]
    """Asks once how the login stands, without waiting for news."""
    scan: Callable[[Phone, str], bool]
    """Hands in the code, as the phone does that reads it. Returns whether the server accepts it.

    A system without this step returns True.
    """
    confirm: Callable[[Phone, str], bool]
    """Presses "yes" on the phone. Returns whether the server accepts it."""
    collect: Callable[[Browser, Login], Session | None]
    """Takes the last step in the browser. Returns its session; None if it is not logged in.

    Find out who is logged in by asking the server, as a page would.
    """

    name: str = "this QR login"
    """What the report calls it."""
    origin: str = ""
    """Scheme, host and port of the server, in front of addresses that begin with /."""
    transport: Transport = over_http
    """How devices send requests: over HTTP, or `over_wsgi(app)`."""
    accounts: tuple[str, str] = ("alice", "bob")
    """Two accounts: that of the honest person, and that of an attacker with a phone."""
    sign_in: Callable[[Phone], None] | None = None
    """Signs `phone.account` in on a new phone, once. Default: nothing to do."""
    deny: Callable[[Phone, str], bool] | None = None
    """Presses "no" on the phone. Returns whether the server accepts it."""
    cancel: Callable[[Browser, Login], bool] | None = None
    """Gives the login up in the browser. Returns whether the server accepts it."""
    page: Callable[[Phone, str], Answer] | None = None
    """Opens the page on which the phone's user approves this code."""
    asked_as: Callable[[Browser, Login], str] | None = None
    """The name that the browser shows before it is logged in: "continue as …?"."""
    who: Callable[[Browser], str] | None = None
    """The account that is logged in in this browser; "" if there is none. It asks the server."""
    code_now: Callable[[Browser, Login], str] | None = None
    """The code that is on the screen now, if it changes."""
    rotates_after: int = 0
    """Seconds after which an older code is no longer accepted, once another one is shown."""
    pass_time: Callable[[int], None] | None = None
    """Lets this many seconds pass: moves the server's clock, or sleeps."""
    lifetime: int = 0
    """Seconds after begin in which a login must have ended. 0 if it is not known."""
    private: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """By account: facts that a browser must not learn before it is logged in (id, address, …)."""
    typed: bool = False
    """Whether the code is typed by people, and therefore short."""
    recovers_after: int = 0
    """Seconds after which an account that was refused too often may try again.

    The audit lets them pass before each check, if `pass_time` is given.
    """
    samples: int = 64
    """How many logins are begun to measure how random their ids are: at least 32."""

    def __post_init__(self) -> None:
        if len({*self.accounts}) != 2 or not all(self.accounts):
            raise ValueError("accounts must be two different names")
        if self.samples < 32:
            raise ValueError("samples must be at least 32: fewer show no pattern")
        if bool(self.code_now) != bool(self.rotates_after):
            raise ValueError("code_now and rotates_after belong together")
