"""In which language a page speaks, and what it says: the catalogue of `qrlogin.browser`, else Django's own words."""

from typing import Final

from django.http import HttpRequest

from qrlogin.browser import language, texts

_DJANGO: Final = {"zh-CN": "zh-hans"}  # the same language under Django's name


def spoken(request: HttpRequest) -> str:
    return language(request.headers.get("Accept-Language", ""))


def by_django(request: HttpRequest) -> str:
    """The language as Django's own messages know it."""
    return _DJANGO.get(spoken(request), spoken(request))


def say(request: HttpRequest, key: str, **words: object) -> str:
    """A text of the catalogue. What is put into it cannot turn the text around it (Unicode's isolates)."""
    text = texts(spoken(request))["pages"][key]
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", f"\u2068{value}\u2069" if isinstance(value, str) else str(value))
    return text


def context(request: HttpRequest) -> dict[str, object]:
    """For every template: `lang`, and the texts `t`."""
    return {"lang": spoken(request), "t": texts(spoken(request))["pages"]}
