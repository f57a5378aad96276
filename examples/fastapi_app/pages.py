"""How a page is made here: its words, its headers, and who may send a form to it."""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from fastapi.templating import Jinja2Templates
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qrlogin import browser
from qrlogin.errors import Forbidden
from qrlogin.wire import Request as Asked
from qrlogin.wire.validation import check_origin, read_form

FOLDER: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
GUARDS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # and not less: without a referrer, browsers say `Origin: null` for a form
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FIELDS: Final = ("name", "password", "next")
_OWN_PATH: Final = re.compile(r"/([\w.=-]+(/[\w.=-]+)*)?(\?[\w.=&-]*)?", re.ASCII)

_templates = Jinja2Templates(FOLDER / "templates")


def page(request: Request, template: str, status: int = 200, **words: object) -> Response:
    lang = _language(request)
    return _templates.TemplateResponse(
        request, template, {"lang": lang, "t": browser.texts(lang)["pages"], **words}, status
    )


def message(
    request: Request, status: int, key: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A page that says one thing."""
    answer = page(request, "message.html", status, heading=translate(request, key))
    answer.headers.update(headers or {})
    return answer


def see_other(path: str) -> Response:
    return RedirectResponse(path, 303)


def translate(request: Request, key: str, **words: object) -> str:
    return browser.translate(_language(request), key, **words)


def own_path(text: str) -> str:
    """A path of this site, or its first page: what stands there may come from anybody."""
    return text if _OWN_PATH.fullmatch(text) else "/"


async def read_own_form(request: Request, origin: str) -> Mapping[str, str]:
    """The fields of a form that a page of this very site sent, so that no other site acts in somebody's name.

    The guards are those of qrlogin: `Origin` and `Sec-Fetch-Site` must fit, one of them must be there, as browsers see to, and
    a form has 4 KB at most. Raises `BadRequest`.
    """
    asked = await Asked.from_asgi(request.scope, request.receive, "")
    if not check_origin(asked, origin):
        raise Forbidden("a browser says where a form comes from")
    sent = read_form(asked, FIELDS) if asked.body else {}
    fields = {name: unicodedata.normalize("NFC", text) for name, text in sent.items()}
    return {**fields, "name": fields.get("name", "").strip()}


def _language(request: Request) -> str:
    return browser.language(request.headers.get("Accept-Language", ""))


class Guarded:
    """Middleware: what every answer says that does not say otherwise. The page of the docs runs scripts of another host."""

    def __init__(self, app: ASGIApp, docs: str | None) -> None:
        self.app, self.docs = app, docs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in GUARDS.items():
                    if name != "Content-Security-Policy" or scope["path"] != self.docs:
                        headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)
