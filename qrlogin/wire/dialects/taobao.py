"""The classic dialect of Taobao's web login: JSONP (or bare JSON), polled every few seconds and
never held.

GET qrcodelogin/generateQRCode4Login.do
        {"success":true,"message":"null","url","lgToken","adToken"}, and a cookie
GET qrcodelogin/{lgToken}.png
        the picture, at the address in `url`
GET qrcodelogin/qrcodeLoginCheck.do?lgToken=
        "10000" not scanned, "10001" scanned, "10003" denied, "10004" ended, "10006" + url
GET member/loginByIm.do?…&token=…
        that url: logs in, once, and redirects to `defaulturl`
GET qrcodeCheck.htm?lgToken=
        what an ordinary camera opens

What has no meaning here keeps its shape and gives access to nothing: `adToken`, and in the url
`uid` (it names the login, not the person), `time` (when the login began) and `webpas`, which
repeats the lgToken.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Final, Unpack
from urllib.parse import quote

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.core import Core
from qrlogin.errors import QRLoginError, Unavailable
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.jsonp import CALLBACK, JSONP_ANSWERS, read_callback
from qrlogin.wire.dialects.public_id import (
    Handler,
    MountOptions,
    PublicIdDialect,
    query_parameter,
)
from qrlogin.wire.dialects.public_id_routes import (
    COOKIE_PROOF,
    REDEEM_ERRORS,
    REDIRECT_ANSWER,
    begin_route,
    picture_route,
    public_id_field,
    scan_route,
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
    ended=("10004", "QRCode expired!code=1, msg=data not exist"),
    error=("10005", "login failed"),
)
_TARGET: Final = Field(
    "defaulturl", "a plain path of this site, where the browser goes when it is logged in"
)
#: No part of the path is empty or percent-encoded.
_PATH: Final = re.compile(r"/|(/[A-Za-z0-9_~!$&'()*+,;=:@.-]+)+/?")
_QUERY: Final = re.compile(r"[A-Za-z0-9_~!$&'()*+,;=:@./?%-]{0,500}")


class Taobao(PublicIdDialect):
    """Taobao's classic web login."""

    browser_routes: tuple[Route, ...] = (
        begin_route(_GENERATE, *JSONP_ANSWERS, query=(CALLBACK,), errors=(Unavailable,)),
        picture_route(_PICTURE),
        Route(
            "GET",
            _CHECK,
            "The status of the login; with the address that logs in when it is confirmed",
            query=(public_id_field("lgToken"), CALLBACK, _TARGET),
            answers=JSONP_ANSWERS,
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _OPEN,
            "Log the browser in, once",
            query=(
                public_id_field("webpas"),
                Field("token", "the token of the address that logs in", required=True),
                _TARGET,
            ),
            answers=(REDIRECT_ANSWER,),
            errors=REDEEM_ERRORS,
            proofs=COOKIE_PROOF,
        ),
        scan_route(_SCAN, "lgToken"),
    )

    def __init__(
        self,
        core: Core,
        *,
        jsonp: bool = True,
        **mounting: Unpack[MountOptions],
    ) -> None:
        """
        :param core: `core` of the `QRLogin` or `AsyncQRLogin` whose logins it begins
        :param jsonp: answer with a script where a `callback` is named; False: ignore `callback`,
            and answer with bare JSON always
        :param mounting: `at`, `after_login_path`, `lifetime`, `pages` and `describe`: see
            `MountOptions`

        Raises `Misconfigured` for an option that cannot work or would not be safe.
        """
        super().__init__(core, **mounting)
        self._jsonp = jsonp

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _GENERATE: self._generate,
            _PICTURE: lambda _, public_id: self.picture(
                public_id, f"{self.base_url}{_SCAN}?lgToken={public_id}&tbScanOpenType=Notification"
            ),
            _CHECK: self._check,
            _OPEN: self._open,
            _SCAN: lambda request, _: self.open_page(query_parameter(request, "lgToken")),
        }

    def _generate(self, request: Request, _: str) -> Exchange[Begun]:
        def answer(begun: Begun) -> Response:
            public_id = begun.scan_code
            picture = f"{self.base_url.partition(':')[2]}{_PICTURE.replace('{code}', public_id)}"
            ad = hashlib.sha256(public_id.encode()).hexdigest()[:32]
            tokens = {"lgToken": public_id, "adToken": ad}
            data = {"success": True, "message": "null", "url": picture, **tokens}
            return self._jsonp_or_json(request, data)

        self._callback(request)  # a callback that is not allowed begins no login
        return self.begin(request, answer)

    def _check(self, request: Request, _: str) -> Exchange[Status]:
        self._callback(request)
        public_id, target = query_parameter(request, "lgToken"), self._target(request)
        device = self.own_device(request, public_id)

        def answer(status: Status) -> Response:
            if not status.ticket:
                return self._status_json(request, _STATES.of(status))
            # The same at every poll. Clients look for uid and token in this order, and append
            # parameters of their own.
            url = (
                f"{self.base_url}{_OPEN}?uid=cntaobao{status.login_id}"
                f"&token={status.ticket}&time={device.begun_at}"
                "&asker=qrcodelogin&ask_version=1.0.0"
                f"&defaulturl={quote(target, safe='')}&webpas={public_id}"
            )
            return self._jsonp_or_json(
                request, {"code": _STATES.confirmed[0], "success": True, "url": url}
            )

        return self.status(device, answer)

    def _open(self, request: Request, _: str) -> Exchange[Redeemed]:
        public_id, ticket, target = (
            query_parameter(request, "webpas"),
            query_parameter(request, "token"),
            self._target(request),
        )
        return self.redeem_by_ticket(
            request, self.own_device(request, public_id), ticket, lambda _: self.redirect(target)
        )

    def _target(self, request: Request) -> str:
        """Where the browser goes when it is logged in: `defaulturl` if it is a plain path of this
        site, otherwise `after_login_url`.
        """
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
        return self._core.origin + asked if plain else self.after_login_url

    def _callback(self, request: Request) -> str:
        return read_callback(request) if self._jsonp else ""

    def _status_json(self, request: Request, word: tuple[str, str]) -> Response:
        code, message = word
        return self._jsonp_or_json(request, {"code": code, "message": message, "success": True})

    def _jsonp_or_json(self, request: Request, data: Mapping[str, object]) -> Response:
        if name := self._callback(request):
            return self.script(
                f"(function(){{{name}({json.dumps(data, separators=(',', ':'))});}})();"
            )
        return self.json(data)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """`error` as a code that the poll's clients know, in JSON or JSONP, with status 200. For
        other routes and errors, see `PublicIdDialect.refuse`.
        """
        word = _STATES.of_error(error) if request.path == _CHECK else None
        return super().refuse(request, error) if word is None else self._status_json(request, word)
