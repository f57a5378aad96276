"""Fixtures: Chromium, and each example, started once for all tests that only log in and out."""

from collections.abc import Callable, Iterator

import pytest

from tests.browser.conftest import chromium, loop, pytest_pyfunc_call
from tests.examples.running import ALL, Running

# These run as processes of their own. Importing one here would set up Django for all other tests.
collect_ignore_glob = ["existing_*", "inside_django.py"]

__all__ = ["chromium", "loop", "pytest_pyfunc_call"]


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], Running]]:
    """Returns the running example with this name, over memory, started as its README says."""
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
