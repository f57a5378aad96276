"""The suite names what its author lacks, and has the same tests for both colours."""

import subprocess
import sys

import pytest

from qrlogin.stores.suite import AsyncStoreSuite, StoreSuite


@pytest.mark.parametrize("part", ["pytest", "hypothesis"])
def test_without_its_tools_the_suite_names_what_to_install(part: str) -> None:
    code = f"import sys; sys.modules[{part!r}] = None; import qrlogin.stores.suite"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        f"ImportError: qrlogin.stores.suite needs {part}: pip install 'qrlogin[testing]'"
        in ran.stderr
    )


@pytest.mark.parametrize("suite", [StoreSuite, AsyncStoreSuite])
def test_without_a_store_the_suite_names_the_method_to_write(
    suite: type[StoreSuite] | type[AsyncStoreSuite],
) -> None:
    with pytest.raises(
        NotImplementedError, match=r"make_store\(self, now\): it returns the store to prove"
    ):
        suite().make_store(lambda: 0)


def test_the_suites_of_both_colours_have_the_same_tests() -> None:
    """The awaited suite adds a test of cancellation."""
    blocking, awaited = (
        {name for name in dir(suite) if name.startswith("test_")}
        for suite in (StoreSuite, AsyncStoreSuite)
    )
    assert awaited - blocking == {"test_a_cancelled_wait_leaves_nothing_behind"}
    assert blocking <= awaited
