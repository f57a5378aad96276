"""Cleans the names that a browser or a phone shows, of users and of places.

A name is what people write with their keyboards, so no name is an error. `clean` removes what
could reorder, hide or break the text around it, and cuts what is too long. `plain` in
browser/qr-login-parts.js has the same rule. This module knows no login.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final
from unicodedata import category, combining, east_asian_width

_JOINER: Final = "\u200d"
#: Persian and the scripts of India need both, emoji need the second.
_JOINERS: Final = ("\u200c", _JOINER)
_BREAKS: Final = ("Cc", "Zl", "Zp")
# A surrogate cannot be stored. A format character reorders text or is invisible. A private one has
# a meaning in one font only, such as the icons of the page, which a name must not draw.
_DROPPED: Final = ("Cs", "Cf", "Co")
#: Letters and signs that show nothing.
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
#: A flag of a part of a country, such as Scotland's: invisible tags after a black flag (UTS 51).
_TAGGED_FLAG: Final = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
#: Letters that Unicode counts as marks of the letter before them: Thai, Lao, half-width Japanese.
_SPACING: Final = frozenset("\u0e33\u0eb3\uff9e\uff9f")
#: Variation selectors, which show nothing by themselves.
_SELECTORS: Final = "[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
#: What `exact` shows in place of a sign that shows nothing.
_INVISIBLE: Final = "\ufffd"
#: Letters of scripts that look like no other: Japanese, Bopomofo, Chinese, Korean. As in `odd` in
#: browser/qr-login-parts.js.
_EAST_ASIAN: Final = (
    "\u3005\u3006\u3041-\u3096\u309d\u309e\u30a1-\u30fe\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003fffd"
)
#: Letters and marks of scripts with a few like l and o, which pass for those only among letters of
#: a to z: Hebrew, Arabic, the scripts of India and Sri Lanka, Thai, and rarer Japanese ones. Digits
#: are left out, because a name may be a number.
_ALONE: Final = (
    "\u05d0-\u05ea\u05f3\u05f4\u0620-\u0655\u0670-\u06d3\u06d5"
    "\u0900-\u0963\u0971-\u0983\u0985-\u09e3\u09f0\u09f1\u0a01-\u0a5e\u0a70-\u0a75\u0a81-\u0ae3"
    "\u0b01-\u0b63\u0b71\u0b82-\u0bd7\u0c00-\u0c63\u0c80-\u0ce3\u0d00-\u0d57\u0d5f-\u0d63"
    "\u0d7a-\u0d7f\u0d81-\u0ddf\u0df2\u0df3\u0e01-\u0e3a\u0e40-\u0e4e"
    "\u3007\u3099\u309a\uff66-\uff9f"
)
#: The dot of Chinese names of other languages. Elsewhere it could pass for a full stop.
_DOT: Final = f"(?<=[{_EAST_ASIAN}])\u00b7(?=[{_EAST_ASIAN}])"
_ODD: Final = f"(?:(?!{_DOT})[^\0-\x7f\u3000{_EAST_ASIAN}])+"
_ODD_SIGN: Final = f"(?:(?!{_DOT})[^\0-\x7f\u3000{_EAST_ASIAN}{_ALONE}\u200c\u200d])"
#: The joiners within an emoji are in its box.
_ODD_ALONE: Final = f"{_ODD_SIGN}+(?:[\u200c\u200d]+{_ODD_SIGN}+)*"

#: Consonants of the blocks of Unicode for nine scripts of India, which have the same layout.
_CONSONANTS: Final = {
    block: f"[{chr(block + 0x15)}-{chr(block + 0x39)}{chr(block + 0x58)}-{chr(block + 0x5F)}]"
    for block in range(0x900, 0xD80, 0x80)
}
_PICTURE: Final = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935"
    "\u2b05-\u2b55\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
    "(?:[\U0001f3fb-\U0001f3ff]|\ufe0f)?"
)
#: Persian: between two letters that would be joined.
_UNJOINED: Final = (
    "[\u0620\u0626\u0628\u062a-\u062e\u0633-\u0647\u0649\u064a\u066e\u066f\u0678-\u0687\u069a-\u06bf"
    "\u06c1\u06c2\u06cc\u06ce\u06d0\u06d1][\u064b-\u0655\u0670]*\u200c"
    "(?=[\u0620\u0622-\u064a\u066e\u066f\u0671-\u0673\u0675-\u06d3\u06d5])"
)
#: Where a sign that shows nothing by itself changes what people see.
_SHAPING: Final = "|".join(
    (
        _TAGGED_FLAG,
        f"{_PICTURE}(?:\u200d{_PICTURE})*",
        _UNJOINED,
        # Devanagari, Bengali, Gujarati: a letter that is halved, or that is not.
        *(
            f"{chr(block + 0x4D)}[\u200c\u200d](?={_CONSONANTS[block]})"
            for block in (0x900, 0x980, 0xA80)
        ),
        # Oriya, Telugu, Kannada, Malayalam: a letter that is not written below the one before.
        *(
            f"{chr(block + 0x4D)}\u200c(?={_CONSONANTS[block]})"
            for block in (0xB00, 0xC00, 0xC80, 0xD00)
        ),
        "[\u0d15\u0d23\u0d28\u0d30\u0d32\u0d33]\u0d4d\u200d",  # Malayalam without its vowel
        "\u0dca\u200d(?=[\u0d9a-\u0dc6])",  # Sinhala, joined
        "\u09b0[\u200c\u200d](?=\u09cd\u09af)",  # Bengali r before y
        f"\u0cb0\u200d(?=\u0ccd{_CONSONANTS[0xC80]})",  # Kannada r in its full form
        f"(?<=[{_EAST_ASIAN}])\u3000(?=[{_EAST_ASIAN}])",  # as wide as a letter
    )
)
_VIRAMA: Final = 9  # combining class of the sign that removes the vowel of an Indian letter
_ELLIPSIS: Final = "…"
_UNCUT: Final = 1 << 62  # bytes


def clean(text: str, limit: int) -> str:
    """Return `text` as one line of at most `limit` bytes.

    A longer text is cut between two graphemes and ends with an ellipsis. Unassigned characters
    stay, because phones know newer emoji than Python does. Joiners stay where they join. A space
    of a script, such as U+3000, stays; a run of spaces becomes one blank.
    """
    if _is_plain(text, limit):
        return text.strip()  # nearly every text
    flags = {at for flag in _compiled(_TAGGED_FLAG).finditer(text) for at in range(*flag.span())}
    kept = (
        sign
        for at, sign in enumerate(text)
        if sign in _JOINERS or at in flags or not _is_dropped(sign)
    )
    line = "".join(" " if category(sign) in _BREAKS else sign for sign in kept)
    return _cut(re.sub(r"\s{2,}", " ", _joined(line)).strip(), limit)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of rare letters, compiled when a name needs it. It takes longer than the imports of
    all other modules together.
    """
    return re.compile(pattern)


def _is_plain(text: str, limit: int) -> bool:
    """Whether this is one line of ASCII without a run of blanks, short enough."""
    return text.isascii() and text.isprintable() and "  " not in text and len(text) <= limit


def exact(name: str, limit: int) -> str:
    """Return the full name of an account as one line of at most `limit` bytes.

    Each sign that shows nothing becomes U+FFFD, so that no two names look alike because of one.
    A longer name is cut as `clean` cuts it. Joiners and blanks other than one " " within the name
    count as such signs, so this is for names that are unique, and `clean` is for all others. What
    changes the letters around it stays: a joiner of Persian or of a script of India, the parts of
    an emoji, and U+3000 between two letters of Chinese, Japanese or Korean.
    """
    if _is_plain(name, limit) and name == name.strip():
        return name  # nearly every name
    name = re.sub("(.)\ufe0f", _without_idle_selector, name)
    shaping = {at for found in _compiled(_SHAPING).finditer(name) for at in range(*found.span())}
    shown = "".join(
        _INVISIBLE if at not in shaping and _hides(sign) else sign for at, sign in enumerate(name)
    )
    return _cut(re.sub(r"^ | (?= )| $", _INVISIBLE, shown), limit)


def _without_idle_selector(found: re.Match[str]) -> str:
    """A wide sign is a colour picture without a selector, too."""
    return f"{found[1]}{_INVISIBLE}" if east_asian_width(found[1]) == "W" else found[0]


def _hides(sign: str) -> bool:
    """Whether this shows nothing by itself."""
    kind = category(sign)
    return (
        kind in _BREAKS
        or sign in _JOINERS
        or _is_dropped(sign)
        or _compiled(_SELECTORS).match(sign) is not None
        or (kind == "Zs" and sign != " ")
    )


def marked(name: str) -> str:
    """Return `name` with brackets around what could be taken for letters of a to z.

    `<qr-login>` draws a box around the same signs: all that are not ASCII, except letters of
    scripts that look nothing like it, such as Chinese. So a name that begins with a Cyrillic
    letter, such as "[\u0430]lice", does not pass for "alice".
    """
    odd = _ODD if re.search("[A-Za-z]", name) else _ODD_ALONE
    return _compiled(odd).sub(lambda found: f"[{found.group()}]", name)


def masked(name: str) -> str:
    """Return what a browser may show of `name` before its login: its first and last letter.

    "Maria" becomes "M•••a", and a name of one or two letters shows the first. A letter is what a
    reader sees as one: an emoji sequence, or a letter with its marks. "" stays "".
    """
    letters = list(graphemes(clean(name, _UNCUT)))
    if not letters:
        return ""
    return f"{letters[0]}•••{letters[-1] if len(letters) > 2 else ''}"


def initial(name: str) -> str:
    """Return the first letter of `name` in upper case, for a picture of the user. "" stays ""."""
    return next(graphemes(clean(name, _UNCUT)), "").upper()


def _is_dropped(sign: str) -> bool:
    kind = category(sign)
    return kind in _DROPPED or sign in _FILLERS or (kind == "Cn" and _never_shown(sign))


def _never_shown(sign: str) -> bool:
    """Whether Unicode promises never to make this unassigned code point a visible character."""
    point = ord(sign)
    return (
        point & 0xFFFE == 0xFFFE
        or point == 0x2065
        or 0xFDD0 <= point <= 0xFDEF
        or 0xFFF0 <= point <= 0xFFF8
        or 0xE0000 <= point <= 0xE0FFF
    )


def _joined(text: str) -> str:
    """Remove the joiners that join nothing. After a mark, a joiner may end a Malayalam word."""
    kept = ""
    for at, sign in enumerate(text):
        if sign in _JOINERS:
            after = text[at + 1 : at + 2]
            before = kept[-1:]
            if not before or before in _JOINERS or before.isspace():
                continue
            if not category(before).startswith("M") and (
                not after or after in _JOINERS or after.isspace()
            ):
                continue
        kept += sign
    return kept


def _cut(text: str, limit: int) -> str:
    if len(text.encode()) <= limit:
        return text
    room = left = limit - len(_ELLIPSIS.encode())
    kept = ""
    for grapheme in graphemes(text):
        left -= len(grapheme.encode())
        if left < 0:
            break
        kept += grapheme
    if not kept:  # one letter with more marks than fit
        kept = text.encode()[:room].decode(errors="ignore")
    return kept.rstrip() + _ELLIPSIS


def graphemes(text: str) -> Iterator[str]:
    """Yield the pieces of `text` that a reader sees as one letter or one picture.

    This approximates the extended grapheme clusters of Unicode (UAX 29) with what Python knows of
    each character. An error of it keeps together what could be cut.
    """
    if text.isascii():  # nearly every text
        yield from text
        return
    cluster = ""
    for sign in text:
        if cluster and not _extends(cluster, sign):
            yield cluster
            cluster = ""
        cluster += sign
    if cluster:
        yield cluster


def _extends(cluster: str, sign: str) -> bool:
    """Whether this sign belongs to the same grapheme as the cluster before it."""
    last = cluster[-1]
    return (
        _is_mark(sign)
        or (last == _JOINER and not _is_regional(sign))  # 👩‍💻
        # a flag is two letters
        or (len(cluster) == 1 and _is_regional(last) and _is_regional(sign))
        or (category(sign) == "Lo" and _ends_in_virama(cluster))  # ක්ෂ
        or (_ends_a_syllable(sign) and _is_hangul(last))
        or (_begins_a_syllable(last) and (_begins_a_syllable(sign) or "가" <= sign <= "힣"))
    )


def _is_mark(sign: str) -> bool:
    """Whether this belongs to the letter or picture before it, whatever that is."""
    return (
        category(sign).startswith("M")  # accents, vowel signs, variation selectors
        or sign in _JOINERS
        or sign in _SPACING
        or "\U0001f3fb" <= sign <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= sign <= "\U000e007f"  # tags, which `clean` keeps in flags only
    )


def _ends_in_virama(cluster: str) -> bool:
    for sign in reversed(cluster):
        if combining(sign) == _VIRAMA:
            return True
        if not _is_mark(sign):
            break
    return False


def _is_regional(sign: str) -> bool:
    """Whether this is one of the two letters that make a flag."""
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def _begins_a_syllable(sign: str) -> bool:
    """Whether this is an initial consonant of a Hangul syllable written in parts."""
    return "\u1100" <= sign <= "\u115f" or "\ua960" <= sign <= "\ua97c"


def _ends_a_syllable(sign: str) -> bool:
    """Whether this is a vowel or final consonant of a Hangul syllable written in parts."""
    return "\u1160" <= sign <= "\u11ff" or "\ud7b0" <= sign <= "\ud7fb"


def _is_hangul(sign: str) -> bool:
    """Whether this is a Hangul syllable or a part of one."""
    return "가" <= sign <= "힣" or _begins_a_syllable(sign) or _ends_a_syllable(sign)
