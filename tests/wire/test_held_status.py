"""A held status takes a slot, ends with news or a newer request, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

import pytest

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, Misconfigured, QRLogin
from qrlogin.core import Core
from qrlogin.errors import BadRequest
from qrlogin.wire import (
    AsyncEndpoint,
    Dialect,
    Endpoint,
    Exchange,
    HeldStatus,
    Native,
    Request,
    Response,
)
from tests.application import UNLIMITED
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.clock import PATIENCE_SECONDS, Clock, eventually
from tests.wire.mount import (
    ALICE,
    CREDENTIAL,
    KEY,
    NOON,
    URI,
    AsyncSpy,
    Colour,
    Mount,
    Spy,
    get,
    post,
    reach,
    read,
)

# Blocking


class Threads:
    """A blocking endpoint with one thread for each request."""

    def __init__(self, pool: ThreadPoolExecutor, max_waiting: int) -> None:
        self.store = Spy(MemoryStore(now=Clock(NOON)))
        self.qr = QRLogin(self.store, secret_keys=[KEY], verification_uri=URI)
        self.endpoint, self._pool = Endpoint(self.qr, max_waiting=max_waiting), pool

    def begin(self) -> tuple[str, tuple[str, str], str]:
        fields = read(self.endpoint.browser(post("begin", {"deliver": "body"})))
        bearer = ("authorization", f"Bearer {fields['device_code']}")
        return fields["login_id"], bearer, fields["verification_uri_complete"]

    def hold(self, login_id: str, bearer: tuple[str, str]) -> "Future[Response]":
        before = len(self.store.inner._listeners)
        held = self._pool.submit(self.endpoint.browser, get(login_id, "after=1&wait=25", bearer))
        eventually(lambda: len(self.store.inner._listeners) == before + 1)
        return held

    def scan(self, code: str) -> None:
        assert self.endpoint.phone(post("scan", {"code": code}, CREDENTIAL), ALICE).status == 200


@contextmanager
def threads(max_waiting: int) -> Iterator[Threads]:
    with ThreadPoolExecutor(8) as pool:
        site = Threads(pool, max_waiting)
        try:
            yield site
        finally:
            site.qr.close()  # so that no request stays held


@row(26)
def test_beyond_the_cap_a_status_is_answered_at_once() -> None:
    with threads(max_waiting=1) as site:
        one, two = site.begin(), site.begin()
        held = site.hold(*one[:2])
        crowded = site.endpoint.browser(get(two[0], "after=1&wait=25", two[1]))
        assert crowded.status == 200
        assert (read(crowded)["state"], read(crowded)["retry_after"]) == ("pending", 2)
        assert read(crowded).keys() > read(site.endpoint.browser(get(two[0], "", two[1]))).keys()
        assert not held.done()
        site.scan(two[2])
        news = read(site.endpoint.browser(get(two[0], "after=1&wait=25", two[1])))
        assert (news["state"], "retry_after" in news) == (
            "scanned",
            False,
        )  # the same with and without a free slot
        site.scan(one[2])
        assert read(held.result(PATIENCE_SECONDS))["state"] == "scanned"
        freed = site.hold(*site.begin()[:2])
        site.qr.close()
        assert "retry_after" not in read(freed.result(PATIENCE_SECONDS))


@row(236)
def test_a_wait_without_after_is_held_until_the_next_change() -> None:
    """A client that keeps no version is not answered at once for ever, whatever the state is."""
    with threads(max_waiting=1) as site:
        login_id, bearer, code = site.begin()

        def ask(seconds: int) -> "Future[Response]":
            request = get(login_id, f"wait={seconds}", bearer)
            return site._pool.submit(site.endpoint.browser, request)

        for verb, state in (
            ("scan", "scanned"),
            ("release", "pending"),
            ("scan", "scanned"),
            ("confirm", "confirmed"),
            ("deny", "denied"),
        ):
            held = ask(25)
            eventually(lambda: len(site.store.inner._listeners) == 1)
            sleep(0.05)
            assert not held.done(), f"not held before {verb}"
            crowded = site.endpoint.browser(get(login_id, "wait=25", bearer))
            assert read(crowded)["retry_after"] == 2
            assert site.endpoint.phone(post(verb, {"code": code}, CREDENTIAL), ALICE).status == 200
            assert read(held.result(PATIENCE_SECONDS))["state"] == state
        assert read(ask(25).result(PATIENCE_SECONDS))["state"] == "denied"  # there is no more news


def test_a_wait_without_after_ends_with_what_it_began_with() -> None:
    with threads(max_waiting=1) as site:
        login_id, bearer, code = site.begin()
        site.scan(code)
        begun = monotonic()
        answer = read(site.endpoint.browser(get(login_id, "wait=1", bearer)))
        assert (answer["state"], "retry_after" in answer) == ("scanned", False)
        assert monotonic() - begun >= 1


def test_a_wait_without_after_is_held_in_an_event_loop() -> None:
    async def story() -> None:
        async with tasks(max_waiting=1) as site:
            request, code = await site.begin()
            await site.scan(code)
            held = await site.hold(replace(request, query="wait=25"))
            await asyncio.sleep(0.05)
            assert not held.done()
            await site.endpoint.phone(post("confirm", {"code": code}, CREDENTIAL), ALICE)
            assert read(await held)["state"] == "confirmed"

    asyncio.run(story())


def test_a_wait_that_fails_releases_its_slot() -> None:
    with threads(max_waiting=1) as site:
        login_id, bearer, _ = site.begin()
        for _ in range(5):
            site.store.down = True
            assert site.endpoint.browser(get(login_id, "after=1&wait=25", bearer)).status == 503
            site.store.down = False
        for _ in range(5):
            forged = ("authorization", bearer[1][:-2] + "xx")
            assert site.endpoint.browser(get(login_id, "after=1&wait=25", forged)).status == 404
        held = site.hold(login_id, bearer)
        site.qr.close()
        assert "retry_after" not in read(held.result(PATIENCE_SECONDS))


@row(26)
def test_a_newer_wait_ends_the_older_one() -> None:
    with threads(max_waiting=2) as site:
        login_id, bearer, code = site.begin()
        older = site.hold(login_id, bearer)
        newer = site._pool.submit(site.endpoint.browser, get(login_id, "after=1&wait=25", bearer))
        answer = older.result(PATIENCE_SECONDS)
        assert (answer.status, read(answer)["error"]) == (409, "superseded")
        site.scan(code)
        assert read(newer.result(PATIENCE_SECONDS))["state"] == "scanned"


def test_only_a_wait_of_the_same_browser_ends_the_older_one() -> None:
    with threads(max_waiting=2) as site:
        login_id, bearer, code = site.begin()
        held = site.hold(login_id, bearer)
        other, stranger, _ = site.begin()
        for path, query, *sent in (
            (login_id, "after=1&wait=25"),
            (login_id, "after=1&wait=25", stranger),
            (other, "after=1&wait=25", bearer),
            (login_id, "", bearer),
            (login_id, "wait=0", bearer),
            (login_id, "wait=00", bearer),
            (login_id, "after=0&wait=0", bearer),
            (f"{login_id}/qr.svg", "", bearer),
        ):
            assert site.endpoint.browser(get(path, query, *sent)).status in (200, 404)
            assert not held.done()
        site.scan(code)
        assert read(held.result(PATIENCE_SECONDS))["state"] == "scanned"


def test_a_repeat_or_a_change_of_another_login_does_not_end_a_wait() -> None:
    with threads(max_waiting=2) as site:
        login_id, bearer, code = site.begin()
        site.scan(code)
        held = site._pool.submit(site.endpoint.browser, get(login_id, "after=2&wait=25", bearer))
        eventually(lambda: len(site.store.inner._listeners) == 1)
        site.scan(code)  # the phone resends
        other = site.begin()
        site.scan(other[2])
        assert not held.done()
        site.endpoint.phone(post("confirm", {"code": code}, CREDENTIAL), ALICE)
        assert read(held.result(PATIENCE_SECONDS))["state"] == "confirmed"


def test_close_answers_every_held_and_later_status_at_once() -> None:
    with threads(max_waiting=6) as site:
        logins = [site.begin() for _ in range(6)]
        waiting = [site.hold(*login[:2]) for login in logins]
        site.qr.close()
        for held in waiting:
            assert read(held.result(PATIENCE_SECONDS))["state"] == "pending"
        late = site._pool.submit(
            site.endpoint.browser, get(logins[0][0], "after=1&wait=25", logins[0][1])
        )
        assert read(late.result(PATIENCE_SECONDS))["state"] == "pending"


@pytest.mark.parametrize("max_waiting", [-1, True, 2.0, "8", None])
def test_max_waiting_is_a_whole_number_from_zero(max_waiting: Any) -> None:
    with (
        threads(max_waiting=1) as site,
        pytest.raises(Misconfigured, match="half of your server's threads"),
    ):
        Endpoint(site.qr, max_waiting=max_waiting)


# Awaited


class Tasks:
    """An awaited endpoint in the running loop."""

    def __init__(self, max_waiting: int) -> None:
        self.store = AsyncSpy(AsyncMemoryStore(now=Clock(NOON)))
        # Without limits: one account scans a hundred codes.
        self.qr = AsyncQRLogin(
            self.store, secret_keys=[KEY], verification_uri=URI, policy=UNLIMITED
        )
        self.endpoint = AsyncEndpoint(self.qr, max_waiting=max_waiting)

    async def begin(self) -> tuple[Request, str]:
        """The request to hold, and the code to scan."""
        fields = read(await self.endpoint.browser(post("begin", {"deliver": "body"})))
        waits = get(
            fields["login_id"],
            "after=1&wait=25",
            ("authorization", f"Bearer {fields['device_code']}"),
        )
        return waits, fields["verification_uri_complete"]

    async def hold(self, request: Request) -> "asyncio.Task[Response]":
        before = self.held
        held = asyncio.create_task(self.endpoint.browser(request))
        while self.held == before:
            await asyncio.sleep(0)
        return held

    async def scan(self, code: str) -> None:
        assert (
            await self.endpoint.phone(post("scan", {"code": code}, CREDENTIAL), ALICE)
        ).status == 200

    @property
    def held(self) -> int:
        return len(self.store.inner._listeners)


@asynccontextmanager
async def tasks(max_waiting: int) -> AsyncIterator[Tasks]:
    """Check that no task outlives the block."""
    yield (site := Tasks(max_waiting))
    assert site.held == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Browser:
    """The connection of a request, which lasts until the browser disconnects."""

    def __init__(self, request: Request) -> None:
        self.left, self.asked = asyncio.Event(), 0
        self.request = replace(request, wait_disconnect=self._gone)

    async def _gone(self) -> None:
        self.asked += 1
        await self.left.wait()


def test_a_disconnect_releases_the_slot() -> None:
    async def story() -> None:
        async with tasks(max_waiting=1) as site:
            request, code = await site.begin()
            for _ in range(3):
                browser = Browser(request)
                held = await site.hold(browser.request)
                assert read(await site.endpoint.browser(request))["retry_after"] == 2
                browser.left.set()
                await held
                assert site.held == 0
            held = await site.hold(Browser(request).request)
            await site.scan(code)
            assert read(await held)["state"] == "scanned"

    asyncio.run(story())


def test_a_cancelled_handler_releases_its_slot() -> None:
    async def story() -> None:
        async with tasks(max_waiting=1) as site:
            request, code = await site.begin()
            for made in (request, Browser(request).request):
                held = await site.hold(made)
                held.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await held
                assert site.held == 0
            held = await site.hold(request)
            await site.scan(code)
            assert read(await held)["state"] == "scanned"

    asyncio.run(story())


def test_a_wait_that_fails_leaves_no_task() -> None:
    async def broken() -> None:
        raise OSError("the socket is broken")

    async def story() -> None:
        async with tasks(max_waiting=1) as site:
            request, code = await site.begin()
            for _ in range(3):
                await site.endpoint.browser(replace(request, wait_disconnect=broken))
                site.store.down = True
                assert (await site.endpoint.browser(Browser(request).request)).status == 503
                site.store.down = False
            older = await site.hold(Browser(request).request)
            older.cancel()
            await asyncio.wait([older])
            held = await site.hold(request)
            await site.scan(code)
            assert "retry_after" not in read(await held)

    asyncio.run(story())


def test_a_held_request_keeps_none_of_the_headers_that_were_read() -> None:
    """A browser sends kilobytes of them, and thousands of browsers wait."""

    async def story() -> None:
        async with tasks(max_waiting=1) as site:
            request, code = await site.begin()
            headers = [(name.encode(), value.encode()) for name, value in request.headers]
            query = request.query.encode()
            scope: Any = {"method": "GET", "headers": headers, "query_string": query}
            receive: Any = asyncio.Event().wait
            asked = await Request.from_asgi(scope, receive, request.path, body=b"")
            held = await site.hold(asked)
            assert (asked._values, asked._cookies) == (None, None)
            with pytest.raises(AttributeError):
                object.__getattribute__(asked, "headers")
            await site.scan(code)
            assert read(await held)["state"] == "scanned"

    asyncio.run(story())


def test_a_newer_wait_ends_the_older_one_in_an_event_loop() -> None:
    async def story() -> None:
        async with tasks(max_waiting=2) as site:
            request, code = await site.begin()
            older = await site.hold(Browser(request).request)
            newer = asyncio.create_task(site.endpoint.browser(Browser(request).request))
            answer = await older
            assert (answer.status, read(answer)["error"]) == (409, "superseded")
            await site.scan(code)
            assert read(await newer)["state"] == "scanned"

    asyncio.run(story())


def test_only_a_held_status_watches_for_a_disconnect() -> None:
    async def story() -> None:
        async with tasks(max_waiting=1) as site:
            request, code = await site.begin()
            browser = Browser(request)
            await site.endpoint.browser(replace(browser.request, query="wait=0"))
            await site.scan(code)
            cancel = replace(
                post(f"{request.path}/cancel", {}, *request.headers),
                wait_disconnect=browser.request.wait_disconnect,
            )
            assert (await site.endpoint.browser(cancel)).status == 200
            assert browser.asked == 0

    asyncio.run(story())


def test_a_hundred_held_statuses_each_get_their_own_news() -> None:
    async def story() -> None:
        async with tasks(max_waiting=100) as site:
            logins = [await site.begin() for _ in range(100)]
            waiting = [await site.hold(Browser(request).request) for request, _ in logins]
            for _, code in logins:
                await site.scan(code)
            for (request, _), held in zip(logins, waiting, strict=True):
                fields = read(await held)
                assert (fields["login_id"], fields["state"]) == (request.path, "scanned")

    asyncio.run(story())


def test_close_answers_every_held_status_in_an_event_loop() -> None:
    async def story() -> None:
        async with tasks(max_waiting=50) as site:
            waiting = [await site.hold(Browser((await site.begin())[0]).request) for _ in range(50)]
            await site.qr.close()
            assert {read(held)["state"] for held in await asyncio.gather(*waiting)} == {"pending"}

    asyncio.run(story())


def test_an_endpoint_of_the_wrong_colour_is_refused_at_construction() -> None:
    options: Any = {"secret_keys": [bytes(range(32))], "verification_uri": "https://example.com/qr"}
    blocking, awaited = (
        QRLogin(MemoryStore(), **options),
        AsyncQRLogin(AsyncMemoryStore(), **options),
    )
    with pytest.raises(Misconfigured, match="there is AsyncEndpoint"):
        Endpoint(awaited, max_waiting=1)  # type: ignore[arg-type]
    with pytest.raises(Misconfigured, match="there is Endpoint"):
        AsyncEndpoint(blocking, max_waiting=1)  # type: ignore[arg-type]


def test_a_blocking_endpoint_inside_an_event_loop_refuses_to_hold() -> None:
    """Such a route in FastAPI would stop the whole server for 25 s. What need not wait works."""

    async def in_a_loop() -> None:
        qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)
        endpoint = Endpoint(qr, max_waiting=1)
        begun = read(endpoint.browser(post("begin", {"deliver": "body"})))
        bearer = ("authorization", f"Bearer {begun['device_code']}")
        for _ in range(2):  # the slot is free again
            with pytest.raises(Misconfigured, match="use AsyncQRLogin and AsyncEndpoint"):
                endpoint.browser(get(begun["login_id"], "after=1&wait=25", bearer))
        assert endpoint.browser(get(begun["login_id"], "wait=0", bearer)).status == 200

    asyncio.run(in_a_loop())


@for_each_row("max_hold, asked, held", [(25, 25, 25), (25, 3, 3), (7, 25, 7), (7, 3, 3), (1, 1, 1)])
def test_the_application_sets_how_long_a_status_is_held(
    max_hold: int, asked: int, held: float
) -> None:
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)
    device_code = qr.begin().device_code
    login_id, bearer = device_code[:22], ("authorization", f"Bearer {device_code}")
    dialect = Native(qr.core, max_hold=max_hold)
    exchange = dialect.browser(get(login_id, f"after=1&wait={asked}", bearer))
    assert isinstance(exchange, Exchange)
    assert isinstance(exchange.operation, HeldStatus)
    assert exchange.operation.timeout == held
    with pytest.raises(BadRequest):
        dialect.browser(get(login_id, "wait=26", bearer))


@for_each_row("max_hold", [0, -1, 26, 2.5, "9"])
def test_a_hold_that_no_client_expects_is_refused(max_hold: Any) -> None:
    core = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI).core
    with pytest.raises(Misconfigured, match="max_hold must be a whole number"):
        Native(core, max_hold=max_hold)


class Unaware:
    """A dialect with nothing that is optional: it knows no addresses and no websocket."""

    def __init__(self, native: Native) -> None:
        self.browser_routes, self.phone_routes = native.browser_routes, native.phone_routes
        self.browser, self.phone, self.refuse = native.browser, native.phone, native.refuse


def test_a_dialect_needs_to_know_no_addresses_and_no_websocket() -> None:
    def make(core: Core) -> Dialect:
        return Unaware(Native(core))

    sent = list[Any]()
    scope = {"type": "websocket", "path": "/qr/a/socket", "headers": [], "query_string": b""}

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    colours: tuple[Colour, ...] = ("sync", "async")
    for colour in colours:
        with Mount(colour, make=make, max_waiting=0) as mount:
            tab = reach(mount, "pending")
            assert read(tab.send(get(tab.login_id, "wait=25")))["retry_after"] == 2
            if colour == "async":
                mount.now(mount.endpoint.socket(scope, receive, send, "a/socket"))
    assert sent == [{"type": "websocket.close"}]


def test_a_browser_that_disconnected_is_answered_as_gone() -> None:
    """499 in the access log, as nginx writes it: nothing was sent in time."""
    with threads(max_waiting=4) as site:
        login_id, bearer, _ = site.begin()
        gone = get(login_id, "after=1&wait=25", bearer)
        object.__setattr__(gone, "is_disconnected", lambda: True)
        assert site.endpoint.browser(gone).status == 499
