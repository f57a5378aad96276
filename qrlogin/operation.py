"""A command, what its reply means, and whom to tell: what the core makes, and what the shells carry to a store and back.

It knows no store, no clock and no sync/async colour, and of a reply only whether it is one to its own command.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from qrlogin.answers import Event
from qrlogin.errors import QRLoginError, Unavailable
from qrlogin.step import Command, Reply, Verdict

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Operation(Generic[T_co]):
    """One command, and what its reply means. Give it to `QRLogin.run`, or do as that does: apply `command` to a store and,
    while `next` has one, carry that out instead; `finish` is the answer.

    Nearly all operations are one command. Typed codes take a few, because a guess is counted and a code may belong to any key.
    """

    command: Command
    interpret: Callable[[Reply], T_co] = field(repr=False)
    then: "Callable[[Reply], Operation[T_co] | None] | None" = field(default=None, repr=False)
    to_event: Callable[[Reply, Any], Event] | None = field(default=None, repr=False)
    _told: dict[int, Event] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )  # by version

    def next(self, reply: Reply) -> "Operation[T_co] | None":
        """What has to be applied before there is an answer; None: `finish` has it. Raises what `finish` does."""
        self._check(reply)
        return self.then(reply) if self.then else None

    def finish(self, reply: Reply) -> T_co:
        """The answer. Raises the `LoginError` that the verdict stands for; `Unavailable` for a reply to another question."""
        self._check(reply)
        return self.interpret(reply)

    def event(self, reply: Reply) -> Event | None:
        """What the application is to be told: that this very command changed the login, and nothing else, once.

        A store that lost the reply and asked again is told "repeated" with the command's own mark: that is the change, too. What
        another call did before, and what `finish` will not believe, is none. However often one operation is carried out, and
        by however many threads, each change is told once. (A scan that comes again after a release is another change.)
        """
        self._check(reply)
        mine = reply.verdict is Verdict.REPEATED and reply.record.get("mark") == reply.mark
        if self.to_event is None or not (mine or reply.verdict is Verdict.APPLIED):
            return None
        try:
            event = self.to_event(reply, self.interpret(reply))
        except QRLoginError:
            return None
        return (
            event if self._told.setdefault(event.version, event) is event else None
        )  # one thread only finds its own

    def _check(self, reply: Reply) -> None:
        if (reply.login_id, reply.mark) != (self.command.login_id, self.command.mark):
            raise Unavailable(
                "the store answered another question; the connection must not be used again"
            )
