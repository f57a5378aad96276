"""What the phone shows of the browser that asks: its name, its system, its address, and a place.

A client may send any User-Agent. So it is read and never shown: what comes out are names that this
library or its extra knows, and never a word of the User-Agent. They help honest people and prove
nothing. No header is trusted for the address unless the application says how.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final, TypeVar

from qrlogin.arguments import check_callback
from qrlogin.errors import Misconfigured
from qrlogin.names import clean
from qrlogin.wire.agent_patterns import needed_texts
from qrlogin.wire.message import Request
from qrlogin.wire.user_agents import read_user_agent

# Bytes of UTF-8. With the keys they are 200 bytes of JSON. The rest of a context is for what a
# dialect adds.
BROWSER_BYTES: Final = 40
SYSTEM_BYTES: Final = 24
PLACE_BYTES: Final = 40

#: How many characters of a User-Agent are parsed. No name comes later, and each costs time.
_PARSED_CHARACTERS: Final = 320
#: How many different User-Agents are remembered with their names: 150 KB at most.
_REMEMBERED: Final = 256
#: How many different addresses are remembered as they were read, and how many characters such a
#: text has at most: 300 KB in all.
_ADDRESSES: Final = 1024
_SHORT_ADDRESS: Final = 45
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
#: Addresses inside a network (RFC 1918, 6598 and 4193): of a proxy, more often than of a browser.
_INSIDE: Final = tuple(
    ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)

#: The first group of a pattern of the extra, if it is a choice of plain names.
_CHOICE: Final = re.compile(
    r"(?:\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?=\?)|[^\\\[(])*?"
    r"\(((?:[A-Za-z0-9 _!/&'|-]|\\[./+ -])*)\)"
)

#: How patterns of the extra begin that look for something anywhere. Python's `search` does so by
#: itself, and with this before it, it looks through the whole text at each of its characters.
_SEARCHED: Final = "^.{0,200}"

#: The texts of which a User-Agent needs one to fit, and what finds something with a `family` in it.
_Pattern = tuple[tuple[str, ...], Callable[[str], Any]]

#: JSON writes these longer than they are, which would break the limits above.
_ESCAPED_IN_JSON: Final = {ord('"'): " ", ord("\\"): " "}

T = TypeVar("T")
log: Final = logging.getLogger("qrlogin")


def _remember_short(read: Callable[[str], T]) -> Callable[[str], T]:
    """`read`, which remembers its last answers about addresses: a browser that waits asks again and
    again. A longer text has a zone, of any length, or is no address, and is not remembered.
    """
    remembering = lru_cache(_ADDRESSES)(read)
    return lambda text: remembering(text) if len(text) <= _SHORT_ADDRESS else read(text)


def public_peer(request: Request) -> str | None:
    """The address of the other end of the connection, if it is one of the internet.

    None for a loopback, private or link-local address. It is usually that of a proxy in front of
    the server, and would be the same for every browser.
    """
    return _public_address(request.client or "")


@_remember_short
def _public_address(text: str) -> str | None:
    """The address that `text` is, in the usual spelling, if it is one of the internet."""
    address = _parsed_address(text)
    if (
        address is None  # there is none, or the server has a socket of another kind
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or any(address in network for network in _INSIDE)
    ):
        return None
    return str(address)


class BrowserContext:
    """The default `describe` of every dialect, and with options of your own.

    It returns `browser`, `system`, `address` and `place`, as far as they are known: at most 200
    bytes. The names are without versions, such as "Firefox" and "Windows". The extra `context`
    knows many more of them than the reader that is built in. A browser that neither of them knows
    has no name. The two callbacks are called in the middle of a request, so they must answer at
    once, from memory. If one raises, that is logged, and the login begins without its value.

    Raises `Misconfigured` for an async callback, and for an impossible number of proxies. With the
    extra, the first instance in a process takes a fraction of a second to make: make it when the
    application starts.

    :param address: Returns the IP address that a request came from. By default it is the peer of
        the connection, because any client can send any header, and none if the peer is loopback or
        in a private network: then it is most likely a proxy. What is no IP address is not shown.
    :param proxies: How many proxies of yours a request passes on its way from the internet. Each
        appends to `X-Forwarded-For` the address that it saw, and the browser's is what the
        outermost one saw. It takes the place of `address`. 0: the peer of the connection.
    :param place: Returns where an address is, in a few words, or "".
    """

    def __init__(
        self,
        *,
        address: Callable[[Request], str | None] = public_peer,
        proxies: int = 0,
        place: Callable[[str], str] | None = None,
    ) -> None:
        if proxies and address is not public_peer:
            raise Misconfigured("give BrowserContext proxies= or address=, not both")
        self._address = check_callback(
            _forwarded(proxies) if proxies else address, "address(request)"
        )
        self._place = place and check_callback(place, "place(address)")
        self._parse = _parser()

    def address_of(self, request: Request) -> str:
        """The address that this request came from, as the context has it; "" if it is not known."""
        return _ip_address(_call("address", self._address, request))

    def __call__(self, request: Request) -> Mapping[str, str]:
        """The context of the login that this request begins."""
        agent = " ".join(request.all("user-agent"))[: 4 * _PARSED_CHARACTERS]
        browser, system = self._parse(_ascii(agent)[:_PARSED_CHARACTERS])
        address = self.address_of(request)
        place = ""
        if address and self._place:
            answered = _call("place", self._place, address)
            place = clean(answered.translate(_ESCAPED_IN_JSON), PLACE_BYTES)
        shown = {
            "browser": browser,
            "system": system,
            "address": address,
            "place": place,
        }
        return {name: text for name, text in shown.items() if text}


def _forwarded(proxies: int) -> Callable[[Request], str | None]:
    """A function that returns what the outermost of so many proxies saw; None for a request that
    did not pass all of them.
    """
    if not isinstance(proxies, int) or isinstance(proxies, bool) or proxies < 0:
        raise Misconfigured("proxies must be the number of your proxies: 0, 1 or a few more")

    def address(request: Request) -> str | None:
        seen = [each for line in request.all("x-forwarded-for") for each in line.split(",")]
        return _without_port(seen[-proxies].strip()) if len(seen) >= proxies else None

    return address


def _without_port(entry: str) -> str:
    """The address in an entry of `X-Forwarded-For`, to which some proxies add the port."""
    found = re.fullmatch(r"\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+", entry)
    return (found[1] or found[2]) if found else entry


def address_of(describe: Callable[[Request], Mapping[str, str]], request: Request) -> str:
    """The address that this request came from; "" if it is not known.

    :param describe: what a dialect describes browsers with: a `BrowserContext`, or a function whose
        context has an `address`.
    :param request: the request of a browser.
    """
    if isinstance(describe, BrowserContext):
        return describe.address_of(request)
    try:
        address = describe(request).get("address", "")
    except Exception as error:  # a request that waits is worth more than its limit
        log.warning("describe raised %s; no limit counts this request", type(error).__name__)
        return ""
    return address if isinstance(address, str) else ""


def describe_browser(request: Request) -> Mapping[str, str]:
    """The context of the login that this request begins, as `BrowserContext()` returns it."""
    return _default()(request)


@cache
def _default() -> BrowserContext:
    return BrowserContext()


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
        from ua_parser import load_lazy_builtins

        # Devices are left out: they are two thirds of the work.
        browsers, systems, _ = load_lazy_builtins()
    except ImportError:
        return read_user_agent
    known_browsers, known_systems = _known_names(browsers), _known_names(systems)
    browser_patterns, system_patterns = _patterns(browsers), _patterns(systems)
    for patterns in (browser_patterns, system_patterns):
        _first(patterns, "X11; Linux x86_64; Firefox/140.0")  # compiles what a find needs

    @lru_cache(_REMEMBERED)
    def parse(agent: str) -> tuple[str, str]:
        browser, system = _first(browser_patterns, agent), _first(system_patterns, agent)
        if browser not in known_browsers:
            browser = read_user_agent(agent)[0]
        if system not in known_systems:
            system = read_user_agent(agent)[1]
        return (
            clean(_SHORT_NAMES.get(browser, browser), BROWSER_BYTES),
            clean(_SHORT_NAMES.get(system, system), SYSTEM_BYTES),
        )

    return parse


def _patterns(matchers: Iterable[Any]) -> list[_Pattern]:
    """The patterns of the extra, compiled, without those that would take the longest."""
    patterns = []
    for matcher in matchers:
        copies = "$" in matcher.family
        if copies and matcher.regex.startswith(_SEARCHED) and not _CHOICE.match(matcher.regex):
            continue  # it copies any robot's name, which is never shown
        find = matcher if copies else _named(matcher.regex.removeprefix(_SEARCHED[1:]), matcher)
        find("")  # compiles it
        patterns.append((needed_texts(matcher.regex), find))
    return patterns


def _named(regex: str, matcher: Any) -> Callable[[str], Any]:
    search = re.compile(regex).search
    return lambda agent: matcher if search(agent) else None


def _first(patterns: Iterable[_Pattern], agent: str) -> str:
    """The name that the first pattern finds which fits; "" if none fits."""
    lower = agent.lower()
    for texts, find in patterns:
        for text in texts:
            if text in lower:
                if found := find(agent):
                    return str(found.family)
                break
    return ""


def _known_names(matchers: Iterable[Any]) -> frozenset[str]:
    """The names that the extra writes itself.

    Some of its patterns copy a name from the User-Agent: `^(.{0,200})-iPad/` would copy a sentence.
    What such a pattern copies is in this set only if the pattern lists what it may be.
    """
    names = set[str]()
    for matcher in matchers:
        if "$" not in matcher.family:
            names.add(matcher.family)
        elif listed := _CHOICE.match(matcher.regex):
            choice = re.sub(r"\\(.)", r"\1", listed[1]).split("|")
            names |= {matcher.family.replace("$1", name) for name in choice if name}
    return frozenset(names)


def _ip_address(text: str) -> str:
    """`text` if it is an IP address, in the usual spelling; "" for any other text."""
    # A zone is a name, which a client could choose.
    return str(_parsed_address(text.strip()) or "").partition("%")[0]


@_remember_short
def _parsed_address(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address that `text` is, or None. An IPv4 address mapped to IPv6 is an IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _printable(text: str) -> str:
    """A blank in place of each character that turns, hides or breaks text, or that JSON escapes."""
    plain = text.translate(_ESCAPED_IN_JSON)
    return " ".join("".join(sign if sign.isprintable() else " " for sign in plain).split())


def _ascii(text: str) -> str:
    return _printable("".join(sign if sign.isascii() else " " for sign in text))
