"""Codes that people type: read in every way in which somebody may write eight letters, and never worth more than a guess."""

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
from tests.tables import for_each_row

MINE = Codes([KEY], verification_uri=URI, audience=None, plain_http=False)
CODE = "WDJB-MJHT"
LOGIN_ID = "7C1adAFmS0wnhCUT34IQqg"


def by_hand(letters: str, secret: bytes = KEY, audience: str = "example.com") -> str:
    """The id of the record that names the login, with nothing but the standard library."""
    derived = hmac.digest(secret, f"qrlogin/{audience}/typed/v1".encode(), hashlib.sha256)
    mac = hmac.digest(derived, b"8:" + letters.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac[:16]).rstrip(b"=").decode()


def wide(text: str) -> str:
    """As an input method for Chinese or Japanese writes it."""
    return "".join(chr(ord(one) + 0xFEE0) for one in text)


def read(text: str) -> str:
    (found,) = MINE.read_scan_code(text)
    assert (found.deadline_ms, found.typed) == (None, True)
    return found.login_id


def refused(text: str) -> bool:
    with pytest.raises(InvalidCode):
        MINE.read_scan_code(text)
    return True


# What they look like


def test_where_a_code_leads_has_not_drifted() -> None:
    """A known answer: it is on somebody's screen while the next version is deployed."""
    assert MINE.read_scan_code(CODE) == (ScanCode(LOGIN_ID, MINE.signing_key, None, typed=True),)
    assert by_hand("WDJBMJHT") == LOGIN_ID


def test_the_alphabet_is_the_standards() -> None:
    """RFC 8628 section 6.1: 20 consonants, 8 of them, 20 ** 8 codes."""
    assert USER_CODE_LETTERS == "BCDFGHJKLMNPQRSTVWXZ"
    assert len(set(USER_CODE_LETTERS)) == 20


def test_what_is_minted_is_four_and_four_and_leads_to_what_names_its_login() -> None:
    for _ in range(200):
        one = MINE.new_codes(fixed=False, typed=True)
        first, dash, last = one.user_code[:4], one.user_code[4], one.user_code[5:]
        assert (len(first), dash, len(last)) == (4, "-", 4)
        assert set(first + last) <= set(USER_CODE_LETTERS)
        assert one.name_record_id == read(one.user_code) == by_hand(first + last) != one.login_id
        assert one.fixed == ""


def test_every_letter_is_as_likely_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """34.5 bits, if each is drawn evenly: no letter, no place and no code stands out of five thousand.

    Two of them are alike once in two thousand runs (the birthday paradox), twice two once in eight million.
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


def test_the_letters_are_drawn_from_a_secure_source(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(CODE.replace("-", ""))
    monkeypatch.setattr(secrets, "choice", lambda letters: next(drawn))
    assert MINE.new_codes(fixed=False, typed=True).user_code == CODE


# How they may be typed


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
def test_the_same_code_however_it_was_typed(typed: str) -> None:
    """Case, dashes, spaces, what an input method or a web page adds: RFC 8628 section 6.1."""
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
def test_what_looks_like_one_of_ours_is_taken_for_it(typed: str, meant: str) -> None:
    for spelled in (typed, typed.lower(), wide(typed), wide(typed.lower())):
        for at in range(8):
            assert read(f"{'B' * at}{spelled}{'B' * (7 - at)}") == by_hand(
                f"{'B' * at}{meant}{'B' * (7 - at)}"
            )


def test_every_character_of_ascii_is_a_letter_nothing_or_an_end_to_it() -> None:
    """All 128 of them: 20 letters in two cases, ten look-alikes, what is skipped, and what makes it no code at all."""
    told = Counter[str]()
    for one in map(chr, range(128)):
        meant = LOOK_ALIKES.get(one.upper(), one.upper())
        if meant in USER_CODE_LETTERS:
            assert read(f"BBB{one}-BBBB") == by_hand(f"BBB{meant}BBBB")
            told["a letter"] += 1
        elif one.isalnum() or one in "$+<=>^`|~":
            refused(f"BBBB{one}BBBB")
            refused(f"BBB{one}-BBBB")
            told["an end"] += 1
        else:
            assert read(f"BBBB{one}BBBB") == by_hand("B" * 8)
            told["nothing"] += 1
    assert told == {"a letter": 40 + 6 + 4 * 2, "an end": 17, "nothing": 128 - 54 - 17}


NONE = [
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
NONE += [
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
NONE += [
    "\N{CYRILLIC CAPITAL LETTER VE}" * 8,
    "\N{GREEK CAPITAL LETTER BETA}" * 8,
    wide("AAAAAAAA"),
    "一二三四五六七八",
    "😀" * 8,
]
NONE += [
    "éÉßÐ-ÞþŁł",
    "null",
    "undefined",
    "WDJB-MJHT WDJB-MJHT",
    "WDJB-MJHT" + " " * 32,
    "\0",
    "\0" * 8,
    "B\u0301BBBBBBB",
]


@for_each_row("typed", NONE)
def test_what_is_not_eight_letters_is_refused(typed: str) -> None:
    """Also what only looks like Latin: no dictionary of the whole world's look-alikes is kept here."""
    refused(typed)


@pytest.mark.parametrize("length", [41, 10_000, 1_000_000])
def test_a_typed_code_of_more_than_forty_characters_is_refused(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read("W" + "-" * 32 + "DJBMJHT") == LOGIN_ID
    with monkeypatch.context() as patch:  # pytest folds texts, too
        patch.setattr(unicodedata, "normalize", lambda *_: pytest.fail("so long a text was folded"))
        refused("W" + "-" * (length - 8) + "DJBMJHT")


CATEGORIES = st.characters(categories=["P", "Z", "Cc", "Cf", "Co"]).filter(
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
    """Eight letters, and some way in which somebody could type them."""
    letters = "".join(draw(st.lists(st.sampled_from(USER_CODE_LETTERS), min_size=8, max_size=8)))
    between = [draw(st.text(CATEGORIES, max_size=3)) for _ in range(9)]
    forms = [draw(st.sampled_from(VARIANTS[letter])) for letter in letters]
    return letters, between[0] + "".join(
        form + noise for form, noise in zip(forms, between[1:], strict=True)
    )


@given(noisy())
@example(("WDJBMJHT", "wdjb-mjht"))
def test_any_noise_of_spelling_reads_as_the_code_that_was_meant(typed: tuple[str, str]) -> None:
    letters, text = typed
    assert len(text) <= 40
    assert read(text) == by_hand(letters)


@given(st.text(max_size=60))
@example("BBBBBBBB")
@example("bbbb bbb8")
def test_a_text_is_eight_of_our_letters_or_nothing(text: str) -> None:
    """Whatever else somebody types, a code or not: the folded letters decide, and nothing is raised but `InvalidCode`."""
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
    assert [one.login_id for one in found] == [by_hand(letters)]


# Under which key


def test_a_code_says_nothing_of_its_key_so_each_is_tried_the_signing_one_first() -> None:
    ring = Codes([OTHER_KEY, KEY], verification_uri=URI, audience=None, plain_http=False)
    found = ring.read_scan_code(CODE)
    assert [one.login_id for one in found] == [by_hand("WDJBMJHT", OTHER_KEY), LOGIN_ID]
    assert [one.key.mac("x") for one in found] == [
        ring.signing_key.mac("x"),
        MINE.signing_key.mac("x"),
    ]
    assert all(one.typed for one in found)


def test_the_same_letters_lead_elsewhere_for_another_audience() -> None:
    shop = Codes([KEY], verification_uri=URI, audience="shop", plain_http=False)
    (found,) = shop.read_scan_code(CODE)
    assert found.login_id == by_hand("WDJBMJHT", audience="shop") != LOGIN_ID


def test_no_repr_shows_a_typed_or_fixed_code() -> None:
    one = MINE.new_codes(fixed=False, typed=True)
    other = MINE.new_codes(fixed=True, typed=False)
    said = repr(
        [one, other, *MINE.read_scan_code(one.user_code), *MINE.read_scan_code(other.fixed)]
    )
    for hidden in (
        one.user_code,
        one.user_code.replace("-", ""),
        other.fixed,
        codes.fixed_as_base64(other.fixed),
    ):
        assert hidden not in said
