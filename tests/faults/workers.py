"""Real servers whose workers are killed, reloaded and replaced while people log in over HTTP.

A browser whose connection is reset sends the request again, as the element does, and reaches
another worker.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx2
import redis

from qrlogin.clock import monotonic
from tests.examples.running import FASTAPI, FLASK, Example, Running
from tests.examples.story import Desk, Phone
from tests.examples.test_two_workers import ASGI, WSGI
from tests.examples.visitors import OfExamples, Visitor
from tests.faults.crowd import PATIENCE
from tests.faults.nemesis import Nemesis, Strike
from tests.faults.rows import Row

_GUNICORN = "gunicorn --bind 127.0.0.1:{port} --workers 2 --threads 16 "
#: By name: the example, its command, and whether its workers are killed ("kill"), replaced by
#: SIGHUP ("reload"), or end by themselves ("").
SERVERS: Final[Mapping[str, tuple[Example, str, str]]] = {
    "gunicorn": (FLASK, _GUNICORN + "with_pid:app", "kill"),
    "gunicorn --preload": (FLASK, _GUNICORN + "--preload with_pid:app", "kill"),
    "gunicorn --max-requests": (
        FLASK,
        _GUNICORN + "--max-requests 60 --max-requests-jitter 20 with_pid:app",
        "",
    ),
    "gunicorn, reloaded": (FLASK, _GUNICORN + "with_pid:app", "reload"),
    "uvicorn": (FASTAPI, "uvicorn --port {port} --workers 2 with_pid:app", "kill"),
}
LANES: Final = 4
HOLD: Final = 5  # seconds of one poll


class Unlimited(Running):
    """An example without `Policy.limits`: everyone comes from one address here. Its answers carry
    the process id of the worker.
    """

    def prepare(self) -> None:
        super().prepare()
        settings = self.folder / "settings.py"
        before, asked, after = settings.read_text("utf-8").rpartition("policy=STANDARD")
        assert asked, "the settings name no policy"
        unlimited = 'policy=__import__("dataclasses").replace(STANDARD, limits=None)'
        settings.write_text(before + unlimited + after, "utf-8")
        bare = ASGI if self.example.is_asgi else WSGI
        Path(self.folder, "with_pid.py").write_text(bare.format(module="app", name="app"))

    def await_two(self, *ended: int) -> None:
        """Return once two workers answer, and none of these."""
        seen, until = set[int](), monotonic() + PATIENCE
        with Visitor(self.origin) as visitor:
            visitor.http.timeout = 5
            while len(seen) < 2 and monotonic() < until:
                with suppress(httpx2.TransportError):
                    seen.add(int(visitor.http.get("/login").headers["server-pid"]))
                seen -= {*ended}


def workers_of(server: Running) -> list[int]:
    """The process ids of its workers."""
    assert server.process is not None
    main = server.process.pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    found = list[int]()
    for child in children:
        with suppress(OSError):
            # Python's multiprocessing starts a process that is no worker.
            if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


def strikes_at(server: Unlimited, how: str) -> Strike:
    """Ends one worker, or all of them, and waits until two answer again."""

    def strike(draw: Random) -> None:
        workers = workers_of(server)
        if how == "reload":
            server.stop(signal.SIGHUP)
        else:
            workers = [draw.choice(workers)]
            with suppress(ProcessLookupError):
                os.kill(workers[0], signal.SIGKILL)
        server.await_two(*workers)

    return strike


def play_over_http(
    row: Row, which: str, url: str, *, logins: int, faults: int, seconds: float
) -> Row:
    """Log people in while workers end.

    :param row: where it counts.
    :param which: a name in `SERVERS`.
    :param url: of the Redis that the workers share.
    :param logins: how many at least.
    :param faults: how many workers end at least, unless they end by themselves.
    :param seconds: after which it ends with what it has done.
    """
    example, command, how = SERVERS[which]
    env: dict[str, Any] = {"QRLOGIN_STORE": url, "GUNICORN_CMD_ARGS": "", "UVICORN_PORT": ""}

    with Unlimited(example, start=command, **env) as server:
        server.await_two()
        seen = set(workers_of(server))
        attack = Nemesis(strikes_at(server, how), (0.3, 1.0), row.seed)
        people = _People(row, server)
        until = monotonic() + seconds

        def ended() -> int:
            seen.update(workers_of(server))
            return len(seen) - 2

        with attack if how else nullcontext():
            people.play(lambda: (row.logins >= logins and ended() >= faults) or monotonic() > until)
            row.faults = ended()
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter("qrlogin:*"):
            if client.pttl(key) == -1:
                row.add("untyped", "a key is left that never expires")
    return row


class _People:
    def __init__(self, row: Row, server: Running) -> None:
        self._row, self._server, self._manner = row, server, OfExamples()

    def play(self, is_enough: Callable[[], bool]) -> None:
        with ThreadPoolExecutor(LANES * 4) as threads:

            def lane(number: int) -> None:
                who = f"person{number}"
                # Not counted: it is several requests, with a password that is slow to check.
                phone = self._sent(
                    lambda: self._manner.phone(self._server.origin, who), counts=False
                )
                while not is_enough():
                    self._login(who, Phone(phone.again()), threads)

            for each in [threads.submit(lane, number) for number in range(LANES)]:
                each.result()

    def _login(self, who: str, phone: Phone, threads: ThreadPoolExecutor) -> None:
        desk = Desk(self._sent(lambda: self._manner.browser(self._server.origin)))
        with desk, phone:
            self._sent(desk.begin)
            phone.code = desk.complete

            def approve() -> None:
                for verb in ("scan", "confirm"):
                    answer = self._asked(lambda: phone.send(verb))  # noqa: B023
                    if answer.status_code != 200:
                        self._row.add("lost", f"{verb}: {answer.status_code} {answer.text[:80]}")

            approving = threads.submit(approve)
            state: dict[str, Any] = {"state": "pending"}
            ends = monotonic() + PATIENCE
            while state["state"] in ("pending", "scanned") and monotonic() < ends:
                path = f"{desk.login_id}?after={desk.version}&wait={HOLD}"
                # Not counted: a poll that is sent again may be held again.
                answer = self._asked(lambda: desk.visitor.get(path), counts=False)  # noqa: B023
                state = answer.json()
                if answer.status_code != 200:
                    self._row.add("lost", f"a poll: {answer.status_code} {answer.text[:80]}")
                    break
                desk.version = state["version"]
            approving.result()
            if state.get("state") == "confirmed":
                self._redeem(desk, who, state["scanned_by"]["tag"], threads)
            else:
                self._row.add("lost", f"the browser sees {state.get('state')}")
            self._row.add("logins")

    def _redeem(self, desk: Desk, who: str, tag: str, threads: ThreadPoolExecutor) -> None:
        """Two copies of the page redeem at the same time, each with its own op."""
        copies = [desk.visitor, desk.visitor.again()]
        start = threading.Barrier(len(copies))

        def redeem(at: int) -> httpx2.Response:
            start.wait(PATIENCE)
            op = f"{desk.op}{at}"
            return self._asked(
                lambda: copies[at].post(f"{desk.login_id}/redeem", acknowledged=tag, op=op)
            )

        answers = [*threads.map(redeem, range(len(copies)))]
        won = [at for at, answer in enumerate(answers) if answer.status_code == 200]
        if len(won) > 1:
            self._row.add("doubles", "two pages were logged in")
        if not won:
            self._row.add("lost", f"a redeem: {[each.text[:60] for each in answers]}")
        for at in won:
            if self._sent(lambda: self._manner.who(copies[at])) != who:  # noqa: B023
                self._row.add("wrong_user", f"the page of {who} is logged in as another")
        copies[1].http.close()

    def _asked(
        self, send: Callable[[], httpx2.Response], *, counts: bool = True
    ) -> httpx2.Response:
        """The answer, of whichever worker: it is asked again while it is unavailable.

        :param send: sends the request.
        :param counts: whether the time until it is answered counts as recovery.
        """

        def once() -> httpx2.Response:
            answer = send()
            if answer.status_code == 503:
                raise _Again
            if answer.status_code >= 500:
                self._row.add("untyped", f"{answer.status_code}: {answer.text[:80]}")
                raise _Again
            return answer

        answer: httpx2.Response = self._sent(once, counts=counts)
        return answer

    def _sent(self, call: Callable[[], Any], *, counts: bool = True) -> Any:
        began = monotonic()
        failed = 0.0
        while True:
            try:
                found = call()
            except (httpx2.TransportError, _Again):
                failed = failed or monotonic()
                self._row.add("unavailable")
                if monotonic() > began + PATIENCE:
                    raise
                threading.Event().wait(0.05)
                continue
            if failed and counts:
                self._row.recovered(monotonic() - failed)
            return found


class _Again(Exception):
    """The answer says to ask again."""
