"""The suite over naive stores, for `test_naive` to run: pytest does not collect it by itself."""

from collections.abc import Callable

from hypothesis import Phase, settings

from qrlogin.stores.suite import StoreSuite, stories
from tests.stores.naive import NaiveStore

# The shortest failing sequence is not needed.
settings.register_profile(
    "found is enough", parent=settings.get_profile("ci"), phases=[Phase.generate]
)
settings.load_profile("found is enough")
stories.PATIENCE = 2.0  # type: ignore[attr-defined]  # for a record that is never deleted


class TestForgiving(StoreSuite):
    def make_store(self, now: Callable[[], int]) -> NaiveStore:
        return NaiveStore(now=now, forgiving=True)


class TestLocked(StoreSuite):
    def make_store(self, now: Callable[[], int]) -> NaiveStore:
        return NaiveStore(now=now, locked=True)
