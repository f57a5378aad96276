"""Proves a store. Write this, let pytest collect it, and a green run means that your store can be trusted with logins:

    from qrlogin.stores.suite import StoreSuite

    class TestMyStore(StoreSuite):
        shared = True  # two of them see the same logins, as in two processes; leave it out for a store in memory

        def make_store(self, now):
            return MyStore(now=now)

`now` is a function that returns milliseconds since 1970: the suite turns the clock, so your store has to go by it here, and by
its own clock, the one that all processes share, in earnest. Each test makes a store (two, if it is shared) and closes it; their
logins never meet, so all of them may live in one database. For a store that is awaited there is `AsyncStoreSuite`, whose
`make_store` may be `async def`. If parked waits re-read by a timer, set it to minutes here, or the timer is proven and not the
wake-ups.

What is held, in six rooms: `stories` (what people live through), `devices` (codes that are typed, guesses that are counted,
polls that are paced), `cases` (every row of the table in every situation, against `qrlogin.step.step`), `machine` (sequences
drawn by Hypothesis, against a model), `races` and `waking`. It needs pytest and hypothesis: pip install 'qrlogin[testing]'.
"""

from collections.abc import Awaitable, Callable, Iterator

try:
    import hypothesis  # noqa: F401
    import pytest
except ModuleNotFoundError as missing:
    if missing.name not in ("hypothesis", "pytest"):
        raise
    raise ImportError(
        f"qrlogin.stores.suite needs {missing.name}: pip install 'qrlogin[testing]'"
    ) from missing

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{room}"
        for room in (
            "colours",
            "world",
            "stories",
            "devices",
            "cases",
            "machine",
            "races",
            "waking",
        )
    )
)

from qrlogin.stores.protocol import AsyncStore, Store  # noqa: E402 - after pytest was told to explain our asserts
from qrlogin.stores.suite.cases import Cases  # noqa: E402
from qrlogin.stores.suite.colours import Awaited, Blocking  # noqa: E402
from qrlogin.stores.suite.devices import Devices  # noqa: E402
from qrlogin.stores.suite.machine import Sequences  # noqa: E402
from qrlogin.stores.suite.races import Races  # noqa: E402
from qrlogin.stores.suite.stories import Stories  # noqa: E402
from qrlogin.stores.suite.waking import Cancelling, Waking  # noqa: E402
from qrlogin.stores.suite.world import World  # noqa: E402

__all__ = ["AsyncStoreSuite", "StoreSuite"]

Now = Callable[[], int]


class StoreSuite(Stories, Devices, Cases, Sequences, Races, Waking):
    """For a store that blocks."""

    shared = False

    def make_store(self, now: Now) -> Store:
        raise NotImplementedError("make_store(self, now) returns the store to be proven")

    @pytest.fixture
    def world(self) -> Iterator[World]:
        world = World(Blocking(), self.make_store, shared=self.shared)
        yield world
        world.close()


class AsyncStoreSuite(Stories, Devices, Cases, Sequences, Races, Waking, Cancelling):
    """For a store that is awaited: the same tests, and what cancellation adds."""

    shared = False

    def make_store(self, now: Now) -> AsyncStore | Awaitable[AsyncStore]:
        raise NotImplementedError(
            "make_store(self, now) returns the store to be proven, or is async and does"
        )

    @pytest.fixture
    def world(self) -> Iterator[World]:
        world = World(Awaited(), self.make_store, shared=self.shared)
        yield world
        world.close()
