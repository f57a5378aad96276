"""What a subscriber does with what it hears, without a server: whom it wakes, when it asks, how it tries again, what it logs."""

import inspect
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError
from redis.exceptions import TimeoutError as RedisTimeoutError

import qrlogin.stores.redis as redis_module
from qrlogin.stores import Listeners
from qrlogin.stores.redis import BUCKETS, _Reach, _Subscription
from tests.stores.redis_world import Stores, both_colours

MANY = 200
LOST = RedisConnectionError("secret.example:6379")


class Ear:
    """A subscription and `many` waits that listen to it."""

    def __init__(self, many: int) -> None:
        self.listeners = Listeners()
        self.waiters = [self.listeners.listen(f"login-{number}") for number in range(many)]
        self.subscription = _Subscription(self.listeners, _Reach(self.listeners))

    def subscribed(self, channels: int = BUCKETS, busy: int = 0) -> None:
        self.subscription.take({"type": "subscribe", "data": channels}, busy)

    @property
    def woken(self) -> int:
        return sum(waiter._flag.is_set() for waiter in self.waiters)


def test_waits_re_read_after_the_last_channel_not_before() -> None:
    ear = Ear(1)
    for channels in range(1, BUCKETS):
        ear.subscribed(channels)
    assert ear.woken == 0
    ear.subscribed()
    assert ear.woken == 1


def test_a_resubscription_wakes_a_few_at_a_time_and_forgets_no_wait() -> None:
    ear = Ear(MANY)
    ear.subscribed()
    woken = [ear.woken]
    while ear.subscription._unread:
        ear.subscription.take(None)
        woken.append(ear.woken)
    assert woken[-1] == MANY
    assert max(after - before for before, after in zip([0, *woken], woken, strict=False)) == 20


def test_a_resubscription_wakes_fewer_while_the_store_is_busy_but_always_one() -> None:
    ear = Ear(MANY)
    ear.subscribed(busy=15)
    assert ear.woken == 5
    ear.subscription._next = 0
    ear.subscription.take(None, 1000)
    assert ear.woken == 6


def test_an_announcement_overtakes_the_waits_that_are_to_re_read() -> None:
    ear = Ear(MANY)
    ear.subscribed()
    assert not ear.waiters[-1]._flag.is_set()
    ear.subscription.take({"type": "message", "data": f"login-{MANY - 1} 2"})
    assert ear.waiters[-1]._flag.is_set()


@both_colours
def test_a_silent_subscription_is_replaced_within_two_seconds_and_waits_re_read_every_thirty(
    stores: Stores,
) -> None:
    for signature in (inspect.signature(stores), inspect.signature(stores.from_url)):
        assert signature.parameters["reread"].default == 30
    subscription, silent, asks = Ear(0).subscription, 0.0, list[bool]()
    while silent + subscription.listens < 2:
        silent += subscription.listens
        subscription.take(None)
        asks.append(subscription.asks())
    assert asks.count(True) == 1
    subscription.take(None)
    with pytest.raises(RedisConnectionError, match="silent"):
        subscription.asks()


def test_an_answer_to_the_ping_keeps_the_subscription() -> None:
    subscription, asked = Ear(0).subscription, 0
    for _ in range(100):
        subscription.take(None)
        if subscription.asks():
            asked += 1
            subscription.take({"type": "pong", "data": b""})
    assert asked > 10


def test_the_pause_between_attempts_grows_to_two_seconds_and_no_further() -> None:
    ear = Ear(0)
    pauses = [ear.subscription.pause(LOST) for _ in range(2000)]
    assert max(pauses[:2]) < 0.3 < 1.0 <= min(pauses[10:])
    assert max(pauses) <= 2.0
    ear.subscribed()
    assert ear.subscription.pause(LOST) < 0.3


# What is logged


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.levelname for record in caplog.records if record.getMessage().startswith("Redis ")
    ]


@pytest.fixture
def reach(caplog: pytest.LogCaptureFixture) -> _Reach:
    caplog.set_level("INFO", "qrlogin")
    return _Reach(Listeners())


def test_calls_and_wake_ups_that_fail_together_are_one_outage(
    reach: _Reach, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        reach.lost("wake-ups", LOST)
        reach.unavailable(RedisTimeoutError())
    reach.found("calls")
    reach.found("calls")
    assert logged(caplog) == ["WARNING"]
    reach.found("wake-ups")
    assert logged(caplog) == ["WARNING", "INFO"]
    assert "RedisConnectionError" not in caplog.text
    assert "(ConnectionError)" in caplog.text
    assert "secret" not in caplog.text


def test_a_server_that_comes_and_goes_does_not_fill_the_log(
    reach: _Reach, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(redis_module, "monotonic", lambda: now)
    for _ in range(100):
        reach.unavailable(LOST)
        reach.found("calls")
    assert logged(caplog) == ["WARNING", "INFO"]
    now += redis_module.QUIET_SECONDS
    reach.unavailable(LOST)
    assert logged(caplog) == ["WARNING", "INFO", "WARNING"]


def test_wake_ups_that_are_refused_for_good_do_not_hide_an_outage(
    reach: _Reach, caplog: pytest.LogCaptureFixture
) -> None:
    refused: Any = OutOfMemoryError("OOM command not allowed")
    reach.lost("wake-ups", refused)
    reach.unavailable(LOST)
    assert logged(caplog) == ["WARNING", "WARNING"]
    assert "OutOfMemoryError" in caplog.text
    reach.found("calls")
    assert logged(caplog) == ["WARNING", "WARNING", "INFO"]


def test_a_store_that_is_closed_logs_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    listeners = Listeners()
    listeners.close()
    _Reach(listeners).unavailable(LOST)
    assert logged(caplog) == []
