"""Many logins, one after the other: what grows in this process, and what stays in the store?

Run `python -m tests.faults.soak [NAME ...] [--logins 100000]`, or `make soak`. It prints one line
for each store and endpoint, and fails if something grew.

Some logins are abandoned, denied or cancelled. In memory and in SQL the clock goes on half a second
with each login, so that records end while others begin.
"""

import argparse
import asyncio
import gc
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from math import inf
from typing import Any

import psycopg
import redis

from qrlogin import (
    STANDARD,
    AsyncMemoryStore,
    AsyncQRLogin,
    MemoryStore,
    Policy,
    QRLogin,
)
from qrlogin.clock import monotonic
from qrlogin.contrib import asgi, wsgi
from qrlogin.stores import AsyncRedisStore, AsyncSQLStore, RedisStore, SQLStore
from qrlogin.testing import AsyncBrowser, AsyncPhone, Browser, Phone
from qrlogin.wire import AsyncEndpoint, Endpoint, Person
from tests.servers import PostgresServer, RedisServer, redis_binary

LOGINS = 100_000
#: Before the first look: by then, as many records end as begin, and caches are full.
WARM_UP = 2000
MS_PER_LOGIN = 500
#: Short, so that Redis, whose clock this program does not turn, drops records during a long run.
SHORT = Policy(lifetime=25, late_window=40, decide_window=20, redeem_window=5, replay_window=5)
#: A process may grow so much, in bytes, whatever is kept: pages of the allocator.
SLACK = 4_000_000
#: A login may leave so little, in bytes. A string takes 50 and more.
PER_LOGIN = 20


@dataclass(frozen=True)
class Soak:
    """What one store or endpoint kept."""

    name: str
    logins: int
    rss_before: int
    """In bytes."""
    rss_after: int
    objects_before: int
    """Objects that the garbage collector knows."""
    objects_after: int
    records: int
    """In the store at the end: of the logins of the last minutes."""
    without_end: int
    """Those of them that the store would keep for ever."""
    cpu_seconds: float

    @property
    def problem(self) -> str:
        """What grew, or that the store held nothing; "" if all is well."""
        found = []
        if self.rss_after - self.rss_before > SLACK + PER_LOGIN * self.logins:
            found.append("memory")
        if self.objects_after - self.objects_before > 1000 + self.logins // 100:
            found.append("objects")
        if self.without_end:
            found.append("records without an end")
        if not self.records:
            found.append("no records")
        return ", ".join(found)

    def line(self) -> str:
        """The line of the table."""
        rss = f"{self.rss_before / 1e6:7.1f} → {self.rss_after / 1e6:6.1f}"
        objects = f"{self.objects_before:8,} → {self.objects_after:8,}"
        cost = self.cpu_seconds / self.logins * 1e6
        return (
            f"{self.name:19} {self.logins:8,} {rss} {objects} {self.records:8,}"
            f" {self.without_end:5} {cost:8.0f}  {self.problem or 'nothing'}"
        )


HEAD = (
    f"{'where':19} {'logins':>8} {'RSS, MB':>16} {'objects':>19} {'records':>8} {'no end':>6}"
    f" {'CPU µs':>7}  grew"
)


class Clock:
    """A clock of a store, which only the test moves."""

    def __init__(self) -> None:
        self.ms = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.ms


def _options(policy: Policy) -> dict[str, Any]:
    return {
        "secret_keys": [bytes(range(32))],
        "verification_uri": "https://login.example/qr",
        "policy": policy,
    }


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _log_in(qr: QRLogin, number: int) -> None:
    begun = qr.begin(context={"address": _address(number)})
    user = f"user-{number}"
    qr.wait(begun.device_code, after=begun.version - 1, timeout=1)  # there is news already
    if number % 10 == 1:
        return  # its browser left
    qr.scan(begun.scan_code, subject=user, shown_as="M•••a")
    if number % 10 == 2:
        qr.deny(begun.scan_code, subject=user)
    elif number % 10 == 3:
        qr.cancel(begun.device_code)
    else:
        qr.confirm(begun.scan_code, subject=user)
        seen = qr.status(begun.device_code)
        assert seen.scanned_by
        qr.redeem(begun.device_code, acknowledged=seen.scanned_by.tag, op=f"op-{number:030}")


async def _log_in_async(qr: AsyncQRLogin, number: int) -> None:
    begun = await qr.begin(context={"address": _address(number)})
    user = f"user-{number}"
    waiting = asyncio.ensure_future(
        qr.wait(begun.device_code, after=begun.version, timeout=1 if number % 10 else 0.001)
    )
    await asyncio.sleep(0)
    if number % 10 == 1:
        waiting.cancel()  # its browser left
        await asyncio.wait([waiting])
        return
    await qr.scan(begun.scan_code, subject=user, shown_as="M•••a")
    await waiting
    if number % 10 == 2:
        await qr.deny(begun.scan_code, subject=user)
    elif number % 10 == 3:
        await qr.cancel(begun.device_code)
    else:
        await qr.confirm(begun.scan_code, subject=user)
        seen = await qr.status(begun.device_code)
        assert seen.scanned_by
        tag = seen.scanned_by.tag
        await qr.redeem(begun.device_code, acknowledged=tag, op=f"op-{number:030}")


# The applications, without a server


@dataclass
class _Answer:
    status_code: int
    content: bytes


class _Client:
    """What `qrlogin.testing` takes for an HTTP client: it calls the application itself."""

    base_url = "https://localhost"

    def __init__(self, app: Any, user: str = "") -> None:
        self._app, self._user, self._cookies = app, user, dict[str, str]()

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        own = {"cookie": cookies} if cookies else {}
        own |= {"x-user": self._user} if self._user else {}
        return {name.lower(): value for name, value in headers.items()} | own

    def _keep(self, name: str, value: str) -> None:
        if name.lower() == "set-cookie":
            key, _, text = value.partition(";")[0].partition("=")
            self._cookies[key] = text


class _WsgiClient(_Client):
    def request(self, method: str, url: str, headers: dict[str, str], content: str = "") -> _Answer:
        path, _, query = url.removeprefix(self.base_url).partition("?")
        body, status = content.encode(), [0]
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.removeprefix("/qrlogin"),
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            "wsgi.multithread": True,
            "wsgi.url_scheme": "https",
        }
        for name, value in self._headers(headers).items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value

        def start_response(line: str, sent: list[tuple[str, str]], *_: object) -> Any:
            status[0] = int(line[:3])
            for name, value in sent:
                self._keep(name, value)

        body = b"".join(self._app(environ, start_response))
        return _Answer(status[0], body)


class _AsgiClient(_Client):
    async def request(
        self, method: str, url: str, headers: dict[str, str], content: str = ""
    ) -> _Answer:
        path, _, query = url.removeprefix(self.base_url).partition("?")
        messages = [{"type": "http.request", "body": content.encode()}]
        pairs = [(name.encode(), text.encode()) for name, text in self._headers(headers).items()]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "root_path": "/qrlogin",
            "query_string": query.encode(),
            "headers": pairs,
            "scheme": "https",
        }
        answer = _Answer(0, b"")

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await asyncio.Event().wait()  # the browser stays
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status_code = message["status"]
                for name, value in message["headers"]:
                    self._keep(name.decode(), value.decode())
            else:
                answer.content += message.get("body", b"")

        await self._app(scope, receive, send)
        return answer


def _person(headers: str) -> Person | None:
    return Person(headers, name=f"{headers}@example.com", shown_as="M•••a") if headers else None


def _log_in_over_wsgi(app: Any, number: int) -> None:
    browser = Browser(_WsgiClient(app)).begin()
    if number % 10 == 1:
        return
    Phone(_WsgiClient(app, f"user-{number}")).approve(browser)
    browser.redeem()


async def _log_in_over_asgi(app: Any, number: int) -> None:
    client = _AsgiClient(app)
    browser = await AsyncBrowser(client).begin()
    poll = f"{client.base_url}/qrlogin/{browser.login_id}?wait=25&after=1"
    waiting = asyncio.ensure_future(client.request("GET", poll, {}))
    await asyncio.sleep(0)
    if number % 10 == 1:
        waiting.cancel()  # its browser left
        await asyncio.wait([waiting])
        return
    await AsyncPhone(_AsgiClient(app, f"user-{number}")).approve(browser)
    assert (await waiting).status_code == 200
    await browser.redeem()


# What is measured

Step = Callable[[int], Any]
Records = Callable[[], tuple[int, int]]
"""How many records the store holds, and how many of them without an end."""


def _in_memory(store: MemoryStore | AsyncMemoryStore) -> Records:
    held = store._records
    return lambda: (len(held._records), len(held._records) - len(held._ends._at))


def _in_redis(url: str) -> Records:
    with redis.Redis.from_url(url) as client:
        client.flushall()  # of another soak

    def count() -> tuple[int, int]:
        with redis.Redis.from_url(url) as client:
            keys = list(client.scan_iter("qrlogin:*", count=1000))
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.pttl(key)
            return len(keys), sum(left == -1 for left in pipeline.execute())

    return count


def _in_sql(connect: Callable[[], Any]) -> Records:
    def count() -> tuple[int, int]:
        database = connect()
        try:
            query = "SELECT count(*), count(*) - count(garbage_at) FROM qrlogin_logins"
            found = database.execute(query).fetchone()
        finally:
            database.close()
        return int(found[0]), int(found[1])

    return count


@contextmanager
def _blocking(name: str, url: str) -> Iterator[tuple[Step, Records]]:
    clock, folder = Clock(), tempfile.TemporaryDirectory()
    path = f"{folder.name}/logins.db"
    if name == "Redis":
        store: Any = RedisStore.from_url(url)
        records = _in_redis(url)
    elif name == "SQLite":
        store = SQLStore(f"sqlite:///{path}", now=clock)
        records = _in_sql(partial(sqlite3.connect, path))
    elif name == "PostgreSQL":
        store = SQLStore(url, now=clock)
        records = _in_sql(partial(psycopg.connect, url))
    else:
        store = MemoryStore(now=clock)
        records = _in_memory(store)
    policy = SHORT if name == "Redis" else STANDARD
    with folder, QRLogin(store, **_options(policy)) as qr:
        app = wsgi.qrlogin_app(
            Endpoint(qr, max_waiting=8),
            lambda environ: _person(environ.get("HTTP_X_USER", "")),
            lambda environ, redeemed: None,
        )

        def step(number: int) -> None:
            clock.ms += MS_PER_LOGIN
            if name == "WSGI":
                _log_in_over_wsgi(app, number)
            else:
                _log_in(qr, number)

        yield step, records


@asynccontextmanager
async def _awaited(name: str, url: str) -> AsyncIterator[tuple[Step, Records]]:
    clock, folder = Clock(), tempfile.TemporaryDirectory()
    path = f"{folder.name}/logins.db"
    if name.startswith("Redis"):
        store: Any = AsyncRedisStore.from_url(url)
        records = _in_redis(url)
    elif name.startswith("SQLite"):
        store = AsyncSQLStore(f"sqlite:///{path}", now=clock)
        records = _in_sql(partial(sqlite3.connect, path))
    elif name.startswith("PostgreSQL"):
        store = AsyncSQLStore(url, now=clock)
        records = _in_sql(partial(psycopg.connect, url))
    else:
        store = AsyncMemoryStore(now=clock)
        records = _in_memory(store)
    policy = SHORT if name.startswith("Redis") else STANDARD
    with folder:
        async with AsyncQRLogin(store, **_options(policy)) as qr:

            async def person(scope: Any) -> Person | None:
                return _person(dict(scope["headers"]).get(b"x-user", b"").decode())

            async def log_in(scope: Any, redeemed: Any) -> None:
                pass

            app = asgi.qrlogin_app(AsyncEndpoint(qr, max_waiting=8), person, log_in)

            async def step(number: int) -> None:
                clock.ms += MS_PER_LOGIN
                if name == "ASGI":
                    await _log_in_over_asgi(app, number)
                else:
                    await _log_in_async(qr, number)

            yield step, records


#: Those with a comma, and ASGI, run in an event loop.
NAMES = (
    *("memory", "memory, asyncio", "Redis", "Redis, asyncio", "SQLite", "SQLite, asyncio"),
    *("PostgreSQL", "PostgreSQL, asyncio", "WSGI", "ASGI"),
)


def _rss() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _look() -> tuple[int, int, float]:
    gc.collect()
    return _rss(), len(gc.get_objects()), time.process_time()


def _soak(name: str, logins: int, before: Any, after: Any, counted: tuple[int, int]) -> Soak:
    return Soak(
        name, logins, before[0], after[0], before[1], after[1], *counted, after[2] - before[2]
    )


def soak(name: str, logins: int, url: str = "", seconds: float = inf) -> Soak:
    """Log so many people in, and compare what is kept before and after.

    :param name: of `NAMES`.
    :param logins: how many, after those of the warm-up.
    :param url: of a Redis, for those names.
    :param seconds: after which it ends with what it has done.
    """
    with PostgresServer() if name.startswith("PostgreSQL") else nullcontext() as postgres:
        url = postgres.url if postgres else url
        if "asyncio" in name or name == "ASGI":
            return asyncio.run(_soak_async(name, logins, url, seconds))
        with _blocking(name, url) as (step, records):
            for number in range(WARM_UP):
                step(number)
            before, ends, number = _look(), monotonic() + seconds, WARM_UP
            while number < WARM_UP + logins and monotonic() < ends:
                step(number)
                number += 1
            return _soak(name, number - WARM_UP, before, _look(), records())


async def _soak_async(name: str, logins: int, url: str, seconds: float) -> Soak:
    async with _awaited(name, url) as (step, records):
        for number in range(WARM_UP):
            await step(number)
        before, ends, number = _look(), monotonic() + seconds, WARM_UP
        while number < WARM_UP + logins and monotonic() < ends:
            await step(number)
            number += 1
        return _soak(name, number - WARM_UP, before, _look(), records())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {'; '.join(NAMES)}")
    parser.add_argument("--logins", type=int, default=LOGINS)
    parser.add_argument("--seconds", type=float, default=inf, help="that one of them takes at most")
    options = parser.parse_args()
    print(HEAD)
    rows = []
    with RedisServer(redis_binary()) as server:
        for name in options.names or NAMES:
            rows.append(soak(name, options.logins, server.url, options.seconds))
            print(rows[-1].line(), flush=True)
    return any(row.problem for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
