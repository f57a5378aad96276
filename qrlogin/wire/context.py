"""What the phone shows of the browser that asks: its name, its system, its address, and a place.

A client may send any User-Agent. So what comes out is short and printable, and has no character
that could turn or hide text. It helps honest people and proves nothing. No header is trusted for
the address unless the application says how.
"""

import logging
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Final, TypeVar

from qrlogin.arguments import check_sync_callback
from qrlogin.errors import Misconfigured
from qrlogin.names import clean
from qrlogin.wire.message import Request

# Bytes of UTF-8. With the keys they are 200 bytes of JSON: half of a context. The other half is for
# what a dialect adds.
BROWSER_BYTES: Final = 40
SYSTEM_BYTES: Final = 24
#: The longest IPv6 address, with an IPv4 address at its end (RFC 4291 section 2.2).
ADDRESS_BYTES: Final = 45
PLACE_BYTES: Final = 40

#: How many characters of a User-Agent are parsed. No browser sends more, and each costs time.
_PARSED_CHARACTERS: Final = 512
_SHORT_NAMES: Final = {
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
#: Versions of systems that browsers send whatever they run on, so they mean nothing. Chromium has
#: frozen all systems (chromium.org/updates/ua-reduction), Firefox and Safari those of desktops, and
#: Safari 26 that of iOS.
_FROZEN: Final = re.compile(
    r"(Windows 10|macOS 10\.15|iOS 18\.[67]|ChromeOS .*)\n|Android 10\n.*; K[;)]"
)

#: JSON writes these longer than they are, which would break the limits above.
_ESCAPED_IN_JSON: Final = {ord('"'): " ", ord("\\"): " "}

T = TypeVar("T")
log = logging.getLogger("qrlogin")


def peer(request: Request) -> str | None:
    """The address of the other end of the connection: the browser, or the nearest proxy."""
    return request.client


class BrowserContext:
    """A `describe` for `Native` and every dialect.

    It returns `browser`, `system`, `address` and `place`, as far as they are known: at most 200
    bytes. The two callbacks are called in the middle of a request, so they must answer at once,
    from memory. If one raises, that is logged, and the login begins without its value.

    Raises `Misconfigured` without the extra `context`, and for an async callback. The first
    instance in a process takes a fraction of a second to make: make it when the application starts.

    :param address: Returns the address that a request came from. By default it is the peer of the
        connection, because any client can send any header.
    :param place: Returns where an address is, in a few words, or "".
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
        agent = " ".join(request.all("user-agent"))[: 4 * _PARSED_CHARACTERS]
        browser, system = self._parse(_ascii(agent)[:_PARSED_CHARACTERS])
        address = _printable(_call("address", self._address, request))
        place = ""
        if address and self._place:
            answered = _call("place", self._place, address)
            place = clean(answered.translate(_ESCAPED_IN_JSON), PLACE_BYTES)
        shown = {
            "browser": browser,
            "system": system,
            "address": clean(address, ADDRESS_BYTES),
            "place": place,
        }
        return {name: text for name, text in shown.items() if text}


def _call(name: str, callback: Callable[[T], str | None], argument: T) -> str:
    try:
        text = callback(argument)
    except Exception as error:  # a login is worth more than what is shown of it
        # Only the type of the error is logged: its text may hold the address.
        log.warning(
            "the callback for the context's %s raised %s; the login begins without it",
            name,
            type(error).__name__,
        )
        return ""
    return text if isinstance(text, str) else ""


@cache
def _parser() -> Callable[[str], tuple[str, str]]:
    """A function from a User-Agent in ASCII to the names of its browser and system.

    Everything is loaded and compiled here, so that the first request does not have to wait for it.
    """
    try:
        from ua_parser import BasicResolver, Domain, load_lazy_builtins

        # Devices are left out: they are two thirds of the work.
        browsers, systems, _ = load_lazy_builtins()
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
        resolve(agent, both)  # compiles every pattern

    @lru_cache(256)
    def parse(agent: str) -> tuple[str, str]:
        found = resolve(agent, both)
        if found.user_agent is None:
            return clean(agent, BROWSER_BYTES + SYSTEM_BYTES), ""
        browser, system = _named(found.user_agent.family, found.user_agent.major), ""
        if found.os:
            system = _named(found.os.family, found.os.major, found.os.minor)
            if _FROZEN.match(f"{system}\n{agent}"):
                system = system.partition(" ")[0]
        return clean(browser, BROWSER_BYTES), clean(system, SYSTEM_BYTES)

    return parse


def _named(family: str, *version: str | None) -> str:
    return " ".join(
        (_SHORT_NAMES.get(family, family), ".".join(part for part in version if part))
    ).strip()


def _printable(text: str) -> str:
    """A blank in place of each character that turns, hides or breaks text, or that JSON escapes."""
    plain = text.translate(_ESCAPED_IN_JSON)
    return " ".join("".join(sign if sign.isprintable() else " " for sign in plain).split())


def _ascii(text: str) -> str:
    return _printable("".join(sign if sign.isascii() else " " for sign in text))
