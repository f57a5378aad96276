"""A thousand logins leave nothing in a store, an endpoint or the process. `make soak` runs more."""

import os
import sys
from dataclasses import replace

import pytest

from tests.environments import ROOT, run
from tests.faults.soak import NAMES, Soak
from tests.tables import for_each_row

LOGINS = 1000


@pytest.mark.matrix
@pytest.mark.parametrize("name", NAMES)
def test_logins_leave_nothing_behind(name: str) -> None:
    """In a process of its own: that of the tests has other threads, which make objects, too."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
    command = [sys.executable, "-m", "tests.faults.soak", name, "--logins", str(LOGINS)]
    assert f"{name} " in run(command, PYTHONPATH=paths)


@for_each_row(
    "grown, problem",
    [
        ({"rss_after": 106_500_000}, "memory"),
        ({"objects_after": 53_000}, "objects"),
        ({"without_end": 1}, "records without an end"),
        ({"records": 0}, "no records"),
        ({"rss_after": 105_500_000, "objects_after": 51_500}, ""),
    ],
)
def test_a_soak_says_what_grew(grown: dict[str, int], problem: str) -> None:
    flat = Soak("memory", 100_000, 100_000_000, 100_000_000, 50_000, 50_000, 2000, 0, 50.0)
    assert flat.problem == ""
    assert replace(flat, **grown).problem == problem  # type: ignore[arg-type]
