"""The examples, each started once for all tests that only log in and out of it. The browser is that of tests/browser."""

from collections.abc import Callable, Iterator

import pytest

from tests.browser.conftest import chromium, loop, pytest_pyfunc_call
from tests.examples.running import ALL, Running

# Applications of their own, which run as processes: importing one here would set up Django for every other test.
collect_ignore_glob = ["existing_*", "inside_django.py"]

__all__ = ["chromium", "loop", "pytest_pyfunc_call"]


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], Running]]:
    """An example by its name, over memory, as its README starts it."""
    running: dict[str, Running] = {}

    def start(name: str) -> Running:
        if name not in running:
            running[name] = Running(ALL[name])
        return running[name]

    yield start
    for each in running.values():
        each.close()


@pytest.fixture(params=ALL)
def example(request: pytest.FixtureRequest, started: Callable[[str], Running]) -> Running:
    return started(request.param)
