"""A server that gets a signal while browsers wait answers each of them and ends.

No time is measured. A second server without `drain_on_signals` gets the signal first, and still
runs when the other one has ended.
"""

import _thread
import asyncio
import contextlib
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, Misconfigured, QRLogin
from qrlogin.login import Watch
from qrlogin.wire import drain_on_signals
from tests.servers import LOOPBACK
from tests.wire.clock import START_SECONDS, eventually
from tests.wire.mount import KEY, URI

ROOT = Path(__file__).parents[2]
POLLS, STREAMS = 100, 20
WAITING = POLLS + STREAMS
#: Less than a poll is held: a server that waits for its polls does not end in this time.
END_SECONDS = 20
SERVERS = {
    "uvicorn": [
        "uvicorn",
        "--lifespan",
        "on",
        "tests.wire.stopped:asgi",
        "--host",
        LOOPBACK,
        "--port",
        "0",
    ],
    "uvicorn, 2 workers": [
        "uvicorn",
        "tests.wire.stopped:asgi",
        "--workers",
        "2",
        "--host",
        LOOPBACK,
        "--port",
        "0",
    ],
    "gunicorn, 256 threads": [
        *("gunicorn", "tests.wire.stopped:wsgi()", "--worker-class", "gthread", "--threads", "256"),
        *(
            "--keep-alive",
            "1",
            "--bind",
            f"{LOOPBACK}:0",
            "--worker-tmp-dir",
            "{folder}",
            "--no-control-socket",
        ),
    ],
}


@dataclass
class Running:
    """A server with the application of `stopped.py`, and the browsers that wait there."""

    port: int
    process: "subprocess.Popen[bytes]"
    begun: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    waiting: list[tuple[str, socket.socket]] = field(default_factory=list)

    def ask(self, path: str, body: bytes | None = None) -> dict[str, object]:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.port}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            fields: dict[str, object] = json.loads(answer.read())
            return fields

    def begin(self, *kinds: str) -> None:
        """Begin a login for each browser before the first one waits: a poll lasts 25 seconds."""
        self.begun += [(kind, self.ask("/qr/begin", b'{"deliver":"body"}')) for kind in kinds]

    def hold(self) -> None:
        for kind, begun in self.begun:
            path = (
                f"{begun['login_id']}?wait=25" if kind == "poll" else f"{begun['login_id']}/events"
            )
            connection = socket.create_connection((LOOPBACK, self.port))
            bearer = f"Authorization: Bearer {begun['device_code']}"
            connection.sendall(
                f"GET /qr/{path} HTTP/1.1\r\nHost: {LOOPBACK}\r\n{bearer}\r\n\r\n".encode()
            )
            self.waiting.append((kind, connection))

    def held(self, workers: int) -> int:
        """The number of held requests in all its processes; a connection reaches any of them."""
        by_process: dict[object, object] = {}
        while len(by_process) < workers:
            answer = self.ask("/held")
            by_process[answer["pid"]] = answer["held"]
        return sum(int(str(each)) for each in by_process.values())

    def heard(self) -> list[tuple[str, bytes]]:
        """The bytes that each browser got until the server closed the connection."""
        received = []
        for kind, connection in self.waiting:
            connection.settimeout(30)
            heard = b""
            with contextlib.suppress(ConnectionError):
                while part := connection.recv(65536):
                    heard += part
            received.append((kind, heard))
        return received


@contextmanager
def running(name: str, folder: Path, *, store: str, drain: bool) -> Iterator[Running]:
    env = {
        **os.environ,
        "ORIGIN": f"http://{LOOPBACK}",
        "STORE": store,
        "DRAIN": "1" if drain else "0",
    }
    command = [part.format(folder=folder) for part in SERVERS[name]]
    log_file = folder / f"{drain}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    server = Running(0, process)
    try:
        eventually(
            lambda: process.poll() is not None or _answers(server, log_file.read_text()),
            START_SECONDS,
        )
        assert process.poll() is None, log_file.read_text()
        yield server
    finally:
        for _, connection in server.waiting:
            connection.close()
        process.terminate()  # its workers end with it, because no request is held
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(server: Running, log: str) -> bool:
    """Whether it answers at the port that its log names."""
    if not (found := re.search(rf"http://{LOOPBACK}:(\d+)", log)):
        return False
    server.port = int(found[1])
    with contextlib.suppress(OSError):
        return bool(server.ask("/held"))
    return False


@pytest.mark.matrix
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_stops_while_browsers_wait_and_answers_each(
    name: str, tmp_path: Path, redis_url: str
) -> None:
    workers = 2 if "2 workers" in name else 1
    store = redis_url if workers > 1 else "memory"
    with (
        running(name, tmp_path, store=store, drain=False) as control,
        running(name, tmp_path, store=store, drain=True) as server,
    ):
        for each in (control, server):
            each.begin(*["poll"] * POLLS, *["stream"] * STREAMS)
        for each in (control, server):
            each.hold()
        for each in (control, server):
            eventually(lambda each=each: each.held(workers) == WAITING)  # type: ignore[misc]
        control.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        server.process.wait(END_SECONDS)
        print(f"{name}: ended after {time.monotonic() - began:.2f} s")
        assert control.process.poll() is None  # it still waits for its held requests
        for kind, heard in server.heard():
            head, _, body = heard.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            if kind == "poll":
                assert json.loads(body)["state"] == "pending"
            else:
                assert b'"state":"pending"' in body
                assert body.endswith(b"\r\n0\r\n\r\n")  # complete, not cut off


# The handlers


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def blocking() -> QRLogin:
    return QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)


def test_the_previous_handler_is_called_and_draining_needs_no_lock_of_the_main_thread(
    handlers: None,
) -> None:
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    qr, other = blocking(), blocking()
    drain_on_signals(qr)
    drain_on_signals(other)
    watch: Any = Watch(qr, qr.core.read_device_code(qr.begin().device_code))
    with (
        watch,
        watch._listener._flag._cond,
    ):  # the signal comes while the main thread holds the lock of drain()
        signal.raise_signal(signal.SIGTERM)
        assert signals == [signal.SIGTERM]
    eventually(lambda: qr.draining and other.draining)


def test_the_previous_handler_is_called_when_no_thread_can_start(
    handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    qr = blocking()
    drain_on_signals(qr)
    monkeypatch.setattr(_thread, "start_new_thread", exhausted)
    signal.raise_signal(signal.SIGTERM)
    assert signals == [signal.SIGTERM]


def test_drain_on_signals_keeps_no_closed_application_alive(handlers: None) -> None:
    """A process can make several applications in turn, as a test suite does."""
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))

    async def awaited() -> "weakref.ref[AsyncQRLogin]":
        async with AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
            drain_on_signals(qr)
            return weakref.ref(qr)

    qr = blocking()
    drain_on_signals(qr)
    gone: list[weakref.ref[Any]] = [weakref.ref(qr), asyncio.run(awaited())]
    del qr
    gc.collect()
    assert [each() for each in gone] == [None, None]
    signal.raise_signal(signal.SIGTERM)
    assert signals == [signal.SIGTERM]


def test_a_handler_outside_python_is_kept_and_a_warning_is_logged(
    handlers: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    installed: list[int] = []
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", lambda number, _: installed.append(number))
    drain_on_signals(blocking())
    assert installed == []
    monkeypatch.undo()
    assert ["SIGTERM" in caplog.messages[0], "SIGINT" in caplog.messages[1]] == [True, True]
    assert all("call qr.drain() yourself" in message for message in caplog.messages)


def test_an_ignored_signal_stays_ignored(handlers: None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    qr = blocking()
    drain_on_signals(qr)
    signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert not qr.draining


def test_ctrl_c_still_raises_keyboard_interrupt(handlers: None) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    qr = blocking()
    drain_on_signals(qr)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    eventually(lambda: qr.draining)


def test_a_process_without_handlers_still_ends_by_the_signal() -> None:
    code = (
        "import signal; from qrlogin import MemoryStore, QRLogin;"
        "from qrlogin.wire import drain_on_signals;"
        "key, uri = bytes(range(32)), 'https://example.com/qr';"
        "drain_on_signals(QRLogin(MemoryStore(), secret_keys=[key], verification_uri=uri));"
        "signal.raise_signal(signal.SIGTERM)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -signal.SIGTERM


def test_a_signal_drains_an_async_application(handlers: None) -> None:
    async def story() -> None:
        signals: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
        async with AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
            drain_on_signals(qr)
            begun = await qr.begin()
            waiting = asyncio.ensure_future(qr.wait(begun.device_code, after=begun.version))
            await asyncio.sleep(0)
            signal.raise_signal(signal.SIGTERM)
            assert (await asyncio.wait_for(waiting, END_SECONDS)).version == begun.version
            assert signals == [signal.SIGTERM]

    asyncio.run(story())
    signal.raise_signal(signal.SIGTERM)  # the loop is closed; the handler is still installed


def test_drain_on_signals_outside_the_main_thread_or_a_loop_is_refused(handlers: None) -> None:
    texts: list[str] = []

    def elsewhere() -> None:
        with pytest.raises(Misconfigured) as refused:
            drain_on_signals(blocking())
        texts.append(str(refused.value))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "main thread only" in texts[0]
    awaited = AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)
    with pytest.raises(Misconfigured, match="in the lifespan"):
        drain_on_signals(awaited)
