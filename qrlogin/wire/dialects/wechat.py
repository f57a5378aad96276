"""The dialect of WeChat's web client: scripts that a page runs, and a status that is held until
there is news.

GET  jslogin                        window.QRLogin.uuid = "…", and a cookie; POST does the same
GET  qrcode/{uuid}                  the picture, which contains the address:
GET  l/{uuid}                       what an ordinary camera opens
GET  cgi-bin/mmwebwx-bin/login?uuid=
         window.code=408 no news, 201 scanned, 400 ended, 200 and redirect_uri:
GET  cgi-bin/mmwebwx-bin/webwxnewloginpage?…
         logs the browser in, once, and redirects it; the body is XML for chat clients
POST cgi-bin/mmwebwx-bin/webwxlogout
         ends the session

Clients ask again as soon as they are answered, so a status that the client has seen is held until
it changes. Clients keep no cursor: it is in a cookie beside the login's. `tip`, `r`, `_`, `lang`,
`appid` and `redirect_uri` are ignored: the browser goes where this application says. What has no
meaning here (wxuin, wxsid, skey, pass_ticket) keeps its shape and gives access to nothing.
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
from qrlogin.errors import BadArgument, QRLoginError, Superseded, TooLarge, TooManyBegins
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.public_id import (
    Handler,
    MountOptions,
    PublicIdDialect,
    check_hold_seconds,
    required_value,
)
from qrlogin.wire.dialects.public_id_routes import (
    COOKIE_PROOF,
    CROWDED_ANSWER,
    SCRIPT_ANSWER,
    begin_route,
    picture_route,
    public_id_field,
    scan_route,
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

_STATES: Final = StateMap(pending=408, scanned=201, confirmed=200, denied=400, ended=400, error=500)
_UUID: Final = public_id_field("uuid")
_XML_AS_TEXT: Final = ("text/plain", {"type": "string"})
_QRLOGIN: Final = "window.QRLogin = window.QRLogin || {}; window.QRLogin."
_TICKET_SUFFIX: Final = "@qrticket_0"
_DECOY_COOKIE_SECONDS: Final = 86_400
_AVATAR_URI: Final = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+={0,2}")
#: A generic avatar.
_AVATAR: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAABlBMVEXd3d2IiIhRgz/7AA"
    "AAQklEQVR42mNgwAmYDwAJ/g9AQv4HjLD/g4NAKAHrAOtFA2DZ+n9A4v9/BgbG//8bGJj//z8AIdj//3+ATvD///8BAB"
    "xDKSz+XY/cAAAAAElFTkSuQmCC"
)


class WeChat(PublicIdDialect):
    """WeChat's web login."""

    browser_routes: tuple[Route, ...] = (
        begin_route(_BEGIN, SCRIPT_ANSWER),
        Route(
            "POST",
            _BEGIN,
            "The same by POST",
            errors=(TooLarge, TooManyBegins),
            answers=(SCRIPT_ANSWER,),
        ),
        picture_route(_PICTURE),
        scan_route(_SCAN),
        Route(
            "GET",
            _POLL,
            "The status of the login; held until there is news",
            query=(_UUID, Field("loginicon", '"true" for a picture of the person who scanned')),
            answers=(SCRIPT_ANSWER, CROWDED_ANSWER),
            errors=(Superseded,),
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _OPEN,
            "Log the browser in, once",
            query=(
                Field("ticket", "the ticket of the redirect_uri", required=True),
                _UUID,
                Field("fun", '"new" for an answer without a redirect'),
            ),
            answers=(
                Answer(301, "Logged in", *_XML_AS_TEXT),
                Answer(200, "Logged in, with fun=new; or the reason for a refusal", *_XML_AS_TEXT),
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
        avatar: Callable[[ScannedBy], str] = lambda _: _AVATAR,
        **mounting: Unpack[MountOptions],
    ) -> None:
        """
        :param core: `core` of the `QRLogin` or `AsyncQRLogin` whose logins it begins
        :param hold: how many seconds a poll is held while there is no news, 30 at most
        :param avatar: returns the picture that the page shows when the code was scanned, as a
            `data:` URI in base64. For anything else the poll raises `BadArgument` in your server
        :param mounting: `at`, `after_login_path`, `lifetime`, `pages` and `describe`: see
            `MountOptions`

        Raises `Misconfigured` for an option that cannot work or would not be safe.
        """
        super().__init__(core, **mounting)
        self._hold, self._avatar = check_hold_seconds(hold), avatar

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _BEGIN: self._begin,
            _PICTURE: lambda _, public_id: self.picture(public_id, f"{self.base_url}l/{public_id}"),
            _SCAN: lambda _, public_id: self.open_page(public_id),
            _POLL: self._poll,
            _OPEN: self._open,
            _LOGOUT: self._log_out,
        }

    def _begin(self, request: Request, _: str) -> Exchange[Begun]:
        def answer(begun: Begun) -> Response:
            uuid = fixed_as_base64(begun.scan_code)
            return self.script(f'{_QRLOGIN}code = 200; window.QRLogin.uuid = "{uuid}";')

        return self.begin(request, answer)

    def _poll(self, request: Request, _: str) -> Exchange[Status]:
        parameters = read_some(request.query, ("uuid", "loginicon"))
        uuid = required_value(parameters, "uuid")
        device = self.own_device(request, uuid)
        last_seen = self._cookies.cursor(request, device.login_id)

        def answer(status: Status) -> Response:
            code, more = _STATES.of(status), ""
            if code == _STATES.confirmed:
                ticket, scan = status.ticket + _TICKET_SUFFIX, device.begun_at // 1000
                query = f"ticket={ticket}&uuid={uuid}&lang=zh_CN&scan={scan}"
                more = f'\nwindow.redirect_uri="{self.base_url}{_OPEN}?{query}";'
            elif code == _STATES.scanned and status.version == last_seen:
                code = _STATES.pending  # no news
            elif (
                code == _STATES.scanned
                and status.scanned_by
                and parameters.get("loginicon") == "true"
            ):
                more = f"window.userAvatar = '{self._avatar_of(status.scanned_by)}';"
            alive = code in (_STATES.pending, _STATES.scanned) and status.version != last_seen
            cursor = (
                (self._cookies.cursor_cookie(status.login_id, status.version, status.expires_in),)
                if alive
                else ()
            )
            return replace(self.script(f"window.code={code};{more}"), cookies=cursor)

        return self.held_status(device, last_seen, self._hold, answer)

    def _open(self, request: Request, _: str) -> Exchange[Redeemed]:
        parameters = read_some(request.query, ("ticket", "uuid", "fun"))
        ticket = required_value(parameters, "ticket").removesuffix(_TICKET_SUFFIX)
        device = self.own_device(request, required_value(parameters, "uuid"))

        def answer(redeemed: Redeemed) -> Response:
            drawn = hashlib.sha256(f"wechat {redeemed.login_id}".encode()).digest()
            uin = str(int.from_bytes(drawn[:4], "big"))
            sid = urlsafe_b64encode(drawn[4:16]).decode()
            decoys = {
                "skey": f"@crypt_{drawn[16:20].hex()}_{drawn[16:].hex()}",
                "wxsid": sid,
                "wxuin": uin,
                "pass_ticket": urlsafe_b64encode(drawn[16:31]).decode(),
                "isgrayscale": "1",
            }
            cookies = self._decoy_cookies(uin, sid, _DECOY_COOKIE_SECONDS)
            logged_in = replace(self._xml(0, "", decoys), cookies=cookies)
            if parameters.get("fun") == "new":
                return logged_in
            return replace(logged_in.with_headers(("Location", self.after_login_url)), status=301)

        return self.redeem_by_ticket(request, device, ticket, answer)

    def _log_out(self, request: Request, _: str) -> Response:
        # The request ends a session and carries no ticket, so only this origin may send it.
        check_origin(request, self._core.origin)
        redirect = self.redirect(self.after_login_url, 301)
        return replace(redirect, cookies=self._decoy_cookies("", "", 0), log_out=True)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """`error` as a code that WeChat's clients know, with status 200: in a script from the
        routes that begin a login and poll, in XML from the one that logs the browser in. For other
        routes and errors, see `PublicIdDialect.refuse`.
        """
        code = _STATES.of_error(error)
        if code is not None and request.path == _BEGIN:
            text = f'{_QRLOGIN}code = {code}; window.QRLogin.error = "{error.wire_text}";'
            return self.script(text)
        if code is not None and request.path == _POLL:
            return self.script(f"window.code={code};")
        if code is not None and request.path == _OPEN:
            return self._xml(code, error.wire_text, {})
        return super().refuse(request, error)

    def _avatar_of(self, scanned_by: ScannedBy) -> str:
        avatar = self._avatar(scanned_by)
        if not _AVATAR_URI.fullmatch(avatar):  # a script holds it, between quotes
            raise BadArgument(
                "avatar must return a data: URI in base64, such as data:image/png;base64,…"
            )
        return avatar

    def _decoy_cookies(self, uin: str, sid: str, seconds: int) -> tuple[Cookie, ...]:
        """The cookies that clients look for. They give access to nothing."""
        return (self.cookie("wxuin", uin, seconds), self.cookie("wxsid", sid, seconds))

    def _xml(self, ret: int, message: str, fields: Mapping[str, str]) -> Response:
        elements = {"ret": str(ret), "message": html.escape(message, quote=False), **fields}
        body = "".join(f"<{name}>{text}</{name}>" for name, text in elements.items())
        return self.respond("text/plain; charset=utf-8", f"<error>{body}</error>".encode())
