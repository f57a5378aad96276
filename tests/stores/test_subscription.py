"""A subscription notifies, sends PINGs and pauses as promised, and an outage is logged once. No
test needs a server.
"""

import asyncio
import inspect
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError
from redis.exceptions import TimeoutError as RedisTimeoutError

from qrlogin.step import Command
from qrlogin.stores import AsyncRedisStore, Listeners
from qrlogin.stores import outages as outages_module
from qrlogin.stores import redis_subscription as subscription_module
from qrlogin.stores.outages import OutageLog
from qrlogin.stores.redis_calls import BUCKETS
from qrlogin.stores.redis_client import describe
from qrlogin.stores.redis_subscription import BATCH, Subscription
from qrlogin.table import TABLE
from tests.stores.redis_world import FakePubSub, Stores, both_colours, outage_levels
from tests.tables import for_each_row

MANY = 200
LOST = RedisConnectionError("secret.example:6379")


class Subscribed:
    """A subscription with `count` listeners."""

    def __init__(self, count: int) -> None:
        self.registry = Listeners()
        self.listeners = [self.registry.listen(f"login-{number}") for number in range(count)]
        self.subscription = Subscription(self.registry, OutageLog("Redis", describe, lambda: False))

    def confirm(self, channels: int = BUCKETS, running_calls: int = 0) -> None:
        """The server confirms that so many channels are subscribed."""
        self.subscription.receive({"type": "subscribe", "data": channels}, running_calls)

    @property
    def notified(self) -> int:
        return sum(listener._flag.is_set() for listener in self.listeners)


def test_listeners_are_notified_after_the_last_channel_is_subscribed_and_not_before() -> None:
    subscribed = Subscribed(1)
    for channels in range(1, BUCKETS):
        subscribed.confirm(channels)
    assert subscribed.notified == 0
    subscribed.confirm()
    assert subscribed.notified == 1


def test_a_resubscription_notifies_all_listeners_a_few_at_a_time() -> None:
    subscribed = Subscribed(MANY)
    subscribed.confirm()
    notified = [subscribed.notified]
    while subscribed.subscription._unnotified:
        subscribed.subscription.receive(None)
        notified.append(subscribed.notified)
    assert notified[-1] == MANY
    steps = [after - before for before, after in zip([0, *notified], notified, strict=False)]
    assert max(steps) == BATCH


def test_a_resubscription_notifies_fewer_while_calls_are_running_but_at_least_one() -> None:
    subscribed = Subscribed(MANY)
    subscribed.confirm(running_calls=95)
    assert subscribed.notified == 5
    subscribed.subscription._next_batch_at = 0
    subscribed.subscription.receive(None, running_calls=1000)
    assert subscribed.notified == 6


def test_the_awaited_store_counts_its_running_calls_when_it_has_resubscribed() -> None:
    """So they do not all read from a slow server at once and time out."""

    class PubSub(FakePubSub):
        confirmed = False

        async def get_message(self, timeout: float) -> dict[str, object]:
            if self.confirmed:
                await asyncio.Event().wait()  # until the store is closed
            self.confirmed = True
            return {"type": "subscribe", "data": BUCKETS}

    class SlowClient:
        pubsub = PubSub
        answers = asyncio.Event()

        async def execute_command(self, *_: object) -> object:
            await self.answers.wait()
            return "nothing of ours"

    async def scenario() -> int:
        store = AsyncRedisStore(SlowClient())  # type: ignore[arg-type]
        calls = [
            asyncio.create_task(store.apply(Command("id", TABLE["status"], "mark")))
            for _ in range(95)
        ]
        await asyncio.sleep(0)
        listeners = [store.listen(f"login-{number}") for number in range(MANY)]
        while not (notified := sum(listener._notified for listener in listeners)):
            await asyncio.sleep(0)
        SlowClient.answers.set()
        await asyncio.gather(*calls, return_exceptions=True)
        await store.close()
        return notified

    assert asyncio.run(scenario()) == 5


def test_a_published_change_overtakes_the_listeners_that_are_still_to_be_notified() -> None:
    subscribed = Subscribed(MANY)
    subscribed.confirm()
    assert not subscribed.listeners[-1]._flag.is_set()
    subscribed.subscription.receive({"type": "message", "data": f"login-{MANY - 1} 2"})
    assert subscribed.listeners[-1]._flag.is_set()


def seconds_until_dead(subscription: Subscription) -> float:
    """How long a subscription receives nothing before it is given up."""
    silent, pings = 0.0, 0
    while silent < 10:
        silent += subscription.timeout
        subscription.receive(None)
        try:
            pings += subscription.needs_ping()
        except ConnectionError:
            break
    assert pings <= 1
    return silent


@both_colours
def test_rereads_are_every_thirty_seconds(stores: Stores) -> None:
    for signature in (inspect.signature(stores), inspect.signature(stores.from_url)):
        assert signature.parameters["reread"].default == 30


@for_each_row("struck", [0, 1])
def test_a_silent_subscription_is_replaced_within_two_seconds_also_if_the_next_attempt_is_silent(
    struck: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt may fall silent while it connects, or when it has subscribed."""
    now = 0.0
    monkeypatch.setattr(subscription_module, "monotonic", lambda: now)
    for connects in (False, True):
        subscribed, began = Subscribed(1), now
        subscribed.confirm()
        subscription = subscribed.subscription
        now += seconds_until_dead(subscription)
        for _ in range(struck):
            now += subscription.pause_after(LOST)
            limit = subscription.begin()
            now += limit if connects else seconds_until_dead(subscription)
        now += subscription.pause_after(LOST)
        assert 1 < now - began <= 2
        subscription.begin()
        subscribed.confirm()
        assert subscribed.notified == 1


def test_after_many_failures_an_attempt_has_as_long_as_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The network may be slow. A subscription that took long to make is believed for longer,
    until a PING is answered sooner.
    """
    now = 0.0
    monkeypatch.setattr(subscription_module, "monotonic", lambda: now)
    subscribed = Subscribed(0)
    subscription = subscribed.subscription
    limits = []
    for _ in range(6):
        limits.append(subscription.begin())
        assert seconds_until_dead(subscription) == limits[-1]
        subscription.pause_after(LOST)
    assert limits == [0.5, 0.5, 0.5, 1.0, 2.0, 2.0]
    subscription.begin()
    now += 0.9
    subscribed.confirm()
    assert seconds_until_dead(subscription) > 0.5 + 1.5
    subscription.pause_after(LOST)
    assert subscription.begin() == 1.8
    now += 0.9
    subscribed.confirm()
    while not subscription.needs_ping():
        subscription.receive(None)
    subscription.receive({"type": "pong", "data": ""})
    assert seconds_until_dead(subscription) == 0.5 + 0.75


def test_an_answered_ping_keeps_the_subscription() -> None:
    subscribed, pings = Subscribed(0), 0
    subscribed.confirm()
    subscription = subscribed.subscription
    for _ in range(100):
        subscription.receive(None)
        if subscription.needs_ping():
            pings += 1
            subscription.receive({"type": "pong", "data": b""})
    assert pings > 10


def test_attempts_begin_more_and_more_seldom_and_at_most_a_second_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(subscription_module, "monotonic", lambda: now)
    subscribed = Subscribed(0)
    pauses = [subscribed.subscription.pause_after(LOST) for _ in range(2000)]
    assert max(pauses[:2]) < 0.3 < 0.5 <= min(pauses[10:])
    assert max(pauses) <= 1.0
    subscribed.subscription.begin()
    now += 2.0  # which the attempt has taken
    assert 0 < subscribed.subscription.pause_after(LOST) <= 0.05
    subscribed.confirm()
    assert subscribed.subscription.pause_after(LOST) < 0.3


# What is logged


@pytest.fixture
def outages(caplog: pytest.LogCaptureFixture) -> OutageLog:
    caplog.set_level("INFO", "qrlogin")
    return OutageLog("Redis", describe, lambda: False)


def test_calls_and_notifications_that_fail_together_are_one_outage(
    outages: OutageLog, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        outages.failed("notifications", LOST)
        outages.unavailable(RedisTimeoutError())
    outages.works("calls")
    outages.works("calls")
    assert outage_levels(caplog) == ["WARNING"]
    outages.works("notifications")
    assert outage_levels(caplog) == ["WARNING", "INFO"]
    assert "RedisConnectionError" not in caplog.text
    assert "(ConnectionError)" in caplog.text
    assert "secret" not in caplog.text


def test_a_server_that_comes_and_goes_does_not_fill_the_log(
    outages: OutageLog, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(outages_module, "monotonic", lambda: now)
    for _ in range(100):
        outages.unavailable(LOST)
        outages.works("calls")
    assert outage_levels(caplog) == ["WARNING", "INFO"]
    now += outages_module.QUIET_SECONDS
    outages.unavailable(LOST)
    assert outage_levels(caplog) == ["WARNING", "INFO", "WARNING"]


def test_notifications_that_are_refused_for_good_do_not_hide_an_outage(
    outages: OutageLog, caplog: pytest.LogCaptureFixture
) -> None:
    refused: Any = OutOfMemoryError("OOM command not allowed")
    outages.failed("notifications", refused)
    outages.unavailable(LOST)
    assert outage_levels(caplog) == ["WARNING", "WARNING"]
    assert "OutOfMemoryError" in caplog.text
    outages.works("calls")
    assert outage_levels(caplog) == ["WARNING", "WARNING", "INFO"]


def test_a_store_that_is_closed_logs_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    OutageLog("Redis", describe, lambda: True).unavailable(LOST)
    assert outage_levels(caplog) == []
