"""RFC 8628 among people: many behind one address, one who guesses, replies that are lost, keys that change."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from qrlogin import Unavailable
from qrlogin.step import Command, Reply
from qrlogin.wire import Person, Response
from tests.wire.dialects.rfc8628_server import (
    ALICE,
    KEY,
    KINDS,
    OTHER_KEY,
    Device,
    World,
    error,
    opened,
    read,
)


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from opened(request)


def test_fifty_people_behind_one_address_log_in_while_a_guesser_is_blocked(world: World) -> None:
    elsewhere, guesser = world.another(), Person("guesser", "G")

    def live(i: int) -> str:
        server = (world, elsewhere)[i % 2]
        device = Device(server)
        device.begin()
        assert error(device.poll()) == "authorization_pending"
        person = Person(f"person {i}", f"P{i}")
        for verb in ("scan", "confirm"):
            assert (
                server.phone(verb, device.user_code.lower().replace("-", " "), person).status == 200
            )
        redeemed = device.poll().redeemed
        assert redeemed is not None
        return redeemed.subject

    def guess(i: int) -> int:
        return (
            (world, elsewhere)[i % 2]
            .phone(("scan", "confirm")[i % 2], f"BCDF-GHJ{'KLMNPQRST'[i % 9]}", guesser)
            .status
        )

    people = [lambda i=i: live(i) for i in range(50)]
    guesses = [lambda i=i: guess(i) for i in range(50)]
    told = world.at_once([call for pair in zip(people, guesses, strict=True) for call in pair])
    assert [one for one in told if isinstance(one, str)] == [f"person {i}" for i in range(50)]
    assert Counter(one for one in told if isinstance(one, int)) == {404: 5, 429: 45}


def test_without_budget_a_right_code_is_refused_like_a_wrong_one(world: World) -> None:
    """The answer is the same, so a blocked guesser does not learn which codes there are; the next window brings five more."""
    device = Device(world)
    device.begin()
    for _ in range(5):
        assert world.phone("scan", "BCDF-GHJK").status == 404
    right, wrong = world.phone("scan", device.user_code), world.phone("scan", "BCDF-GHJK")
    assert (right.status, right.body, right.headers) == (429, wrong.body, wrong.headers)
    assert error(device.poll()) == "authorization_pending"


def test_a_code_under_an_older_key_is_still_found(world: World) -> None:
    """Two deployments: [old] → [old, new] → [new, old]; the codes of each are typed at all the others."""
    old, both, turned = world, world.another(KEY, OTHER_KEY), world.another(OTHER_KEY, KEY)
    for first, later in ((old, both), (both, old), (both, turned), (turned, both), (old, turned)):
        device = Device(first)
        device.begin()
        for verb in ("scan", "release", "scan", "confirm"):
            assert (
                later.phone(verb, device.user_code, Person(f"somebody at {id(later)}", "S")).status
                == 200
            )
        assert device.poll(later).redeemed is not None
    stranger = Device(world.another(OTHER_KEY))
    stranger.begin()
    assert old.phone("scan", stranger.user_code).status == 404
    assert error(stranger.poll(old)) == "invalid_grant"


# Replies that are lost


class Lossy:
    """A store whose answers get lost: the `loses`-th command is carried out, and nobody hears of it. Or: each is sent twice."""

    def __init__(self, inner: Any, *, loses: int = 0) -> None:
        self.inner, self.loses, self.count = inner, loses, 0

    def apply(self, command: Command) -> Reply:
        reply: Reply = self.inner.apply(command)
        self.arrived()
        return reply if self.loses else self.inner.apply(command)

    def arrived(self) -> None:
        self.count += 1
        if self.count == self.loses:
            raise Unavailable

    def listen(self, login_id: str) -> Any:
        return self.inner.listen(login_id)

    def close(self) -> Any:
        return self.inner.close()


class AsyncLossy(Lossy):
    async def apply(self, command: Command) -> Reply:  # type: ignore[override]
        reply: Reply = await self.inner.apply(command)
        self.arrived()
        return reply if self.loses else await self.inner.apply(command)


class Story:
    """A login whose two sides ask again whenever they were told "temporarily unavailable", as their clients do."""

    def __init__(self, world: World, person: Person = ALICE) -> None:
        self.world, self.person, self.unheard, self.first_poll = world, person, 0, ""

    def insist(self, ask: Callable[[], Response]) -> Response:
        for _ in range(2):
            answer = ask()
            if answer.status != 503:
                return answer
            self.unheard += 1
        raise AssertionError("it was told so twice")

    def live(self) -> tuple[Device, Response]:
        device = Device(self.world)
        device.told = read(
            self.insist(lambda: self.world.post("device_authorization", "client_id=tv"))
        )
        self.first_poll = error(self.insist(device.poll))
        for verb in ("scan", "release", "scan", "confirm"):
            assert (
                self.insist(partial(self.world.phone, verb, device.user_code, self.person)).status
                == 200
            )
        return device, self.insist(device.poll)


def _wrapped(request: pytest.FixtureRequest, **options: int) -> Iterator[World]:
    lossy = AsyncLossy if request.param.endswith("async") else Lossy
    yield from opened(request, wrap=lambda inner: lossy(inner, **options))


@pytest.fixture(params=KINDS)
def doubled(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from _wrapped(request)


@pytest.fixture(params=KINDS)
def lossy(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from _wrapped(request, loses=-1)


def test_every_command_may_be_sent_twice(doubled: World) -> None:
    """As a Redis client does whose reply was lost: nothing is slowed, nothing costs two guesses, nothing is redeemed twice."""
    for _ in range(3):
        story = Story(doubled)
        device, answer = story.live()
        assert story.first_poll == "authorization_pending"
        assert answer.redeemed is not None
        assert not answer.redeemed.replayed
        doubled.clock.advance(151)
        assert error(device.poll()) == "invalid_grant"
    assert [doubled.phone("scan", "BCDF-GHJK").status for _ in range(6)] == [404] * 5 + [429]


def test_an_answer_that_is_lost_at_any_step_loses_no_login(lossy: World) -> None:
    store: Any = lossy.store
    while hasattr(store, "awaited"):  # the proxy that makes an awaited store block
        store = store.awaited
    steps = 0
    while True:
        steps += 1
        store.count, store.loses = 0, steps
        story = Story(lossy, Person(f"person {steps}", "P"))
        _, answer = story.live()
        assert answer.redeemed is not None
        assert answer.redeemed.subject == f"person {steps}"
        assert story.first_poll in (
            "authorization_pending",
            "slow_down",
        )  # the second when only the first was not heard of
        if not story.unheard:
            break
        assert story.unheard == 1
    assert (
        steps == 2 + 1 + 2 * 4 + 2 * 2 + 1 + 1
    )  # name and begin; poll; two scans, each paid for, looked up and given back; two decisions, looked up; poll; none lost


def test_a_token_answer_that_is_lost_is_given_again_and_marked(world: World) -> None:
    """The application issues the same tokens for the same login_id then; a third process answers alike."""
    device = Device(world)
    device.begin()
    device.approve()
    elsewhere, tokens = world.another(), Tokens()
    first = tokens.of(device.poll())
    world.clock.advance(5)
    second = tokens.of(device.poll(elsewhere))
    world.clock.advance(144.999)
    third = tokens.of(device.poll())
    assert first == second == third
    assert tokens.issued == 1
    world.clock.advance(0.001)  # two and a half minutes after the first
    assert error(device.poll()) == "invalid_grant"


def test_polls_at_the_same_time_get_the_same_tokens(world: World) -> None:
    """R1: one login is one yield, however many polls find it approved at once."""
    device = Device(world)
    device.begin()
    device.approve()
    tokens = Tokens()
    answers = world.at_once([device.poll] * 20)
    assert len({tokens.of(answer) for answer in answers}) == tokens.issued == 1
    assert [answer.redeemed.replayed for answer in answers if answer.redeemed].count(False) == 1


class Tokens:
    """What an application keeps: one token for each login_id."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self.issued = 0

    def of(self, answer: Response) -> str:
        assert answer.redeemed is not None, answer.body
        if answer.redeemed.login_id not in self._of:
            self.issued += 1
            self._of[answer.redeemed.login_id] = f"token {self.issued}"
        issued = answer.with_json(
            {"access_token": self._of[answer.redeemed.login_id], "token_type": "Bearer"}
        )
        return str(read(issued)["access_token"])
