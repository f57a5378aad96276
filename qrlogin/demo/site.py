"""The demo's WSGI application: accounts and sessions around an `Endpoint`.

It decides who is on the phone (by a bearer token, and nothing else), and starts the session of a
redeemed login, whatever dialect the browser speaks. It opens no socket. qrlogin needs nothing below
/demo/: those paths let one person play both sides.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from qrlogin.answers import Status
from qrlogin.browser import LANGUAGES, language
from qrlogin.demo import pages
from qrlogin.demo.dialects import DIALECTS, OFFLINE_ACCESS, REFRESH, TOKEN, USERINFO, tokens
from qrlogin.demo.people import PEOPLE, Account, Phones, RefreshTokens, Sessions
from qrlogin.errors import (
    BadRequest,
    LoginError,
    MethodNotAllowed,
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
)
from qrlogin.wire.message import StartResponse
from qrlogin.wire.routes import Field, Route, handles
from qrlogin.wire.validation import basic, bearer, check_origin, one_header, read_form

SESSION: Final = "demo-session"
SESSION_S: Final = 3600
_NO_SESSION: Final = Cookie(SESSION, "", 0, secure=False)
MAX_WAITING: Final = 64  # each held request has a thread of its own

_NO_STORE: Final = (("Cache-Control", "no-store"),)
_UNLOCK: Final = Route(
    "POST",
    "unlock",
    "Sign the demo's phone in",
    body=(Field("name", "the name of an account", required=True),),
)
_PAGES: Final = re.compile(r"|phone|gallery|qr(/+[^/]*)?/?|logout")
_TYPED: Final = re.compile(r"user_code=[A-Za-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Mount:
    """A part of the site: the paths below a prefix, and what answers them."""

    prefix: str
    answer: Callable[[Request], Response]
    accepts: Callable[[str], object] = lambda rest: True
    """Whether the mount answers this path, which is relative to the prefix."""

    def relative(self, path: str) -> str | None:
        """`path` relative to the prefix; None if this mount does not answer it."""
        rest = path.removeprefix(self.prefix)
        return rest if path.startswith(self.prefix) and self.accepts(rest) else None


class Site:
    """The WSGI application.

    :param qr: its verification_uri is this site's /qr
    :param dialects: names in DIALECTS
    :param lifetime: of the logins of these dialects, in seconds; None for their own defaults
    """

    def __init__(
        self, qr: QRLogin, dialects: Sequence[str] = (), *, lifetime: int | None = None
    ) -> None:
        # No proxy is in front of the demo, so its peers are the browsers themselves.
        describe = BrowserContext(address=lambda request: request.client)
        native = Native(qr.core, user_codes=qr.core.policy.user_codes, describe=describe)
        self._qr, self._endpoint = qr, Endpoint(qr, native, max_waiting=MAX_WAITING)
        self._phones, self._sessions, self._tokens = Phones(), Sessions(), Sessions()
        self._refresh_tokens = RefreshTokens()
        self.origin: str = qr.core.origin
        self._terminal = ""
        self._host = self.origin.partition("//")[2]
        self.dialects: Mapping[str, Dialect] = {
            name: DIALECTS[name](qr.core, describe, lifetime) for name in dialects
        }
        #: The first mount that accepts a path answers it. The dialects are mounted at the root.
        self.mounts: list[Mount] = [
            Mount("qrlogin/phone/", self._phone),
            Mount("qrlogin/", self._browser(self._endpoint)),
            Mount("demo/", self._demo),
            Mount("", self._pages, _PAGES.fullmatch),
            *self._dialect_mounts(),
            Mount("", lambda request: pages.not_found(_language(request))),
        ]

    def _dialect_mounts(self) -> Iterator[Mount]:
        if self.dialects:
            combined = CombinedDialect(*self.dialects.values())
            answer = self._browser(Endpoint(self._qr, combined, max_waiting=MAX_WAITING))
            if handles(combined.browser_routes, TOKEN):
                # The dialect knows one grant. The others are the application's.
                yield Mount(
                    "",
                    lambda request: self._refreshed(request) or answer(request),
                    lambda path: path == TOKEN,
                )
            yield Mount("", answer, lambda path: handles(combined.browser_routes, path))

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        return self.answer(Request.from_wsgi(environ, environ["PATH_INFO"])).to_wsgi(start_response)

    def answer(self, request: Request) -> Response:
        """Answers a request whose path begins without a slash."""
        answer, path = next(
            (mount.answer, rest)
            for mount in self.mounts
            if (rest := mount.relative(request.path)) is not None
        )
        try:
            return answer(replace(request, path=path))
        except QRLoginError as error:
            return self._endpoint.dialect.refuse(request, error)

    def show_terminal(self, device_code: str) -> None:
        """Sets the login that /demo/terminal leads to: the one that the demo's terminal shows."""
        self._terminal = device_code

    # What qrlogin answers: the browser's side and the phone's side

    def _browser(self, endpoint: Endpoint) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            return self._apply(request, endpoint.browser(request))

        return answer

    def _apply(self, request: Request, answer: Response) -> Response:
        """Logs the browser in or out as the answer says: this is the application's part."""
        redeemed = answer.redeemed
        if redeemed is not None and answer.tokens_wanted:
            # A repeated request gets the same token.
            token = self._tokens.start(redeemed.login_id, redeemed.subject)
            context, refresh = redeemed.context, ""
            if request.path == TOKEN and OFFLINE_ACCESS in context.get("scope", "").split():
                refresh = self._refresh_tokens.first(
                    redeemed.login_id, context["client_id"], redeemed.subject
                )
            return answer.with_json(
                tokens(request.path, token, redeemed.subject, SESSION_S, refresh)
            )
        if answer.log_out or (redeemed is not None and not redeemed.replayed):
            self._sessions.end(_cookie(request, SESSION))
        if redeemed is not None:
            session = self._sessions.start(redeemed.login_id, redeemed.subject)
            return replace(
                answer, cookies=(*answer.cookies, Cookie(SESSION, session, SESSION_S, secure=False))
            )
        return replace(answer, cookies=(*answer.cookies, _NO_SESSION)) if answer.log_out else answer

    def _refreshed(self, request: Request) -> Response | None:
        """New tokens for a refresh token (RFC 6749 section 6); None for any other request."""
        try:
            form = read_form(request, ("grant_type", REFRESH, "client_id"))
            client_id = (basic(request) or (form.get("client_id", ""), ""))[0]
        except BadRequest:
            return None  # the dialect says what is wrong
        if request.method != "POST" or form.get("grant_type") != REFRESH:
            return None
        found = self._refresh_tokens.replace(form.get(REFRESH, ""), client_id)
        if found is None:
            return Response.json(400, {"error": "invalid_grant"}).with_headers(*_NO_STORE)
        refresh, subject = found
        issued = tokens(TOKEN, self._tokens.start(refresh, subject), subject, SESSION_S, refresh)
        return Response.json(200, issued).with_headers(*_NO_STORE)

    def _phone(self, request: Request) -> Response:
        return self._endpoint.phone(request, self._person(request))

    def _person(self, request: Request) -> Person | None:
        owner = self._owner(request)
        return Person(owner.subject, owner.shown_as, name=owner.name) if owner else None

    def _owner(self, request: Request) -> Account | None:
        token = bearer(request)
        return self._phones.owner(token) if token else None

    # Paths for one person who plays both sides

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
                raise Unauthenticated("this access token is not valid (was the demo restarted?)")
            return Response.json(200, {"sub": account.subject, "name": account.name}).with_headers(
                *_NO_STORE
            )
        raise NoSuchPath

    def _unlock(self, request: Request) -> Response:
        check_origin(request, self.origin)
        name = _UNLOCK.read_json(request)["name"]
        token = self._phones.unlock(name)
        if token is None:
            raise NoSuchPath(f"the demo has accounts for {' and '.join(PEOPLE)} only")
        account = PEOPLE[name]
        unlocked = {
            "account": account.key,
            "name": account.name,
            "shown_as": account.shown_as,
            "token": token,
        }
        return Response.json(200, unlocked).with_headers(*_NO_STORE)

    def _newest(self, device_codes: Iterable[str]) -> str:
        """The QR code's address of the newest pending login among these; "" if there is none."""
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
        if one_header(request, "host") != self._host:  # cookies belong to one name of this machine
            query = f"?{request.query}" if _TYPED.fullmatch(request.query) else ""
            return pages.see_other(
                f"{self.origin}/{quote(request.path, encoding='latin-1', errors='ignore')}{query}"
            )
        lang = _language(request)
        if request.path == "gallery":
            return self._gallery(request.query, lang)
        if request.path:
            # Opening the page scans nothing: link previews and prefetches open addresses, too.
            code = request.path.removeprefix("qr").removeprefix("/")
            return replace(pages.phone(lang), cookies=self._endpoint.landing_cookies(code))
        account = self._sessions.find(_cookie(request, SESSION))
        return pages.logged_in(account, lang) if account else pages.login(lang)

    def _gallery(self, query: str, lang: str) -> Response:
        chosen = dict(parse_qsl(query))
        lang, theme = chosen.get("lang", lang), chosen.get("theme", "")
        return pages.gallery(
            lang if lang in LANGUAGES else "en",
            theme if theme in pages.THEMES else "",
            f"{self.origin}/gallery",
        )

    def _log_out(self, request: Request) -> Response:
        check_origin(request, self.origin)
        self._sessions.end(_cookie(request, SESSION))
        return replace(pages.see_other("/"), cookies=(_NO_SESSION,))


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(methods)


def _language(request: Request) -> str:
    return language(", ".join(request.all("accept-language")))


def _cookie(request: Request, name: str) -> str:
    return next((value for key, value in request.cookies() if key == name), "")


def _device_codes(request: Request) -> list[str]:
    """The device_codes of the logins that this browser began."""
    return [value for key, value in request.cookies() if key.startswith("qrl-")]
