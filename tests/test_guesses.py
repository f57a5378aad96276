"""The budget of guesses at typed codes: of an account, shared by lookup and approval, on every store and in either colour."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import redis

from qrlogin import (
    STANDARD,
    AsyncMemoryStore,
    BadArgument,
    InvalidCode,
    MemoryStore,
    Misconfigured,
    Policy,
    QRLogin,
)
from qrlogin.codes import USER_CODE_LETTERS
from qrlogin.errors import TooFast, TooManyGuesses, UnknownLogin
from qrlogin.operation import Operation
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite.colours import Awaited, Blocking
from qrlogin.table import State
from tests.application import ALICE, BOB, KEY, NOON, OTHER_KEY, URI, Clock

TYPED = replace(STANDARD, user_codes=True)
WRONG = "BCDF-GHJK"
#: One colour over memory and the other over Redis: the suites of the stores prove all four.
KINDS = ("memory sync", "redis async")


@dataclass
class World:
    """One application over a store of some kind; `desk` blocks whatever the store's colour."""

    kind: str
    url: str
    clock: Clock
    prefix: str

    def __post_init__(self) -> None:
        self.colour: Blocking | Awaited = Awaited() if self.kind.endswith("async") else Blocking()
        self._memory: Any = None
        self.desks: list[QRLogin] = []
        self.desk = self.another()

    def another(self, *keys: bytes, policy: Policy = TYPED) -> QRLogin:
        """One more process on the same store."""
        options = {"secret_keys": keys or (KEY,), "verification_uri": URI, "policy": policy}
        self.desks.append(self.colour.open(self._store, options, lambda _: None)[0])
        return self.desks[-1]

    def _store(self) -> Any:
        awaited = isinstance(self.colour, Awaited)
        if self.url:
            kind = AsyncRedisStore if awaited else RedisStore
            return kind.from_url(
                self.url, prefix=self.prefix, now=self.clock, reread=600, timeout=10
            )
        self._memory = self._memory or (AsyncMemoryStore if awaited else MemoryStore)(
            now=self.clock
        )
        return self._memory

    def at_once(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        return self.colour.at_once(
            [(self.desks[i % len(self.desks)], one) for i, one in enumerate(operations)]
        )

    def begin(self) -> str:
        return self.desk.begin(user_code=True).user_code

    def guess(
        self,
        code: str = WRONG,
        who: str = ALICE,
        verb: str = "confirm",
        desk: QRLogin | None = None,
    ) -> str:
        """What came of one try."""
        try:
            getattr(desk or self.desk, verb)(
                code, subject=who, **({"shown_as": "somebody"} if verb == "scan" else {})
            )
        except (UnknownLogin, TooFast) as error:
            return type(error).__name__
        return "right"

    def close(self) -> None:
        for desk in self.desks:
            desk.close()
        self.colour.close()


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    url = request.getfixturevalue("redis_url") if request.param.startswith("redis") else ""
    made = World(request.param, url, Clock(), f"{uuid.uuid4().hex}:")
    yield made
    made.close()


def test_five_codes_that_lead_nowhere_and_no_sixth(world: World) -> None:
    assert [world.guess() for _ in range(8)] == ["UnknownLogin"] * 5 + ["TooManyGuesses"] * 3


@pytest.mark.parametrize("guesses", [1, 2, 20])
def test_a_policy_sets_how_many_and_for_how_long(world: World, guesses: int) -> None:
    desk = world.another(policy=replace(TYPED, guesses=guesses, guess_window=60))
    assert [world.guess(desk=desk) for _ in range(guesses + 1)] == ["UnknownLogin"] * guesses + [
        "TooManyGuesses"
    ]
    with pytest.raises(TooManyGuesses) as refused:
        desk.confirm(WRONG, subject=ALICE)
    assert (refused.value.retry_after, refused.value.http_status, refused.value.wire_code) == (
        60,
        429,
        "too_many_guesses",
    )


def test_looking_up_and_approving_share_one_budget(world: World) -> None:
    for verb in ("scan", "confirm", "deny", "release", "scan"):
        assert world.guess(verb=verb) == "UnknownLogin"
    assert {world.guess(verb=verb) for verb in ("scan", "confirm", "deny", "release")} == {
        "TooManyGuesses"
    }


def test_each_account_has_its_own_and_phones_of_one_account_share_it(world: World) -> None:
    for i in range(5):
        with pytest.raises(UnknownLogin):
            world.desk.confirm(WRONG, subject=ALICE, phone=f"phone {i}")
    assert [world.guess(), world.guess(who=BOB)] == ["TooManyGuesses", "UnknownLogin"]


def test_what_was_right_is_given_back(world: World) -> None:
    for _ in range(4):
        world.guess()
    for _ in range(10):
        code = world.begin()
        assert [
            world.guess(code, verb=verb)
            for verb in ("scan", "release", "scan", "scan", "confirm", "deny")
        ] == ["right"] * 6
    assert [world.guess() for _ in range(2)] == ["UnknownLogin", "TooManyGuesses"]


def test_a_right_one_gives_back_no_more_than_it_took(world: World) -> None:
    """Else whoever has a code of their own could earn guesses with it."""
    code = world.begin()
    for _ in range(10):
        assert world.guess(code, verb="scan") == "right"
    assert [world.guess() for _ in range(6)] == ["UnknownLogin"] * 5 + ["TooManyGuesses"]


def test_a_code_that_is_real_and_refused_is_a_guess_too(world: World) -> None:
    """That somebody else holds it is something that a guesser would like to know."""
    code = world.begin()
    assert world.guess(code, BOB, "scan") == "right"
    told = [world.guess(code), *(world.guess() for _ in range(4)), world.guess(code)]
    assert told == ["NotYours", *["UnknownLogin"] * 4, "TooManyGuesses"]


def test_a_blocked_account_may_still_scan(world: World) -> None:
    begun = world.desk.begin()
    for _ in range(6):
        world.guess()
    for code in (begun.scan_code, world.desk.core.verification_uri + "/" + begun.scan_code):
        assert world.desk.scan(code, subject=ALICE, shown_as="A").state is State.SCANNED
    fixed = world.desk.run(world.desk.core.begin(fixed=True, ask_browser=False)).scan_code
    assert world.desk.scan(fixed, subject=ALICE, shown_as="A").state is State.SCANNED


@pytest.mark.parametrize(
    "text", ["", "x", "BCDF-GHJ", "BCDF-GHJA", "BCDFGHJKL", "x" * 3000, "A" * 22 + ".0." + "A" * 43]
)
def test_what_cannot_be_a_code_costs_nothing(world: World, text: str) -> None:
    for _ in range(6):
        assert world.guess(text) == "InvalidCode"
    assert world.guess() == "UnknownLogin"


def test_the_window_ends_and_then_there_are_five_more(world: World) -> None:
    first = [world.guess() for _ in range(6)]
    if world.url:
        with redis.Redis.from_url(world.url) as server:
            (key,) = server.keys(f"{world.prefix}*")
            left = server.pttl(key)
            assert 0 < left <= 600_000
            world.guess()
            assert server.pttl(key) <= left  # it does not begin anew with each try
            server.pexpire(key, 1)
            while server.exists(key):
                pass
    else:
        world.clock.ms += 599_999
        assert world.guess() == "TooManyGuesses"
        world.clock.ms += 1
    assert [world.guess() for _ in range(6)] == first == ["UnknownLogin"] * 5 + ["TooManyGuesses"]


def test_the_window_does_not_begin_anew_with_what_was_right() -> None:
    world = World("memory sync", "", Clock(), "")
    for _ in range(4):
        world.guess()
    world.clock.ms += 500_000
    assert world.guess(world.begin(), verb="scan") == "right"
    world.clock.ms = NOON + 600_000
    assert [world.guess() for _ in range(6)] == ["UnknownLogin"] * 5 + ["TooManyGuesses"]
    world.close()


# At once


def codes(count: int) -> list[str]:
    """Codes that nobody was given."""
    return [f"{USER_CODE_LETTERS[i % 20]}{USER_CODE_LETTERS[i // 20]}ZZ-ZZZZ" for i in range(count)]


def test_a_hundred_at_once_are_no_more_than_a_hundred_in_a_row(world: World) -> None:
    """From two processes, looking up and approving by turns: brute force in parallel takes the budget and nothing beyond."""
    world.another()
    core = world.desk.core
    told = world.at_once(
        [
            core.scan(code, subject=ALICE, shown_as="A")
            if i % 2
            else core.confirm(code, subject=ALICE)
            for i, code in enumerate(codes(100))
        ]
    )
    assert (
        sorted(type(one).__name__ for one in told) == ["TooManyGuesses"] * 95 + ["UnknownLogin"] * 5
    )


def test_right_ones_at_once_earn_nothing_either(world: World) -> None:
    world.another()
    core, mine = world.desk.core, world.begin()
    world.desk.scan(mine, subject=ALICE, shown_as="A")
    told = world.at_once(
        [core.confirm(mine if i % 2 else code, subject=ALICE) for i, code in enumerate(codes(60))]
    )
    wrong = [type(one) for one in told[::2]]
    assert wrong.count(UnknownLogin) <= 5
    assert set(wrong) <= {UnknownLogin, TooManyGuesses}
    left = [world.guess() for _ in range(6)].count("UnknownLogin")
    assert wrong.count(UnknownLogin) + left == 5


def test_people_at_once_do_not_cost_each_other_anything(world: World) -> None:
    logins = [world.begin() for _ in range(40)]
    core = world.desk.core
    told = world.at_once(
        [core.scan(code, subject=f"person {i}", shown_as="P") for i, code in enumerate(logins)]
    )
    assert [one.state for one in told] == [State.SCANNED] * 40


def test_threads_of_a_thousand_guesses_find_no_gap(redis_url: str) -> None:
    """On a real Redis, without a pause between the tries."""
    world = World("redis sync", redis_url, Clock(), f"{uuid.uuid4().hex}:")
    told: list[str] = []

    def guesser() -> None:
        told.extend(world.guess(code) for code in codes(100))

    threads = [threading.Thread(target=guesser) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("UnknownLogin") == 5
    assert told.count("TooManyGuesses") == 995
    world.close()


# Keys


def test_a_ring_of_keys_is_one_guess(world: World) -> None:
    """A typed code says nothing of its key, so each is tried; it is paid for once, whether it is found or not."""
    old = world.desk.begin(user_code=True)
    ring = world.another(OTHER_KEY, KEY)
    new = ring.begin(user_code=True)
    for _ in range(4):
        world.guess(desk=ring)
    for begun in (old, new):
        assert world.guess(begun.user_code, verb="scan", desk=ring) == "right"
    assert [world.guess(desk=ring) for _ in range(2)] == ["UnknownLogin", "TooManyGuesses"]


def test_of_a_ring_the_first_key_that_knows_the_code_decides(world: World) -> None:
    ring = world.another(OTHER_KEY, KEY)
    code = world.begin()
    assert world.guess(code, BOB, "scan", ring) == "right"
    assert world.guess(code, ALICE, "confirm", ring) == "NotYours"
    assert world.guess(code, BOB, "confirm") == "right"


# Set-up


def test_typed_codes_are_off_unless_a_policy_wants_them() -> None:
    world = World("memory sync", "", Clock(), "")
    plain = world.another(policy=STANDARD)
    assert not STANDARD.user_codes
    with pytest.raises(BadArgument, match="typed codes are off: set user_codes=True"):
        plain.begin(user_code=True)
    with pytest.raises(InvalidCode, match="typed codes are off"):
        plain.scan(world.begin(), subject=ALICE, shown_as="A")
    assert world.desk.begin().user_code == ""
    world.close()


@pytest.mark.parametrize(
    "wrong",
    [{"guesses": 0}, {"guesses": 21}, {"guesses": 5.0}, {"guesses": True}, {"guess_window": 59}],
)
def test_a_budget_of_no_guesses_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match=r"policy\.guess"):
        Policy(user_codes=True, **wrong)
