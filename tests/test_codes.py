"""Codes and seals have an exact form, and any other text is refused without a store call."""

import base64
import hashlib
import hmac
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import itsdangerous
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qrlogin import InvalidCode, QRLogin, UnknownLogin, codes, keys, seals
from qrlogin.codes import Codes, DeviceCode, ScanCode
from qrlogin.keys import Key
from qrlogin.render import matrix_path
from tests.application import ALICE, KEY, NOON, OTHER_KEY, URI, Untouched
from tests.security_rows import row
from tests.tables import for_each_row

LOGIN_ID, SECRET = "AAECAwQFBgcICQoLDA0ODw", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"
ALPHABET = string.ascii_letters + string.digits + "-_"
MINE = Codes([KEY], verification_uri=URI, audience=None, plain_http=False)
DEVICE = DeviceCode(LOGIN_ID, SECRET, NOON, NOON + 150_000, "", "", MINE.signing_key)
CLIENT, FLAGS = "télé", codes.UNASKED + codes.FIXED
DEVICE_CODE = MINE.spell_device_code(DEVICE)
CLIENT_CODE = MINE.spell_device_code(replace(DEVICE, begun_by=CLIENT, flags=FLAGS))
SCAN_CODE = MINE.rotating_code(MINE.signing_key, LOGIN_ID, NOON + 28_000)
#: As a process with an older version spells it.
LONG_CODE = "AAECAwQFBgcICQoLDA0ODw.1800000028000.UMsn0YEmBa8wnMGx908yTTzAOqDMsbRdMskKsVwjLxo"


def expected_mac(secret: bytes, audience: str, purpose: str, *parts: str) -> str:
    """The MAC as PROTOCOL spells it, with nothing but the standard library."""
    derived = hmac.digest(secret, f"qrlogin/{audience}/{purpose}/v1".encode(), hashlib.sha256)
    message = b"".join(str(len(part.encode())).encode() + b":" + part.encode() for part in parts)
    return (
        base64.urlsafe_b64encode(hmac.digest(derived, message, hashlib.sha256))
        .rstrip(b"=")
        .decode()
    )


def refused(read: Callable[[str], object], text: object) -> bool:
    with pytest.raises(InvalidCode):
        read(text)  # type: ignore[arg-type]
    return True


def read_signed(text: str) -> ScanCode:
    """Read a signed scan_code. Eight typed letters are only a guess, so they are refused here."""
    found = MINE.read_scan_code(text)
    if found[0].typed:
        raise InvalidCode("these are typed letters without a signature")
    (one,) = found
    return one


READERS: dict[str, Callable[[str], object]] = {
    DEVICE_CODE: MINE.read_device_code,
    CLIENT_CODE: MINE.read_device_code,
    SCAN_CODE: read_signed,
    LONG_CODE: read_signed,
}
BOTH = for_each_row("code", READERS)


# The formats


def test_device_and_scan_codes_keep_their_formats() -> None:
    """A browser keeps its device_code across a deployment, and two versions run side by side."""
    assert DEVICE_CODE == (
        "AAECAwQFBgcICQoLDA0ODw.ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8."
        "1800000000000.1800000150000..."
        "tZ1FLuNR4jiH3F3ADD9w1OQVxUfhfj5Qrrsg1NBUj40"
    )
    assert CLIENT_CODE == (
        "AAECAwQFBgcICQoLDA0ODw.ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8."
        "1800000000000.1800000150000.dMOpbMOp.cf."
        "OfCDwiqsVyXVmkCACY9Coyk3PFsm2mptlp5bnr9cK4s"
    )
    assert SCAN_CODE == "AAECAwQFBgcICQoLDA0OD2tJ0hz9LugEEIU28Yn2hflLtLBz"
    said = bytes(range(16)) + (NOON // 1000 + 28).to_bytes(4)
    mac = sixteen_bytes("short_scan_code", LOGIN_ID, str(NOON // 1000 + 28))
    assert base64.urlsafe_b64encode(said + mac).decode() == SCAN_CODE


def test_the_picture_of_a_usual_login_link_has_at_most_37_modules() -> None:
    """Version 5 at level M holds 84 bytes, and a host of 24 characters leaves 48 for the code."""
    link = f"https://{'login.example.com'.rjust(24, 'a')}/qr/{SCAN_CODE}"
    assert len(link) == 84
    assert matrix_path(link).size == 4 + 37 + 4


def test_a_scan_code_says_its_deadline_in_whole_seconds_and_never_a_later_one() -> None:
    for ms in (0, 1, 999):
        code = MINE.rotating_code(MINE.signing_key, LOGIN_ID, NOON + ms)
        assert read_signed(code).deadline_ms == NOON
    assert read_signed(MINE.rotating_code(MINE.signing_key, LOGIN_ID, 0)).deadline_ms == 0
    end = 2**32 * 1000
    last = MINE.rotating_code(MINE.signing_key, LOGIN_ID, end - 1)
    assert read_signed(last).deadline_ms == end - 1000
    with pytest.raises(OverflowError):
        MINE.rotating_code(MINE.signing_key, LOGIN_ID, end)


def test_a_scan_code_of_an_older_version_is_read() -> None:
    assert MINE.read_scan_code(LONG_CODE) == MINE.read_scan_code(SCAN_CODE)


MACS = {
    "device": (
        seals.device_digest,
        (LOGIN_ID, SECRET),
        "mh-bP4N_Or6dUk-vJSWld7wdQc2bJcmBdFznGugqUtY",
    ),
    "redeem": (
        seals.redeem_mark,
        (LOGIN_ID, "op-0123456789abcdef"),
        "j6HbTncaw4rauo_q8bPYwd94DJrdh8rP-5Q7UbN8Pyw",
    ),
    "claim": (seals.claim, (LOGIN_ID, "42", ""), "xkwYKYcofW3W_i6QY5QCUNCpS5FsaPgSeLTMyex5EWw"),
    "for": (seals.account_digest, (LOGIN_ID, "42"), "dA-IG_t4GyvL1npZoaLDpBVdSjbQsl4aY500stMTRUQ"),
    "begin": (
        seals.begin_seal,
        (
            LOGIN_ID,
            {
                "device_digest": "digest",
                "context": '{"browser":"Firefox"}',
                "needs": "",
                "only_for": "",
                "known": "",
                "decide_ms": "90000",
                "redeem_ms": "30000",
            },
        ),
        "96GHwc2ge81OiK9f-OCSqrzNYvse78j89jisjHJHOjs",
    ),
    "scan": (
        seals.scanner_seal,
        (LOGIN_ID, {"claim": "claim", "shown_as": "M•••a"}),
        "CVmHZmn2Ych_LUjek9QIEbUmDH_lrZ7GwP2uSOKX5jw",
    ),
    "confirm": (
        seals.approval_seal,
        (
            LOGIN_ID,
            {"claim": "claim", "subject": "42", "name": "m@x", "met": "match", "facts": "facts"},
        ),
        "HJWzkHP3YqIcvramz1x-Q1LQagck8x5zf682Sf9c8LA",
    ),
}


#: The purposes whose MACs are shortened, or are spelled another way.
SHORTENED = ("ticket", "guesses", "fixed", "typed", "browser", "known", "known-at-begin")
PURPOSES = (*MACS, *SHORTENED, "device_code", "scan_code", "short_scan_code")


def test_tickets_and_guess_record_ids_keep_their_formats() -> None:
    """Both are 16 bytes of a MAC: the ticket as 32 hex digits, the id like a login_id."""
    key = Key(KEY, "example.com")
    ticket, guesser = seals.ticket(key, LOGIN_ID, "approval"), seals.guess_record_id(key, "42")
    assert (ticket, guesser) == ("364e0a6aec2209341858c55c4458b91c", "A8Y4ALbX5MAMqksbn1uaTA")
    assert ticket == sixteen_bytes("ticket", LOGIN_ID, "approval").hex()
    assert guesser == base64.urlsafe_b64encode(sixteen_bytes("guesses", "42")).rstrip(b"=").decode()


def sixteen_bytes(purpose: str, *parts: str) -> bytes:
    return base64.urlsafe_b64decode(expected_mac(KEY, "example.com", purpose, *parts) + "=")[:16]


@row(48, 453)
@pytest.mark.parametrize("purpose", MACS)
def test_seals_and_digests_keep_their_values(purpose: str) -> None:
    make, parts, known = MACS[purpose]
    made = make(Key(KEY, "example.com"), *parts)  # type: ignore[operator]
    assert made == known
    texts = [
        text for part in parts for text in (part.values() if isinstance(part, dict) else [part])
    ]
    assert made == expected_mac(KEY, "example.com", purpose, *texts)


@row(46)
def test_every_purpose_and_every_audience_has_a_key_of_its_own() -> None:
    """HMAC-SHA-256 derives each key (no SHA-1, no django-concat) from the purpose and audience.

    Each purpose and audience has its own salt.
    """
    macs = {
        expected_mac(KEY, audience, purpose, "x")
        for audience in ("example.com", "example.org", "example.com/scan")
        for purpose in PURPOSES
    }
    assert len(macs) == 3 * len(PURPOSES) == 51
    for audience in ("example.com", "example.org"):
        for purpose in PURPOSES:
            assert Key(KEY, audience).mac(purpose, "x") == expected_mac(KEY, audience, purpose, "x")
            assert hashlib.sha256().digest_size == len(
                base64.urlsafe_b64decode(Key(KEY, audience).mac(purpose, "x") + "=")
            )


@row(3, 308, 311, 436)
def test_random_values_have_their_full_length_and_one_spelling() -> None:
    drawn = [
        (codes.new_login_id(), codes.new_secret(), codes.new_mark(), keys.new_key())
        for _ in range(100)
    ]
    for kind, size in zip(zip(*drawn, strict=True), (16, 32, 12, 32), strict=True):
        assert len(set(kind)) == 100
        for text in kind:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            assert len(raw) == size
            assert base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text


def test_a_genuine_code_reads_as_the_fields_that_were_signed() -> None:
    device = MINE.read_device_code(DEVICE_CODE)
    assert (device.login_id, device.secret, device.begun_at, device.ends_at) == (
        LOGIN_ID,
        SECRET,
        NOON,
        NOON + 150_000,
    )
    assert (device.begun_by, device.flags, device.key) == ("", "", MINE.signing_key)
    assert device.digest == seals.device_digest(MINE.signing_key, LOGIN_ID, SECRET)
    assert MINE.read_device_code(CLIENT_CODE) == replace(device, begun_by=CLIENT, flags=FLAGS)
    assert MINE.read_scan_code(SCAN_CODE) == (
        ScanCode(LOGIN_ID, MINE.signing_key, NOON + 28_000, typed=False),
    )


@row(62)
@pytest.mark.parametrize(
    "changed",
    [{"begun_by": ""}, {"begun_by": "télè"}, {"begun_by": "t"}, {"flags": ""}, {"flags": "c"}],
)
def test_changed_client_or_flags_make_a_device_code_invalid(changed: dict[str, str]) -> None:
    """Both are signed, so the holder of a device_code can change neither."""
    fields: dict[str, Any] = {"begun_by": CLIENT, "flags": FLAGS, **changed}
    other = MINE.spell_device_code(replace(DEVICE, **fields))
    signature = CLIENT_CODE.rpartition(".")[2]
    assert other.rpartition(".")[2] != signature
    refused(MINE.read_device_code, f"{other.rpartition('.')[0]}.{signature}")


# What is refused


@row(448)
@BOTH
def test_no_single_character_can_be_changed(code: str) -> None:
    """Each position is tried with each other character of the alphabet and some outside it."""
    read = READERS[code]
    tried = 0
    for at, now in enumerate(code):
        for other in ALPHABET + ".=%+/ \n\0é":
            if other != now:
                tried += refused(read, code[:at] + other + code[at + 1 :])
    assert tried > len(code) * 70


@BOTH
def test_no_character_can_be_dropped_added_or_moved(code: str) -> None:
    read = READERS[code]
    for at in range(len(code)):
        refused(read, code[:at])
        refused(read, code[at + 1 :])
        refused(read, code[:at] + code[at + 1 :])
        for more in ("A", "0", ".", "=", " ", "\n"):
            if at + 1 < len(code) or more.strip():  # blanks at an end are a wrapping
                refused(read, code[: at + 1] + more + code[at + 1 :])
        if code[at + 1 : at + 2] not in ("", code[at]):
            refused(read, code[:at] + code[at + 1 : at + 2] + code[at] + code[at + 2 :])


SPELLINGS: dict[str, Callable[[str], str]] = {
    "padded once": lambda code: code + "=",
    "padded twice": lambda code: code + "==",
    "upper case": str.upper,
    "lower case": str.lower,
    "swapped case": str.swapcase,
    "standard base64": lambda code: code.replace("-", "+").replace("_", "/") + "+/",
    "a Cyrillic A": lambda code: code.replace("A", "\u0410", 1),
    "a full-width A": lambda code: code.replace("A", "\uff21", 1),
    "Arabic digits": lambda code: code.replace("0", "\u0660"),
    "full-width dots": lambda code: code.replace(".", "\uff0e"),
    "a leading zero": lambda code: code.replace(".1800", ".01800"),
    "a plus sign": lambda code: code.replace(".1800", ".+1800"),
    "twice": lambda code: code + code,
    "with a dot more": lambda code: code + ".",
    "quoted": lambda code: f'"{code}"',
}

#: Scanners and browsers add these around a scan_code. No one types or scans a device_code.
WRAPPINGS: dict[str, Callable[[str], str]] = {
    "space after": lambda code: code + " ",
    "space before": lambda code: " " + code,
    "newline after": lambda code: code + "\n",
    "newline before": lambda code: "\n" + code,
    "carriage return": lambda code: code + "\r\n",
    "NUL after": lambda code: code + "\0",
    "a zero-width space": lambda code: code + "\u200b",
    "a byte order mark": lambda code: "\ufeff" + code,
    "a letter escaped": lambda code: f"{code[:7]}%{ord(code[7]):02X}{code[8:]}",
    "first letter escaped": lambda code: f"%{ord(code[0]):02X}{code[1:]}",
}


@for_each_row("wrap", WRAPPINGS.values())
def test_a_wrapped_device_code_is_refused_and_a_wrapped_scan_code_is_read(
    wrap: Callable[[str], str],
) -> None:
    """What is around a scan_code is removed first. Its signature covers one spelling only."""
    refused(MINE.read_device_code, wrap(DEVICE_CODE))
    assert MINE.read_scan_code(wrap(SCAN_CODE)) == MINE.read_scan_code(SCAN_CODE)
    refused(MINE._read_rotating, wrap(SCAN_CODE))


@BOTH
@for_each_row("spell", SPELLINGS.values())
def test_a_code_is_accepted_in_one_spelling_only(code: str, spell: Callable[[str], str]) -> None:
    """With one spelling, no deny-list, cache or log can be bypassed by another one."""
    spelled = spell(code)
    if spelled == code:
        assert "." not in code, "only a code with dots and numbers has this spelling"
    else:
        refused(READERS[code], spelled)


@BOTH
def test_a_signature_with_other_unused_bits_in_its_last_letter_is_refused(code: str) -> None:
    """32 bytes in base64 leave two bits unused: a lenient decoder accepts four last letters. The 36
    bytes of a scan_code leave none.
    """
    if code == SCAN_CODE:
        assert len(base64.urlsafe_b64decode(code)) * 8 == len(code) * 6
        return
    sextets = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    last = sextets.index(code[-1])
    twins = [sextets[last & ~3 | bits] for bits in range(4) if last & ~3 | bits != last]
    assert len(twins) == 3
    for twin in twins:
        twisted = code[:-1] + twin
        assert base64.urlsafe_b64decode(twisted[-43:] + "=") == base64.urlsafe_b64decode(
            code[-43:] + "="
        )
        refused(READERS[code], twisted)


@BOTH
@for_each_row("length", [513, 10_000, 1_000_000])
@for_each_row("fill", ["A", ".", "A.", "é", "\ud800"])
def test_a_code_of_the_wrong_length_or_form_costs_no_mac(
    code: str, length: int, fill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Length and form are checked before any MAC is computed."""
    monkeypatch.setattr(Key, "mac_bytes", lambda *_: pytest.fail("a MAC was computed"))
    refused(READERS[code], (fill * length)[:length])
    refused(READERS[code], code[:-1])
    refused(READERS[code], URI + "/" + fill * length)


def test_a_forgery_in_the_right_form_costs_one_mac_for_each_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring = Codes(
        [KEY, OTHER_KEY, secrets.token_bytes(32)],
        verification_uri=URI,
        audience=None,
        plain_http=False,
    )
    genuine, computed = Key.mac_bytes, []

    def mac_bytes(self: Key, purpose: str, *parts: str) -> bytes:
        computed.append(purpose)
        return genuine(self, purpose, *parts)

    monkeypatch.setattr(Key, "mac_bytes", mac_bytes)
    refused(ring.read_scan_code, f"{LOGIN_ID}.{NOON}.{'A' * 43}")
    refused(ring.read_scan_code, "A" * 48)
    assert computed == ["scan_code"] * 3 + ["short_scan_code"] * 3


@BOTH
@for_each_row(
    "text", [None, 7, b"bytes", "", ".", "..", "null", LOGIN_ID, SECRET, ["x"], {"code": "x"}]
)
def test_a_value_that_is_not_a_code_is_refused(code: str, text: object) -> None:
    """A login_id is public, so it is refused as well."""
    refused(READERS[code], text)


@given(st.text())
@example("A" * 22 + "." + "0." + "A" * 43)
def test_random_text_is_refused(text: str) -> None:
    refused(MINE.read_device_code, text)
    refused(read_signed, text)


@row(3, 448)
@given(
    st.from_regex(codes._DEVICE_CODE, fullmatch=True),
    st.from_regex(codes._ROTATING_CODE, fullmatch=True),
    st.from_regex(codes._LONG_ROTATING_CODE, fullmatch=True),
)
def test_random_text_in_the_right_form_is_refused(
    device_code: str, scan_code: str, long_code: str
) -> None:
    refused(MINE.read_device_code, device_code)
    refused(MINE.read_scan_code, scan_code)
    refused(MINE.read_scan_code, long_code)


@for_each_row("number", ["-1", "00", "0x1", "1e3", "", " ", "1" * 16, str(2**63), "\u0661", "1.0"])
def test_a_signed_number_is_accepted_in_one_spelling_only(number: str) -> None:
    """Another spelling is refused even with a valid signature."""
    key = MINE.signing_key
    refused(MINE.read_scan_code, f"{LOGIN_ID}.{number}.{key.mac('scan_code', LOGIN_ID, number)}")
    for parts in ((LOGIN_ID, SECRET, number, "1", "", ""), (LOGIN_ID, SECRET, "1", number, "", "")):
        refused(MINE.read_device_code, ".".join((*parts, key.mac("device_code", *parts))))


# Other purposes, audiences, keys, libraries


@row(20, 450)
def test_a_code_of_one_purpose_is_refused_for_another() -> None:
    """It is refused even in the other code's form, under the same key."""
    refused(MINE.read_scan_code, DEVICE_CODE)
    refused(MINE.read_device_code, SCAN_CODE)
    key, until = MINE.signing_key, str(NOON)
    for purpose in {*PURPOSES, ""} - {"scan_code"}:
        refused(MINE.read_scan_code, f"{LOGIN_ID}.{until}.{key.mac(purpose, LOGIN_ID, until)}")
    said = base64.urlsafe_b64decode(SCAN_CODE)[:20]
    for purpose in {*PURPOSES, ""} - {"short_scan_code"}:
        mac = sixteen_bytes(purpose, LOGIN_ID, str(NOON // 1000 + 28))
        refused(MINE.read_scan_code, base64.urlsafe_b64encode(said + mac).decode())
    parts = (LOGIN_ID, SECRET, until, until, "", "")
    for purpose in {*PURPOSES, ""} - {"device_code"}:
        refused(MINE.read_device_code, ".".join((*parts, key.mac(purpose, *parts))))


@row(21, 450)
@pytest.mark.parametrize("foreign", ["key", "audience", "host"])
def test_another_applications_codes_are_refused(foreign: str) -> None:
    theirs = Codes(
        [OTHER_KEY if foreign == "key" else KEY],
        verification_uri="https://example.org/qr" if foreign == "host" else URI,
        audience="shop" if foreign == "audience" else None,
        plain_http=False,
    )
    refused(
        MINE.read_device_code, theirs.spell_device_code(replace(DEVICE, key=theirs.signing_key))
    )
    refused(MINE.read_scan_code, theirs.rotating_code(theirs.signing_key, LOGIN_ID, NOON + 28_000))


def host_tokens() -> Iterator[str]:
    """Tokens that an application signs with itsdangerous and the same key."""
    payload = SCAN_CODE.rpartition(".")[0]
    for salt in (
        b"itsdangerous.Signer",
        b"cookie-session",
        b"itsdangerous",
        b"qrlogin",
        b"qrlogin/example.com/scan_code/v1",
    ):
        for derivation in ("django-concat", "concat", "hmac", "none"):
            for digest in (hashlib.sha1, hashlib.sha256):
                signer = itsdangerous.Signer(
                    KEY, salt=salt, key_derivation=derivation, digest_method=digest
                )
                yield signer.sign(payload).decode()
                yield (
                    itsdangerous.TimestampSigner(
                        KEY, salt=salt, key_derivation=derivation, digest_method=digest
                    )
                    .sign(payload)
                    .decode()
                )
        yield str(itsdangerous.URLSafeTimedSerializer(KEY, salt=salt).dumps({"user": 42}))
        yield str(itsdangerous.URLSafeSerializer(KEY, salt=salt).dumps(payload))


@row(46)
def test_the_host_applications_own_tokens_are_refused() -> None:
    """Sharing SECRET_KEY with the session cookie is unwise, but no such token is a code."""
    tokens = list(host_tokens())
    assert len(tokens) == 90
    assert 74 <= len(set(tokens)) < 90, (
        "without a derivation the salt does not count"
    )  # more when a second ends meanwhile
    for token in tokens:
        refused(MINE.read_device_code, token)
        refused(MINE.read_scan_code, token)


parts = st.lists(st.text(alphabet="0123456789:ab", max_size=6), max_size=5)


@given(parts, parts)
@example(["1", "2"], ["12"])
@example(["1:a"], ["a"])
@example(["a", ""], ["a"])
@example(["", "a"], ["a", ""])
@example(["a1:b"], ["a", "b"])
@example(["1:a1:b"], ["a", "b"])
def test_different_parts_have_different_macs(left: list[str], right: list[str]) -> None:
    """Each part has a length prefix, so moving a boundary changes the MAC."""
    key = Key(KEY, "example.com")
    assert (key.mac("test", *left) == key.mac("test", *right)) == (left == right)


# Without touching the store


def calls(qr: QRLogin, code: str) -> Iterator[Callable[[], object]]:
    yield lambda: qr.status(code)
    yield lambda: qr.wait(code, timeout=0)
    yield lambda: qr.cancel(code)
    yield lambda: qr.redeem(code)
    yield lambda: qr.scan(code, subject=ALICE, shown_as="A")
    yield lambda: qr.confirm(code, subject=ALICE)
    yield lambda: qr.deny(code, subject=ALICE)
    yield lambda: qr.release(code, subject=ALICE)


@row(3)
@for_each_row(
    "code",
    [
        "",
        "x",
        LOGIN_ID,
        DEVICE_CODE[:-1],
        SCAN_CODE[:-1],
        DEVICE_CODE + "=",
        SCAN_CODE + "=",
        "A" * 10_000,
        f"{URI}/",
        URI,
    ],
)
def test_a_bad_code_never_reaches_the_store(code: str) -> None:
    qr = QRLogin(Untouched(), secret_keys=[KEY], verification_uri=URI)
    for call in calls(qr, code):
        with pytest.raises(UnknownLogin) as refusal:
            call()
        assert type(refusal.value) is InvalidCode
        assert refusal.value.http_status == 404
        assert len(code) < 12 or code not in str(refusal.value)


def test_browser_calls_refuse_scan_codes_and_phone_calls_refuse_device_codes() -> None:
    qr = QRLogin(Untouched(), secret_keys=[KEY], verification_uri=URI)
    for code, doors in ((SCAN_CODE, slice(0, 4)), (DEVICE_CODE, slice(4, 8))):
        for call in list(calls(qr, code))[doors]:
            with pytest.raises(InvalidCode):
                call()
