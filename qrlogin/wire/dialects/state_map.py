"""Maps the states of a login to the words of a dialect: a new dialect only lists its words."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from qrlogin.answers import Status
from qrlogin.errors import (
    Denied,
    LoginError,
    QRLoginError,
    Superseded,
    TooFast,
    Unavailable,
    WrongState,
)
from qrlogin.table import State

W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class StateMap(Generic[W]):
    """The words of one dialect: numbers, texts, or both in a tuple."""

    pending: W
    """Not scanned yet, or released."""
    scanned: W
    """Scanned, and not decided yet."""
    confirmed: W
    """Approved, and not redeemed yet."""
    denied: W
    """Denied on the phone. A dialect without a word for it repeats the one of `ended`."""
    ended: W
    """Expired, cancelled, redeemed, unknown, or begun by another browser: one word, so that it
    reveals nothing.
    """
    error: W
    """The store is unavailable: the client may try again."""

    def of(self, status: Status) -> W:
        """The word for the state of a login."""
        words = {
            State.PENDING: self.pending,
            State.SCANNED: self.scanned,
            State.CONFIRMED: self.confirmed,
            State.DENIED: self.denied,
        }
        return words.get(status.state, self.ended)

    def of_error(self, error: QRLoginError) -> W | None:
        """The word for a refusal, or None if the refusal says nothing about a login: the request
        was malformed, came too early, or was replaced by a newer one.
        """
        if isinstance(error, Unavailable):
            return self.error
        if isinstance(error, Superseded | TooFast) or not isinstance(error, LoginError):
            return None
        return {Denied: self.denied, WrongState: self.pending}.get(type(error), self.ended)
