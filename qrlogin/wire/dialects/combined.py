"""Several dialects in one place, such as the root of a site, where the clients of each expect it."""

from typing import Any

from qrlogin.errors import Misconfigured, QRLoginError
from qrlogin.wire.dialect import Dialect, Exchange
from qrlogin.wire.dialects.base import BrowserOnly
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import handles


class CombinedDialect(BrowserOnly):
    """Several dialects, mounted as if they were one: the first that knows a path answers it.

    Phones hand in the codes of all of them where they hand in all others, at the native dialect, which is mounted by itself.
    Raises `Misconfigured` for that one, for none, and for two of a kind.
    """

    def __init__(self, *dialects: Dialect) -> None:
        if not dialects or any(
            isinstance(each, type) or not hasattr(each, "browser_routes") for each in dialects
        ):
            raise Misconfigured(
                "name at least one dialect, and nothing else: CombinedDialect(WeChat(qr.core))"
            )
        if any(dialect.phone_routes for dialect in dialects):
            raise Misconfigured(
                "several dialects are for browsers: mount the native one by itself, for phones come there"
            )
        if len({type(dialect) for dialect in dialects}) < len(dialects):
            raise Misconfigured(
                "two dialects of a kind share their paths, so only the first would be asked: mount them apart"
            )
        self._dialects = dialects
        self.browser_routes = tuple(
            route for dialect in dialects for route in dialect.browser_routes
        )

    def browser(self, request: Request) -> Exchange[Any] | Response:
        return self._of(request).browser(request)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        return self._of(request).refuse(request, error)

    def _of(self, request: Request) -> Dialect:
        fits = (
            dialect for dialect in self._dialects if handles(dialect.browser_routes, request.path)
        )
        return next(fits, self._dialects[0])  # one that does not know it says so
