"""A browser and a phone at different processes, which share only a Redis, complete a login in every
dialect and both colours.

Each answer names the process that sent it.
"""

import os
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import pytest
import redis

from qrlogin.demo.client import Answer, Client
from tests.servers import LOOPBACK, RedisServer, redis_binary
from tests.wire.clock import PATIENCE_SECONDS, eventually
from tests.wire.dialects.dialect_clients import CLIENTS, NativeClient, client, code_of
from tests.wire.dialects.worker import HOLD

HAS_SCANNER = ("native", "wechat", "wechat_open")
#: What a held poll returns once the phone has released the login.
RELEASED = {"native": "pending", "wechat": "408", "wechat_open": "403"}


class Process:
    """A worker process. It chooses its port."""

    def __init__(self, colour: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.wire.dialects.worker", colour, *arguments]
        path = {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._running = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **path}
        )
        self.url, self.pid = "", str(self._running.pid)

    def __enter__(self) -> Self:
        return self

    def ready(self) -> None:
        assert self._running.stdout is not None
        self.url = f"http://{LOOPBACK}:{int(self._running.stdout.readline())}"

    def __exit__(self, *_: object) -> None:
        try:
            self._running.communicate(timeout=PATIENCE_SECONDS)  # closes its input, which ends it
        except subprocess.TimeoutExpired:
            self._running.kill()
            raise


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes with one public address, and the Redis that holds the logins of both."""

    of_browsers: Process
    of_phones: Process
    redis: "redis.Redis"

    def subscribed_channels(self) -> int:
        """How many channels of the Redis have a subscriber."""
        return len(self.redis.pubsub_channels())


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    """One of each colour."""
    with RedisServer(redis_binary()) as server, redis.Redis.from_url(server.url) as own:
        arguments = f"http://{LOOPBACK}", server.url, f"test-{uuid.uuid4().hex}:"
        with Process("sync", *arguments) as blocking, Process("async", *arguments) as awaited:
            blocking.ready()
            awaited.ready()
            yield Pair(blocking, awaited, own)


@pytest.fixture(params=["sync and async", "async and sync"])
def pair(both: Pair, request: pytest.FixtureRequest) -> Pair:
    there_and_back = request.param == "sync and async"
    return both if there_and_back else Pair(both.of_phones, both.of_browsers, both.redis)


class RecordingClient(Client):
    """Records which process answered each request."""

    def __init__(self, url: str, bearer: str = "") -> None:
        super().__init__(url, agent="Browser/1.0", bearer=bearer)
        self.answers: list[tuple[str, str]] = []  # (path, pid)

    def _ask(self, request: urllib.request.Request) -> Answer:
        answer = super()._ask(request)
        self.answers.append((request.selector.partition("?")[0], answer.headers["server-pid"]))
        return answer


class Login:
    """A browser at one process, and a phone at the other that has the code."""

    def __init__(self, pair: Pair, name: str) -> None:
        self.pair, self.player = pair, client(name)
        self.player.client = self.browser = RecordingClient(pair.of_browsers.url)
        self.phone = RecordingClient(pair.of_phones.url, bearer="phone-of-alice")
        shown = self.player.begin()
        self.code = shown or code_of(self.player, shown)

    def act(self, verb: str) -> str:
        return str(self.phone.post(f"/qr/phone/{verb}", {"code": self.code}).json.get("state"))

    def check_processes(self) -> None:
        """Fail unless one process answered every request of the browser and the other every one of
        the phone.
        """
        assert {path for path, _ in self.phone.answers} >= {"/qr/phone/scan"}
        assert len(self.browser.answers) > 2
        assert {pid for _, pid in self.browser.answers} == {self.pair.of_browsers.pid}
        assert {pid for _, pid in self.phone.answers} == {self.pair.of_phones.pid}
        assert self.pair.of_browsers.pid != self.pair.of_phones.pid


@pytest.mark.parametrize("name", CLIENTS)
def test_an_approval_in_one_process_logs_in_at_the_other(pair: Pair, name: str) -> None:
    login = Login(pair, name)
    assert login.act("scan") == "scanned"
    assert login.player.look() == login.player.scanned
    assert login.act("confirm") == "confirmed"
    assert login.player.look() == login.player.approved
    login.player.go_on()
    assert login.browser.bearer or login.browser.cookie("session")
    assert login.act("confirm") == "redeemed"
    login.check_processes()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_denial_in_one_process_is_seen_in_the_other(pair: Pair, name: str) -> None:
    login = Login(pair, name)
    login.act("scan")
    login.player.look()
    assert login.act("deny") == "denied"
    assert login.player.look() == login.player.denied
    assert login.browser.bearer == login.browser.cookie("session") == ""
    login.check_processes()


@pytest.mark.parametrize("name", HAS_SCANNER)
def test_a_held_poll_in_one_process_is_notified_by_the_other(pair: Pair, name: str) -> None:
    login = Login(pair, name)
    if isinstance(login.player, NativeClient):
        login.player.wait = int(HOLD)
    with ThreadPoolExecutor(1) as waiting:

        def act_and_check_poll(verb: str, word: str) -> None:
            held = waiting.submit(login.player.look)
            eventually(lambda: pair.subscribed_channels() > 0)
            login.act(verb)
            # The patience is shorter than the hold.
            assert held.result(PATIENCE_SECONDS) == word, "the poll was not notified"

        act_and_check_poll("scan", login.player.scanned)
        act_and_check_poll("release", RELEASED[name])
        act_and_check_poll("scan", login.player.scanned)
        act_and_check_poll("confirm", login.player.approved)
    login.player.go_on()
    assert login.browser.cookie("session")
    login.check_processes()
