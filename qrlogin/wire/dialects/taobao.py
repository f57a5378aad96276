"""The classic dialect of Taobao's web login: JSONP (or bare JSON), polled every few seconds and never held.

GET qrcodelogin/generateQRCode4Login.do      {"success":true,"message":"null","url","lgToken","adToken"}, and a cookie
GET qrcodelogin/{lgToken}.png                the picture that `url` leads to
GET qrcodelogin/qrcodeLoginCheck.do?lgToken= "10000" not scanned, "10001" scanned, "10003" refused, "10004" gone, "10006" + url
GET member/loginByIm.do?…&token=…            that url: it logs in, once, and goes on to `defaulturl`
GET qrcodeCheck.htm?lgToken=                 what an ordinary camera opens

What of the original has no meaning here has its shape and no power: `adToken`, and in the url `uid` (it names the login, not the
person), `time` (when the login began) and `webpas`, which carries the lgToken along.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Final, Unpack
from urllib.parse import quote

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.core import Core
from qrlogin.errors import QRLoginError, Unavailable, UnknownLogin
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.jsonp import CALLBACK, JSONP_ANSWERS, read_callback
from qrlogin.wire.dialects.public_id import (
    COOKIE_PROOF,
    HEADERS,
    PICTURE_ANSWER,
    REDEEM_ERRORS,
    REDIRECT_ANSWER,
    Handler,
    MountOptions,
    PublicIdDialect,
    query_parameter,
    script,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Field, Route
from qrlogin.wire.validation import read_some

_GENERATE: Final = "qrcodelogin/generateQRCode4Login.do"
_PICTURE: Final = "qrcodelogin/{code}.png"
_CHECK: Final = "qrcodelogin/qrcodeLoginCheck.do"
_OPEN: Final = "member/loginByIm.do"
_SCAN: Final = "qrcodeCheck.htm"

_STATES: Final = StateMap(
    pending=("10000", "login start state"),
    scanned=("10001", "mobile scan QRCode success"),
    confirmed=("10006", ""),
    denied=("10003", "mobile login cancel"),
    gone=("10004", "QRCode expired!code=1, msg=data not exist"),
    error=("10005", "login failed"),
)
_TOKEN: Final = Field("lgToken", "the public id of the login", required=True)
_TARGET: Final = Field("defaulturl", "a plain path of this site, to go on to")
_PATH: Final = re.compile(
    r"/|(/[A-Za-z0-9_~!$&'()*+,;=:@.-]+)+/?"
)  # no part that is empty or escaped
_QUERY: Final = re.compile(r"[A-Za-z0-9_~!$&'()*+,;=:@./?%-]{0,500}")


class Taobao(PublicIdDialect):
    """Taobao's classic web login. `jsonp=False`: a `callback` is not listened to, and every answer is bare JSON."""

    browser_routes: tuple[Route, ...] = (
        Route(
            "GET",
            _GENERATE,
            "Begin a login for this browser",
            query=(CALLBACK,),
            answers=JSONP_ANSWERS,
            errors=(Unavailable,),
        ),
        Route("GET", _PICTURE, "The picture", answers=(PICTURE_ANSWER,), errors=(UnknownLogin,)),
        Route(
            "GET",
            _CHECK,
            "Where the login stands; once it is confirmed, the address that logs in",
            query=(_TOKEN, CALLBACK, _TARGET),
            answers=JSONP_ANSWERS,
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _OPEN,
            "Log the browser in, once",
            query=(
                Field("webpas", "the public id of the login", required=True),
                Field("token", "the one of the address that logs in", required=True),
                _TARGET,
            ),
            answers=(REDIRECT_ANSWER,),
            errors=REDEEM_ERRORS,
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _SCAN,
            "What the picture's address opens",
            cross_site=True,
            query=(_TOKEN,),
            answers=(REDIRECT_ANSWER,),
            errors=(UnknownLogin,),
        ),
    )

    def __init__(
        self,
        core: Core,
        *,
        jsonp: bool = True,
        **mounting: Unpack[MountOptions],
    ) -> None:
        super().__init__(core, **mounting)
        self._jsonp = jsonp

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _GENERATE: self._generate,
            _PICTURE: lambda _, code: self.picture(
                code, f"{self.at}{_SCAN}?lgToken={code}&tbScanOpenType=Notification"
            ),
            _CHECK: self._check,
            _OPEN: self._open,
            _SCAN: lambda request, _: self.open_page(query_parameter(request, "lgToken")),
        }

    def _generate(self, request: Request, _: str) -> Exchange[Begun]:
        def answer(begun: Begun) -> Response:
            code = begun.scan_code
            picture = f"{self.at.partition(':')[2]}{_PICTURE.replace('{code}', code)}"
            ad = hashlib.sha256(code.encode()).hexdigest()[:32]
            return self._say(
                request,
                {
                    "success": True,
                    "message": "null",
                    "url": picture,
                    "lgToken": code,
                    "adToken": ad,
                },
            )

        self._callback(request)  # a bad one is refused before there is a login
        return self.begin(request, answer)

    def _check(self, request: Request, _: str) -> Exchange[Status]:
        self._callback(request)
        code, target = query_parameter(request, "lgToken"), self._target(request)
        device = self.device_code(request, code)

        def answer(seen: Status) -> Response:
            if not seen.ticket:
                return self._told(request, _STATES.of(seen))
            url = (  # the same at every poll; clients look for uid and token in this order, and append parameters of theirs
                f"{self.at}{_OPEN}?uid=cntaobao{seen.login_id}&token={seen.ticket}&time={device.begun_at}&asker=qrcodelogin"
                f"&ask_version=1.0.0&defaulturl={quote(target, safe='')}&webpas={code}"
            )
            return self._say(request, {"code": _STATES.confirmed[0], "success": True, "url": url})

        return self.status(device, answer)

    def _open(self, request: Request, _: str) -> Exchange[Redeemed]:
        code, ticket, target = (
            query_parameter(request, "webpas"),
            query_parameter(request, "token"),
            self._target(request),
        )
        device = self.device_code(request, code)
        return self.exchange(
            device, ticket, lambda _: Response(302, (("Location", target), *HEADERS))
        )

    def _target(self, request: Request) -> str:
        """Where the person goes on: the `defaulturl` if it is a page of this site, told by a plain path, else the landing."""
        asked = (
            read_some(request.query, ("defaulturl",))
            .get("defaulturl", "")
            .removeprefix(self._core.origin)
        )
        path, _, query = asked.partition("?")
        plain = (
            _PATH.fullmatch(path)
            and _QUERY.fullmatch(query)
            and not {".", ".."} & set(path.split("/"))
        )
        return self._core.origin + asked if plain else self.landing

    def _callback(self, request: Request) -> str:
        return read_callback(request) if self._jsonp else ""

    def _told(self, request: Request, word: tuple[str, str]) -> Response:
        code, message = word
        return self._say(request, {"code": code, "message": message, "success": True})

    def _say(self, request: Request, data: Mapping[str, object]) -> Response:
        if name := self._callback(request):
            return script(f"(function(){{{name}({json.dumps(data, separators=(',', ':'))});}})();")
        return Response.json(200, data).with_headers(*HEADERS)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        word = _STATES.of_error(error) if request.path == _CHECK else None
        return super().refuse(request, error) if word is None else self._told(request, word)
