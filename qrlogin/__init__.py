"""qrlogin: log a browser in by scanning a QR code with a phone."""

from qrlogin.aio import AsyncQRLogin
from qrlogin.answers import Begun, Event, Redeemed, Scanned, ScannedBy, Status
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
    Misconfigured,
    NotYours,
    QRLoginError,
    RecordForged,
    ScannerChanged,
    Superseded,
    TooFast,
    TooManyGuesses,
    Unavailable,
    UnknownLogin,
    WrongState,
)
from qrlogin.login import QRLogin
from qrlogin.policy import LAB, STANDARD, STRICT, Policy
from qrlogin.stores.memory import AsyncMemoryStore, MemoryStore
from qrlogin.table import State

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
    "LoginError",
    "MemoryStore",
    "Misconfigured",
    "NotYours",
    "Policy",
    "QRLogin",
    "QRLoginError",
    "RecordForged",
    "Redeemed",
    "Scanned",
    "ScannedBy",
    "ScannerChanged",
    "State",
    "Status",
    "Superseded",
    "TooFast",
    "TooManyGuesses",
    "Unavailable",
    "UnknownLogin",
    "WrongState",
]
