"""The ES modules that run in the browser, and their catalogue of texts, which Python reads too.

This package knows where the modules are and which language a browser asks for. It does not know
logins, HTTP or caching: the caller that serves the modules sets the headers, and the caller that
fills a page escapes the texts.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from qrlogin.names import clean

__all__ = [
    "BUNDLE",
    "ELEMENT",
    "LANGUAGES",
    "MODULES",
    "element",
    "language",
    "module",
    "texts",
    "translate",
    "version",
]

ELEMENT: Final = "qr-login-element.js"
"""The file name of the module that defines <qr-login>, in this package and below a mount."""

BUNDLE: Final = "qr-login-bundle.js"
"""The file name of one module with both elements, for a page that should make one request.

It is minified. The texts of another language than English stay modules of their own."""

MODULES: Final = tuple(
    sorted(file.name for file in files(__package__).iterdir() if file.name.endswith(".js"))
)
"""The file names of all modules. They import each other as `./name`, so serve them side by side."""

_LONGEST_WORD: Final = 200  # bytes of a name in a text, as in the elements
_CATALOGUE: Final = "qr-login-texts.js"  # the list of languages, and the English texts
_RANGE: Final = re.compile(
    r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)(?:\s*;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?))?", re.ASCII
)


@cache
def module(name: str) -> bytes:
    """Returns the source of a module, in UTF-8. Serve it as `text/javascript`.

    Each file is read once per process. Raises `KeyError` for a name that is not in `MODULES`.
    """
    if name not in MODULES:
        raise KeyError(name)
    return files(__package__).joinpath(name).read_bytes()


@cache
def version() -> str:
    """Returns what names the modules of this release: 16 hexadecimal digits.

    They are the same in every process with the same modules. A page that loads
    `{mount}/modules/{version}/qr-login-element.js` need not ask again whether it has changed.
    """
    digest = hashlib.sha256()
    for name in MODULES:
        digest.update(module(name))
    return digest.hexdigest()[:16]


def element() -> bytes:
    """Returns the source of the module that defines <qr-login>.

    It imports other modules: serve all of `MODULES`.
    """
    return module(ELEMENT)


def _literal(name: str, before: str) -> Any:
    """The JSON literal in a module that follows the text `before`."""
    source = module(name).decode()
    return json.JSONDecoder().raw_decode(source, source.index("{", source.index(before)))[0]


_OTHER_TAGS: Final[Mapping[str, Sequence[str]]] = _literal(_CATALOGUE, "export const LANGUAGES")

LANGUAGES: Final = tuple(_OTHER_TAGS)
"""The languages of the catalogue, as BCP 47 tags. The first one is the fallback."""


@cache
def _read(tag: str) -> Mapping[str, Mapping[str, str]]:
    sections = (
        _literal(_CATALOGUE, "const ENGLISH")
        if tag == LANGUAGES[0]
        else _literal(f"qr-login-texts-{tag}.js", "export default")
    )
    return MappingProxyType({name: MappingProxyType(each) for name, each in sections.items()})


def texts(lang: str) -> Mapping[str, Mapping[str, str]]:
    """Returns the catalogue in one language: the sections `both`, `login`, `approve` and `pages`.

    Each section is a mapping from key to text. Both elements show the texts of `both`. `lang` is
    one of `LANGUAGES`, as `language()` returns it, or any other language tag: the same lookup
    applies. The texts are plain text: escape them in HTML. The page replaces the `{words}` in
    braces. The text `direction` in `pages` is the value of `dir` for a page in this language:
    "ltr", or "rtl" for Arabic.
    """
    return _read(_find(lang) or LANGUAGES[0])


def translate(lang: str, key: str, /, **words: object) -> str:
    """Returns a text of the section `pages`, with its {words} filled in.

    A word that is not a number is cleaned as names are, cut at 200 bytes, and enclosed in Unicode
    isolates, so it cannot hide text or change the direction of the text around it. The elements
    show names in the same way.

    Returns plain text: escape it in HTML. Raises `KeyError` for an unknown key, and when a word is
    missing.

    :param lang: one of `LANGUAGES`, or any other language tag, as for `texts()`
    :param key: the name of the text in the section `pages`
    :param words: the value of each `{word}` in the text, by name
    """
    shown = {
        word: str(value)
        if isinstance(value, int)
        else f"\u2068{clean(str(value), _LONGEST_WORD)}\u2069"
        for word, value in words.items()
    }
    return re.sub(r"\{(\w+)\}", lambda place: shown[place[1]], texts(lang)["pages"][key])


def language(accept_language: str) -> str:
    """Returns the language of the catalogue that fits an Accept-Language header, else English.

    The header is that of RFC 9110 section 12.5.4. The lookup follows RFC 4647 section 3.4 and then
    compares the primary language alone: pt-PT gets pt, not English. zh-Hant, zh-HK and zh-MO get
    zh-TW; all other kinds of Chinese get zh-CN. Invalid language ranges are ignored.
    """
    ranges = (_RANGE.fullmatch(part.strip()) for part in accept_language[:1000].split(","))
    wanted = [(min(float(fits[2] or 1), 1.0), fits[1]) for fits in ranges if fits]
    refused = {tag.lower() for quality, tag in wanted if quality == 0}
    acceptable = [(quality, tag) for quality, tag in wanted if quality > 0]
    for _, tag in sorted(acceptable, key=lambda pair: -pair[0]):
        found = (
            next((known for known in LANGUAGES if known.lower() not in refused), None)
            if tag == "*"
            else _find(tag)
        )
        if found and found.lower() not in refused:
            return found
    return LANGUAGES[0]


def _find(tag: str) -> str | None:
    """The language with this tag, else with a shorter one, else with the same primary language."""
    wanted = tag.lower()
    while wanted:
        for known, others in _OTHER_TAGS.items():
            if wanted in (known.lower(), *map(str.lower, others)):
                return known
        wanted = wanted.rpartition("-")[0]
    primary = tag.partition("-")[0].lower()
    same = (known for known in LANGUAGES if known.partition("-")[0].lower() == primary)
    return next(same, None)
