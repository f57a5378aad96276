"""An account has a budget of guesses at typed codes, on every store and in either colour."""

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
from qrlogin.errors import NotYours, TooFast, TooManyGuesses, UnknownLogin
from qrlogin.operation import Operation
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.stores.suite.colours import Awaited, Blocking
from qrlogin.table import State
from qrlogin.wire import Native, Person
from tests.application import ALICE, BOB, KEY, NOON, OTHER_KEY, TO_END, URI, Clock
from tests.security_rows import row
from tests.wire.mount import CREDENTIAL, Mount, post, read

TYPED = replace(STANDARD, user_codes=True, limits=None)
WRONG = "BCDF-GHJK"
#: One colour over memory and the other over Redis: the suites of the stores prove all four.
KINDS = ("memory sync", "redis async")


@dataclass
class World:
    """One application over one kind of store; `desk` blocks for either colour."""

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
        """The outcome of one try: "right", or the name of the error."""
        try:
            getattr(desk or self.desk, verb)(
                code, subject=who, **({"shown_as": "a name"} if verb == "scan" else {})
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


@row(58, 121, 221, 312, 441)
def test_an_account_has_five_wrong_guesses(world: World) -> None:
    assert [world.guess() for _ in range(8)] == ["UnknownLogin"] * 5 + ["TooManyGuesses"] * 3


@pytest.mark.parametrize("guesses", [1, 2, 20])
def test_a_policy_sets_the_number_of_guesses_and_their_window(world: World, guesses: int) -> None:
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


def test_scan_and_decisions_share_one_budget_of_guesses(world: World) -> None:
    for verb in ("scan", "confirm", "deny", "release", "scan"):
        assert world.guess(verb=verb) == "UnknownLogin"
    assert {world.guess(verb=verb) for verb in ("scan", "confirm", "deny", "release")} == {
        "TooManyGuesses"
    }


@row(312)
def test_each_account_has_one_budget_for_all_its_phones(world: World) -> None:
    for i in range(5):
        with pytest.raises(UnknownLogin):
            world.desk.confirm(WRONG, subject=ALICE, phone=f"phone {i}")
    assert [world.guess(), world.guess(who=BOB)] == ["TooManyGuesses", "UnknownLogin"]


def test_a_right_guess_does_not_reduce_the_budget(world: World) -> None:
    for _ in range(4):
        world.guess()
    for _ in range(10):
        code = world.begin()
        assert [
            world.guess(code, verb=verb)
            for verb in ("scan", "release", "scan", "scan", "confirm", "deny")
        ] == ["right"] * 6
    assert [world.guess() for _ in range(2)] == ["UnknownLogin", "TooManyGuesses"]


def test_right_guesses_earn_no_extra_guesses(world: World) -> None:
    """Otherwise an account could earn guesses with a code of its own."""
    code = world.begin()
    for _ in range(10):
        assert world.guess(code, verb="scan") == "right"
    assert [world.guess() for _ in range(6)] == ["UnknownLogin"] * 5 + ["TooManyGuesses"]


def test_a_real_code_that_is_refused_counts_as_a_guess(world: World) -> None:
    """It shows that another account holds the login, which an attacker would like to know."""
    code = world.begin()
    assert world.guess(code, BOB, "scan") == "right"
    outcomes = [world.guess(code), *(world.guess() for _ in range(4)), world.guess(code)]
    assert outcomes == ["NotYours", *["UnknownLogin"] * 4, "TooManyGuesses"]


@row(428)
def test_an_account_without_guesses_can_still_scan_pictures(world: World) -> None:
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
def test_text_that_cannot_be_a_code_costs_no_guess(world: World, text: str) -> None:
    for _ in range(6):
        assert world.guess(text) == "InvalidCode"
    assert world.guess() == "UnknownLogin"


@row(313)
def test_the_budget_is_full_again_after_its_window(world: World) -> None:
    first = [world.guess() for _ in range(6)]
    if world.url:
        with redis.Redis.from_url(world.url) as server:
            (key,) = server.keys(f"{world.prefix}*")
            left = server.pttl(key)
            assert 0 < left <= 600_000
            world.guess()
            assert server.pttl(key) <= left  # a try does not restart the window
            server.pexpire(key, 1)
            while server.exists(key):
                pass
    else:
        world.clock.ms += 599_999
        assert world.guess() == "TooManyGuesses"
        world.clock.ms += 1
    assert [world.guess() for _ in range(6)] == first == ["UnknownLogin"] * 5 + ["TooManyGuesses"]


def test_a_right_guess_does_not_restart_the_window() -> None:
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
    """Codes that belong to no login."""
    return [f"{USER_CODE_LETTERS[i % 20]}{USER_CODE_LETTERS[i // 20]}ZZ-ZZZZ" for i in range(count)]


def test_parallel_guesses_share_the_budget(world: World) -> None:
    """Two processes scan and confirm in turns: parallel attempts get no extra guesses."""
    world.another()
    core = world.desk.core
    outcomes = world.at_once(
        [
            core.scan(code, subject=ALICE, shown_as="A")
            if i % 2
            else core.confirm(code, subject=ALICE)
            for i, code in enumerate(codes(100))
        ]
    )
    assert (
        sorted(type(one).__name__ for one in outcomes)
        == ["TooManyGuesses"] * 95 + ["UnknownLogin"] * 5
    )


def test_parallel_right_guesses_earn_no_extra_guesses(world: World) -> None:
    world.another()
    core, mine = world.desk.core, world.begin()
    world.desk.scan(mine, subject=ALICE, shown_as="A")
    outcomes = world.at_once(
        [core.confirm(mine if i % 2 else code, subject=ALICE) for i, code in enumerate(codes(60))]
    )
    wrong = [type(one) for one in outcomes[::2]]
    assert wrong.count(UnknownLogin) <= 5
    assert set(wrong) <= {UnknownLogin, TooManyGuesses}
    left = [world.guess() for _ in range(6)].count("UnknownLogin")
    assert wrong.count(UnknownLogin) + left == 5


@row(428)
def test_accounts_do_not_use_each_others_guesses(world: World) -> None:
    logins = [world.begin() for _ in range(40)]
    core = world.desk.core
    outcomes = world.at_once(
        [core.scan(code, subject=f"person {i}", shown_as="P") for i, code in enumerate(logins)]
    )
    assert [one.state for one in outcomes] == [State.SCANNED] * 40


@row(58)
def test_a_thousand_guesses_in_ten_threads_stay_within_the_budget(redis_url: str) -> None:
    """On a real Redis, without a pause between tries."""
    world = World("redis sync", redis_url, Clock(), f"{uuid.uuid4().hex}:")
    outcomes: list[str] = []

    def guesser() -> None:
        outcomes.extend(world.guess(code) for code in codes(100))

    threads = [threading.Thread(target=guesser) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("UnknownLogin") == 5
    assert outcomes.count("TooManyGuesses") == 995
    world.close()


# Keys


def test_a_lookup_under_several_keys_costs_one_guess(world: World) -> None:
    """A typed code does not name its key, so each key is tried, for the price of one guess."""
    old = world.desk.begin(user_code=True)
    ring = world.another(OTHER_KEY, KEY)
    new = ring.begin(user_code=True)
    for _ in range(4):
        world.guess(desk=ring)
    for begun in (old, new):
        assert world.guess(begun.user_code, verb="scan", desk=ring) == "right"
    assert [world.guess(desk=ring) for _ in range(2)] == ["UnknownLogin", "TooManyGuesses"]


def test_the_first_key_that_finds_the_login_decides(world: World) -> None:
    ring = world.another(OTHER_KEY, KEY)
    code = world.begin()
    assert world.guess(code, BOB, "scan", ring) == "right"
    assert world.guess(code, ALICE, "confirm", ring) == "NotYours"
    assert world.guess(code, BOB, "confirm") == "right"


# Set-up


def test_typed_codes_are_off_by_default() -> None:
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
def test_a_guess_budget_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match=r"policy\.guess"):
        Policy(user_codes=True, **wrong)


# The account that holds a login, and a stranger

DECISIONS = {"confirm": State.CONFIRMED, "deny": State.DENIED, "release": State.PENDING}
SPENT = ["UnknownLogin"] * 5 + ["TooManyGuesses"] * 3
EVERY_VERB = pytest.mark.parametrize("verb", DECISIONS)


def held(world: World, who: str = ALICE) -> str:
    """A login that `who` scanned by its typed code."""
    code = world.begin()
    assert world.guess(code, who, "scan") == "right"
    return code


def spend(world: World, verb: str = "confirm", who: str = ALICE) -> None:
    assert [world.guess(who=who, verb=verb) for _ in range(8)] == SPENT


# The holder


@EVERY_VERB
@pytest.mark.parametrize("wrongly", ["scan", "confirm", "deny", "release"])
def test_the_holder_decides_with_no_guesses_left(world: World, verb: str, wrongly: str) -> None:
    code = held(world)
    spend(world, wrongly)
    assert getattr(world.desk, verb)(code, subject=ALICE).state is DECISIONS[verb]
    assert (
        getattr(world.desk, verb)(code, subject=ALICE).state is DECISIONS[verb]
    )  # a repeat, as after a lost answer
    assert world.guess() == "TooManyGuesses"


def test_an_approval_can_be_denied_with_no_guesses_left(world: World) -> None:
    code = held(world)
    spend(world)
    assert [world.guess(code, verb=verb) for verb in ("confirm", "deny")] == ["right", "right"]


def test_a_scan_after_a_release_costs_a_guess(world: World) -> None:
    """Any account may scan a released login, so the scan is a lookup that counts."""
    code = held(world)
    spend(world)
    assert [world.guess(code, verb=verb) for verb in ("release", "scan")] == [
        "right",
        "TooManyGuesses",
    ]
    assert world.guess(code, BOB, "scan") == "right"


def test_another_phone_of_the_account_does_not_hold_the_login(world: World) -> None:
    code = world.begin()
    world.desk.scan(code, subject=ALICE, shown_as="A", phone="one")
    with pytest.raises(NotYours):
        world.desk.deny(code, subject=ALICE, phone="two")
    spent = [world.guess() for _ in range(5)]
    assert spent == ["UnknownLogin"] * 4 + ["TooManyGuesses"]
    with pytest.raises(TooManyGuesses):
        world.desk.deny(code, subject=ALICE, phone="two")
    assert world.desk.deny(code, subject=ALICE, phone="one").state is State.DENIED


def test_decisions_earn_no_guesses(world: World) -> None:
    code = held(world)
    for verb in ("confirm", "confirm", "deny", "deny"):
        assert world.guess(code, verb=verb) == "right"
    assert [world.guess() for _ in range(8)] == SPENT
    assert world.guess(code, verb="deny") == "right"
    assert world.guess() == "TooManyGuesses"


# A stranger

#: The states that another account's login can have, and the calls that lead there.
HISTORIES = {
    "never scanned": (),
    "scanned": ("scan",),
    "released": ("scan", "release"),
    "confirmed": ("scan", "confirm"),
    "denied": ("scan", "deny"),
    "redeemed": ("scan", "confirm", "redeem"),
    "cancelled": ("scan", "cancel"),
    "expired": ("scan", "late"),
}


@EVERY_VERB
@pytest.mark.parametrize("history", HISTORIES)
def test_a_stranger_gets_the_same_answer_for_a_real_and_an_unknown_code(
    world: World, verb: str, history: str
) -> None:
    code = login_of_bob(world, history)
    there, nowhere = [
        [outcome(world, each, who, verb) for _ in range(7)]
        for each, who in ((code, ALICE), (WRONG, "carol"))
    ]
    assert (
        there
        == nowhere
        == [(404, "unknown_login", None)] * 5 + [(429, "too_many_guesses", 600)] * 2
    )


def login_of_bob(world: World, history: str) -> str:
    begun = world.desk.run(world.desk.core.begin(user_code=True, ask_browser=False))
    for step in HISTORIES[history]:
        match step:
            case "redeem":
                world.desk.redeem(begun.device_code)
            case "cancel":
                world.desk.cancel(begun.device_code)
            case "late":
                world.clock.ms += TO_END * 1000
            case _:
                assert world.guess(begun.user_code, BOB, step) == "right"
    return begun.user_code


def outcome(world: World, code: str, who: str, verb: str) -> tuple[int, str, int | None]:
    """The status, code and wait that a client gets."""
    with pytest.raises((UnknownLogin, TooManyGuesses)) as refused:
        getattr(world.desk, verb)(code, subject=who)
    return refused.value.http_status, refused.value.wire_code, refused.value.retry_after


def test_real_and_unknown_codes_cost_the_same_guesses(world: World) -> None:
    theirs = held(world, BOB)
    outcomes = [
        world.guess(code, verb=verb)
        for code, verb in zip((theirs, WRONG) * 3, ("deny", "confirm", "release") * 2, strict=True)
    ]
    assert outcomes == [
        "NotYours",
        "UnknownLogin",
        "NotYours",
        "UnknownLogin",
        "NotYours",
        "TooManyGuesses",
    ]
    assert world.guess(theirs) == "TooManyGuesses"
    assert world.guess(theirs, BOB, "deny") == "right"


# The holder and a stranger, at once


@row(405)
@EVERY_VERB
def test_of_parallel_wrong_codes_at_most_five_are_looked_up(world: World, verb: str) -> None:
    world.another()
    core, mine = world.desk.core, held(world)
    decide = getattr(core, verb)
    outcomes = world.at_once([decide(code, subject=ALICE) for code in codes(60)])
    assert (
        sorted(type(one).__name__ for one in outcomes)
        == ["TooManyGuesses"] * 55 + ["UnknownLogin"] * 5
    )
    assert world.guess(mine, verb=verb) == "right"


def test_parallel_guesses_at_real_codes_share_the_budget(world: World) -> None:
    """A third of the codes are real, which no answer shows."""
    world.another()
    theirs = [held(world, BOB) for _ in range(10)]
    core = world.desk.core
    outcomes = world.at_once([core.confirm(code, subject=ALICE) for code in (*theirs, *codes(20))])
    assert all(isinstance(one, UnknownLogin | TooManyGuesses) for one in outcomes)
    assert sum(isinstance(one, UnknownLogin) for one in outcomes) == 5


def test_the_holder_decides_among_parallel_guesses(world: World) -> None:
    world.another()
    core, mine = world.desk.core, held(world)
    calls: list[Operation[Any]] = [
        core.confirm(mine if i == 20 else code, subject=ALICE) for i, code in enumerate(codes(40))
    ]
    outcomes = world.at_once(calls)
    assert outcomes[20].state is State.CONFIRMED
    assert sum(isinstance(one, UnknownLogin) for one in outcomes) == 5


# Decisions under several keys


@EVERY_VERB
def test_a_code_of_an_older_key_can_be_decided(world: World, verb: str) -> None:
    """One login was scanned before the new key was added, the other after."""
    before, after = held(world), world.begin()
    ring = world.another(OTHER_KEY, KEY)
    assert world.guess(after, verb="scan", desk=ring) == "right"
    assert [world.guess(desk=ring) for _ in range(8)] == SPENT
    for code in (before, after):
        assert getattr(ring, verb)(code, subject=ALICE).state is DECISIONS[verb]


@EVERY_VERB
def test_a_decision_under_several_keys_costs_one_guess(world: World, verb: str) -> None:
    old = held(world, BOB)
    ring = world.another(OTHER_KEY, KEY, bytes(range(2, 34)))
    new = ring.begin(user_code=True).user_code
    assert world.guess(new, BOB, "scan", ring) == "right"
    outcomes = [
        world.guess(code, ALICE, verb, ring)
        for code in (old, new, WRONG, WRONG, old, old, new, WRONG)
    ]
    assert outcomes == [
        "NotYours",
        "NotYours",
        "UnknownLogin",
        "UnknownLogin",
        "NotYours",
        *["TooManyGuesses"] * 3,
    ]
    for code in (old, new):
        assert world.guess(code, BOB, verb, ring) == "right"


# The commands and the answers


def test_a_phone_that_holds_the_login_looks_up_and_decides() -> None:
    with Mount("sync", policy=TYPED, make=lambda core: Native(core, user_codes=True)) as mount:
        code = read(mount.browser(post("begin")))["user_code"]
        asked = []
        for verb in ("scan", "confirm", "deny"):
            mount.store.calls.clear()
            assert mount.phone(post(verb, {"code": code}, CREDENTIAL)).status == 200
            asked.append([command.row.name.partition(" of")[0] for command in mount.store.calls])
        assert asked == [
            ["guess", "look up", "scan", "guessed right"],
            ["may guess", "look up", "confirm"],
            ["may guess", "look up", "deny"],
        ]


def test_a_phone_gets_the_same_answer_for_a_held_and_an_unknown_code() -> None:
    """The responses are equal byte for byte."""
    with Mount("sync", policy=TYPED, make=lambda core: Native(core, user_codes=True)) as mount:
        code = read(mount.browser(post("begin")))["user_code"]
        assert (
            mount.phone(post("scan", {"code": code}, CREDENTIAL), Person("bob", "B")).status == 200
        )
        outcomes = {
            each: [
                mount.phone(post("deny", {"code": each}, CREDENTIAL), Person(who, "A"))
                for _ in range(7)
            ]
            for each, who in ((code, "alice"), (WRONG, "carol"))
        }
        assert outcomes[code] == outcomes[WRONG]
        assert [answer.status for answer in outcomes[code]] == [404] * 5 + [429] * 2


def test_the_holder_decides_under_a_policy_of_one_guess(world: World) -> None:
    desk = world.another(policy=replace(TYPED, guesses=1))
    code = held(world)
    assert [world.guess(verb="deny", desk=desk) for _ in range(2)] == [
        "UnknownLogin",
        "TooManyGuesses",
    ]
    assert world.guess(code, verb="deny", desk=desk) == "right"
