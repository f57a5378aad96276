"""An authorization server without a socket: RFC 8628 for devices and the native dialect for phones,
over a store of either kind and colour.

Every answer of the dialect is checked for the headers and the form that all of them must have.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlencode

import pytest

from qrlogin import STANDARD, AsyncMemoryStore, MemoryStore, Policy
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite.colours import Awaited, Blocking
from qrlogin.wire import AsyncEndpoint, Endpoint, Person, Request, Response
from qrlogin.wire.dialects.rfc8628 import GRANT_TYPE, Client, Rfc8628
from tests.wire.clock import Clock

T = TypeVar("T")

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
ORIGIN = "https://example.com"
URI = f"{ORIGIN}/device"
NOON = 4_102_488_000_000  # in the year 2100: a real Redis must not delete the records
TYPED = replace(STANDARD, user_codes=True)
FORM = ("content-type", "application/x-www-form-urlencoded")
JSON = ("content-type", "application/json")
ADDRESS = "203.0.113.7"  # the only client address in these tests
CREDENTIAL = ("authorization", "Bearer of-the-phone-app")
ALICE, BOB = Person("1", "A•••e"), Person("2", "B•b")
#: One colour over memory and the other over Redis: the suites of the stores prove all four.
KINDS = ("memory sync", "redis async")

_ERROR: Final = re.compile(r"[ !#-\[\]-~]*")  # RFC 6749 section 5.2
_CODE: Final = re.compile(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}")


def everybody(client: Client) -> bool:
    return True


#: The scopes of these tests, in the words of the application.
SCOPES = {"a": "A", "b": "B", "mail": "Your mail", "read": "Read"}
SECRETS = {"tv": None, "kiosk": "s:e+c r%t", "box": "hunter2"}


def registered(client: Client) -> bool:
    return client.client_id in SECRETS and SECRETS[client.client_id] == client.secret


class Server:
    """One process: an endpoint of the dialect and one for phones. Several can share the store of a
    `World`.
    """

    def __init__(
        self, world: "World", keys: tuple[bytes, ...], policy: Policy, **dialect: Any
    ) -> None:
        options = {"secret_keys": keys, "verification_uri": URI, "policy": policy}
        self.qr, self.store = world.colour.open(world.make_store, options, lambda _: None)
        dialect = {"clients": everybody, "scopes": SCOPES, **dialect}
        self._call: Callable[..., Response]
        if isinstance(world.colour, Awaited):
            qr = Awaited.shell(self.qr)
            self.dialect = Rfc8628(qr.core, **dialect)
            self._call = world.colour.call
            self._browser: Any = AsyncEndpoint(qr, self.dialect, max_waiting=1).browser
            self._phone: Any = AsyncEndpoint(qr, max_waiting=1).phone
        else:
            self.dialect = Rfc8628(self.qr.core, **dialect)
            self._call = lambda ask, *arguments: ask(*arguments)
            self._browser = Endpoint(self.qr, self.dialect, max_waiting=1).browser
            self._phone = Endpoint(self.qr, max_waiting=1).phone

    def ask(self, request: Request) -> Response:
        return _checked(request, self._call(self._browser, request))

    def post(
        self, path: str, form: str | bytes, *headers: tuple[str, str], query: str = ""
    ) -> Response:
        body = form if isinstance(form, bytes) else form.encode()
        return self.ask(Request("POST", path, query, headers or (FORM,), body, ADDRESS))

    def phone(self, verb: str, code: str, person: Person | None = ALICE) -> Response:
        body = json.dumps({"code": code}).encode()
        return self.phone_asks(Request("POST", verb, "", (JSON, CREDENTIAL), body, ADDRESS), person)

    def phone_asks(self, request: Request, person: Person | None = ALICE) -> Response:
        return self._call(self._phone, request, person)


class World(Server):
    """A store, a clock that shows noon and does not move, and one process; `another` opens more."""

    def __init__(
        self,
        kind: str,
        redis_url: str = "",
        *,
        policy: Policy = TYPED,
        wrap: Callable[[Any], Any] = lambda store: store,
        dialect: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.clock, self._wrap = Clock(NOON), wrap
        self.colour: Blocking | Awaited = Awaited() if kind.endswith("async") else Blocking()
        self._kind, self._url, self.prefix = kind, redis_url, f"{uuid.uuid4().hex}:"
        self.memory: Any = None
        self._opened: list[Server] = []
        self.policy = policy
        super().__init__(self, (KEY,), policy, **dialect)
        self._opened.append(self)

    def make_store(self) -> Any:
        return self._wrap(self._store())

    def _store(self) -> Any:
        if self._kind.startswith("redis"):
            kind = AsyncRedisStore if self._kind.endswith("async") else RedisStore
            return kind.from_url(
                self._url, prefix=self.prefix, now=self.clock, reread=600, timeout=10
            )
        if self.memory is None:
            self.memory = (AsyncMemoryStore if self._kind.endswith("async") else MemoryStore)(
                now=self.clock
            )
        return self.memory

    def another(self, *keys: bytes, policy: Policy | None = None, **dialect: Any) -> Server:
        server = Server(self, keys or (KEY,), self.policy if policy is None else policy, **dialect)
        self._opened.append(server)
        return server

    def at_once(self, calls: list[Callable[[], T]]) -> list[T]:
        with ThreadPoolExecutor(len(calls)) as threads:
            return [future.result() for future in [threads.submit(call) for call in calls]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._opened:
            server.qr.close()
        self.colour.close()


def opened(request: pytest.FixtureRequest, **options: Any) -> Iterator[World]:
    """The value of a fixture with `params=KINDS`."""
    url = request.getfixturevalue("redis_url") if request.param.startswith("redis") else ""
    with World(request.param, url, **options) as world:
        yield world


class Device:
    """A television, which has one login at a time. `begun` is the answer that began it."""

    def __init__(self, server: Server, client_id: str = "tv") -> None:
        self.server, self.client_id = server, client_id
        self.begun: dict[str, Any] = {}

    def begin(self, **more: str) -> dict[str, Any]:
        answer = self.server.post(
            "device_authorization", urlencode({"client_id": self.client_id, **more})
        )
        assert answer.status == 200, answer
        self.begun = read(answer)
        assert _CODE.fullmatch(self.begun["user_code"])
        return self.begun

    def poll(self, server: Server | None = None, **other: str) -> Response:
        form = {
            "grant_type": GRANT_TYPE,
            "device_code": self.begun["device_code"],
            "client_id": self.client_id,
            **other,
        }
        return (server or self.server).post("token", urlencode(form))

    @property
    def user_code(self) -> str:
        return str(self.begun["user_code"])

    def approve(self, person: Person = ALICE) -> None:
        for verb in ("scan", "confirm"):
            answer = self.server.phone(verb, self.user_code, person)
            assert answer.status == 200, answer.body


def read(answer: Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.body)
    return body


def error(answer: Response) -> str:
    return str(read(answer)["error"])


def _checked(request: Request, answer: Response) -> Response:
    headers = dict(answer.headers)
    assert len(headers) == len(answer.headers), "a header is there twice"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert (headers["Cache-Control"], headers["Pragma"]) == ("no-store", "no-cache")
    assert (headers["X-Content-Type-Options"], headers["Cross-Origin-Resource-Policy"]) == (
        "nosniff",
        "same-origin",
    )
    assert not any(name.startswith("Access-Control") for name in headers)
    assert answer.cookies == ()
    assert (answer.redeemed is None) or (answer.status == 200 and request.path == "token")
    body = {} if request.method == "HEAD" else read(answer)
    if answer.status != 200 and body:  # RFC 6749 section 5.2
        assert set(body) <= {"error", "error_description", "interval", "retry_after"}
        assert _ERROR.fullmatch(body["error"] + body.get("error_description", ""))
    return answer
