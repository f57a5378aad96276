"""The library spells addresses and cleans names as a real browser does."""

import itertools
import random
import unicodedata
from pathlib import Path

from playwright.async_api import Browser

from qrlogin import MemoryStore, Misconfigured, QRLogin
from qrlogin.addresses import site_origin
from qrlogin.codes import Codes
from qrlogin.names import clean, graphemes
from qrlogin.wire import WeChat
from tests.application import KEY
from tests.browser.approve_page import approve_page
from tests.browser.approve_stub import ApproveStub
from tests.browser.login_stub import Stub

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


PLAIN = """async ([texts, most]) => {
  const { plain } = await import("/qrlogin/qr-login-parts.js");
  return texts.map((text) => plain(text, most));
}"""
#: How a name changes around each code point: as [code point, what is shown of "a…b"].
CHANGED = """async (ranges) => {
  const { plain } = await import("/qrlogin/qr-login-parts.js"), found = [];
  for (const [first, last] of ranges)
    for (let point = first; point <= last; point++) {
      const name = `a${String.fromCodePoint(point)}b`, shown = plain(name);
      if (shown !== name) found.push([point, shown]);
    }
  return found;
}"""
RANGES = [(0, 0x33FF), (0xA000, 0xABFF), (0xD7B0, 0x11FFF), (0x1F000, 0x1FFFF), (0xE0000, 0xE0FFF)]
PIECES = [
    *("a", "é", "e\u0301", " ", "  ", "\u3000", "\t", "\r\n", "\0", "\u2028", "\u200c", "\u200d"),
    *("\u200e", "\u202e", "\u2066", "\ufeff", "\u00ad", "\ue000", "\u3164", "\u034f", "\ufe0f"),
    *("क", "\u094d", "ष", "ശ", "\u0d4d", "ن", "👩", "💻", "🏽", "🇳", "🇱", "葛\U000e0100", "王"),
    *("\U0001f3f4", "\U000e0067", "\U000e0062\U000e0073", "\U000e007f", "\U0001fbff", "น\u0e49ำ"),
    *("\u1112", "\u1161", "\u11ab", "각", "ｶ\uff9e", "\uffff", "1\ufe0f\u20e3"),
]
SEGMENTED = """(texts) => texts.map((text) =>
  Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment))"""


async def test_the_elements_clean_names_as_the_core_does(chromium: Browser, stub: Stub) -> None:
    page = await chromium.new_page()
    await page.goto(stub.url)
    shown = dict(await page.evaluate(CHANGED, RANGES))
    for first, last in RANGES:
        for point in range(first, last + 1):
            if unicodedata.category(chr(point)) != "Cn" or point in shown:
                name = f"a{chr(point)}b"
                newer = unicodedata.category(chr(point)) == "Cn"  # the browser knows it already
                assert shown.get(point, name) == clean(name, 200) or newer, hex(point)

    chance = random.Random(7)
    names = ["".join(chance.choices(PIECES, k=chance.randint(1, 12))) for _ in range(1500)]
    cleaned = [clean(name, 10_000) for name in names]
    assert await page.evaluate(PLAIN, [names, 10_000]) == cleaned
    assert await page.evaluate(PLAIN, [cleaned, 10_000]) == cleaned
    await page.close()


async def test_a_name_is_cut_where_a_browser_sees_the_end_of_a_letter(
    chromium: Browser, stub: Stub
) -> None:
    """What Python keeps together may be more than one letter, but never half of one."""
    chance = random.Random(8)
    names = [
        clean("".join(chance.choices(PIECES, k=chance.randint(1, 12))), 10_000) for _ in range(1500)
    ]
    page = await chromium.new_page()
    await page.goto(stub.url)
    for name, letters in zip(names, await page.evaluate(SEGMENTED, names), strict=True):
        ends = {len("".join(letters[:count])) for count in range(len(letters) + 1)}
        at = 0
        for grapheme in graphemes(name):
            at += len(grapheme)
            assert at in ends, (name, letters)
    await page.evaluate("() => { delete Intl.Segmenter; }")
    families = "👨\u200d👩\u200d👧\u200d👦" * 20
    (cut,) = await page.evaluate(PLAIN, [[families], 80])
    assert cut == families[: 7 * 11] + "…"
    await page.close()


#: Addresses of the page, and whether a signed code or one to type is in them.
WRAPPINGS = {
    "/qr/{code}/": True,
    "/qr/{escaped}/": True,
    "/qr/{escaped}": False,
    "/qr/{code}%0D%0A?utm_source=qr#top": False,
    "/qr/\ufeff{code}\u200b": True,
    "/qr//{code}": False,
}


async def test_the_element_sends_and_shows_a_code_whatever_is_around_it_in_the_address(
    chromium: Browser, tmp_path: Path
) -> None:
    """What the server reads from the page's address is the code that the camera read."""
    with ApproveStub() as stub:
        codes = Codes([KEY], verification_uri=f"{stub.origin}/qr", audience=None, plain_http=False)
        signed = codes.rotating_code(codes.signing_key, "A" * 22, 1)
        async with approve_page(chromium, tmp_path) as phone:
            for wrapping, is_signed in WRAPPINGS.items():
                code = signed if is_signed else "WDJB-MJHT"
                escaped = "".join(f"%{ord(sign):02x}" if sign in "-_.MJ" else sign for sign in code)
                stub.calls.clear()
                stub.state = "pending"
                await phone.page.goto(stub.origin + wrapping.format(code=code, escaped=escaped))
                if not is_signed:  # a code to type is compared first
                    await phone.until("found")
                    assert "WDJB-MJHT" in await phone.text(), wrapping
                    await phone.press("View details")
                await phone.until("ask")
                (call,) = stub.calls
                read = codes.read_scan_code(call.body["code"])
                assert read == codes.read_scan_code(code), wrapping
