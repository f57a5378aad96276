"""`Operation`: a command, and what its reply means. The core makes operations, the shells run them.

This module knows no store, no clock and no sync/async colour. Of a reply it checks one thing: that
it answers the operation's own command.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from qrlogin.answers import Event
from qrlogin.errors import Unavailable
from qrlogin.step import Command, Reply, Verdict

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Done(Generic[T_co]):
    """The operation is over."""

    result: T_co
    """What the caller of the operation gets."""
    event: Event | None = None
    """The change that its command made, if it made one."""


@dataclass(frozen=True, slots=True)
class Next(Generic[T_co]):
    """Another operation has to be run before there is a result."""

    operation: "Operation[T_co]"
    event: Event | None = None
    """The change that the command before it made, if it made one."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Operation(Generic[T_co]):
    """One command, and what its reply means. Give it to `QRLogin.run`, or run it yourself:

    1. Apply `command` to the store.
    2. Give the reply to `resume`, once. It returns `Done` or `Next`, or raises.
    3. Emit the event of what it returned, if there is one.
    4. `Done` has the result. `Next` has another operation: run it in the same way.

    Nearly every operation is one command. `redeem_by_ticket` and `status_or_redeem` read the login
    first. A begin that has an address and a scan take from an allowance first. A typed code takes a
    few commands: each guess is counted, and any key may have signed the code.

    An operation can be run again after `Unavailable`: it sends the same commands, each with its
    mark, so a store that has applied one already returns the same result. Only the guess of a typed
    scan may be paid and given back a second time, which costs the account nothing, and one more may
    be taken from an allowance that others use at the same time.
    """

    command: Command
    interpret: "Callable[[Reply], T_co | Operation[T_co]]" = field(repr=False)
    """Returns the result, or the operation to run first; raises the error of a refusal."""
    to_event: Callable[[Reply], Event] | None = field(default=None, repr=False)
    """Describes the change that a successful reply reports. None: the command changes no login."""

    def resume(self, reply: Reply, *, with_event: bool = True) -> Done[T_co] | Next[T_co]:
        """Interpret the reply to `command`.

        The event is there if this very command changed the login. A store that lost its reply and
        was asked again answers "repeated" with the command's own mark: that is the same change, so
        an operation that is run again yields its event again. What another call changed, and what
        raises here, yields no event.

        Raises the `LoginError` that the verdict means, and `Unavailable` for a reply to another
        command.

        :param reply: what the store answered.
        :param with_event: False skips the event, for a shell without a listener.
        """
        if (reply.login_id, reply.mark) != (self.command.login_id, self.command.mark):
            raise Unavailable(
                "the store answered another question; the connection must not be used again"
            )
        meaning = self.interpret(reply)
        event = None
        if self.to_event and with_event and _made_a_change(reply):
            event = self.to_event(reply)
        return Next(meaning, event) if isinstance(meaning, Operation) else Done(meaning, event)


def _made_a_change(reply: Reply) -> bool:
    """Whether the command of this reply changed the record, now or when it was first sent."""
    resent = reply.verdict is Verdict.REPEATED and reply.record.get("mark") == reply.mark
    return resent or reply.verdict is Verdict.APPLIED
