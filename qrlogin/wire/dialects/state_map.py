"""One map from the protocol's states to what a dialect calls them: a new dialect writes down its words and nothing else."""

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
    """The words of one dialect. `gone` is one word, whether a login expired, was given up, was redeemed or never was."""

    pending: W
    scanned: W
    confirmed: W
    denied: W
    gone: W
    error: W

    def of(self, seen: Status) -> W:
        """The word for where a login stands."""
        words = {
            State.PENDING: self.pending,
            State.SCANNED: self.scanned,
            State.CONFIRMED: self.confirmed,
            State.DENIED: self.denied,
        }
        return words.get(seen.state, self.gone)

    def of_error(self, error: QRLoginError) -> W | None:
        """The word for a refusal; None when it is not about a login: the request was malformed, too early, or taken over."""
        if isinstance(error, Unavailable):
            return self.error
        if isinstance(error, Superseded | TooFast) or not isinstance(error, LoginError):
            return None
        return {Denied: self.denied, WrongState: self.pending}.get(type(error), self.gone)
