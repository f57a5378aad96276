"""What the dialects share whose clients know a login by a public id in a URL: begin, poll, picture, redirect.

The id is the fixed form of the scan code, so whoever sees the picture has it, and it opens nothing: what watches and redeems is
the device_code in this browser's HttpOnly cookie, and every answer about a login needs it. GETs act here, because such clients
make them so; pages of other sites are refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, TypedDict, Unpack

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.codes import DeviceCode
from qrlogin.core import Core
from qrlogin.errors import (
    AlreadyRedeemed,
    BadRequest,
    Cancelled,
    Denied,
    Expired,
    Misconfigured,
    NotYours,
    QRLoginError,
    ScannerChanged,
    Unavailable,
    UnknownLogin,
    WrongState,
)
from qrlogin.policy import check_lifetime
from qrlogin.render import png
from qrlogin.table import State
from qrlogin.wire.cookies import DeviceCookies
from qrlogin.wire.dialect import Exchange, HeldStatus
from qrlogin.wire.dialects.base import BrowserOnly, client_id_for, mount_address
from qrlogin.wire.dialects.native import describe_browser
from qrlogin.wire.error_response import NO_STORE, NOSNIFF, SAME_SITE, error_response
from qrlogin.wire.message import Cookie, Request, Response
from qrlogin.wire.routes import PNG_IMAGE, SCRIPT, Answer, Route, match
from qrlogin.wire.validation import check_same_site, no_body, read_some, within_cap

_LANDING: Final = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@/?%#-]*")
MAX_HOLD: Final = 30  # seconds: pages give up after 35
HEADERS: Final = (NO_STORE, NOSNIFF, SAME_SITE)
Handler = Callable[[Request, str], Exchange[Any] | Response]

# For descriptions of routes
SCRIPT_ANSWER: Final = Answer(200, "A script, also when it refuses", SCRIPT, {"type": "string"})
PICTURE_ANSWER: Final = Answer(200, "The picture", PNG_IMAGE)
REDIRECT_ANSWER: Final = Answer(302, "The browser goes on")
CROWDED_ANSWER: Final = Answer(503, "Too many wait: ask again later")
REDEEM_ERRORS: Final[tuple[type[QRLoginError], ...]] = (
    *(
        UnknownLogin,
        WrongState,
        ScannerChanged,
        AlreadyRedeemed,
        Denied,
        Cancelled,
        Expired,
        Unavailable,
    ),
)
COOKIE_PROOF: Final = ("device_cookie",)


class MountOptions(TypedDict, total=False):
    """What each of these dialects may be told."""

    at: str  # the address under which it is mounted, as browsers see it; the root of the site
    landing: str  # the path that a browser comes to when it is logged in; /
    lifetime: int  # of its logins, in seconds, 600 at most; what the original has
    describe: Callable[
        [Request], Mapping[str, str]
    ]  # from the request that begins a login to the context for the phone


class PublicIdDialect(BrowserOnly):
    """A dialect over one core. A subclass lists its routes, and has a method for each of them in `handlers()`.

    Raises `Misconfigured` for a `MountOptions` that cannot work or would not be safe.
    """

    browser_routes: tuple[Route, ...] = ()
    default_lifetime: ClassVar[int] = 180  # seconds, unless the mounting says another lifetime

    def __init__(self, core: Core, **mounting: Unpack[MountOptions]) -> None:
        if unknown := mounting.keys() - MountOptions.__annotations__:
            raise TypeError(f"{type(self).__name__}() has no option {min(unknown)}")
        self.at = mount_address(core, mounting.get("at", core.origin)) + "/"
        landing, self.lifetime = (
            mounting.get("landing", "/"),
            mounting.get("lifetime", self.default_lifetime),
        )
        check_lifetime(self.lifetime, "lifetime", Misconfigured)
        if not _LANDING.fullmatch(landing):
            raise Misconfigured(
                "landing must be a path of this site, such as /account, with what is not ASCII spelled by %"
            )
        self.landing = core.origin + landing
        self._core, self._cookies = core, DeviceCookies(core)
        self._describe = mounting.get("describe", describe_browser)
        self._handlers = self.handlers()
        if differing := self._handlers.keys() ^ {route.path for route in self.browser_routes}:
            raise TypeError(
                f"{type(self).__name__} has a route without a handler, or a handler without a route: {differing}"
            )

    def handlers(self) -> Mapping[str, Handler]:
        """The method for each path of `browser_routes`. It is given the request, and the code in the path, if any.

        Called by the constructor, when one of a subclass has not gone on yet.
        """
        raise NotImplementedError

    def browser(self, request: Request) -> Exchange[Any] | Response:
        route, code = match(self.browser_routes, request)
        if not route.cross_site:
            check_same_site(request)
        if request.method == "GET":
            no_body(request)
        else:
            within_cap(request)
        return self._handlers[route.path](request, code)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        return error_response(error, policy=SAME_SITE)

    # For the handlers

    def begin(
        self, request: Request, answer: Callable[[Begun], Response], *, client_id: str = ""
    ) -> Exchange[Begun]:
        """Begin a login, and set its cookie beside what `answer` says. `begun.scan_code` is the public id, in hexadecimal.

        `client_id` names the application that asks, if the dialect knows several; the person on the phone is shown it.
        """

        def answered(begun: Begun) -> Response:
            made = answer(begun)
            return replace(made, cookies=(*self._cookies.set_for(begun, request), *made.cookies))

        operation = self._core.begin(
            context={**self._describe(request), **({"client_id": client_id} if client_id else {})},
            lifetime=self.lifetime,
            ask_browser=False,
            fixed=True,
            client_id=client_id_for(self, client_id),
        )
        return Exchange(operation, answered)

    def status(self, device: DeviceCode, answer: Callable[[Status], Response]) -> Exchange[Status]:
        """Where the login stands, at once."""
        return Exchange(self._core.status(device), answer)

    def held_status(
        self,
        device: DeviceCode,
        last_seen: int | State | None,
        seconds: float,
        answer: Callable[[Status], Response],
    ) -> Exchange[Status]:
        """Where the login stands, once that is another version or state than it was `told` (None: pending)."""
        crowded = replace(
            Response(503), headers=(*HEADERS, ("Retry-After", "2"))
        )  # at once, and its client would spin
        return Exchange(HeldStatus(device, last_seen, seconds, lambda _: crowded), answer)

    def exchange(
        self, device: DeviceCode, ticket: str, answer: Callable[[Redeemed], Response]
    ) -> Exchange[Redeemed]:
        """Redeem the login by the ticket in its redirect. Answering with `redeemed` set is done here."""

        def answered(redeemed: Redeemed) -> Response:
            return replace(answer(redeemed), redeemed=redeemed)

        return Exchange(self._core.exchange(device, ticket), answered)

    def status_or_redeem(
        self, device: DeviceCode, answer: Callable[[Status | Redeemed], Response]
    ) -> Exchange[Status | Redeemed]:
        """For clients that are logged in by the very poll that says so: where the login stands, or its yield."""

        def answered(seen: Status | Redeemed) -> Response:
            return replace(answer(seen), redeemed=seen if isinstance(seen, Redeemed) else None)

        return Exchange(self._core.status_or_redeem(device), answered)

    def device_code(self, request: Request, code: str) -> DeviceCode:
        """This browser's device_code for the login with that public id, read. Give it to the methods above.

        Raises `UnknownLogin` or `NotYours` without asking the store.
        """
        login_id = self._core.login_id_of(code)
        return self.require_owner(self._cookies.find(request, login_id), login_id.__eq__)

    def require_owner(self, device_code: str | None, fits: Callable[[str], bool]) -> DeviceCode:
        """The device_code that was found, read, if its login fits and was begun in this very dialect. Raises `NotYours`."""
        device = None if device_code is None else self._core.read_device_code(device_code)
        if device is None or not fits(device.login_id):
            raise NotYours("this browser did not begin the login that it asks for")
        if not device.client_id.startswith(client_id_for(self)):
            raise NotYours("this login was begun in another dialect, by other rules")
        return device

    def cookie(self, name: str, value: str, seconds: int, *, httponly: bool = True) -> Cookie:
        """A cookie that this dialect's clients look for; nothing in it has any power."""
        return Cookie(name, value, seconds, secure=self.at.startswith("https:"), httponly=httponly)

    def picture(self, code: str, text: str) -> Response:
        """The QR code that says `text`; for a public id of ours only. No login is looked at."""
        self._core.login_id_of(code)
        return Response(200, (("Content-Type", "image/png"), *HEADERS), png(text))

    def open_page(self, code: str) -> Response:
        """An ordinary camera opened the code's address: the page for phones takes over. Nothing has happened yet."""
        self._core.login_id_of(code)
        return Response(302, (("Location", f"{self._core.verification_uri}/{code}"), *HEADERS))


def script(text: str) -> Response:
    """An answer that a page runs as a script."""
    return Response(
        200, (("Content-Type", "application/javascript; charset=utf-8"), *HEADERS), text.encode()
    )


def required_value(found: Mapping[str, str], name: str) -> str:
    """A parameter without which a request means nothing."""
    if name not in found:
        raise BadRequest(f"the parameter {name} is missing")
    return found[name]


def query_parameter(request: Request, name: str) -> str:
    """The one parameter of the query without which this request means nothing."""
    return required_value(read_some(request.query, (name,)), name)


def check_hold_seconds(seconds: float) -> float:
    """How long a dialect holds its polls. Raises `Misconfigured`."""
    if not 0 < seconds <= MAX_HOLD:
        raise Misconfigured(
            f"hold must be more than 0 seconds and at most {MAX_HOLD}: pages give up after 35"
        )
    return seconds
