"""The address in a QR code: which ones are safe, and which part of an address is a code."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from qrlogin.errors import Misconfigured


def parse_page_address(uri: str, plain_http: bool) -> tuple[str, str, str]:
    """(origin, host, path) of an address that may stand in a QR code, all as a browser spells them."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Misconfigured(f"verification_uri is not an address: {error}") from None
    if (
        parts.scheme not in ("https", "http")
        or not host
        or not uri.isascii()
        or not uri.isprintable()
        or " " in uri
    ):
        raise Misconfigured(
            "verification_uri must be the full address of your page, such as https://example.com/qr"
        )
    if parts.query or parts.fragment or parts.username is not None or "?" in uri or "#" in uri:
        raise Misconfigured(
            "verification_uri must have no query, fragment or user: the scan code is added as its last part"
        )
    if not re.fullmatch(r"(/[A-Za-z0-9_~!$&'()*+,;=:@.-]+)*", parts.path) or {".", ".."} & set(
        parts.path.split("/")
    ):
        raise Misconfigured(
            "the path of verification_uri must be plain: no %, no empty part, no . or .., as a browser keeps it"
        )
    if len(uri) > 200:
        raise Misconfigured(
            "verification_uri must be shorter than 200 characters, or the QR code gets too fine to scan"
        )
    if parts.scheme == "http" and not plain_http and not _is_loopback(host):
        raise Misconfigured(
            f"verification_uri must be https ({host} is not this machine): "
            "over http anybody on the way can take the login. Use https, or http://127.0.0.1 to try things out"
        )
    bracketed = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}[parts.scheme]
    return (
        f"{parts.scheme}://{bracketed}" + (f":{port}" if port not in (None, default) else ""),
        host,
        parts.path,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
