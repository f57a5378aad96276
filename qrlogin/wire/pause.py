"""The pause: a function of the application that says whether no new login may begin now.

    paused() -> bool

An endpoint asks it before each begin, whatever dialect the begin is spelled in. Logins that have
begun already go on to their end. This module knows operations and no endpoint.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from qrlogin.errors import Paused
from qrlogin.operation import Operation

Pause: TypeAlias = Callable[[], bool | Awaitable[bool]]
"""A function that returns whether no new login may begin now."""

PAUSE_CALL: Final = "paused()"


def begins(operation: Operation[Any]) -> bool:
    """Whether it begins a login. Its first command may be one that takes from an allowance or that
    reserves a typed code, and that command names the beginner, too.
    """
    return operation.command.beginner is not None


def refuse_if(is_paused: object) -> None:
    """Raise `Paused` if the function returned this."""
    if is_paused:
        raise Paused
