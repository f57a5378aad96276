"""The demo as one WSGI application: what an application with accounts and sessions of its own adds to an `Endpoint`.

It decides who is on the phone (a bearer token, nothing else) and starts the session of who was redeemed. It opens no socket;
and nothing in it is needed by qrlogin: everything under /demo/ is there so that one person can play both sides.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from qrlogin.answers import Status
from qrlogin.demo import pages
from qrlogin.demo.people import PEOPLE, Account, Phones, Sessions
from qrlogin.errors import LoginError, MethodNotAllowed, NoSuchPath, QRLoginError, Unauthenticated
from qrlogin.login import QRLogin
from qrlogin.table import State
from qrlogin.wire import Cookie, Endpoint, Native, Person, Request, Response, describe_browser
from qrlogin.wire.guards import bearer, check_origin, one_header, read_json
from qrlogin.wire.message import StartResponse

SESSION: Final = "demo-session"
SESSION_S: Final = 3600
MAX_WAITING: Final = 64  # every connection has a thread of its own here

_NO_STORE: Final = (("Cache-Control", "no-store"),)
_BROWSERS: Final = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class Mount:
    """A part of the site: `door` answers every path that begins with `prefix`, and sees what follows it."""

    prefix: str
    door: Callable[[Request], Response]


class Site:
    """The WSGI application over one `QRLogin`, whose verification_uri is this site's /qr."""

    def __init__(self, qr: QRLogin) -> None:
        self._qr, self._endpoint = qr, Endpoint(qr, Native(qr.core, describe=describe), max_waiting=MAX_WAITING)
        self._phones, self._sessions = Phones(), Sessions()
        self.origin, self._terminal = qr.core.origin, ""
        #: The first that fits answers. The root comes last.
        self.mounts = [
            Mount("qrlogin/phone/", self._phone_door),
            Mount("qrlogin/", self._browser_door),
            Mount("demo/", self._demo),
            Mount("", self._pages),
        ]

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        return self.answer(Request.from_wsgi(environ, environ["PATH_INFO"])).to_wsgi(start_response)

    def answer(self, request: Request) -> Response:
        mount = next(mount for mount in self.mounts if request.path.startswith(mount.prefix))
        try:
            return mount.door(replace(request, path=request.path.removeprefix(mount.prefix)))
        except QRLoginError as error:
            return self._endpoint.dialect.refuse(request, error)

    def show_terminal(self, device_code: str) -> None:
        """The login that the demo's own terminal shows now, for /demo/terminal."""
        self._terminal = device_code

    # qrlogin's two doors

    def _browser_door(self, request: Request) -> Response:
        answer = self._endpoint.browser(request)
        if answer.redeemed is None:
            return answer
        if not answer.redeemed.replayed:
            self._sessions.end(_cookie(request, SESSION))
        session = self._sessions.start(answer.redeemed.login_id, answer.redeemed.subject)
        return replace(answer, cookies=(*answer.cookies, Cookie(SESSION, session, SESSION_S, secure=False)))

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
        raise NoSuchPath

    def _unlock(self, request: Request) -> Response:
        check_origin(request, self.origin)
        name = read_json(request, {"name": True})["name"]
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
        waiting = [seen for seen in found if seen.state is State.PENDING]
        return max(waiting, key=lambda seen: seen.expires_in).verification_uri_complete if waiting else ""

    # The pages

    def _pages(self, request: Request) -> Response:
        if request.path == "logout":
            _only(request, "POST")
            return self._log_out(request)
        if request.path not in ("", "phone") and not re.fullmatch(r"qr/[A-Za-z0-9_.-]+", request.path):
            return pages.not_found()
        _only(request, "GET", "HEAD")
        if self.origin != f"http://{one_header(request, 'host')}":  # another name of this machine: cookies would not fit
            return pages.see_other(f"{self.origin}/{request.path}")
        if request.path:
            return pages.phone()  # whoever opens this has done nothing yet: previews and prefetches open addresses, too
        account = self._sessions.find(_cookie(request, SESSION))
        return pages.logged_in(account) if account else pages.desk()

    def _log_out(self, request: Request) -> Response:
        check_origin(request, self.origin)
        self._sessions.end(_cookie(request, SESSION))
        return replace(pages.see_other("/"), cookies=(Cookie(SESSION, "", 0, secure=False),))


def describe(request: Request) -> Mapping[str, str]:
    """What the person on the phone is shown of the browser: its make in plain words where that is easy, and its address."""
    agent = " ".join(request.all("user-agent"))
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    shown = {"browser": f"{browser} on {system}"} if browser and system else dict(describe_browser(request))
    if request.client:
        shown["address"] = f"{request.client} (this computer)" if request.client.startswith("127.") else request.client
    return shown


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(methods)


def _cookie(request: Request, name: str) -> str:
    return next((value for key, value in request.cookies() if key == name), "")


def _device_codes(request: Request) -> list[str]:
    """Of the logins that this very browser began."""
    return [value for key, value in request.cookies() if key.startswith("qrl-")]
