"""The dialect of WeChat's open platform: a page that shows the code, and a redirect with a
`wx_code` for an application.

GET connect/qrconnect?appid=&redirect_uri=&state=    the page, and a cookie
GET connect/qrcode/{uuid}                            the picture, which contains the address:
GET connect/confirm?uuid=                            what an ordinary camera opens
GET connect/l/qrconnect?uuid=&last=
        window.wx_errcode=408 no news, 404 scanned, 403 not approved, 402 ended,
        405 with window.wx_code; `f=json` answers the same in JSON
GET connect/callback?code=
        the redirect_uri for requests without one: logs the browser in
GET sns/oauth2/access_token?appid=&secret=&code=
        for an application's server, which sends the browser's Cookie header along

A code is worthless without the cookie of the browser that began the login, so reading it in an
address or a log gives access to nothing. The price: an application must be on this very host, on
any port, because browsers send the cookie to no other host.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from html import escape
from importlib.resources import files
from typing import ClassVar, Final, Unpack
from urllib.parse import quote, urlsplit

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.arguments import check_callback
from qrlogin.browser import language, texts
from qrlogin.core import Core
from qrlogin.errors import BadRequest, NotYours, QRLoginError, Superseded, Unavailable
from qrlogin.table import State
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.base import begun_by
from qrlogin.wire.dialects.public_id import (
    Handler,
    MountOptions,
    PublicIdDialect,
    check_hold_seconds,
    query_parameter,
    required_value,
)
from qrlogin.wire.dialects.public_id_routes import (
    COOKIE_PROOF,
    CROWDED_ANSWER,
    REDEEM_ERRORS,
    REDIRECT_ANSWER,
    SCRIPT_ANSWER,
    begin_route,
    picture_route,
    public_id_field,
    scan_route,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import JSON, Answer, Field, Route, an_object
from qrlogin.wire.validation import read_some

_PAGE: Final = "connect/qrconnect"
_PICTURE: Final = "connect/qrcode/{code}"
_SCAN: Final = "connect/confirm"
_POLL: Final = "connect/l/qrconnect"
_CALLBACK: Final = "connect/callback"
_TOKEN: Final = "sns/oauth2/access_token"  # noqa: S105 - a path

_STATES: Final = StateMap(pending=408, scanned=404, confirmed=405, denied=403, ended=402, error=500)
_RELEASED: Final = 403  # the word for denied, too: only the next answer differs
#: The state that a client saw last, by its parameter `last`. Any other value means pending.
_LAST_SEEN: Final = {"404": State.SCANNED}
#: A word that is replaced, after this `last`.
_REPLACED: Final = {
    ("404", _STATES.scanned): _STATES.pending,  # no news
    ("404", _STATES.pending): _RELEASED,
    ("403", _STATES.denied): _STATES.ended,
}
_UUID: Final = public_id_field("uuid")
_STATUS_JSON: Final = Answer(
    200,
    "The same, with f=json",
    JSON,
    an_object({"wx_errcode": {"type": "integer"}, "wx_code": {"type": "string"}}),
)
_TICKET_LENGTH: Final = 32  # characters at the end of a wx_code, after the uuid
_NO_REFERRER: Final = ("Referrer-Policy", "no-referrer")  # the address may hold a code
_APPID: Final = re.compile(r"[A-Za-z0-9_.-]{0,64}")
_MAX_STATE_LENGTH: Final = 512
_CONTENT_POLICY: Final = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
)


class WeChatOpen(PublicIdDialect):
    """QR login for applications on this host.

    You answer `sns/oauth2/access_token`: when `response.redeemed` is set, send
    `response.with_json(tokens)`, and set no cookie there.
    """

    browser_routes: tuple[Route, ...] = (
        begin_route(
            _PAGE,
            Answer(200, "The page that shows the code", "text/html", {"type": "string"}),
            query=(
                Field("appid", "at most 64 letters, digits or _.-"),
                Field(
                    "redirect_uri",
                    "an address on this host, registered for this appid; default: connect/callback",
                ),
                Field("state", f"at most {_MAX_STATE_LENGTH} characters, returned with the code"),
                Field("self_redirect", '"true" to redirect the frame of the page, not the window'),
            ),
            errors=(Unavailable,),
            same_site=True,  # applications on other ports of this host send their users here
        ),
        picture_route(_PICTURE),
        scan_route(_SCAN, "uuid"),
        Route(
            "GET",
            _POLL,
            "The status of the login; held until there is news",
            query=(
                _UUID,
                Field("last", "the last wx_errcode that this client received"),
                Field("f", '"json" for JSON in place of a script'),
            ),
            answers=(SCRIPT_ANSWER, _STATUS_JSON, CROWDED_ANSWER),
            errors=(Superseded,),
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _CALLBACK,
            "Log the browser in, once",
            query=(Field("code", "the wx_code of the poll", required=True),),
            answers=(REDIRECT_ANSWER,),
            errors=REDEEM_ERRORS,
            proofs=COOKIE_PROOF,
        ),
        Route(
            "GET",
            _TOKEN,
            "Collect the login, once, for an application's server",
            query=(
                Field("appid", "the appid of the application"),
                Field("secret", "the secret of the application"),
                Field("code", "the code that the browser brought"),
                Field("grant_type", '"authorization_code"'),
            ),
            answers=(
                Answer(
                    200, "The application's tokens, or errcode and errmsg", JSON, {"type": "object"}
                ),
            ),
            proofs=COOKIE_PROOF,
        ),
    )
    default_lifetime: ClassVar[int] = 300

    def __init__(
        self,
        core: Core,
        *,
        hold: float = 25,
        redirect_uris: Callable[[str, str], bool] = lambda appid, address: False,
        clients: Callable[[str, str], bool] = lambda appid, secret: False,
        names: Callable[[str], str | None] = lambda appid: None,
        **mounting: Unpack[MountOptions],
    ) -> None:
        """
        :param core: `core` of the `QRLogin` or `AsyncQRLogin` whose logins it begins
        :param hold: how many seconds a poll is held while there is no news, 30 at most
        :param redirect_uris: is given an appid and an address, and returns whether the
            application registered the address. Addresses of this origin are allowed without it,
            and those of other hosts are refused with it
        :param clients: is given an appid and a secret, and returns whether they belong together.
            Compare with `hmac.compare_digest`
        :param names: is given an appid, and returns the name under which the phone shows the
            application, or None for an appid that you do not know. Without a name, the phone shows
            none: a link can claim any appid
        :param mounting: `at`, `after_login_path`, `lifetime`, `pages` and `describe`: see
            `MountOptions`

        Raises `Misconfigured` for an option that cannot work or would not be safe.
        """
        super().__init__(core, **mounting)
        self._hold = check_hold_seconds(hold)
        self._registered, self._clients, self._names = (
            check_callback(redirect_uris, "redirect_uris(appid, address)"),
            check_callback(clients, "clients(appid, secret)"),
            check_callback(names, "names(appid)"),
        )
        scheme, _, host = core.origin.partition("://")
        host = re.sub(r":[0-9]+$", "", host)
        # Only what browsers and urllib read alike: no user, no backslash, no fragment, and nothing
        # that HTML or a header would have to escape.
        origin = rf"{scheme}://{re.escape(host)}(?::[0-9]{{1,5}})?"
        self._address = re.compile(rf"({origin})(?:[/?][A-Za-z0-9_~!$&()*+,;=:@./?%-]*)?")

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _PAGE: self._page,
            _PICTURE: lambda _, public_id: self.picture(
                public_id, f"{self.base_url}{_SCAN}?uuid={public_id}"
            ),
            _SCAN: lambda request, _: self.open_page(query_parameter(request, "uuid")),
            _POLL: self._poll,
            _CALLBACK: self._callback,
            _TOKEN: self._token,
        }

    def _page(self, request: Request, _: str) -> Exchange[Begun]:
        query = read_some(request.query, ("appid", "redirect_uri", "state", "self_redirect"))
        appid, state = query.get("appid", ""), query.get("state", "")
        if not _APPID.fullmatch(appid) or len(state) > _MAX_STATE_LENGTH:
            raise BadRequest(
                "appid has at most 64 letters, digits or _.- "
                f"and state at most {_MAX_STATE_LENGTH} characters"
            )
        target = self._target(appid, query.get("redirect_uri", f"{self.base_url}{_CALLBACK}"))
        mount_path = urlsplit(self.base_url).path

        def answer(begun: Begun) -> Response:
            fields = {
                "uuid": begun.scan_code,
                "picture": f"{mount_path}connect/qrcode/{begun.scan_code}",
                "poll": f"{mount_path}{_POLL}",
                "target": target,
                "state": quote(state, safe=""),
                "frame": "self" if query.get("self_redirect") == "true" else "",
                **_words(language(",".join(request.all("accept-language")))),
            }
            html = re.sub(r"\{\{(\w+)\}\}", lambda found: escape(fields[found[1]]), _template())
            allowed = "".join(
                f"; {kind}-src '{_digest(html, tag)}'"
                for kind, tag in (("script", "script"), ("style", "style"))
            )
            page = self.respond("text/html; charset=utf-8", html.encode())
            policy = ("Content-Security-Policy", _CONTENT_POLICY + allowed)
            return page.with_headers(policy, _NO_REFERRER)

        # An application's own page leads to its server, which redeems in place of the browser.
        in_browser = "redirect_uri" not in query
        return self.begin(
            request, answer, client_id=appid, names=self._names, in_browser=in_browser
        )

    def _target(self, appid: str, address: str) -> str:
        """The address, ready for a parameter to be appended. Raises `BadRequest` unless it is of
        this origin, or of this host and registered.
        """
        found = self._address.fullmatch(address)
        if not found or not (
            found[1] == self._core.origin or self._registered(appid, address) is True
        ):
            raise BadRequest(
                "redirect_uri is not registered for this appid, or not on this host: "
                "the code cannot be used elsewhere"
            )
        return address + ("&" if "?" in address else "?")

    def _poll(self, request: Request, _: str) -> Exchange[Status]:
        query = read_some(request.query, ("uuid", "last", "f"))
        uuid, last = required_value(query, "uuid"), query.get("last", "")
        device = self.own_device(request, uuid)

        def answer(status: Status) -> Response:
            word = _STATES.of(status)
            word = _REPLACED.get((last, word), word)
            return self._status_answer(request, word, uuid + status.ticket if status.ticket else "")

        return self.held_status(device, _LAST_SEEN.get(last), self._hold, answer)

    def _callback(self, request: Request, _: str) -> Exchange[Redeemed]:
        uuid, ticket = _split(query_parameter(request, "code"))
        redirect = self.redirect(self.after_login_url).with_headers(_NO_REFERRER)
        return self.redeem_by_ticket(
            request, self.own_device(request, uuid), ticket, lambda _: redirect
        )

    def _token(self, request: Request, _: str) -> Exchange[Redeemed] | Response:
        query = read_some(request.query, ("appid", "secret", "code", "grant_type"))
        if query.get("grant_type") != "authorization_code":
            return self._failure(40002, "invalid grant_type")
        if self._clients(query.get("appid", ""), query.get("secret", "")) is not True:
            return self._failure(40125, "invalid appsecret")
        uuid, ticket = _split(required_value(query, "code"))
        device = self.own_device(request, uuid)
        if device.begun_by != begun_by(self, query.get("appid", "")):
            raise NotYours("another application began this login")
        return self.redeem_by_ticket(
            request,
            device,
            ticket,
            lambda _: replace(self.json({}), tokens_wanted=True),
        )

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """`error` as a code that the clients know, with status 200: a `wx_errcode` from the poll,
        an `errcode` with its `errmsg` from `sns/oauth2/access_token`. For other routes and errors,
        see `PublicIdDialect.refuse`.
        """
        word = _STATES.of_error(error)
        if word is not None and request.path == _POLL:
            return self._status_answer(request, word, "")
        if word is not None and request.path == _TOKEN:
            if word == _STATES.error:
                return self._failure(-1, "system error")
            return self._failure(40029, "invalid code")
        return super().refuse(request, error)

    def _status_answer(self, request: Request, word: int, wx_code: str) -> Response:
        if read_some(request.query, ("f",)).get("f") == "json":
            return self.json({"wx_errcode": word, "wx_code": wx_code})
        return self.script(f"window.wx_errcode={word};window.wx_code='{wx_code}';")

    def _failure(self, code: int, message: str) -> Response:
        return self.json({"errcode": code, "errmsg": message})


def _split(wx_code: str) -> tuple[str, str]:
    """The uuid and the ticket in a `wx_code`."""
    return wx_code[:-_TICKET_LENGTH], wx_code[-_TICKET_LENGTH:]


@cache
def _template() -> str:
    return files(__package__).joinpath("wechat_open.html").read_text("utf-8")


def _words(lang: str) -> Mapping[str, str]:
    """The texts of the page, from the catalogue, by placeholder."""
    known = texts(lang)
    login, pages = known["login"], known["pages"]
    return {
        "lang": lang,
        "direction": pages["direction"],
        "title": login["idle"],
        "label": login["label"],
        "pending": login["pending"],
        "scanned": login["scannedHint"],
        "released": known["approve"]["released"],
        "approved": login["redeeming"],
        "ended": login["unknown"],
        "again": login["renew"],
        "needs": pages["needsJavaScript"],
    }


def _digest(html: str, tag: str) -> str:
    """The source of the one element of this name, for a Content-Security-Policy."""
    inside = html.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    return "sha256-" + b64encode(hashlib.sha256(inside.encode()).digest()).decode()
