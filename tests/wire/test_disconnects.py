"""A disconnect is noticed in every server and releases the slot of the held request."""

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import fastapi
import pytest
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route

from qrlogin import MemoryStore, QRLogin
from qrlogin.demo.server import Server
from qrlogin.wire import AsyncEndpoint, Endpoint, Request, Response
from qrlogin.wire.message import is_connection_closed
from tests.servers import LOOPBACK
from tests.wire.clock import Clock, eventually
from tests.wire.sites import (
    KEY,
    SITES,
    Application,
    Site,
    awaited,
    bare_wsgi,
    threaded,
    werkzeug_server,
)
from tests.wire.stopped_servers import running
from tests.wire.story import Browser, leaving, pool

# Connections


def both_ends() -> tuple[socket.socket, socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as server:
        client = socket.create_connection(server.getsockname())
        return client, server.accept()[0]


@pytest.mark.parametrize("timeout", [None, 60.0, 0.0])
def test_a_closed_connection_is_noticed(timeout: float | None) -> None:
    client, ours = both_ends()
    with client, ours:
        ours.settimeout(timeout)
        assert not is_connection_closed(ours)
        client.sendall(b"GET /next HTTP/1.1\r\n")  # a request in advance is no disconnect
        eventually(lambda: ours.recv(4, socket.MSG_PEEK) == b"GET ") if timeout != 0 else None
        assert not is_connection_closed(ours)
        ours.setblocking(True)
        assert ours.recv(100) == b"GET /next HTTP/1.1\r\n"  # the check has read nothing
        ours.settimeout(timeout)
        assert not is_connection_closed(ours)
        client.close()
        eventually(lambda: is_connection_closed(ours))
        ours.close()
        assert is_connection_closed(ours)


def test_a_disconnect_behind_unread_bytes_is_noticed() -> None:
    client, ours = both_ends()
    with ours:
        with client:
            client.sendall(b"GET /next HTTP/1.1\r\n")
        if sys.platform == "linux":  # on other systems unread bytes hide it
            eventually(lambda: is_connection_closed(ours))


def test_a_reset_connection_is_noticed() -> None:
    client, ours = both_ends()
    with ours:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        client.close()
        eventually(lambda: is_connection_closed(ours))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pem = tmp_path_factory.mktemp("tls") / "both.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    subprocess.run(
        [*made, "-keyout", str(pem), "-out", f"{pem}.crt"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    pem.write_text(pem.read_text() + Path(f"{pem}.crt").read_text())
    return pem


def test_a_closed_tls_connection_is_noticed(certificate: Path) -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    client_side = ssl.create_default_context(cafile=certificate)
    client_side.check_hostname = False
    plain, accepted = both_ends()
    wrapped: list[ssl.SSLSocket] = []
    thread = threading.Thread(
        target=lambda: wrapped.append(server_side.wrap_socket(accepted, server_side=True))
    )
    thread.start()
    client = client_side.wrap_socket(plain)
    thread.join()
    [ours] = wrapped
    with closing(ours):
        client.sendall(b"hello")
        assert ours.recv(5) == b"hello"
        assert not is_connection_closed(ours)
        client.sendall(b"a request in advance")
        assert not is_connection_closed(ours)
        client.close()
        eventually(lambda: is_connection_closed(ours))


def test_the_connection_is_found_in_each_servers_environ() -> None:
    client, ours = both_ends()
    base = {"REQUEST_METHOD": "GET", "wsgi.input": None, "CONTENT_LENGTH": "0"}
    with ours:
        for name in ("werkzeug.socket", "gunicorn.socket", "qrlogin.socket"):
            is_disconnected = Request.from_wsgi({**base, name: ours}, "x").is_disconnected
            assert is_disconnected is not None
            assert not is_disconnected()
        waitress = Request.from_wsgi(
            {**base, "waitress.client_disconnected": lambda: True}, "x"
        ).is_disconnected
        assert waitress is not None
        assert waitress()
        assert Request.from_wsgi(base, "x").is_disconnected is None
        assert Request.from_wsgi({**base, "werkzeug.socket": None}, "x").is_disconnected is None
        client.close()


# Real servers


def starlette_app(endpoint: AsyncEndpoint, application: Application) -> Any:
    async def answer(request: StarletteRequest) -> StarletteResponse:
        asked = await Request.from_asgi(request.scope, request.receive, request.path_params["path"])
        made: StarletteResponse = _framework(
            await endpoint.browser(asked), StreamingResponse, StarletteResponse
        )
        return made

    return Starlette(routes=[Route("/qr/{path:path}", answer, methods=["GET", "POST"])])


def fastapi_app(endpoint: AsyncEndpoint, application: Application) -> Any:
    app = fastapi.FastAPI()

    @app.api_route("/qr/{path:path}", methods=["GET", "POST"], response_model=None)
    async def answer(path: str, request: fastapi.Request) -> StarletteResponse:
        asked = await Request.from_asgi(request.scope, request.receive, path)
        made: StarletteResponse = _framework(
            await endpoint.browser(asked), StreamingResponse, fastapi.Response
        )
        return made

    return app


def _framework(answer: Response, streamed: Any, whole: Any) -> Any:
    made = (
        whole(answer.body, answer.status)
        if answer.events is None
        else streamed(answer.events, answer.status)
    )
    for key, value in answer.headers:
        made.headers[key] = value
    for cookie in answer.cookies:
        made.headers.append("Set-Cookie", cookie.header())
    return made


@contextmanager
def demo_server() -> Iterator[Site]:
    with Server(LOOPBACK, 0) as server:
        site = Site(server.port, Application(), Clock())
        site.store = MemoryStore(now=site.clock)
        with QRLogin(site.store, secret_keys=[KEY], verification_uri=site.verification_uri) as qr:
            endpoint = Endpoint(qr, max_waiting=site.slots)

            def app(environ: dict[str, Any], start_response: Any) -> Any:
                path = environ["PATH_INFO"]
                door: Callable[[Request], Response] = endpoint.browser
                return door(Request.from_wsgi(environ, path.removeprefix("/qr/"))).to_wsgi(
                    start_response
                )

            server.start(app)
            try:
                yield site
            finally:
                server.stop(qr.close)


SERVERS: dict[str, Callable[[], AbstractContextManager[Site]]] = {
    "werkzeug": lambda: threaded(bare_wsgi, werkzeug_server, None),
    "demo": demo_server,
    "bare ASGI": lambda: SITES["bare ASGI"](None),
    "Starlette": lambda: awaited(starlette_app, None),
    "FastAPI": lambda: awaited(fastapi_app, None),
}


@pytest.mark.parametrize(
    ("server", "kind"),
    [(server, kind) for server in SERVERS for kind in ("poll", "stream")],
)
def test_a_disconnect_frees_the_wait_slot(server: str, kind: str) -> None:
    """Three times as many requests as slots, pair by pair; each would be held far longer."""
    with SERVERS[server]() as site, Browser(site) as one, Browser(site) as two:
        site.clock.stop()  # no poll ends because a code rotates
        for desk in (one, two):
            desk.begin()
        path = "{}?after=1&wait=25" if kind == "poll" else "{}/events"
        for _ in range(3):
            with ExitStack() as both:
                for desk in (one, two):
                    both.enter_context(leaving(desk, "GET", "/qr/" + path.format(desk.login_id)))
                eventually(lambda: site.held() == 2)
            eventually(site.idle)
        with pool() as parallel:
            held = parallel.submit(one.look, wait=1)
            assert "retry_after" not in held.result(60).json


def test_a_disconnect_from_gunicorn_frees_the_wait_slot(tmp_path: Path) -> None:
    with running("gunicorn, 256 threads", tmp_path, store="memory", drain=True) as server:
        server.begin(*("poll", "stream") * 3)
        server.hold()
        eventually(lambda: server.held(1) == 6)
        for _, connection in server.waiting:
            connection.close()
        eventually(lambda: server.held(1) == 0)
        server.waiting.clear()
