"""Logins under every fault, and a table of what went wrong: `make faults`, in three minutes.

`python -m tests.faults D8 D2 --seed 7` plays some faults; `--long` plays the sizes of a release,
and `--small` those of the tests. `--write` puts the table of a whole run into docs/reliability.md.
It fails if something went wrong that must not.
"""

import argparse
import logging
import os
import platform
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from types import FrameType
from typing import Any

import pytest

from tests.faults import report
from tests.faults.rows import NotHere, Row
from tests.faults.scenarios import SCENARIOS, STORES, Scenario
from tests.servers import postgres_binary, redis_binary


def machine() -> str:
    """What the run was measured on."""
    if sys.platform != "linux":
        return platform.platform()
    from benchmarks.machine import description

    return description()


def versions() -> dict[str, str]:
    """What the run depends on."""
    found = {"Python": sys.version.split()[0], "redis-py": version("redis")}
    for name, binary in (("Redis", redis_binary), ("PostgreSQL", postgres_binary)):
        said = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=False)
        words = said.stdout.replace("v=", "").split()
        found[name] = next((word for word in words if word[0].isdigit()), "?")
    return found


def play(scenario: Scenario, store: str, size: str, seed: int) -> Row | str:
    """One row; or why it cannot be played here."""
    try:
        return scenario.play(STORES[store], getattr(scenario, size), seed)
    except (NotHere, pytest.skip.Exception) as reason:
        return str(reason)
    except Exception as error:  # the others go on
        traceback.print_exc()
        row = Row(scenario.name, store, seed)
        row.add("untyped", f"the scenario itself failed: {type(error).__name__}: {error}")
        return row


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names)}; all if none")
    parser.add_argument("--store", nargs="+", default=[], help=f"of {', '.join(STORES)}")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--long", action="store_const", const="long", dest="size", default="usual")
    sizes.add_argument("--small", action="store_const", const="small", dest="size")
    parser.add_argument("--seed", type=int, default=1, help="draws the same people and times again")
    parser.add_argument("--jobs", type=int, help="how many at the same time: 3, or 1 if --long")
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    options = parser.parse_args(argv)
    if unknown := {*options.names} - {name.split()[0] for name in names} - {*names}:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    # Each fault would write lines about its outage.
    logging.getLogger("qrlogin").setLevel(logging.CRITICAL)
    began, absent, rows, right = time.monotonic(), dict[str, str](), list[dict[str, Any]](), True

    def one(scenario: Scenario, store: str) -> Row | str:
        start = time.monotonic()
        row = play(scenario, store, options.size, options.seed)
        what = row if isinstance(row, str) else f"{row.logins} logins, {row.faults} faults"
        took = time.monotonic() - start
        print(
            f"{time.strftime('%H:%M:%S')} {scenario.name}, {store}: {what}, {took:.0f} s",
            flush=True,
        )
        return row

    pairs = [
        (scenario, store)
        for scenario in SCENARIOS
        if not options.names or {scenario.name, scenario.name.split()[0]} & {*options.names}
        for store in scenario.stores
        if not options.store or store in options.store
    ]
    # Most of the time they wait: for a server that starts, or for a time-out.
    jobs = options.jobs or (1 if options.size == "long" else 3)
    with ThreadPoolExecutor(jobs) as threads:  # each row stops its own servers
        played = [*threads.map(lambda pair: one(*pair), pairs)]
    for (scenario, store), row in zip(pairs, played, strict=True):
        if isinstance(row, str):
            absent[f"{scenario.name}, {store}"] = row
            continue
        right &= row.clean
        rows.append({"scenario": scenario.name, **row.as_figures()})
        for failure in () if row.clean else row.failures:
            print(f"{scenario.name}, {store}: {failure}")
    figures = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(),
        "arguments": {"usual": "", "long": " ARGS=--long", "small": " ARGS=--small"}[options.size],
        "seed": options.seed,
        "load": round(max(os.getloadavg())),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "absent": absent,
        "rows": rows,
    }
    print(report.plain(rows))
    if options.write and not options.names and not options.store:
        report.write(figures)
    print("nothing went wrong" if right else "SOMETHING WENT WRONG")
    return int(not right)


def _stop(number: int, frame: FrameType | None) -> None:
    """On SIGTERM: end what runs now, with its servers, and begin nothing more."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main(sys.argv[1:]))
