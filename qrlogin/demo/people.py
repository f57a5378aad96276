"""Who uses the demo: its people, the phones on which they are signed in, and the sessions of browsers they logged in.

This is the application's half, which qrlogin never takes over: here it is decided who somebody is. All of it lives in memory
and is gone when the demo ends. It knows no code and no HTTP.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MOST: Final = 1000  # sessions at a time; the oldest make room


@dataclass(frozen=True, slots=True)
class Account:
    """One of the demo's people. `shown_as` is all that a browser learns of them before it is logged in."""

    subject: str
    key: str  # what they are called in commands
    name: str
    shown_as: str


PEOPLE: Final[Mapping[str, Account]] = {
    who.key: who
    for who in (Account("1001", "alice", "Alice", "A•••e"), Account("1002", "bob", "Bob", "B•b"))
}
_BY_SUBJECT: Final = {account.subject: account for account in PEOPLE.values()}


class Phones:
    """The phones of these people: whoever shows a phone's token is its owner. Tokens are drawn anew at every start."""

    def __init__(self) -> None:
        self._tokens = {name: secrets.token_urlsafe(32) for name in PEOPLE}

    def unlock(self, name: str) -> str | None:
        """The token of somebody's phone; None if there is nobody of that name. In the demo everybody holds every phone."""
        return self._tokens.get(name)

    def owner(self, token: str) -> Account | None:
        """Whose phone shows this token."""
        shown = _digest(token)
        owners = [
            PEOPLE[name]
            for name, held in self._tokens.items()
            if hmac.compare_digest(_digest(held), shown)
        ]
        return owners[0] if owners else None


class Sessions:
    """Which browser is logged in as whom: the application's own sessions, by a random id in a cookie."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._people: dict[str, Account] = {}
        self._of_login: dict[str, str] = {}

    def start(self, login_id: str, subject: str) -> str:
        """The id of this login's session: a new one, and the same one when the answer has to be given again."""
        with self._lock:
            session = self._of_login.get(login_id)
            if session is None:
                session = self._of_login[login_id] = secrets.token_urlsafe(32)
                self._people[session] = _BY_SUBJECT[subject]
                if len(self._of_login) > MOST:
                    self._people.pop(self._of_login.pop(next(iter(self._of_login))), None)
            return session

    def find(self, session: str) -> Account | None:
        with self._lock:
            return self._people.get(session)

    def end(self, session: str) -> None:
        with self._lock:
            self._people.pop(session, None)

    def __len__(self) -> int:
        return len(self._people)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
