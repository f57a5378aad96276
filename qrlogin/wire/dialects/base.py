"""What dialects share: a phone door that is closed, the client that is signed into a device_code, the mount's address."""

import re
from typing import Final

from qrlogin.core import Core
from qrlogin.errors import Misconfigured, NoSuchPath
from qrlogin.wire.dialect import Person
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Route

_PLAIN: Final = re.compile(
    r"[A-Za-z0-9._~:/\[\]@!$&()*+,;=-]+"
)  # it may come to stand in a script, between quotes


class BrowserOnly:
    """A dialect without a door for phones: they hand in its codes where they hand in all others, at the native one."""

    phone_routes: tuple[Route, ...] = ()

    def phone(self, request: Request, person: Person | None) -> Response:
        raise NoSuchPath("a phone hands in this dialect's codes where it hands in all others")


def client_id_for(dialect: object, client_id: str = "") -> str:
    """What is signed into the device_codes of a dialect, so that no other collects what was begun and approved by its rules."""
    return f"{type(dialect).__name__}:{client_id}"


def mount_address(core: Core, at: str) -> str:
    """`at`, the address under which a dialect is mounted, without a slash at its end. Raises `Misconfigured`."""
    address = at.rstrip("/")
    if not f"{address}/".startswith(f"{core.origin}/") or not _PLAIN.fullmatch(address):
        raise Misconfigured(
            f"at must be a plain address of {core.origin}, whose cookies browsers send along; no query, no fragment"
        )
    return address
