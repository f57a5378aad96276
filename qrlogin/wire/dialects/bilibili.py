"""The dialect of Bilibili's web login: JSON, polled about once a second. The poll that answers `0`
logs the browser in.

GET x/passport-login/web/qrcode/generate
        {"code":0,...,"data":{"url","qrcode_key"}}, and a cookie
GET x/passport-login/web/qrcode/poll?qrcode_key=
        inner code 86101 not scanned, 86090 scanned, 86038 ended, 0 logged in
GET h5-app/passport/login/scan?qrcode_key=
        what an ordinary camera opens
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.errors import QRLoginError
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.public_id import Handler, PublicIdDialect, query_parameter
from qrlogin.wire.dialects.public_id_routes import (
    COOKIE_PROOF,
    JSON_ANSWER,
    begin_route,
    public_id_field,
    scan_route,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import Route

_GENERATE: Final = "x/passport-login/web/qrcode/generate"
_POLL: Final = "x/passport-login/web/qrcode/poll"
_SCAN: Final = "h5-app/passport/login/scan"

_ENDED: Final = (86038, "二维码已失效")
_STATES: Final = StateMap(
    pending=(86101, "未扫码"),
    scanned=(86090, "二维码已扫码未确认"),
    confirmed=(0, ""),
    denied=_ENDED,  # this dialect has no word for it
    ended=_ENDED,
    # Sent as the outer code: clients take an unknown inner code for a success.
    error=(-500, "服务器错误"),
)
_NO_SECRET: Final = "0" * 32
#: Clients look for these names, which are credentials in the original, before they believe that
#: they are logged in. The values give access to nothing: the application's own session is in a
#: cookie of its own.
_SESSION: Final = {"DedeUserID": "0", "SESSDATA": _NO_SECRET, "bili_jct": _NO_SECRET}


class Bilibili(PublicIdDialect):
    """Bilibili's web login.

    :param core: `core` of the `QRLogin` or `AsyncQRLogin` whose logins it begins
    :param mounting: `at`, `after_login_path`, `lifetime`, `pages` and `describe`: see
        `MountOptions`

    Raises `Misconfigured` for an option that cannot work or would not be safe.
    """

    browser_routes: tuple[Route, ...] = (
        begin_route(_GENERATE, JSON_ANSWER),
        Route(
            "GET",
            _POLL,
            "The status of the login; logs the browser in when it is confirmed",
            query=(public_id_field("qrcode_key"),),
            answers=(JSON_ANSWER,),
            proofs=COOKIE_PROOF,
        ),
        scan_route(_SCAN, "qrcode_key"),
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
            url = f"{self.base_url}{_SCAN}?navhide=1&qrcode_key={key}&from="
            return self._inner(url=url, qrcode_key=key)

        return self.begin(request, answer)

    def _poll(self, request: Request, _: str) -> Exchange[Status | Redeemed]:
        def answer(result: Status | Redeemed) -> Response:
            if isinstance(result, Status):
                return self._status_json(_STATES.of(result))
            separator = "&" if "?" in self.after_login_url else "?"
            logged_in = self._status_json(
                _STATES.confirmed,
                url=f"{self.after_login_url}{separator}{urlencode(_SESSION)}",
                refresh_token=_NO_SECRET,
                timestamp=result.redeemed_at_ms,
            )
            cookies = [self.cookie(name, text, self.lifetime) for name, text in _SESSION.items()]
            return replace(logged_in, cookies=tuple(cookies))

        device = self.own_device(request, query_parameter(request, "qrcode_key"))
        return self.status_or_redeem(request, device, answer)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """`error` as Bilibili's JSON, with status 200: an inner code, or the outer code -500 if the
        store is unavailable. For the scan route and for other errors, see
        `PublicIdDialect.refuse`.
        """
        word = _STATES.of_error(error) if request.path != _SCAN else None
        if word is None:
            return super().refuse(request, error)
        if word == _STATES.error:
            code, message = word
            return self.json({"code": code, "message": message, "ttl": 1})
        return self._status_json(word)

    def _status_json(
        self, word: tuple[int, str], *, url: str = "", refresh_token: str = "", timestamp: int = 0
    ) -> Response:
        code, message = word
        return self._inner(
            url=url, refresh_token=refresh_token, timestamp=timestamp, code=code, message=message
        )

    def _inner(self, **data: object) -> Response:
        return self.json({"code": 0, "message": "0", "ttl": 1, "data": data})
