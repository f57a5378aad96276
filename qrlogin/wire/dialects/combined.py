"""Several dialects in one place, such as the root of a site, where their clients expect them."""

from typing import Any

from qrlogin.errors import Misconfigured, QRLoginError
from qrlogin.wire.dialect import Dialect, Exchange
from qrlogin.wire.dialects.base import BrowserOnly
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Route, handles


class CombinedDialect(BrowserOnly):
    """Several dialects, mounted as if they were one. The first with a route for a path answers it.

    Phones send the codes of all of them to the native dialect, which is mounted separately.

    :param dialects: one or more, of different classes; `Native` is mounted by itself

    Raises `Misconfigured` for anything else.
    """

    def __init__(self, *dialects: Dialect) -> None:
        if not dialects or any(
            isinstance(one, type) or not hasattr(one, "browser_routes") for one in dialects
        ):
            raise Misconfigured(
                "give CombinedDialect at least one dialect, and nothing else: "
                "CombinedDialect(WeChat(qr.core))"
            )
        if any(dialect.phone_routes for dialect in dialects):
            raise Misconfigured(
                "a CombinedDialect has no phone routes: mount the native dialect by itself"
            )
        if len({type(dialect) for dialect in dialects}) < len(dialects):
            raise Misconfigured(
                "two dialects of a kind have the same paths, so the second would never be "
                "reached: mount them separately"
            )
        self._dialects = dialects
        self.browser_routes: tuple[Route, ...] = tuple(
            route for dialect in dialects for route in dialect.browser_routes
        )

    def browser(self, request: Request) -> Exchange[Any] | Response:
        """What the dialect with a route for the path returns. Raises what that dialect raises, and
        `NoSuchPath` if no dialect has such a route.
        """
        return self._of(request).browser(request)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """The response of the dialect that has a route for the path. For an unknown path, the first
        dialect answers.
        """
        return self._of(request).refuse(request, error)

    def address_of(self, request: Request) -> str:
        """What the dialect with a route for the path returns; "" if that dialect does not say."""
        find = getattr(self._of(request), "address_of", None)
        return find(request) if find else ""

    def _of(self, request: Request) -> Dialect:
        fits = (
            dialect for dialect in self._dialects if handles(dialect.browser_routes, request.path)
        )
        return next(fits, self._dialects[0])  # for an unknown path, the first one raises NoSuchPath
