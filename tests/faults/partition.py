"""A network that is down: a store and its callers in a network namespace whose link goes down.

    python -m tests.faults.partition STORE LOGINS FAULTS SECONDS LONGEST SEED

plays inside a new namespace (`unshare --net`) and prints the row as JSON. Packets
are lost without a reset, and a new connection is refused by the kernel's routes, as on a machine
whose cable is pulled.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import sleep

from qrlogin.clock import monotonic
from tests.faults.rows import Row

_IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
#: PostgreSQL runs as a user of its own, which a namespace of users does not have.
_COMMAND = ["unshare", "--net"] if _IS_ROOT else ["unshare", "--map-root-user", "--net"]


def why_not(kind: str) -> str:
    """Why this system cannot do it; "" if it can.

    :param kind: of the store.
    """
    if kind == "postgres" and not _IS_ROOT:
        return "only root can start PostgreSQL in a network namespace"
    if not (shutil.which("unshare") and shutil.which("ip")):
        return "unshare and ip are not installed"
    link = [*_COMMAND, "ip", "link", "set", "lo", "up"]
    if subprocess.run(link, capture_output=True, check=False).returncode:
        return "this system gives this user no network namespace"
    return ""


def play_inside(store: str, *size: object) -> Row:
    """Play in a namespace. Returns the row.

    :param store: the name of the store.
    :param size: logins, faults, seconds, the longest time without a link, and the seed.
    """
    command = [*_COMMAND, sys.executable, "-m", "tests.faults.partition", store]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, *map(str, size)],
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tools'}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    return Row(**{**found, "expects": frozenset(found["expects"])})


def cuts(longest: float) -> Callable[[Random], float]:
    """The link is down for a while."""

    def strike(draw: Random) -> float:
        _link("down")
        try:
            sleep(draw.uniform(0.2, longest))
        finally:
            since = monotonic()
            _link("up")
        return since

    return strike


def _link(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def main(store: str, logins: str, faults: str, seconds: str, longest: str, seed: str) -> None:
    from tests.faults.crowd import Outages
    from tests.faults.nemesis import Nemesis, gaps
    from tests.faults.scenarios import STORES, Size, address_of, play

    logging.disable(logging.CRITICAL)
    _link("up")
    row, outages = Row("D16", store, int(seed)), Outages()
    size = Size(int(logins), int(faults), float(seconds))
    with address_of(STORES[store]) as url:
        attack = Nemesis(cuts(float(longest)), gaps(float(longest)), row.seed, outages)
        play(row, STORES[store], size, url, attack, outages=outages)
    kept = {name: value for name, value in vars(row).items() if not name.startswith("_")}
    print(json.dumps({**kept, "expects": sorted(row.expects)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
