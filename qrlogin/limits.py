"""How much one address and one account may ask for: the numbers, and what counts as one address.

A limit slows a flood down and locks no one out: what was used comes back all the time, and each
refusal says when to ask again. This module counts nothing; `allowances.py` does.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from qrlogin.errors import Misconfigured

MAX_LIMIT: Final = 1_000_000
"""The highest number that a limit may have: one that no application reaches."""

#: The part of an IPv6 address that a provider gives to one household or one server, in bits. That
#: customer can use every address in it (RFC 6177, RFC 8981).
_IPV6_BITS: Final = 64
#: The longest way to write an address without a zone.
_MOST_CHARACTERS: Final = 45
#: The first 96 bits of the IPv6 addresses that a NAT64 makes of IPv4 addresses (RFC 6052).
_NAT64: Final = 0x64_FF9B << 64


@dataclass(frozen=True, slots=True)
class Limits:
    """What one address may begin and hold, and what one account may scan.

    `Policy.limits` has them, and is on by default; None turns all of them off. Raises
    `Misconfigured` unless each is a whole number from 1 to 1 000 000.

    The address is the one that the phone shows, `context["address"]`. A login that is begun without
    it is not limited. All addresses of one IPv6 /64 are one, and an IPv4 address that is mapped
    or translated (NAT64) to IPv6 is that IPv4 address.
    """

    begins: int = 300
    """How many logins one address may begin at once, while its allowance is full.

    Several hundred people may share one IPv4 address: a school, a company, the customers of a
    mobile carrier. 300 of them can open the login page in the same moment.
    """

    begins_per_minute: int = 300
    """How many begins come back to the allowance of an address in each minute, evenly.

    An open login page begins a login every two minutes, so 600 pages can stay open behind one
    address. And one address, with all turns that it can get, has fewer than 6 500 logins at a time
    with the standard policy. Each is one of the 10 000 records that a `MemoryStore` holds. With a
    typed code each is two, so 13 000: then give the store a `capacity` of 20 000 or more.
    """

    scans: int = 60
    """How many codes one account may scan at once: a teacher logs the tablets of a class in."""

    scans_per_minute: int = 30
    """How many scans come back to the allowance of an account in each minute, evenly.

    It also bounds how many logins an account holds undecided, because a login is held for
    `Policy.decide_window` at most: 60 + 45 with the standard policy.
    """

    waits: int = 200
    """How many requests of one address a process holds at a time, and never more than half of its
    slots. Beyond, a status is answered at once and a stream is refused, so the page polls.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            is_number = isinstance(value, int) and not isinstance(value, bool)
            if not is_number or not 1 <= value <= MAX_LIMIT:
                raise Misconfigured(
                    f"limits.{each.name} must be a whole number from 1 to {MAX_LIMIT}, "
                    f"not {value!r}; limits=None in the policy turns all limits off"
                )


def network_of(address: str) -> str:
    """The part of an address that one person or one place has: an IPv4 address, or the first 64
    bits of an IPv6 address. "" for "". A text that is no address is returned as it is.

    An IPv4 address within IPv6 counts as itself: one that a server's socket maps (RFC 4291), or
    that a NAT64 with the well-known prefix translates (RFC 6052).

    :param address: such as "192.0.2.7", "2001:db8::7" or "::ffff:192.0.2.7".
    """
    text = address.partition("%")[0]
    return (len(text) <= _MOST_CHARACTERS and _network_of_address(text)) or address


@lru_cache(1024)  # a browser that waits asks again and again
def _network_of_address(text: str) -> str:
    """`network_of` an address without a zone; "" for a text that is no address."""
    try:
        parsed = ip_address(text)
    except ValueError:
        return ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    number = int(parsed)
    if number >> 32 == _NAT64:
        return str(IPv4Address(number & 0xFFFFFFFF))
    # By hand, because `ip_network` takes ten times as long.
    return f"{number >> (128 - _IPV6_BITS):016x}/{_IPV6_BITS}"
