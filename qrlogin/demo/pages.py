"""The demo's pages and the headers that guard them. HTML, CSS and JavaScript lie in assets/, and no page holds any of the
latter two: the Content-Security-Policy allows neither inline. Their words are those of the catalogue, in the language that a
browser asks for. It knows no login.
"""

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from qrlogin.browser import texts
from qrlogin.demo.people import PEOPLE, Account
from qrlogin.wire import Response

ASSETS: Final = {
    "style.css": "text/css; charset=utf-8",
    "phone.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
GUARDS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def desk(lang: str) -> Response:
    """The browser that wants to be logged in. `lang` is a language of the catalogue, here and below."""
    return _page("desk.html", lang)


def logged_in(account: Account, lang: str) -> Response:
    """Its form must be able to say where it comes from: without a referrer, browsers say `Origin: null`."""
    guards = GUARDS | {"Referrer-Policy": "same-origin"}
    inside = _words(lang)["loggedInAs"].replace("{name}", escape(account.name))
    return _page(
        "in.html",
        lang,
        guards=guards,
        account=account.key,
        initial=account.name[0],
        loggedInAs=inside,
    )


def phone(lang: str) -> Response:
    """The phone. The same page for every code: <qr-approve> reads the address."""
    return _page("phone.html", lang, accounts=_buttons(_words(lang)["demoPhoneOf"]))


def not_found(lang: str) -> Response:
    return _page("missing.html", lang, status=404)


def see_other(address: str) -> Response:
    return Response(303, (("Location", address), *GUARDS.items()))


def asset(name: str) -> Response:
    return Response(200, (("Content-Type", ASSETS[name]), *GUARDS.items()), _read(name).encode())


def _page(
    file: str, lang: str, *, status: int = 200, guards: Mapping[str, str] = GUARDS, **html: str
) -> Response:
    """An asset with its {words} filled in, by a text of the catalogue or by `html`. Raises KeyError for any other."""
    words = {**_words(lang), **html, "lang": lang}
    body = re.sub(r"\{(\w+)\}", lambda word: words[word[1]], _read(file))
    return Response(
        status, (("Content-Type", "text/html; charset=utf-8"), *guards.items()), body.encode()
    )


def _words(lang: str) -> Mapping[str, str]:
    return {key: escape(text) for key, text in texts(lang)["pages"].items()}


def _buttons(say: str) -> str:
    """One for each of the people. They are our own constants: nothing that came over the network is ever put into a page."""
    return "".join(
        f'<button class="button" type="button" data-account="{who.key}"><span class="face" data-person="{who.key}"'
        f' aria-hidden="true">{who.name[0]}</span>{say.replace("{name}", who.name)}</button>'
        for who in PEOPLE.values()
    )


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text("utf-8")
