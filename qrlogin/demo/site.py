"""The demo as one WSGI application: what an application with accounts and sessions of its own adds to an `Endpoint`.

It decides who is on the phone (a bearer token, nothing else) and starts the session of who was redeemed, whatever dialect the
browser speaks. It opens no socket; and nothing in it is needed by qrlogin: everything under /demo/ is there so that one person
can play both sides.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from qrlogin.answers import Status
from qrlogin.browser import language
from qrlogin.demo import pages
from qrlogin.demo.dialects import DIALECTS, USERINFO, tokens
from qrlogin.demo.people import PEOPLE, Account, Phones, Sessions
from qrlogin.errors import (
    LoginError,
    MethodNotAllowed,
    Misconfigured,
    NoSuchPath,
    QRLoginError,
    Unauthenticated,
)
from qrlogin.login import QRLogin
from qrlogin.table import State
from qrlogin.wire import (
    BrowserContext,
    CombinedDialect,
    Cookie,
    Dialect,
    Endpoint,
    Native,
    Person,
    Request,
    Response,
    describe_browser,
)
from qrlogin.wire.message import StartResponse
from qrlogin.wire.routes import Field, Route, handles
from qrlogin.wire.validation import bearer, check_origin, one_header

SESSION: Final = "demo-session"
SESSION_S: Final = 3600
_NO_SESSION: Final = Cookie(SESSION, "", 0, secure=False)
MAX_WAITING: Final = 64  # every connection has a thread of its own here

_NO_STORE: Final = (("Cache-Control", "no-store"),)
_UNLOCK: Final = Route(
    "POST",
    "unlock",
    "Sign the demo's phone in",
    body=(Field("name", "the name of an account", required=True),),
)
_PAGES: Final = re.compile(r"|phone|qr|qr/[A-Za-z0-9_.=-]+|logout")
_TYPED: Final = re.compile(r"user_code=[A-Za-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Mount:
    """A part of the site: `door` answers every path that begins with `prefix` and goes on in a way that `fits`."""

    prefix: str
    door: Callable[[Request], Response]
    fits: Callable[[str], object] = lambda rest: True

    def rest(self, path: str) -> str | None:
        """What the door sees of a path; None if it answers another."""
        rest = path.removeprefix(self.prefix)
        return rest if path.startswith(self.prefix) and self.fits(rest) else None


class Site:
    """The WSGI application over one `QRLogin`, whose verification_uri is this site's /qr. `dialects` are names of DIALECTS;
    `lifetime`, in seconds, is that of their logins, if not their own.
    """

    def __init__(
        self, qr: QRLogin, dialects: Sequence[str] = (), *, lifetime: int | None = None
    ) -> None:
        describe = described()
        native = Native(qr.core, user_codes=qr.core.policy.user_codes, describe=describe)
        self._qr, self._endpoint = qr, Endpoint(qr, native, max_waiting=MAX_WAITING)
        self._phones, self._sessions, self._tokens = Phones(), Sessions(), Sessions()
        self.origin, self._terminal = qr.core.origin, ""
        self._host = self.origin.partition("//")[2]
        self.dialects: Mapping[str, Dialect] = {
            name: DIALECTS[name](qr.core, describe, lifetime) for name in dialects
        }
        #: The first that fits answers: the dialects have the root, but for the pages.
        self.mounts = [
            Mount("qrlogin/phone/", self._phone_door),
            Mount("qrlogin/", self._browser_door(self._endpoint)),
            Mount("demo/", self._demo),
            Mount("", self._pages, _PAGES.fullmatch),
            *self._elsewhere(),
            Mount("", lambda request: pages.not_found(_language(request))),
        ]

    def _elsewhere(self) -> Iterator[Mount]:
        if self.dialects:
            several = CombinedDialect(*self.dialects.values())
            door = self._browser_door(Endpoint(self._qr, several, max_waiting=MAX_WAITING))
            yield Mount("", door, lambda path: handles(several.browser_routes, path))

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        return self.answer(Request.from_wsgi(environ, environ["PATH_INFO"])).to_wsgi(start_response)

    def answer(self, request: Request) -> Response:
        door, path = next(
            (mount.door, rest)
            for mount in self.mounts
            if (rest := mount.rest(request.path)) is not None
        )
        try:
            return door(replace(request, path=path))
        except QRLoginError as error:
            return self._endpoint.dialect.refuse(request, error)

    def show_terminal(self, device_code: str) -> None:
        """The login that the demo's own terminal shows now, for /demo/terminal."""
        self._terminal = device_code

    # qrlogin's two doors

    def _browser_door(self, endpoint: Endpoint) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            return self._act(request, endpoint.browser(request))

        return answer

    def _act(self, request: Request, answer: Response) -> Response:
        """What an application does with an answer: log in or out, as it says."""
        redeemed = answer.redeemed
        if redeemed is not None and answer.tokens_wanted:
            token = self._tokens.start(
                redeemed.login_id, redeemed.subject
            )  # the same when the answer has to be given again
            return answer.with_json(tokens(request.path, token, redeemed.subject, SESSION_S))
        if answer.log_out or (redeemed is not None and not redeemed.replayed):
            self._sessions.end(_cookie(request, SESSION))
        if redeemed is not None:
            session = self._sessions.start(redeemed.login_id, redeemed.subject)
            return replace(
                answer, cookies=(*answer.cookies, Cookie(SESSION, session, SESSION_S, secure=False))
            )
        return replace(answer, cookies=(*answer.cookies, _NO_SESSION)) if answer.log_out else answer

    def _phone_door(self, request: Request) -> Response:
        return self._endpoint.phone(request, self._person(request))

    def _person(self, request: Request) -> Person | None:
        owner = self._owner(request)
        return Person(owner.subject, owner.shown_as) if owner else None

    def _owner(self, request: Request) -> Account | None:
        token = bearer(request)
        return self._phones.owner(token) if token else None

    # What makes it a demo: one person plays both sides

    def _demo(self, request: Request) -> Response:
        if request.path in pages.ASSETS:
            _only(request, "GET", "HEAD")
            return pages.asset(request.path)
        if request.path == "phone":
            _only(request, "POST")
            return self._unlock(request)
        if request.path in ("phone-window", "terminal"):
            _only(request, "GET", "HEAD")
            codes = [self._terminal] if request.path == "terminal" else _device_codes(request)
            return pages.see_other(self._newest(codes) or f"/phone#nothing-{request.path}")
        if request.path == "me":
            _only(request, "GET", "HEAD")
            account = self._sessions.find(_cookie(request, SESSION))
            if account is None:
                raise Unauthenticated("this browser is not logged in")
            return Response.json(200, {"name": account.name}).with_headers(*_NO_STORE)
        if f"demo/{request.path}" == USERINFO:
            _only(request, "GET", "POST")  # OpenID Connect Core section 5.3.1
            account = self._tokens.find(bearer(request) or "")
            if account is None:
                raise Unauthenticated(
                    "this access token was not issued here, or the demo has begun anew since"
                )
            return Response.json(200, {"sub": account.subject, "name": account.name}).with_headers(
                *_NO_STORE
            )
        raise NoSuchPath

    def _unlock(self, request: Request) -> Response:
        check_origin(request, self.origin)
        name = _UNLOCK.read_json(request)["name"]
        token = self._phones.unlock(name)
        if token is None:
            raise NoSuchPath(f"nobody here is called that; there are {' and '.join(PEOPLE)}")
        who = PEOPLE[name]
        kept = {"account": who.key, "name": who.name, "shown_as": who.shown_as, "token": token}
        return Response.json(200, kept).with_headers(*_NO_STORE)

    def _newest(self, device_codes: Iterable[str]) -> str:
        """Where the phone's camera would lead for the youngest of these logins that still waits to be scanned."""
        found: list[Status] = []
        for code in device_codes:
            with suppress(LoginError):
                found.append(self._qr.status(code))
        waiting = [
            seen for seen in found if seen.state is State.PENDING and seen.verification_uri_complete
        ]
        return (
            max(waiting, key=lambda seen: seen.expires_in).verification_uri_complete
            if waiting
            else ""
        )

    # The pages

    def _pages(self, request: Request) -> Response:
        if request.path == "logout":
            _only(request, "POST")
            return self._log_out(request)
        _only(request, "GET", "HEAD")
        if (
            one_header(request, "host") != self._host
        ):  # another name of this machine: cookies would not fit
            query = f"?{request.query}" if _TYPED.fullmatch(request.query) else ""
            return pages.see_other(f"{self.origin}/{request.path}{query}")
        lang = _language(request)
        if request.path:
            return pages.phone(
                lang
            )  # whoever opens this has done nothing yet: previews and prefetches open addresses, too
        account = self._sessions.find(_cookie(request, SESSION))
        return pages.logged_in(account, lang) if account else pages.desk(lang)

    def _log_out(self, request: Request) -> Response:
        check_origin(request, self.origin)
        self._sessions.end(_cookie(request, SESSION))
        return replace(pages.see_other("/"), cookies=(_NO_SESSION,))


def described() -> Callable[[Request], Mapping[str, str]]:
    """What the person on the phone is shown of the browser: in plain words where ua-parser is there, else as it says itself."""

    def plainly(request: Request) -> Mapping[str, str]:
        return {
            **describe_browser(request),
            **({"address": request.client} if request.client else {}),
        }

    try:
        return BrowserContext()
    except Misconfigured:
        return plainly


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(methods)


def _language(request: Request) -> str:
    return language(", ".join(request.all("accept-language")))


def _cookie(request: Request, name: str) -> str:
    return next((value for key, value in request.cookies() if key == name), "")


def _device_codes(request: Request) -> list[str]:
    """Of the logins that this very browser began."""
    return [value for key, value in request.cookies() if key.startswith("qrl-")]
