"""The newer dialect of Taobao's family: JSON, polled by form; the poll that says CONFIRMED is the one that logs in.

GET  newlogin/qrcode/generate.do            {"content":{"data":{"t","codeContent","ck","resultCode":100},…},…}, and a cookie
POST newlogin/qrcode/query.do  t=…&ck=…     qrCodeStatus NEW | SCANED | CONFIRMED | CANCELED | EXPIRED
GET  qrcodeCheck.htm?lgToken=               what an ordinary camera opens

What is polled with, `ck`, is not what the picture says: it is computed from the login's id, and only this browser's cookie leads
from it to the login. `bizExt` and `st`, which are credentials in the original, are there in shape and have no power,
unless the application puts its own there (`logged_in`).
"""

import base64
import json
from collections.abc import Mapping
from typing import Final

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.codes import DeviceCode
from qrlogin.errors import QRLoginError, Unavailable, UnknownLogin
from qrlogin.wire.cookies import digest
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.public_id import (
    COOKIE_PROOF,
    HEADERS,
    REDIRECT_ANSWER,
    Handler,
    PublicIdDialect,
    query_parameter,
    required_value,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import FORM, JSON, Answer, Field, Route

_GENERATE: Final = "newlogin/qrcode/generate.do"
_QUERY: Final = "newlogin/qrcode/query.do"
_SCAN: Final = "qrcodeCheck.htm"

_STATES: Final = StateMap(
    pending="NEW",
    scanned="SCANED",
    confirmed="CONFIRMED",
    denied="CANCELED",
    gone="EXPIRED",
    error="",  # no word: the status of HTTP says it
)
_SAYS: Final = (Answer(200, "What it says, also when it refuses", JSON, {"type": "object"}),)
_POLL: Final = Route(
    "POST",
    _QUERY,
    "Where the login stands; logs the browser in once it is confirmed",
    body=(Field("ck", "the one that generate.do told", required=True),),
    media=FORM,
    answers=_SAYS,
    errors=(Unavailable,),
    proofs=COOKIE_PROOF,
)
_NOTHING: Final = "0" * 32  # stands where the original has a credential
_BIZ_EXT: Final = {"pds_login_result": {"accessToken": _NOTHING, "refreshToken": _NOTHING}}


def logged_in(biz_ext: Mapping[str, object]) -> Mapping[str, object]:
    """What CONFIRMED says, with credentials of the application's own: `answer.with_json(logged_in({"pds_login_result": ...}))`.

    Give them to `answer.redeemed` only, and the same ones again when it is `replayed`.
    """
    packed = base64.b64encode(json.dumps(biz_ext, separators=(",", ":")).encode()).decode()
    return _content(
        qrCodeStatus=_STATES.confirmed,
        resultCode=100,
        loginResult="success",
        bizExt=packed,
        st=_NOTHING,
    )


class TaobaoNewLogin(PublicIdDialect):
    """The login of `newlogin/`."""

    browser_routes: tuple[Route, ...] = (
        Route(
            "GET", _GENERATE, "Begin a login for this browser", answers=_SAYS, errors=(Unavailable,)
        ),
        _POLL,
        Route(
            "GET",
            _SCAN,
            "What the picture's address opens",
            cross_site=True,
            query=(Field("lgToken", "the public id of the login", required=True),),
            answers=(REDIRECT_ANSWER,),
            errors=(UnknownLogin,),
        ),
    )

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _GENERATE: self._generate,
            _QUERY: self._query,
            _SCAN: lambda request, _: self.open_page(query_parameter(request, "lgToken")),
        }

    def _generate(self, request: Request, _: str) -> Exchange[Begun]:
        def answer(begun: Begun) -> Response:
            data = _content(
                t=self._core.read_device_code(begun.device_code).begun_at,
                codeContent=f"{self.at}{_SCAN}?lgToken={begun.scan_code}&_from=havana",
                ck=digest(begun.login_id),
                resultCode=100,
            )
            return _say(data)

        return self.begin(request, answer)

    def _query(self, request: Request, _: str) -> Exchange[Status | Redeemed]:
        def answer(seen: Status | Redeemed) -> Response:
            if isinstance(seen, Status):
                return _say(_content(qrCodeStatus=_STATES.of(seen), resultCode=100))
            return _say(logged_in(_BIZ_EXT))

        device = self.device_code(request, required_value(_POLL.read_form(request), "ck"))
        return self.status_or_redeem(device, answer)

    def device_code(self, request: Request, code: str) -> DeviceCode:
        return self.require_owner(
            self._cookies.find_by_digest(request, code), lambda login_id: digest(login_id) == code
        )

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        word = _STATES.of_error(error) if request.path == _QUERY else None
        return (
            _say(_content(qrCodeStatus=word, resultCode=100))
            if word
            else super().refuse(request, error)
        )


def _content(**data: object) -> Mapping[str, object]:
    return {"content": {"data": data, "status": 0, "success": True}, "hasError": False}


def _say(content: Mapping[str, object]) -> Response:
    return Response.json(200, content).with_headers(*HEADERS)
