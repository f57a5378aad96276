"""A login of any dialect at any stage, and the request for each route that its client could send
next.

Every answer that passes through here is checked for what all dialects promise.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from qrlogin.browser import ELEMENT, MODULES
from qrlogin.wire import Person, Request, Response
from qrlogin.wire.routes import Route, match
from tests.wire.dialects.dialect_clients import (
    SPEAKERS,
    TYPED,
    InProcessClient,
    NativeClient,
    client,
    code_of,
    goes_on,
)
from tests.wire.mount import CREDENTIAL, ORIGIN, Colour, Mount, post

#: No answer to a browser may contain these. Only the native dialect shows the name.
CAROL = Person("marked-subject", "marked-shown-as", "marked-phone")
HISTORIES: Mapping[str, tuple[str, ...]] = {
    "pending": (),
    "scanned": ("scan",),
    "confirmed": ("scan", "confirm"),
    "denied": ("scan", "deny"),
    "redeemed": ("scan", "confirm", "redeem"),
}
NO_TICKET = "0" * 32
_FORM = "application/x-www-form-urlencoded"
#: Requests for the routes of each dialect that no player of the demo sends.
ELSEWHERE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "native": (
        ("GET", "{id}/qr.svg"),
        ("GET", "{id}/qr.png"),
        ("GET", "{id}/events"),
        ("GET", "{id}/socket"),
        ("POST", "{id}/cancel"),
        ("POST", "{id}/redeem"),
        *(("GET", module) for module in MODULES),
        ("GET", f"modules/{'0' * 16}/{ELEMENT}"),
    ),
    "wechat": (
        ("GET", "l/{id}"),
        ("POST", "jslogin"),
        ("POST", "cgi-bin/mmwebwx-bin/webwxlogout?redirect=1&type=0"),
        (
            "GET",
            f"cgi-bin/mmwebwx-bin/webwxnewloginpage?ticket={NO_TICKET}@qrticket_0&uuid={{id}}&lang=zh_CN&scan=1",
        ),
    ),
    "wechat_open": (
        ("GET", "connect/confirm?uuid={id}"),
        ("GET", f"connect/callback?code={{id}}{NO_TICKET}&state="),
        (
            "GET",
            f"sns/oauth2/access_token?appid=demo&secret=x&code={{id}}{NO_TICKET}&grant_type=authorization_code",
        ),
    ),
    "taobao": (
        ("GET", "qrcodeCheck.htm?lgToken={id}"),
        (
            "GET",
            f"member/loginByIm.do?uid=cntaobao&token={NO_TICKET}&time=1&defaulturl=https%3A%2F%2Fexample.com&webpas={{id}}",
        ),
    ),
    "newlogin": (("GET", "qrcodeCheck.htm?lgToken={id}"),),
    "rfc8628": (
        ("GET", ".well-known/oauth-authorization-server"),
        ("GET", ".well-known/openid-configuration"),
        ("GET", "authorize"),
    ),
    "bilibili": (("GET", "h5-app/passport/login/scan?navhide=1&qrcode_key={id}&from="),),
    "jd": (("GET", "p?k={id}"), ("GET", f"uc/qrCodeTicketValidation?t={{id}}{NO_TICKET}")),
}


class StagedLogin:
    """Its `requests` are genuine, with the cookie. None of them was sent yet, unless it changed
    nothing.
    """

    def __init__(self, mount: Mount, name: str, history: str) -> None:
        self.mount, self.name = mount, name
        self.secrets: tuple[str, ...] = ()
        self.player = client(name)
        if isinstance(self.player, NativeClient):
            self.player.below = ""
        self.client = self.player.client = InProcessClient(self.ask)
        shown = self.player.begin()
        self.code = code_of(self.player, shown)
        # A typed code has a record of its own, which names the login.
        logins = [login_id for login_id, kept in mount.records.items() if "context" in kept]
        (self.login_id,) = logins
        for step in HISTORIES[history]:
            if step == "redeem":
                self.player.look()
                self.player.go_on()
            else:
                assert (
                    mount.phone(post(step, {"code": shown or self.code}, CREDENTIAL), CAROL).status
                    == 200
                )
        self.requests = self._possible(history)
        self._keep_secrets()

    @property
    def routes(self) -> tuple[Route, ...]:
        routes: tuple[Route, ...] = self.mount.endpoint.dialect.browser_routes
        return routes

    @property
    def unlike(self) -> list[Request]:
        """Its requests in an order that stays, with one module of the elements for all of them."""
        alike = set(MODULES) - {ELEMENT}
        return [
            self.requests[each] for each in sorted(self.requests, key=str) if each.path not in alike
        ]

    @property
    def begin_path(self) -> str:
        """The path that begins a login: that of the first route."""
        return self.routes[0].path

    @property
    def asked(self) -> int:
        """How many commands the store has received."""
        return len(self.mount.store.calls)

    @property
    def record(self) -> Mapping[str, str]:
        return self.mount.records[self.login_id]

    def _possible(self, history: str) -> Mapping[Route, Request]:
        if goes_on(self.player) and history != "pending":
            # The next step is in the answer. A poll of the other clients would log in.
            self.player.look()
        before = len(self.client.sent)
        self.client.only_records = True
        if goes_on(self.player) and history == "confirmed":
            self.player.go_on()
        self.player.look()
        sent = [*self.client.sent[:before], *self.client.sent[before:][::-1]]
        made = [self._elsewhere(*parts) for parts in ELSEWHERE[self.name]]
        found: dict[Route, Request] = {}
        for request in (*made, *sent):
            found[match(self.routes, request)[0]] = replace(
                request, headers=self._with_cookie(request)
            )
        return found

    def _elsewhere(self, method: str, address: str) -> Request:
        path, _, query = address.replace("{id}", self.code).partition("?")
        body = (
            b'{"acknowledged":"x","op":"oooooooooooooooooooooo"}'
            if path.endswith("/redeem")
            else b"{}"
        )
        native = method == "POST" and self.name == "native"
        return Request(
            method,
            path,
            query,
            (("content-type", "application/json"),) if native else (),
            body if native else b"",
        )

    def _with_cookie(self, request: Request) -> tuple[tuple[str, str], ...]:
        others = tuple(header for header in request.headers if header[0] != "cookie")
        return (*others, ("cookie", self.client.cookies)) if self.client.jar else others

    def _keep_secrets(self) -> None:
        """Collect what no answer may contain: the private fields of the record and the device_code.
        The native page shows who scanned and who approved.
        """
        public = {
            "v",
            "state",
            "version",
            "context",
            "misses",
            *(("shown_as", "scanner_seal", "name", "approval") if self.name == "native" else ()),
        }
        kept = [
            text
            for name, text in self.record.items()
            if name not in public and len(text) > 8 and not text.isdecimal()
        ]
        self.secrets = (
            *kept,
            self.device_code,
            self.device_code.split(".")[1],
            CAROL.subject,
            CAROL.phone,
        )

    @property
    def cookie(self) -> str:
        """The name of the login's cookie; "" if its dialect uses none."""
        return next(
            (
                name
                for name in self.client.jar
                if name.startswith("__Host-qrl-") and not name.endswith("-told")
            ),
            "",
        )

    @property
    def device_code(self) -> str:
        return self.client.jar[self.cookie] if self.cookie else self.player.id

    def ask(self, request: Request) -> Response:
        """The answer, checked for secrets and redirects. The mount has checked its status and
        headers.
        """
        answer = self.mount.browser(request)
        sent = (
            answer.body
            + b"\n"
            + b"\n".join(f"{name}: {value}".encode() for name, value in answer.headers)
        )
        new = [
            cookie.value
            for cookie in answer.cookies
            if cookie.value and re.fullmatch("__Host-qrl-[0-9a-f]{8}", cookie.key)
        ]
        for secret in (*self.secrets, *new):
            assert secret.encode() not in sent
        location = dict(answer.headers).get("Location", f"{ORIGIN}/")
        assert location.startswith(f"{ORIGIN}/"), "it leads to another site"
        assert (answer.status in (301, 302)) == ("Location" in dict(answer.headers))
        assert answer.redeemed is None or self.record["state"] == "redeemed"
        return answer

    def refused(self, request: Request, *statuses: int) -> Response:
        """The answer to a request that must not reach the store. `statuses`: those that it may
        have.
        """
        before, asked = self.mount.records, self.asked
        answer = self.ask(request)
        assert self.asked == asked, (request, request.query, request.body)
        assert self.mount.records == before
        assert answer.status in statuses or not statuses, (
            request,
            request.query,
            request.body,
            answer.status,
            answer.body,
        )
        assert answer.redeemed is None
        return answer

    def ask_and_check_changes(self, request: Request) -> Response:
        """The answer to a request of the login's own client. It may begin, redeem or cancel a login
        if the answer says so, and slow down a poll. It changes nothing else.
        """
        before = self.mount.records
        answer = self.ask(request)
        after = self.mount.records
        if after.keys() != before.keys():
            assert (request.path, answer.status) in ((self.begin_path, 200), ("begin", 201))
        for login_id, record in before.items():
            changed = {
                name
                for name in {*record, *after[login_id]}
                if record.get(name) != after[login_id].get(name)
            }
            given_up = request.path.endswith("/cancel") and answer.status == 200
            paced = (
                self.name == "rfc8628"
                and request.path == "token"
                and all(name.startswith("pace_") for name in changed)
            )
            assert not changed or answer.redeemed or given_up or paced, changed
        return answer

    def without_secret(self, request: Request) -> Request:
        """The same request from a client that knows everything except the browser's secret."""
        headers = tuple(
            header for header in request.headers if header[0] not in ("cookie", "authorization")
        )
        if self.cookie:
            return replace(request, headers=headers)
        forged = self.device_code[:-1] + ("A" if self.device_code[-1] != "A" else "B")
        return replace(
            request,
            headers=headers,
            body=request.body.replace(self.device_code.encode(), forged.encode()),
        )


@contextmanager
def login_at(name: str, history: str, colour: Colour = "sync") -> Iterator[StagedLogin]:
    with Mount(colour, policy=TYPED, make=SPEAKERS[name]) as mount:
        yield StagedLogin(mount, name, history)


# Parameters


def parameters(request: Request) -> list[tuple[str, str, str]]:
    """(where, name, value) of every parameter in the query and in a form."""
    form = request.body.decode("latin-1") if ("content-type", _FORM) in request.headers else ""
    return [
        (where, name, value)
        for where, text in (("query", request.query), ("body", form))
        for name, value in parse_qsl(text, keep_blank_values=True, errors="replace")
    ]


def with_parameters(request: Request, where: str, pairs: list[tuple[str, str]]) -> Request:
    changed: dict[str, Any] = (
        {"query": _encoded(pairs)} if where == "query" else {"body": _encoded(pairs).encode()}
    )
    return replace(request, **changed)


def _encoded(pairs: list[tuple[str, str]]) -> str:
    return urlencode(pairs, errors="surrogatepass")


def set_parameter(
    request: Request, where: str, name: str, value: str | None, *, twice: bool = False
) -> Request:
    """With another value, without it (None), or with both (`twice`)."""
    pairs = [(each, was) for place, each, was in parameters(request) if place == where]
    changed = [(each, value if each == name and value is not None else was) for each, was in pairs]
    if twice and value is not None:
        return with_parameters(request, where, [*pairs, (name, value)])
    return with_parameters(
        request, where, [pair for pair in changed if value is not None or pair[0] != name]
    )
