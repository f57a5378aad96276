"""A dropped stream can be garbage collected in any thread, at any line, under any lock of ours."""

import gc
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import qrlogin.login
import qrlogin.stores.listeners
import qrlogin.stores.memory
import qrlogin.wire.disconnects
from qrlogin import MemoryStore, QRLogin
from qrlogin.login import Watch
from qrlogin.stores.suite.colours import PATIENCE
from qrlogin.wire.disconnects import DisconnectMonitor
from tests.application import KEY, URI

OURS = {
    module.__file__
    for module in (
        qrlogin.stores.listeners,
        qrlogin.stores.memory,
        qrlogin.login,
        qrlogin.wire.disconnects,
    )
}
LINES = 300  # more than the functions of a wait have


def test_a_stream_can_be_garbage_collected_at_every_line_of_a_wait() -> None:
    store = MemoryStore()
    qr, monitor = QRLogin(store, secret_keys=[KEY], verification_uri=URI), DisconnectMonitor()

    def stream() -> Iterator[None]:
        device = qr.core.read_device_code(qr.begin().device_code)
        with Watch(qr, device) as watch, monitor.watching(watch.end, lambda: False):
            yield

    lines = set[tuple[str, int]]()
    dropped: list[Any] = [stream() for _ in range(LINES)]
    assert [next(each) for each in dropped] == [None] * LINES

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in OURS:
            return None
        if (line := (frame.f_code.co_filename, frame.f_lineno)) not in lines:
            lines.add(line)
            cycle = [dropped.pop()]
            cycle.append(cycle)
            del cycle
            gc.collect(0)  # closes the stream here and now
        return trace

    def wait() -> None:
        device = qr.core.read_device_code(qr.begin().device_code)
        sys.settrace(trace)
        with (
            Watch(qr, device) as older,
            monitor.watching(older.end, lambda: False),
            Watch(qr, device) as newer,
        ):
            store._listeners.notify(newer.wait(after=None, timeout=0).login_id)
            store._listeners.notify_all()
        qr.drain()
        sys.settrace(None)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the thread waits for a lock that it holds"
    assert {file for file, _ in lines} == OURS
    dropped.clear()
    assert (len(store._listeners), len(qr._watches), len(monitor._watched)) == (0, 0, 0)
