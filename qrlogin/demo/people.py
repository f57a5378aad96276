"""The people of the demo: accounts, the phones on which they are signed in, and browser sessions.

This is the application's part, which qrlogin never takes over: it decides which account a request
belongs to. All of it is in memory and is gone when the demo stops. It knows neither codes nor HTTP.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_SESSIONS: Final = 1000  # the oldest is dropped for the next one


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the demo."""

    subject: str
    """The id that qrlogin gets: it never changes."""
    key: str
    """The name in commands and addresses, such as "alice"."""
    name: str
    """The name on pages."""
    shown_as: str
    """All that a browser learns of the account before the phone's user has approved."""


PEOPLE: Final[Mapping[str, Account]] = {
    account.key: account
    for account in (
        Account("1001", "alice", "Alice", "A•••e"),
        Account("1002", "bob", "Bob", "B•b"),
    )
}
_BY_SUBJECT: Final = {account.subject: account for account in PEOPLE.values()}


class Phones:
    """A phone for each account, known by a bearer token. The tokens are new at every start."""

    def __init__(self) -> None:
        self._tokens = {key: secrets.token_urlsafe(32) for key in PEOPLE}

    def unlock(self, key: str) -> str | None:
        """The token of this account's phone; None for an unknown key. Anyone may have it here."""
        return self._tokens.get(key)

    def owner(self, token: str) -> Account | None:
        """The account whose phone has this token; None for any other token."""
        shown = _digest(token)
        owners = [
            PEOPLE[key]
            for key, held in self._tokens.items()
            if hmac.compare_digest(_digest(held), shown)
        ]
        return owners[0] if owners else None


class Sessions:
    """The application's own sessions: which browser is logged in as whom, by a random id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: dict[str, Account] = {}
        self._of_login: dict[str, str] = {}

    def start(self, login_id: str, subject: str) -> str:
        """The id of this login's session. A repeated redeem of the same login gets the same id."""
        with self._lock:
            session = self._of_login.get(login_id)
            if session is None:
                session = self._of_login[login_id] = secrets.token_urlsafe(32)
                self._accounts[session] = _BY_SUBJECT[subject]
                if len(self._of_login) > MAX_SESSIONS:
                    self._accounts.pop(self._of_login.pop(next(iter(self._of_login))), None)
            return session

    def find(self, session: str) -> Account | None:
        with self._lock:
            return self._accounts.get(session)

    def end(self, session: str) -> None:
        with self._lock:
            self._accounts.pop(session, None)

    def __len__(self) -> int:
        return len(self._accounts)


class RefreshTokens:
    """Tokens with which OAuth clients get new access tokens (RFC 6749 section 6).

    Each belongs to one client and one account, and serves once: its successor replaces it
    (RFC 9700 section 4.14.2).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[str, tuple[str, str]] = {}  # client_id and subject
        self._of_login: dict[str, str] = {}

    def first(self, login_id: str, client_id: str, subject: str) -> str:
        """The first token of a login. A repeated poll of the same login gets the same token."""
        with self._lock:
            if login_id not in self._of_login:
                self._of_login[login_id] = self._draw(client_id, subject)
            return self._of_login[login_id]

    def replace(self, token: str, client_id: str) -> tuple[str, str] | None:
        """The successor of this client's token, and the subject; None for any other token."""
        with self._lock:
            owner, subject = self._owners.get(token, ("", ""))
            if not subject or owner != client_id:
                return None
            del self._owners[token]
            return self._draw(client_id, subject), subject

    def _draw(self, client_id: str, subject: str) -> str:
        token = secrets.token_urlsafe(32)
        self._owners[token] = (client_id, subject)
        if len(self._owners) > MAX_SESSIONS:
            del self._owners[next(iter(self._owners))]
        if len(self._of_login) > MAX_SESSIONS:
            del self._of_login[next(iter(self._of_login))]
        return token


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
