"""The dialect of Bilibili's web login: JSON, polled about once a second; the poll that says "done" is the one that logs in.

GET x/passport-login/web/qrcode/generate           {"code":0,...,"data":{"url","qrcode_key"}}, and a cookie
GET x/passport-login/web/qrcode/poll?qrcode_key=   inner code 86101 not scanned, 86090 scanned, 86038 gone, 0 done
GET h5-app/passport/login/scan?qrcode_key=         what an ordinary camera opens
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.errors import QRLoginError, UnknownLogin
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.public_id import (
    COOKIE_PROOF,
    HEADERS,
    REDIRECT_ANSWER,
    Handler,
    PublicIdDialect,
    query_parameter,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import JSON, Answer, Field, Route

_GENERATE: Final = "x/passport-login/web/qrcode/generate"
_POLL: Final = "x/passport-login/web/qrcode/poll"
_SCAN: Final = "h5-app/passport/login/scan"

_GONE: Final = (86038, "二维码已失效")
_STATES: Final = StateMap(
    pending=(86101, "未扫码"),
    scanned=(86090, "二维码已扫码未确认"),
    confirmed=(0, ""),
    denied=_GONE,  # this dialect has no word for it
    gone=_GONE,
    error=(
        -500,
        "服务器错误",
    ),  # said outside, where others say 0: clients take an unknown code inside for a success
)
_KEY: Final = Field("qrcode_key", "the public id of the login", required=True)
_SAYS: Final = (Answer(200, "What it says, also when it refuses", JSON, {"type": "object"}),)
#: Where the original has its credentials. Clients look for the names before they believe that they are logged in; the values
#: open nothing, and the application's own session is in a cookie of its own.
_NOTHING: Final = "0" * 32
_SESSION: Final = {"DedeUserID": "0", "SESSDATA": _NOTHING, "bili_jct": _NOTHING}


class Bilibili(PublicIdDialect):
    """Bilibili's web login."""

    browser_routes: tuple[Route, ...] = (
        Route("GET", _GENERATE, "Begin a login for this browser", answers=_SAYS),
        Route(
            "GET",
            _POLL,
            "Where the login stands; logs the browser in once it is confirmed",
            query=(_KEY,),
            answers=_SAYS,
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _SCAN,
            "What the picture's address opens",
            cross_site=True,
            query=(_KEY,),
            answers=(REDIRECT_ANSWER,),
            errors=(UnknownLogin,),
        ),
    )

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _GENERATE: self._generate,
            _POLL: self._poll,
            _SCAN: lambda request, _: self.open_page(query_parameter(request, "qrcode_key")),
        }

    def _generate(self, request: Request, _: str) -> Exchange[Begun]:
        def answer(begun: Begun) -> Response:
            key = begun.scan_code
            return _said(url=f"{self.at}{_SCAN}?navhide=1&qrcode_key={key}&from=", qrcode_key=key)

        return self.begin(request, answer)

    def _poll(self, request: Request, _: str) -> Exchange[Status | Redeemed]:
        def answer(seen: Status | Redeemed) -> Response:
            if isinstance(seen, Status):
                return _told(_STATES.of(seen))
            url = f"{self.landing}{'&' if '?' in self.landing else '?'}{urlencode(_SESSION)}"
            told = _told(
                _STATES.confirmed, url=url, refresh_token=_NOTHING, timestamp=seen.redeemed_at_ms
            )
            return replace(
                told,
                cookies=tuple(
                    self.cookie(name, value, self.lifetime) for name, value in _SESSION.items()
                ),
            )

        device = self.device_code(request, query_parameter(request, "qrcode_key"))
        return self.status_or_redeem(device, answer)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        word = _STATES.of_error(error) if request.path != _SCAN else None
        if word is None:
            return super().refuse(request, error)
        code, message = word
        outside = {"code": code, "message": message, "ttl": 1}
        return (
            Response.json(200, outside).with_headers(*HEADERS)
            if word == _STATES.error
            else _told(word)
        )


def _told(
    word: tuple[int, str], *, url: str = "", refresh_token: str = "", timestamp: int = 0
) -> Response:
    code, message = word
    return _said(
        url=url, refresh_token=refresh_token, timestamp=timestamp, code=code, message=message
    )


def _said(**data: object) -> Response:
    return Response.json(200, {"code": 0, "message": "0", "ttl": 1, "data": data}).with_headers(
        *HEADERS
    )
