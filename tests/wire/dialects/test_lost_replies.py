"""Answers that are lost on the way: the server has done what it was asked, and the client does not know, so it asks again.

Real servers of both colours over both stores, and a wire that is cut before the answer gets through. Whatever is lost, at any
step of any dialect, the person is logged in, and one time only.
"""

import urllib.request
from collections.abc import Callable, Iterator

import pytest

from qrlogin.demo.client import Answer, Client, Unreachable
from qrlogin.demo.dialects import DIALECTS
from qrlogin.demo.players import Player
from tests.servers import LOOPBACK
from tests.stores.fault_proxy import Proxy
from tests.wire.dialects.dialect_clients import (
    CLIENTS,
    SPEAKERS,
    TYPED,
    asgi,
    client,
    code_of,
    goes_on,
    wsgi,
)
from tests.wire.sites import Site, awaited, threaded, wsgiref_server

KINDS = ("sync memory", "sync redis", "async memory", "async redis")
PAUSE = 5  # seconds before a client asks again: the interval that RFC 8628 has, and more than the others wait
ALWAYS, NEVER = (lambda step: True), (lambda step: False)


@pytest.fixture(scope="module", params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    redis_url = request.getfixturevalue("redis_url") if "redis" in request.param else None
    blocking = request.param.startswith("sync")
    with (
        threaded(wsgi, wsgiref_server, redis_url, TYPED)
        if blocking
        else awaited(asgi, redis_url, TYPED) as running
    ):
        yield running


@pytest.fixture(scope="module")
def wire(site: Site) -> Iterator[Proxy]:
    with Proxy(site.port, losable=b" HTTP/1.1\r\n") as proxy:
        yield proxy


class Conversation:
    """A client and a phone, and of which of their requests the answer is lost, counted from 0."""

    def __init__(self, site: Site, wire: Proxy, name: str, lost: Callable[[int], bool]) -> None:
        self.site, self.wire, self.lost, self.steps = site, wire, lost, 0
        self.player = client(name)
        self.player.client = Patient(self)
        self.phone, self.code = Patient(self, bearer="phone-of-alice"), ""
        self._before = len(site.application.log_ins)

    @property
    def replayed(self) -> list[bool]:
        """Of each time that the application was told to log somebody in: whether it was for an answer given again."""
        mine = self.site.application.log_ins[self._before :]
        assert {(each.subject, each.login_id) for each in mine} <= {
            (each.subject, mine[0].login_id) for each in mine[:1]
        }
        return [each.replayed for each in mine]

    @property
    def subject(self) -> str | None:
        """Whom the client is logged in as, by what it got: a token or a session."""
        held = self.player.client.bearer or self.player.client.cookie("session")
        return self.site.application.subject_of.get(held)

    def decide(self, verb: str) -> None:
        """From the beginning to the client's knowing what the phone decided."""
        shown = self.player.begin()
        self.code = shown or code_of(self.player, shown)
        assert self.act("scan") == "scanned"
        assert self.player.look() == self.player.scanned
        assert self.act(verb) == {"confirm": "confirmed", "deny": "denied"}[verb]
        assert self.player.look() == (
            self.player.approved if verb == "confirm" else self.player.denied
        )

    def act(self, verb: str) -> str:
        return str(self.phone.post(f"/qr/phone/{verb}", {"code": self.code}).json.get("state"))


class Patient(Client):
    """Asks the same again, after a pause, when no answer came."""

    def __init__(self, conversation: Conversation, bearer: str = "") -> None:
        super().__init__(
            f"http://{LOOPBACK}:{conversation.wire.port}",
            agent="a client that asks again",
            bearer=bearer,
        )
        self._conversation = conversation

    def _ask(self, request: urllib.request.Request) -> Answer:
        conversation, wire = self._conversation, self._conversation.wire
        step, conversation.steps = conversation.steps, conversation.steps + 1
        if conversation.lost(step):
            before, wire.losing = wire.lost, 1
            with pytest.raises(Unreachable):
                super()._ask(request)
            assert (wire.lost, wire.losing) == (before + 1, 0), (
                "the server answered, and nobody heard it"
            )
            conversation.site.clock.advance(PAUSE)
        return super()._ask(request)


def collect(player: Player) -> None:
    """What logs in, once more."""
    player.go_on() if goes_on(player) else player.look()


def test_every_dialect_is_here() -> None:
    assert SPEAKERS.keys() == {"native", *DIALECTS}
    assert SPEAKERS.keys() <= CLIENTS.keys()


@pytest.mark.parametrize("name", CLIENTS)
def test_every_answer_is_lost_once(site: Site, wire: Proxy, name: str) -> None:
    told = Conversation(site, wire, name, ALWAYS)
    told.decide("confirm")
    told.player.go_on()
    assert told.replayed == [False, True]
    assert told.subject == "1"

    told.lost = NEVER
    site.clock.advance(151)  # beyond the time in which an answer is given again
    collect(told.player)
    assert told.replayed == [False, True]
    assert told.player.look() not in (told.player.approved, told.player.scanned)
    assert told.act("confirm") == "redeemed"
    assert told.replayed == [False, True]


@pytest.mark.parametrize("site", ["sync memory", "async redis"], indirect=True)
@pytest.mark.parametrize("name", CLIENTS)
def test_one_answer_is_lost(site: Site, wire: Proxy, name: str) -> None:
    last, step = Conversation(site, wire, name, NEVER), 0
    last.decide("confirm")
    last.player.go_on()
    assert last.replayed == [False]
    while step < last.steps:
        told = Conversation(site, wire, name, step.__eq__)
        told.decide("confirm")
        told.player.go_on()
        assert told.replayed == [False, True][: 2 if step == last.steps - 1 else 1], step
        assert told.subject == "1"
        step += 1
    assert step >= 6 - (not goes_on(last.player))


@pytest.mark.parametrize("name", CLIENTS)
def test_a_refusal_is_heard_though_every_answer_is_lost(site: Site, wire: Proxy, name: str) -> None:
    told = Conversation(site, wire, name, ALWAYS)
    told.decide("deny")
    collect(told.player)
    assert (told.replayed, told.subject) == ([], None)
