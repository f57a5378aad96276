"""A server that handles one request at a time is never held: the phone's request comes through."""

import _thread
import logging
import re
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.handlers import BaseCGIHandler, SimpleHandler
from wsgiref.util import setup_testing_defaults

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.wire import Endpoint, Native, Request, Response, WaitSlots, WeChat
from qrlogin.wire.endpoint import _log_once
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import KEY, URI, get, post, read
from tests.wire.sites import MakeApp, bare_wsgi, single_threaded_server, threaded
from tests.wire.stopped_servers import running
from tests.wire.story import Browser, Phone

AT_ONCE_SECONDS = 15  # on a busy machine; a held poll takes 25


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    _log_once.cache_clear()
    yield
    _log_once.cache_clear()


def without_slots(endpoint: Endpoint, application: Any) -> Any:
    return bare_wsgi(Endpoint(endpoint._qr, max_waiting=0), application)


@row(28)
@pytest.mark.parametrize(
    ("make_app", "level"), [(bare_wsgi, "WARNING"), (without_slots, "INFO")], ids=["slots", "none"]
)
def test_a_server_with_one_thread_keeps_answering(
    make_app: MakeApp, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "qrlogin")
    with (
        threaded(make_app, single_threaded_server, None) as site,
        Browser(site) as desk,
        Phone(site, "alice") as alice,
    ):
        alice.code = desk.begin().json["verification_uri_complete"]
        assert desk.look(wait=25).json["retry_after"] == 2
        assert alice.send("scan").status == 200
        assert desk.look(wait=25).json["state"] == "scanned"
        at_rest = f"/qr/{desk.login_id}?after=2&wait=25"
        assert desk.get(at_rest).json["retry_after"] == 2
        stream = desk.get(f"/qr/{desk.login_id}/events")
        assert (stream.status, stream.error) == (503, "crowded")
        assert alice.send("confirm").status == 200
        assert desk.get(at_rest).json["state"] == "confirmed"
    said = [each for each in caplog.records if "holds no request" in each.message]
    assert [each.levelname for each in said] == [level]  # once, and it says what to change
    assert re.search("--threads 16|half of the server's threads", said[0].message)


def answered_by(handler: SimpleHandler, app: Any) -> None:
    handler.run(app)
    assert b"200 OK" in handler.stdout.getvalue()  # type: ignore[attr-defined]


@for_each_row(
    "handler, held",
    [
        ("threads", True),
        ("one thread", False),
        ("CGI", False),
    ],
)
def test_the_environ_says_whether_a_request_may_be_held(handler: str, held: bool) -> None:
    """With the handlers of the standard library: a server with threads, one without, and CGI."""
    requests = list[Request]()

    def app(environ: Any, start_response: Any) -> Any:
        requests.append(Request.from_wsgi(environ, "x"))
        return Response(200).to_wsgi(start_response)

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    streams = BytesIO(), BytesIO(), sys.stderr
    run: SimpleHandler
    if handler == "CGI":
        run = BaseCGIHandler(*streams, environ, multithread=True)
        run.wsgi_run_once = True
    else:
        run = SimpleHandler(*streams, environ, multithread=handler == "threads")
    answered_by(run, app)
    assert requests[0].one_at_a_time is not held


def test_green_threads_count_as_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """gevent's own server says that it has one thread, also when it has replaced the threads."""
    environ = {"REQUEST_METHOD": "GET", "wsgi.input": BytesIO(), "wsgi.multithread": False}
    assert Request.from_wsgi(environ, "x").one_at_a_time
    monkeypatch.setattr(_thread, "get_ident", lambda: 1)
    assert not Request.from_wsgi(environ, "x").one_at_a_time
    assert Request.from_wsgi(environ | {"wsgi.run_once": True}, "x").one_at_a_time


def test_no_slot_is_taken_and_every_dialect_answers_at_once() -> None:
    qr, slots = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI), WaitSlots(1)
    native = Endpoint(qr, Native(qr.core), max_waiting=slots)
    wechat = Endpoint(qr, WeChat(qr.core), max_waiting=slots)

    def ask(endpoint: Endpoint, begun: Response, path: str, query: str) -> Response:
        cookies = ("cookie", "; ".join(f"{one.key}={one.value}" for one in begun.cookies))
        request = get(path, query, cookies)
        return endpoint.browser(
            Request(request.method, path, query, request.headers, b"", one_at_a_time=True)
        )

    begun = native.browser(post("begin"))
    login_id = read(begun)["login_id"]
    assert read(ask(native, begun, login_id, "after=1&wait=25"))["retry_after"] == 2
    assert read(ask(native, begun, f"{login_id}/events", ""))["error"] == "crowded"
    begun = wechat.browser(get("jslogin"))
    uuid = begun.body.decode().rpartition(' = "')[2].removesuffix('";')
    answer = ask(wechat, begun, "cgi-bin/mmwebwx-bin/login", f"uuid={uuid}")
    assert (answer.status, dict(answer.headers)["Retry-After"]) == (503, "2")
    assert slots.acquire()


def test_a_default_gunicorn_does_not_stand_still(tmp_path: Path) -> None:
    """gunicorn as its manual starts it: one worker that handles one request at a time."""
    with running("gunicorn", tmp_path, store="memory", drain=True) as server:
        server.begin("poll")
        ((_, begun),) = server.begun
        asked = time.monotonic()
        for _ in range(2):
            path, bearer = f"/qr/{begun['login_id']}?wait=25", str(begun["device_code"])
            assert server.ask(path, bearer=bearer)["retry_after"] == 2
        assert time.monotonic() - asked < AT_ONCE_SECONDS
    log = (tmp_path / "True.log").read_text()
    assert log.count("holds no request") == 1, log
