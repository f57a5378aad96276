"""What every dialect is: it turns requests into exchanges, without I/O.

The same dialect serves blocking and asyncio code.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from qrlogin.answers import Scanned, Status
from qrlogin.arguments import (
    ShownAs,
    check_assurance,
    check_person,
    check_shown_as,
    clean_account_name,
)
from qrlogin.codes import DeviceCode
from qrlogin.errors import QRLoginError
from qrlogin.names import masked
from qrlogin.news import Known
from qrlogin.operation import Operation
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Route
from qrlogin.wire.streams import Stream

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """The person who is signed in on the phone. Your application says who that is: nothing in a
    request's body can.

    Raises `BadArgument` for values that no login could be approved with: a `subject` that is not a
    text (pass `str(user.id)`), is empty or has more than 255 bytes; a `shown_as` that is not a
    text; a `name` that is not a text; an id of a phone or an `assurance` that is not valid.
    """

    subject: str = field(repr=False)
    """Your id of the account."""
    shown_as: ShownAs = field(default=..., repr=False)
    """How the browser names the person before the approval: "M•••a". It is cleaned, and cut at 200
    bytes. "" or None: it has no name to show. Without it, `name` is masked. One of the two is
    required, unless the policy's `names_scanner` is off."""
    phone: str = field(default="", repr=False)
    """An id of this phone, if you want to distinguish several phones of one account."""
    by_token: bool = False
    """Whether you found this person by the token in `Authorization` alone. A page of another
    origin may then send cookies beside its token, and is not refused because of them."""
    assurance: str = ""
    """What this request proves beyond the phone's session, such as "passkey". If the request
    confirms a login, `Redeemed.assurance` is this text."""
    name: str = field(default="", repr=False, kw_only=True)
    """The account's full, unique name, such as its mail address or username. Once the person has
    approved, the browser's question is "continue as maria@example.com?". "": the question shows
    `shown_as`, which another account may have, too."""

    def __post_init__(self) -> None:
        check_person(self.subject, self.phone)
        check_shown_as(self.shown_as)
        check_assurance(self.assurance)
        if clean_account_name(self.name) and self.shown_as is ...:
            object.__setattr__(self, "shown_as", masked(self.name))


@dataclass(frozen=True, slots=True)
class HeldStatus:
    """A status that is held until there is news: the arguments of `QRLogin.wait`."""

    device: DeviceCode = field(repr=False)
    """The browser's device_code, as `Core.read_device_code` returns it."""
    after: Known
    """What the browser knows: a version or a state. None: the state pending. FROM_NOW: it does not
    say."""
    timeout: float
    """Seconds."""
    crowded: Callable[[Status], Response]
    """The answer when no slot is free. It is sent at once, and says when to ask again."""


@dataclass(frozen=True, slots=True)
class Exchange(Generic[T]):
    """What a request asks of the core, and how the answer is spelled."""

    operation: Operation[T] | HeldStatus | Stream
    """What the endpoint runs, holds or streams."""
    answer: Callable[[T], Response]
    """Makes the response from the result. For a stream, its body is the data of each event."""
    look: Callable[[], Operation[Scanned]] | None = None
    """Returns what the endpoint's judge is asked about: a look at the same login for the same
    person. It is run first, and is `operation` itself if the phone only looks. None: no judge is
    asked."""


class Dialect(Protocol):
    """One way to spell requests and answers over HTTP. All but `refuse` raise `QRLoginError`.

    A dialect that knows where a browser is has one more method, `address_of(request)`, which
    returns its address, or "". Without it, an address may hold any number of requests.

    A dialect that speaks websockets has one more method, `socket(request)`: it returns an exchange
    whose operation is a `Stream`, as `Native.socket` does. `AsyncEndpoint.socket` refuses the
    websockets of a dialect without it.
    """

    browser_routes: tuple[Route, ...]
    phone_routes: tuple[Route, ...]

    def browser(self, request: Request) -> Exchange[Any] | Response:
        """What a browser asks, or a response that needs no login."""
        ...

    def phone(self, request: Request, person: Person | None) -> Exchange[Any] | Response:
        """What the phone of `person` asks (None: no one is signed in), or a response."""
        ...

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """The response that spells `error`."""
        ...
