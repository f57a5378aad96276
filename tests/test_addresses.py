"""What a camera reads: whole addresses, as qrlogin and as each dialect's picture spells them, and nothing that only looks so."""

import itertools

import pytest

from qrlogin import InvalidCode
from qrlogin.codes import Codes, DeviceCode, fixed_as_base64
from tests.application import KEY, NOON, URI
from tests.tables import for_each_row

LOGIN_ID = "AAECAwQFBgcICQoLDA0ODw"
MINE = Codes([KEY], verification_uri=URI, audience=None, plain_http=False)
SCAN_CODE = MINE.rotating_code(MINE.signing_key, LOGIN_ID, NOON + 28_000)
MINTED = MINE.new_codes(fixed=True, typed=False)
FIXED, RESPELLED = MINTED.fixed, fixed_as_base64(MINTED.fixed)
TYPED = MINE.new_codes(fixed=False, typed=True)


def refused(text: object) -> None:
    with pytest.raises(InvalidCode):
        MINE.read_scan_code(text)  # type: ignore[arg-type]


# Ours


@pytest.mark.parametrize(
    "uri", [URI, "https://example.com", "https://example.com:8443/a/b/", "http://127.0.0.1:8000/qr"]
)
def test_a_scan_code_is_read_bare_or_as_the_camera_reads_it(uri: str) -> None:
    mine = Codes([KEY], verification_uri=uri, audience=None, plain_http=False)
    rotating = mine.rotating_code(mine.signing_key, LOGIN_ID, NOON)
    fixed, typed = (mine.new_codes(fixed=not kind, typed=bool(kind)) for kind in range(2))
    for code, login_id in (
        (rotating, LOGIN_ID),
        (fixed.fixed, fixed.login_id),
        (typed.user_code, typed.name_record_id),
    ):
        assert mine.read_scan_code(code) == mine.read_scan_code(f"{mine.verification_uri}/{code}")
        assert [one.login_id for one in mine.read_scan_code(code)] == [login_id]
    assert mine.verification_uri == uri.rstrip("/")


@for_each_row(
    "address",
    [
        "http://example.com/qr/{}",
        "https://example.org/qr/{}",
        "https://example.com.evil.example/qr/{}",
        "https://evil.example/https://example.com/qr/{}",
        "https://example.com@evil.example/qr/{}",
        "https://example.com:443/qr/{}",
        "https://example.com/QR/{}",
        "https://example.com/qr//{}",
        "https://example.com/qr/./{}",
        "https://example.com/qr/l/{}",
        "https://example.com/qr/{}//",
        "https://example.com/qr/{}/.",
        "https://example.com/qr/{}/x",
        "https://example.com/qr/{}?uuid=x",
        "https://example.com/qr/{}?utm_source=%FF",
        "https://example.com/qr?utm_source=camera#{}",
        "HTTPS://EXAMPLE.COM/QR/{}",
        "https://EXAMPLE.com@evil.example/qr/{}",
        "https://example.com/qr/\u200b{}",
        "https://example.com/qr/{}%0A",
        "]Q1]Q1https://example.com/qr/{}",
        "]Q1/qr/{}",
        "]E0https://example.com/qr/{}",
        "https://example.com/qr?code={}",
        "https://example.com/qr?user_code={}",
        "https://example.com/qr/?uuid={}",
        "https://example.org/l?uuid={}",
        "https://example.com/qr/https://example.com/qr/{}",
        "//example.com/qr/{}",
        "/qr/{}",
        "example.com/qr/{}",
        "https://example.com/qr/ {}",
        "https://example.com\n/qr/{}",
    ],
)
def test_a_rotating_code_is_taken_only_from_the_configured_address(address: str) -> None:
    """It is what the person's own phone was told to trust: nobody else's page hands it in."""
    refused(address.format(SCAN_CODE))


def test_a_device_code_is_never_read_out_of_an_address() -> None:
    code = MINE.spell_device_code(
        DeviceCode(LOGIN_ID, "A" * 43, NOON, NOON, "", "", MINE.signing_key)
    )
    assert MINE.read_device_code(code).login_id == LOGIN_ID
    for address in (f"{URI}/{code}", f"{URI}?user_code={code}"):
        with pytest.raises(InvalidCode):
            MINE.read_device_code(address)
        refused(address)


#: What scanners, keyboards and servers put around a code. One slash more is what many servers add.
WRAPPINGS = {
    "as it is": "{url}",
    "the code alone": "{code}",
    "a line end": "{url}\n",
    "CR LF": "{url}\r\n",
    "a tab": "{url}\t",
    "blanks around": " {url}\u00a0\u3000",
    "NULs behind, as some scanners pad": "{url}\0\0\0",
    "a byte order mark in front": "\ufeff{url}",
    "a zero width space behind": "{url}\u200b",
    "the prefix of a symbology": "]Q1{url}",
    "a capital scheme and host": "HTTPS://EXAMPLE.COM/qr/{code}",
    "one slash more": "{url}/",
    "a fragment": "{url}#",
    "a fragment with text": "{url}#top",
    "an empty query": "{url}?",
    "a tracking parameter": "{url}?utm_source=qr",
    "many of them": "\ufeff]Q1 HTTPS://Example.com/qr/{code}/?utm_source=qr&utm_medium#top\r\n\0",
}


@pytest.mark.parametrize("kind", ["rotating", "fixed", "typed"])
@pytest.mark.parametrize("wrapping", WRAPPINGS.values(), ids=WRAPPINGS)
def test_what_scanners_and_servers_put_around_a_code_does_not_matter(
    wrapping: str, kind: str
) -> None:
    """The code itself is exact: only what is around it is taken off."""
    code = {"rotating": SCAN_CODE, "fixed": FIXED, "typed": TYPED.user_code}[kind]
    assert MINE.read_scan_code(
        wrapping.format(code=code, url=f"{URI}/{code}")
    ) == MINE.read_scan_code(code)


@pytest.mark.parametrize("wrapping", WRAPPINGS.values(), ids=WRAPPINGS)
def test_a_wrapped_code_that_was_altered_is_refused(wrapping: str) -> None:
    for code in (
        SCAN_CODE[:-1],
        SCAN_CODE.swapcase(),
        f"{SCAN_CODE}\u200b=",
        FIXED[:-1],
        FIXED.upper(),
        f"{FIXED}.",
    ):
        refused(wrapping.format(code=code, url=f"{URI}/{code}"))


@pytest.mark.parametrize("wrapping", [each for each in WRAPPINGS.values() if "code" not in each])
def test_a_link_of_another_site_is_no_guess_in_any_wrapping(wrapping: str) -> None:
    for url in ("https://shop.example/products", "https://shop.example/device?user_code=BCDFGHJK"):
        refused(wrapping.format(url=url))


# The dialects'

#: What the pictures of each dialect say. Fixed and typed codes prove themselves, so the host does not matter.
PICTURES = {
    "WeChat": f"https://login.example/l/{RESPELLED}",
    "WeChat, drawn by a client for its own host": f"https://login.weixin.qq.com/l/{RESPELLED}",
    "WeChat Open": f"https://example.com/connect/confirm?uuid={RESPELLED}",
    "WeChat Open, escaped": f"https://example.com/connect/confirm?uuid={RESPELLED.replace('=', '%3D')}",
    "Taobao": f"https://login.m.example/qrcodeCheck.htm?lgToken={FIXED}&tbScanOpenType=Notification",
    "Taobao's newer one": f"http://127.0.0.1:8000/qrcodeCheck.htm?lgToken={FIXED}&_from=havana",
    "Bilibili": f"https://example.com/h5-app/passport/login/scan?navhide=1&qrcode_key={FIXED}&from=",
    "JD": f"https://qr.m.example/p?k={FIXED}",
    "an ordinary camera, sent on to our page": f"{URI}/{FIXED}",
    "below our own address": f"{URI}/wx/l/{RESPELLED}",
    "with a fragment": f"https://example.com/l/{RESPELLED}#wechat_redirect",
    "with an unknown parameter in it": f"https://example.com/p?lgToken={FIXED}&x=1&x=2&y",
}


@for_each_row("picture", PICTURES.values())
def test_the_picture_of_each_dialect_leads_to_its_login(picture: str) -> None:
    (found,) = MINE.read_scan_code(picture)
    assert (found.login_id, found.deadline_ms, found.typed) == (MINTED.login_id, None, False)


@for_each_row("uri", ["https://example.com", "https://example.com/qr"])
@for_each_row("form", ["{}/l/{}", "{}/wx/l/{}", "{}/p?lgToken={}", "{}/?uuid={}", "{}?uuid={}"])
def test_a_dialect_may_lie_below_the_verification_uri(uri: str, form: str) -> None:
    """As every dialect does where that is the root of the site."""
    mine = Codes([KEY], verification_uri=uri, audience="example.com", plain_http=False)
    (found,) = mine.read_scan_code(form.format(uri, FIXED))
    assert found.login_id == MINTED.login_id


@pytest.mark.parametrize(
    "address",
    [
        f"{URI}?user_code={TYPED.user_code}",
        f"{URI}/?user_code={TYPED.user_code}",
        f"{URI}?user_code={TYPED.user_code.lower().replace('-', '')}",
        f"{URI}?user_code={TYPED.user_code.replace('-', '+')}",
        f"{URI}?user_code={TYPED.user_code.replace('-', '%20%E2%80%93%20')}",
        f"{URI}/{TYPED.user_code}",
    ],
    ids=itertools.count(),  # the codes are random, and what a test is called must not be
)
def test_the_address_of_a_typed_code_saves_the_typing(address: str) -> None:
    """RFC 8628 section 3.3.1. It is still a guess to us: what is in a link was not necessarily on a screen."""
    (found,) = MINE.read_scan_code(address)
    assert (found.login_id, found.typed) == (TYPED.name_record_id, True)


OTHER = MINE.new_codes(fixed=True, typed=False).fixed


@for_each_row(
    "address",
    [
        f"https://example.com/p?uuid={FIXED}&uuid={FIXED}",
        f"https://example.com/p?uuid={FIXED}&uuid={OTHER}",
        f"https://example.com/p?uuid={FIXED}&lgToken={OTHER}",
        f"https://example.com/p?uuid=x&k={FIXED}",
        f"https://example.com/p?user_code={TYPED.user_code}&uuid={FIXED}",
        f"https://example.com/p?code={FIXED}",
        f"https://example.com/p?UUID={FIXED}",
        f"https://example.com/p?uuid={FIXED}%0A",
        f"https://example.com/p?uuid={FIXED}%FF",
        f"https://example.com/p?uuid={FIXED.upper()}",
        f"https://example.com/l/{FIXED}?x=1",
        f"https://example.com/l/{FIXED}/",
        f"https://example.com/l/{RESPELLED.replace('=', '%3D')}",
        f"https://example.com/p#uuid={FIXED}",
        f"https://example.com:uuid/{'x' * 10}",
        f"https://[example.com/l/{FIXED}",
        f"ftp://example.com/l/{FIXED}",
        f"javascript:{FIXED}",
        f"example.com/l/{FIXED}",
        f"https://example.com/l/{MINTED.login_id}",
        f"https://example.com/p?uuid={MINTED.login_id}",
        "https://example.com/",
        "https://example.com",
        "https://",
        "https://example.com/p?",
        "https://example.com/p?uuid=",
    ],
)
def test_what_is_ambiguous_or_somewhere_else_is_no_code(address: str) -> None:
    """Two parameters that could both be meant are nobody's: a reader that takes the first and one that takes the last differ."""
    refused(address)


@pytest.mark.parametrize("length", [2001, 10_000, 1_000_000])
def test_an_address_has_an_end(length: int) -> None:
    address = f"https://example.com/p?uuid={FIXED}&x="
    assert MINE.read_scan_code(address + "x" * (2000 - len(address)))[0].login_id == MINTED.login_id
    refused(address + "x" * (length - len(address)))
    refused("https://example.com/" + "a/" * length + FIXED)
    refused("https://example.com/p?" + f"uuid={FIXED}&" * length)
