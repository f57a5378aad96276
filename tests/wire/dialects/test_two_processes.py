"""A phone in one process and a browser in another, and between them nothing but one Redis: for every dialect, in both colours.

Every answer says which process gave it.
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
from tests.wire.dialects.dialect_clients import CLIENTS, OfNative, client, code_of
from tests.wire.dialects.worker import HOLD

HAS_SCANNER = ("native", "wechat", "wechat_open")
#: What a held poll is told once the phone has released the login.
RELEASED = {"native": "pending", "wechat": "408", "wechat_open": "403"}


class Process:
    """A worker of its own, at a port that is its choice."""

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
    """Two processes that are known by one address, and the Redis that both keep their logins in."""

    of_browsers: Process
    of_phones: Process
    redis: "redis.Redis"

    def listened_to(self) -> int:
        """How many of its channels somebody listens to."""
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


class Witness(Client):
    """Remembers which process answered what."""

    def __init__(self, url: str, bearer: str = "") -> None:
        super().__init__(url, agent="Browser 1.0", bearer=bearer)
        self.heard: list[tuple[str, str]] = []  # (path, pid)

    def _ask(self, request: urllib.request.Request) -> Answer:
        answer = super()._ask(request)
        self.heard.append((request.selector.partition("?")[0], answer.headers["server-pid"]))
        return answer


class Login:
    """A browser at one process, and a phone at the other that has read its code."""

    def __init__(self, pair: Pair, name: str) -> None:
        self.pair, self.player = pair, client(name)
        self.player.client = self.browser = Witness(pair.of_browsers.url)
        self.phone = Witness(pair.of_phones.url, bearer="phone-of-alice")
        shown = self.player.begin()
        self.code = shown or code_of(self.player, shown)

    def act(self, verb: str) -> str:
        return str(self.phone.post(f"/qr/phone/{verb}", {"code": self.code}).json.get("state"))

    def heard_from_two(self) -> None:
        """Fails unless browser and phone were answered by different processes, each by its own throughout."""
        assert {path for path, _ in self.phone.heard} >= {"/qr/phone/scan"}
        assert len(self.browser.heard) > 2
        assert {pid for _, pid in self.browser.heard} == {self.pair.of_browsers.pid}
        assert {pid for _, pid in self.phone.heard} == {self.pair.of_phones.pid}
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
    login.heard_from_two()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_denial_in_one_process_is_seen_in_the_other(pair: Pair, name: str) -> None:
    login = Login(pair, name)
    login.act("scan")
    login.player.look()
    assert login.act("deny") == "denied"
    assert login.player.look() == login.player.denied
    assert login.browser.bearer == login.browser.cookie("session") == ""
    login.heard_from_two()


@pytest.mark.parametrize("name", HAS_SCANNER)
def test_a_wait_in_one_process_is_woken_by_the_other(pair: Pair, name: str) -> None:
    login = Login(pair, name)
    if isinstance(login.player, OfNative):
        login.player.wait = int(HOLD)
    with ThreadPoolExecutor(1) as waiting:

        def hears(verb: str, word: str) -> None:
            held = waiting.submit(login.player.look)
            eventually(lambda: pair.listened_to() > 0)
            login.act(verb)
            assert held.result(PATIENCE_SECONDS) == word, (
                "it was not woken"
            )  # earlier than the wait ends by itself

        hears("scan", login.player.scanned)
        hears("release", RELEASED[name])
        hears("scan", login.player.scanned)
        hears("confirm", login.player.approved)
    login.player.go_on()
    assert login.browser.cookie("session")
    login.heard_from_two()
