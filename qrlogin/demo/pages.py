"""The demo's pages and the headers that guard them. HTML, CSS and JavaScript lie in assets/, and no page holds any of the
latter two: the Content-Security-Policy allows neither inline. It knows no login.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

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


def desk() -> Response:
    """The browser that wants to be logged in."""
    return _page("desk.html")


def logged_in(account: Account) -> Response:
    """Its form must be able to say where it comes from: without a referrer, browsers say `Origin: null`."""
    guards = GUARDS | {"Referrer-Policy": "same-origin"}
    return _page("in.html", guards=guards, account=account.key, initial=account.name[0], name=account.name)


def phone() -> Response:
    """The phone. The same page for every code: its script reads the address."""
    return _page("phone.html", accounts=_buttons("{}&rsquo;s phone"), continuing=_buttons("Continue as {}"))


def not_found() -> Response:
    return _page("missing.html", status=404)


def see_other(address: str) -> Response:
    return Response(303, (("Location", address), *GUARDS.items()))


def asset(name: str) -> Response:
    return Response(200, (("Content-Type", ASSETS[name]), *GUARDS.items()), _read(name).encode())


def _page(file: str, *, status: int = 200, guards: Mapping[str, str] = GUARDS, **html: str) -> Response:
    body = _read(file)
    for word, value in html.items():
        body = body.replace("{" + word + "}", value)
    return Response(status, (("Content-Type", "text/html; charset=utf-8"), *guards.items()), body.encode())


def _buttons(say: str) -> str:
    """One for each of the people. They are our own constants: nothing that came over the network is ever put into a page."""
    return "".join(
        f'<button class="button" type="button" data-account="{who.key}">'
        f'<span class="face" data-person="{who.key}" aria-hidden="true">{who.name[0]}</span>{say.format(who.name)}</button>'
        for who in PEOPLE.values()
    )


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text("utf-8")
