"""What a step costs inside Redis: microseconds per EVALSHA for each row, and bytes per record.

Run `python benchmarks/step.py [redis://…]`. Without an address it starts a redis-server of its own;
at an address, no other client may use the server meanwhile. It walks logins through the table, in
small batches. Between the batches it runs an ideal script: one that compares a proof, changes a
state and publishes that, and knows no table. So the load of the machine meets both. The figures are
the server's own (`INFO commandstats`, `MEMORY USAGE`), of the best batch.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, Final

import redis

from qrlogin import STANDARD, QRLogin, TooFast
from qrlogin.allowances import Allowance
from qrlogin.core import Core
from qrlogin.operation import Operation
from qrlogin.stores import RedisStore

BATCHES: Final = 30
LOGINS: Final = 40
PREFIX: Final = "qrlogin-bench:"
CONTEXT: Final = {
    "browser": "Firefox on Linux",
    "place": "Lisbon, Portugal",
    "address": "192.0.2.7",
}

#: As short as a script can be that changes a state once, for the right caller, and says so.
IDEAL: Final = """
local kept = redis.call('HMGET', KEYS[1], 'state', 'proof')
if kept[1] ~= ARGV[1] or kept[2] ~= ARGV[2] then return 'refused' end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'changed_at', time[1])
redis.call('PUBLISH', ARGV[4], KEYS[1])
return 'applied'
"""


@dataclass
class Figures:
    """What was measured."""

    ideal: float = inf
    """Microseconds per EVALSHA of the ideal script."""
    rows: dict[str, float] = field(default_factory=dict)
    """Microseconds per EVALSHA of each row of a login, in the order of a login."""
    record_bytes: dict[str, int] = field(default_factory=dict)
    """Bytes of a record, its key included, in each state of a login."""


def measure(url: str, batches: int = BATCHES) -> Figures:
    """The figures of a server.

    :param url: its address.
    :param batches: how often each row is measured. The best batch counts.
    """
    figures = Figures()
    with redis.Redis.from_url(url) as client:
        sha = str(client.script_load(IDEAL))
        store = RedisStore.from_url(url, prefix=PREFIX)
        with QRLogin(
            store,
            secret_keys=[bytes(range(32))],
            verification_uri="https://login.example/qr",
            policy=replace(STANDARD, limits=None),
        ) as qr:
            for batch in range(batches):
                _measure_ideal(client, sha, figures)
                _measure_rows(client, store, qr.core, batch, figures)
                client.unlink(*client.scan_iter(f"{PREFIX}*", count=1000))
    return figures


def _measure_ideal(client: Any, sha: str, figures: Figures) -> None:
    key, proof = f"{PREFIX}ideal", "p" * 43
    client.hset(key, mapping={"state": "pending", "proof": proof, "changed_at": "0"})
    before = _spent(client)
    for _ in range(LOGINS):
        client.execute_command("EVALSHA", sha, 1, key, "pending", proof, "pending", "channel")
    figures.ideal = min(figures.ideal, _cost(before, _spent(client)))


def _measure_rows(client: Any, store: RedisStore, core: Core, batch: int, figures: Figures) -> None:
    subjects = [f"alice-{batch}-{number}" for number in range(LOGINS)]

    def run(name: str, operations: list[Operation[Any]]) -> list[Any]:
        """Applies the commands in one go: what Python does in between would cool the caches."""
        before = _spent(client)
        replies = [store.apply(operation.command) for operation in operations]
        figures.rows[name] = min(figures.rows.get(name, inf), _cost(before, _spent(client)))
        return [
            operation.interpret(reply) for operation, reply in zip(operations, replies, strict=True)
        ]

    def weigh(state: str) -> None:
        key = next(client.scan_iter(f"{PREFIX}*{begun[0].login_id}", count=1000))
        figures.record_bytes[state] = client.memory_usage(key, samples=0)

    begun = run("begin", [core.begin(context=CONTEXT) for _ in subjects])
    devices = [core.read_device_code(each.device_code) for each in begun]
    people = [(each.scan_code, subject) for each, subject in zip(begun, subjects, strict=True)]
    run("status, pending", [core.status(device) for device in devices])
    weigh("pending")
    run("look", [core.look(code, subject=subject) for code, subject in people])
    run(
        "scan",
        [core.scan(code, subject=subject, shown_as="M•••a") for code, subject in people],
    )
    run("status, scanned", [core.status(device) for device in devices])
    weigh("scanned")
    run(
        "confirm",
        [
            core.confirm(code, subject=subject, name=f"{subject}@example.com")
            for code, subject in people
        ],
    )
    seen = run("status, confirmed", [core.status(device) for device in devices])
    weigh("confirmed")
    run(
        "redeem",
        [
            core.redeem(device, acknowledged=status.scanned_by.tag, op="0123456789abcdef")
            for device, status in zip(devices, seen, strict=True)
        ],
    )
    weigh("redeemed")
    takes = [Allowance(f"{PREFIX}{subject}", 10, 1000) for subject in subjects]
    nothing = core.status(devices[0])
    run("take", [allowance.before(nothing, TooFast) for allowance in takes])


def _spent(client: Any) -> tuple[int, int]:
    """Microseconds and calls of EVALSHA so far."""
    figures = client.info("commandstats").get("cmdstat_evalsha", {"usec": 0, "calls": 0})
    return figures["usec"], figures["calls"]


def _cost(before: tuple[int, int], after: tuple[int, int]) -> float:
    return (after[0] - before[0]) / (after[1] - before[1])


@contextmanager
def own_server() -> Iterator[str]:
    """The address of a redis-server that ends with this block."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder, "redis.sock")
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""],  # noqa: S607
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        try:
            while not socket.exists():
                if server.poll() is not None:
                    raise SystemExit("redis-server did not start")
                time.sleep(0.01)
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    if len(sys.argv) > 1:
        figures = measure(sys.argv[1])
    else:
        with own_server() as url:
            figures = measure(url)
    mean = sum(figures.rows.values()) / len(figures.rows)
    print(f"{'an ideal script':20} {figures.ideal:6.1f} µs per EVALSHA")
    for name, cost in figures.rows.items():
        print(f"{name:20} {cost:6.1f} µs, {cost / figures.ideal:.1f} times the ideal")
    print(f"{'all rows, mean':20} {mean:6.1f} µs, {mean / figures.ideal:.1f} times the ideal")
    for state, size in figures.record_bytes.items():
        print(f"{state:20} {size:6} bytes per record")


if __name__ == "__main__":
    main()
