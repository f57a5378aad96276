"""A server that gets a signal while browsers wait answers each of them and ends.

No time is measured. A second server without `drain_on_signals` gets the signal first, and still
runs when the other one has ended.
"""

import _thread
import asyncio
import gc
import json
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, Misconfigured, QRLogin
from qrlogin.login import Watch
from qrlogin.wire import drain_on_signals
from tests.tables import for_each_row
from tests.wire.clock import eventually
from tests.wire.mount import KEY, URI
from tests.wire.stopped_servers import running

POLLS, STREAMS = 100, 20
WAITING = POLLS + STREAMS
#: Less than a poll is held: a server that waits for its polls does not end in this time.
END_SECONDS = 20
#: Of `SERVERS`, those that wait for their requests when they stop.
DRAINING = (
    "uvicorn",
    "uvicorn, 2 workers",
    "hypercorn",
    "gunicorn, 256 threads",
    "gunicorn, gevent",
)


@pytest.mark.matrix
@pytest.mark.parametrize("name", DRAINING)
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


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["daphne", "hypercorn, 1 worker"])
def test_a_server_that_cuts_its_requests_off_stops_by_itself(name: str, tmp_path: Path) -> None:
    """docs/servers.md says so. No signal reaches the process that serves, or it has no effect."""
    with running(name, tmp_path, store="memory", drain=True) as server:
        server.begin(*["poll"] * POLLS, *["stream"] * STREAMS)
        server.hold()
        eventually(lambda: server.held(1) == WAITING)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(END_SECONDS)


@pytest.mark.matrix
@pytest.mark.parametrize("name", [*DRAINING, "hypercorn, 1 worker", "daphne"])
def test_every_server_answers_on_news_and_frees_the_slots_of_browsers_that_left(
    name: str, tmp_path: Path, redis_url: str
) -> None:
    workers = 2 if "2 workers" in name else 1
    store = redis_url if workers > 1 else "memory"
    with running(name, tmp_path, store=store, drain=True) as server:
        server.begin("poll", "stream", "poll", "stream")
        server.hold()
        eventually(lambda: server.held(workers) == 4)
        for _, begun in server.begun[:2]:
            path, bearer = f"/qr/{begun['login_id']}/cancel", str(begun["device_code"])
            assert server.ask(path, b"{}", bearer=bearer)["state"] == "cancelled"
        for _, connection in server.waiting[:2]:
            heard = b""
            while b'"state":"cancelled"' not in heard:
                heard += (part := connection.recv(65536))
                assert part, heard
        for _, connection in server.waiting[2:]:
            connection.close()
        eventually(lambda: server.held(workers) == 0)


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


class Worker:
    """A worker of gunicorn: what `drain_on_signals` looks at."""

    def __init__(self, max_requests: int) -> None:
        self.alive, self.max_requests, self.cfg = True, max_requests, SimpleNamespace(reload=False)

    def handle_exit(self, number: int, frame: object) -> None:
        self.alive = False


class Server:
    """A server of uvicorn."""

    def __init__(self, limit: int | None) -> None:
        self.config = SimpleNamespace(limit_max_requests=limit)
        self.server_state = SimpleNamespace(total_requests=0)

    def handle_exit(self, number: int, frame: object) -> None:
        pass


def leaving_threads() -> int:
    return sum(thread.name == "qrlogin-leaving" for thread in threading.enumerate())


def test_every_application_of_a_worker_that_has_served_its_requests_drains(handlers: None) -> None:
    worker = Worker(max_requests=100)
    signal.signal(signal.SIGTERM, worker.handle_exit)
    qr, other, dropped = blocking(), blocking(), blocking()
    for each in (qr, other, dropped):
        drain_on_signals(each)
    assert leaving_threads() == 3
    assert [qr.draining, other.draining] == [False, False]
    del dropped, each
    eventually(lambda: leaving_threads() == 2)  # the check keeps no application alive
    worker.alive = False
    eventually(lambda: qr.draining and other.draining)
    eventually(lambda: leaving_threads() == 0)


def test_an_async_application_drains_when_its_server_has_served_its_requests(
    handlers: None,
) -> None:
    async def story() -> None:
        server = Server(limit=100)
        signal.signal(signal.SIGTERM, server.handle_exit)
        async with AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
            drain_on_signals(qr)
            begun = await qr.begin()
            waiting = asyncio.ensure_future(qr.wait(begun.device_code, after=begun.version))
            server.server_state.total_requests = 99
            await asyncio.sleep(0.6)
            assert not qr.draining
            server.server_state.total_requests = 100
            assert (await asyncio.wait_for(waiting, END_SECONDS)).version == begun.version
            assert qr.draining

    asyncio.run(story())


def test_a_worker_is_looked_at_many_times_a_second(handlers: None) -> None:
    """gunicorn's worker for gevent looks once a second whether its connections have ended: its
    waits must have ended by then, or it stays for another second.
    """

    class Watched(Worker):
        looks = 0

        @property
        def alive(self) -> bool:
            self.looks += 1
            return True

        @alive.setter
        def alive(self, _: bool) -> None:
            """It serves for ever."""

    worker, qr = Watched(max_requests=100), blocking()
    signal.signal(signal.SIGTERM, worker.handle_exit)
    drain_on_signals(qr)
    time.sleep(1)
    assert worker.looks > 6
    qr.drain()


@for_each_row("server", [Worker(max_requests=sys.maxsize), Server(limit=None)])
def test_a_worker_that_serves_for_ever_is_not_watched(handlers: None, server: Any) -> None:
    signal.signal(signal.SIGTERM, server.handle_exit)
    before = leaving_threads()  # those of other tests end at their next look
    drain_on_signals(blocking())
    assert leaving_threads() <= before


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
