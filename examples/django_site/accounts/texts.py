"""The language of a page and its texts, which come from `qrlogin.browser`."""

from typing import Final

from django.http import HttpRequest

from qrlogin import browser

#: Django's tag for the same language, where it has another one.
_DJANGO: Final = {"zh-CN": "zh-hans", "zh-TW": "zh-hant", "pt": "pt-br"}


def language(request: HttpRequest) -> str:
    """The language tag that fits the browser's Accept-Language best."""
    return browser.language(request.headers.get("Accept-Language", ""))


def django_language(request: HttpRequest) -> str:
    """The same under Django's tag, for Django's own messages."""
    return _DJANGO.get(language(request), language(request))


def translate(request: HttpRequest, key: str, **values: object) -> str:
    """The text with this key in the language of the page."""
    return browser.translate(language(request), key, **values)


def context(request: HttpRequest) -> dict[str, object]:
    """Variables for every template: the language `lang` and the texts `t`."""
    return {"lang": language(request), "t": browser.texts(language(request))["pages"]}
