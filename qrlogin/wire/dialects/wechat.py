"""The dialect of WeChat's web client: scripts that a page runs, and a status that is held until there is news.

GET  jslogin                                    window.QRLogin.uuid = "…", and a cookie; POST does the same
GET  qrcode/{uuid}                              the picture, which says:
GET  l/{uuid}                                   what an ordinary camera opens
GET  cgi-bin/mmwebwx-bin/login?uuid=            window.code=408 nothing new, 201 scanned, 400 gone, 200 and redirect_uri:
GET  cgi-bin/mmwebwx-bin/webwxnewloginpage?…    logs the browser in, once, and sends it on; its body is XML for chat clients
POST cgi-bin/mmwebwx-bin/webwxlogout            ends the session

Clients ask again as soon as they are answered, so whatever one was told is held until it changes. They keep no cursor: it is in a
cookie beside the login's. `tip`, `r`, `_`, `lang`, `appid` and `redirect_uri` are not looked at: the browser goes where this
application says. What of the original has no meaning here (wxuin, wxsid, skey, pass_ticket) has its shape and no power.
"""

import hashlib
import html
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar, Final, Unpack

from qrlogin.answers import Begun, Redeemed, ScannedBy, Status
from qrlogin.codes import fixed_as_base64
from qrlogin.core import Core
from qrlogin.errors import BadArgument, QRLoginError, Superseded, TooLarge, UnknownLogin
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.public_id import (
    COOKIE_PROOF,
    CROWDED_ANSWER,
    HEADERS,
    PICTURE_ANSWER,
    REDIRECT_ANSWER,
    SCRIPT_ANSWER,
    Handler,
    MountOptions,
    PublicIdDialect,
    check_hold_seconds,
    required_value,
    script,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.message import Cookie, Request, Response
from qrlogin.wire.routes import Answer, Field, Route
from qrlogin.wire.validation import check_origin, read_some

_BEGIN: Final = "jslogin"
_PICTURE: Final = "qrcode/{code}"
_SCAN: Final = "l/{code}"
_POLL: Final = "cgi-bin/mmwebwx-bin/login"
_OPEN: Final = "cgi-bin/mmwebwx-bin/webwxnewloginpage"
_LOGOUT: Final = "cgi-bin/mmwebwx-bin/webwxlogout"

_STATES: Final = StateMap(pending=408, scanned=201, confirmed=200, denied=400, gone=400, error=500)
_UUID: Final = Field("uuid", "the public id of the login", required=True)
_XML: Final = ("text/plain", {"type": "string"})
_QRLOGIN: Final = "window.QRLogin = window.QRLogin || {}; window.QRLogin."
_TICKET: Final = "@qrticket_0"
_KEPT: Final = 86_400  # seconds that a browser keeps the cookies that mean nothing
_AVATAR: Final = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+={0,2}")
#: Head and shoulders of nobody in particular.
_NOBODY: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAABlBMVEXd3d2IiIhRgz/7AAAAQklEQVR42mNgwAmYDwAJ/g9A"
    "Qv4HjLD/g4NAKAHrAOtFA2DZ+n9A4v9/BgbG//8bGJj//z8AIdj//3+ATvD///8BABxDKSz+XY/cAAAAAElFTkSuQmCC"
)


class WeChat(PublicIdDialect):
    """WeChat's web login.

    `hold` is how many seconds an answer is waited for. `avatar` makes the picture that the page shows once somebody scanned: a
    `data:` URI in base64. What else it returns is a `BadArgument`, raised to your server when that page asks.
    """

    browser_routes: tuple[Route, ...] = (
        Route("GET", _BEGIN, "Begin a login for this browser", answers=(SCRIPT_ANSWER,)),
        Route("POST", _BEGIN, "The same", errors=(TooLarge,), answers=(SCRIPT_ANSWER,)),
        Route(
            "GET", _PICTURE, "The QR code as PNG", answers=(PICTURE_ANSWER,), errors=(UnknownLogin,)
        ),
        Route(
            "GET",
            _SCAN,
            "What the picture's address opens",
            cross_site=True,
            answers=(REDIRECT_ANSWER,),
            errors=(UnknownLogin,),
        ),
        Route(
            "GET",
            _POLL,
            "Where the login stands; held while there is no news",
            query=(_UUID, Field("loginicon", '"true" for a picture of who scanned')),
            answers=(SCRIPT_ANSWER, CROWDED_ANSWER),
            errors=(Superseded,),
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _OPEN,
            "Log the browser in, once",
            query=(
                Field("ticket", "the one of the redirect", required=True),
                _UUID,
                Field("fun", '"new" to stay here'),
            ),
            answers=(
                Answer(301, "Logged in", *_XML),
                Answer(200, "Logged in, with fun=new; or why not", *_XML),
            ),
            proofs=COOKIE_PROOF,
        ),
        Route(
            "POST",
            _LOGOUT,
            "Log the browser out",
            answers=(Answer(301, "Logged out"),),
            errors=(TooLarge,),
        ),
    )
    default_lifetime: ClassVar[int] = 300

    def __init__(
        self,
        core: Core,
        *,
        hold: float = 25,
        avatar: Callable[[ScannedBy], str] = lambda _: _NOBODY,
        **mounting: Unpack[MountOptions],
    ) -> None:
        super().__init__(core, **mounting)
        self._hold, self._avatar = check_hold_seconds(hold), avatar

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _BEGIN: self._begin,
            _PICTURE: lambda _, code: self.picture(code, f"{self.at}l/{code}"),
            _SCAN: lambda _, code: self.open_page(code),
            _POLL: self._poll,
            _OPEN: self._open,
            _LOGOUT: self._log_out,
        }

    def _begin(self, request: Request, _: str) -> Exchange[Begun]:
        return self.begin(
            request,
            lambda begun: script(
                f'{_QRLOGIN}code = 200; window.QRLogin.uuid = "{fixed_as_base64(begun.scan_code)}";'
            ),
        )

    def _poll(self, request: Request, _: str) -> Exchange[Status]:
        query = read_some(request.query, ("uuid", "loginicon"))
        uuid = required_value(query, "uuid")
        device = self.device_code(request, uuid)
        told = self._cookies.cursor(request, device.login_id)

        def answer(seen: Status) -> Response:
            code, more = _STATES.of(seen), ""
            if code == _STATES.confirmed:
                ticket, scan = seen.ticket + _TICKET, device.begun_at // 1000
                more = f'\nwindow.redirect_uri="{self.at}{_OPEN}?ticket={ticket}&uuid={uuid}&lang=zh_CN&scan={scan}";'
            elif code == _STATES.scanned and seen.version == told:
                code = _STATES.pending  # no news
            elif code == _STATES.scanned and seen.scanned_by and query.get("loginicon") == "true":
                more = f"window.userAvatar = '{self._avatar_of(seen.scanned_by)}';"
            alive = code in (_STATES.pending, _STATES.scanned) and seen.version != told
            cursor = (
                (self._cookies.cursor_cookie(seen.login_id, seen.version, seen.expires_in),)
                if alive
                else ()
            )
            return replace(script(f"window.code={code};{more}"), cookies=cursor)

        return self.held_status(device, told, self._hold, answer)

    def _open(self, request: Request, _: str) -> Exchange[Redeemed]:
        query = read_some(request.query, ("ticket", "uuid", "fun"))
        ticket = required_value(query, "ticket")
        device = self.device_code(request, required_value(query, "uuid"))

        def answer(redeemed: Redeemed) -> Response:
            drawn = hashlib.sha256(f"wechat {redeemed.login_id}".encode()).digest()
            uin, sid = (
                str(int.from_bytes(drawn[:4], "big")),
                urlsafe_b64encode(drawn[4:16]).decode(),
            )
            powerless = {
                "skey": f"@crypt_{drawn[16:20].hex()}_{drawn[16:].hex()}",
                "wxsid": sid,
                "wxuin": uin,
                "pass_ticket": urlsafe_b64encode(drawn[16:31]).decode(),
                "isgrayscale": "1",
            }
            made = replace(_xml(0, "", powerless), cookies=self._powerless(uin, sid, _KEPT))
            return (
                made
                if query.get("fun") == "new"
                else replace(made.with_headers(("Location", self.landing)), status=301)
            )

        return self.exchange(device, ticket.removesuffix(_TICKET), answer)

    def _log_out(self, request: Request, _: str) -> Response:
        check_origin(request, self._core.origin)  # a session is at stake, and it has no ticket
        return Response(
            301,
            (("Location", self.landing), *HEADERS),
            cookies=self._powerless("", "", 0),
            log_out=True,
        )

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        code = _STATES.of_error(error)
        if code is None:
            return super().refuse(request, error)
        if request.path == _BEGIN:
            return script(f'{_QRLOGIN}code = {code}; window.QRLogin.error = "{error.wire_text}";')
        if request.path == _POLL:
            return script(f"window.code={code};")
        return (
            _xml(code, error.wire_text, {})
            if request.path == _OPEN
            else super().refuse(request, error)
        )

    def _avatar_of(self, person: ScannedBy) -> str:
        avatar = self._avatar(person)
        if not _AVATAR.fullmatch(avatar):  # it stands in a script, between quotes
            raise BadArgument(
                "avatar must return a data: URI in base64, such as data:image/png;base64,…"
            )
        return avatar

    def _powerless(self, uin: str, sid: str, seconds: int) -> tuple[Cookie, ...]:
        return tuple(
            self.cookie(key, value, seconds) for key, value in (("wxuin", uin), ("wxsid", sid))
        )


def _xml(ret: int, message: str, fields: Mapping[str, str]) -> Response:
    said = {"ret": str(ret), "message": html.escape(message, quote=False), **fields}
    body = "".join(f"<{name}>{text}</{name}>" for name, text in said.items())
    return Response(
        200,
        (("Content-Type", "text/plain; charset=utf-8"), *HEADERS),
        f"<error>{body}</error>".encode(),
    )
