"""RFC 8628 with many users at once, a guesser, lost replies and a change of keys loses no login."""

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


def test_fifty_users_behind_one_address_log_in_while_a_guesser_is_blocked(world: World) -> None:
    elsewhere, guesser = world.another(), Person("guesser", "G")

    def log_in(i: int) -> str:
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

    users = [lambda i=i: log_in(i) for i in range(50)]
    guesses = [lambda i=i: guess(i) for i in range(50)]
    results = world.at_once([call for pair in zip(users, guesses, strict=True) for call in pair])
    assert [each for each in results if isinstance(each, str)] == [f"person {i}" for i in range(50)]
    assert Counter(each for each in results if isinstance(each, int)) == {404: 5, 429: 45}


def test_without_budget_a_right_code_gets_the_answer_of_a_wrong_one(world: World) -> None:
    """So a guesser without budget does not learn which codes exist."""
    device = Device(world)
    device.begin()
    for _ in range(5):
        assert world.phone("scan", "BCDF-GHJK").status == 404
    right, wrong = world.phone("scan", device.user_code), world.phone("scan", "BCDF-GHJK")
    assert (right.status, right.body, right.headers) == (429, wrong.body, wrong.headers)
    assert error(device.poll()) == "authorization_pending"


def test_a_code_under_an_older_key_is_still_found(world: World) -> None:
    """Two deployments: [old] → [old, new] → [new, old]. A code of each is typed at the others."""
    old, both, turned = world, world.another(KEY, OTHER_KEY), world.another(OTHER_KEY, KEY)
    for first, later in ((old, both), (both, old), (both, turned), (turned, both), (old, turned)):
        device = Device(first)
        device.begin()
        for verb in ("scan", "release", "scan", "confirm"):
            assert later.phone(verb, device.user_code, Person(f"at {id(later)}", "S")).status == 200
        assert device.poll(later).redeemed is not None
    stranger = Device(world.another(OTHER_KEY))
    stranger.begin()
    assert old.phone("scan", stranger.user_code).status == 404
    assert error(stranger.poll(old)) == "invalid_grant"


# Lost replies


class Lossy:
    """A store that loses the reply to the `loses`-th command, or, without `loses`, carries out each
    command twice.
    """

    def __init__(self, inner: Any, *, loses: int = 0) -> None:
        self.inner, self.loses, self.count = inner, loses, 0

    def apply(self, command: Command) -> Reply:
        reply: Reply = self.inner.apply(command)
        self.lose_or_count()
        return reply if self.loses else self.inner.apply(command)

    def lose_or_count(self) -> None:
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
        self.lose_or_count()
        return reply if self.loses else await self.inner.apply(command)


class RetriedLogin:
    """A login whose device and phone repeat a request that was temporarily unavailable."""

    def __init__(self, world: World, person: Person = ALICE) -> None:
        self.world, self.person, self.lost, self.first_poll = world, person, 0, ""

    def retry(self, ask: Callable[[], Response]) -> Response:
        for _ in range(2):
            answer = ask()
            if answer.status != 503:
                return answer
            self.lost += 1
        raise AssertionError("two answers were lost")

    def complete(self) -> tuple[Device, Response]:
        device = Device(self.world)
        device.begun = read(
            self.retry(lambda: self.world.post("device_authorization", "client_id=tv"))
        )
        self.first_poll = error(self.retry(device.poll))
        for verb in ("scan", "release", "scan", "confirm"):
            assert (
                self.retry(partial(self.world.phone, verb, device.user_code, self.person)).status
                == 200
            )
        return device, self.retry(device.poll)


def _wrapped(request: pytest.FixtureRequest, **options: int) -> Iterator[World]:
    lossy = AsyncLossy if request.param.endswith("async") else Lossy
    yield from opened(request, wrap=lambda inner: lossy(inner, **options))


@pytest.fixture(params=KINDS)
def doubled(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from _wrapped(request)


@pytest.fixture(params=KINDS)
def lossy(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from _wrapped(request, loses=-1)


def test_a_resent_command_neither_slows_nor_counts_nor_redeems_twice(doubled: World) -> None:
    """A Redis client resends a command whose reply was lost."""
    for _ in range(3):
        login = RetriedLogin(doubled)
        device, answer = login.complete()
        assert login.first_poll == "authorization_pending"
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
        login = RetriedLogin(lossy, Person(f"person {steps}", "P"))
        _, answer = login.complete()
        assert answer.redeemed is not None
        assert answer.redeemed.subject == f"person {steps}"
        # slow_down if the answer to the first poll was lost.
        assert login.first_poll in ("authorization_pending", "slow_down")
        if not login.lost:
            break
        assert login.lost == 1
    # Limit, name and begin; poll; two scans of five commands; two decisions of three; poll; no
    # loss.
    assert steps == 3 + 1 + 2 * 5 + 2 * 3 + 1 + 1


def test_a_repeated_token_request_gets_the_same_tokens_in_the_replay_window(world: World) -> None:
    """The application keeps the tokens by login_id. Another process answers the same."""
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
    world.clock.advance(0.001)  # 150 seconds after the first
    assert error(device.poll()) == "invalid_grant"


def test_polls_at_the_same_time_get_the_same_tokens(world: World) -> None:
    """R1: one login is redeemed once, however many polls find it confirmed at the same time."""
    device = Device(world)
    device.begin()
    device.approve()
    tokens = Tokens()
    answers = world.at_once([device.poll] * 20)
    assert len({tokens.of(answer) for answer in answers}) == tokens.issued == 1
    assert [answer.redeemed.replayed for answer in answers if answer.redeemed].count(False) == 1


class Tokens:
    """The tokens of an application: one for each login_id."""

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
