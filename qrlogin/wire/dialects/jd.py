"""The dialect of JD's web login: the picture comes with the public id in a cookie, JSONP polls with
that id, a ticket logs in.

GET show                            the picture, and its public id in the cookie `wlfstk_smdl`, for
                                    the page's script
GET check?token=                    201 not scanned, 202 scanned, 203 ended, 205 denied,
                                    200 + ticket
GET uc/qrCodeTicketValidation?t=    {"returnCode":0,"url"}: logs in, once
GET p?k=                            what an ordinary camera opens

The secret is in a cookie of its own, which no script can read. The ticket is worthless without it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.errors import LoginError, QRLoginError, Unavailable
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.jsonp import CALLBACK, JSONP_ANSWERS, read_callback
from qrlogin.wire.dialects.public_id import Handler, PublicIdDialect, query_parameter
from qrlogin.wire.dialects.public_id_routes import (
    COOKIE_PROOF,
    PICTURE_ANSWER,
    begin_route,
    public_id_field,
    scan_route,
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
    ended=(203, "二维码过期"),
    error=(500, "服务器错误"),
)
#: A client's ticket begins with the public id, because the validation receives nothing else.
_PUBLIC_ID_LENGTH: Final = 32


class JD(PublicIdDialect):
    """JD's web login.

    :param core: `core` of the `QRLogin` or `AsyncQRLogin` whose logins it begins
    :param mounting: `at`, `after_login_path`, `lifetime`, `pages` and `describe`: see
        `MountOptions`

    Raises `Misconfigured` for an option that cannot work or would not be safe.
    """

    browser_routes: tuple[Route, ...] = (
        begin_route(_SHOW, PICTURE_ANSWER, errors=(Unavailable,)),
        Route(
            "GET",
            _CHECK,
            "The status of the login; with the ticket when it is confirmed",
            query=(public_id_field("token"), CALLBACK),
            answers=JSONP_ANSWERS,
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _VALIDATE,
            "Log the browser in, once",
            query=(Field("t", "the ticket", required=True),),
            answers=(Answer(200, "The address to go to, or a refusal", JSON, {"type": "object"}),),
            errors=(Unavailable,),
            proofs=COOKIE_PROOF,
        ),
        scan_route(_SCAN, "k"),
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
            public_id = begun.scan_code
            cookie = self.cookie("wlfstk_smdl", public_id, begun.expires_in, httponly=False)
            picture = self.picture(public_id, f"{self.base_url}{_SCAN}?k={public_id}")
            return replace(picture, cookies=(cookie,))

        return self.begin(request, answer)

    def _check(self, request: Request, _: str) -> Exchange[Status]:
        read_callback(request)  # a callback that is not allowed is refused before anything else
        public_id = query_parameter(request, "token")

        def answer(status: Status) -> Response:
            if status.ticket:
                ticket = f'"ticket" : "{public_id}{status.ticket}"'
                return self._jsonp(request, f'"code" : {_STATES.confirmed[0]}, {ticket}')
            return self._status_jsonp(request, _STATES.of(status))

        return self.status(self.own_device(request, public_id), answer)

    def _validate(self, request: Request, _: str) -> Exchange[Redeemed]:
        sent = query_parameter(request, "t")
        device = self.own_device(request, sent[:_PUBLIC_ID_LENGTH])
        logged_in = self.json({"returnCode": 0, "url": self.after_login_url})
        return self.redeem_by_ticket(request, device, sent[_PUBLIC_ID_LENGTH:], lambda _: logged_in)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """`error` as JD's clients expect it, with status 200: `check` answers a code as JSON or
        JSONP, and the validation answers `{"returnCode":1}`. For other routes and errors, see
        `PublicIdDialect.refuse`.
        """
        word = _STATES.of_error(error)
        if request.path == _CHECK and word is not None:
            return self._status_jsonp(request, word)
        if request.path == _VALIDATE and isinstance(error, LoginError):
            return self.json({"returnCode": 1})
        return super().refuse(request, error)

    def _status_jsonp(self, request: Request, word: tuple[int, str]) -> Response:
        code, message = word
        return self._jsonp(request, f'"code" : {code}, "msg" : "{message}"')

    def _jsonp(self, request: Request, members: str) -> Response:
        """JSON or JSONP with spaces where the original has them."""
        if name := read_callback(request):
            return self.script(f"{name}({{ {members} }})")
        return self.respond("application/json; charset=utf-8", f"{{ {members} }}".encode())
