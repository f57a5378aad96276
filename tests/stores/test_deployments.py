"""The suite passes over each way to deploy Redis, in both colours, opened by its address alone."""

from collections.abc import Callable, Iterator

import pytest

from qrlogin.stores import AsyncRedisStore, RedisStore, open_async_store, open_store
from qrlogin.stores.suite import AsyncStoreSuite, StoreSuite
from qrlogin.stores.suite.colours import PATIENCE, Awaited, Blocking
from qrlogin.stores.suite.world import World
from tests.stores.deployments import DEPLOYMENTS
from tests.stores.redis_world import Stores, both_colours

#: Servers of these start in a second. Of the others, the matrix and their own modules have tests.
QUICK = ("Unix socket", "TLS", "Valkey")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=() if name in QUICK else pytest.mark.matrix)
        for name in DEPLOYMENTS
    ],
)
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    with DEPLOYMENTS[request.param]() as found:
        yield found


@both_colours
def test_a_login_works_over_every_deployment(address: str, stores: Stores) -> None:
    """A wait is notified over the deployment, too."""
    awaited = issubclass(stores, AsyncRedisStore)
    opening = open_async_store if awaited else open_store
    assert type(opening(address)) is stores  # and connects nowhere
    world = World(
        Awaited() if awaited else Blocking(),
        lambda now: stores.from_url(address, timeout=PATIENCE, reread=600),
        shared=True,
    )
    try:
        login = world.begin()
        waiting = world.start_wait(login)
        world.elsewhere.run(login.scan("alice"))
        assert waiting.result(PATIENCE).state == "scanned"
        login.walk("confirm")
        assert world.elsewhere.run(login.call("redeem")).subject == "alice"
    finally:
        world.close()


@pytest.fixture(scope="class")
def address_of_class(request: pytest.FixtureRequest) -> Iterator[str]:
    with DEPLOYMENTS[request.cls.where]() as found:
        yield found


class _Suite:
    shared = True
    where: str

    @pytest.fixture(autouse=True)
    def _server(self, address_of_class: str) -> None:
        self.address = address_of_class


class _Blocking(_Suite, StoreSuite):
    def make_store(self, now: Callable[[], int]) -> RedisStore:
        return RedisStore.from_url(self.address, reread=600, timeout=PATIENCE, now=now)


class _Awaited(_Suite, AsyncStoreSuite):
    async def make_store(self, now: Callable[[], int]) -> AsyncRedisStore:
        return AsyncRedisStore.from_url(self.address, reread=600, timeout=PATIENCE, now=now)


class TestTLS(_Blocking):
    where = "TLS"


class TestAsyncTLS(_Awaited):
    where = "TLS"


class TestUnixSocket(_Blocking):
    where = "Unix socket"


class TestAsyncUnixSocket(_Awaited):
    where = "Unix socket"


class TestSentinel(_Blocking):
    where = "Sentinel"


class TestAsyncSentinel(_Awaited):
    where = "Sentinel"


class TestAsyncCluster(_Awaited):
    where = "Cluster"


class TestAsyncValkey(_Awaited):
    where = "Valkey"
