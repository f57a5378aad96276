"""In which language a page speaks, and what it says: the catalogue of `qrlogin.browser`, else Django's own words."""

from typing import Final

from django.http import HttpRequest

from qrlogin import browser

_DJANGO: Final = {"zh-CN": "zh-hans"}  # the same language under Django's name


def spoken(request: HttpRequest) -> str:
    return browser.language(request.headers.get("Accept-Language", ""))


def by_django(request: HttpRequest) -> str:
    """The language as Django's own messages know it."""
    return _DJANGO.get(spoken(request), spoken(request))


def translate(request: HttpRequest, key: str, **words: object) -> str:
    return browser.translate(spoken(request), key, **words)


def context(request: HttpRequest) -> dict[str, object]:
    """For every template: `lang`, and the texts `t`."""
    return {"lang": spoken(request), "t": browser.texts(spoken(request))["pages"]}
