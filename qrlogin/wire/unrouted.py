"""Says in the log at which mount a path was not found.

A mount that passes on the wrong part of a path answers 404 to everything, and an access log does
not show which mount answered.
"""

import logging
import re
from typing import Final

from qrlogin.errors import NoSuchPath, QRLoginError
from qrlogin.wire.dialect import Dialect
from qrlogin.wire.message import Request
from qrlogin.wire.routes import handles

#: How many warnings one endpoint writes. A wrong mount shows in the first; bots find the others.
_WARNINGS: Final = 8
_MAX_SHOWN: Final = 60  # characters of a path
#: A part of a path that no code looks like: it is shown.
_WORD: Final = re.compile(r"[a-z_.]{1,19}[0-9]{0,2}", re.ASCII)

log: Final = logging.getLogger("qrlogin")


class UnroutedLog:
    """Writes one line for each request below the mounts of one endpoint that has no route there:
    the first ones as warnings, the others at DEBUG. No line holds a code.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect, self._left = dialect, _WARNINGS

    def note(self, error: QRLoginError, request: Request, side: str) -> None:
        """Write the line, if this error is a `NoSuchPath`.

        :param error: why the request was refused.
        :param request: its path is what the mount passed on.
        :param side: of the mount: "browser" or "phone".
        """
        if not isinstance(error, NoSuchPath):
            return
        warn, self._left = self._left > 0, max(self._left - 1, 0)
        level = logging.WARNING if warn else logging.DEBUG
        if log.isEnabledFor(level):
            log.log(
                level,
                "404 at the %s's mount of %s: it has no path %r%s",
                side,
                type(self._dialect).__name__,
                self._shown(request.path),
                self._hint(request.path, side),
            )

    def _hint(self, path: str, side: str) -> str:
        own, other = self._dialect.browser_routes, self._dialect.phone_routes
        if side == "phone":
            own, other = other, own
        if handles(other, path):
            return f", but the {'browser' if side == 'phone' else 'phone'}'s mount has"
        parts = path.split("/")[:8]
        for at in range(1, len(parts)):
            if any(handles(routes, "/".join(parts[at:])) for routes in (own, other)):
                return "; a mount must pass on only what follows its prefix"
        return ""

    def _shown(self, path: str) -> str:
        known = {
            part
            for route in (*self._dialect.browser_routes, *self._dialect.phone_routes)
            for part in route.path.split("/")
            if "{" not in part
        }
        parts = path[: 4 * _MAX_SHOWN].split("/")
        shown = "/".join(
            part if part in known or not part or _WORD.fullmatch(part) else "…" for part in parts
        )
        return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"
