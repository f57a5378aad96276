"""`make bench`: every server side by side in one run, within 15 minutes; `ARGS=quick` takes two.

    python -m benchmarks [quick] [--only SECTION …] [--dry]

It needs Linux with two cores, redis-server, and what the tests need; it installs the peers into a
folder of its own. It writes the figures to benchmarks/figures.json, and the tables into
docs/performance.md and the README. With `--dry` or `--only` it writes nothing there.
"""

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

from benchmarks import contestants, growth, logins, parts, report, waits
from benchmarks.figures import Figures
from benchmarks.machine import Redis, claim_the_machine, description, say

Section = Callable[..., Figures]
#: Every section, by its name in figures.json. Each is given the Redis, the list of what is absent
#: (with the reason, for the table), and whether the run is quick.
SECTIONS: dict[str, Section] = {
    "costs": logins.costs,
    "parked": waits.parked,
    "crowd": waits.crowd,
    "growth": growth.growth,
    "pictures": parts.pictures,
    "imports": parts.imports,
    "scripts": parts.scripts,
}


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark. Returns 1 if a section failed; what the others found is written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("size", nargs="?", choices=("full", "quick"), default="full")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", default=[])
    parser.add_argument("--dry", action="store_true", help="print the tables and write no file")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _stop)
    claim_the_machine()
    began, quick = time.monotonic(), options.size == "quick"
    selected = [name for name in SECTIONS if not options.only or name in options.only]
    absent = contestants.install() if {*selected} & {"costs", "parked", "crowd"} else {}
    figures: Figures = {
        "machine": description(),
        "python": sys.version.split()[0],
        "date": time.strftime("%Y-%m-%d"),
        "quick": quick,
        "absent": absent,
    }
    failed = False
    with Redis() as redis:
        for name in selected:
            say(name)
            try:
                figures[name] = SECTIONS[name](redis, absent, quick=quick)
            except Exception as error:  # the others go on
                failed = True
                absent[f"the section {name}"] = f"{type(error).__name__}: {error}"[:200]
                traceback.print_exc()
    figures["minutes"] = round((time.monotonic() - began) / 60, 1)
    say(f"done in {figures['minutes']} minutes")
    print(report.text(figures))
    if options.only or options.dry or "costs" not in figures:
        print(json.dumps(figures))
    else:
        report.write(figures)
    return int(failed)


def _stop(number: int, frame: FrameType | None) -> None:
    """On SIGTERM: leave every `with` block, so that no server stays behind."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
