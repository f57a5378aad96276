"""Without a free slot, a request with news is answered, and one without gets `retry_after`."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin
from qrlogin.core import Core
from qrlogin.wire import (
    AsyncEndpoint,
    Dialect,
    Endpoint,
    Native,
    Person,
    Request,
    Response,
    WaitSlots,
    WeChat,
    WeChatOpen,
)
from qrlogin.wire.dialects.native import _RETRY_CROWDED
from tests.security_rows import row
from tests.wire.clock import PATIENCE_SECONDS, Clock, eventually
from tests.wire.mount import ALICE, BOB, CREDENTIAL, KEY, NOON, URI, Colour, get, post, read

OPTIONS: dict[str, Any] = {"secret_keys": [KEY], "verification_uri": URI}


class Crowd:
    """An endpoint of either colour with one slot, which `fill` takes."""

    def __init__(self, colour: Colour, make: Callable[[Core], Dialect]) -> None:
        self.clock = Clock(NOON)
        self.qr: Any
        self.runner: asyncio.Runner | None = None
        self.threads = ThreadPoolExecutor(1)
        if colour == "sync":
            self.store: Any = MemoryStore(now=self.clock)
            self.qr = QRLogin(self.store, **OPTIONS)
            self.endpoint: Any = Endpoint(self.qr, make(self.qr.core), max_waiting=1)
            self._phones: Any = Endpoint(self.qr, max_waiting=1)
        else:
            self.runner = asyncio.Runner()
            self.store = AsyncMemoryStore(now=self.clock)
            self.qr = AsyncQRLogin(self.store, **OPTIONS)
            self.endpoint = AsyncEndpoint(self.qr, make(self.qr.core), max_waiting=1)
            self._phones = AsyncEndpoint(self.qr, max_waiting=1)
        self._held: Future[Response] | asyncio.Task[Response] | None = None

    def now(self, answer: Any) -> Any:
        return self.runner.run(answer) if self.runner else answer

    def browser(self, request: Request) -> Response:
        answer: Response = self.now(self.endpoint.browser(request))
        return answer

    def phone(self, verb: str, code: str, person: Person = ALICE) -> None:
        assert (
            self.now(self._phones.phone(post(verb, {"code": code}, CREDENTIAL), person)).status
            == 200
        )

    def fill(self, request: Request) -> None:
        """Hold this request in the background."""
        if self.runner:

            async def hold() -> asyncio.Task[Response]:
                held = asyncio.create_task(self.endpoint.browser(request))
                while not self.store._listeners:
                    await asyncio.sleep(0)
                return held

            self._held = self.runner.run(hold())
        else:
            self._held = self.threads.submit(self.endpoint.browser, request)
            waiters = self.store._listeners._listeners
            eventually(
                lambda: any(waiter._flag._cond._waiters for waiter in list(waiters.values()))
            )  # it has read the status, and waits

    @property
    def full(self) -> bool:
        assert self._held is not None
        return not self._held.done()

    def close(self) -> None:
        self.now(self.qr.close())
        if self.runner and isinstance(self._held, asyncio.Task):
            self.runner.run(asyncio.wait_for(self._held, PATIENCE_SECONDS))
        elif isinstance(self._held, Future):
            self._held.result(PATIENCE_SECONDS)
        if self.runner:
            self.runner.close()
        self.threads.shutdown()


@contextmanager
def crowd(colour: Colour, make: Callable[[Core], Dialect]) -> Iterator[Crowd]:
    made = Crowd(colour, make)
    try:
        yield made
    finally:
        made.close()


class Page:
    """A browser with one login, whose requests are held while there is no news."""

    begins: Request
    crowded: tuple[int, str]

    def __init__(self, crowd: Crowd) -> None:
        self.crowd, self.jar = crowd, dict[str, str]()
        self.id, self.code = self.read(self.send(self.begins))

    def send(self, request: Request) -> Response:
        answer = self.crowd.browser(self.with_cookies(request))
        self.jar |= {cookie.key: cookie.value for cookie in answer.cookies}
        return answer

    def with_cookies(self, request: Request) -> Request:
        cookies = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        return Request(
            request.method,
            request.path,
            request.query,
            (*request.headers, ("cookie", cookies)),
            request.body,
        )

    def read(self, begun: Response) -> tuple[str, str]:
        """The id that the browser polls with, and the code that a phone scans."""
        raise NotImplementedError

    def waits(self) -> Request:
        """The request that is held, with the last state or version that the page got."""
        raise NotImplementedError

    def hear(self) -> str:
        """Send that request, and return its state, or "crowded" for a `retry_after`."""
        raise NotImplementedError


class OfNative(Page):
    begins = post("begin")
    version = 1

    def read(self, begun: Response) -> tuple[str, str]:
        return read(begun)["login_id"], read(begun)["verification_uri_complete"]

    def waits(self) -> Request:
        return get(self.id, f"after={self.version}&wait=25")

    def hear(self) -> str:
        answer = self.send(self.waits())
        fields = read(answer)
        assert answer.status == 200
        assert fields.get("retry_after") in (None, 2)
        assert dict(answer.headers).get("Retry-After") is None
        self.version = fields["version"] or self.version
        return "crowded" if "retry_after" in fields else str(fields["state"])


class OfWeChat(Page):
    begins = get("jslogin")
    words: ClassVar = {"408": "pending", "201": "scanned", "200": "confirmed", "400": "over"}

    def read(self, begun: Response) -> tuple[str, str]:
        uuid = begun.body.decode().rpartition(' = "')[2].removesuffix('";')
        return uuid, uuid

    def waits(self) -> Request:
        return get("cgi-bin/mmwebwx-bin/login", f"uuid={self.id}")

    def hear(self) -> str:
        answer = self.send(self.waits())
        if answer.status == 503:
            assert (dict(answer.headers)["Retry-After"], answer.body, answer.cookies) == (
                "2",
                b"",
                (),
            )
            return "crowded"
        found = re.match(r"window\.code=(\d+);", answer.body.decode())
        assert found
        return self.words[found[1]]


class OfWeChatOpen(OfWeChat):
    begins = get("connect/qrconnect", "appid=wx1")
    words: ClassVar = {
        "408": "pending",
        "404": "scanned",
        "405": "confirmed",
        "403": "refused",
        "402": "over",
    }
    last = ""

    def read(self, begun: Response) -> tuple[str, str]:
        uuid = begun.body.decode().partition("/connect/qrcode/")[2][:32]
        return uuid, uuid

    def waits(self) -> Request:
        return get("connect/l/qrconnect", f"uuid={self.id}&last={self.last}&f=json")

    def hear(self) -> str:
        answer = self.send(self.waits())
        if answer.status == 503:
            assert (dict(answer.headers)["Retry-After"], answer.body) == ("2", b"")
            return "crowded"
        self.last = str(read(answer)["wx_errcode"])
        return self.words[self.last]


DIALECTS: dict[str, tuple[type[Page], Callable[[Core], Dialect]]] = {
    "native": (OfNative, Native),
    "wechat": (OfWeChat, lambda core: WeChat(core, hold=25)),
    "wechat_open": (OfWeChatOpen, lambda core: WeChatOpen(core, hold=25)),
}
EVERY = pytest.mark.parametrize("name", DIALECTS)
#: The steps since the page's last answer, and the state that each dialect then returns.
NEWS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "scanned": (("scan",), {}),
    "confirmed": (("scan", "confirm"), {}),
    "denied": (("scan", "deny"), {"native": "denied", "wechat": "over", "wechat_open": "refused"}),
    "cancelled": (("cancel",), {"native": "cancelled", "wechat": "over", "wechat_open": "over"}),
    "expired": (("late",), {"native": "expired", "wechat": "over", "wechat_open": "over"}),
}


@contextmanager
def filled(colour: Colour, name: str) -> Iterator[tuple[Crowd, Page]]:
    """An endpoint whose slot stays taken by another login, and a page that finds no free slot."""
    kind, make = DIALECTS[name]
    with crowd(colour, make) as crowded:
        waiting, page = kind(crowded), kind(crowded)
        crowded.fill(waiting.with_cookies(waiting.waits()))
        yield crowded, page
        assert crowded.full, "the slot was free"


def happen(crowded: Crowd, page: Page, step: str) -> None:
    match step:
        case "cancel":
            (device_code,) = (
                value
                for name, value in page.jar.items()
                if re.fullmatch("__Host-qrl-[0-9a-f]{8}", name)
            )
            crowded.now(crowded.qr.cancel(device_code))
        case "late":
            crowded.clock.advance(601)
        case _:
            crowded.phone(step, page.code)


@row(28)
@EVERY
@pytest.mark.parametrize("news", NEWS)
def test_without_free_slots_a_client_with_news_still_gets_it(
    name: str, news: str, colour: Colour
) -> None:
    steps, words = NEWS[news]
    with filled(colour, name) as (crowded, page):
        assert page.hear() == "crowded"
        for step in steps:
            happen(crowded, page, step)
        assert page.hear() == words.get(name, news)


@EVERY
def test_without_free_slots_each_news_is_delivered_once(name: str, colour: Colour) -> None:
    with filled(colour, name) as (crowded, page):
        heard = [page.hear(), page.hear()]
        for step in ("scan", "confirm"):
            happen(crowded, page, step)
            heard.append(page.hear())
            if step == "scan":
                heard += [page.hear(), page.hear()]
        assert heard == ["crowded", "crowded", "scanned", "crowded", "crowded", "confirmed"]


@EVERY
def test_an_answer_without_a_free_slot_does_not_move_the_cursor(name: str, colour: Colour) -> None:
    """The request came before any news, so all later changes are news."""
    with filled(colour, name) as (crowded, page):
        happen(crowded, page, "scan")
        assert page.hear() == "scanned"
        assert page.hear() == "crowded"
        happen(crowded, page, "release")
        assert page.hear() == {"wechat_open": "refused"}.get(name, "pending")
        assert page.hear() == "crowded"
        crowded.phone("scan", page.code if name != "native" else _fresh(page), BOB)
        assert page.hear() == "scanned"


def _fresh(page: Page) -> str:
    """The code that a page of the native dialect shows now."""
    return str(read(page.send(get(page.id)))["verification_uri_complete"])


@EVERY
def test_without_free_slots_a_stranger_gets_the_usual_refusal(name: str, colour: Colour) -> None:
    """The refusal comes before the slot is acquired, as with a free slot."""
    with filled(colour, name) as (crowded, page):
        assert page.hear() == "crowded"
        page.jar.clear()
        answer = crowded.browser(page.waits())
        if name == "native":
            assert (answer.status, read(answer)["error"]) == (404, "unknown_login")
        else:
            assert (answer.status, page.hear()) == (200, "over")


@EVERY
def test_a_slot_that_is_free_again_is_used(name: str, colour: Colour) -> None:
    kind, make = DIALECTS[name]
    with crowd(colour, make) as crowded:
        waiting, page = kind(crowded), kind(crowded)
        crowded.fill(waiting.with_cookies(waiting.waits()))
        assert page.hear() == "crowded"
        crowded.phone("scan", waiting.code)
        crowded.now(_settle(crowded))
        crowded.fill(page.with_cookies(page.waits()))
        assert crowded.full
        assert kind(crowded).hear() == "crowded"


def _settle(crowded: Crowd) -> Any:
    held = crowded._held
    if isinstance(held, Future):
        assert held.result(PATIENCE_SECONDS).status == 200
        eventually(lambda: not crowded.store._listeners)
        return None
    assert held is not None
    return asyncio.wait_for(held, PATIENCE_SECONDS)


@row(28)
def test_endpoints_can_share_their_slots() -> None:
    """They share the server's threads, whatever the number of dialects."""
    qr, slots = QRLogin(MemoryStore(), **OPTIONS), WaitSlots(1)
    one, other = Endpoint(qr, max_waiting=slots), Endpoint(qr, max_waiting=slots)
    stream = one.browser(_of_a_login(one, "/events"))
    assert stream.events is not None
    waiting = _of_a_login(other, "", "wait=25")
    assert read(other.browser(waiting))["retry_after"] == 2
    stream.events.close()  # type: ignore[union-attr]
    assert slots.acquire()


def _of_a_login(endpoint: Endpoint, suffix: str, query: str = "") -> Request:
    begun = endpoint.browser(post("begin"))
    cookie = "; ".join(f"{one.key}={one.value}" for one in begun.cookies)
    return get(f"{read(begun)['login_id']}{suffix}", query, ("cookie", cookie))


def test_a_draining_process_answers_a_held_status_at_once_with_retry_after() -> None:
    """Without `retry_after` a browser would poll in a tight loop until the process ends."""
    with QRLogin(MemoryStore(), **OPTIONS) as qr:
        endpoint, begun = Endpoint(qr, max_waiting=8), qr.begin()
        qr.drain()
        bearer = ("authorization", f"Bearer {begun.device_code}")
        request = get(begun.login_id, f"after={begun.version}&wait=25", bearer)
        assert read(endpoint.browser(request))["retry_after"] == _RETRY_CROWDED
