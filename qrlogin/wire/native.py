"""The native dialect: JSON, and the only one whose bytes are ours to choose.

    browser  POST begin                      {} or {"deliver":"body"}        201, and a cookie unless delivered in the body;
                                                                             with a user_code if the application wants one
             GET  {login_id}?after=V&wait=S                                  where it stands, held up to S seconds
             GET  {login_id}/qr.svg, qr.png                                  the picture
             POST {login_id}/cancel          {}
             POST {login_id}/redeem          {"acknowledged", "op"}          then the application logs `redeemed` in
             GET  qr-login-element.js                                        the one answer that may be cached
    phone    POST scan, confirm, deny, release   {"code"}                    code: what the camera read, or was typed

A page holds its device_code in an HttpOnly cookie; a CLI sends it as `Authorization: Bearer`. A GET changes nothing.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from qrlogin.answers import Begun, Redeemed, Scanned, Status
from qrlogin.browser import ELEMENT, element
from qrlogin.core import Core
from qrlogin.errors import (
    BadArgument,
    BadRequest,
    Expired,
    Forbidden,
    Misconfigured,
    NotYours,
    QRLoginError,
    Unauthenticated,
    WrongState,
)
from qrlogin.render import matrix_path, png, svg
from qrlogin.table import State
from qrlogin.wire.cookies import DeviceCookies
from qrlogin.wire.dialect import Exchange, Person, Wait
from qrlogin.wire.guards import bearer, check_origin, no_body, one_header, read_json, read_query
from qrlogin.wire.message import Request, Response
from qrlogin.wire.refusals import NO_STORE, NOSNIFF, SAME_ORIGIN, refusal
from qrlogin.wire.routes import Route, match

MAX_WAIT: Final = 25  # seconds: below the 30 s after which proxies begin to give up
RETRY_CROWDED: Final = 2  # seconds

_HEADERS: Final = (NOSNIFF, SAME_ORIGIN)
_NOT_CACHED: Final = (NO_STORE, *_HEADERS)
_NUMBER: Final = re.compile(r"[0-9]{1,15}")


def describe_browser(request: Request) -> Mapping[str, str]:
    """The context of a new login as far as the request tells: what the browser calls itself, made printable and cut short.

    At most 200 ASCII characters that JSON writes as they are, so half of a context is left for what an application adds.
    """
    sent = " ".join(request.all("user-agent"))[:2000]
    agent = " ".join("".join(c if c.isascii() and c.isprintable() and c not in '"\\' else " " for c in sent).split())
    return {"browser": agent[:200]} if agent else {}


class Native:
    """The native dialect over one core. `describe` turns the request that begins a login into the context for the phone.

    With `user_codes` every login also has a code to type, for people without a camera. Raises `Misconfigured` when the policy
    has not agreed to that: such a code is easier to talk somebody out of than a picture.
    """

    browser_routes: tuple[Route, ...] = (
        Route("POST", "begin", "Begin a login for this browser"),
        Route("GET", "{login_id}", "Where the login stands; held while there is no news"),
        Route("GET", "{login_id}/qr.svg", "The QR code as SVG"),
        Route("GET", "{login_id}/qr.png", "The QR code as PNG"),
        Route("POST", "{login_id}/cancel", "Give the login up"),
        Route("POST", "{login_id}/redeem", "Collect the login, once"),
        Route("GET", ELEMENT, "The <qr-login> element"),
    )
    phone_routes: tuple[Route, ...] = (
        Route("POST", "scan", "The phone read the code"),
        Route("POST", "confirm", "The person approves"),
        Route("POST", "deny", "The person refuses"),
        Route("POST", "release", "Let the code be scanned again"),
    )

    def __init__(
        self,
        core: Core,
        *,
        user_codes: bool = False,
        describe: Callable[[Request], Mapping[str, str]] = describe_browser,
    ) -> None:
        if user_codes and not core.policy.user_codes:
            raise Misconfigured("user_codes are off in the policy: set them there as well, and read what they cost")
        self._core, self._user_codes = core, user_codes
        self._describe, self._cookies = describe, DeviceCookies(core)
        self._browser: Mapping[str, Callable[[Request, str], Exchange[Any]]] = {
            "{login_id}": self._status,
            "{login_id}/qr.svg": self._picture(lambda text: svg(text).encode(), "image/svg+xml"),
            "{login_id}/qr.png": self._picture(png, "image/png"),
            "{login_id}/cancel": self._cancel,
            "{login_id}/redeem": self._redeem,
        }

    # The browser's door

    def browser(self, request: Request) -> Exchange[Any] | Response:
        route, login_id = match(self.browser_routes, request)
        if route.path == ELEMENT:
            return _element(request)
        check_origin(request, self._core.origin)
        if request.method == "GET":
            no_body(request)
        if route.path == "begin":
            return self._begin(request)
        return self._browser[route.path](request, login_id)

    def _begin(self, request: Request) -> Exchange[Begun]:
        deliver = read_json(request, {"deliver": False}).get("deliver", "cookie")
        if deliver not in ("cookie", "body"):
            raise BadRequest('deliver must be "cookie" or "body"')

        def answer(begun: Begun) -> Response:
            payload: dict[str, object] = {
                "login_id": begun.login_id,
                "state": begun.state,
                "version": begun.version,
                "expires_in": begun.expires_in,
                "verification_uri": begun.verification_uri,
                **({"user_code": begun.user_code} if begun.user_code else {}),
                **_code(begun.verification_uri_complete, begun.rotates_in),
            }
            if deliver == "body":
                return _json(payload | {"device_code": begun.device_code}, 201)
            made = _json(payload, 201)
            return Response(made.status, made.headers, made.body, cookies=self._cookies.set_for(begun, request))

        return Exchange(self._core.begin(context=self._describe(request), user_code=self._user_codes), answer)

    def _status(self, request: Request, login_id: str) -> Exchange[Status]:
        query = read_query(request, ("after", "wait"))
        after, wait = query.get("after"), query.get("wait", "0")
        if after is not None and not _NUMBER.fullmatch(after):
            raise BadRequest("after must be the version that you were last told")
        if not _NUMBER.fullmatch(wait) or (seconds := int(wait)) > MAX_WAIT:
            raise BadRequest(f"wait must be a whole number of seconds, {MAX_WAIT} at most")

        def answer(seen: Status, *crowded: tuple[str, object]) -> Response:
            payload: dict[str, object] = {
                "login_id": seen.login_id,
                "state": seen.state,
                "version": seen.version,
                "expires_in": seen.expires_in,
            }
            if seen.verification_uri_complete:
                payload |= _code(seen.verification_uri_complete, seen.rotates_in)
            if seen.scanned_by:
                payload["scanned_by"] = {"shown_as": seen.scanned_by.shown_as, "tag": seen.scanned_by.tag}
            return _json(payload | dict(crowded))

        device_code = self._device_code(request, login_id)
        if seconds == 0:
            return Exchange(self._core.status(device_code), answer)
        held = Wait(
            device_code,
            after=None if after is None else int(after),
            timeout=seconds,
            crowded=lambda seen: answer(seen, ("retry_after", RETRY_CROWDED)),
        )
        return Exchange(held, answer)

    def _picture(self, draw: Callable[[str], bytes], content_type: str) -> Callable[[Request, str], Exchange[Status]]:
        def answer(seen: Status) -> Response:
            if seen.state is not State.PENDING:
                raise Expired if seen.state is State.EXPIRED else WrongState
            headers = (("Content-Type", content_type), *_NOT_CACHED, ("Content-Security-Policy", "default-src 'none'"))
            return Response(200, headers, draw(seen.verification_uri_complete))

        def ask(request: Request, login_id: str) -> Exchange[Status]:
            read_query(request, ())
            return Exchange(self._core.status(self._device_code(request, login_id)), answer)

        return ask

    def _cancel(self, request: Request, login_id: str) -> Exchange[Status]:
        read_json(request, {})
        return Exchange(self._core.cancel(self._device_code(request, login_id)), _bare)

    def _redeem(self, request: Request, login_id: str) -> Exchange[Redeemed]:
        body = read_json(request, {"acknowledged": True, "op": True})
        device_code = self._device_code(request, login_id)
        try:
            operation = self._core.redeem(device_code, acknowledged=body["acknowledged"], op=body["op"])
        except BadArgument as error:
            raise BadRequest(str(error)) from None

        def answer(redeemed: Redeemed) -> Response:
            made = _json({"login_id": redeemed.login_id, "state": State.REDEEMED})
            return Response(made.status, made.headers, made.body, redeemed=redeemed)

        return Exchange(operation, answer)

    def _device_code(self, request: Request, login_id: str) -> str:
        """The caller's device_code for this very login. Raises `NotYours` without a glance at the store."""
        sent = bearer(request)
        code = self._cookies.find(request, login_id) or sent  # a page may send a bearer of its own with all its requests
        if code is None or (device := self._core.device(code)).login_id != login_id:
            raise NotYours("this browser did not begin the login that it asks for")
        if device.client_id:
            raise NotYours("this login was begun in another dialect, by other rules")
        return code

    # The phone's door

    def phone(self, request: Request, person: Person | None) -> Exchange[Any] | Response:
        route, _ = match(self.phone_routes, request)
        if not check_origin(request, self._core.origin) and one_header(request, "authorization") is None:
            raise Forbidden("send Authorization, or Origin or Sec-Fetch-Site as browsers do")
        if person is None:
            raise Unauthenticated
        code = read_json(request, {"code": True})["code"]
        if route.path == "scan":
            return Exchange(self._core.scan(code, subject=person.subject, shown_as=person.shown_as, phone=person.phone), _scanned)
        decide = {"confirm": self._core.confirm, "deny": self._core.deny, "release": self._core.release}[route.path]
        return Exchange(decide(code, subject=person.subject, phone=person.phone), _bare)

    # Both

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        return refusal(error)


def _json(payload: Mapping[str, object], status: int = 200) -> Response:
    return Response.json(status, payload).with_headers(*_NOT_CACHED)


def _code(text: str, rotates_in: int) -> dict[str, object]:
    drawn = matrix_path(text)
    return {
        "rotates_in": rotates_in,
        "verification_uri_complete": text,
        "qr": {"size": drawn.size, "path": drawn.path},
    }


def _bare(seen: Status) -> Response:
    return _json({"login_id": seen.login_id, "state": seen.state})


def _scanned(seen: Scanned) -> Response:
    return _json(
        {
            "login_id": seen.login_id,
            "state": seen.state,
            "context": dict(seen.context),
            "begun_ago": seen.begun_ago,
            "expires_in": seen.expires_in,
        }
    )


def _element(request: Request) -> Response:
    no_body(request)
    etag = _element_etag()
    headers = (("ETag", etag), ("Cache-Control", "no-cache"), *_HEADERS)
    if etag in (tag.strip().removeprefix("W/") for line in request.all("if-none-match") for tag in line.split(",")):
        return Response(304, headers)
    return Response(200, (("Content-Type", "text/javascript; charset=utf-8"), *headers), element())


@cache
def _element_etag() -> str:
    return f'"{hashlib.sha256(element()).hexdigest()[:16]}"'
