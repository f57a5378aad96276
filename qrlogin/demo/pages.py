"""The demo's pages, and their security headers. It knows nothing of logins.

HTML, CSS and JavaScript are files in assets/. The Content-Security-Policy allows no inline style or
script, so no page contains any. Every text is from the catalogue, in the browser's language.
"""

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from qrlogin.browser import LANGUAGES, texts
from qrlogin.demo.people import PEOPLE, Account
from qrlogin.render import matrix_path
from qrlogin.wire import Response

ASSETS: Final = {
    "style.css": "text/css; charset=utf-8",
    "phone.js": "text/javascript; charset=utf-8",
    "gallery.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

THEMES: Final = {"": "demoThemeSystem", "light": "demoThemeLight", "dark": "demoThemeDark"}
"""The themes of the gallery, and the text for each."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def login(lang: str) -> Response:
    """The login page. `lang` is a language of the catalogue, here and below."""
    return _page("login.html", lang)


def logged_in(account: Account, lang: str) -> Response:
    """A session's page. Its form needs a referrer: without one, browsers send `Origin: null`."""
    headers = SECURITY_HEADERS | {"Referrer-Policy": "same-origin"}
    heading = _texts(lang)["loggedInAs"].replace("{name}", escape(account.name))
    return _page(
        "logged_in.html",
        lang,
        headers=headers,
        account=account.key,
        initial=account.name[0],
        loggedInAs=heading,
    )


def phone(lang: str) -> Response:
    """The phone. The page is the same for every code: <qr-approve> reads the address."""
    return _page("phone.html", lang, accounts=_buttons(_texts(lang)["demoPhoneOf"]))


def gallery(lang: str, theme: str, address: str) -> Response:
    """Every state of the elements. `theme` is one of THEMES; the codes contain `address`."""
    code = matrix_path(address)
    known = _texts(lang)
    return _page(
        "gallery.html",
        lang,
        theme=theme,
        size=str(code.size),
        path=code.path,
        languages=_options({each: each for each in LANGUAGES}, lang),
        themes=_options({each: known[key] for each, key in THEMES.items()}, theme),
    )


def not_found(lang: str) -> Response:
    return _page("not_found.html", lang, status=404)


def see_other(address: str) -> Response:
    return Response(303, (("Location", address), *SECURITY_HEADERS.items()))


def asset(name: str) -> Response:
    return Response(
        200, (("Content-Type", ASSETS[name]), *SECURITY_HEADERS.items()), _read(name).encode()
    )


def _page(
    file: str,
    lang: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] = SECURITY_HEADERS,
    **html: str,
) -> Response:
    """An asset with its {placeholders} replaced: by `html`, or by the texts of the catalogue.

    :param file: the name of the asset
    :param lang: a language of the catalogue
    :param status: the HTTP status
    :param headers: the headers beside the Content-Type
    :param html: HTML by placeholder, which must be safe: it is not escaped
    """
    filled = {**_texts(lang), **html, "lang": lang}
    body = re.sub(r"\{(\w+)\}", lambda found: filled[found[1]], _read(file))
    return Response(
        status, (("Content-Type", "text/html; charset=utf-8"), *headers.items()), body.encode()
    )


def _texts(lang: str) -> Mapping[str, str]:
    return {key: escape(text) for key, text in texts(lang)["pages"].items()}


def _options(labels: Mapping[str, str], chosen: str) -> str:
    """The options of a select: their labels, which are HTML, by value."""
    return "".join(
        f'<option value="{value}"{" selected" if value == chosen else ""}>{label}</option>'
        for value, label in labels.items()
    )


def _buttons(label: str) -> str:
    """A button for each account. They are constants: no page shows anything from a request."""
    return "".join(
        f'<button class="button" type="button" data-account="{account.key}">'
        f'<span class="face" data-person="{account.key}" aria-hidden="true">'
        f"{account.name[0]}</span>"
        f"{label.replace('{name}', account.name)}</button>"
        for account in PEOPLE.values()
    )


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text("utf-8")
