"""Pages of other origins: which may read answers, and what their preflights are answered (Fetch
standard, section "CORS protocol").

A page of a listed origin may send and read what carries no ambient authority: requests with
`Authorization`, and a begin whose device_code is delivered in the body. Cookies never count for
such a page, so no answer here allows credentials. `validation.py` decides what a request may do,
whether its origin is listed or not: a list of origins only lets browsers send it, and lets a page
read the answer.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from qrlogin.addresses import parse_page_address
from qrlogin.core import Core
from qrlogin.errors import Forbidden, Misconfigured
from qrlogin.wire.dialect import Exchange, HeldStatus
from qrlogin.wire.error_response import NO_STORE, NOSNIFF, SAME_ORIGIN
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Answer, Route
from qrlogin.wire.streams import Stream
from qrlogin.wire.validation import no_body

_ALLOWED_HEADERS: Final = "authorization, content-type, dpop, last-event-id"
_MAX_AGE: Final = "600"  # seconds for which a browser may keep the answer to a preflight
_VARY: Final = ("Vary", "Origin")
_EXPOSED: Final = ("Access-Control-Expose-Headers", "Retry-After")

#: The origin of a page that an application brings along, such as capacitor://localhost.
_APP_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._-]+(:[0-9]{1,5})?", re.ASCII)
#: The origin that an address of the web begins with, in any spelling.
_WEB_ORIGIN: Final = re.compile(
    r"(https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)(?:[/?#].*)?",
    re.ASCII | re.IGNORECASE,
)
#: Schemes whose pages have no origin of their own, or whose addresses no page has.
_NO_ORIGIN: Final = re.compile(r"(file|data|blob|about|wss?|ftp|javascript):.*", re.DOTALL)


class CrossOrigin:
    """The origins that a dialect lists, and the headers that its answers to them have.

    Raises `Misconfigured` for an origin that no browser sends, and for one that any page can have.

    :param core: its origin needs no listing
    :param origins: each as a browser sends it in the header `Origin`
    """

    def __init__(self, core: Core, origins: Sequence[str]) -> None:
        if isinstance(origins, str) or not all(isinstance(origin, str) for origin in origins):
            raise Misconfigured('origins must be a list, such as ["capacitor://localhost"]')
        for origin in origins:
            check_page_origin(core, origin, "origins")
        self._origins = frozenset(origins)

    def lists(self, origin: str) -> bool:
        """Whether this origin is listed."""
        return origin in self._origins

    def preflights(self, routes: Iterable[Route]) -> tuple[Route, ...]:
        """A route for the preflights of each path that pages of other origins may use.

        Empty without a listed origin. A route that any page may use (`cross_site`) and one that
        answers nothing but an upgrade get none.
        """
        if not self._origins:
            return ()
        methods = dict[str, list[str]]()
        for route in routes:
            if route.answers and not route.cross_site:
                methods.setdefault(route.path, []).append(route.method)
        return tuple(
            Route(
                "OPTIONS",
                path,
                f"Whether a page of another origin may send {' or '.join(of_path)} here",
                answers=(Answer(204, "It may, with Authorization and without cookies"),),
            )
            for path, of_path in methods.items()
        )

    def preflight(self, request: Request, route: Route, routes: Iterable[Route]) -> Response:
        """The answer to a preflight. Raises `Forbidden` unless its origin is listed.

        :param request: the preflight
        :param route: its route
        :param routes: the routes of the same path and of others
        """
        no_body(request)
        if self._listed(request) is None:
            raise Forbidden("this origin is not listed: add it to origins=[...], if it is yours")
        methods = [each.method for each in routes if each.path == route.path and each is not route]
        return self.readable(
            request,
            Response(
                204,
                (
                    NO_STORE,
                    NOSNIFF,
                    SAME_ORIGIN,
                    ("Access-Control-Allow-Methods", ", ".join(methods)),
                    ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
                    ("Access-Control-Max-Age", _MAX_AGE),
                ),
            ),
        )

    def readable(self, request: Request, response: Response) -> Response:
        """`response` with the headers that let a page of a listed origin read it."""
        if not self._origins:
            return response
        origin = self._listed(request)
        allowed = (("Access-Control-Allow-Origin", origin), _EXPOSED) if origin else ()
        return response.with_headers(_VARY, *allowed)

    def readable_exchange(self, request: Request, exchange: Exchange[Any]) -> Exchange[Any]:
        """`exchange` with every answer as `readable` makes it."""
        if not self._origins:
            return exchange
        operation, answer = exchange.operation, exchange.answer
        if isinstance(operation, HeldStatus):
            crowded = operation.crowded
            operation = replace(
                operation, crowded=lambda status: self.readable(request, crowded(status))
            )
        elif isinstance(operation, Stream):
            operation = replace(
                operation,
                response=self.readable(request, operation.response),
                finished_response=self.readable(request, operation.finished_response),
            )
        return replace(
            exchange,
            operation=operation,
            answer=lambda result: self.readable(request, answer(result)),
        )

    def _listed(self, request: Request) -> str | None:
        """The origin of the request, if it is listed."""
        sent = request.all("origin")
        return sent[0] if len(sent) == 1 and sent[0] in self._origins else None


def check_page_origin(core: Core, origin: str, option: str) -> None:
    """Raise `Misconfigured` unless a browser sends this origin for pages of one application only.

    Browsers send "null" for files, for sandboxed frames and after some redirects. Any site can make
    such a page, so to list "null" is to list every site.

    :param core: its origin needs no listing
    :param origin: as the application wrote it
    :param option: the name of the option, for the error message
    """
    if origin in ("*", "null") or _NO_ORIGIN.fullmatch(origin):
        raise Misconfigured(
            f"{option} must not contain {origin!r}: pages of any site can have it, or no page has. "
            "Give your page an origin of its own: https, or the scheme of your app. A request with "
            "Authorization is accepted from every origin; the list is for browsers that ask first"
        )
    if not re.match("https?:", origin, re.IGNORECASE):
        if not _APP_ORIGIN.fullmatch(origin):
            raise Misconfigured(
                f"{option} must not contain {origin!r}: write a scheme and a host in the spelling "
                "that browsers send, such as https://app.example.com or capacitor://localhost"
            )
        return
    try:
        found = _WEB_ORIGIN.fullmatch(origin)
        spelled, _, _ = parse_page_address(found[1] if found else "", core.policy.plain_http)
    except Misconfigured:
        raise Misconfigured(
            f"{option} must not contain {origin!r}: write the scheme and the host alone, such as "
            "https://app.example.com; http only for this machine (http://localhost:5173)"
        ) from None
    if origin != spelled:
        raise Misconfigured(
            f"{option} must not contain {origin!r}: write {spelled!r}, as browsers send it"
        )
    if origin == core.origin:
        raise Misconfigured(
            f"{option} must not contain {origin!r}: it is the origin of verification_uri, whose "
            "pages may send everything already"
        )
