"""What dialects share: no phone routes, the client in a device_code, and the mount's address."""

import re
from typing import Final

from qrlogin.addresses import parse_address
from qrlogin.codes import DeviceCode
from qrlogin.core import Core
from qrlogin.errors import Misconfigured, NoSuchPath
from qrlogin.wire.dialect import Person
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Route

#: Nothing that would have to be escaped between quotes in a script.
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~:/@!$&()*+,;=-]*")


class BrowserOnly:
    """A dialect without phone routes: phones send its codes to the native dialect."""

    phone_routes: tuple[Route, ...] = ()

    def phone(self, request: Request, person: Person | None) -> Response:
        """Raises `NoSuchPath` for every request: this dialect answers browsers only."""
        raise NoSuchPath("phones send this dialect's codes to the native dialect")


def begun_by(dialect: object, client_id: str = "") -> str:
    """`DeviceCode.begun_by` for the logins of a dialect and one of its clients. It is signed, so a
    login can only be redeemed in the dialect in which it was begun.
    """
    return f"{type(dialect).__name__}:{client_id}"


def was_begun_in(dialect: object, device: DeviceCode) -> bool:
    """Whether the login of `device` was begun in this dialect, for any of its clients."""
    return device.begun_by.startswith(begun_by(dialect))  # it ends in a colon


def mount_address(core: Core, at: str) -> str:
    """`at`, the address under which a dialect is mounted, as a browser spells it, without a slash
    at its end.

    Raises `Misconfigured` if it is not a plain address of this site.
    """
    meaning = (
        f"a plain address of {core.origin}, whose cookies browsers send along, "
        f"such as {core.origin}/login"
    )
    address = parse_address(at, "the option at", meaning)
    if address.origin != core.origin or not _PLAIN.fullmatch(address.path):
        raise Misconfigured(f"the option at must be {meaning}")
    return address.origin + address.path
