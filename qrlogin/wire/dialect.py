"""What every dialect is: requests in, exchanges out, without I/O and without sync/async colour."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any, Final, Generic, Protocol, TypeVar

from qrlogin.answers import Status
from qrlogin.arguments import ShownAs
from qrlogin.core import Core, Operation
from qrlogin.errors import Misconfigured, NoSuchPath, QRLoginError
from qrlogin.table import State
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Route
from qrlogin.wire.streams import Stream

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., object])
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~:/\[\]@!$&()*+,;=-]+")  # it may come to stand in a script, between quotes


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in on the phone, by the application's word alone: nothing in a request's body can name them."""

    subject: str = field(repr=False)
    shown_as: ShownAs = field(default=..., repr=False)  # in "continue as M•••a?"; "" or None for a person without a name
    phone: str = field(default="", repr=False)  # tells several phones of one account apart


@dataclass(frozen=True, slots=True)
class Wait:
    """A status that is held until there is news; the arguments of `QRLogin.wait`."""

    device_code: str = field(repr=False)
    after: int | State | None
    timeout: float
    crowded: Callable[[Status], Response]  # the answer when too many are waiting here already: at once, "ask again later"


@dataclass(frozen=True, slots=True)
class Exchange(Generic[T]):
    """What a request asks of the core, and how the answer is spelled."""

    operation: Operation[T] | Wait | Stream
    answer: Callable[[T], Response]


class Dialect(Protocol):
    """One way to spell requests and answers over HTTP. Its methods may raise any `QRLoginError`; `refuse` spells that too."""

    browser_routes: tuple[Route, ...]
    phone_routes: tuple[Route, ...]

    def browser(self, request: Request) -> Exchange[Any] | Response: ...
    def phone(self, request: Request, person: Person | None) -> Exchange[Any] | Response: ...
    def refuse(self, request: Request, error: QRLoginError) -> Response: ...


class BrowserOnly:
    """A dialect without a door for phones: they hand in its codes where they hand in all others, at the native one."""

    phone_routes: tuple[Route, ...] = ()

    def phone(self, request: Request, person: Person | None) -> Response:
        raise NoSuchPath("a phone hands in this dialect's codes where it hands in all others")


def answers_at_once(callback: C) -> C:
    """A callback of the application that must not be awaited: a coroutine would count as yes. Raises `Misconfigured`."""
    if iscoroutinefunction(callback):
        raise Misconfigured("this callback is awaited, but a dialect has no event loop: give a function that answers from memory")
    return callback


def client_of(dialect: object, client_id: str = "") -> str:
    """What is signed into the device_codes of a dialect, so that no other collects what was begun and approved by its rules."""
    return f"{type(dialect).__name__}:{client_id}"


def mounted_at(core: Core, at: str) -> str:
    """`at`, the address under which a dialect is mounted, without a slash at its end. Raises `Misconfigured`."""
    address = at.rstrip("/")
    if not f"{address}/".startswith(f"{core.origin}/") or not _PLAIN.fullmatch(address):
        raise Misconfigured(
            f"at must be a plain address of {core.origin}, whose cookies browsers send along; no query, no fragment"
        )
    return address
