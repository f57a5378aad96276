"""The newer dialect of Taobao's family: JSON, polled by form. The poll that answers CONFIRMED logs
in.

GET  newlogin/qrcode/generate.do
         {"content":{"data":{"t","codeContent","ck","resultCode":100},…},…}, and a cookie
POST newlogin/qrcode/query.do  t=…&ck=…
         qrCodeStatus NEW | SCANED | CONFIRMED | CANCELED | EXPIRED
GET  qrcodeCheck.htm?lgToken=
         what an ordinary camera opens

Clients poll with `ck`, which is not in the picture: it is computed from the login's id, and only
this browser's cookie leads from it to the login. `bizExt` and `st`, which are credentials in the
original, keep their shape and give access to nothing, unless the application puts its own
credentials there (`logged_in`).
"""

import base64
import json
from collections.abc import Mapping
from typing import Final

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.codes import DeviceCode
from qrlogin.errors import QRLoginError, Unavailable
from qrlogin.wire.cookies import digest
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.public_id import (
    Handler,
    PublicIdDialect,
    query_parameter,
    required_value,
)
from qrlogin.wire.dialects.public_id_routes import (
    COOKIE_PROOF,
    JSON_ANSWER,
    begin_route,
    scan_route,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import FORM, Field, Route

_GENERATE: Final = "newlogin/qrcode/generate.do"
_QUERY: Final = "newlogin/qrcode/query.do"
_SCAN: Final = "qrcodeCheck.htm"

_STATES: Final = StateMap(
    pending="NEW",
    scanned="SCANED",
    confirmed="CONFIRMED",
    denied="CANCELED",
    ended="EXPIRED",
    error="",  # no word: the HTTP status says it
)
_POLL: Final = Route(
    "POST",
    _QUERY,
    "The status of the login; logs the browser in when it is confirmed",
    body=(Field("ck", "the ck of generate.do", required=True),),
    media=FORM,
    answers=(JSON_ANSWER,),
    errors=(Unavailable,),
    proofs=COOKIE_PROOF,
)
_NO_SECRET: Final = "0" * 32  # in place of the credentials of the original
_BIZ_EXT: Final = {"pds_login_result": {"accessToken": _NO_SECRET, "refreshToken": _NO_SECRET}}


def logged_in(biz_ext: Mapping[str, object]) -> Mapping[str, object]:
    """The JSON of CONFIRMED with credentials of the application's own:
    `answer.with_json(logged_in({"pds_login_result": ...}))`.

    They must belong to `answer.redeemed`. Send the same ones again when it is `replayed`.
    """
    packed = base64.b64encode(json.dumps(biz_ext, separators=(",", ":")).encode()).decode()
    return _content(
        qrCodeStatus=_STATES.confirmed,
        resultCode=100,
        loginResult="success",
        bizExt=packed,
        st=_NO_SECRET,
    )


class TaobaoNewLogin(PublicIdDialect):
    """The web login of `newlogin/`, which Taobao's family of sites uses today.

    :param core: `core` of the `QRLogin` or `AsyncQRLogin` whose logins it begins
    :param mounting: `at`, `after_login_path`, `lifetime`, `pages` and `describe`: see
        `MountOptions`

    Raises `Misconfigured` for an option that cannot work or would not be safe.
    """

    browser_routes: tuple[Route, ...] = (
        begin_route(_GENERATE, JSON_ANSWER, errors=(Unavailable,)),
        _POLL,
        scan_route(_SCAN, "lgToken"),
    )

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _GENERATE: self._generate,
            _QUERY: self._query,
            _SCAN: lambda request, _: self.open_page(query_parameter(request, "lgToken")),
        }

    def _generate(self, request: Request, _: str) -> Exchange[Begun]:
        def answer(begun: Begun) -> Response:
            content = _content(
                t=self._core.read_device_code(begun.device_code).begun_at,
                codeContent=f"{self.base_url}{_SCAN}?lgToken={begun.scan_code}&_from=havana",
                ck=digest(begun.login_id),
                resultCode=100,
            )
            return self.json(content)

        return self.begin(request, answer)

    def _query(self, request: Request, _: str) -> Exchange[Status | Redeemed]:
        def answer(result: Status | Redeemed) -> Response:
            if isinstance(result, Status):
                return self._status_json(_STATES.of(result))
            return self.json(logged_in(_BIZ_EXT))

        device = self.own_device(request, required_value(_POLL.read_form(request), "ck"))
        return self.status_or_redeem(request, device, answer)

    def own_device(self, request: Request, public_id: str) -> DeviceCode:
        # These clients send `ck` in the place of the public id.
        return self.require_owner(
            self._cookies.find_by_digest(request, public_id),
            lambda login_id: digest(login_id) == public_id,
        )

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """`error` as a `qrCodeStatus` that the poll's clients know, in JSON with status 200. For
        other routes and errors, see `PublicIdDialect.refuse`.
        """
        word = _STATES.of_error(error) if request.path == _QUERY else None
        return self._status_json(word) if word else super().refuse(request, error)

    def _status_json(self, word: str) -> Response:
        return self.json(_content(qrCodeStatus=word, resultCode=100))


def _content(**data: object) -> Mapping[str, object]:
    return {"content": {"data": data, "status": 0, "success": True}, "hasError": False}
