"""Proves a store. Write this and let pytest collect it:

    from qrlogin.stores.suite import StoreSuite

    class TestMyStore(StoreSuite):
        shared = True  # two stores see the same logins; omit it for a store in memory

        def make_store(self, now):
            return MyStore(now=now)

If all tests pass, your store can be trusted with logins.

`now` is a function that returns milliseconds since 1970. The suite moves that clock, so here your
store must take its time from it. In production, your store has its own clock, one for all
processes. For an asyncio store, use `AsyncStoreSuite`, whose `make_store` may be `async def`.

Each test makes a store (two if it is shared) and closes it. All of them may use one database,
because no two tests have the same login_id. If your store re-reads on a timer, set it to minutes
here. Else the suite checks the timer and not the notifications.

What it proves, module by module:

- `stories`: what one login may do, step by step, with repeats and deadlines.
- `devices`: typed codes, counted guesses, and polls that are slowed down.
- `cases`: every row of the table in every situation, against `qrlogin.step.step`.
- `machine`: random sequences of calls by Hypothesis, against a model.
- `races`: simultaneous calls.
- `waits`: notifications, `end` and `close`.

It needs pytest and hypothesis: pip install 'qrlogin[testing]'.
"""

from collections.abc import Awaitable, Callable, Iterator

try:
    import hypothesis  # noqa: F401
    import pytest
except ModuleNotFoundError as _missing:
    if _missing.name not in ("hypothesis", "pytest"):
        raise
    raise ImportError(
        f"qrlogin.stores.suite needs {_missing.name}: pip install 'qrlogin[testing]'"
    ) from _missing

_MODULES = ("colours", "world", "stories", "devices", "cases", "machine", "races", "waits")
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))

# Imported only now, so that pytest rewrites their asserts and shows the values in a failure.
from qrlogin.stores.protocol import AsyncStore, Store  # noqa: E402
from qrlogin.stores.suite.cases import Cases  # noqa: E402
from qrlogin.stores.suite.colours import Awaited, Blocking  # noqa: E402
from qrlogin.stores.suite.devices import Devices  # noqa: E402
from qrlogin.stores.suite.machine import Sequences  # noqa: E402
from qrlogin.stores.suite.races import Races  # noqa: E402
from qrlogin.stores.suite.stories import Stories  # noqa: E402
from qrlogin.stores.suite.waits import CancelledWaits, Waits  # noqa: E402
from qrlogin.stores.suite.world import World  # noqa: E402

__all__ = ["AsyncStoreSuite", "StoreSuite"]

Now = Callable[[], int]  # milliseconds since 1970


class StoreSuite(Stories, Devices, Cases, Sequences, Races, Waits):
    """The tests of a store that blocks."""

    shared = False
    """Whether two stores that `make_store` returns see the same logins."""

    def make_store(self, now: Now) -> Store:
        """A new store that takes the time from `now`. Override this."""
        raise NotImplementedError("write make_store(self, now): it returns the store to prove")

    @pytest.fixture
    def world(self) -> Iterator[World]:
        world = World(Blocking(), self.make_store, shared=self.shared)
        yield world
        world.close()


class AsyncStoreSuite(Stories, Devices, Cases, Sequences, Races, Waits, CancelledWaits):
    """The tests of an asyncio store: the same, and one for cancelled calls."""

    shared = False
    """Whether two stores that `make_store` returns see the same logins."""

    def make_store(self, now: Now) -> AsyncStore | Awaitable[AsyncStore]:
        """A new store that takes the time from `now`. Override this; it may be `async def`."""
        raise NotImplementedError(
            "write make_store(self, now): it returns the store to prove, and may be async"
        )

    @pytest.fixture
    def world(self) -> Iterator[World]:
        world = World(Awaited(), self.make_store, shared=self.shared)
        yield world
        world.close()
