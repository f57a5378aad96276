"""A scan code is read from the address in a picture, and a foreign address is never a guess."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from string import ascii_letters, digits
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlogin import InvalidCode, Misconfigured, Policy, QRLogin
from qrlogin.addresses import code_in_address
from qrlogin.codes import Codes, DeviceCode, fixed_as_base64
from qrlogin.errors import UnknownLogin
from qrlogin.table import State
from tests.application import ALICE, KEY, NOON, UNLIMITED, URI, App, Run, Untouched, events
from tests.security_rows import row
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


# The configured address


@for_each_row("uri", [None, b"https://example.com/qr", 1])
def test_an_address_that_is_no_text_is_said_to_be_missing(uri: Any) -> None:
    with pytest.raises(Misconfigured, match="verification_uri is missing: give the full address"):
        Codes([KEY], verification_uri=uri, audience=None, plain_http=False)


@pytest.mark.parametrize(
    "uri", [URI, "https://example.com", "https://example.com:8443/a/b/", "http://127.0.0.1:8000/qr"]
)
def test_a_scan_code_is_read_bare_or_inside_its_address(uri: str) -> None:
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
        "https://example.com/qr/./{}",
        "https://example.com/qr/l/{}",
        "https://example.com/qr/{}//",
        "https://example.com//qr//{}",
        "https://example.com/qr/%7B{}%7D",
        "https://example%2Ecom/qr/{}",
        "https%3A//example.com/qr/{}",
        "https://example.com/qr/{}/.",
        "https://example.com/qr/{}/x",
        "https://example.com/qr/{}?uuid=x",
        "https://example.com/qr?utm_source=camera#{}",
        "HTTPS://EXAMPLE.COM/QR/{}",
        "https://EXAMPLE.com@evil.example/qr/{}",
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
        "https://example.com\n/qr/{}",
    ],
)
def test_a_rotating_code_is_taken_only_from_the_configured_address(address: str) -> None:
    """The phone trusts only this address, so no page of another site can hand in a code."""
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


# Wrappings of a code

#: What scanners and keyboards add at either end.
INVISIBLE = " \t\r\n\0\x1b\x85\u00a0\u00ad\u2028\u3000\u200b\u200d\u200e\u2060\u2066\u2069\ufeff"
NAMELESS = ["", "?", "?utm_source=qr", "?utm_source=%FF&utm_medium&a=1&a=2", "?fbclid=x%2B&lang=de"]
OF_DIALECTS = [
    "https://example.com/l/{}",
    "https://login.weixin.qq.com/l/{}",
    "https://example.com/connect/confirm?uuid={}",
    "https://login.m.example/qrcodeCheck.htm?lgToken={}&tbScanOpenType=Notification",
    "http://192.0.2.1:8000/h5-app/passport/login/scan?navhide=1&qrcode_key={}&from=",
    "https://qr.m.example/p?k={}",
]
CODES = {"rotating": SCAN_CODE, "fixed": FIXED, "respelled": RESPELLED, "typed": TYPED.user_code}


def places(kind: str) -> list[str]:
    """Where a code may be, as it leaves the server."""
    found = ["{}", f"{URI}/{{}}"]
    if kind == "typed":
        found.append(f"{URI}?user_code={{}}")
    return found + (OF_DIALECTS if kind in ("fixed", "respelled") else [])


@st.composite
def wrapped(draw: st.DrawFn, code: str, place: str) -> str:
    """`code` in this place, with what scanners, browsers, CMSs and servers may add around it."""
    invisible = st.text(st.sampled_from(INVISIBLE), max_size=4)
    escaped = draw(st.sets(st.integers(0, len(code) - 1), max_size=5))
    hexadecimal = draw(st.sampled_from(["%{:02X}", "%{:02x}"]))
    inner = "".join(
        hexadecimal.format(ord(sign)) if at in escaped else sign for at, sign in enumerate(code)
    )
    inner = quote(draw(invisible)) + inner + quote(draw(invisible))
    if place != "{}":
        start, slashes, rest = place.partition("://")
        host, slash, path = rest.partition("/")
        capitals: list[Callable[[str], str]] = [str, str.upper, str.title]
        start, host = (draw(st.sampled_from(capitals))(each) for each in (start, host))
        path, question, query = path.partition("?")
        many = draw(st.integers(0, 2))
        if many == 1 and path:
            path = path.replace("/", "//", 1) if "/" in path else f"/{path}"
        query = question + query
        if many == 2:
            path += "/"
        if not query:
            query = draw(st.sampled_from(NAMELESS))
        elif draw(st.booleans()):
            query += "&utm_source=qr"
        place = start + slashes + host + slash + path + query
        place += draw(st.sampled_from(["", "#", "#top", "#a/b?uuid=1"]))
    prefix = draw(st.sampled_from(["", "]Q1", "]Q3 "]))
    return draw(invisible) + prefix + place.replace("{}", inner) + draw(invisible)


@pytest.mark.parametrize("kind", CODES)
@given(data=st.data())
def test_what_is_around_a_code_does_not_change_what_is_read(kind: str, data: st.DataObject) -> None:
    """In every form alike, alone or in an address."""
    code = CODES[kind]
    text = data.draw(wrapped(code, data.draw(st.sampled_from(places(kind)))))
    assert MINE.read_scan_code(text) == MINE.read_scan_code(code)


@pytest.mark.parametrize("kind", CODES)
@given(data=st.data())
def test_an_altered_code_is_refused_in_any_wrapping(kind: str, data: st.DataObject) -> None:
    code = CODES[kind]
    at = data.draw(st.integers(0, len(code) - 1))
    if kind == "typed":  # other letters would be a guess
        altered = TYPED.user_code[:at].replace("-", "") + "A" + TYPED.user_code[at:]
    else:
        others = st.sampled_from(
            [sign for sign in f"{ascii_letters}{digits}-_.=" if sign != code[at]]
        )
        altered = code[:at] + data.draw(st.one_of(others, st.just(""))) + code[at + 1 :]
    refused(data.draw(wrapped(altered, data.draw(st.sampled_from(places(kind))))))


@row(20)
@pytest.mark.parametrize("kind", ["rotating", "typed"])
@given(data=st.data())
def test_a_code_in_the_address_of_another_site_is_refused_in_any_wrapping(
    kind: str, data: st.DataObject
) -> None:
    other = data.draw(
        st.sampled_from(
            [
                "https://example.org/qr/{}",
                "http://example.com/qr/{}",
                "https://example.com/qrs/{}",
                "https://example.com:8443/qr/{}",
                "https://example.com.evil.example/qr/{}",
                "https://example.com@evil.example/qr/{}",
                "https://evil.example/qr?user_code={}",
                "https://evil.example/https://example.com/qr/{}",
            ]
        )
    )
    refused(data.draw(wrapped(CODES[kind], other)))


@given(st.lists(st.sampled_from([*CODES.values(), URI, *"/?#&=%]Q1.\\@: ", "uuid=", "user_code="])))
def test_no_mixture_of_codes_and_addresses_is_read_as_another_code(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        found = MINE.read_scan_code(text)
    except InvalidCode:
        return
    assert found in [MINE.read_scan_code(code) for code in CODES.values() if code in text]
    if "://" in text and not any(code in text for code in (FIXED, RESPELLED)):
        assert URI in text


# The addresses in the pictures of dialects

#: The addresses in the pictures of each dialect. Fixed and typed codes carry their own proof, so
#: the host does not matter.
PICTURES = {
    "WeChat": f"https://login.example/l/{RESPELLED}",
    "WeChat, drawn by a client for its own host": f"https://login.weixin.qq.com/l/{RESPELLED}",
    "WeChat Open": f"https://example.com/connect/confirm?uuid={RESPELLED}",
    "WeChat Open, escaped": (
        f"https://example.com/connect/confirm?uuid={RESPELLED.replace('=', '%3D')}"
    ),
    "Taobao": (
        f"https://login.m.example/qrcodeCheck.htm?lgToken={FIXED}&tbScanOpenType=Notification"
    ),
    "Taobao's newer one": f"http://127.0.0.1:8000/qrcodeCheck.htm?lgToken={FIXED}&_from=havana",
    "Bilibili": (
        f"https://example.com/h5-app/passport/login/scan?navhide=1&qrcode_key={FIXED}&from="
    ),
    "JD": f"https://qr.m.example/p?k={FIXED}",
    "an ordinary camera, sent on to our page": f"{URI}/{FIXED}",
    "below our own address": f"{URI}/wx/l/{RESPELLED}",
    "WeChat, escaped": f"https://example.com/l/{RESPELLED.replace('=', '%3D')}",
    "with a fragment": f"https://example.com/l/{RESPELLED}#wechat_redirect",
    "with an unknown parameter in it": f"https://example.com/p?lgToken={FIXED}&x=1&x=2&y",
}


@row(115)
@for_each_row("picture", PICTURES.values())
def test_the_picture_of_each_dialect_leads_to_its_login(picture: str) -> None:
    (found,) = MINE.read_scan_code(picture)
    assert (found.login_id, found.deadline_ms, found.typed) == (MINTED.login_id, None, False)


@for_each_row("uri", ["https://example.com", "https://example.com/qr"])
@for_each_row("form", ["{}/l/{}", "{}/wx/l/{}", "{}/p?lgToken={}", "{}/?uuid={}", "{}?uuid={}"])
def test_a_dialect_may_lie_below_the_verification_uri(uri: str, form: str) -> None:
    """When the verification_uri is the root of the site, every dialect is below it."""
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
    ids=itertools.count(),  # the codes are random, and test ids must not be
)
def test_the_address_of_a_typed_code_saves_the_typing(address: str) -> None:
    """RFC 8628 section 3.3.1. It still counts as a guess: a link need not come from a screen."""
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
        f"https://example.com/p?uuid={FIXED}%FF",
        f"https://example.com/p?uuid={FIXED.upper()}",
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
def test_an_ambiguous_address_or_an_unknown_place_of_a_code_is_refused(address: str) -> None:
    """Two parameters could both be the code: parsers differ in whether the first or last counts."""
    refused(address)


@pytest.mark.parametrize("length", [2001, 10_000, 1_000_000])
def test_an_address_of_more_than_2000_characters_is_refused(length: int) -> None:
    address = f"https://example.com/p?uuid={FIXED}&x="
    assert MINE.read_scan_code(address + "x" * (2000 - len(address)))[0].login_id == MINTED.login_id
    refused(address + "x" * (length - len(address)))
    refused("https://example.com/" + "a/" * length + FIXED)
    refused("https://example.com/p?" + f"uuid={FIXED}&" * length)


# Addresses of other sites

TYPING = replace(UNLIMITED, user_codes=True)
#: Texts that fold to eight letters of a typed code: words of other sites, and a printed code.
WORDS = [
    "products",
    "PRODUCTS",
    "pvbgsctx",
    "BCDF-GHJK",
    "bcdfghjk",
    "BCDF%2DGHJK",
    "0O1I2568",
    "\uff42\uff43\uff44\uff46\uff47\uff48\uff4a\uff4b",
]
FOREIGN = [
    "https://shop.example/{}",
    "https://shop.example/a/{}",
    "https://shop.example/{}?utm_source=poster",
    "https://shop.example/{}#top",
    "https://shop.example?user_code={}",
    "https://shop.example/?user_code={}",
    "https://shop.example/device?user_code={}",
    "https://shop.example/device?user_code={}&x=1",
    "https://shop.example/qr?user_code={}",
    "http://example.com/qr?user_code={}",
    "http://example.com/qr/{}",
    "https://example.com/{}",
    "https://example.com/?user_code={}",
    "https://example.com?user_code={}",
    "https://example.com/device?user_code={}",
    "https://example.com/qr/device?user_code={}",
    "https://example.com/qr/device/{}",
    "https://example.com/qrs/{}",
    "https://example.com/qrs?user_code={}",
    "https://example.com:8443/qr/{}",
    "https://example.com:8443/qr?user_code={}",
    "https://example.com.evil.example/qr?user_code={}",
    "https://example.com@evil.example/qr?user_code={}",
    "https://evil.example/https://example.com/qr?user_code={}",
    "https://evil.example/#https://example.com/qr?user_code={}",
    "https://example.com/qr?uuid={}",
    "https://example.com/qr?lgToken={}",
    "https://example.com/qr?qrcode_key={}",
    "https://example.com/qr?k={}",
    "https://example.com/qr?code={}",
    "https://example.com/qr?USER_CODE={}",
    "https://example.com/qr?{}",
    "https://example.com/qr#{}",
    "https://example.com/qr?x=1#user_code={}",
    "https://example.com/qr?user_code={0}&user_code={0}",
    "https://example.com/qr?user_code={0}&uuid={0}",
]
VERBS = ("scan", "confirm", "deny", "release")


def typed_code(app: App) -> str:
    return app.qr.begin(user_code=True).user_code


@for_each_row("word", WORDS)
@for_each_row("address", FOREIGN)
def test_a_link_to_another_address_never_reaches_the_store(address: str, word: str) -> None:
    core = QRLogin(Untouched(), secret_keys=[KEY], verification_uri=URI, policy=TYPING).core
    for verb in VERBS:
        with pytest.raises(InvalidCode):
            getattr(core, verb)(
                address.format(word), subject=ALICE, **({"shown_as": "A"} if verb == "scan" else {})
            )


@pytest.mark.parametrize(
    "address", ["https://shop.example/products", "https://shop.example/device?user_code={}"]
)
def test_a_link_to_another_address_costs_no_guess(address: str, run: Run[Any]) -> None:
    """This holds for any number of links, also when the letters are a valid code."""
    app = App(policy=TYPING)
    code = typed_code(app)
    events(app)
    for _ in range(10):
        for verb in VERBS:
            with pytest.raises(InvalidCode):
                decide(app, verb, address.format(code), run)
    assert events(app) == []
    assert decide(app, "scan", code, run).state is State.SCANNED


def decide(app: App, verb: str, code: str, run: Run[Any]) -> Any:
    return run(
        app,
        getattr(app.qr.core, verb)(
            code, subject=ALICE, **({"shown_as": "A"} if verb == "scan" else {})
        ),
    )


@pytest.mark.parametrize("word", WORDS)
def test_the_same_letters_without_an_address_are_a_guess(word: str) -> None:
    app = App(policy=TYPING)
    with pytest.raises(UnknownLogin, match="no such login"):
        app.qr.scan(word, subject=ALICE, shown_as="A")
    assert events(app) == ["guess of 5", "look up", "scan"]


# A typed code in the configured address


@for_each_row(
    "uri", [URI, "https://example.com", "https://example.com:8443/a/b", "http://127.0.0.1:8000/qr"]
)
@for_each_row("given", ["{}", "{}/"])
@for_each_row(
    "form",
    [
        "{}/{}",
        "{}?user_code={}",
        "{}/?user_code={}",
        "{}?user_code={}&lang=en",
        "{}?user_code={}#top",
    ],
)
@for_each_row("spelled", [str, str.lower, lambda code: code.replace("-", "")])
def test_a_typed_code_in_the_configured_address_is_read(
    uri: str, given: str, form: str, spelled: Callable[[str], str]
) -> None:
    app = App(policy=TYPING)
    qr = QRLogin(app.store, secret_keys=[KEY], verification_uri=given.format(uri), policy=TYPING)
    begun = qr.begin(user_code=True)
    found = qr.scan(form.format(uri, spelled(begun.user_code)), subject=ALICE, shown_as="A")
    assert (found.login_id, found.state) == (begun.login_id, State.SCANNED)
    assert qr.confirm(form.format(uri, begun.user_code), subject=ALICE).state is State.CONFIRMED


def test_a_typed_code_in_the_configured_address_is_a_guess(run: Run[Any]) -> None:
    """The letters can be made up, so they count like typed ones."""
    app = App(policy=TYPING)
    for address in (f"{URI}/BCDF-GHJK", f"{URI}?user_code=BCDF-GHJK"):
        events(app)
        with pytest.raises(UnknownLogin, match="no such login"):
            decide(app, "scan", address, run)
        assert events(app) == ["guess of 5", "look up", "scan"]


# Fixed codes carry their proof


@for_each_row("policy", [UNLIMITED, TYPING])
@for_each_row(
    "address",
    [
        "https://shop.example/{}",
        "https://shop.example/device?user_code={}",
        "https://example.com/qr/{}",
        "https://example.com/qr?uuid={}",
        "https://login.weixin.qq.com/l/{}",
        "http://192.0.2.1/p?k={}",
    ],
)
def test_a_fixed_code_works_on_any_host(address: str, policy: Policy, run: Run[Any]) -> None:
    app = App(policy=policy)
    begun = app.qr.run(app.qr.core.begin(fixed=True, ask_browser=False))
    for code in (begun.scan_code, fixed_as_base64(begun.scan_code)):
        events(app)
        assert decide(app, "scan", address.format(code), run).login_id == begun.login_id
        assert events(app) == ["scan"]


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,100}", fullmatch=True))
def test_a_plain_address_is_read_as_the_same_one_with_a_fragment(code: str) -> None:
    """A shorter way finds the code in what the picture holds. A fragment takes the longer one."""
    for page in ("https://example.com/qr", "https://example.com"):
        plain, other = (code_in_address(f"{page}/{code}{end}", page) for end in ("", "#"))
        assert plain == other
