"""docs/scaling.md: its tables are those of the model, and the model is that of a real server."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import report, scaling, simulate
from tests.tables import for_each_row

DEPLOY = (Path(__file__).parent.parent / "docs" / "deploy.md").read_text("utf-8")
COSTS = scaling.Costs.of(report.read())


def test_the_costs_are_those_of_the_page_about_performance() -> None:
    """The tables themselves are compared in test_performance.py."""
    figures = report.read()
    ours = figures["costs"]["servers"][scaling.OURS]
    assert 1 < COSTS.login_us / (ours["login"]["median"] * 1000) < 1.5  # with all limits
    assert COSTS.waiting_kb == figures["parked"][scaling.OURS]["kb"]
    assert 3 * COSTS.poll_us > ours["poll"]["median"] * 1000
    # Of docs/deploy.md, whose figures a test compares with a real Redis.
    for text, number in (
        ("memory for a login that was begun | (.) KB", scaling.BEGUN_BYTES / 1000),
        ("memory for a login that was confirmed | (.) KB", scaling.CONFIRMED_BYTES / 1000),
        ("commands for a login | (.) calls", scaling.CALLS_PER_LOGIN),
        ("how long a login is kept | about (.) minutes", scaling.KEPT / 60),
    ):
        assert re.findall(re.escape(text).replace(r"\(\.\)", "(.)"), DEPLOY) == [f"{number:.0f}"]


@for_each_row(
    "logins, waiting, begins",
    [
        (0.001, 1200, 10.0),  # nobody scans: each page begins one every 120 seconds
        (100, 1200, 100.0),  # all are scanned after 12 seconds
        (10, 1200, 15.82),  # a page is scanned after 120 seconds on average
    ],
)
def test_pages_that_are_left_open_begin_logins_again(
    logins: float, waiting: int, begins: float
) -> None:
    assert scaling.Load(logins, waiting).begins == pytest.approx(begins, rel=0.01)


def test_a_site_of_twice_the_size_needs_twice_as_much() -> None:
    once = scaling.needs(scaling.Load(50, 20_000), COSTS)
    twice = scaling.needs(scaling.Load(100, 40_000), COSTS)
    for name in ("calls", "cores", "redis_cores", "memory_mb", "redis_mb", "megabits"):
        assert getattr(twice, name) == pytest.approx(2 * getattr(once, name))
    dearer = replace(COSTS, login_us=2 * COSTS.login_us)
    assert scaling.needs(scaling.Load(50, 20_000), dearer).cores > once.cores


@pytest.mark.matrix
def test_the_model_counts_what_a_real_server_counts() -> None:
    """Its CPU is not compared: it is that of another machine."""
    run = simulate.simulate(150, 2, 40)
    assert run["wrong"] == {}
    print(scaling.simulated_table(run, COSTS))
    for name, predicted, measured in scaling.compare(run, COSTS):
        if name.endswith("a second") or name.startswith(("bytes", "open files")):
            assert measured == pytest.approx(predicted, rel=0.3), name
