"""A real websocket client of a real server (uvicorn) gets each change of a login."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from qrlogin import AsyncMemoryStore, AsyncQRLogin
from qrlogin.wire import AsyncEndpoint, Streaming, WaitSlots
from tests.security_rows import row
from tests.wire.clock import PATIENCE_SECONDS, eventually
from tests.wire.mount import KEY, ORIGIN, URI, post
from tests.wire.mount import read as read_json
from tests.wire.sites import (
    SLOTS,
    Application,
    Site,
    awaited,
    bare_asgi,
    fastapi_app,
    threaded,
    validated_wsgi,
    wsgiref_server,
)
from tests.wire.story import Browser, Device, Phone

PATIENCE = 20


def with_streaming(streaming: Streaming) -> Any:
    def make(endpoint: AsyncEndpoint, application: Application) -> Any:
        return bare_asgi(
            AsyncEndpoint(endpoint._qr, max_waiting=endpoint._slots, streaming=streaming),
            application,
        )

    return make


@pytest.fixture
def site() -> Iterator[Site]:
    with awaited(bare_asgi, None) as running:
        yield running
        eventually(running.idle)


@contextmanager
def opened(browser: Browser, query: str = "", **headers: str) -> Iterator[ClientConnection]:
    """Open a socket of this page with its cookies and origin, as a browser does."""
    site = browser.site
    sent = {"Origin": site.url, "Cookie": browser.cookies, **headers}
    url = f"ws://{site.url.removeprefix('http://')}/qr/{browser.login_id}/socket{query}"
    with connect(
        url, additional_headers={name: value for name, value in sent.items() if value}, proxy=None
    ) as socket:
        yield socket


def heard(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(PATIENCE))
    return message


def untimed(message: dict[str, Any]) -> dict[str, Any]:
    """The fields that do not change with time."""
    return {key: value for key, value in message.items() if key not in ("expires_in", "rotates_in")}


def ends(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed):
        socket.recv(PATIENCE)
    return socket.close_code or 0


def refused(browser: Browser, query: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as caught, opened(browser, query, **headers):
        pass
    response = caught.value.response
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, json.loads(response.body or b"{}")


def test_a_socket_shows_each_change_of_a_login(site: Site) -> None:
    with Browser(site) as desk, Phone(site, "alice") as alice:
        desk.begin()
        alice.see(desk.picture())
        with opened(desk) as socket:
            first = heard(socket)
            assert first.keys() == desk.look().json.keys()
            assert untimed(first) == untimed(desk.look().json)  # the very JSON of a status
            for verb, state in (
                ("scan", "scanned"),
                ("release", "pending"),
                ("scan", "scanned"),
                ("confirm", "confirmed"),
            ):
                assert alice.send(verb).status == 200
                message = heard(socket)
                assert (message["state"], untimed(message)) == (state, untimed(desk.look().json))
            assert desk.redeem(desk.look().json["scanned_by"]["tag"]).status == 200
            assert heard(socket)["state"] == "redeemed"
            assert ends(socket) == 1000
        with opened(desk, "?after=6") as socket:
            assert ends(socket) == 1000  # there is no more news


def test_a_socket_resumes_after_the_given_version(site: Site) -> None:
    with Browser(site) as desk, Phone(site, "alice") as alice:
        desk.begin()
        alice.see(desk.picture())
        with opened(desk, "?after=1") as socket:
            assert heard(socket)["state"] == "pending"  # the code may have rotated
        eventually(site.idle)
        alice.send("scan")
        with opened(desk, "?after=2") as socket:
            alice.send("confirm")
            assert (heard(socket)["state"], desk.look().json["version"]) == ("confirmed", 3)
        site.clock.advance(600)
        with opened(desk, "?after=3") as socket:
            assert heard(socket)["state"] == "expired"
            assert ends(socket) == 1000


def test_a_socket_sends_the_rotated_code(site: Site) -> None:
    site.clock.stop()
    with Browser(site) as desk:
        desk.begin()
        site.clock.advance(24)  # the code has one more second
        with opened(desk) as socket:
            first = heard(socket)
            site.clock.advance(1)
            second = heard(socket)
            assert first["version"] == second["version"]
            assert first["verification_uri_complete"] != second["verification_uri_complete"]


def test_a_socket_ends_after_its_life() -> None:
    with awaited(with_streaming(Streaming(life=0.2)), None) as site, Browser(site) as desk:
        desk.begin()
        with opened(desk) as socket:
            assert heard(socket)["state"] == "pending"
            assert ends(socket) == 1001  # the browser may reconnect with the version


def test_a_newer_websocket_closes_the_older(site: Site) -> None:
    with Browser(site) as desk, opened_login(desk) as older, opened(desk) as newer:
        heard(newer)
        assert ends(older) == 4409
        desk.cancel()
        assert heard(newer)["state"] == "cancelled"
        assert ends(newer) == 1000


@contextmanager
def opened_login(desk: Browser) -> Iterator[ClientConnection]:
    desk.begin()
    with opened(desk) as socket:
        heard(socket)
        yield socket


def test_close_ends_every_socket(site: Site) -> None:
    with Browser(site) as desk, opened_login(desk) as socket:
        site.close_logins()
        assert ends(socket) == 1001


def test_a_socket_without_a_free_slot_is_closed_with_1013(site: Site) -> None:
    with Browser(site) as one, Browser(site) as two, Browser(site) as three:
        with opened_login(one), opened_login(two):
            three.begin()
            with opened(three) as socket:
                assert ends(socket) == 1013
        eventually(site.idle)  # they disconnected, and their slots are free
        with opened(three) as socket:
            heard(socket)


@row(61, 426)
def test_an_unauthorized_websocket_is_refused_before_it_opens(site: Site) -> None:
    with Browser(site) as desk, Browser(site) as other:
        desk.begin()
        other.begin()
        assert refused(desk, Origin="https://evil.net")[0] == 403
        assert refused(desk, Origin="null")[0] == 403
        status, why = refused(desk, Origin="")  # no page of ours sent this, and no credential
        assert (status, why["error"]) == (403, "forbidden")
        assert refused(desk, Cookie="")[0] == 404
        assert refused(desk, Cookie=other.cookies)[0] == 404
        assert refused(desk, "?after=x")[0] == 400
        assert refused(desk, "?wait=2")[0] == 400
        desk.login_id = "A" * 22
        assert refused(desk) == refused(other_page(desk, other))


def other_page(desk: Browser, other: Browser) -> Browser:
    desk.login_id = other.login_id[::-1]
    return desk


@row(427)
def test_a_socket_with_the_device_code_as_its_token_opens_from_every_origin(site: Site) -> None:
    """No page can send that header with a websocket, so a program sent it."""
    with Device(site) as cli, Browser(site) as page, Browser(site) as other:
        begun = cli.post("/qr/begin", deliver="body").json
        page.login_id = begun["login_id"]
        token = f"Bearer {begun['device_code']}"
        for origin in ("", site.url, "capacitor://localhost", "https://evil.net", "null"):
            with opened(page, Origin=origin, Cookie="", Authorization=token) as socket:
                assert heard(socket)["state"] == "pending"
        other.begin()
        for sent in ("Bearer x", token):  # the cookie of `other` does not count beside them
            assert refused(other, Origin="https://evil.net", Authorization=sent)[0] == 404


def test_messages_of_the_browser_are_ignored_and_too_many_end_the_socket(site: Site) -> None:
    with Browser(site) as desk:
        with opened_login(desk) as socket:
            for message in ("hello", b"\x00" * 4096, ""):
                socket.send(message)
            desk.cancel()
            assert heard(socket)["state"] == "cancelled"
        with opened_login(desk) as socket:
            socket.send("x" * 5000)
            assert ends(socket) == 1009
        eventually(site.idle)
        with opened_login(desk) as socket:
            socket.send(b"x" * 5000)
            assert ends(socket) == 1009
        eventually(site.idle)
        with opened_login(desk) as socket:
            for _ in range(33):
                socket.send("x")
            assert ends(socket) == 1008
        eventually(site.idle)
        with opened_login(desk) as socket:
            for _ in range(32):
                socket.send("x")
            with pytest.raises(TimeoutError):  # it stays open
                socket.recv(0.3)


def test_a_disconnect_releases_the_slot_of_a_socket(site: Site) -> None:
    with Browser(site) as desk:
        for _ in range(3 * SLOTS):
            with opened_login(desk):
                assert site.held() == 1
            eventually(site.idle)


def test_no_other_path_opens_a_socket(site: Site) -> None:
    with Browser(site) as desk:
        desk.begin()
        headers = {"Origin": site.url, "Cookie": desk.cookies}
        for path in (
            desk.login_id,
            f"{desk.login_id}/events",
            f"{desk.login_id}/socket/",
            "begin",
            "phone/scan",
            "",
            "socket",
        ):
            with (
                pytest.raises(InvalidStatus) as caught,
                connect(
                    f"ws{site.url.removeprefix('http')}/qr/{path}",
                    additional_headers=headers,
                    proxy=None,
                ),
            ):
                pass
            assert caught.value.response.status_code in (404, 405), path


def test_a_plain_request_gets_426(site: Site) -> None:
    with Browser(site) as desk:
        desk.begin()
        answer = desk.get(f"/qr/{desk.login_id}/socket")
        assert (answer.status, answer.error) == (426, "upgrade_required")
        assert (b"upgrade", b"websocket") in answer.headers
        assert desk.post(f"/qr/{desk.login_id}/socket").status == 405


def test_the_upgrade_header_is_left_out_under_wsgi() -> None:
    """PEP 3333 keeps it for servers. wsgiref answers 500 when an application sets it."""
    with threaded(validated_wsgi, wsgiref_server, None) as site, Browser(site) as desk:
        desk.begin()
        answer = desk.get(f"/qr/{desk.login_id}/socket")
        assert (answer.status, answer.error) == (426, "upgrade_required")
        assert b"upgrade" not in dict(answer.headers)


# A disconnect during a message


async def converse(
    make: Callable[[AsyncEndpoint, Application], Any], send: Callable[[dict[str, Any]], None]
) -> None:
    """Run one socket, whose browser sends nothing; each message to it is passed to `send`."""
    slots = WaitSlots(1)
    async with AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
        endpoint = AsyncEndpoint(qr, max_waiting=slots)
        begun = await endpoint.browser(post("begin"))
        login_id, cookie = (
            read_json(begun)["login_id"],
            f"{begun.cookies[0].key}={begun.cookies[0].value}",
        )
        cancel = post(f"{login_id}/cancel", None, ("cookie", cookie))
        received = [{"type": "websocket.connect"}]

        async def receive() -> dict[str, Any]:
            if received:
                return received.pop()
            await asyncio.Event().wait()
            raise AssertionError("no message comes")

        async def sent(message: dict[str, Any]) -> None:
            send(message)
            if message["type"] == "websocket.send":
                await endpoint.browser(cancel)  # ends the conversation

        path, headers = (
            f"/qr/{login_id}/socket",
            [(b"cookie", cookie.encode()), (b"origin", ORIGIN.encode())],
        )
        scope = {
            "type": "websocket",
            "path": path,
            "headers": headers,
            "query_string": b"",
            "root_path": "",
            "subprotocols": [],
        }
        await asyncio.wait_for(
            make(endpoint, Application())(scope, receive, sent), PATIENCE_SECONDS
        )
        assert slots.acquire(), "the slot was not released"
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"


@pytest.mark.parametrize("make", [bare_asgi, fastapi_app])
@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.send", "websocket.close"])
def test_a_disconnect_during_a_send_raises_no_error(make: Any, kind: str) -> None:
    """Servers raise an OSError, as ASGI says, and Starlette replaces it by its own exception."""

    def send(message: dict[str, Any]) -> None:
        if message["type"] == kind:
            raise ConnectionResetError

    asyncio.run(converse(make, send))


def test_a_socket_leaves_no_task_behind() -> None:
    sent: list[str] = []
    asyncio.run(converse(bare_asgi, lambda message: sent.append(message["type"])))
    assert sent == ["websocket.accept", "websocket.send", "websocket.send", "websocket.close"]
