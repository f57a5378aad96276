"""A typed code is read in every plausible spelling of its eight letters, and is only a guess."""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qrlogin import InvalidCode, codes
from qrlogin.codes import USER_CODE_LETTERS, Codes, ScanCode
from tests.application import KEY, OTHER_KEY, URI
from tests.security_rows import row
from tests.tables import for_each_row

MINE = Codes([KEY], verification_uri=URI, audience=None, plain_http=False)
CODE = "WDJB-MJHT"
LOGIN_ID = "7C1adAFmS0wnhCUT34IQqg"


def expected_login_id(letters: str, secret: bytes = KEY, audience: str = "example.com") -> str:
    """The id of the record that names the login, computed with the standard library alone."""
    derived = hmac.digest(secret, f"qrlogin/{audience}/typed/v1".encode(), hashlib.sha256)
    mac = hmac.digest(derived, b"8:" + letters.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac[:16]).rstrip(b"=").decode()


def wide(text: str) -> str:
    """The full-width form, as an input method for Chinese or Japanese writes it."""
    return "".join(chr(ord(one) + 0xFEE0) for one in text)


def read(text: str) -> str:
    (found,) = MINE.read_scan_code(text)
    assert (found.deadline_ms, found.typed) == (None, True)
    return found.login_id


def refused(text: str) -> bool:
    with pytest.raises(InvalidCode):
        MINE.read_scan_code(text)
    return True


def test_only_a_login_that_is_to_have_letters_gets_some() -> None:
    plain = MINE.new_codes(fixed=False, typed=False)
    assert (plain.user_code, plain.name_record_id, plain.fixed) == ("", "", "")
    assert MINE.new_codes(fixed=False, typed=True).user_code


# The format


def test_a_typed_code_keeps_the_record_that_it_leads_to() -> None:
    """A code can be on a screen while the next version is deployed."""
    assert MINE.read_scan_code(CODE) == (ScanCode(LOGIN_ID, MINE.signing_key, None, typed=True),)
    assert expected_login_id("WDJBMJHT") == LOGIN_ID


def test_the_alphabet_is_that_of_rfc_8628() -> None:
    """RFC 8628 section 6.1: 20 consonants, 8 of them, 20 ** 8 codes."""
    assert USER_CODE_LETTERS == "BCDFGHJKLMNPQRSTVWXZ"
    assert len(set(USER_CODE_LETTERS)) == 20


@row(437)
def test_a_typed_code_has_four_and_four_letters_and_leads_to_its_name_record() -> None:
    for _ in range(200):
        one = MINE.new_codes(fixed=False, typed=True)
        first, dash, last = one.user_code[:4], one.user_code[4], one.user_code[5:]
        assert (len(first), dash, len(last)) == (4, "-", 4)
        assert set(first + last) <= set(USER_CODE_LETTERS)
        assert (
            one.name_record_id
            == read(one.user_code)
            == expected_login_id(first + last)
            != one.login_id
        )
        assert one.fixed == ""


@row(436)
def test_every_letter_is_equally_likely_at_every_position(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A code has 34.5 bits if each letter is equally likely, which 5000 codes show.

    Two codes are equal once in 2000 runs (the birthday paradox), two pairs once in 8 million.
    """
    drawn = [
        MINE.new_codes(fixed=False, typed=True).user_code.replace("-", "") for _ in range(5000)
    ]
    assert len(set(drawn)) >= 4999
    for letters, expected in (
        (list("".join(drawn)), 2000),
        *(([code[at] for code in drawn], 250) for at in range(8)),
    ):
        counted = Counter(letters)
        assert set(counted) == set(USER_CODE_LETTERS)
        assert all(abs(count - expected) < 7 * expected**0.5 for count in counted.values())


@row(311)
def test_the_letters_are_drawn_from_a_secure_source(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(CODE.replace("-", ""))
    monkeypatch.setattr(secrets, "choice", lambda letters: next(drawn))
    assert MINE.new_codes(fixed=False, typed=True).user_code == CODE


# Spellings


@for_each_row(
    "typed",
    [
        "WDJB-MJHT",
        "WDJBMJHT",
        "wdjb-mjht",
        "wDjB-MjHt",
        "WDJB MJHT",
        " WDJB-MJHT ",
        "W D J B M J H T",
        "WD-JB-MJ-HT",
        "-W-D-J-B-M-J-H-T-",
        "WDJB_MJHT",
        "WDJB.MJHT",
        "WDJB/MJHT",
        "WDJB:MJHT",
        "(WDJB, MJHT).",
        "“WDJB-MJHT”",
        "WDJB\N{EN DASH}MJHT",
        "WDJB\N{EM DASH}MJHT",
        "WDJB\N{HYPHEN}MJHT",
        "WDJB\N{NON-BREAKING HYPHEN}MJHT",
        "WDJB\N{KATAKANA MIDDLE DOT}MJHT",
        wide("WDJB-MJHT"),
        wide("wdjbmjht"),
        "WDJB\u3000MJHT",
        "WDJB\u00a0MJHT",
        "WDJB\u2009-\u2009MJHT",
        "WDJB\tMJHT",
        "WDJB-MJHT\n",
        "WDJB-MJHT\r\n",
        "\ufeffWDJB-MJHT",
        "WDJB\u00adMJHT",
        "WDJB-\u200bMJHT",
        "\u2066WDJB-MJHT\u2069",
        "\N{CIRCLED LATIN CAPITAL LETTER W}DJ\N{SCRIPT CAPITAL B}-MJ\N{BLACK-LETTER CAPITAL H}T",
    ],
)
def test_case_dashes_spaces_and_input_methods_do_not_change_a_typed_code(typed: str) -> None:
    """RFC 8628 section 6.1."""
    assert read(typed) == LOGIN_ID


LOOK_ALIKES = {
    "0": "Q",
    "O": "Q",
    "1": "L",
    "I": "L",
    "2": "Z",
    "5": "S",
    "6": "G",
    "8": "B",
    "U": "V",
    "Y": "V",
}


@for_each_row("typed, meant", LOOK_ALIKES.items())
def test_a_look_alike_is_read_as_the_letter_it_looks_like(typed: str, meant: str) -> None:
    for spelled in (typed, typed.lower(), wide(typed), wide(typed.lower())):
        for at in range(8):
            assert read(f"{'B' * at}{spelled}{'B' * (7 - at)}") == expected_login_id(
                f"{'B' * at}{meant}{'B' * (7 - at)}"
            )


def test_every_ascii_character_is_a_letter_or_skipped_or_refused() -> None:
    """20 letters in two cases and ten look-alikes are read; others are skipped or refused."""
    counts = Counter[str]()
    for one in map(chr, range(128)):
        meant = LOOK_ALIKES.get(one.upper(), one.upper())
        if meant in USER_CODE_LETTERS:
            assert read(f"BBB{one}-BBBB") == expected_login_id(f"BBB{meant}BBBB")
            counts["a letter"] += 1
        elif one.isalnum() or one in "$+<=>^`|~":
            refused(f"BBBB{one}BBBB")
            refused(f"BBB{one}-BBBB")
            counts["an end"] += 1
        else:
            assert read(f"BBBB{one}BBBB") == expected_login_id("B" * 8)
            counts["nothing"] += 1
    assert counts == {"a letter": 40 + 6 + 4 * 2, "an end": 17, "nothing": 128 - 54 - 17}


NOT_CODES = [
    "",
    " ",
    "-",
    "B",
    "BBBBBBB",
    "BBBBBBBBB",
    "BBBB-BBB",
    "BBBB-BBBBB",
    "AAAA-AAAA",
    "EEEE-EEEE",
    "WDJB-MJHA",
]
NOT_CODES += [
    "WDJB-MJH3",
    "WDJB-MJH4",
    "WDJB-MJH7",
    "WDJB-MJH9",
    "WDJB+MJHT",
    "WDJB=MJHT",
    "WDJB|MJHT",
    "WDJB~MJHT",
    "WDJB$MJHT",
]
NOT_CODES += [
    "\N{CYRILLIC CAPITAL LETTER VE}" * 8,
    "\N{GREEK CAPITAL LETTER BETA}" * 8,
    wide("AAAAAAAA"),
    "一二三四五六七八",
    "😀" * 8,
]
NOT_CODES += [
    "éÉßÐ-ÞþŁł",
    "null",
    "undefined",
    "WDJB-MJHT WDJB-MJHT",
    "WDJB" + " " * 33 + "MJHT",
    "\0",
    "\0" * 8,
    "B\u0301BBBBBBB",
]


@for_each_row("typed", NOT_CODES)
def test_text_that_is_not_eight_letters_is_refused(typed: str) -> None:
    """Letters of other scripts that look like Latin are refused, too."""
    refused(typed)


@pytest.mark.parametrize("length", [41, 10_000, 1_000_000])
def test_a_typed_code_of_more_than_forty_characters_is_refused(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read("W" + "-" * 32 + "DJBMJHT") == LOGIN_ID
    with monkeypatch.context() as patch:  # pytest folds texts, too
        patch.setattr(unicodedata, "normalize", lambda *_: pytest.fail("so long a text was folded"))
        refused("W" + "-" * (length - 8) + "DJBMJHT")


#: "%" and two digits are percent-encoding, so "%" is no noise.
CATEGORIES = st.characters(categories=["P", "Z", "Cc", "Cf", "Co"], exclude_characters="%").filter(
    lambda one: all(
        unicodedata.category(each)[0] in "PZC" for each in unicodedata.normalize("NFKC", one)
    )
)
VARIANTS = {
    letter: [
        form
        for base in (letter, *(typed for typed, meant in LOOK_ALIKES.items() if meant == letter))
        for form in (base, base.lower(), wide(base), wide(base.lower()))
    ]
    for letter in USER_CODE_LETTERS
}


@st.composite
def noisy(draw: st.DrawFn) -> tuple[str, str]:
    """Eight letters, and one way to type them."""
    letters = "".join(draw(st.lists(st.sampled_from(USER_CODE_LETTERS), min_size=8, max_size=8)))
    between = [draw(st.text(CATEGORIES, max_size=3)) for _ in range(9)]
    forms = [draw(st.sampled_from(VARIANTS[letter])) for letter in letters]
    return letters, between[0] + "".join(
        form + noise for form, noise in zip(forms, between[1:], strict=True)
    )


@given(noisy())
@example(("WDJBMJHT", "wdjb-mjht"))
def test_any_variant_of_a_typed_code_reads_as_that_code(typed: tuple[str, str]) -> None:
    letters, text = typed
    assert len(text) <= 40
    assert read(text) == expected_login_id(letters)


@given(st.text(max_size=60))
@example("BBBBBBBB")
@example("bbbb bbb8")
def test_any_text_reads_as_eight_letters_or_is_refused(text: str) -> None:
    """The folded letters decide, and no other error than `InvalidCode` is raised."""
    try:
        found = MINE.read_scan_code(text)
    except InvalidCode:
        return
    folded = unicodedata.normalize("NFKC", text).upper()
    letters = "".join(
        LOOK_ALIKES.get(one, one)
        for one in folded
        if one in LOOK_ALIKES or one in USER_CODE_LETTERS
    )
    assert len(letters) == 8
    assert [one.login_id for one in found] == [expected_login_id(letters)]


# Under which key


def test_each_key_is_tried_for_a_typed_code_and_the_signing_key_first() -> None:
    ring = Codes([OTHER_KEY, KEY], verification_uri=URI, audience=None, plain_http=False)
    found = ring.read_scan_code(CODE)
    assert [one.login_id for one in found] == [expected_login_id("WDJBMJHT", OTHER_KEY), LOGIN_ID]
    assert [one.key.mac("x") for one in found] == [
        ring.signing_key.mac("x"),
        MINE.signing_key.mac("x"),
    ]
    assert all(one.typed for one in found)


def test_the_same_letters_lead_to_another_record_for_another_audience() -> None:
    shop = Codes([KEY], verification_uri=URI, audience="shop", plain_http=False)
    (found,) = shop.read_scan_code(CODE)
    assert found.login_id == expected_login_id("WDJBMJHT", audience="shop") != LOGIN_ID


def test_no_repr_shows_a_typed_or_fixed_code() -> None:
    one = MINE.new_codes(fixed=False, typed=True)
    other = MINE.new_codes(fixed=True, typed=False)
    shown = repr(
        [one, other, *MINE.read_scan_code(one.user_code), *MINE.read_scan_code(other.fixed)]
    )
    for hidden in (
        one.user_code,
        one.user_code.replace("-", ""),
        other.fixed,
        codes.fixed_as_base64(other.fixed),
    ):
        assert hidden not in shown
