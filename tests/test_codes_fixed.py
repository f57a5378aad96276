"""A fixed code is sixteen bytes with a tag, in two spellings, and is checked before the store."""

import base64
import hashlib
import hmac
import random
import string
from collections.abc import Callable

import pytest

from qrlogin import Begun, Expired, InvalidCode, QRLogin, State, codes
from qrlogin.codes import Codes, NewCodes, ScanCode, fixed_as_base64
from qrlogin.keys import Key
from tests.application import ALICE, KEY, OTHER_KEY, SHOWN, TO_SCAN, URI, App, Untouched
from tests.tables import for_each_row

MINE = Codes([KEY], verification_uri=URI, audience=None, plain_http=False)
RING = Codes([OTHER_KEY, KEY], verification_uri=URI, audience=None, plain_http=False)
#: Random bytes 0 to 9 and their tag. They must not change: a picture can be on a screen while the
#: next version is deployed.
FIXED, RESPELLED, LOGIN_ID = (
    "00010203040506070809c1c5f7d4319d",
    "AAECAwQFBgcICcHF99QxnQ==",
    "L86mTBOcn3Z412ar5s628Q",
)


def expected_code(drawn: bytes, secret: bytes = KEY) -> bytes:
    """The code as docs/protocol.md specifies it, computed with the standard library alone."""
    derived = hmac.digest(secret, b"qrlogin/example.com/fixed/v1", hashlib.sha256)
    return drawn + hmac.digest(derived, b"20:" + drawn.hex().encode(), hashlib.sha256)[:6]


def spelled(code: bytes) -> tuple[str, str]:
    return code.hex(), base64.urlsafe_b64encode(code).decode()


def refused(text: str) -> bool:
    for read in (MINE.read_scan_code, MINE.read_fixed):
        with pytest.raises(InvalidCode):
            read(text)
    return True


def minted(of: Codes = MINE) -> NewCodes:
    return of.new_codes(fixed=True, typed=False)


def test_fixed_codes_keep_their_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_bytes", lambda size: bytes(range(size)))
    one = minted()
    assert (one.fixed, one.login_id, one.user_code) == (FIXED, LOGIN_ID, "")
    code = expected_code(bytes(range(10)))
    assert spelled(code) == (FIXED, RESPELLED) == (one.fixed, fixed_as_base64(one.fixed))
    digest = hashlib.sha256(b"qrlogin/fixed/v1" + code).digest()[:16]
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == LOGIN_ID


def test_both_spellings_lead_to_the_same_login() -> None:
    for _ in range(200):
        one = minted()
        for text in (one.fixed, fixed_as_base64(one.fixed)):
            assert (
                MINE.read_scan_code(text)
                == (MINE.read_fixed(text),)
                == (ScanCode(one.login_id, MINE.signing_key),)
            )


def test_the_id_in_the_picture_is_not_the_login_id() -> None:
    """The fixed code gives the login_id, which opens nothing; a login_id in a log is no code."""
    one = minted()
    assert one.login_id not in (one.fixed, fixed_as_base64(one.fixed).rstrip("="))
    for text in (one.login_id, one.login_id + "=="):
        refused(text)


# One spelling of each


def test_other_unused_bits_in_the_last_letter_are_refused() -> None:
    """16 bytes leave four bits unused: a lenient decoder accepts sixteen last letters."""
    sextets = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    text = RESPELLED
    last = sextets.index(text[21])
    twins = [sextets[last & ~15 | bits] for bits in range(16) if last & ~15 | bits != last]
    assert len(twins) == 15
    for twin in twins:
        assert base64.urlsafe_b64decode(f"{text[:21]}{twin}==") == base64.urlsafe_b64decode(text)
        refused(f"{text[:21]}{twin}==")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "swapped case": str.swapcase,
    "padding left out": lambda text: text.rstrip("=") if text.endswith("=") else text[:-1],
    "half the padding": lambda text: text.removesuffix("=") if text.endswith("=") else text + "=",
    "more padding": lambda text: text + "=",
    "the other alphabet": lambda text: text.replace("-", "+").replace("_", "/") + "+/",
    "with dashes": lambda text: f"{text[:8]}-{text[8:]}",
    "as a UUID": lambda text: f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}",
    "with a prefix": lambda text: "0x" + text,
    "full-width": lambda text: chr(ord(text[0]) + 0xFEE0) + text[1:],
    "Arabic digits": lambda text: "\u0660" + text[1:],
    "twice": lambda text: text + text,
    "cut short": lambda text: text[:-2],
}


@for_each_row("text", [FIXED, RESPELLED])
@for_each_row("spell", SPELLINGS.values())
def test_any_other_spelling_is_refused(text: str, spell: Callable[[str], str]) -> None:
    """The refusal comes before any lookup."""
    assert spell(text) != text
    refused(spell(text))


@for_each_row("text", [FIXED, RESPELLED])
@for_each_row("wrapped", [" {}", "{}\n", "{}\0", "%20{}", "{}/"])
def test_the_strict_reader_of_a_public_id_refuses_wrappings(text: str, wrapped: str) -> None:
    """Clients send a public id as they were given it. Only a scanned text has wrappings."""
    with pytest.raises(InvalidCode):
        MINE.read_fixed(wrapped.format(text))


# Altered codes


def test_no_letter_of_either_spelling_can_be_changed() -> None:
    for text, alphabet in (
        (FIXED, string.hexdigits),
        (RESPELLED, string.ascii_letters + string.digits + "-_="),
    ):
        for at, now in enumerate(text):
            for other in alphabet:
                if other != now:
                    refused(text[:at] + other + text[at + 1 :])


@pytest.mark.long
def test_a_hundred_thousand_altered_codes_are_refused() -> None:
    """Flipped bits, exchanged bytes and tags of other codes, from a fixed random seed."""
    random_source = random.Random(8628)
    genuine = [expected_code(random_source.randbytes(10)) for _ in range(100)]
    accepted = {MINE.read_fixed(spelled(code)[0]).login_id for code in genuine}
    assert len(accepted) == 100
    for turn in range(100_000):
        code = bytearray(random_source.choice(genuine))
        match turn % 4:
            case 0:
                code[random_source.randrange(16)] ^= 1 << random_source.randrange(8)
            case 1:
                code[random_source.randrange(16)] ^= random_source.randrange(1, 256)
            case 2:
                code[10:] = random_source.choice(
                    [one for one in genuine[:20] if one[10:] != code[10:]]
                )[10:]
            case 3:
                code[:] = random_source.randbytes(16)
        try:
            MINE.read_fixed(spelled(bytes(code))[turn % 2])
        except InvalidCode:
            continue
        pytest.fail(f"{code.hex()} was accepted")


def test_a_tag_is_valid_for_one_key_one_audience_and_one_purpose() -> None:
    foreign = Codes([OTHER_KEY], verification_uri=URI, audience=None, plain_http=False)
    elsewhere = Codes([KEY], verification_uri=URI, audience="shop", plain_http=False)
    for text in (minted(foreign).fixed, minted(elsewhere).fixed):
        refused(text)
    drawn = bytes(range(10))
    for purpose in ("typed", "ticket", "scan_code", "device_code", "fixed "):
        mac = Key(KEY, "example.com").mac(purpose, drawn.hex())
        refused((drawn + base64.urlsafe_b64decode(mac + "=")[:6]).hex())


def test_a_fixed_code_is_read_under_the_key_that_made_it() -> None:
    """A rotated key ring still reads codes of the older key, and returns that key."""
    old, new = minted(MINE), minted(RING)
    assert (
        RING.read_fixed(old.fixed).key.mac("x")
        == MINE.signing_key.mac("x")
        != RING.signing_key.mac("x")
    )
    assert RING.read_fixed(new.fixed).key.mac("x") == RING.signing_key.mac("x")
    refused(new.fixed)


def test_a_fixed_code_of_the_wrong_form_costs_no_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Key, "mac_bytes", lambda *_: pytest.fail("a MAC was computed"))
    for text in (
        FIXED[:-1],
        FIXED.upper(),
        RESPELLED[:-1],
        RESPELLED[:21] + "B==",
        "",
        "A" * 10_000,
        "é" * 32,
        "\ud800" * 32,
    ):
        refused(text)


def test_a_bad_code_never_reaches_the_store() -> None:
    qr = QRLogin(Untouched(), secret_keys=[KEY], verification_uri=URI)
    bent = FIXED[:-1] + ("0" if FIXED[-1] != "0" else "1")
    for code in (bent, RESPELLED[:-3] + "A==", f"https://example.com/l/{bent}"):
        for call in (qr.confirm, qr.deny, qr.release):
            with pytest.raises(InvalidCode):
                call(code, subject=ALICE)
        with pytest.raises(InvalidCode) as refusal:
            qr.scan(code, subject=ALICE, shown_as="A")
        assert code not in str(refusal.value)
        with pytest.raises(InvalidCode):
            qr.core.login_id_of(code)


def test_fixed_codes_are_random_in_every_bit() -> None:
    drawn = [minted() for _ in range(5000)]
    assert len({one.fixed for one in drawn}) == len({one.login_id for one in drawn}) == 5000
    ones = sum(bin(int(one.fixed, 16)).count("1") for one in drawn)
    assert abs(ones - 64 * 5000) < 6 * (128 * 5000 / 4) ** 0.5, "a bit that is not drawn"


# The life of a login with a fixed code


def begun(app: App) -> Begun:
    return app.qr.run(app.qr.core.begin(fixed=True))


def test_a_fixed_code_is_shown_once_and_does_not_rotate() -> None:
    """The picture cannot change, so a status does not repeat the code."""
    app = App()
    login = begun(app)
    assert login.verification_uri_complete == f"{URI}/{login.scan_code}"
    assert len(login.scan_code) == 32
    assert (login.rotates_in, login.user_code, login.code_expires_in) == (0, "", 120)
    assert (
        app.qr.core.login_id_of(login.scan_code)
        == app.qr.core.login_id_of(fixed_as_base64(login.scan_code))
        == login.login_id
    )
    app.clock.ms += 60_000
    seen = app.qr.status(login.device_code)
    assert (seen.scan_code, seen.verification_uri_complete, seen.rotates_in, seen.ticket) == (
        "",
        "",
        0,
        "",
    )
    assert app.qr.core.read_device_code(login.device_code).flags == codes.FIXED


@pytest.mark.parametrize("left", [1, 0])
def test_a_fixed_code_expires_at_the_millisecond_of_its_login(left: int) -> None:
    app = App()
    login = begun(app)
    app.clock.ms += TO_SCAN * 1000 - left
    if left:
        assert (
            app.qr.scan(
                fixed_as_base64(login.scan_code), subject=ALICE, shown_as=SHOWN[ALICE]
            ).state
            is State.SCANNED
        )
        assert app.store.commands[-1].deadline_ms is None
        assert app.qr.confirm(login.scan_code, subject=ALICE).state is State.CONFIRMED
        assert app.qr.redeem(login.device_code, acknowledged=app.tag(login)).subject == ALICE
    else:
        with pytest.raises(Expired):
            app.qr.scan(login.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])


def test_a_scan_of_a_fixed_code_is_one_round_trip() -> None:
    """A fixed code carries its proof, so no guess is counted, whatever the policy says."""
    app = App()
    login = begun(app)
    before = len(app.store.commands)
    app.qr.scan(login.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    assert [one.row.name for one in app.store.commands][before:] == ["scan"]
