"""Log a browser in by scanning a QR code with a phone that is already signed in.

One login, with a `QRLogin` that both sides share:

    begun = qr.begin()                                # browser: show the QR code
    qr.scan(code, subject="42", shown_as="M•••a")     # phone: read it, and ask its user
    qr.confirm(code, subject="42")                    # phone: the user approves
    seen = qr.wait(begun.device_code)                 # browser: "continue as M•••a?"
    qr.redeem(begun.device_code, acknowledged=seen.scanned_by.tag)

`QRLogin` is for code that blocks; `AsyncQRLogin` has the same methods for asyncio. `MemoryStore` is
for one process. For several, use `qrlogin.stores.RedisStore`, or `qrlogin.stores.open_store` with
an address from your settings.

`help(qrlogin.QRLogin)` shows each call, `qrlogin.__all__` lists the names of this package: what the
calls return (`Begun`, `Status`, `Scanned`, `Redeemed`), `Event`, `Policy` and `Limits`, the errors.

The other public modules load only when you import them:

    qrlogin.contrib         Flask, FastAPI, Django, WSGI and ASGI; metrics, traces, a health check
    qrlogin.stores          stores, and a test suite for your own
    qrlogin.wire            JSON over HTTP for any WSGI or ASGI application
    qrlogin.wire.dialects   the HTTP APIs of other QR logins
    qrlogin.render          QR codes as SVG, PNG or text
    qrlogin.browser         the elements <qr-login> and <qr-approve>, and their texts
    qrlogin.testing         a simulated browser and phone for your own tests
    qrlogin.audit           attacks on a QR login, to find what is missing
    qrlogin.keyfile         a secret key in a file
    qrlogin.errors          every error, as a tree
"""

import typing
from importlib import import_module as _import_module

from qrlogin.absent import absent_name as _absent_name
from qrlogin.answers import Begun, Event, Landing, Redeemed, Scanned, ScannedBy, Status
from qrlogin.errors import (
    AlreadyRedeemed,
    AlreadyScanned,
    BadArgument,
    BadRequest,
    Cancelled,
    Denied,
    Expired,
    InvalidCode,
    LoginError,
    MatchCodeNeeded,
    Misconfigured,
    NotYours,
    QRLoginError,
    RecordForged,
    RecordLost,
    ScannerChanged,
    Superseded,
    TooFast,
    TooManyBegins,
    TooManyGuesses,
    TooManyScans,
    Unavailable,
    UnknownLogin,
    WrongMatchCode,
    WrongState,
)
from qrlogin.limits import Limits
from qrlogin.policy import LAB, STANDARD, STRICT, Policy
from qrlogin.table import State

if typing.TYPE_CHECKING:
    from qrlogin.aio import AsyncQRLogin
    from qrlogin.login import QRLogin
    from qrlogin.stores.memory import AsyncMemoryStore, MemoryStore

__all__ = [
    "LAB",
    "STANDARD",
    "STRICT",
    "AlreadyRedeemed",
    "AlreadyScanned",
    "AsyncMemoryStore",
    "AsyncQRLogin",
    "BadArgument",
    "BadRequest",
    "Begun",
    "Cancelled",
    "Denied",
    "Event",
    "Expired",
    "InvalidCode",
    "Landing",
    "Limits",
    "LoginError",
    "MatchCodeNeeded",
    "MemoryStore",
    "Misconfigured",
    "NotYours",
    "Policy",
    "QRLogin",
    "QRLoginError",
    "RecordForged",
    "RecordLost",
    "Redeemed",
    "Scanned",
    "ScannedBy",
    "ScannerChanged",
    "State",
    "Status",
    "Superseded",
    "TooFast",
    "TooManyBegins",
    "TooManyGuesses",
    "TooManyScans",
    "Unavailable",
    "UnknownLogin",
    "WrongMatchCode",
    "WrongState",
]

#: What loads at its first use, so that code that blocks never loads asyncio, and a program that
#: catches an error of this package loads neither half.
_AT_FIRST_USE: typing.Final = {
    "QRLogin": "qrlogin.login",
    "AsyncQRLogin": "qrlogin.aio",
    "MemoryStore": "qrlogin.stores.memory",
    "AsyncMemoryStore": "qrlogin.stores.memory",
}

if not typing.TYPE_CHECKING:  # a type checker would believe that the package has any name

    def __getattr__(name: str) -> object:
        if module := _AT_FIRST_USE.get(name):
            found = globals()[name] = getattr(_import_module(module), name)
            return found
        room = {
            "RedisStore": "stores",
            "AsyncRedisStore": "stores",
            "SQLStore": "stores",
            "AsyncSQLStore": "stores",
            "open_store": "stores",
            "open_async_store": "stores",
            "Endpoint": "wire",
            "AsyncEndpoint": "wire",
            "Person": "wire",
        }.get(name)
        if room:
            raise _absent_name(f"{name} is in qrlogin.{room}: from qrlogin.{room} import {name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        # Without the classes: `help` prints each one that it finds here, 4 000 lines in all.
        return sorted(name for name in globals() if name not in __all__)
