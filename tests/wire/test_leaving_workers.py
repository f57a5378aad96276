"""A server replaces a worker while browsers wait there: after so many requests, or to reload.

Such a worker takes no new connection until its held requests have ended, so phones wait for them.
Every held request ends early, and no request is refused or cut off.
"""

import json
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.wire.clock import eventually
from tests.wire.stopped_servers import Running, running

POLLS, STREAMS = 20, 4
WAITING = POLLS + STREAMS
LIMIT = 3 * WAITING
#: A held request ends after 25 seconds at the latest, so a worker that waits for one takes longer.
END_SECONDS = 18
_THREADS, _GEVENT = "gunicorn, 256 threads", "gunicorn, gevent"
_UVICORN_WORKER = "gunicorn, uvicorn worker"
_WATCHED = ("--reload", "--reload-engine", "poll", "--reload-extra-file", "{folder}/watched")
_LIMITED = ("--max-requests", str(LIMIT))


#: Lets a server replace a worker. Returns how long the slowest request took meanwhile, in seconds.
Replace = Callable[[Running, Path], float]


def _reload(server: Running, folder: Path) -> float:
    eventually(lambda: server.held(server.workers) == WAITING)
    server.process.send_signal(signal.SIGHUP)
    return 0.0


def _change(server: Running, folder: Path) -> float:
    """Change a file of the application, and send requests until another worker answers."""
    eventually(lambda: server.held(server.workers) == WAITING)
    (folder / "watched").write_text("changed")
    return _use_up(server, folder)


def _use_up(server: Running, folder: Path) -> float:
    """Send requests until a worker is replaced. Returns how long the slowest took, in seconds."""
    workers, longest = set[object](), 0.0
    while len(workers) <= server.workers:
        asked = time.monotonic()
        workers.add(server.ask("/held")["pid"])
        longest = max(longest, time.monotonic() - asked)
    return longest


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("name", "options", "how"),
    [
        (_THREADS, _LIMITED, _use_up),
        (_GEVENT, _LIMITED, _use_up),
        (_UVICORN_WORKER, _LIMITED, _use_up),
        ("uvicorn, 2 workers", ("--limit-max-requests", str(LIMIT)), _use_up),
        (_THREADS, _WATCHED, _change),
        (_THREADS, (), _reload),
        (_GEVENT, (), _reload),
        (_UVICORN_WORKER, (), _reload),
    ],
)
def test_a_worker_that_is_replaced_answers_its_waiting_browsers_and_delays_no_phone(
    name: str, options: Sequence[str], how: Replace, tmp_path: Path, redis_url: str
) -> None:
    (tmp_path / "watched").touch()
    with running(name, tmp_path, store=redis_url, drain=True, options=options) as server:
        # uvicorn that leaves may close a connection whose request it has not read.
        server.asks_again = "uvicorn" in name
        server.begin(*["poll"] * POLLS, *["stream"] * STREAMS)
        server.hold()
        longest = how(server, tmp_path)
        for _, begun in server.begun:
            asked = time.monotonic()
            code = json.dumps({"code": begun["verification_uri_complete"]}).encode()
            scanned = server.ask("/phone/scan", code, bearer=str(begun["login_id"]))
            longest = max(longest, time.monotonic() - asked)
            assert scanned["state"] == "scanned"
        for kind, heard in server.heard():
            head, _, body = heard.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b'"state":"' in body
            assert json.loads(body) if kind == "poll" else body.endswith(b"\r\n0\r\n\r\n")
        print(f"{name}, {how.__name__}: the longest request took {longest:.2f} s")
        assert longest < END_SECONDS
        for _, begun in server.begun:
            path, bearer = f"/qr/{begun['login_id']}", str(begun["device_code"])
            assert server.ask(path, bearer=bearer)["state"] == "scanned"
