"""HTTP without a framework: `Request` in, `Response` out. An adapter is two routes and a screen of code; see examples/."""

from qrlogin.wire.dialect import Dialect, Exchange, Person, Wait
from qrlogin.wire.endpoint import AsyncEndpoint, Endpoint
from qrlogin.wire.message import METHODS, Cookie, Request, Response
from qrlogin.wire.native import Native, describe_browser
from qrlogin.wire.routes import Route

__all__ = [
    "METHODS",
    "AsyncEndpoint",
    "Cookie",
    "Dialect",
    "Endpoint",
    "Exchange",
    "Native",
    "Person",
    "Request",
    "Response",
    "Route",
    "Wait",
    "describe_browser",
]
