"""Whoever holds a login decides on it by its typed code, however often they mistyped another; a stranger learns from none."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from qrlogin.errors import NotYours, TooManyGuesses, UnknownLogin
from qrlogin.operation import Operation
from qrlogin.table import State
from qrlogin.wire import Native, Person
from tests.application import ALICE, BOB, KEY, OTHER_KEY, Clock
from tests.test_guesses import KINDS, TYPED, WRONG, World, codes
from tests.wire.mount import CREDENTIAL, Mount, post, read

DECISIONS = {"confirm": State.CONFIRMED, "deny": State.DENIED, "release": State.PENDING}
SPENT = ["UnknownLogin"] * 5 + ["TooManyGuesses"] * 3
EVERY_VERB = pytest.mark.parametrize("verb", DECISIONS)


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    url = request.getfixturevalue("redis_url") if request.param.startswith("redis") else ""
    made = World(request.param, url, Clock(), f"{uuid.uuid4().hex}:")
    yield made
    made.close()


def held(world: World, who: str = ALICE) -> str:
    """A login that somebody scanned by its typed code."""
    code = world.begin()
    assert world.guess(code, who, "scan") == "right"
    return code


def spend(world: World, verb: str = "confirm", who: str = ALICE) -> None:
    assert [world.guess(who=who, verb=verb) for _ in range(8)] == SPENT


# The holder


@EVERY_VERB
@pytest.mark.parametrize("wrongly", ["scan", "confirm", "deny", "release"])
def test_with_nothing_left_they_still_decide(world: World, verb: str, wrongly: str) -> None:
    code = held(world)
    spend(world, wrongly)
    assert getattr(world.desk, verb)(code, subject=ALICE).state is DECISIONS[verb]
    assert (
        getattr(world.desk, verb)(code, subject=ALICE).state is DECISIONS[verb]
    )  # and again, when the answer was lost
    assert world.guess() == "TooManyGuesses"


def test_an_approval_is_taken_back_with_nothing_left(world: World) -> None:
    code = held(world)
    spend(world)
    assert [world.guess(code, verb=verb) for verb in ("confirm", "deny")] == ["right", "right"]


def test_to_hold_it_again_costs_a_guess(world: World) -> None:
    """What is let go is anybody's: a scan looks up."""
    code = held(world)
    spend(world)
    assert [world.guess(code, verb=verb) for verb in ("release", "scan")] == [
        "right",
        "TooManyGuesses",
    ]
    assert world.guess(code, BOB, "scan") == "right"


def test_another_phone_of_the_account_does_not_hold_it(world: World) -> None:
    code = world.begin()
    world.desk.scan(code, subject=ALICE, shown_as="A", phone="one")
    with pytest.raises(NotYours):
        world.desk.deny(code, subject=ALICE, phone="two")
    spent = [world.guess() for _ in range(5)]
    assert spent == ["UnknownLogin"] * 4 + ["TooManyGuesses"]
    with pytest.raises(TooManyGuesses):
        world.desk.deny(code, subject=ALICE, phone="two")
    assert world.desk.deny(code, subject=ALICE, phone="one").state is State.DENIED


def test_to_decide_earns_no_guesses(world: World) -> None:
    code = held(world)
    for verb in ("confirm", "confirm", "deny", "deny"):
        assert world.guess(code, verb=verb) == "right"
    assert [world.guess() for _ in range(8)] == SPENT
    assert world.guess(code, verb="deny") == "right"
    assert world.guess() == "TooManyGuesses"


# A stranger

#: Where somebody else's login may have come to, and by which steps of theirs.
THEIRS = {
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
@pytest.mark.parametrize("history", THEIRS)
def test_a_code_that_exists_says_what_one_says_that_does_not(
    world: World, verb: str, history: str
) -> None:
    code = somebodys(world, history)
    there, nowhere = [
        [outcome(world, each, who, verb) for _ in range(7)]
        for each, who in ((code, ALICE), (WRONG, "carol"))
    ]
    assert (
        there
        == nowhere
        == [(404, "unknown_login", None)] * 5 + [(429, "too_many_guesses", 600)] * 2
    )


def somebodys(world: World, history: str) -> str:
    begun = world.desk.run(world.desk.core.begin(user_code=True, ask_browser=False))
    for step in THEIRS[history]:
        match step:
            case "redeem":
                world.desk.redeem(begun.device_code)
            case "cancel":
                world.desk.cancel(begun.device_code)
            case "late":
                world.clock.ms += 121_000
            case _:
                assert world.guess(begun.user_code, BOB, step) == "right"
    return begun.user_code


def outcome(world: World, code: str, who: str, verb: str) -> tuple[int, str, int | None]:
    """All that goes to a client."""
    with pytest.raises((UnknownLogin, TooManyGuesses)) as refused:
        getattr(world.desk, verb)(code, subject=who)
    return refused.value.http_status, refused.value.wire_code, refused.value.retry_after


def test_both_count_alike(world: World) -> None:
    theirs = held(world, BOB)
    told = [
        world.guess(code, verb=verb)
        for code, verb in zip((theirs, WRONG) * 3, ("deny", "confirm", "release") * 2, strict=True)
    ]
    assert told == [
        "NotYours",
        "UnknownLogin",
        "NotYours",
        "UnknownLogin",
        "NotYours",
        "TooManyGuesses",
    ]
    assert world.guess(theirs) == "TooManyGuesses"
    assert world.guess(theirs, BOB, "deny") == "right"


# At once


@EVERY_VERB
def test_of_wrong_codes_at_once_five_at_most_are_looked_up(world: World, verb: str) -> None:
    world.another()
    core, mine = world.desk.core, held(world)
    decide = getattr(core, verb)
    told = world.at_once([decide(code, subject=ALICE) for code in codes(60)])
    assert (
        sorted(type(one).__name__ for one in told) == ["TooManyGuesses"] * 55 + ["UnknownLogin"] * 5
    )
    assert world.guess(mine, verb=verb) == "right"


def test_codes_that_exist_are_no_better_at_once(world: World) -> None:
    """A third of them are somebody's; nobody could tell which."""
    world.another()
    theirs = [held(world, BOB) for _ in range(10)]
    core = world.desk.core
    told = world.at_once([core.confirm(code, subject=ALICE) for code in (*theirs, *codes(20))])
    assert all(isinstance(one, UnknownLogin | TooManyGuesses) for one in told)
    assert sum(isinstance(one, UnknownLogin) for one in told) == 5


def test_the_holder_decides_in_the_midst_of_it(world: World) -> None:
    world.another()
    core, mine = world.desk.core, held(world)
    calls: list[Operation[Any]] = [
        core.confirm(mine if i == 20 else code, subject=ALICE) for i, code in enumerate(codes(40))
    ]
    told = world.at_once(calls)
    assert told[20].state is State.CONFIRMED
    assert sum(isinstance(one, UnknownLogin) for one in told) == 5


# Older keys


@EVERY_VERB
def test_a_code_of_an_older_key_is_decided_on(world: World, verb: str) -> None:
    """Scanned before the new key came, or after."""
    before, after = held(world), world.begin()
    ring = world.another(OTHER_KEY, KEY)
    assert world.guess(after, verb="scan", desk=ring) == "right"
    assert [world.guess(desk=ring) for _ in range(8)] == SPENT
    for code in (before, after):
        assert getattr(ring, verb)(code, subject=ALICE).state is DECISIONS[verb]


@EVERY_VERB
def test_a_ring_of_keys_is_one_guess_for_what_is_held_too(world: World, verb: str) -> None:
    old = held(world, BOB)
    ring = world.another(OTHER_KEY, KEY, bytes(range(2, 34)))
    new = ring.begin(user_code=True).user_code
    assert world.guess(new, BOB, "scan", ring) == "right"
    told = [
        world.guess(code, ALICE, verb, ring)
        for code in (old, new, WRONG, WRONG, old, old, new, WRONG)
    ]
    assert told == [
        "NotYours",
        "NotYours",
        "UnknownLogin",
        "UnknownLogin",
        "NotYours",
        *["TooManyGuesses"] * 3,
    ]
    for code in (old, new):
        assert world.guess(code, BOB, verb, ring) == "right"


# What the store is asked, and what a client is told


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
            ["look up", "confirm"],
            ["look up", "deny"],
        ]


def test_a_phone_gets_the_same_answer_for_a_held_and_an_unknown_code() -> None:
    """Byte for byte, at the door itself."""
    with Mount("sync", policy=TYPED, make=lambda core: Native(core, user_codes=True)) as mount:
        code = read(mount.browser(post("begin")))["user_code"]
        assert (
            mount.phone(post("scan", {"code": code}, CREDENTIAL), Person("bob", "B")).status == 200
        )
        told = {
            each: [
                mount.phone(post("deny", {"code": each}, CREDENTIAL), Person(who, "A"))
                for _ in range(7)
            ]
            for each, who in ((code, "alice"), (WRONG, "carol"))
        }
        assert told[code] == told[WRONG]
        assert [answer.status for answer in told[code]] == [404] * 5 + [429] * 2


def test_a_policy_of_one_guess(world: World) -> None:
    desk = world.another(policy=replace(TYPED, guesses=1))
    code = held(world)
    assert [world.guess(verb="deny", desk=desk) for _ in range(2)] == [
        "UnknownLogin",
        "TooManyGuesses",
    ]
    assert world.guess(code, verb="deny", desk=desk) == "right"
