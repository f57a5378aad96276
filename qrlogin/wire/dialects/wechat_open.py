"""The dialect of WeChat's open platform: a page that shows the code, and a redirect with a `wx_code` for an application.

GET connect/qrconnect?appid=&redirect_uri=&state=    the page, and a cookie
GET connect/qrcode/{uuid}                            the picture, which says:
GET connect/confirm?uuid=                            what an ordinary camera opens
GET connect/l/qrconnect?uuid=&last=                  window.wx_errcode=408 nothing new, 404 scanned, 403 not approved, 402 gone,
                                                     405 with window.wx_code; `f=json` says the same in JSON
GET connect/callback?code=                           where codes go that no application asked for: logs the browser in
GET sns/oauth2/access_token?appid=&secret=&code=     for an application's server, which sends the browser's Cookie header along

A code is worthless without the cookie of the browser that asked for it, so it is no bearer ticket for whoever reads an address
or a log. The price: an application must lie on this very host, on any port, for browsers give the cookie to no other.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from html import escape
from importlib.resources import files
from typing import ClassVar, Final, Unpack
from urllib.parse import quote, urlsplit

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.arguments import check_sync_callback
from qrlogin.core import Core
from qrlogin.errors import BadRequest, NotYours, QRLoginError, Superseded, Unavailable, UnknownLogin
from qrlogin.table import State
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.base import client_id_for
from qrlogin.wire.dialects.public_id import (
    COOKIE_PROOF,
    CROWDED_ANSWER,
    HEADERS,
    PICTURE_ANSWER,
    REDEEM_ERRORS,
    REDIRECT_ANSWER,
    SCRIPT_ANSWER,
    Handler,
    MountOptions,
    PublicIdDialect,
    check_hold_seconds,
    query_parameter,
    required_value,
    script,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import JSON, Answer, Field, Route, an_object
from qrlogin.wire.validation import read_some

_PAGE: Final = "connect/qrconnect"
_PICTURE: Final = "connect/qrcode/{code}"
_SCAN: Final = "connect/confirm"
_POLL: Final = "connect/l/qrconnect"
_CALLBACK: Final = "connect/callback"
_TOKEN: Final = "sns/oauth2/access_token"  # noqa: S105 - a path

_STATES: Final = StateMap(pending=408, scanned=404, confirmed=405, denied=403, gone=402, error=500)
_RELEASED: Final = 403  # the same word as for denied: only the next answer tells them apart
#: What `last` says that a client knows; all others know that the login is pending.
_TOLD: Final = {"404": State.SCANNED}
#: After what `last` a word is said in another way.
_AGAIN: Final = {
    ("404", _STATES.scanned): _STATES.pending,  # no news
    ("404", _STATES.pending): _RELEASED,
    ("403", _STATES.denied): _STATES.gone,
}
_UUID: Final = Field("uuid", "the public id of the login", required=True)
_WORD: Final = Answer(
    200,
    "The same, with f=json",
    JSON,
    an_object({"wx_errcode": {"type": "integer"}, "wx_code": {"type": "string"}}),
)
_TICKET: Final = 32  # characters at the end of a wx_code; before them is the uuid
_QUIET: Final = ("Referrer-Policy", "no-referrer")  # a code stands in the address
_APPID: Final = re.compile(r"[A-Za-z0-9_.-]{0,64}")
_STATE: Final = 512  # characters
_POLICY: Final = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class WeChatOpen(PublicIdDialect):
    """QR login for applications on this host.

    `redirect_uris(appid, address)` says whether an application registered an address; those of this origin always go, and those
    of other hosts never. `clients(appid, secret)` says whether these belong together: compare with `hmac.compare_digest`.
    What `sns/oauth2/access_token` hands out is yours: answer with `response.with_json(tokens)` when `response.redeemed` is set,
    and set no cookie there. `hold` is how many seconds an answer is waited for.
    """

    browser_routes: tuple[Route, ...] = (
        Route(
            "GET",
            _PAGE,
            "Begin a login for this browser, and show it",
            query=(
                Field("appid", "at most 64 letters, digits or _.-"),
                Field(
                    "redirect_uri",
                    "an address on this host, registered for this appid; default: connect/callback",
                ),
                Field("state", f"at most {_STATE} characters, given back with the code"),
                Field("self_redirect", '"true" to go on in this very frame'),
            ),
            answers=(Answer(200, "The page", "text/html", {"type": "string"}),),
            errors=(Unavailable,),
        ),
        Route(
            "GET", _PICTURE, "The QR code as PNG", answers=(PICTURE_ANSWER,), errors=(UnknownLogin,)
        ),
        Route(
            "GET",
            _SCAN,
            "What the picture's address opens",
            cross_site=True,
            query=(_UUID,),
            answers=(REDIRECT_ANSWER,),
            errors=(UnknownLogin,),
        ),
        Route(
            "GET",
            _POLL,
            "Where the login stands; held while there is no news",
            query=(
                _UUID,
                Field("last", "the word that you were last told"),
                Field("f", '"json" for no script'),
            ),
            answers=(SCRIPT_ANSWER, _WORD, CROWDED_ANSWER),
            errors=(Superseded,),
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _CALLBACK,
            "Log the browser in, once",
            query=(Field("code", "the wx_code of the poll", required=True),),
            answers=(REDIRECT_ANSWER,),
            errors=REDEEM_ERRORS,
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _TOKEN,
            "The same for an application's server",
            query=(
                Field("appid", "the application's"),
                Field("secret", "the application's"),
                Field("code", "what the browser brought"),
                Field("grant_type", '"authorization_code"'),
            ),
            answers=(
                Answer(
                    200, "The application's tokens, or errcode and errmsg", JSON, {"type": "object"}
                ),
            ),
            proofs=COOKIE_PROOF,
        ),
    )
    default_lifetime: ClassVar[int] = 300

    def __init__(
        self,
        core: Core,
        *,
        hold: float = 25,
        redirect_uris: Callable[[str, str], bool] = lambda appid, address: False,
        clients: Callable[[str, str], bool] = lambda appid, secret: False,
        **mounting: Unpack[MountOptions],
    ) -> None:
        super().__init__(core, **mounting)
        self._hold = check_hold_seconds(hold)
        self._registered, self._clients = (
            check_sync_callback(redirect_uris),
            check_sync_callback(clients),
        )
        scheme, _, host = core.origin.partition("://")
        host = re.sub(r":[0-9]+$", "", host)
        # As plain as browsers and urllib read alike: no user, no backslash, no fragment, nothing to escape in HTML or a header.
        self._address = re.compile(
            rf"({scheme}://{re.escape(host)}(?::[0-9]{{1,5}})?)(?:[/?][A-Za-z0-9_~!$&()*+,;=:@./?%-]*)?"
        )

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _PAGE: self._page,
            _PICTURE: lambda _, code: self.picture(code, f"{self.at}{_SCAN}?uuid={code}"),
            _SCAN: lambda request, _: self.open_page(query_parameter(request, "uuid")),
            _POLL: self._poll,
            _CALLBACK: self._callback,
            _TOKEN: self._token,
        }

    def _page(self, request: Request, _: str) -> Exchange[Begun]:
        query = read_some(request.query, ("appid", "redirect_uri", "state", "self_redirect"))
        appid, state = query.get("appid", ""), query.get("state", "")
        if not _APPID.fullmatch(appid) or len(state) > _STATE:
            raise BadRequest(
                f"appid has at most 64 letters, digits or _.- and state at most {_STATE} characters"
            )
        target = self._target(appid, query.get("redirect_uri", f"{self.at}{_CALLBACK}"))
        below = urlsplit(self.at).path

        def answer(begun: Begun) -> Response:
            fields = {
                "uuid": begun.scan_code,
                "picture": f"{below}connect/qrcode/{begun.scan_code}",
                "poll": f"{below}{_POLL}",
                "target": target,
                "state": quote(state, safe=""),
                "frame": "self" if query.get("self_redirect") == "true" else "",
            }
            html = re.sub(r"\{\{(\w+)\}\}", lambda found: escape(fields[found[1]]), _template())
            allowed = "".join(
                f"; {kind}-src '{_digest(html, tag)}'"
                for kind, tag in (("script", "script"), ("style", "style"))
            )
            headers = (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Security-Policy", _POLICY + allowed),
                _QUIET,
                *HEADERS,
            )
            return Response(200, headers, html.encode())

        return self.begin(request, answer, client_id=appid)

    def _target(self, appid: str, address: str) -> str:
        """The address, ready for a parameter to be added. An address that nobody vouches for is never gone to."""
        found = self._address.fullmatch(address)
        if not found or not (
            found[1] == self._core.origin or self._registered(appid, address) is True
        ):
            raise BadRequest(
                "redirect_uri is not registered for this appid, or not on this host: nobody could use the code there"
            )
        return address + ("&" if "?" in address else "?")

    def _poll(self, request: Request, _: str) -> Exchange[Status]:
        query = read_some(request.query, ("uuid", "last", "f"))
        uuid, last = required_value(query, "uuid"), query.get("last", "")
        device = self.device_code(request, uuid)

        def answer(seen: Status) -> Response:
            word = _STATES.of(seen)
            return _said(
                request, _AGAIN.get((last, word), word), uuid + seen.ticket if seen.ticket else ""
            )

        return self.held_status(device, _TOLD.get(last), self._hold, answer)

    def _callback(self, request: Request, _: str) -> Exchange[Redeemed]:
        uuid, ticket = _parts(read_some(request.query, ("code",)))
        gone_on = Response(302, (("Location", self.landing), _QUIET, *HEADERS))
        return self.exchange(self.device_code(request, uuid), ticket, lambda _: gone_on)

    def _token(self, request: Request, _: str) -> Exchange[Redeemed] | Response:
        query = read_some(request.query, ("appid", "secret", "code", "grant_type"))
        if query.get("grant_type") != "authorization_code":
            return _failed(40002, "invalid grant_type")
        if self._clients(query.get("appid", ""), query.get("secret", "")) is not True:
            return _failed(40125, "invalid appsecret")
        uuid, ticket = _parts(query)
        device = self.device_code(request, uuid)
        if device.client_id != client_id_for(self, query.get("appid", "")):
            raise NotYours("another application began this login")
        return self.exchange(
            device,
            ticket,
            lambda _: replace(Response.json(200, {}).with_headers(*HEADERS), tokens_wanted=True),
        )

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        word = _STATES.of_error(error)
        if word is not None and request.path == _POLL:
            return _said(request, word, "")
        if word is not None and request.path == _TOKEN:
            return (
                _failed(-1, "system error")
                if word == _STATES.error
                else _failed(40029, "invalid code")
            )
        return super().refuse(request, error)


def _parts(query: Mapping[str, str]) -> tuple[str, str]:
    code = required_value(query, "code")
    return code[:-_TICKET], code[-_TICKET:]


def _said(request: Request, word: int, wx_code: str) -> Response:
    if read_some(request.query, ("f",)).get("f") == "json":
        return Response.json(200, {"wx_errcode": word, "wx_code": wx_code}).with_headers(*HEADERS)
    return script(f"window.wx_errcode={word};window.wx_code='{wx_code}';")


def _failed(code: int, message: str) -> Response:
    return Response.json(200, {"errcode": code, "errmsg": message}).with_headers(*HEADERS)


@cache
def _template() -> str:
    return files(__package__).joinpath("wechat_open.html").read_text("utf-8")


def _digest(html: str, tag: str) -> str:
    """What a Content-Security-Policy calls the one element of this name."""
    inside = html.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    return "sha256-" + b64encode(hashlib.sha256(inside.encode()).digest()).decode()
