"""The library spells addresses and cleans names as a real browser does."""

import itertools

from playwright.async_api import Browser

from qrlogin import MemoryStore, Misconfigured, QRLogin
from qrlogin.addresses import site_origin
from qrlogin.wire import WeChat
from tests.application import KEY

SCHEMES = ["https://", "HTTPS://", "https:\\\\", "https:/", "https:"]
HOSTS = [
    *("example.com", "EXAMPLE.com", "example.com.", "example..com", ".example.com", "a_b.example"),
    *(
        "-a.example",
        "a-.example",
        "bücher.example",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.example",
    ),
    *("xn--a.example", "xn--strae-oqa.example", "straße.example", "ex%61mple.com", "a,b.example"),
    *("xn--Bcher-KVA.example", "xn--abc-.example", "example。com", "exam\u00adple.com"),
    *("127.0.0.1", "127.1", "0x7f.0.0.1", "127.000.000.001", "2130706433", "127.0.0.1.", "1.2.3"),
    *("shop.1", "256.0.0.1", "127.0.0.0x1", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[1:0:0:2::3]"),
    *(
        "[::ffff:127.0.0.1]",
        "[2001:DB8::0001]",
        "[1:0:0:2:0:0:0:3]",
        "[fe80::1%25eth0]",
        "[1:0:2::3]",
    ),
    *("me@example.com", "@example.com", "me:pw@example.com", "a b.example", "a|b.example"),
]
PORTS = ["", ":", ":443", ":0443", ":8443", ":08443", ":65536", ":x"]
PATHS = [
    *("", "/", "/qr", "/qr/", "/QR", "/a/../qr", "/./qr", "/%2e%2e/qr", "//qr", "/qr//", "/q%72"),
    *("/q r", "/q\\r", "/münze", "/%C3%BC", "/q;a=1", "/~me/q'(1)*!", "/q\n", "/q|", "/q{}", "/q^"),
    *("/@a:b", "/q$&+,", "/q[1]", '/q"', "/q`", "/q<", "/q?", "/q?a", "/q#", "/q#a", " /qr"),
]
SPELLED = """(addresses) => addresses.map((address) => {
  try {
    const { origin, href } = new URL(address);
    return [origin, href];
  } catch { return null; }
})"""


async def test_every_configured_address_is_refused_or_spelled_as_the_browser_spells_it(
    chromium: Browser,
) -> None:
    """Otherwise `Origin`, and the address that a page reports, never match: 403 for ever."""
    addresses = [
        *("".join(each) for each in itertools.product(SCHEMES, HOSTS, PORTS, ["/qr"])),
        *("".join(each) for each in itertools.product(SCHEMES[:2], HOSTS[:1], PORTS, PATHS)),
    ]
    page = await chromium.new_page()
    by_browser = dict(zip(addresses, await page.evaluate(SPELLED, addresses), strict=True))
    await page.close()
    accepted = 0
    for address, spelled in by_browser.items():
        try:
            core = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=address).core
        except Misconfigured:
            continue
        accepted += 1
        assert spelled is not None, address
        origin, href = spelled
        assert core.origin == origin, address
        assert core.verification_uri == href.rstrip("/"), address
        if "'" not in address:  # a dialect writes its address between quotes in a script
            assert WeChat(core, at=address).base_url == href.rstrip("/") + "/"
        if address.endswith("/qr"):
            assert site_origin(address.removesuffix("/qr"), "QRLOGIN_ORIGIN") == origin
    assert accepted > 100
