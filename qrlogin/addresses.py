"""The address in a QR code: which one is safe, and which part of a scanned one is a code.

Everything here is a pure function of text. What makes a code genuine is not decided here.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from qrlogin.errors import Misconfigured

MAX_ADDRESS_LENGTH: Final = 2000  # characters of a scanned address
_MAX_PAGE_LENGTH: Final = 200  # characters: a longer text makes a QR code too fine to scan

_PAGE_PATH: Final = re.compile(r"(/[A-Za-z0-9_~!$&'()*+,;=:@.-]+)*")

#: What browsers take for the last part of an IPv4 address.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")

#: How some scanners say that they read a QR code (ISO/IEC 15424).
_SYMBOLOGY: Final = re.compile(r"\]Q[0-9]")
_SCHEME_AND_HOST: Final = re.compile(r"https?://[a-z0-9._:\[\]-]*", re.ASCII | re.IGNORECASE)

#: A code below the address of the page, with nothing around it.
_BELOW_PAGE: Final = re.compile(r"/([A-Za-z0-9_.-]+)")

_USER_CODE: Final = "user_code"
#: The query parameters in which the dialects' addresses carry a code.
_CODE_PARAMETERS: Final = (_USER_CODE, "uuid", "lgToken", "qrcode_key", "k")


# The configured addresses

_PAGE: Final = "the full address of your page, such as https://example.com/qr"
_SITE: Final = "what browsers call this site, without a path, such as https://example.com"


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the application, spelled as a browser spells it."""

    scheme: str
    """http or https."""

    host: str
    """In lower case and ASCII. An IPv6 address is in brackets."""

    port: int | None
    """None: the default port of the scheme."""

    path: str
    """"" or a path that begins with a slash and does not end with one."""

    @property
    def origin(self) -> str:
        """What a browser sends as `Origin` from there."""
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")


def parse_address(text: str, name: str, meaning: str = _PAGE) -> Address:
    """Read an address that the application was configured with.

    Capitals in scheme and host, a default port, a slash at the end and a longer form of an IPv6
    address are respelled as a browser spells them: otherwise the browser's `Origin`, and the
    address that its page reports, would never match. Raises `Misconfigured` for all else that a
    browser would respell.

    :param text: the address.
    :param name: what the text of an error calls it.
    :param meaning: the end of the sentence "{name} must be ...".
    """
    if "\\" in text:
        raise Misconfigured(f"{name} must be written with /: browsers turn a backslash into one")
    try:
        parts = urlsplit(text.rstrip("/"))
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Misconfigured(f"{name} is not an address: {error}") from None
    if not host.isascii():
        raise Misconfigured(
            f"the host of {name} must be in ASCII, as location.origin shows it in a browser: "
            "a name with other letters begins with xn--"
        )
    if parts.scheme not in ("https", "http") or not host or not text.isprintable() or " " in text:
        raise Misconfigured(f"{name} must be {meaning}")
    if parts.query or parts.fragment or parts.username is not None or "?" in text or "#" in text:
        raise Misconfigured(
            f"{name} must have no query, fragment or user: "
            "codes and paths are added to the end of it"
        )
    if not _PAGE_PATH.fullmatch(parts.path) or {".", ".."} & set(parts.path.split("/")):
        raise Misconfigured(
            f"the path of {name} must be ASCII and have no %, no empty part, and no . or .. part, "
            "because browsers would change them"
        )
    default_port = {"https": 443, "http": 80}[parts.scheme]
    return Address(
        parts.scheme,
        _canonical_host(host, name),
        None if port == default_port else port,
        parts.path,
    )


def _canonical_host(host: str, name: str) -> str:
    if host.endswith("."):
        raise Misconfigured(
            f"the host of {name} must not end with a dot: for browsers that is another site"
        )
    try:
        address = ip_address(host)
        is_zoned = "%" in host  # an address of one network card, which browsers refuse
    except ValueError:
        labels = host.split(".")
        if _NUMBER.fullmatch(labels[-1]):
            raise Misconfigured(
                f"the host of {name} must be a name, or an IPv4 address as four numbers without "
                "leading zeros, because browsers would change it"
            ) from None
        if not all(map(_is_label, labels)):
            raise Misconfigured(
                f"the host of {name} must be a name of letters, digits, dots and hyphens, "
                "or an address such as 127.0.0.1 or [::1]"
            ) from None
        return host
    if is_zoned:
        raise Misconfigured(f"the host of {name} must be an address without %")
    return host if address.version == 4 else f"[{_spell_ipv6(int(address))}]"


def _is_label(label: str) -> bool:
    if not _LABEL.fullmatch(label):
        return False
    if not label.startswith("xn--"):
        return True
    try:
        name = label[4:].encode().decode("punycode")
    except UnicodeError:
        return False
    is_written = all(sign == "-" or unicodedata.category(sign)[0] in "LMN" for sign in name)
    return not name.isascii() and is_written and name == unicodedata.normalize("NFC", name.lower())


def _spell_ipv6(number: int) -> str:
    """An IPv6 address as browsers spell it: its first longest run of zeros is `::`.

    `str(IPv6Address)` writes an IPv4 address at the end in newer versions of Python.
    """
    pieces = [f"{number >> shift & 0xFFFF:x}" for shift in range(112, -1, -16)]
    zeros = max(
        re.finditer(r"\b0( 0)+\b", " ".join(pieces)), key=lambda run: len(run[0]), default=None
    )
    spelled = " ".join(pieces)
    if zeros:
        spelled = f"{spelled[: zeros.start()].strip()}::{spelled[zeros.end() :].strip()}"
    return spelled.replace(" ", ":")


def site_origin(address: str, name: str) -> str:
    """The origin of a site, spelled as browsers send it in `Origin`.

    Raises `Misconfigured` for an address with a path, and as `parse_address` does.

    :param address: such as `https://Example.com/`.
    :param name: what the text of an error calls it, such as the name of a setting.
    """
    parsed = parse_address(address, name, _SITE)
    if parsed.path:
        raise Misconfigured(f"{name} must be {_SITE}")
    return parsed.origin


def parse_page_address(uri: str, plain_http: bool) -> tuple[str, str, str]:
    """Return (origin, host, path) of a `verification_uri`, spelled as a browser spells them.

    Raises `Misconfigured` for an address that a QR code should not lead to. `plain_http` allows
    http outside loopback.
    """
    address = parse_address(uri, "verification_uri")
    host = address.host.strip("[]")
    if len(uri) > _MAX_PAGE_LENGTH:
        raise Misconfigured(
            f"verification_uri must be shorter than {_MAX_PAGE_LENGTH} characters, "
            "or the QR code gets too fine to scan"
        )
    if address.scheme == "http" and not plain_http and not is_loopback(host):
        raise Misconfigured(
            f"verification_uri must be https ({host} is not this machine): over http, anyone on "
            "the network path can take the login. Use https, or http://127.0.0.1 for a trial. For "
            "a trial with a real phone in your own network, set plain_http=True in the policy: see "
            '"Try it with a real phone", docs/real-phone.md'
        )
    return address.origin, host, address.path


def is_loopback(host: str) -> bool:
    """Whether this host is always the machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


# A scanned address


@dataclass(frozen=True, slots=True)
class FoundCode:
    """The part of a scanned text that may be a code, and the forms that it may have there.

    A fixed code proves itself, so it may be anywhere. The other forms count only in the
    application's own address: a link of another site must not be read as a login, nor as a guess.
    """

    text: str = field(repr=False)
    """The code, if it is one; "" if the text has none."""

    may_rotate: bool
    """Whether it may be a rotating code."""

    may_be_typed: bool
    """Whether it may be a user_code."""


_NO_CODE: Final = FoundCode("", may_rotate=False, may_be_typed=False)


def code_in_address(scanned: str, page: str) -> FoundCode:
    """Find the code in what a camera read or a user typed: an address, or a code alone.

    `page` is the application's verification_uri. What scanners, browsers and servers add around a
    code or its address is ignored: invisible characters, the prefix of a symbology, one slash,
    percent-encoding, a fragment, and parameters that name no code. The code itself is exact.
    """
    # What the picture holds, read as it is. The rest of this function finds the same in it.
    if scanned.startswith(page) and (plain := _BELOW_PAGE.fullmatch(scanned, len(page))):
        return FoundCode(plain[1], may_rotate=True, may_be_typed=True)
    text = _without_wrapping(scanned)
    if not text.startswith(("https://", "http://")):
        code = _stripped(_decoded(text)).removesuffix("/")
        return FoundCode(_stripped(code), may_rotate=True, may_be_typed=True)
    address, _, query = text.partition("#")[0].partition("?")
    try:
        urlsplit(address)
    except ValueError:  # half a bracket, for example
        return _NO_CODE
    site, slash, below_site = address.partition("//")[2].partition("/")
    site, path = f"{address.partition('//')[0]}//{site}", _without_extra_slash(slash + below_site)
    named = [pair for pair in parse_qsl(query) if pair[0] in _CODE_PARAMETERS]

    below_page = f"{site}{path}".removeprefix(f"{page}/")
    # An address further below the page may be a dialect's, if the page is the root of the site.
    if below_page != site + path and not named and "/" not in below_page:
        return FoundCode(_stripped(below_page), may_rotate=True, may_be_typed=True)

    found = named or [("", path.rpartition("/")[2])]
    if len(found) != 1:  # ambiguous: one reader would take the first, another the last
        return _NO_CODE
    ((name, code),) = found
    in_page_query = name == _USER_CODE and f"{site}{path}".rstrip("/") == page
    return FoundCode(_stripped(code), may_rotate=False, may_be_typed=in_page_query)


def _without_wrapping(text: str) -> str:
    """`text` without what scanners add to it. An address has its scheme and host in lower case."""
    address = _stripped(text)
    if _SYMBOLOGY.match(address):
        address = _stripped(address[3:])
    start = _SCHEME_AND_HOST.match(address)
    return start[0].lower() + address[start.end() :] if start else address


def _without_extra_slash(path: str) -> str:
    """A path, decoded once, without the one slash that servers and websites add to some paths."""
    decoded = _stripped(_decoded(path))
    if "//" in decoded:
        return decoded.replace("//", "/", 1)
    return decoded.removesuffix("/")


def _decoded(text: str) -> str:
    """`text` with its percent-encoding decoded once, or unchanged if a % does not begin any."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _stripped(text: str) -> str:
    """Without the blanks, controls and invisible signs at both ends."""
    if text.isascii() and text.isprintable() and text == text.strip():
        return text  # nearly every text; looking at each sign takes as long as a signature
    shown = [at for at, sign in enumerate(text) if unicodedata.category(sign)[0] not in "ZC"]
    return text[shown[0] : shown[-1] + 1] if shown else ""
