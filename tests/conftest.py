"""The fixtures of all tests, the profiles of Hypothesis, and the fast lane of `make check`.

`make test` runs several workers, each a process with servers and a browser of its own. They live as
long as the worker and its tests share them: a test keeps apart by a random key prefix, and one that
stops, pauses or counts takes `own_redis`.
"""

import os
import secrets
import subprocess
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import system_parts
from hypothesis import settings

from tests import application, servers

# No deadline anywhere: a shared machine is slow now and then, and that is no bug. In CI the same examples every time,
# so that a red run is about the change and not about the dice. Whoever hunts: HYPOTHESIS_PROFILE=thorough make test
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if system_parts.in_ci() else "default")
)


# `make check`: what can be proved without another program. No list says which tests these are,
# because a list would rot: a test that starts a program is skipped at that moment. The folders whose
# every test does so are not even collected.
PROGRAMS = [Path(__file__).parent / folder for folder in ("browser", "clients", "demo", "examples")]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast",
        action="store_true",
        help="skip tests that start a program, leave out the long ones",
    )


@pytest.fixture(scope="session", autouse=True)
def _no_programs(pytestconfig: pytest.Config) -> Iterator[None]:
    def refuse(*arguments: object, **options: object) -> None:
        pytest.skip("starts another program, so it is not for `make check`")

    with pytest.MonkeyPatch.context() as patch:
        if pytestconfig.getoption("fast"):
            patch.setattr(subprocess.Popen, "__init__", refuse)
            patch.setattr(subprocess.Popen, "__del__", lambda _: None)
        yield


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.getoption("fast") and collection_path in PROGRAMS else None


# Here a person's story passes through browsers and servers that are processes of their own. In CI such a test may be told
# once more, and the summary lists it, because a machine with two cores stops one of them for seconds now and then. What
# decides, a property, a table, a store, is never asked twice.
STORIES = [Path(__file__).parent / folder for folder in ("browser", "clients", "demo", "examples")]


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three for each core, because tests that talk to a program wait; one where none is started.

    More cost more than they save: each worker collects all tests and starts servers of its own. With
    `-k` the few tests run in this process.
    """
    if config.option.keyword:
        return 0
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return cores if config.getoption("fast") else min(3 * cores, 8)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """The workers must list the same tests in the same order, also those that are drawn from a set."""
    os.environ.setdefault("PYTHONHASHSEED", str(secrets.randbelow(2**32)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In CI stories may be told again. Each worker begins with its share of the long tests: none begins when all else is done.

    The workers are first given equal parts of this list, in its order, and take from each other's ends when theirs is done.
    """
    if config.getoption("fast"):
        slow = [item for item in items if any(map(item.get_closest_marker, ("long", "matrix")))]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    for item in items:
        if system_parts.in_ci() and any(story in item.path.parents for story in STORIES):
            item.add_marker(pytest.mark.flaky(reruns=1))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    others = iter([item for item in items if not item.get_closest_marker("long")])
    sizes = [
        len(items) // workers + (worker >= workers - len(items) % workers)
        for worker in range(workers)
    ]
    items.clear()
    for worker, size in enumerate(sizes):
        first = long[worker::workers]
        items += [*first, *islice(others, max(0, size - len(first)))]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis (or, where there is none, Valkey) on loopback."""
    with servers.RedisServer(servers.redis_binary()) as server:
        yield server.url


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A real Valkey on loopback."""
    with servers.RedisServer(servers.valkey_binary()) as server:
        yield server.url


@pytest.fixture
def own_redis() -> Iterator[servers.RedisServer]:
    """A Redis for this one test, to stop, pause, restart or count."""
    with servers.RedisServer(servers.redis_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """A real Chromium; start it with `servers.CHROMIUM_ARGUMENTS`."""
    return servers.chromium_binary()


@pytest.fixture(params=[application.blocking, application.awaited])
def run(request: pytest.FixtureRequest) -> application.Run[Any]:
    """How an operation is carried out: by `QRLogin` and by `AsyncQRLogin`."""
    carry: application.Run[Any] = request.param
    return carry
