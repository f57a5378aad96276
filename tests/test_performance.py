"""Figures that no load of a machine changes, and the pages that show those of the last run."""

import os
import re
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from benchmarks import counts, figures, report
from tests.servers import missing
from tests.tables import for_each_row

ROOT = Path(__file__).parent.parent
ENV = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}", "PYTHONHASHSEED": "0"}


def test_no_part_executes_ten_percent_more_than_recorded() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.counts"],
        cwd=ROOT,
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 3:
        missing("the instruction counts of this Python", done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr


@for_each_row(
    "count, lines",
    [
        (1000, []),
        (1100, []),
        (500, []),
        (1101, ["begin: instructions: 1101 where 1000 are recorded (+10%)"]),
        (2000, ["begin: instructions: 2000 where 1000 are recorded (+100%)"]),
    ],
)
def test_a_part_may_grow_by_ten_percent(count: int, lines: list[str]) -> None:
    recorded = {"begin": {"instructions": 1000, "calls_of_c": 10}}
    assert counts.grown({"begin": {"instructions": count, "calls_of_c": 10}}, recorded) == lines


def test_more_calls_of_c_and_a_part_without_a_figure_fail_too() -> None:
    recorded = {"begin": {"instructions": 1000, "calls_of_c": 10}}
    found = {"begin": {"instructions": 1, "calls_of_c": 12}, "new": {"instructions": 1}}
    assert counts.grown(found, recorded) == [
        "begin: calls of c: 12 where 10 are recorded (+20%)",
        "new: has no recorded figure",
    ]


def test_the_counts_are_exact() -> None:
    def hundred() -> int:
        return sum(number for number in range(100))

    def thousand() -> int:
        return sum(number for number in range(1000))

    assert counts.instructions(hundred) == counts.instructions(hundred)
    assert counts.instructions(thousand) > 9 * counts.instructions(hundred)
    assert counts.calls_of_c(lambda: [len("") for _ in range(7)]) >= 7


def test_the_recorded_parts_are_those_that_are_counted() -> None:
    for version, recorded in counts.recorded().items():
        assert list(recorded) == list(counts.parts()), version


def test_the_docs_and_the_readme_show_the_figures_of_the_last_run() -> None:
    for path, content in report.pages(report.read()).items():
        assert path.read_text("utf-8") == content, f"{path.name}: run python -m benchmarks.report"


def test_the_tables_of_a_quick_run_say_that_they_are_preliminary() -> None:
    run = report.read()
    for quick in (True, False):
        for table in (report.text, report.short):
            assert table({**run, "quick": quick}).count("Preliminary") == quick


def test_a_peer_that_is_absent_is_in_the_table_with_the_reason() -> None:
    run = deepcopy(report.read())
    del run["costs"]["servers"]["better-auth"]
    run["absent"] = {"better-auth": "npm could not install it"}
    assert "| better-auth | not measured: npm could not install it |" in report.text(run)


def test_each_bar_says_whether_it_is_reached() -> None:
    run = deepcopy(report.read())
    race = run["costs"]["races"]["ours, bare ASGI"]
    race |= {"trials": 10_000, "doubles": 0}
    run["parked"]["ours, bare ASGI"]["burst"] = {"200": 9_000}
    made = report.bars(run)
    assert "| doubles in 10 000 races | 0 | ≤ 0 |  | yes |" in made
    assert "| woken at once, and not answered 200 | 0 | ≤ 0 |  | yes |" in made
    race["doubles"] = 1
    run["parked"]["ours, bare ASGI"]["burst"] = {"200": 8_999, "503": 1}
    made = report.bars(run)
    assert "| doubles in 10 000 races | 1 | ≤ 0 |  | no |" in made
    assert "| woken at once, and not answered 200 | 1 | ≤ 0 |  | no |" in made


def test_the_plot_is_readable_in_light_and_dark() -> None:
    drawn = report.plot(report.read())
    assert "prefers-color-scheme: dark" in drawn
    assert "<title" in drawn
    for name in report.read()["costs"]["servers"]:
        assert f">{name}<" in drawn


@for_each_row(
    "windows, expected",
    [
        ([3.0], (3.0, 3.0, 3.0, 3.0)),
        ([1.0, 2.0, 3.0, 4.0, 5.0], (1.0, 3.0, 2.0, 4.0)),
        ([5.0, 1.0], (1.0, 3.0, 2.0, 4.0)),
    ],
)
def test_a_spread_is_the_best_the_median_and_the_middle_half(
    windows: list[float], expected: tuple[float, ...]
) -> None:
    found = figures.spread(windows)
    assert tuple(found[name] for name in ("best", "median", "low", "high")) == expected


def test_a_ratio_compares_windows_of_the_same_round() -> None:
    # In the second round the machine was three times as slow, for both.
    assert figures.ratio([1.0, 3.0, 1.0], [2.0, 6.0, 2.0]) == {
        "best": 0.5,
        "median": 0.5,
        "low": 0.5,
        "high": 0.5,
        "windows": 3,
    }


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if re.search(rf"^PPid:\t{pid}$", text, re.MULTILINE):
            found.append(int(status.parent.name))
    return found


@pytest.mark.matrix
@pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_benchmark_that_is_stopped_leaves_no_process(number: int) -> None:
    command = [sys.executable, "-m", "benchmarks", "--dry", "--only", "growth"]
    running: Any = subprocess.Popen(
        command,
        cwd=ROOT,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell lets what it starts with & ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with running:
        assert any("live logins in Redis" in line for line in running.stdout)
        started = children(running.pid)
        assert started
        running.send_signal(number)
        running.communicate(timeout=120)
    assert running.returncode != 0
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
