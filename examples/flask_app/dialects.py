"""The other dialects, at the root of the site, where their clients expect them. Nothing else here needs this file.

They are those of `qrlogin demo`, which take any client: say in `DIALECTS` which ones you know before you go public.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from qrlogin import Misconfigured, Redeemed
from qrlogin.core import Core
from qrlogin.demo.dialects import DIALECTS
from qrlogin.errors import NoSuchPath, QRLoginError
from qrlogin.wire import BrowserContext, Dialect, Exchange, Person, Request, Response, Route
from qrlogin.wire.routes import known


def chosen(text: str) -> tuple[str, ...]:
    """The names in QRLOGIN_DIALECTS: several with commas between them, or all. Raises `Misconfigured` for another."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(DIALECTS)
    if unknown := [name for name in names if name not in DIALECTS]:
        raise Misconfigured(f"QRLOGIN_DIALECTS: there is no {unknown[0]!r}; there are {', '.join(DIALECTS)}, and all")
    return tuple(dict.fromkeys(names))


class Several:
    """Several dialects in one place: the first that knows the path answers."""

    phone_routes: tuple[Route, ...] = ()

    def __init__(self, core: Core, names: Sequence[str]) -> None:
        self._all = [DIALECTS[name](core, BrowserContext(), None) for name in names]
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


def tokens(redeemed: Redeemed) -> Mapping[str, object]:
    """What a client of OAuth gets (RFC 6749 section 5.1). Nothing here takes such tokens: issue those of your own service."""
    return {"access_token": secrets.token_urlsafe(32), "token_type": "Bearer", "expires_in": 3600, "openid": redeemed.subject}
