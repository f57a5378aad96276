"""An endpoint of either colour without a server, and a browser tab and a phone that use it.

Each response is checked for the headers that every response must have.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

from qrlogin import (
    STANDARD,
    AsyncMemoryStore,
    AsyncQRLogin,
    MemoryStore,
    Policy,
    QRLogin,
    Unavailable,
)
from qrlogin.browser import MODULES, version
from qrlogin.core import Core
from qrlogin.step import Command, Record, Reply
from qrlogin.wire import (
    AsyncEndpoint,
    Dialect,
    Endpoint,
    Judge,
    Native,
    Person,
    Request,
    Response,
)
from qrlogin.wire.pause import Pause
from qrlogin.wire.streams import STREAMING, Streaming
from tests.application import TO_END
from tests.wire.clock import Clock

Colour = Literal["sync", "async"]

KEY = bytes(range(32))
ORIGIN = "https://example.com"
URI = f"{ORIGIN}/qr"
NOON = 1_700_000_000_000
JSON = ("content-type", "application/json")
CREDENTIAL = ("authorization", "Bearer of-the-phone-app")
ALICE = Person("1", "A•••e", name="alice@example.com")
BOB = Person("2", "B•b", name="bob@example.com")
ELEMENT = "qr-login-element.js"
#: What a phone can ask for.
VERBS = tuple(route.path for route in Native.phone_routes)
NOBODY = "A" * 22  # the login_id of no login


class Spy:
    """A store that records its commands, and can be made unavailable (`down`).

    With `echo` it applies each command twice, like a driver that resends after a lost reply.
    """

    def __init__(self, inner: Any) -> None:
        self.inner, self.calls, self.down, self.echo = inner, list[Command](), False, False

    def noted(self, command: Command) -> bool:
        self.calls.append(command)
        if self.down:
            raise Unavailable("the store did not answer: redis://:hunter2@10.0.0.1")
        return self.echo

    def apply(self, command: Command) -> Reply:
        if self.noted(command):
            self.inner.apply(command)
        reply: Reply = self.inner.apply(command)
        return reply

    def listen(self, login_id: str) -> Any:
        return self.inner.listen(login_id)

    def close(self) -> None:
        self.inner.close()


class AsyncSpy(Spy):
    """The asyncio twin."""

    async def apply(self, command: Command) -> Reply:  # type: ignore[override]  # the other colour
        if self.noted(command):
            await self.inner.apply(command)
        reply: Reply = await self.inner.apply(command)
        return reply

    async def close(self) -> None:  # type: ignore[override]
        await self.inner.close()


class Mount:
    """One endpoint over a memory store at `NOON`. An async one runs in its own event loop.

    With `make`, that dialect answers the browser; the native one always answers the phone. With
    `origins`, the native one lists them. `judge` is the phones',
    `paused` the browser's.
    """

    def __init__(
        self,
        colour: Colour,
        *,
        uri: str = URI,
        policy: Policy = STANDARD,
        max_waiting: int = 4,
        make: Callable[[Core], Dialect] | None = None,
        streaming: Streaming = STREAMING,
        origins: Sequence[str] = (),
        judge: Judge | None = None,
        paused: Pause | None = None,
    ) -> None:
        self.colour: Colour = colour
        self.clock, self._native, self.origins = Clock(NOON), make is None, origins
        self.colour = colour
        if make is None and origins:
            make = lambda core: Native(core, origins=origins)  # noqa: E731 - it has one use
        self.store: Spy
        self._loop: asyncio.Runner | None = None
        if colour == "sync":
            self.store = Spy(MemoryStore(now=self.clock))
            qr = QRLogin(self.store, secret_keys=[KEY], verification_uri=uri, policy=policy)
            self.qr: Any = qr
            self.endpoint: Any = Endpoint(
                qr,
                make and make(qr.core),
                max_waiting=max_waiting,
                streaming=streaming,
                judge=judge if self._native else None,
                paused=paused,
            )
            self._phones: Any = (
                self.endpoint
                if self._native
                else Endpoint(qr, max_waiting=max_waiting, judge=judge)
            )
        else:
            self.store = AsyncSpy(AsyncMemoryStore(now=self.clock))
            awaited = AsyncQRLogin(
                self.store, secret_keys=[KEY], verification_uri=uri, policy=policy
            )
            self.qr = awaited
            self.endpoint = AsyncEndpoint(
                awaited,
                make and make(awaited.core),
                max_waiting=max_waiting,
                streaming=streaming,
                judge=judge if self._native else None,
                paused=paused,
            )
            self._phones = (
                self.endpoint
                if self._native
                else AsyncEndpoint(awaited, max_waiting=max_waiting, judge=judge)
            )
            self._loop = asyncio.Runner()

    def browser(self, request: Request) -> Response:
        return self._mannerly(request, self._now(self.endpoint.browser(request)))

    def phone(self, request: Request, person: Person | None = ALICE) -> Response:
        return self._mannerly(request, self._now(self._phones.phone(request, person)))

    @property
    def records(self) -> Mapping[str, Record]:
        """A copy of all records in the store."""
        return {
            login_id: dict(record)
            for login_id, record in self.store.inner._records._records.items()
        }

    def beside(self, policy: Policy) -> "Mount":
        """Another mount of the same colour, with this policy."""
        return Mount(self.colour, policy=policy)

    def forget(self) -> None:
        """Drop all records, as a memory store does when its process ends."""
        self.store.inner._records._records.clear()

    def now(self, answer: Any) -> Any:
        """The result of a call to the endpoint or to `qr`, of either colour."""
        return self._loop.run(answer) if self._loop else answer

    def _now(self, answer: Any) -> Response:
        made: Response = self.now(answer)
        return made

    def _mannerly(self, request: Request, answer: Response) -> Response:
        headers = dict(answer.headers)
        assert len(headers) == len(answer.headers), "a header is there twice"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        path, name = request.path.rpartition("/")[::2]
        kept = "max-age=31536000, immutable" if path == f"modules/{version()}" else "no-cache"
        assert headers["Cache-Control"] == (kept if "ETag" in headers else "no-store")
        granted = {name for name in headers if name.startswith("Access-Control")}
        assert not granted or set(request.all("origin")) <= {*self.origins}
        assert "Access-Control-Allow-Credentials" not in granted
        assert ("ETag" in headers) == (name in MODULES and answer.status in (200, 304))
        for text in (part for header in answer.header_list() for part in header):
            assert text.isascii()
            assert text.isprintable(), "a header could be split here"
        if answer.status >= 400:
            assert headers["Content-Type"] == "application/json; charset=utf-8"
        assert (
            answer.status < 500
            or self.store.down
            or any(b'"error":"%s"' % each in answer.body for each in (b"crowded", b"paused"))
        )
        if answer.events is not None:
            assert (answer.status, headers["Content-Type"]) == (
                200,
                "text/event-stream; charset=utf-8",
            )
            assert (headers["X-Accel-Buffering"], answer.body) == ("no", b"")
        elif self._native:
            assert answer.status in (200, 201, 204, 304) or answer.status >= 400
            assert (request.method == "HEAD" or answer.status in (204, 304)) == (answer.body == b"")
        else:
            assert answer.body == b"" or request.method != "HEAD"
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop:
            self._loop.close()


def get(path: str, query: str = "", *headers: tuple[str, str]) -> Request:
    return Request("GET", path, query, headers)


def post(
    path: str,
    body: Mapping[str, object] | bytes | None = None,
    *headers: tuple[str, str],
    query: str = "",
) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return Request("POST", path, query, (JSON, *headers), raw)


def with_headers(request: Request, *headers: tuple[str, str]) -> Request:
    return replace(request, headers=request.headers + headers)


def read(answer: Response) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(answer.body)
    return fields


class Tab:
    """A page in a browser with a cookie jar, with one login at a time."""

    def __init__(self, mount: Mount, jar: dict[str, str] | None = None) -> None:
        self.mount, self.jar = mount, {} if jar is None else jar
        self.login_id, self.code = "", ""

    def send(self, request: Request) -> Response:
        cookies = (
            [("cookie", "; ".join(f"{name}={value}" for name, value in self.jar.items()))]
            if self.jar
            else []
        )
        answer = self.mount.browser(with_headers(request, *cookies))
        for cookie in answer.cookies:
            if cookie.max_age:
                self.jar[cookie.key] = cookie.value
            else:
                self.jar.pop(cookie.key, None)
        return answer

    def begin(self, *headers: tuple[str, str]) -> Response:
        answer = self.send(post("begin", None, *headers))
        self.login_id, self.code = (
            read(answer)["login_id"],
            read(answer)["verification_uri_complete"],
        )
        return answer

    def look(self, query: str = "") -> Response:
        return self.send(get(self.login_id, query))

    def cancel(self) -> Response:
        return self.send(post(f"{self.login_id}/cancel"))

    def redeem(self, tag: str | None = None, op: str = "op-of-this-click-0") -> Response:
        tag = read(self.look()).get("scanned_by", {"tag": "no tag"})["tag"] if tag is None else tag
        return self.send(post(f"{self.login_id}/redeem", {"acknowledged": tag, "op": op}))

    @property
    def device_code(self) -> str:
        return self.jar[self.cookie]

    @property
    def cookie(self) -> str:
        """The name of this login's cookie: the only one that holds its id."""
        (name,) = (name for name, value in self.jar.items() if value.startswith(self.login_id))
        return name

    def phone(self, verb: str, person: Person | None = ALICE) -> Response:
        return self.mount.phone(post(verb, {"code": self.code}, CREDENTIAL), person)

    def confirm(self, digits: str) -> Response:
        """Alice approves with the digits that the browser shows."""
        return self.mount.phone(
            post("confirm", {"code": self.code, "match_code": digits}, CREDENTIAL), ALICE
        )


HISTORIES: Mapping[str, tuple[str, ...]] = {
    "pending": (),
    "pending, no code": ("no code",),
    "scanned": ("scan",),
    "released": ("scan", "release"),
    "confirmed": ("scan", "confirm"),
    "redeemed": ("scan", "confirm", "redeem"),
    "denied": ("scan", "deny"),
    "cancelled": ("cancel",),
    "expired, pending": ("late",),
    "expired, scanned": ("scan", "late"),
    "expired, confirmed": ("scan", "confirm", "late"),
    "expired, gone": ("gone",),
    "unknown": ("forgotten",),
}


def reach(mount: Mount, history: str) -> Tab:
    """A tab whose login has this history, with seven seconds between the steps."""
    tab = Tab(mount)
    tab.begin(("user-agent", "Firefox/140.0"))
    for step in HISTORIES[history]:
        mount.clock.advance(7)
        match step:
            case "redeem":
                assert tab.redeem().status == 200
            case "cancel":
                assert tab.cancel().status == 200
            case "no code":
                mount.clock.advance(STANDARD.lifetime)
            case "late":
                mount.clock.advance(TO_END)
            case "gone":
                mount.clock.advance(3600)
            case "forgotten":
                mount.forget()
            case _:
                assert tab.phone(step).status == 200
    mount.clock.advance(7)
    return tab
