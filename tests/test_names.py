"""Names and places are shown as written, without text that could change what surrounds them."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlogin import BadArgument
from qrlogin.arguments import SHOWN_AS_BYTES
from qrlogin.names import clean
from tests.application import ALICE, App, Run

AS_WRITTEN = {
    "plain": "Ana",
    "Chinese": "王小明",
    "two scripts and a wide space": "山田\u3000太郎",
    "a space that does not break": "Anne\u00a0Marie",
    "a combining mark": "Zoe\u0308",
    "an emoji with a joiner": "Ana 👩\u200d💻",
    "an emoji of four, with a colour and a selector": "👨\u200d👩\u200d👧\u200d👦 👍🏽 ❤\ufe0f",
    "Persian with a non-joiner": "نیک\u200cپی",
    "Sinhala with a joiner": "ශ\u0dca\u200dරී",
    "Malayalam with a joiner at its end": "മോഹന\u0d4d\u200d",
    "an emoji of next year": "Kim \U0001faff\U0001fae8",
    "a code point that Unicode may assign": "Kim \U0001fbff",
    "a kanji with a variant": "葛\U000e0100城",
}
CLEANED = {
    "Arabic with a right-to-left mark at its end": ("أحمد\u200f", "أحمد"),
    "a soft hyphen": ("Anna\u00adlena", "Annalena"),
    "private use": ("Tim \uf8ff", "Tim"),
    "a line end from a directory": ("Bob\n", "Bob"),
    "a tab inside": ("Bob\tB", "Bob B"),
    "several blanks": ("  Bob \r\n\u2028 B\u0085", "Bob B"),
    "NULs": ("Bob\0\0", "Bob"),
    "an escape sequence": ("\x1b[31mBob\x9b0m", "[31mBob 0m"),
    "a turn of the writing direction": ("\u202eecilA\u2066\u061c\u200e", "ecilA"),
    "invisible tags": ("Bob\U000e0041\U000e007f", "Bob"),
    "invisible letters": ("\u3164\u2800\ufeff\u200b", ""),
    "joiners that join nothing": ("\u200dBob \u200c\u200d B\u200d", "Bob B"),
    "half a character": ("Bob\ud83d", "Bob"),
    "a code point that is no character": ("Bob\uffff\U0010fffe", "Bob"),
    "nothing": ("", ""),
    "no name at all": (None, ""),
}
CUT = {
    "70 Telugu letters": ("\u0c15" * 70, "\u0c15" * 65 + "…"),
    "201 Latin letters": ("a" * 201, "a" * 197 + "…"),
    "one letter too many after a blank": ("a" * 196 + " " + "a" * 10, "a" * 196 + "…"),
    "accents": ("e\u0301" * 70, "e\u0301" * 65 + "…"),
    "families": ("👨\u200d👩\u200d👧" * 15, "👨\u200d👩\u200d👧" * 10 + "…"),
    "coloured thumbs": ("a" + "👍🏽" * 30, "a" + "👍🏽" * 24 + "…"),
    "flags": ("🇳🇱" * 30, "🇳🇱" * 24 + "…"),
    "Hangul in parts": ("\u1112\u1161\u11ab" * 30, "\u1112\u1161\u11ab" * 21 + "…"),
    "Devanagari conjuncts": ("क\u094dष" * 30, "क\u094dष" * 21 + "…"),
    "one letter under a heap of marks": ("e" + "\u0301" * 200, "e" + "\u0301" * 98 + "…"),
}
NAMES: dict[str, tuple[Any, str]] = (
    {what: (name, name) for what, name in AS_WRITTEN.items()} | CLEANED | CUT
)


@pytest.mark.parametrize(("name", "shown"), NAMES.values(), ids=NAMES)
def test_every_name_is_shown_cleaned_and_stops_no_login(
    name: Any, shown: str, run: Run[Any]
) -> None:
    """The seal covers the cleaned name, so the browser sees and redeems the same text."""
    app = App()
    begun = app.begin()
    run(app, app.qr.core.scan(begun.scan_code, subject=ALICE, shown_as=name))
    seen = run(app, app.qr.core.status(app.device(begun))).scanned_by
    assert seen.shown_as == shown
    assert len(shown.encode()) <= SHOWN_AS_BYTES
    run(app, app.qr.core.confirm(begun.scan_code, subject=ALICE))
    assert run(app, app.qr.core.redeem(app.device(begun), acknowledged=seen.tag)).shown_as == shown


@pytest.mark.parametrize(
    ("name", "shown"), [*((name, name) for name in AS_WRITTEN.values()), *CLEANED.values()]
)
def test_a_place_is_cleaned_like_a_name(name: str | None, shown: str) -> None:
    app = App()
    begun = app.qr.begin(context={"place": name or ""})
    assert app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A").context == {"place": shown}


def test_a_scan_without_shown_as_raises_bad_argument() -> None:
    """A missing argument is a mistake; an empty name is allowed."""
    app = App()
    with pytest.raises(BadArgument, match='"" for a user without a name'):
        app.qr.scan(app.begin().scan_code, subject=ALICE)


@given(st.text(max_size=120))
def test_a_cleaned_text_cannot_change_the_text_around_it(text: str) -> None:
    shown = clean(text, 60)
    kinds = {unicodedata.category(sign) for sign in shown if sign not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert len(shown.encode()) <= 60
    assert shown == shown.strip() == clean(shown, 60)
