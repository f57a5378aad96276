"""An application can read the request body before the adapter or after it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import fastapi
import flask
import pytest
from fastapi import Depends

from qrlogin import STANDARD, AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin, Redeemed
from qrlogin.contrib.fastapi import qrlogin_router
from qrlogin.contrib.flask import qrlogin_blueprint
from qrlogin.wire import AsyncEndpoint, Endpoint, Rfc8628
from qrlogin.wire.message import BODY_CAP
from tests.wire.clock import eventually
from tests.wire.mount import KEY, URI
from tests.wire.sites import (
    Application,
    Site,
    awaited,
    fastapi_app,
    flask_app,
    threaded,
    werkzeug_server,
)
from tests.wire.story import Browser, Phone, leaving
from tests.wire.test_message import Input

POLICY = replace(STANDARD, user_codes=True)
LONG = b"{" + b" " * 2 * BODY_CAP + b"}"


def any_client(client: Any) -> bool:
    return True


def log_in_each_way(site: Site) -> None:
    """Log in with JSON and with a form, and send bodies without a length and too long bodies."""
    with Browser(site) as desk, Phone(site, "alice") as alice:
        alice.code = desk.begin().json["verification_uri_complete"]
        assert [alice.send(verb).status for verb in ("scan", "confirm")] == [200, 200]
        assert desk.redeem(desk.look().json["scanned_by"]["tag"]).status == 200
        form = {"client_id": "a b&c", "scope": ""}
        assert "user_code" in desk.http.post("/tv/device_authorization", data=form).json()
        kind = {"Content-Type": "application/json"}
        for body, status in (([b"{", b"}"], 201), ([b"{}", b" " * 2 * BODY_CAP], 413)):
            assert (
                desk.http.post("/qr/begin", content=iter(body), headers=kind).status_code == status
            )
        assert desk.http.post("/qr/begin", content=LONG, headers=kind).status_code == 413
        assert desk.http.post("/qr/begin", files={"a": (None, b"b")}).status_code == 415


# Flask

READS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "the bytes": lambda: flask.request.get_data(),
    "the JSON": lambda: flask.request.get_json(silent=True),
    "the form": lambda: flask.request.form.get("code"),
    "the bytes, then the form": lambda: (flask.request.get_data(), flask.request.form),
    "the stream without reading it": lambda: flask.request.stream,
}


def flask_that_reads(read: Callable[[], object]) -> Any:
    def make(endpoint: Endpoint, application: Application) -> Any:
        app, dialect = (
            flask_app(endpoint, application),
            Rfc8628(endpoint._qr.core, clients=any_client),
        )
        tv = Endpoint(endpoint._qr, dialect, max_waiting=endpoint._slots)
        app.register_blueprint(
            qrlogin_blueprint(tv, lambda: None, lambda _: None, name="tv"), url_prefix="/tv"
        )
        app.before_request(lambda: (read(), None)[1])
        return app

    return make


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_flask_can_read_the_body_before_the_adapter(read: Callable[[], object]) -> None:
    with threaded(flask_that_reads(read), werkzeug_server, None, POLICY) as site:
        log_in_each_way(site)


def test_flask_can_read_a_short_body_after_the_adapter() -> None:
    """The connection stays open, so reading again would wait for bytes that never come."""
    read: list[bytes] = []

    def make(endpoint: Endpoint, application: Application) -> Any:
        app = flask_app(endpoint, application)

        def afterwards(response: flask.Response) -> flask.Response:
            read.append(flask.request.get_data())
            return response

        app.after_request(afterwards)
        return app

    with threaded(make, werkzeug_server, None) as site, Browser(site) as desk:
        desk.begin()
    assert read == [b"{}"]


@pytest.mark.parametrize("read", [READS["nothing"], READS["the stream without reading it"]])
@pytest.mark.parametrize(
    "length", [{"CONTENT_LENGTH": str(1 << 30)}, {"wsgi.input_terminated": True}]
)
def test_flask_reads_a_long_body_no_further_than_the_cap(
    read: Callable[[], object], length: dict[str, Any]
) -> None:
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=POLICY) as qr:
        app, endless = (
            flask_that_reads(read)(Endpoint(qr, max_waiting=1), Application()),
            Input(b"", endless=True),
        )
        environ = {"wsgi.input": endless, "CONTENT_TYPE": "application/json", **length}
        assert app.test_client().post("/qr/begin", environ_overrides=environ).status_code == 413
    assert endless.taken == BODY_CAP + 1


# FastAPI


async def the_bytes(request: fastapi.Request) -> None:
    await request.body()


async def the_json(request: fastapi.Request) -> None:
    if (
        request.headers.get("content-type") == "application/json"
        and "content-length" in request.headers
    ):
        await request.json()


async def the_form(request: fastapi.Request) -> None:
    await request.form()


async def bytes_in_a_middleware(request: fastapi.Request, call_next: Any) -> Any:
    await request.body()
    return await call_next(request)


async def no_login(request: fastapi.Request, redeemed: Redeemed) -> None:
    raise AssertionError("no login there")


AWAITED_READS: dict[str, Any] = {
    "nothing": None,
    "the bytes": the_bytes,
    "the JSON": the_json,
    "the form": the_form,
}
AWAITED_READS["the bytes, in a middleware"] = bytes_in_a_middleware


def fastapi_that_reads(read: Any) -> Any:
    def make(endpoint: AsyncEndpoint, application: Application) -> Any:
        dependencies = [] if read in (None, bytes_in_a_middleware) else [Depends(read)]
        app = fastapi_app(endpoint, application, dependencies=dependencies)
        dialect = Rfc8628(endpoint._qr.core, clients=any_client)
        tv = AsyncEndpoint(endpoint._qr, dialect, max_waiting=endpoint._slots)
        app.include_router(qrlogin_router(tv, lambda: None, no_login), prefix="/tv")
        if read is bytes_in_a_middleware:
            app.middleware("http")(read)
        return app

    return make


@pytest.fixture(params=list(AWAITED_READS.values()), ids=list(AWAITED_READS))
def awaited_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with awaited(fastapi_that_reads(request.param), None, POLICY) as site:
        yield site


def test_fastapi_can_read_the_body_before_the_adapter(awaited_site: Site) -> None:
    log_in_each_way(awaited_site)


def test_fastapi_notices_a_disconnect_after_reading_the_body(awaited_site: Site) -> None:
    awaited_site.clock.stop()  # no wait ends because a code rotates
    with Browser(awaited_site) as desk:
        desk.begin()
        for path in (f"/qr/{desk.login_id}?after=1&wait=25", f"/qr/{desk.login_id}/events"):
            with leaving(desk, "GET", path):
                eventually(lambda: awaited_site.held() == 1)
            eventually(awaited_site.idle)


def test_fastapi_can_read_a_short_body_after_the_adapter() -> None:
    read: list[bytes] = []

    async def afterwards(request: fastapi.Request) -> Any:
        yield
        read.append(await request.body())

    with awaited(fastapi_that_reads(afterwards), None, POLICY) as site, Browser(site) as desk:
        desk.begin()
        eventually(lambda: read == [b"{}"])


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"1073741824")]])
def test_fastapi_reads_a_long_body_no_further_than_the_cap(
    headers: list[tuple[bytes, bytes]],
) -> None:
    received, sent = list[int](), list[Any]()

    async def receive() -> dict[str, Any]:
        received.append(len(received))
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        async with AsyncQRLogin(
            AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=POLICY
        ) as qr:
            app = fastapi_that_reads(None)(AsyncEndpoint(qr, max_waiting=1), Application())
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/qr/begin",
                "query_string": b"",
                "root_path": "",
            }
            await app(
                {**scope, "headers": [(b"content-type", b"application/json"), *headers]},
                receive,
                send,
            )

    asyncio.run(ask())
    assert (sent[0]["status"], json.loads(sent[1]["body"])["error"]) == (413, "too_large")
    assert len(received) == BODY_CAP // 1000 + 1
