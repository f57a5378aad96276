"""The address in a QR code: which one is safe, and which part of a scanned one is a code.

Everything here is a pure function of text. What makes a code genuine is not decided here.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from qrlogin.errors import Misconfigured

MAX_ADDRESS_LENGTH: Final = 2000  # characters of a scanned address
_MAX_PAGE_LENGTH: Final = 200  # characters: a longer text makes a QR code too fine to scan

_PAGE_PATH: Final = re.compile(r"(/[A-Za-z0-9_~!$&'()*+,;=:@.-]+)*")

#: How some scanners say that they read a QR code (ISO/IEC 15424).
_SYMBOLOGY: Final = re.compile(r"\]Q[0-9]")
_SCHEME_AND_HOST: Final = re.compile(r"https?://[a-z0-9.:\[\]-]*", re.ASCII | re.IGNORECASE)

_USER_CODE: Final = "user_code"
#: The query parameters in which the dialects' addresses carry a code.
_CODE_PARAMETERS: Final = (_USER_CODE, "uuid", "lgToken", "qrcode_key", "k")


# The configured address


def parse_page_address(uri: str, plain_http: bool) -> tuple[str, str, str]:
    """Return (origin, host, path) of a `verification_uri`, spelled as a browser spells them.

    Raises `Misconfigured` for an address that a QR code should not lead to. `plain_http` allows
    http outside loopback.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Misconfigured(f"verification_uri is not an address: {error}") from None
    is_plain_text = uri.isascii() and uri.isprintable() and " " not in uri
    if parts.scheme not in ("https", "http") or not host or not is_plain_text:
        raise Misconfigured(
            "verification_uri must be the full address of your page, such as https://example.com/qr"
        )
    if parts.query or parts.fragment or parts.username is not None or "?" in uri or "#" in uri:
        raise Misconfigured(
            "verification_uri must have no query, fragment or user: "
            "the scan code is added as the last part of its path"
        )
    if not _PAGE_PATH.fullmatch(parts.path) or {".", ".."} & set(parts.path.split("/")):
        raise Misconfigured(
            "the path of verification_uri must have no %, no empty part, and no . or .. part, "
            "because browsers would change them"
        )
    if len(uri) > _MAX_PAGE_LENGTH:
        raise Misconfigured(
            f"verification_uri must be shorter than {_MAX_PAGE_LENGTH} characters, "
            "or the QR code gets too fine to scan"
        )
    if parts.scheme == "http" and not plain_http and not is_loopback(host):
        raise Misconfigured(
            f"verification_uri must be https ({host} is not this machine): over http, anyone on "
            "the network path can take the login. Use https, or http://127.0.0.1 for a trial. For "
            "a trial with a real phone in your own network, set plain_http=True in the policy: see "
            '"Try it with a real phone", docs/real-phone.md'
        )
    bracketed = f"[{host}]" if ":" in host else host
    default_port = {"https": 443, "http": 80}[parts.scheme]
    shown_port = "" if port in (None, default_port) else f":{port}"
    return f"{parts.scheme}://{bracketed}{shown_port}", host, parts.path


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

    `page` is the application's verification_uri. After a code in the page's own address, servers
    and cameras may append one slash, a fragment, and parameters that name no code.
    """
    text = _without_wrapping(scanned)
    if not text.startswith(("https://", "http://")):
        return FoundCode(text, may_rotate=True, may_be_typed=True)
    try:
        parts = urlsplit(text)
        query = parse_qsl(parts.query, errors="strict")
    except (ValueError, UnicodeDecodeError):
        return _NO_CODE
    named = [(name, value) for name, value in query if name in _CODE_PARAMETERS]
    without_query = text.partition("#")[0].partition("?")[0]

    below_page = without_query.removeprefix(f"{page}/")
    code = below_page.removesuffix("/")
    # An address further below the page may be a dialect's, if the page is the root of the site.
    if below_page != without_query and not named and "/" not in code:
        return FoundCode(code, may_rotate=True, may_be_typed=True)

    found = named if parts.query else [("", parts.path.rpartition("/")[2])]
    if len(found) != 1:  # ambiguous: one reader would take the first, another the last
        return _NO_CODE
    ((name, code),) = found
    in_page_query = name == _USER_CODE and without_query.rstrip("/") == page
    return FoundCode(code, may_rotate=False, may_be_typed=in_page_query)


def _without_wrapping(text: str) -> str:
    """An address without what scanners add to it, its scheme and host in lower case.

    A text that is not an address is returned as it is, because a code alone has one spelling.
    """
    address = _stripped(text)
    if _SYMBOLOGY.match(address):
        address = _stripped(address[3:])
    start = _SCHEME_AND_HOST.match(address)
    return start[0].lower() + address[start.end() :] if start else text


def _stripped(text: str) -> str:
    """Without the blanks, controls and invisible signs at both ends."""
    if text.isascii() and text.isprintable() and text == text.strip():
        return text  # nearly every text; looking at each sign takes as long as a signature
    shown = [at for at, sign in enumerate(text) if unicodedata.category(sign)[0] not in "ZC"]
    return text[shown[0] : shown[-1] + 1] if shown else ""
