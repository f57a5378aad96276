"""Logins under every fault, and a table of what went wrong: `make faults`, in three minutes.

`python -m tests.faults D8 D2 --seed 7` plays some faults; `--long` plays the sizes of a release,
and `--small` those of the tests. It fails if something went wrong that must not.

`--write` puts each row into docs/reliability.md as soon as it is played. A long run takes hours:
`--long --write --continue --minutes 30` plays rows that the page does not have from such a run,
begins none after half an hour, and goes on from there when it is started again.
"""

import argparse
import logging
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from math import inf
from types import FrameType
from typing import Any

import pytest

from tests.faults import report
from tests.faults.rows import NotHere, Row
from tests.faults.scenarios import SCENARIOS, STORES, Scenario, Size
from tests.servers import postgres_binary, redis_binary


def machine() -> str:
    """What the run was measured on."""
    if sys.platform != "linux":
        return platform.platform()
    from benchmarks.machine import description

    return description()


def versions() -> dict[str, str]:
    """What the run depends on."""
    found = {
        "qrlogin": version("qrlogin"),
        "Python": sys.version.split()[0],
        "redis-py": version("redis"),
    }
    for name, binary in (("Redis", redis_binary), ("PostgreSQL", postgres_binary)):
        said = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=False)
        words = said.stdout.replace("v=", "").split()
        found[name] = next((word for word in words if word[0].isdigit()), "?")
    return found


def play(scenario: Scenario, store: str, size: Size, seed: int) -> Row | str:
    """One row; or why it cannot be played here."""
    try:
        return scenario.play(STORES[store], size, seed)
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
    parser.add_argument(
        "--continue",
        dest="resume",
        action="store_true",
        help="skip the rows that docs/reliability.md has at this size, with this seed and versions",
    )
    parser.add_argument("--minutes", type=float, default=inf, help="after which no row begins")
    parser.add_argument("--seconds", type=float, default=inf, help="that one row takes at most")
    options = parser.parse_args(argv)
    if unknown := {*options.names} - {name.split()[0] for name in names} - {*names}:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    # Each fault would write lines about its outage.
    logging.getLogger("qrlogin").setLevel(logging.CRITICAL)
    began, rows, right = time.monotonic(), list[Mapping[str, Any]](), True
    writing, origin = threading.Lock(), {"machine": machine(), "versions": versions()}

    def is_kept(row: Mapping[str, Any]) -> bool:
        this = {**origin, "size": options.size, "seed": options.seed}
        # A row without a login could not be played, such as on a machine that was too busy.
        return row["logins"] > 0 and all(row[name] == value for name, value in this.items())

    kept = {report.key(row) for row in report.read()["rows"] if is_kept(row)}

    def one(scenario: Scenario, store: str) -> tuple[Row, Mapping[str, Any]] | None:
        """The row and its figures; None if it was not played."""
        start = time.monotonic()
        if start > began + 60 * options.minutes:
            return None
        size: Size = getattr(scenario, options.size)
        row = play(
            scenario, store, replace(size, seconds=min(size.seconds, options.seconds)), options.seed
        )
        took, figures = round(time.monotonic() - start), dict[str, Any]()
        what = row
        if isinstance(row, Row):
            what = f"{row.logins} logins, {row.faults} faults"
            figures = {
                "scenario": scenario.name,
                **row.as_figures(),
                "size": options.size,
                "wanted": {"logins": size.logins, "faults": size.faults},
                "seconds": took,
                "load": round(max(os.getloadavg())),
                "date": time.strftime("%Y-%m-%d"),
                **origin,
            }
        with writing:
            print(f"{time.strftime('%H:%M:%S')} {scenario.name}, {store}: {what}, {took} s")
            for failure in row.failures if isinstance(row, Row) and not row.clean else ():
                print(f"{scenario.name}, {store}: {failure}")
            sys.stdout.flush()
            if options.write:
                report.keep(scenario.name, store, row if isinstance(row, str) else figures)
        return None if isinstance(row, str) else (row, figures)

    pairs = [
        (scenario, store)
        for scenario in SCENARIOS
        if not options.names or {scenario.name, scenario.name.split()[0]} & {*options.names}
        for store in scenario.stores
        if not options.store or store in options.store
        if not options.resume or (scenario.name, store) not in kept
    ]
    # Most of the time they wait: for a server that starts, or for a time-out.
    jobs = options.jobs or (1 if options.size == "long" else 3)
    with ThreadPoolExecutor(jobs) as threads:  # each row stops its own servers
        for played in threads.map(lambda pair: one(*pair), pairs):
            if played:
                right &= played[0].clean
                rows.append(played[1])
    print(report.plain(rows))
    if len(rows) < len(pairs):
        print(f"{len(pairs) - len(rows)} rows were not played")
    print("nothing went wrong" if right else "SOMETHING WENT WRONG")
    return int(not right)


def _stop(number: int, frame: FrameType | None) -> None:
    """On SIGTERM: end what runs now, with its servers, and begin nothing more."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main(sys.argv[1:]))
