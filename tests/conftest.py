"""The fixtures of all tests, the profiles of Hypothesis, and the fast mode of `make check`.

`make test` runs several workers. Each is a process with servers and a browser of its own, which
live as long as the worker and are shared by its tests. A test uses a random key prefix, and a test
that stops, pauses or counts takes `own_redis`.
"""

import gc
import os
import secrets
import subprocess
from collections.abc import Generator, Iterator
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import pytest
import system_parts
from hypothesis import settings
from pytest_markdown_docs.plugin import MarkdownDocstringCodeModule

from tests import application, servers

#: The fixtures that applications get, too.
pytest_plugins = ["qrlogin.testing.plugin"]

# No deadlines: a shared machine is slow at times, which is no bug. CI uses the same examples in
# each run, so that a failure is caused by the change: the usual hundred. Elsewhere each run draws
# 40 others. To search longer: HYPOTHESIS_PROFILE=thorough make test
settings.register_profile("default", deadline=None, print_blob=True, max_examples=40)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if system_parts.in_ci() else "default")
)


# `make check` runs the tests that start no other program. There is no list of them, which would get
# out of date: a test that starts a program is skipped at that moment. Folders in which every test
# does so are not collected.
PROGRAMS = [
    Path(__file__).parent / folder
    for folder in ("browser", "clients", "demo", "examples", "proxies")
]


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


def pytest_configure() -> None:
    """Collects no garbage while the tests are imported: what they define stays until the end."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Collects garbage again, without a look at the imported modules and the tests each time.

    They are a million objects, so every full collection would take a quarter of a second.
    """
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path,
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Looks for no examples in the docstrings of tests: each worker would read them all.

    README.md and docs/ have the examples, and the tests run them.
    """
    found = yield
    return [each for each in found if not isinstance(each, MarkdownDocstringCodeModule)]


# The tests in these folders use browsers and servers in processes of their own. CI may repeat such
# a test once, and lists it in the summary, because a machine with two cores sometimes stops a
# process for seconds. Other tests (of a property, a table, a store) are never repeated.
STORIES = [*PROGRAMS, Path(__file__).parent / "spa"]


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three workers for each core, because most tests wait for a program; two in the fast mode.

    More would not be faster: each worker collects all tests and starts servers of its own. With
    `-k` the tests run in this process.
    """
    if config.option.keyword:
        return 0
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min((2 if config.getoption("fast") else 3) * cores, 8)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Every worker must collect the same tests in the same order, also those from a set."""
    os.environ.setdefault("PYTHONHASHSEED", str(secrets.randbelow(2**32)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests that CI may repeat, and orders all tests so that the long ones start first.

    Each worker first gets an equal part of this list, in order, and later takes tests from the ends
    of the other parts. So each part begins with its share of the long tests. Those of one module
    stay together, because they may share a fixture that takes long to make.
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
    modules = [list(tests) for _, tests in groupby(long, key=lambda item: item.path)]
    others = iter([item for item in items if not item.get_closest_marker("long")])
    sizes = [
        len(items) // workers + (worker >= workers - len(items) % workers)
        for worker in range(workers)
    ]
    items.clear()
    for worker, size in enumerate(sizes):
        first = list(chain.from_iterable(modules[worker::workers]))
        items += [*first, *islice(others, max(0, size - len(first)))]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis on loopback, or Valkey if there is no Redis."""
    with servers.RedisServer(servers.redis_binary()) as server:
        yield server.url


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A real Valkey on loopback."""
    with servers.RedisServer(servers.valkey_binary()) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL on loopback."""
    with servers.PostgresServer() as server:
        yield server.url


@pytest.fixture
def own_postgres() -> Iterator[servers.PostgresServer]:
    """A PostgreSQL for this one test, to stop, pause or restart."""
    with servers.PostgresServer() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[servers.RedisServer]:
    """A Redis for this one test, to stop, pause, restart or count."""
    with servers.RedisServer(servers.redis_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of a real Chromium. Start it with `servers.CHROMIUM_ARGUMENTS`."""
    return servers.chromium_binary()


@pytest.fixture(params=[application.blocking, application.awaited])
def run(request: pytest.FixtureRequest) -> application.Run[Any]:
    """Runs an operation, once with `QRLogin` and once with `AsyncQRLogin`."""
    carry: application.Run[Any] = request.param
    return carry
