"""Names and places are shown as written, without text that could change what surrounds them."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlogin import BadArgument, State
from qrlogin.arguments import CONTEXT_BYTES, NAME_BYTES, SHOWN_AS_BYTES, encode_context
from qrlogin.names import clean, exact, graphemes, initial, marked, masked
from qrlogin.wire import Person
from tests.application import ALICE, App, Run
from tests.people import UNBOXED
from tests.security_rows import row
from tests.tables import for_each_row

SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
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
    "the flag of Scotland": "Eilidh " + SCOTLAND,
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
    "tags behind a flag that is not one": (
        "\U0001f3f4\U000e0041\U000e0042\U000e0043\U000e007f",
        "🏴",
    ),
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
    "flags of Scotland": (
        SCOTLAND * 8,
        SCOTLAND * 7 + "…",
    ),
    "Thai with a vowel that is a mark": ("น\u0e49ำ" * 23, "น\u0e49ำ" * 21 + "…"),
    "half-width Japanese with voice marks": ("ｶ\uff9e" * 34, "ｶ\uff9e" * 32 + "…"),
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
    tag = app.tag(begun)
    assert run(app, app.qr.core.redeem(app.device(begun), acknowledged=tag)).shown_as == shown


@pytest.mark.parametrize(
    ("name", "shown"), [*((name, name) for name in AS_WRITTEN.values()), *CLEANED.values()]
)
def test_a_place_is_cleaned_like_a_name(name: str | None, shown: str) -> None:
    app = App()
    begun = app.qr.begin(context={"place": name or ""})
    assert app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A").context == {"place": shown}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"browser": "Firefox 140", "place": "क\u094dष" * 90}, {"browser": "Firefox 140"}),
        (
            {"browser": "x" * 1000, "place": "y" * 1000, "address": "192.0.2.7"},
            {"address": "192.0.2.7"},
        ),
        ({"browser": '"' * 400}, {}),
        ({f"fact {i}": "👨\u200d👩\u200d👧" * 9 for i in range(8)}, {}),
    ],
)
def test_a_context_that_is_too_large_loses_the_ends_of_its_longest_values(
    given: dict[str, str], shown: dict[str, str]
) -> None:
    """A login is worth more than all of what is shown of it. A short value keeps its end."""
    app = App()
    begun = app.qr.begin(context=given)
    context = app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A").context
    assert context.keys() == given.keys()
    for name, value in context.items():
        if name in shown:
            assert value == shown[name]
        else:
            kept = value.removesuffix("…")
            assert value != kept
            assert given[name].startswith(kept)
            assert (
                list(graphemes(kept)) == list(graphemes(given[name]))[: len(list(graphemes(kept)))]
            )
    assert 250 < len(encode_context(given).encode()) <= CONTEXT_BYTES


@row(66)
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Maria", "M•••a"),
        ("王小明", "王•••明"),
        ("李明", "李•••"),
        ("X", "X•••"),
        ("", ""),
        ("\u200b\u202e", ""),
        (" Ana 👩\u200d💻\n", "A•••👩\u200d💻"),
        ("e\u0301milie\u0301", "e\u0301•••e\u0301"),
        ("क\u094dषमा देवी", "क\u094dष•••वी"),
        ("أحمد\u200f", "أ•••د"),
    ],
)
def test_a_masked_name_shows_its_first_and_last_letter(name: str, shown: str) -> None:
    """A letter is what a reader sees as one. Short names show less."""
    assert masked(name) == shown
    assert initial(name) == shown.partition("•")[0].upper()


def test_a_scan_without_shown_as_raises_bad_argument() -> None:
    """A missing argument is a mistake; an empty name is allowed."""
    app = App()
    with pytest.raises(BadArgument, match='"" for a user without a name'):
        app.qr.scan(app.begin().scan_code, subject=ALICE)


@row(66)
@given(st.text(max_size=120))
def test_a_cleaned_text_cannot_change_the_text_around_it(text: str) -> None:
    shown = clean(text, 60)
    kinds = {unicodedata.category(sign) for sign in shown if sign not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert len(shown.encode()) <= 60
    assert shown == shown.strip() == clean(shown, 60)


@row(66)
@for_each_row(
    "name, shown, in_text",
    [
        ("maria@example.com", "maria@example.com", "maria@example.com"),
        ("\u0430lice", "\u0430lice", "[\u0430]lice"),
        ("мария", "мария", "[мария]"),
        ("玛丽", "玛丽", "玛丽"),
        ("محمد", "محمد", "محمد"),
        ("aمحمد", "aمحمد", "a[محمد]"),  # an alef could pass for an l
        ("ali\u200bce", "ali\ufffdce", "ali[\ufffd]ce"),
        ("ali\u200dce", "ali\ufffdce", "ali[\ufffd]ce"),
        ("alice\ufe0e", "alice\ufffd", "alice[\ufffd]"),
        ("alice ", "alice\ufffd", "alice[\ufffd]"),
        ("a  b c", "a\ufffd b c", "a[\ufffd] b c"),
        ("a\u00a0b\nc", "a\ufffdb\ufffdc", "a[\ufffd]b[\ufffd]c"),
        ("x" * 400, "x" * 317 + "…", "x" * 317 + "[…]"),
        *((name, name, name) for name in UNBOXED),
        # A joiner stays only where it changes what people see.
        ("دا\u200cر", "دا\ufffdر", "دا[\ufffd]ر"),  # an alef joins no letter after it
        ("نیک\u200dپی", "نیک\ufffdپی", "نیک[\ufffd]پی"),
        ("نیک\u200c", "نیک\ufffd", "نیک[\ufffd]"),
        ("نیک\u200c\u200cپی", "نیک\ufffd\ufffdپی", "نیک[\ufffd\ufffd]پی"),
        ("सं\u200cजय", "सं\ufffdजय", "सं[\ufffd]जय"),
        ("ம\u0bcd\u200cம", "ம\u0bcd\ufffdம", "ம\u0bcd[\ufffd]ம"),
        ("玛\u200d丽", "玛\ufffd丽", "玛[\ufffd]丽"),
        ("葛\U000e0100城", "葛\ufffd城", "葛[\ufffd]城"),
        ("山田\u3000", "山田\ufffd", "山田[\ufffd]"),
        ("山\u3000\u3000\u3000田", "山\ufffd\ufffd\ufffd田", "山[\ufffd\ufffd\ufffd]田"),
        ("a\u3000b", "a\ufffdb", "a[\ufffd]b"),
        # Emoji stay whole, in a box.
        ("Ana 👩🏽\u200d💻", "Ana 👩🏽\u200d💻", "Ana [👩🏽\u200d💻]"),
        (
            "玛丽 👩\u200d❤\ufe0f\u200d👨",
            "玛丽 👩\u200d❤\ufe0f\u200d👨",
            "玛丽 [👩\u200d❤\ufe0f\u200d👨]",
        ),
        (SCOTLAND, SCOTLAND, f"[{SCOTLAND}]"),
        ("👩\ufe0f", "👩\ufffd", "[👩\ufffd]"),  # a colour picture anyway
        ("👩\u200d", "👩\ufffd", "[👩\ufffd]"),
        # Signs that could pass for a letter, a full stop or a digit.
        ("g\u3007\u3007gle", "g\u3007\u3007gle", "g[\u3007\u3007]gle"),
        ("a·b", "a·b", "a[·]b"),
        ("ali\u064ece", "ali\u064ece", "ali[\u064e]ce"),
        ("١٢", "١٢", "[١٢]"),
    ],
)
def test_a_full_name_hides_nothing_and_its_odd_letters_are_marked(
    name: str, shown: str, in_text: str
) -> None:
    assert exact(name, NAME_BYTES) == shown
    assert exact(shown, NAME_BYTES) == shown
    assert marked(shown) == in_text
    app = App()
    begun, _ = app.reach(State.SCANNED)
    app.qr.confirm(begun.scan_code, subject=ALICE, name=name)
    seen = app.qr.status(begun.device_code).scanned_by
    assert seen is not None
    assert seen.name == shown


@given(st.text("a\u0430·玛々نک\u064eक\u094d\u0dcaශ👩❤🏽\u200c\u200d\u3000\ufe0f", max_size=12))
def test_a_full_name_that_was_cleaned_stays_as_it_is_and_has_no_joiner_at_its_ends(
    text: str,
) -> None:
    shown = exact(text, NAME_BYTES)
    assert exact(shown, NAME_BYTES) == shown
    assert not set(shown[:1]) & set("\u200c\u200d\u3000\ufe0f")
    assert marked(shown).replace("[", "").replace("]", "") == shown


def test_a_full_name_must_be_text_and_gives_the_mask_if_there_is_none() -> None:
    app = App()
    begun, _ = app.reach(State.SCANNED)
    for wrong in (None, 7, b"alice"):
        with pytest.raises(BadArgument, match="name must be text"):
            app.qr.confirm(begun.scan_code, subject=ALICE, name=wrong)  # type: ignore[arg-type]
        with pytest.raises(BadArgument, match="name must be text"):
            Person("1", name=wrong)  # type: ignore[arg-type]
    assert Person("1", name="Maria").shown_as == "M•••a"
    assert Person("1", "M", name="Maria").shown_as == "M"
    assert Person("1").shown_as is ...
