"""What a notification costs in a Cluster of three masters: PUBLISH beside SPUBLISH.

Run `python -m benchmarks.publish [--messages 10000] [--rate 840]`. It prints the CPU time of the
three servers, and the bytes that crossed the loopback interface, with 1, 10 and 40 processes that
listen. ECHO is what sending the message to one server costs. `unshare --net sh -c "ip link set lo
up; …"` keeps the traffic of other programs out.

With PUBLISH, a process listens at one master, and the masters pass each message on. With SPUBLISH
they do not, and a process listens at each master.
"""

import argparse
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import redis

from benchmarks.machine import TICKS
from qrlogin.stores.redis_calls import RedisCalls
from tests.servers import LOOPBACK, RedisServer
from tests.stores.clusters import SLOTS, cluster

RATE = 840  # a second: three for each of a million logins an hour
CHANNELS = RedisCalls("qrlogin:", None).channels
MESSAGE = "x" * 24  # as long as ours


def encoded(*words: str) -> bytes:
    """A command, as it is sent to Redis."""
    lengths = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{lengths}".encode()


def owners(node: RedisServer) -> dict[str, int]:
    """By channel: which of the three masters has its slot."""
    with redis.Redis(port=node.port) as client:
        slots = {name: int(client.execute_command("CLUSTER", "KEYSLOT", name)) for name in CHANNELS}
    return {name: slot * 3 // SLOTS for name, slot in slots.items()}


def cpu_seconds(nodes: Sequence[RedisServer]) -> float:
    """Of all servers."""
    fields = [Path(f"/proc/{node.process.pid}/stat").read_text().split() for node in nodes]
    return sum(int(each[13]) + int(each[14]) for each in fields) / TICKS


def loopback_bytes() -> int:
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.strip().startswith("lo:"))


def drain(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(1 << 20):
            pass


def measure(
    nodes: Sequence[RedisServer], kind: str, processes: int, messages: int, rate: float
) -> str:
    """Send messages evenly to the masters. Returns the line of the table.

    :param nodes: the three masters.
    :param kind: "ECHO", "PUBLISH" or "SPUBLISH".
    :param processes: how many listen.
    :param messages: how many are sent.
    :param rate: how many are sent in a second.
    """
    owner = owners(nodes[0])

    with ExitStack() as stack:

        def connect(at: int) -> socket.socket:
            opened = socket.create_connection((LOOPBACK, nodes[at].port))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return stack.enter_context(opened)

        def listen(at: int, *commands: bytes) -> None:
            connection = connect(at)
            connection.sendall(b"".join(commands))
            threading.Thread(target=drain, args=(connection,), daemon=True).start()

        for process in range(processes):
            if kind == "PUBLISH":
                listen(process % 3, encoded("SUBSCRIBE", *CHANNELS))
            if kind == "SPUBLISH":  # one command for each slot
                for at in range(3):
                    own = [encoded("SSUBSCRIBE", name) for name in CHANNELS if owner[name] == at]
                    listen(at, *own)
        senders = [connect(at) for at in range(3)]
        time.sleep(1)
        cpu, sent, began = cpu_seconds(nodes), loopback_bytes(), time.monotonic()
        for number in range(messages):
            name = CHANNELS[number % len(CHANNELS)]
            words = (kind, MESSAGE) if kind == "ECHO" else (kind, name, MESSAGE)
            senders[owner[name]].sendall(encoded(*words))
            senders[owner[name]].recv(65536)
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
        time.sleep(1)
        used = (cpu_seconds(nodes) - cpu) / messages * 1e6
        kb = (loopback_bytes() - sent) / messages / 1000
    return f"{kind:9} {processes:9} {used:9.1f} {kb:9.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=RATE)
    options = parser.parse_args()
    print(f"{'for each':9} {'processes':>9} {'CPU us':>9} {'KB':>9}")
    with cluster() as nodes:
        for kind, processes in (
            ("ECHO", 0),
            *((kind, count) for count in (1, 10, 40) for kind in ("PUBLISH", "SPUBLISH")),
        ):
            print(measure(nodes, kind, processes, options.messages, options.rate), flush=True)


if __name__ == "__main__":
    main()
