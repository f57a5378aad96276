"""The native dialect: JSON, and the only dialect whose bytes this library chooses.

    browser  POST begin                      {} or {"deliver":"body"}, {"picture":"none"}
                 201, and a cookie unless delivered in the body; with a user_code if the
                 application wants one
             GET  {login_id}?after=V&wait=S&echo=E   the status, held for up to S seconds, with E
             GET  {login_id}/events?after=V  the same as a stream of server-sent events
             GET  {login_id}/socket?after=V  the same over a websocket (ASGI)
                 each also with &picture=none or the id of the picture that the client shows
             GET  {login_id}/qr.svg, qr.png  the picture
             POST {login_id}/cancel          {}
             POST {login_id}/redeem          {"acknowledged", "op"}
                 then the application logs `redeemed` in
             GET  qr-login-element.js, qr-login-texts.js …
                 the modules: the only answers that may be cached
    phone    POST look, scan, confirm, deny, release, outcome   {"code"}
                 code: what the camera read, or what was typed
                 confirm also takes "match_code", the digits that the browser shows

A page holds its device_code in an HttpOnly cookie. A CLI and a page with tokens send it as
`Authorization: Bearer`. A GET changes nothing. A cookie counts only in requests of this origin; a
token counts whatever the `Origin` is (`wire/validation.py`, `wire/cross_origin.py`).
"""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from json.encoder import encode_basestring as _text
from typing import Any, Final

from qrlogin.answers import Begun, Landing, Redeemed, Scanned, Status
from qrlogin.arguments import check_callback, require_shown_as
from qrlogin.browser import MODULES, module, version
from qrlogin.codes import DeviceCode
from qrlogin.core import Core
from qrlogin.errors import (
    BadArgument,
    BadRequest,
    Expired,
    Forbidden,
    Misconfigured,
    NoSuchPath,
    NotYours,
    QRLoginError,
    TooManyBegins,
    Unauthenticated,
    UpgradeRequired,
    WrongState,
)
from qrlogin.keys import base64_encode
from qrlogin.news import FROM_NOW
from qrlogin.operation import Operation
from qrlogin.render import matrix_path, png, svg
from qrlogin.table import State
from qrlogin.wire.context import BrowserContext, address_of
from qrlogin.wire.cookies import DeviceCookies, KnownCookie, LandingCookie, TurnCookie
from qrlogin.wire.cross_origin import CrossOrigin
from qrlogin.wire.dialect import Exchange, HeldStatus, Person
from qrlogin.wire.dialects.native_routes import (
    BEGIN,
    CANCEL,
    CONFIRM,
    DENY,
    ELEMENTS,
    EVENTS,
    LOOK,
    MAX_WAIT,
    OUTCOME,
    PNG,
    REDEEM,
    RELEASE,
    SCAN,
    SOCKET,
    STATUS,
    SVG,
    VERSIONED,
)
from qrlogin.wire.error_response import NO_STORE, NOSNIFF, SAME_ORIGIN, error_response
from qrlogin.wire.message import JSON_TYPE, Cookie, Request, Response
from qrlogin.wire.routes import Route, match
from qrlogin.wire.streams import Cursor, Stream
from qrlogin.wire.validation import (
    ForeignOrigin,
    bearer,
    check_cookie_origin,
    check_origin,
    has_token,
    is_foreign,
    no_body,
    one_header,
)

_RETRY_CROWDED: Final = 2  # seconds

#: In `Accept`. Browsers send this header to other origins without a preflight, and servers of an
#: older version ignore it.
_ACCEPTED_PICTURE: Final = re.compile(r";\s*picture=(none|[A-Za-z0-9_-]{12})\s*(?:[;,]|$)")

_CHECKED: Final = "no-cache"  # kept by the browser, which asks whether it has changed
_KEPT: Final = "max-age=31536000, immutable"  # RFC 8246

_MOST_ORIGINS: Final = 20  # that the log names; a stranger may send any number of them

log: Final = logging.getLogger("qrlogin")

_HEADERS: Final = (NOSNIFF, SAME_ORIGIN)
_NOT_CACHED: Final = (NO_STORE, *_HEADERS)
_JSON: Final = (JSON_TYPE, *_NOT_CACHED)


class Native:
    """The native dialect over one core."""

    browser_routes: tuple[Route, ...] = (
        BEGIN,
        STATUS,
        EVENTS,
        SOCKET,
        SVG,
        PNG,
        CANCEL,
        REDEEM,
        *ELEMENTS,
        VERSIONED,
    )
    phone_routes: tuple[Route, ...] = (LOOK, SCAN, CONFIRM, DENY, RELEASE, OUTCOME)

    def __init__(
        self,
        core: Core,
        *,
        user_codes: bool = False,
        origins: Sequence[str] = (),
        describe: Callable[[Request], Mapping[str, str]] | None = None,
        subject: Callable[[Request], str | None] | None = None,
        draw_png: Callable[[str], bytes] | None = None,
        max_hold: int = MAX_WAIT,
    ) -> None:
        """
        :param core: `core` of the `QRLogin` or `AsyncQRLogin` whose logins it begins
        :param user_codes: give every login a code to type as well, for people without a camera.
            The policy must allow it: such a code is easier to phish than a picture
        :param origins: other origins whose pages may log in with `deliver: body` and approve with a
            token, such as `https://app.example.com` or `capacitor://localhost`. Browsers ask for
            their permission with a preflight. Cookies count only for pages of this origin
        :param describe: turns the request that begins a login into the context that the phone
            shows. Default: `BrowserContext()`
        :param subject: names, for the request that begins a login, the only account that can scan
            it: your id of the user of that browser's session. None in its place: any account. It
            is asked again for the request that redeems, which is refused if its session is one of
            another account. It may raise `Unauthenticated` or `Forbidden`, and then no login begins
            and none is redeemed. It must not believe what the request says beside your session.
            Default: any account
        :param draw_png: draws the QR code for a text, as PNG. Default: `qrlogin.render.png`
        :param max_hold: for how many seconds a status is held at most, 1 to 25. Set it below the
            time after which a proxy of yours cuts off a request without an answer. A client that
            asks for a longer wait is answered after this time, and asks again

        Raises `Misconfigured` for `user_codes` that the policy does not allow, for an origin that
        no browser sends or that any page can have, and for a `max_hold` out of range.
        """
        if user_codes and not core.policy.user_codes:
            raise Misconfigured(
                "user_codes are off in the policy: turn them on there too, and read what they cost"
            )
        if not isinstance(max_hold, int) or not 1 <= max_hold <= MAX_WAIT:
            raise Misconfigured(
                f"max_hold must be a whole number of seconds from 1 to {MAX_WAIT}; "
                "to hold no request, set max_waiting=0"
            )
        self._core, self._user_codes, self._max_hold = core, user_codes, max_hold
        self._others = CrossOrigin(core, origins)
        self.browser_routes = (*self.browser_routes, *self._others.preflights(self.browser_routes))
        self.phone_routes = (*self.phone_routes, *self._others.preflights(self.phone_routes))
        self._describe = check_callback(describe or BrowserContext(), "describe(request)")
        self._cookies = DeviceCookies(core)
        self._landing, self._turn = LandingCookie(core), TurnCookie(core)
        self._known = KnownCookie(core)
        self._subject = check_callback(subject or _any_account, "subject(request)")
        self._refused_origins: set[str] = set()
        self._browser: Mapping[str, Callable[[Request, str], Exchange[Any]]] = {
            "begin": self._begin,
            "{login_id}": self._status,
            "{login_id}/events": self._events,
            "{login_id}/socket": self._no_socket,
            "{login_id}/qr.svg": self._picture(SVG, lambda text: svg(text).encode()),
            "{login_id}/qr.png": self._picture(PNG, draw_png or png),
            "{login_id}/cancel": self._cancel,
            "{login_id}/redeem": self._redeem,
        }

    # Requests of the browser

    def browser(self, request: Request) -> Exchange[Any] | Response:
        """Read a request of the browser that is to be logged in. Returns the exchange that the
        endpoint runs, holds or streams, or the source of a module of the elements.

        Raises `BadRequest` or a subclass for a malformed request and for one that a page of another
        site sent, and `UnknownLogin` for a login that this browser did not begin. The store is not
        read here.
        """
        route, login_id = match(self.browser_routes, request)
        if route.path in MODULES:
            return _module(request, route.path, _CHECKED)
        if route is VERSIONED:
            _, asked_version, name = request.path.split("/")
            return _versioned_module(request, asked_version, name)
        if route.method == "OPTIONS":
            return self._others.preflight(request, route, self.browser_routes)
        if route is not BEGIN and bearer(request) is None:
            check_origin(request, self._core.origin)
        if request.method in ("GET", "HEAD"):
            no_body(request)
        ask = self._browser[route.path]
        return self._others.readable_exchange(request, ask(request, login_id))

    def address_of(self, request: Request) -> str:
        """The address that a request came from, as the phone is shown it; "" if it is not known."""
        return address_of(self._describe, request)

    def _begin(self, request: Request, _: str) -> Exchange[Begun]:
        asked = BEGIN.read_json(request)
        deliver, pictures = asked.get("deliver", "cookie"), _Pictures(request, asked)
        if deliver == "cookie":
            check_origin(request, self._core.origin)

        def answer(begun: Begun) -> Response:
            user_code = f',"user_code":{_text(begun.user_code)}' if begun.user_code else ""
            device_code = f',"device_code":{_text(begun.device_code)}' if deliver == "body" else ""
            cookies = () if device_code else self._cookies.set_for(begun, request)
            body = (
                f'{{{_login_members(begun)},"verification_uri":{_text(begun.verification_uri)}'
                f"{user_code}{_code_members(begun, pictures)}{device_code}}}"
            )
            return Response(201, _JSON, body.encode(), cookies)

        operation = self._core.begin(
            context=self._describe(request),
            user_code=self._user_codes,
            subject=self._subject(request),
            turn=self._turn.find(request),
            # Never None: with it, a client could choose that the phone shows nothing.
            known=self._kept(request, asked),
        )
        return Exchange(operation, answer)

    def _kept(self, request: Request, body: Mapping[str, str]) -> str:
        """What this browser has kept of the accounts that it was logged in to; "" for nothing."""
        if self._is_foreign(request):  # browsers add cookies by themselves
            return body.get("known", "")
        return body.get("known") or self._known.find(request)

    def _is_foreign(self, request: Request) -> bool:
        return is_foreign(request, self._core.origin)

    def _status(self, request: Request, login_id: str) -> Exchange[Status]:
        query = STATUS.read_query(request)
        after, seconds = query.get("after"), int(query.get("wait", "0"))
        echo = f',"echo":{_text(query["echo"])}' if "echo" in query else ""
        answer = _StatusAnswer(echo, _Pictures(request, query))
        device = self._device_code(request, login_id)
        if seconds == 0:
            return Exchange(self._core.status(device), answer)
        held = HeldStatus(
            device,
            # Without `after`, every state but pending would be news each time it is asked for.
            after=FROM_NOW if after is None else int(after),
            timeout=min(seconds, self._max_hold),
            crowded=answer.crowded,
        )
        return Exchange(held, answer)

    def _events(self, request: Request, login_id: str, route: Route = EVENTS) -> Exchange[Status]:
        query = route.read_query(request)
        after = query.get("after")
        # An EventSource that reconnects sends the id of the last event, which is newer than the
        # `after` in its address. An id that is not ours is ignored.
        sent = [Cursor.read(value) for value in request.all("last-event-id")]
        cursor = (sent[0] if len(sent) == 1 else None) or Cursor(
            None if after is None else int(after)
        )
        headers = (
            ("Content-Type", "text/event-stream; charset=utf-8"),
            *_NOT_CACHED,
            ("X-Accel-Buffering", "no"),
        )
        stream = Stream(
            self._device_code(request, login_id),
            cursor,
            response=Response(200, headers),
            finished_response=Response(204, _NOT_CACHED),
        )
        return Exchange(stream, partial(_status_json, pictures=_Pictures(request, query)))

    def _no_socket(self, request: Request, login_id: str) -> Exchange[Status]:
        raise UpgradeRequired("open this address as a websocket, or use the stream of events")

    def socket(self, request: Request) -> Exchange[Status]:
        """The exchange of a websocket. Raises what `browser` raises, and `NoSuchPath` for any other
        path.
        """
        route, login_id = match(self.browser_routes, request)
        if route is not SOCKET:
            raise NoSuchPath
        if bearer(request) is None:
            check_origin(request, self._core.origin)
            if one_header(request, "origin") is None:
                # Browsers let pages of other sites open websockets to this one.
                raise Forbidden("send Origin as browsers do, or Authorization")
        return self._events(request, login_id, SOCKET)

    def _picture(
        self, route: Route, draw: Callable[[str], bytes]
    ) -> Callable[[Request, str], Exchange[Status]]:
        def answer(status: Status) -> Response:
            if not status.verification_uri_complete:
                # A pending login without a code can still be scanned, but its code has expired.
                if status.state in (State.PENDING, State.EXPIRED):
                    raise Expired
                raise WrongState(f"the login is {status.state}: only a pending one has a picture")
            headers = (
                ("Content-Type", route.answers[0].media),
                *_NOT_CACHED,
                ("Content-Security-Policy", "default-src 'none'"),
            )
            return Response(200, headers, draw(status.verification_uri_complete))

        def ask(request: Request, login_id: str) -> Exchange[Status]:
            route.read_query(request)
            return Exchange(self._core.status(self._device_code(request, login_id)), answer)

        return ask

    def _cancel(self, request: Request, login_id: str) -> Exchange[Status]:
        CANCEL.read_json(request)
        return Exchange(self._core.cancel(self._device_code(request, login_id)), _state_json)

    def _redeem(self, request: Request, login_id: str) -> Exchange[Redeemed]:
        body = REDEEM.read_json(request)
        device = self._device_code(request, login_id)
        try:
            operation = self._redeem_for(request, device, body["acknowledged"], body["op"])
        except BadArgument as error:
            raise BadRequest(str(error)) from None

        def answer(redeemed: Redeemed) -> Response:
            known = self._core.known_after(redeemed, self._kept(request, body))
            # A program may have no cookies.
            kept = f',"known":{_text(known)}' if known and has_token(request) else ""
            login_id, state = redeemed.login_id, State.REDEEMED
            # The login's cookie stays until it expires: without the op, which only its page knows,
            # it repeats nothing, and the page needs it if only the body of this answer is lost.
            return Response(
                200,
                _JSON,
                f'{{"login_id":{_text(login_id)},"state":"{state}"{kept}}}'.encode(),
                cookies=() if self._is_foreign(request) else self._known.make(known),
                redeemed=redeemed,
                session_wanted=True,
            )

        return Exchange(operation, answer)

    def _redeem_for(
        self, request: Request, device: DeviceCode, acknowledged: str, op: str
    ) -> Operation[Redeemed]:
        """The redeem, checked against the session of this request if the application names one."""
        if self._subject is _any_account:
            return self._core.redeem(device, acknowledged=acknowledged, op=op)
        # The cookie of the session may be another one than at the begin.
        subject = self._subject(request)
        return self._core.redeem_in_session(device, subject, acknowledged=acknowledged, op=op)

    def _device_code(self, request: Request, login_id: str) -> DeviceCode:
        """The caller's device_code for this login. Raises `NotYours` before the store is read.

        The cookie comes first, because a page may send a token of its own with all its requests. In
        a request of another origin only the token counts: browsers add cookies by themselves.
        """
        found = None if self._is_foreign(request) else self._cookies.find(request, login_id)
        code = found or bearer(request)
        if code is None or (device := self._core.read_device_code(code)).login_id != login_id:
            raise NotYours("this browser did not begin the login that it asks for")
        if device.begun_by:
            raise NotYours("this login was begun in another dialect, by other rules")
        return device

    # Requests of the phone

    def phone(self, request: Request, person: Person | None) -> Exchange[Any] | Response:
        """Read a request of the phone on which `person` is signed in. Returns the exchange that
        scans, confirms, denies or releases the login.

        Raises `Unauthenticated` if `person` is None, `Forbidden` for a request that a page of
        another site may have sent, `BadRequest` or a subclass for a malformed one, `LoginError` for
        a code that cannot be used, and `BadArgument` for a person without `shown_as` if the policy
        asks for it.
        """
        route, _ = match(self.phone_routes, request)
        if route.method == "OPTIONS":
            return self._others.preflight(request, route, self.phone_routes)
        check_cookie_origin(
            request, self._core.origin, by_token=person is not None and person.by_token
        )
        if person is None:
            raise Unauthenticated
        if self._core.policy.names_scanner:
            require_shown_as(person.shown_as, "Person()")
        body = route.read_json(request)
        code = body["code"]
        who = {"subject": person.subject, "phone": person.phone}
        # As the device_code: browsers add cookies to requests of other origins by themselves.
        landing = body.get("landing") or (
            "" if self._is_foreign(request) else self._landing.find(request)
        )
        exchange: Exchange[Any]

        def look() -> Operation[Scanned]:
            return self._core.look(code, **who, landing=landing)

        if route is LOOK:
            looking = look()
            exchange = Exchange(
                looking, lambda looked: self._looked(request, looked), lambda: looking
            )
        elif route is SCAN:
            scan = self._core.scan(code, **who, shown_as=person.shown_as, landing=landing)
            exchange = Exchange(scan, _scanned_json, look)
        elif route is CONFIRM:
            confirm = self._core.confirm(
                code,
                **who,
                name=person.name,
                assurance=person.assurance,
                match_code=body.get("match_code", ""),
            )
            exchange = Exchange(confirm, _state_json, look)
        else:
            decide = {
                DENY: self._core.deny,
                RELEASE: self._core.release,
                OUTCOME: self._core.outcome,
            }
            exchange = Exchange(decide[route](code, **who), _state_json)
        return self._others.readable_exchange(request, exchange)

    def _looked(self, request: Request, looked: Scanned) -> Response:
        """The answer to a look, and what lets this caller scan when its user has read the question:
        for a page a cookie, for a program that sends a token a field of the body.
        """
        if not looked.landing or has_token(request):
            extra = f',"landing":{_text(looked.landing)}' if looked.landing else ""
            return _scanned_json(looked, extra)
        landing = Landing(looked.login_id, looked.landing, looked.expires_in)
        return _scanned_json(looked, cookies=(self._landing.make(landing),))

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """`error` as JSON with its HTTP status: `{"error", "error_description"}`, and `retry_after`
        in seconds if repeating the request can help (also as the header Retry-After).

        Logs a refused `Origin` once as a WARNING, because it usually means that the site is set up
        for another address than the one that people open.
        """
        if isinstance(error, ForeignOrigin):
            self._report(request.all("origin"))
        refusal = error_response(error)
        if isinstance(error, TooManyBegins) and error.turn:
            refusal = replace(refusal, cookies=(self._turn.make(error.turn),))
        return self._others.readable(request, refusal)

    def _report(self, origins: Sequence[str]) -> None:
        known, ours = self._refused_origins, self._core.origin
        for sent in origins:
            listed = self._others.lists(sent)
            if not listed and sent not in known and len(known) < _MOST_ORIGINS:
                known.add(sent)
                log.warning(
                    "refused a request of Origin %s: verification_uri is at %s. If people open the "
                    "site at that Origin, change verification_uri",
                    ascii(sent[:200]),
                    ours,
                )


def _any_account(_: Request) -> None:
    """The default `subject`: every account can scan the login."""


# JSON is written by hand, because every answer has one of a few shapes: an encoder takes longer.
# What begins with a comma follows other members.


def _login_members(login: Begun | Status) -> str:
    return (
        f'"login_id":{_text(login.login_id)},"state":"{login.state}",'
        f'"version":{login.version},"expires_in":{login.expires_in}'
    )


class _Pictures:
    """Decides which answers to one request have a picture. A stream has many answers."""

    __slots__ = ("_shown",)

    def __init__(self, request: Request, asked: Mapping[str, str]) -> None:
        """
        :param request: its `Accept` may say which picture the client shows, or that it wants none
        :param asked: the query or the body, where `picture` may say the same
        """
        accepted = _ACCEPTED_PICTURE.search(", ".join(request.all("accept")))
        #: "": the client does not say, and gets the picture each time.
        self._shown = asked.get("picture") or (accepted[1] if accepted else "")

    def member(self, text: str) -> str:
        """The member `qr` for the picture of this text; "" if the client needs none."""
        if self._shown == "none":
            return ""
        name = base64_encode(hashlib.sha256(text.encode()).digest()[:9]).decode()
        if self._shown == name:
            return ""
        if self._shown:
            self._shown = name
        drawn = matrix_path(text)
        return f',"qr":{{"size":{drawn.size},"path":"{drawn.path}","id":"{name}"}}'


class _StatusAnswer:
    """Spells the answer to one request for a status. Thousands of them are held, and this takes
    less memory than functions inside `Native._status`.
    """

    __slots__ = ("_echo", "_pictures")

    def __init__(self, echo: str, pictures: _Pictures) -> None:
        self._echo, self._pictures = echo, pictures

    def __call__(self, status: Status) -> Response:
        return _status_json(status, self._echo, pictures=self._pictures)

    def crowded(self, status: Status) -> Response:
        later = f',"retry_after":{_RETRY_CROWDED}{self._echo}'
        return _status_json(status, later, pictures=self._pictures)


def _code_members(login: Begun | Status, pictures: _Pictures) -> str:
    return (
        f',"code_expires_in":{login.code_expires_in},"rotates_in":{login.rotates_in}'
        f',"verification_uri_complete":{_text(login.verification_uri_complete)}'
        f"{pictures.member(login.verification_uri_complete)}"
    )


def _status_json(status: Status, extra: str = "", *, pictures: _Pictures) -> Response:
    code = _code_members(status, pictures) if status.verification_uri_complete else ""
    scanned_by = ""
    if by := status.scanned_by:
        name = f',"name":{_text(by.name)}' if by.name else ""
        shown_as, tag = _text(by.shown_as), _text(by.tag)
        scanned_by = f',"scanned_by":{{"shown_as":{shown_as}{name},"tag":{tag}}}'
    match_code = f',"match_code":{_text(status.match_code)}' if status.match_code else ""
    body = f"{{{_login_members(status)}{code}{scanned_by}{match_code}{extra}}}"
    return Response(200, _JSON, body.encode())


def _state_json(status: Status) -> Response:
    body = f'{{"login_id":{_text(status.login_id)},"state":"{status.state}"}}'
    return Response(200, _JSON, body.encode())


def _scanned_json(
    scanned: Scanned, extra: str = "", *, cookies: tuple[Cookie, ...] = ()
) -> Response:
    digits = f',"match_digits":{scanned.match_digits}' if scanned.match_digits else ""
    known = scanned.known_browser
    known_browser = "" if known is None else f',"known_browser":{"true" if known else "false"}'
    context = ",".join(f"{_text(name)}:{_text(text)}" for name, text in scanned.context.items())
    body = (
        f'{{"login_id":{_text(scanned.login_id)},"state":"{scanned.state}"'
        f',"context":{{{context}}},"begun_ago":{scanned.begun_ago}'
        f',"expires_in":{scanned.expires_in}{digits}{known_browser}{extra}}}'
    )
    return Response(200, _JSON, body.encode(), cookies)


def _versioned_module(request: Request, asked_version: str, name: str) -> Response:
    """A module of another version than this process has is its own, to be checked each time: while
    processes are replaced, a page of one asks the other.
    """
    if name not in MODULES:
        raise NoSuchPath
    return _module(request, name, _KEPT if asked_version == version() else _CHECKED)


def _module(request: Request, name: str, caching: str) -> Response:
    no_body(request)
    etag = _etag(name)
    headers = (("ETag", etag), ("Cache-Control", caching), *_HEADERS)
    tags = {
        tag.strip().removeprefix("W/")
        for line in request.all("if-none-match")
        for tag in line.split(",")
    }
    if tags & {etag, "*"}:  # RFC 9110 section 13.1.2
        return Response(304, headers)
    return Response(
        200, (("Content-Type", "text/javascript; charset=utf-8"), *headers), module(name)
    )


@cache
def _etag(name: str) -> str:
    return f'"{hashlib.sha256(module(name)).hexdigest()[:16]}"'
