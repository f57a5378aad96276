"""RFC 8628 section 3.5: a device that polls too fast is slowed down, and an honest one never is."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.security_rows import row
from tests.stores.fault_proxy import Proxy
from tests.wire.dialects.rfc8628_server import (
    KINDS,
    NOON,
    TYPED,
    Device,
    World,
    error,
    opened,
    read,
)

PENDING, SLOW = "authorization_pending", "slow_down"
LONGEST = 600 - 20 - 60 - 150  # without the times to decide, to collect, and to ask again
SLACK = 1.0  # seconds of jitter that are tolerated


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from opened(request)


def begin(world: World) -> Device:
    """A login that can be scanned for as long as any can."""
    device = Device(world.another(policy=replace(TYPED, decide_window=20), lifetime=LONGEST))
    device.begin()
    return device


class Polling:
    """Polls of one client, each `pause` seconds after the one before."""

    def __init__(self, world: World) -> None:
        self.world, self.device, self.clock = world, begin(world), world.clock

    def after(self, pause: float) -> str:
        self.clock.advance(pause)
        answer = self.device.poll()
        if error(answer) == SLOW:
            assert dict(answer.headers)["Retry-After"] == str(read(answer)["interval"])
        else:
            assert read(answer) == {"error": error(answer)}
        return error(answer)


@row(218)
@settings(max_examples=settings().max_examples // 7)
@given(seed=st.integers(0, 2**32), jitter=st.sampled_from([0.0, 0.3, SLACK]))
def test_section_3_5_a_thousand_polls_of_an_honest_client_are_never_slowed(
    seed: int, jitter: float
) -> None:
    """Each pause is the advertised interval, up to a second shorter or longer."""
    dice = random.Random(seed)
    with World("memory sync") as world:
        for _ in range(15):
            polling = Polling(world)
            assert {polling.after(5 + dice.uniform(-jitter, jitter)) for _ in range(68)} == {
                PENDING
            }


@settings(max_examples=30)
@given(st.lists(st.floats(0, SLACK), min_size=72, max_size=72))
def test_section_3_5_network_delays_do_not_add_up(delays: list[float]) -> None:
    """The client keeps its interval exactly, and each request has a delay of its own."""
    with World("memory sync") as world:
        polling = Polling(world)
        arrivals = [0.0, *(5 * i + delay for i, delay in enumerate(delays, start=1))]
        assert {polling.after(later - earlier) for earlier, later in pairwise(arrivals)} == {
            PENDING
        }


def test_section_3_5_the_first_poll_is_free_and_a_second_of_jitter_is_forgiven(
    world: World,
) -> None:
    polling = Polling(world)
    assert [polling.after(pause) for pause in (0, 4.0, 4.001, 5)] == [PENDING] * 4
    assert polling.after(3.999) == SLOW


@row(121, 218)
def test_section_3_5_each_early_poll_adds_five_seconds_for_good(
    world: World,
) -> None:
    polling = Polling(world)
    intervals = [read(polling.device.poll()).get("interval") for _ in range(5)]
    assert intervals == [None, 10, 15, 20, 25]
    assert [polling.after(pause) for pause in (25, 25, 24, 24.5, 25)] == [PENDING] * 5
    assert polling.after(20) == SLOW  # "for this and all subsequent requests"


def test_section_3_5_a_rejected_poll_does_not_move_the_clock(world: World) -> None:
    """If each rejection restarted the interval, a client that was rejected once would be rejected
    for ever.
    """
    polling = Polling(world)
    # The third is ten seconds after the poll that counted.
    assert [polling.after(pause) for pause in (0, 2, 8)] == [PENDING, SLOW, PENDING]
    assert [polling.after(10) for _ in range(30)] == [PENDING] * 30


@given(pauses=st.lists(st.sampled_from([0.1, 1, 3, 5, 9]), max_size=12))
@settings(max_examples=40)
def test_section_3_5_a_client_that_slows_down_recovers_at_once(pauses: list[float]) -> None:
    with World("memory sync") as world:
        polling, interval = Polling(world), 5
        for pause in pauses:
            world.clock.advance(pause)
            interval = read(polling.device.poll()).get("interval", interval)
        for _ in range(3):
            if world.clock() + interval * 1000 < NOON + LONGEST * 1000:
                assert polling.after(interval) == PENDING


def test_section_3_5_each_login_has_its_own_pace(world: World) -> None:
    """A client does not slow down others with its address or its client_id."""
    fast, slow = begin(world), begin(world)
    for _ in range(4):
        fast.poll()
    assert [error(slow.poll()), error(fast.poll())] == [PENDING, SLOW]


@row(405)
def test_section_3_5_a_parallel_burst_is_one_poll_that_counts(world: World) -> None:
    device = begin(world)
    errors = [error(answer) for answer in world.at_once([device.poll] * 20)]
    assert sorted(errors) == [PENDING] + [SLOW] * 19
    world.clock.advance(100)
    assert error(device.poll()) == PENDING


def test_section_3_5_a_poll_writes_only_its_own_fields() -> None:
    """R3: polls cannot overwrite a confirm between them."""
    with World("memory sync") as world:
        device = begin(world)
        login_id = device.begun["device_code"].partition(".")[0]

        def read_by_others() -> dict[str, str]:
            record = world.memory._records._records[login_id]
            return {name: value for name, value in record.items() if not name.startswith("pace_")}

        before = read_by_others()
        for _ in range(5):
            device.poll()
        assert read_by_others() == before


@pytest.mark.parametrize("kind", ["redis sync", "redis async"])
def test_section_3_5_a_poll_that_the_redis_client_resends_is_not_slowed(
    redis_url: str, kind: str
) -> None:
    """The reply was lost, so the client sends the same command again, with the same mark."""
    port = int(redis_url.rsplit(":", 1)[1].partition("/")[0])
    with Proxy(port) as proxy, World(kind, proxy.url) as world:
        device = begin(world)
        for _ in range(3):
            proxy.losing, lost = 1, proxy.lost
            assert error(device.poll()) == PENDING
            assert proxy.lost == lost + 1
            world.clock.advance(5)
