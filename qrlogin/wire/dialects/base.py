"""What dialects share: no phone routes, the client in a device_code, and the mount's address."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from qrlogin.addresses import parse_address
from qrlogin.codes import DeviceCode
from qrlogin.core import Core
from qrlogin.errors import Misconfigured, NoSuchPath
from qrlogin.names import clean
from qrlogin.wire.dialect import Person
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Route

#: Nothing that would have to be escaped between quotes in a script.
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~:/@!$&()*+,;=-]*")


#: The facts that a dialect may add to a context: no description may set them.
OWN_FACTS: Final = ("client", "client_id", "scope", "permissions")
#: Bytes of JSON: the fact of a client, at most.
CLIENT_BYTES: Final = 100
_NAME_BYTES: Final = CLIENT_BYTES - 20
#: JSON writes these longer than they are, which would break the limits.
ESCAPED_IN_JSON: Final = {ord('"'): " ", ord("\\"): " "}


def refuse_match_codes(core: Core, dialect: object) -> None:
    """Raise `Misconfigured` if the policy has match codes.

    No client of `dialect` can show one. Its logins would need none, and an attacker would begin
    there.
    """
    if core.policy.match_digits:
        raise Misconfigured(
            f"the clients of {type(dialect).__name__} cannot show a match code, and without it an "
            "attacker would begin there: set match_digits=0 in its policy, or mount only Native"
        )


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


def client_fact(names: Callable[[str], str | None], client_id: str) -> Mapping[str, str]:
    """What the phone shows of the client that begins a login: the name that the application knows
    it by, or nothing. A client_id is never shown, because a request can claim any.
    """
    name = names(client_id) if client_id else None
    if not isinstance(name, str) or not name:
        return {}
    return {"client": clean(name.translate(ESCAPED_IN_JSON), _NAME_BYTES)}


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
