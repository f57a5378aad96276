"""A lost answer at any step of any dialect loses no login and doubles none.

The servers are real, of both colours over both stores. A proxy cuts the connection after the server
has carried out the request, and the client sends the same request again.
"""

import urllib.request
from collections.abc import Callable, Iterator

import pytest

from qrlogin.demo.client import Answer, Client, Unreachable
from qrlogin.demo.dialects import DIALECTS
from qrlogin.demo.players import Player
from tests.security_rows import row
from tests.servers import LOOPBACK
from tests.stores.fault_proxy import Proxy
from tests.tables import in_matrix
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

#: `make test` has each colour and each store once.
KINDS = ["sync memory", "async redis", *in_matrix(["sync redis", "async memory"])]
PAUSE = 5  # seconds before a client repeats a request: the interval of RFC 8628
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
    """A client and a phone. `lost` decides for each request whether its answer is lost."""

    def __init__(self, site: Site, wire: Proxy, name: str, lost: Callable[[int], bool]) -> None:
        self.site, self.wire, self.lost, self.steps = site, wire, lost, 0
        self.player = client(name)
        self.player.client = RetryingClient(self)
        self.phone, self.code = RetryingClient(self, bearer="phone-of-alice"), ""
        self._before = len(site.application.log_ins)

    @property
    def replayed(self) -> list[bool]:
        """For each `redeemed` that the application received: whether it was a replay."""
        mine = self.site.application.log_ins[self._before :]
        assert {(each.subject, each.login_id) for each in mine} <= {
            (each.subject, mine[0].login_id) for each in mine[:1]
        }
        return [each.replayed for each in mine]

    @property
    def subject(self) -> str | None:
        """The subject of the token or the session that the client holds."""
        held = self.player.client.bearer or self.player.client.cookie("session")
        return self.site.application.subject_of.get(held)

    def decide(self, verb: str) -> None:
        """Begin, scan, decide, and poll until the client has the decision."""
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


class RetryingClient(Client):
    """Repeats a request after a pause if its answer was lost."""

    def __init__(self, conversation: Conversation, bearer: str = "") -> None:
        super().__init__(
            f"http://{LOOPBACK}:{conversation.wire.port}",
            agent="a client that repeats",
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
            assert (wire.lost, wire.losing) == (before + 1, 0), "the server sent no answer"
            conversation.site.clock.advance(PAUSE)
        return super()._ask(request)


def collect(player: Player) -> None:
    """Send the request that logs in once more."""
    player.go_on() if goes_on(player) else player.look()


def test_every_dialect_of_the_demo_has_a_client() -> None:
    assert SPEAKERS.keys() == {"native", *DIALECTS}
    assert SPEAKERS.keys() <= CLIENTS.keys()


@row(53)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_loses_every_answer_once_logs_in_once(
    site: Site, wire: Proxy, name: str
) -> None:
    conversation = Conversation(site, wire, name, ALWAYS)
    conversation.decide("confirm")
    conversation.player.go_on()
    assert conversation.replayed == [False, True]
    assert conversation.subject == "1"

    conversation.lost = NEVER
    site.clock.advance(151)  # after the replay window
    collect(conversation.player)
    assert conversation.replayed == [False, True]
    assert conversation.player.look() not in (
        conversation.player.approved,
        conversation.player.scanned,
    )
    assert conversation.act("confirm") == "redeemed"
    assert conversation.replayed == [False, True]


@pytest.mark.parametrize("site", ["sync memory", "async redis"], indirect=True)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_loses_any_one_answer_logs_in_once(
    site: Site, wire: Proxy, name: str
) -> None:
    last, step = Conversation(site, wire, name, NEVER), 0
    last.decide("confirm")
    last.player.go_on()
    assert last.replayed == [False]
    while step < last.steps:
        conversation = Conversation(site, wire, name, step.__eq__)
        conversation.decide("confirm")
        conversation.player.go_on()
        assert conversation.replayed == [False, True][: 2 if step == last.steps - 1 else 1], step
        assert conversation.subject == "1"
        step += 1
    assert step >= 6 - (not goes_on(last.player))


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_loses_every_answer_once_gets_the_denial(
    site: Site, wire: Proxy, name: str
) -> None:
    conversation = Conversation(site, wire, name, ALWAYS)
    conversation.decide("deny")
    collect(conversation.player)
    assert (conversation.replayed, conversation.subject) == ([], None)
