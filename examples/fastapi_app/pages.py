"""What all pages need: templates, texts, security headers, and the check of a form's origin."""

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
from qrlogin.names import clean
from qrlogin.wire import Request as WireRequest
from qrlogin.wire import validation
from qrlogin.wire.message import BODY_CAP
from qrlogin.wire.validation import check_origin

FOLDER: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": browsers would then send `Origin: null` with a form.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FIELDS: Final = ("name", "password", "next", "session", "do")
_LOCAL_PATH: Final = re.compile(r"/([\w.=-]+(/[\w.=-]+)*)?(\?[\w.=&-]*)?", re.ASCII)

_templates = Jinja2Templates(FOLDER / "templates")


def page(request: Request, template: str, status: int = 200, **variables: object) -> Response:
    """The template, with these variables, the language `lang` and the texts `t`."""
    lang = language(request)
    variables |= {"lang": lang, "t": browser.texts(lang)["pages"]}
    return _templates.TemplateResponse(request, template, variables, status)


def message(
    request: Request, status: int, key: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A page with one sentence."""
    answer = page(request, "message.html", status, heading=translate(request, key))
    answer.headers.update(headers or {})
    return answer


def see_other(path: str) -> Response:
    return RedirectResponse(path, 303)


def translate(request: Request, key: str, **values: object) -> str:
    """The text with this key in the browser's language."""
    return browser.translate(language(request), key, **values)


def local_path(text: str) -> str:
    """The text if it is a path of this site, else the first page: any link can set `next`."""
    return text if _LOCAL_PATH.fullmatch(text) else "/"


async def read_form(request: Request, origin: str) -> Mapping[str, str]:
    """The fields of a form that a page of this site sent.

    A page of another site must not act in a user's name. As for qrlogin's own routes, `Origin` and
    `Sec-Fetch-Site` must match this site, and at least one of them must be present. A form has at
    most 4 KB. Raises `BadRequest`.
    """
    asked = await WireRequest.from_asgi(request.scope, request.receive, "")
    if not check_origin(asked, origin):
        raise Forbidden("the request does not say which site sent the form")
    sent = validation.read_form(asked, FIELDS) if asked.body else {}
    # A name loses what nobody sees, here and at the next login: no name is an error.
    fields = {**sent, "name": clean(sent.get("name", ""), BODY_CAP)}
    # Normalized, because keyboards compose the same letter differently.
    return {name: unicodedata.normalize("NFC", text) for name, text in fields.items()}


def language(request: Request) -> str:
    """The language tag that fits the browser's Accept-Language best."""
    return browser.language(request.headers.get("Accept-Language", ""))


class SecurityHeaders:
    """Middleware that adds `HEADERS` to every response, except those that a view has set itself.

    The page of the docs gets no Content-Security-Policy, because it runs scripts of another host.
    """

    def __init__(self, app: ASGIApp, docs: str | None, secure: bool) -> None:
        self.app, self.docs, self.secure = app, docs, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    if name != "Content-Security-Policy" or scope["path"] != self.docs:
                        headers.setdefault(name, value)
                if self.secure:
                    # An hour. Make it a year when every page of this host works over https.
                    headers.setdefault("Strict-Transport-Security", "max-age=3600")
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
