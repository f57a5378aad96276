"""What every dialect is: requests in, exchanges out, without I/O and without sync/async colour."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from qrlogin.answers import Status
from qrlogin.arguments import ShownAs
from qrlogin.codes import DeviceCode
from qrlogin.core import Operation
from qrlogin.errors import QRLoginError
from qrlogin.table import State
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Route
from qrlogin.wire.streams import Stream

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in on the phone, by the application's word alone: nothing in a request's body can name them."""

    subject: str = field(repr=False)
    shown_as: ShownAs = field(
        default=..., repr=False
    )  # in "continue as M•••a?"; "" or None for a person without a name
    phone: str = field(default="", repr=False)  # tells several phones of one account apart


@dataclass(frozen=True, slots=True)
class HeldStatus:
    """A status that is held until there is news; the arguments of `QRLogin.wait`."""

    device: DeviceCode = field(repr=False)
    after: int | State | None
    timeout: float
    crowded: Callable[
        [Status], Response
    ]  # the answer when too many are waiting here already: at once, "ask again later"


@dataclass(frozen=True, slots=True)
class Exchange(Generic[T]):
    """What a request asks of the core, and how the answer is spelled."""

    operation: Operation[T] | HeldStatus | Stream
    answer: Callable[[T], Response]


class Dialect(Protocol):
    """One way to spell requests and answers over HTTP. Its methods may raise any `QRLoginError`; `refuse` spells that too."""

    browser_routes: tuple[Route, ...]
    phone_routes: tuple[Route, ...]

    def browser(self, request: Request) -> Exchange[Any] | Response: ...
    def phone(self, request: Request, person: Person | None) -> Exchange[Any] | Response: ...
    def refuse(self, request: Request, error: QRLoginError) -> Response: ...
