"""The base of the dialects whose clients know a login by a public id in a URL.

The id is the fixed form of the scan code. Anyone who sees the picture has it, and it gives
access to nothing: a login is watched and redeemed by the device_code in this browser's HttpOnly
cookie, and every answer about a login needs that cookie. Such clients change things by GET, so
requests that pages of other origins cause are refused, unless their origins are listed in `pages`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, TypedDict, Unpack

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.arguments import DESCRIPTION_BYTES, check_callback, fit_context
from qrlogin.codes import DeviceCode
from qrlogin.core import Core
from qrlogin.errors import BadRequest, Misconfigured, NotYours, QRLoginError, TooManyBegins
from qrlogin.policy import check_lifetime
from qrlogin.render import png
from qrlogin.table import State
from qrlogin.wire.context import BrowserContext, address_of
from qrlogin.wire.cookies import DeviceCookies, KnownCookie, TurnCookie
from qrlogin.wire.cross_origin import check_page_origin
from qrlogin.wire.dialect import Exchange, HeldStatus
from qrlogin.wire.dialects.base import (
    OWN_FACTS,
    BrowserOnly,
    begun_by,
    client_fact,
    mount_address,
    refuse_match_codes,
    was_begun_in,
)
from qrlogin.wire.error_response import (
    NO_STORE,
    NOSNIFF,
    SAME_ORIGIN,
    SAME_SITE,
    error_response,
)
from qrlogin.wire.message import Cookie, Request, Response
from qrlogin.wire.routes import PNG_IMAGE, SCRIPT, Route, match
from qrlogin.wire.validation import (
    check_page,
    check_same_site,
    no_body,
    read_some,
    within_cap,
)

_AFTER_LOGIN_PATH: Final = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@/?%#-]*")
_MAX_HOLD_SECONDS: Final = 30  # the original pages give up after 35
_RETRY_CROWDED: Final = ("Retry-After", "2")

Handler = Callable[[Request, str], Exchange[Any] | Response]
"""Answers one route. Its arguments are the request and the public id in the path ("" if the path
has no `{code}`). It returns the exchange that the endpoint runs, or a response that needs no login.
What it raises, a `QRLoginError`, is answered by `refuse`."""


class MountOptions(TypedDict, total=False):
    """The options that every dialect with a public id takes. All of them may be left out."""

    at: str
    """The address under which browsers reach the dialect, such as `https://example.com/wechat`.
    Default: the root of the site."""
    after_login_path: str
    """The path of this site to which the browser goes when it is logged in, such as `/account`.
    Default: `/`."""
    lifetime: int
    """The lifetime of its codes in seconds. With the policy's windows, 600 at most. Default: the
    lifetime in the original, 180 or 300."""
    pages: Sequence[str]
    """Other origins of the same site whose pages may use the dialect, such as
    `https://login.example.com`. A listed page can log its visitors in to any account. Default:
    none."""
    describe: Callable[[Request], Mapping[str, str]]
    """Turns the request that begins a login into the context that the phone shows.
    Default: `BrowserContext()`."""


class PublicIdDialect(BrowserOnly):
    """A dialect over one core. A subclass lists its routes in `browser_routes`, and returns a
    method for each of them from `handlers()`.

    :param core: `core` of the `QRLogin` or `AsyncQRLogin` whose logins it begins
    :param mounting: `at`, `after_login_path`, `lifetime`, `pages` and `describe`: see
        `MountOptions`

    Raises `Misconfigured` for an option that cannot work or would not be safe, and `TypeError` for
    an unknown option, a route without a handler or a handler without a route.
    """

    browser_routes: tuple[Route, ...] = ()
    default_lifetime: ClassVar[int] = 180
    """The lifetime of its logins in seconds, for a mount without `lifetime`."""

    def __init__(self, core: Core, **mounting: Unpack[MountOptions]) -> None:
        if unknown := mounting.keys() - MountOptions.__annotations__:
            raise TypeError(f"{type(self).__name__}() has no option {min(unknown)}")
        refuse_match_codes(core, self)
        self.base_url: str = mount_address(core, mounting.get("at", core.origin)) + "/"
        """The address of the mount, with a slash at its end: paths are appended to it."""
        self.lifetime: int = mounting.get("lifetime", self.default_lifetime)
        check_lifetime(self.lifetime, "lifetime", Misconfigured)
        # Its clients show the code until they hear that it has expired.
        core.policy.check_total(
            "the windows of this dialect", Misconfigured, lifetime=self.lifetime, late_window=0
        )
        after_login_path = mounting.get("after_login_path", "/")
        if not _AFTER_LOGIN_PATH.fullmatch(after_login_path):
            raise Misconfigured(
                "after_login_path must be a path of this site, such as /account; "
                "percent-encode what is not ASCII"
            )
        self.after_login_url: str = core.origin + after_login_path
        self._pages = _check_pages(core, mounting.get("pages", ()))
        self._headers = (NO_STORE, NOSNIFF, SAME_SITE if self._pages else SAME_ORIGIN)
        self._core, self._cookies, self._turn = core, DeviceCookies(core), TurnCookie(core)
        self._known = KnownCookie(core)
        self._describe = check_callback(
            mounting.get("describe") or BrowserContext(), "describe(request)"
        )
        self._handlers = self.handlers()
        if differing := self._handlers.keys() ^ {route.path for route in self.browser_routes}:
            raise TypeError(
                f"{type(self).__name__} has a route without a handler, "
                f"or a handler without a route: {differing}"
            )

    def handlers(self) -> Mapping[str, Handler]:
        """The method for each path of `browser_routes`.

        The constructor calls it, before the constructor of a subclass has set its own attributes.
        """
        raise NotImplementedError

    def browser(self, request: Request) -> Exchange[Any] | Response:
        """Call the handler of the route that this request matches, and return what it returns.

        Raises `NoSuchPath`, `MethodNotAllowed`, `Forbidden` for a request that a page of another
        origin caused, `BadRequest` for a GET with a body, `TooLarge`, and what the handler raises.
        """
        route, public_id = match(self.browser_routes, request)
        if route.same_site:
            check_same_site(request)
        elif not route.cross_site:
            check_page(request, self._core.origin, self._pages)
        if request.method in ("GET", "HEAD"):
            no_body(request)
        else:
            within_cap(request)
        return self._handlers[route.path](request, public_id)

    def address_of(self, request: Request) -> str:
        """The address that a request came from, as the phone is shown it; "" if it is not known."""
        return address_of(self._describe, request)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """`error` as JSON with its HTTP status: `{"error", "error_description"}`, and `retry_after`
        in seconds if repeating the request can help.

        A subclass whose clients know other words overrides this method: `StateMap.of_error` returns
        the word, and `super().refuse` answers the rest.
        """
        refusal = error_response(error, policy=self._headers[-1])
        if isinstance(error, TooManyBegins) and error.turn:
            return replace(refusal, cookies=(self._turn.make(error.turn),))
        return refusal

    # What a handler returns. `answer` turns the result into a response.

    def begin(
        self,
        request: Request,
        answer: Callable[[Begun], Response],
        *,
        client_id: str = "",
        names: Callable[[str], str | None] = lambda client_id: None,
        in_browser: bool = True,
    ) -> Exchange[Begun]:
        """Begin a login, and add its cookie to the response. The browser is not asked.

        :param request: described to the phone
        :param answer: is given the new login; `begun.scan_code` is the public id, in hexadecimal
        :param client_id: the application that asks, if the dialect knows several. It is signed
            into the device_code, and is in the context of the `Redeemed`. The phone does not show
            it, because a link can claim any
        :param names: is given the client_id, and returns the name under which the phone shows this
            application; None for one without a name
        :param in_browser: whether the browser itself redeems, and so can keep that it was logged
            in. If not, the phone shows nothing about that
        """

        def answered(begun: Begun) -> Response:
            made = answer(begun)
            return replace(made, cookies=(*self._cookies.set_for(begun, request), *made.cookies))

        described = self._describe(request)
        if client_id:  # only the description may be cut
            described = fit_context(described, DESCRIPTION_BYTES)
            described = {
                **{fact: text for fact, text in described.items() if fact not in OWN_FACTS},
                **client_fact(names, client_id),
            }
        operation = self._core.begin(
            context=described,
            lifetime=self.lifetime,
            late_window=0,
            ask_browser=False,
            fixed=True,
            begun_by=begun_by(self, client_id),
            turn=self._turn.find(request),
            known=self._known.find(request) if in_browser else None,
        )
        return Exchange(operation, answered)

    def status(self, device: DeviceCode, answer: Callable[[Status], Response]) -> Exchange[Status]:
        """Read the status of the login. It is answered at once."""
        return Exchange(self._core.status(device), answer)

    def held_status(
        self,
        device: DeviceCode,
        last_seen: int | State | None,
        seconds: float,
        answer: Callable[[Status], Response],
    ) -> Exchange[Status]:
        """Read the status of the login once it differs from what the client saw last.

        :param device: from `own_device()`
        :param last_seen: the version or state that this client saw last; None: pending
        :param seconds: after so many seconds the status is answered even if it is the same
        :param answer: spells the status
        """
        crowded = replace(
            Response(503), headers=(*self._headers, _RETRY_CROWDED)
        )  # so clients pause
        return Exchange(HeldStatus(device, last_seen, seconds, lambda _: crowded), answer)

    def redeem_by_ticket(
        self,
        request: Request,
        device: DeviceCode,
        ticket: str,
        answer: Callable[[Redeemed], Response],
    ) -> Exchange[Redeemed]:
        """Redeem the login with the ticket that its confirmed status carried, and set `redeemed` on
        the response. The login's cookie is removed.

        :param request: the request that redeems
        :param device: from `own_device()`
        :param ticket: `Status.ticket`, which the client brings back
        :param answer: spells the success
        """

        def answered(redeemed: Redeemed) -> Response:
            return self._logged_in(request, device, answer(redeemed), redeemed)

        return Exchange(self._core.redeem_by_ticket(device, ticket), answered)

    def status_or_redeem(
        self,
        request: Request,
        device: DeviceCode,
        answer: Callable[[Status | Redeemed], Response],
    ) -> Exchange[Status | Redeemed]:
        """Read the status, and redeem the login if it is confirmed: for clients that the poll
        itself logs in. `answer` is given a `Redeemed` then, `redeemed` is set on the response, and
        the login's cookie is removed.

        :param request: the poll
        :param device: from `own_device()`
        :param answer: spells the status, or the success
        """

        def answered(result: Status | Redeemed) -> Response:
            if isinstance(result, Redeemed):
                return self._logged_in(request, device, answer(result), result)
            return answer(result)

        return Exchange(self._core.status_or_redeem(device), answered)

    def _logged_in(
        self, request: Request, device: DeviceCode, answer: Response, redeemed: Redeemed
    ) -> Response:
        """The answer to a redeem: with the client_id that began the login, for the application, and
        without the login's cookie. A server at a token endpoint has no cookie to remove.
        """
        if client_id := device.begun_by.removeprefix(begun_by(self)):
            redeemed = replace(redeemed, context={**redeemed.context, "client_id": client_id})
        own: tuple[Cookie, ...] = ()
        if not answer.tokens_wanted:
            removed = self._cookies.remove(request, redeemed.login_id)
            known = self._core.known_after(redeemed, self._known.find(request))
            own = (*removed, *self._known.make(known))
        return replace(answer, redeemed=redeemed, cookies=(*answer.cookies, *own))

    def own_device(self, request: Request, public_id: str) -> DeviceCode:
        """This browser's device_code for the login with this public id, for the methods above.

        Raises `UnknownLogin` (`InvalidCode` or `NotYours`) before the store is read.
        """
        login_id = self._core.login_id_of(public_id)
        return self.require_owner(
            self._cookies.find(request, login_id), lambda found: found == login_id
        )

    def require_owner(self, device_code: str | None, fits: Callable[[str], bool]) -> DeviceCode:
        """`device_code`, read, if `fits` accepts its login_id and this dialect began the login.
        Raises `NotYours`, and `InvalidCode` for a device_code that this application did not sign.

        :param device_code: what the browser's cookie holds; None: it has none
        :param fits: is given the login_id, and returns whether the request is about this login
        """
        device = None if device_code is None else self._core.read_device_code(device_code)
        if device is None or not fits(device.login_id):
            raise NotYours("this browser did not begin the login that it asks for")
        if not was_begun_in(self, device):
            raise NotYours("this login was begun in another dialect, by other rules")
        return device

    def _require_public_id(self, public_id: str) -> None:
        """Raise `InvalidCode` for what is not a public id of this site. No login is read."""
        self._core.login_id_of(public_id)

    def picture(self, public_id: str, text: str) -> Response:
        """The QR code that contains `text`. Raises `InvalidCode` for a public id of another site.
        No login is read.
        """
        self._require_public_id(public_id)
        return self.respond(PNG_IMAGE, png(text))

    def open_page(self, public_id: str) -> Response:
        """Redirect an ordinary camera, which opened the address in the QR code, to the page for the
        phone. Raises `InvalidCode` for a public id of another site. Changes nothing.
        """
        self._require_public_id(public_id)
        return self.redirect(f"{self._core.verification_uri}/{public_id}")

    # Responses. None of them may be cached.

    def cookie(self, name: str, value: str, seconds: int, *, httponly: bool = True) -> Cookie:
        """A cookie that this dialect's clients look for, beside the login's own.

        :param name: as the clients know it
        :param value: must not be a secret
        :param seconds: how long the browser keeps it; 0 deletes it
        :param httponly: hide it from scripts
        """
        return Cookie(
            name, value, seconds, secure=self.base_url.startswith("https:"), httponly=httponly
        )

    def respond(self, content_type: str, body: bytes) -> Response:
        """A response with status 200 and this body."""
        return Response(200, (("Content-Type", content_type), *self._headers), body)

    def json(self, data: Mapping[str, object]) -> Response:
        """A response with status 200 and this JSON object."""
        return Response.json(200, data).with_headers(*self._headers)

    def script(self, code: str) -> Response:
        """A response with status 200 that a page runs as a script. Put nothing of the request into
        `code` that is not checked.
        """
        return self.respond(f"{SCRIPT}; charset=utf-8", code.encode())

    def redirect(self, url: str, status: int = 302) -> Response:
        """A redirect to an address of yours. Check an address that came with the request first."""
        return Response(status, (("Location", url), *self._headers))


def _check_pages(core: Core, pages: Sequence[str]) -> frozenset[str]:
    """The listed origins. Raises `Misconfigured` for what no page of the same site has."""
    if isinstance(pages, str) or not all(isinstance(page, str) for page in pages):
        raise Misconfigured('pages must be a list, such as ("https://login.example.com",)')
    scheme = core.origin.partition(":")[0]
    for page in pages:
        check_page_origin(core, page, "pages")
        if page.partition(":")[0] != scheme:
            raise Misconfigured(
                f"pages must not contain {page!r}: cookies need the same site, and so {scheme}"
            )
    return frozenset(pages)


def required_value(parameters: Mapping[str, str], name: str) -> str:
    """The value of a required parameter. Raises `BadRequest` if it is missing."""
    if name not in parameters:
        raise BadRequest(f"the parameter {name} is missing")
    return parameters[name]


def query_parameter(request: Request, name: str) -> str:
    """The value of a required query parameter. Raises `BadRequest` if it is absent or repeated."""
    return required_value(read_some(request.query, (name,)), name)


def check_hold_seconds(seconds: float) -> float:
    """`seconds`, if a poll may be held that long. Raises `Misconfigured`."""
    if not 0 < seconds <= _MAX_HOLD_SECONDS:
        raise Misconfigured(
            f"hold must be more than 0 seconds and at most {_MAX_HOLD_SECONDS}: "
            "pages give up after 35"
        )
    return seconds
