"""Fixtures: Chromium, and each example, started once for all tests that only log in and out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import chromium, loop, pytest_pyfunc_call
from tests.examples.running import ALL, Running

# These run as processes of their own. Importing one here would set up Django for all other tests.
collect_ignore_glob = ["existing_*", "variants", "inside_django.py"]

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


#: What takes long and depends little on the framework, whose adapter tests/contrib holds to rules.
ONE_FRAMEWORK = [
    Path(__file__).with_name(name)
    for name in (
        *("test_audit.py", "test_browser.py", "test_looks.py", "test_security.py"),
        "test_text.py",
    )
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` tries Flask alone in these modules; the matrix tries all three examples.

    Every example passes the HTTP story in `make test`.
    """
    for item in items:
        asked = getattr(item, "callspec", None)
        named = asked.params.get("example") if asked else None
        if item.path in ONE_FRAMEWORK and named in ("FastAPI", "Django"):
            item.add_marker(pytest.mark.matrix)
