"""What an attacker tried and got."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from qrlogin.errors import QRLoginError

T = TypeVar("T")
_KEPT = 20  # failures that a report shows


@dataclass
class Score:
    """The line of one attacker in the table."""

    name: str
    attempts: int = 0
    won: int = 0
    """Logins of other people that the attacker collected, or that a visitor's browser got."""
    accepted: int = 0
    """Forgeries that an answer believed, without a login for the attacker."""
    crashes: int = 0
    """Errors that are not documented, and answers of 500 and above."""
    exceptions: Counter[str] = field(default_factory=Counter)
    """What docs/security/index.md says that a writer wins, by the fields without a seal."""
    reached: Counter[str] = field(default_factory=Counter)
    """How often each status was answered, and how often a login was redeemed."""
    failures: list[str] = field(default_factory=list)
    """What happened in the first cases that must not happen."""

    def ask(self, call: Callable[[], T]) -> T | None:
        """One attempt: the answer of the library, or None if it refuses."""
        self.attempts += 1
        try:
            return call()
        except QRLoginError:
            return None
        except Exception as error:
            self.crashes += 1
            self.note(f"{type(error).__name__} instead of a refusal: {error}")
            return None

    def any(self, calls: Iterable[Callable[[], object]]) -> bool:
        """One attempt each. Whether the library answered one of them."""
        answers = [self.ask(call) for call in calls]
        return any(answer is not None for answer in answers)

    def win(self, what: str) -> None:
        """Counts a login that the attacker got."""
        self.won += 1
        self.note(what)

    def believe(self, what: str) -> None:
        """Counts a forgery that was believed."""
        self.accepted += 1
        self.note(what)

    def note(self, what: str) -> None:
        """Keeps the first failures for the report."""
        if len(self.failures) < _KEPT:
            self.failures.append(what)

    @property
    def clean(self) -> bool:
        """Whether nothing happened that must not happen."""
        return not (self.won or self.accepted or self.crashes)
