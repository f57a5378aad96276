"""What the person on the phone is shown of the browser that asks: its name, its system, its address, and perhaps a place.

A User-Agent is what a browser says of itself, and anybody may say anything. So what comes out is short, printable and without
a sign that could turn or hide text; it is a help for honest people and proves nothing. No header is trusted for the address
unless the application says how.
"""

import logging
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Final, TypeVar

from qrlogin.arguments import check_sync_callback
from qrlogin.errors import Misconfigured
from qrlogin.wire.message import Request

# Bytes of UTF-8. Together with the names they are 200 bytes of JSON: half of a context, the rest is for what a dialect adds.
BROWSER_BYTES: Final = 40
SYSTEM_BYTES: Final = 24
ADDRESS_BYTES: Final = (
    45  # the longest IPv6 address (RFC 4291 section 2.2), with an IPv4 address at its end
)
PLACE_BYTES: Final = 40

_PARSED: Final = 512  # characters of a User-Agent: no browser's is longer, and the time for a hostile one grows with it
_PLAIN: Final = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Mobile Safari": "Safari",
    "Opera Mobile": "Opera",
    "Chrome OS": "ChromeOS",
    "Mac OS X": "macOS",
}
#: Systems and versions that browsers go on naming, whatever they run on, so that the version says nothing. Chromium has frozen
#: all of its systems (chromium.org/updates/ua-reduction), Firefox and Safari theirs on the desktop, and Safari 26 that of iOS.
_FROZEN: Final = re.compile(
    r"(Windows 10|macOS 10\.15|iOS 18\.[67]|ChromeOS .*)\n|Android 10\n.*; K[;)]"
)

T = TypeVar("T")
log = logging.getLogger("qrlogin")


def peer(request: Request) -> str | None:
    """The other end of the connection: the browser, or the last proxy before this server."""
    return request.client


class BrowserContext:
    """A `describe` for `Native` and every dialect: `browser`, `system`, `address` and `place`, as far as they are known.

    `address` says from a request where it came from; by default the peer of its connection, because anybody can write a header.
    `place` says from an address where that is, in a few words, or "". Both answer at once, from memory: they are called in the
    middle of a request. When one raises, that is logged, and the login begins without it. At most 200 bytes come out.

    Raises `Misconfigured` without the extra `context`, and for an awaited callback. The first one in a process takes a fraction
    of a second to make, so make it when the application starts.
    """

    def __init__(
        self,
        *,
        address: Callable[[Request], str | None] = peer,
        place: Callable[[str], str] | None = None,
    ) -> None:
        self._address = check_sync_callback(address)
        self._place = place and check_sync_callback(place)
        self._parse = _parser()

    def __call__(self, request: Request) -> Mapping[str, str]:
        """The context of the login that this request begins."""
        browser, system = self._parse(
            _ascii(" ".join(request.all("user-agent"))[: 4 * _PARSED])[:_PARSED]
        )
        address = _asked("address", self._address, request)
        place = _asked("place", self._place, address) if address and self._place else ""
        shown = {
            "browser": browser,
            "system": system,
            "address": _cut(address, ADDRESS_BYTES),
            "place": _cut(place, PLACE_BYTES),
        }
        return {name: text for name, text in shown.items() if text}


def _asked(what: str, callback: Callable[[T], str | None], argument: T) -> str:
    try:
        told = callback(argument)
    except Exception as error:  # a login is worth more than what is shown beside it; what the error says may name the address
        log.warning(
            "the context's %s could not be told (%s); the login begins without it",
            what,
            type(error).__name__,
        )
        return ""
    return _printable(told) if isinstance(told, str) else ""


@cache
def _parser() -> Callable[[str], tuple[str, str]]:
    """From a User-Agent in ASCII to what browser and system are called; nothing is left to be done at the first request."""
    try:
        from ua_parser import BasicResolver, Domain, load_lazy_builtins

        browsers, systems, _ = (
            load_lazy_builtins()
        )  # devices are two thirds of the work, and not asked for
    except ImportError:
        raise Misconfigured(
            "BrowserContext needs ua-parser: pip install 'qrlogin[context]'"
        ) from None
    resolve = BasicResolver((browsers, systems, []))
    both = Domain.USER_AGENT | Domain.OS
    for agent in (
        "fits nothing",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ):
        resolve(agent, both)  # which compiles every pattern

    @lru_cache(256)
    def parse(agent: str) -> tuple[str, str]:
        found = resolve(agent, both)
        if found.user_agent is None:
            return _cut(agent, BROWSER_BYTES + SYSTEM_BYTES), ""
        browser, system = _named(found.user_agent.family, found.user_agent.major), ""
        if found.os:
            system = _named(found.os.family, found.os.major, found.os.minor)
            if _FROZEN.match(f"{system}\n{agent}"):
                system = system.partition(" ")[0]
        return _cut(browser, BROWSER_BYTES), _cut(system, SYSTEM_BYTES)

    return parse


def _named(family: str, *version: str | None) -> str:
    return " ".join(
        (_PLAIN.get(family, family), ".".join(part for part in version if part))
    ).strip()


def _printable(text: str) -> str:
    """Without signs that turn, hide or break a line, and without those that JSON writes longer than they are."""
    return " ".join(
        "".join(sign if sign.isprintable() and sign not in '"\\' else " " for sign in text).split()
    )


def _ascii(text: str) -> str:
    return _printable("".join(sign if sign.isascii() else " " for sign in text))


def _cut(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore").strip()
