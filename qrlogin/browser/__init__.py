"""What runs in a browser: hand-written ES modules, shipped as they are, and the catalogue of texts that Python reads, too.

Knows where the bytes are, and which language a person asked for. Knows nothing of logins, HTTP or caching: who serves the
modules decides about headers, and who fills a page decides about escaping.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final
from unicodedata import category

__all__ = ["ELEMENT", "LANGUAGES", "MODULES", "element", "language", "module", "texts", "translate"]

ELEMENT: Final = "qr-login-element.js"
"""The module that defines <qr-login>: its file name, inside this package and below a mount."""

MODULES: Final = tuple(
    sorted(each.name for each in files(__package__).iterdir() if each.name.endswith(".js"))
)
"""The file names of all modules. They import each other by `./name`, so they are served side by side."""

_JOINERS: Final = "\u200c\u200d"  # emoji, Persian and the scripts of India are written with them
_CATALOGUE: Final = "qr-login-texts.js"
_RANGE: Final = re.compile(
    r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)(?:\s*;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?))?", re.ASCII
)


@cache
def module(name: str) -> bytes:
    """A module's source, UTF-8; read once per process. Serve it as `text/javascript`. Raises `KeyError` for no name of ours."""
    if name not in MODULES:
        raise KeyError(name)
    return files(__package__).joinpath(name).read_bytes()


def element() -> bytes:
    """The source of the module that defines <qr-login>. It imports others of `MODULES`: serve all of them."""
    return module(ELEMENT)


@cache
def _catalogue() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    source = module(_CATALOGUE).decode()
    start = source.index("{", source.index("export const TEXTS"))
    return MappingProxyType(
        {
            tag: MappingProxyType(
                {name: MappingProxyType(strings) for name, strings in sections.items()}
            )
            for tag, sections in json.JSONDecoder().raw_decode(source, start)[0].items()
        }
    )


LANGUAGES: Final = tuple(_catalogue())
"""The languages of the catalogue, as BCP 47 spells them; the first is the one that everything falls back to."""


def texts(lang: str) -> Mapping[str, Mapping[str, str]]:
    """The catalogue in one language: sections `login`, `approve` and `pages`, each a mapping from key to text.

    `lang` is one of `LANGUAGES`, as `language()` finds it, or any language tag that is looked up in the same way. The texts are
    plain: escape what you put into HTML. `{words}` in braces are for the page to replace.
    """
    return _catalogue()[_find(lang) or LANGUAGES[0]]


def translate(lang: str, key: str, /, **words: object) -> str:
    """A text of the pages, its {words} filled in. A word that is no number is one line that hides nothing and cannot turn what
    stands around it (Unicode's isolates), as the elements show a name.

    Raises KeyError for no key of the catalogue, and when a word is missing. The result is plain: escape it in HTML.
    """
    shown = {
        word: str(value) if isinstance(value, int) else f"\u2068{_plain(value)}\u2069"
        for word, value in words.items()
    }
    return re.sub(r"\{(\w+)\}", lambda place: shown[place[1]], texts(lang)["pages"][key])


def _plain(word: object) -> str:
    return "".join(
        each
        for each in str(word)
        if each in _JOINERS or category(each) not in ("Cc", "Cf", "Zl", "Zp")
    )


def language(accept_language: str) -> str:
    """The language of the catalogue that a browser's Accept-Language asks for (RFC 9110 section 12.5.4); English if none fits.

    Lookup as in RFC 4647 section 3.4, and then by the primary language alone: zh-TW gets zh-CN rather than English. What is no
    language range is passed over.
    """
    ranges = (_RANGE.fullmatch(part.strip()) for part in accept_language[:1000].split(","))
    wanted = [(min(float(fits[2] or 1), 1.0), fits[1]) for fits in ranges if fits]
    refused = {tag.lower() for quality, tag in wanted if quality == 0}
    for _, tag in sorted((each for each in wanted if each[0] > 0), key=lambda each: -each[0]):
        found = (
            next((each for each in LANGUAGES if each.lower() not in refused), None)
            if tag == "*"
            else _find(tag)
        )
        if found and found.lower() not in refused:
            return found
    return LANGUAGES[0]


def _find(tag: str) -> str | None:
    exact = next((each for each in LANGUAGES if each.lower() == tag.lower()), None)
    same = (
        each
        for each in LANGUAGES
        if each.partition("-")[0].lower() == tag.partition("-")[0].lower()
    )
    return exact or next(same, None)
