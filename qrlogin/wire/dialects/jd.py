"""The dialect of JD's web login: the picture brings the public id in a cookie, JSONP polls with it, a ticket logs in.

GET show                                the picture, and the cookie `wlfstk_smdl` with what it says, for the page's script
GET check?token=                        201 not scanned, 202 scanned, 203 gone, 205 refused, 200 + ticket
GET uc/qrCodeTicketValidation?t=        {"returnCode":0,"url"}: logs in, once
GET p?k=                                what an ordinary camera opens

The secret is in a cookie of its own, which no script can read. The ticket is worthless without it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.errors import LoginError, QRLoginError, Unavailable, UnknownLogin
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.jsonp import CALLBACK, JSONP_ANSWERS, read_callback
from qrlogin.wire.dialects.public_id import (
    COOKIE_PROOF,
    HEADERS,
    PICTURE_ANSWER,
    REDIRECT_ANSWER,
    Handler,
    PublicIdDialect,
    query_parameter,
    script,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import JSON, Answer, Field, Route

_SHOW: Final = "show"
_CHECK: Final = "check"
_VALIDATE: Final = "uc/qrCodeTicketValidation"
_SCAN: Final = "p"

_STATES: Final = StateMap(
    pending=(201, "二维码未扫描"),
    scanned=(202, "请手机客户端确认登录"),
    confirmed=(200, ""),
    denied=(205, "二维码已取消授权"),
    gone=(203, "二维码过期"),
    error=(500, "服务器错误"),
)
_CODE_LENGTH: Final = 32  # of the ticket that a client is given, so much is the public id: the validation knows nothing else


class JD(PublicIdDialect):
    """JD's web login."""

    browser_routes: tuple[Route, ...] = (
        Route(
            "GET",
            _SHOW,
            "Begin a login for this browser; the answer is the picture",
            answers=(PICTURE_ANSWER,),
            errors=(Unavailable,),
        ),
        Route(
            "GET",
            _CHECK,
            "Where the login stands; once it is confirmed, the ticket",
            query=(Field("token", "the public id of the login", required=True), CALLBACK),
            answers=JSONP_ANSWERS,
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _VALIDATE,
            "Log the browser in, once",
            query=(Field("t", "the ticket", required=True),),
            answers=(Answer(200, "Where to go on, or why not", JSON, {"type": "object"}),),
            errors=(Unavailable,),
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _SCAN,
            "What the picture's address opens",
            cross_site=True,
            query=(Field("k", "the public id of the login", required=True),),
            answers=(REDIRECT_ANSWER,),
            errors=(UnknownLogin,),
        ),
    )

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _SHOW: self._show,
            _CHECK: self._check,
            _VALIDATE: self._validate,
            _SCAN: lambda request, _: self.open_page(query_parameter(request, "k")),
        }

    def _show(self, request: Request, _: str) -> Exchange[Begun]:
        def answer(begun: Begun) -> Response:
            code = begun.scan_code
            public = self.cookie("wlfstk_smdl", code, begun.expires_in, httponly=False)
            return replace(self.picture(code, f"{self.at}{_SCAN}?k={code}"), cookies=(public,))

        return self.begin(request, answer)

    def _check(self, request: Request, _: str) -> Exchange[Status]:
        read_callback(request)
        code = query_parameter(request, "token")

        def answer(seen: Status) -> Response:
            if seen.ticket:
                return _say(
                    request, f'"code" : {_STATES.confirmed[0]}, "ticket" : "{code}{seen.ticket}"'
                )
            return _told(request, _STATES.of(seen))

        return self.status(self.device_code(request, code), answer)

    def _validate(self, request: Request, _: str) -> Exchange[Redeemed]:
        def answer(_: Redeemed) -> Response:
            return Response.json(200, {"returnCode": 0, "url": self.landing}).with_headers(*HEADERS)

        given = query_parameter(request, "t")
        device = self.device_code(request, given[:_CODE_LENGTH])
        return self.exchange(device, given[_CODE_LENGTH:], answer)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        word = _STATES.of_error(error)
        if request.path == _CHECK and word is not None:
            return _told(request, word)
        if request.path == _VALIDATE and isinstance(error, LoginError):
            return Response.json(200, {"returnCode": 1}).with_headers(*HEADERS)
        return super().refuse(request, error)


def _told(request: Request, word: tuple[int, str]) -> Response:
    code, message = word
    return _say(request, f'"code" : {code}, "msg" : "{message}"')


def _say(request: Request, fields: str) -> Response:
    if name := read_callback(request):
        return script(f"{name}({{ {fields} }})")
    json = ("Content-Type", "application/json; charset=utf-8")
    return Response(200, (json, *HEADERS), f"{{ {fields} }}".encode())
