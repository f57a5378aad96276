"""The other dialects, at the root of the site, where their clients expect them. Nothing else here needs this file.

They are those of `qrlogin demo`, which take any client: say in `DIALECTS` which ones you know before you go public.
"""

from typing import Any

from django.conf import settings
from qrlogin_django.live import patterns

from qrlogin.core import Core
from qrlogin.demo.dialects import DIALECTS
from qrlogin.errors import NoSuchPath, QRLoginError
from qrlogin.wire import BrowserContext, Dialect, Exchange, Person, Request, Response, Route
from qrlogin.wire.routes import known


class Several:
    """Several dialects in one place: the first that knows the path answers."""

    phone_routes: tuple[Route, ...] = ()

    def __init__(self, core: Core) -> None:
        self._all = [DIALECTS[name](core, BrowserContext(), None) for name in settings.DIALECTS]
        self.browser_routes = tuple(route for dialect in self._all for route in dialect.browser_routes)

    def _of(self, request: Request) -> Dialect:
        fits = (dialect for dialect in self._all if known(dialect.browser_routes, request.path))
        return next(fits, self._all[0])  # one that does not know it says so

    def browser(self, request: Request) -> Exchange[Any] | Response:
        return self._of(request).browser(request)

    def phone(self, request: Request, person: Person | None) -> Response:
        raise NoSuchPath("phones hand in all codes at /qrlogin/phone/")

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        return self._of(request).refuse(request, error)


urlpatterns = patterns(Several)
