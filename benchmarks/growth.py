"""Whether a login costs more when many others are alive.

This process runs the logins itself, without HTTP and without pictures. The others are copies of
one record under other keys, made inside Redis, because beginning a million would take minutes.
"""

import time
from collections.abc import Callable
from typing import Any

import redis as client

from benchmarks.figures import Figures, spread
from benchmarks.machine import Redis, cpu, free_memory, say
from benchmarks.peers.bare import KEY, POLICY
from qrlogin import MemoryStore, QRLogin
from qrlogin.stores import RedisStore

COPY = """
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  redis.call('COPY', KEYS[1], KEYS[1] .. number)
end
"""
CHUNK = 20_000
LOGINS = 100


def log_in(qr: QRLogin) -> None:
    begun = qr.begin()
    qr.scan(begun.scan_code, subject="1", shown_as="A•••e")
    qr.confirm(begun.scan_code, subject="1", name="alice@example.com")
    seen = qr.status(begun.device_code)
    assert seen.scanned_by is not None
    qr.redeem(begun.device_code, acknowledged=seen.scanned_by.tag)


def window(qr: QRLogin, clock: Callable[[], float]) -> float:
    """Microseconds per login, by this clock."""
    before = clock()
    for _ in range(LOGINS):
        log_in(qr)
    return (clock() - before) / LOGINS * 1e6


def logins_on(store: Any) -> QRLogin:
    return QRLogin(
        store, secret_keys=[KEY], verification_uri="https://login.example.com/qr", policy=POLICY
    )


def growth(redis: Redis, absent: dict[str, str], *, quick: bool) -> Figures:
    """Cost per login with more and more live logins, in Redis and in memory."""
    windows = 3 if quick else 8
    levels = [10, 10_000, *([] if quick else [1_000_000])]
    if free_memory() < 4e9 and not quick:
        levels[-1] = 200_000
        absent["1 000 000 live logins"] = "less than 4 GB are free: 200 000 instead"
    return {
        "redis": _in_redis(redis, levels, windows),
        "memory": _in_memory([10, 10_000, *([] if quick else [100_000])], windows),
    }


def _in_redis(redis: Redis, levels: list[int], windows: int) -> list[Figures]:
    found, url = [], redis.url()
    raw: Any = client.Redis.from_url(url)
    with logins_on(RedisStore.from_url(url)) as qr:
        qr.begin()
        record = raw.keys("*")[0]
        alive, bytes_each = 0, raw.memory_usage(record)
        for level in levels:
            say(f"  {level} live logins in Redis")
            held = raw.info("memory")["used_memory"]
            for first in range(alive, level, CHUNK):
                raw.eval(COPY, 1, record, first, min(first + CHUNK, level) - 1)
            if level - alive >= 1_000:
                bytes_each = round((raw.info("memory")["used_memory"] - held) / (level - alive))
            alive = level
            window(qr, time.process_time)
            ours, theirs = [], []
            for _ in range(windows):
                before = cpu(redis.pids)
                ours.append(window(qr, time.process_time))
                theirs.append((cpu(redis.pids) - before) / LOGINS * 1e6)
            each = {"live": level, "login_us": spread(ours), "redis_us": spread(theirs)}
            found.append({**each, "bytes": bytes_each})
    raw.flushdb()
    raw.close()
    return found


def _in_memory(levels: list[int], windows: int) -> list[Figures]:
    found, alive = [], 0
    with logins_on(MemoryStore(capacity=levels[-1] + 10_000)) as qr:
        for level in levels:
            say(f"  {level} live logins in memory")
            for _ in range(level - alive):
                qr.begin()
            alive = level
            window(qr, time.process_time)
            each = [window(qr, time.process_time) for _ in range(windows)]
            found.append({"live": level, "login_us": spread(each)})
    return found
