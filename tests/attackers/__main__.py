"""All attackers at full size: `make attack`. Prints a table, and fails if one of them gets in.

`python -m tests.attackers reader writer` runs some, `--small` the sizes of the tests.
"""

import argparse
import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests import servers
from tests.attackers import parsers, reader, requests, sibling, writer
from tests.attackers.score import Score

#: By name: the attacker at a size and with the address of a Redis. The sizes are small and full.
ATTACKERS: Mapping[str, tuple[Callable[[int, str], Score], int, int]] = {
    "reader": (lambda size, url: reader.attack(size, url), 36, 200),
    "writer": (lambda size, url: writer.attack(size, url), 1500, 59_000),
    "fields": (lambda size, url: writer.exceptions(url, thorough=size > 1), 1, 2),
    "sibling": (lambda size, _: sibling.attack(size), 1, 3),
    "parsers": (lambda size, _: parsers.fuzz(size), 150, 5000),
    "requests": (lambda size, _: requests.fuzz(size), 800, 40_000),
}


@contextlib.contextmanager
def a_redis() -> Iterator[str]:
    """The address of a Redis for these attackers; "" if this machine has none."""
    try:
        binary = servers.redis_binary()
    except pytest.skip.Exception:
        print("no Redis here: the reader and the writer attack the store in memory")
        yield ""
        return
    with servers.RedisServer(binary) as server:
        yield server.url


def flood() -> None:
    """Fifty people log in through ten thousand begins from their address."""
    from tests.wire.stopped_servers import running
    from tests.wire.test_flood import LIMITS, flood_and_log_in

    with (
        tempfile.TemporaryDirectory() as folder,
        running("gunicorn, 256 threads", Path(folder), store="memory", drain=False) as server,
    ):
        flood_and_log_in(server.port, begins=LIMITS.begins, flooders=4, most=2500)
    print()


def table(scores: Mapping[str, tuple[Score, float]]) -> str:
    """One line for each attacker."""
    lines = [f"{'attacker':22}{'attempts':>10}{'won':>6}{'accepted':>10}{'crashes':>9}{'s':>7}"]
    for score, seconds in scores.values():
        counts = f"{score.attempts:>10,}{score.won:>6}{score.accepted:>10}{score.crashes:>9}"
        lines.append(f"{score.name:22}{counts}{seconds:>7.1f}")
        lines += [f"    {failure}" for failure in score.failures]
    return "\n".join(lines)


def exceptions(found: Mapping[str, int]) -> tuple[str, bool]:
    """What a writer wins by each field without a seal, and whether that is what the docs say."""
    lines, right = (
        ["what a writer wins, by the fields without a seal (docs/security/index.md):"],
        True,
    )
    for fields, won in writer.documented().items():
        name = ", ".join(fields)
        times = found.get(name, 0)
        agrees = (times > 0) == (not won.startswith("nothing"))
        right &= agrees
        lines.append(f"  {times:>7,}  {name}" + ("" if agrees else "   NOT AS DOCUMENTED"))
    return "\n".join(lines), right


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attackers", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(ATTACKERS)}, flood; all if none")
    parser.add_argument("--small", action="store_true", help="the sizes of `make test`")
    options = parser.parse_args()
    names = options.names or [*ATTACKERS, "flood"]
    logging.getLogger("qrlogin").setLevel(logging.CRITICAL)  # each forgery would write a line
    scores, right, report = dict[str, tuple[Score, float]](), True, ""
    with a_redis() as url:
        for name in (each for each in names if each != "flood"):
            attack, small, full = ATTACKERS[name]
            began = time.monotonic()
            score = attack(small if options.small else full, url)
            scores[name] = score, time.monotonic() - began
            right &= score.clean
    if "fields" in scores:
        report, documented = exceptions(scores["fields"][0].exceptions)
        right &= documented
    print(table(scores), report, sep="\n")
    if "flood" in names:
        flood()
    print("as documented" if right else "NOT AS DOCUMENTED")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
