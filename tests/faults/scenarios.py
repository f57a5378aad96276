"""The faults D1 to D20, each against every store that can have it.

A scenario is a function that plays logins under one fault against one store, and returns a row of
counts. `SCENARIOS` lists them, and `ELSEWHERE` says why a fault is not among them.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from qrlogin.aio import AsyncQRLogin
from qrlogin.answers import Status
from qrlogin.clock import monotonic
from qrlogin.errors import QRLoginError, Unavailable
from qrlogin.login import QRLogin
from qrlogin.stores import AsyncRedisStore, AsyncSQLStore, Durability, RedisStore, SQLStore
from qrlogin.table import State
from tests.faults import failover, nemesis, partition, shards, upgrades, workers
from tests.faults.crowd import OPTIONS, PATIENCE, Crowd, Outages
from tests.faults.nemesis import Nemesis
from tests.faults.proxy import VERBS, VerbProxy
from tests.faults.rows import WRONGS, NotHere, Row
from tests.servers import PostgresServer, RedisServer
from tests.stores.fault_proxy import Proxy
from tests.stores.naive import NaiveRedisStore


@dataclass(frozen=True, slots=True)
class Store:
    """A store of the table."""

    name: str
    make: Callable[..., Any]
    """Returns a new store at an address."""
    kind: str = "redis"
    """Which server it needs: "redis", "postgres" or "sqlite"."""
    awaited: bool = False
    naive: bool = False


STORES: Final = {
    store.name: store
    for store in (
        Store("Redis", RedisStore.from_url),
        Store("Redis, asyncio", AsyncRedisStore.from_url, awaited=True),
        Store("PostgreSQL", SQLStore, "postgres"),
        Store("PostgreSQL, asyncio", AsyncSQLStore, "postgres", awaited=True),
        Store("SQLite", SQLStore, "sqlite"),
        Store("SQLite, asyncio", AsyncSQLStore, "sqlite", awaited=True),
        Store("Cluster", shards.on_cluster),
        Store("Cluster, asyncio", shards.on_cluster_awaited, awaited=True),
        Store("the tutorial's", NaiveRedisStore, naive=True),
        *(Store(which, RedisStore.from_url, kind="HTTP") for which in workers.SERVERS),
        *(
            Store(f"{where}, {spelled}", partial(Durability.parse, spelled), kind="copies")
            for where, spelled in (
                ("Sentinel", "none"),
                ("Sentinel", "wait(1, 200)"),
                ("no file", "none"),
                ("a file", "aof(1, 0, 3000)"),
                ("a replica", "wait(1, 3000)"),
            )
        ),
    )
}
REDIS: Final = ("Redis", "Redis, asyncio")
WITH_NAIVE: Final = (*REDIS, "the tutorial's")
SQL: Final = ("PostgreSQL", "PostgreSQL, asyncio")


@dataclass(frozen=True, slots=True)
class Size:
    """How much a scenario does."""

    logins: int
    faults: int = 0
    seconds: float = 60
    """After which it ends, with what it has done."""
    longest: float = 1.0
    """Seconds that one fault lasts at most."""
    racers: int = 2


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault, what is done, and where it is tried."""

    name: str
    about: str
    play: Callable[[Store, Size, int], Row]
    stores: tuple[str, ...]
    small: Size
    """For `make test`."""
    usual: Size
    """For `make faults`."""
    long: Size
    """For `make faults ARGS=--long`."""


def play(
    row: Row,
    store: Store,
    size: Size,
    url: str,
    attack: Nemesis | None = None,
    *,
    outages: Outages | None = None,
    struck: Callable[[], int] | None = None,
    forgets: bool = False,
    resent: bool = True,
    make: Callable[[], Any] | None = None,
    lanes: int = 8,
) -> Row:
    """Play logins while a nemesis strikes, until there were enough of both.

    :param struck: how often something has failed; None: how often the nemesis has struck.
    :param make: returns a new store; None: the store's own, at `url`.
    """
    attacks = struck or (lambda: attack.strikes if attack else 0)
    until = monotonic() + size.seconds

    def is_enough() -> bool:
        done = row.logins >= size.logins and attacks() >= size.faults
        return done or monotonic() > until or (attack is not None and not attack.is_alive)

    if store.naive:
        row.expects = frozenset(WRONGS)  # shown, and no failure of the run
    with (
        Crowd(
            row,
            make or (lambda: store.make(url)),
            awaited=store.awaited,
            outages=outages,
            racers=size.racers,
            resent=resent,
            forgets=forgets,
            lanes=lanes,
            # A phone of the tutorial's whose scan was answered twice never decides.
            patience=10 if store.naive else PATIENCE,
        ) as crowd,
        attack or contextlib.nullcontext(),
    ):
        crowd.play(is_enough)
    row.faults = row.faults or attacks()
    return row


@contextlib.contextmanager
def address_of(store: Store) -> Iterator[str]:
    """The address of a new server, database or file for this store."""
    if store.kind == "postgres":
        with PostgresServer() as postgres:
            yield postgres.url
    elif store.kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="qrlogin-faults-") as folder:
            yield f"sqlite:///{folder}/logins.db"
    else:
        with nemesis.kept_redis() as server:
            yield server.url


# One machine


def no_fault(store: Store, size: Size, seed: int) -> Row:
    row = Row("D1", store.name, seed)
    with address_of(store) as url:
        # As many callers at each size: a hundred threads and more measure this process.
        return play(row, store, size, url, resent=False, lanes=128 // size.racers)


def killed(store: Store, size: Size, seed: int) -> Row:
    row, outages = Row("D2", store.name, seed), Outages()
    with contextlib.ExitStack() as stack:
        if store.kind == "postgres":
            postgres = stack.enter_context(PostgresServer())
            url, strike = postgres.url, nemesis.crashes(postgres)
        else:
            server = stack.enter_context(nemesis.kept_redis())
            url, strike = server.url, nemesis.kills(server)
        attack = Nemesis(strike, (0.3, 1.5), seed, outages)
        return play(row, store, size, url, attack, outages=outages)


def stopped(store: Store, size: Size, seed: int) -> Row:
    row, outages = Row("D7", store.name, seed), Outages()
    with contextlib.ExitStack() as stack:
        if store.kind == "postgres":
            postgres = stack.enter_context(PostgresServer())
            url, strike = postgres.url, nemesis.pauses(postgres, size.longest)
        elif store.kind == "sqlite":
            url = stack.enter_context(address_of(store))
            strike = nemesis.locks(url.removeprefix("sqlite:///"), size.longest)
            with QRLogin(SQLStore(url), **OPTIONS) as qr:
                qr.begin()  # makes the file
        else:
            server = stack.enter_context(nemesis.kept_redis())
            url, strike = server.url, nemesis.stops(server, size.longest)
        attack = Nemesis(strike, nemesis.gaps(size.longest), seed, outages)
        return play(row, store, size, url, attack, outages=outages)


def struck_by_verbs(store: Store, size: Size, seed: int) -> Row:
    row = Row("D8", store.name, seed)
    verbs = {verb: 0.02 for verb in VERBS if verb != "duplicate" or store.kind == "redis"}
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(address_of(store))
        port = urlsplit(url).port or 0
        direct = STORES["PostgreSQL" if store.kind == "postgres" else "Redis"]
        with QRLogin(direct.make(url), **OPTIONS) as qr:
            qr.begin()  # makes the table, or loads a script
        proxy = stack.enter_context(VerbProxy(port, verbs, longest_delay=size.longest, seed=seed))
        through = url.replace(f":{port}", f":{proxy.port}")
        return play(row, store, size, through, struck=proxy.struck.total)


def deaf(store: Store, size: Size, seed: int) -> Row:
    """Every 100 ms, the connections that listen are killed."""
    row = Row("D9", store.name, seed)
    with address_of(store) as url:
        attack = Nemesis(nemesis.kills_clients(url, "pubsub"), (0.1, 0.1), seed)
        return play(row, store, size, url, attack)


def never_subscribed(store: Store, size: Size, seed: int) -> Row:
    """The user of the store may not subscribe, so each waiting login is read again on a timer."""
    row = Row("D9 silence", store.name, seed)
    with address_of(store) as url:
        rights = ("on", "nopass", "~*", "&*", "+@all", "-subscribe")
        nemesis.commands(url, "ACL", "SETUSER", "deaf", *rights)(Random())
        row.faults = 1
        as_deaf = url.replace("://", "://deaf:any@")
        return play(row, store, size, url, make=lambda: store.make(as_deaf, reread=1.0))


def flushed(store: Store, size: Size, seed: int) -> Row:
    row = Row("D10", store.name, seed)
    with address_of(store) as url:
        attack = Nemesis(nemesis.commands(url, "SCRIPT", "FLUSH"), (0.01, 0.01), seed)
        return play(row, store, size, url, attack)


def disconnected(store: Store, size: Size, seed: int) -> Row:
    row = Row("D11", store.name, seed)
    with address_of(store) as url:
        strike = nemesis.kills_clients(url, "normal", int(1000 * size.longest))
        attack = Nemesis(strike, (0.05, 0.05), seed)
        return play(row, store, size, url, attack)


def read_only(store: Store, size: Size, seed: int) -> Row:
    row, outages = Row("D11 READONLY", store.name, seed), Outages()
    with address_of(store) as url:
        attack = Nemesis(nemesis.demotes(url, size.longest), (0.2, 0.6), seed, outages)
        return play(row, store, size, url, attack, outages=outages)


def full(store: Store, size: Size, seed: int) -> Row:
    row = Row("D12", store.name, seed)
    with address_of(store) as url:
        attack = Nemesis(nemesis.fills(url, "noeviction"), (0.05, 0.2), seed)
        return play(row, store, size, url, attack)


def evicted(store: Store, size: Size, seed: int) -> Row:
    """Logins vanish, and no wrong one succeeds."""
    row = Row("D12 lru", store.name, seed, expects=frozenset({"lost"}))
    with address_of(store) as url:
        attack = Nemesis(nemesis.fills(url, "allkeys-lru"), (0.05, 0.2), seed)
        return play(row, store, size, url, attack, forgets=True)


def stepped(store: Store, size: Size, seed: int) -> Row:
    row, clock = Row("D13", store.name, seed), nemesis.SteppingClock()
    with address_of(store) as url:
        attack = Nemesis(clock.strike, (0.02, 0.1), seed)
        return play(row, store, size, url, attack, make=lambda: store.make(url, now=clock))


def workers_end(store: Store, size: Size, seed: int) -> Row:
    """The workers of a real server are killed, reloaded or replaced."""
    row = Row("D3", store.name, seed)
    with nemesis.kept_redis() as server:
        return workers.play_over_http(
            row,
            store.name,
            server.url,
            logins=size.logins,
            faults=size.faults,
            seconds=size.seconds,
        )


def sharded(store: Store, size: Size, seed: int) -> Row:
    """A Cluster: slots move with their keys, and masters are killed and start again."""
    row, outages = Row("D15", store.name, seed), Outages()
    with shards.kept_cluster() as nodes:
        attack = Nemesis(shards.moves_and_kills(nodes), (0.1, 0.5), seed, outages)
        port = nodes[0].port
        return play(row, store, size, "", attack, outages=outages, make=lambda: store.make(port))


def partitioned(store: Store, size: Size, seed: int) -> Row:
    """The link between the store and its callers is down for a while: packets are lost."""
    if why := partition.why_not(store.kind):
        raise NotHere(why)
    return partition.play_inside(
        store.name, size.logins, size.faults, size.seconds, size.longest, seed
    )


def keys_rotate(store: Store, size: Size, seed: int) -> Row:
    """Two processes are replaced again and again, each time with the next ring of keys."""
    row = Row("D18 keys", store.name, seed)
    with (
        address_of(store) as url,
        Crowd(row, lambda: store.make(url)) as crowd,
    ):
        make = upgrades.node_maker(crowd.recorded)
        nodes = [upgrades.Node(make), upgrades.Node(make)]
        for shell in crowd.shells:
            shell.close()
        crowd.shells[:] = nodes  # type: ignore[assignment]
        with Nemesis(upgrades.rotates(crowd, nodes), (0.01, 0.1), seed) as attack:
            until = monotonic() + size.seconds
            crowd.play(
                lambda: (
                    (row.logins >= size.logins and attack.strikes >= size.faults)
                    or monotonic() > until
                    or not attack.is_alive
                )
            )
        row.faults = attack.strikes
    return row


def versions_share(store: Store, size: Size, seed: int) -> Row:
    """Two processes of the last release and two of this version share one Redis."""
    row = Row("D18", store.name, seed)
    with upgrades.last_release() as before, nemesis.kept_redis() as server:
        folders = [before, str(upgrades.ROOT)] * 2
        return upgrades.play_versions(row, server.url, folders, size.logins)


# Several machines


def failed_over(store: Store, size: Size, seed: int) -> Row:
    """Sentinel promotes a replica whose link was cut half a second before."""
    fault = "D4" if store.name.endswith("none") else "D5"
    return _of_failover(fault, failover.sentinel_failover, store, size, seed)


def killed_without_file(store: Store, size: Size, seed: int) -> Row:
    """`kill -9`, and the server has nothing on its disk."""
    return _of_failover("D2 no file", failover.kill_without_persistence, store, size, seed)


def _of_failover(
    fault: str,
    play: Callable[[Durability, int, int], failover.Counts],
    store: Store,
    size: Size,
    seed: int,
) -> Row:
    durability = store.make()
    counts = play(durability, size.logins, seed)
    wrong = frozenset() if durability else frozenset({"doubles", "lost", "undone"})
    return Row(
        fault,
        store.name,
        seed,
        logins=counts.logins,
        faults=1,
        unavailable=counts.unavailable,
        doubles=counts.doubled,
        lost=counts.lost_approvals,
        undone=counts.undone_denials,
        expects=wrong,
    )


# Many waits


def disconnect_storm(store: Store, size: Size, seed: int) -> Row:
    """Half of all calls are cancelled in the middle of their round trip."""
    row, draw = Row("D14", store.name, seed), Random(seed)

    async def scenario(url: str) -> None:
        recorded = store.make(url, timeout=15)
        async with AsyncQRLogin(recorded, **OPTIONS) as qr:
            logins = [await qr.begin() for _ in range(20)]
            before = len(asyncio.all_tasks())

            async def ask() -> None:
                login = draw.choice(logins)
                call = asyncio.ensure_future(qr.status(login.device_code))
                if draw.random() < 0.5:
                    await asyncio.sleep(draw.random() * 0.02)
                    if call.cancel():
                        row.add("faults")
                (answer,) = await asyncio.gather(call, return_exceptions=True)
                row.add("logins")
                if isinstance(answer, Status) and answer.login_id != login.login_id:
                    row.add("wrong_user", "a call got the reply of another login")
                elif isinstance(answer, Exception) and not isinstance(answer, QRLoginError):
                    row.add("untyped", f"{type(answer).__name__}: {answer}")
                elif isinstance(answer, QRLoginError):
                    row.add("lost", f"{type(answer).__name__}: {answer}")

            for _ in range(0, size.logins, 500):
                await asyncio.gather(*(ask() for _ in range(500)))
            ends = monotonic() + 15
            while len(asyncio.all_tasks()) > before and monotonic() < ends:
                await asyncio.sleep(0.01)
            if len(asyncio.all_tasks()) > before:
                row.add("stuck", "tasks are left")

    with address_of(store) as url, Proxy(urlsplit(url).port or 0) as proxy:
        proxy.delay = 0.003
        asyncio.run(scenario(proxy.url))
        if proxy.connected > 60:
            row.add("late", f"{proxy.connected} connections were opened")
    return row


def gone(store: Store, size: Size, seed: int) -> Row:
    """The server is stopped for good while browsers wait: each call ends in time, and says so."""
    row = Row("D20", store.name, seed)
    with contextlib.ExitStack() as stack:
        server: Any = stack.enter_context(
            PostgresServer() if store.kind == "postgres" else nemesis.kept_redis()
        )
        crowd = stack.enter_context(
            Crowd(row, lambda: store.make(server.url), awaited=store.awaited)
        )
        qr = crowd.shells[0]
        begun = [qr.begin() for _ in range(5)]
        server.stop()
        row.faults = 1
        for login in begun[: size.logins]:
            for call in (
                qr.begin,
                lambda: qr.wait(login.device_code, timeout=1),  # noqa: B023
                lambda: qr.scan(login.scan_code, subject="a", shown_as="a"),  # noqa: B023
            ):
                with contextlib.suppress(Unavailable):
                    call()
                    row.add("wrong_user", "a call succeeded without a store")
            row.add("logins")
    return row


def parked(store: Store, size: Size, seed: int) -> Row:
    """Many browsers wait in one process while Redis is killed. Then each login is scanned."""
    row, outages = Row("D19", store.name, seed), Outages()

    async def scenario(server: RedisServer) -> None:
        async with (
            AsyncQRLogin(store.make(server.url), **OPTIONS) as qr,
            AsyncQRLogin(store.make(server.url), **OPTIONS) as phones,
        ):
            logins = [await qr.begin() for _ in range(size.logins)]
            scanned, seen_at = dict[str, float](), list[tuple[float, float]]()

            async def browser(login: Any) -> None:
                try:
                    seen = await qr.wait(login.device_code, after=login.version, timeout=60)
                except Unavailable as error:
                    row.add("lost", f"a wait ended: {error}")
                    return
                row.add("logins")
                now = monotonic()
                seen_at.append((scanned.get(login.login_id, now), now))
                if seen.state is not State.SCANNED:
                    row.add("lost", f"a wait returned {seen.state}")

            waiting = [asyncio.create_task(browser(login)) for login in logins]
            while not are_held(qr, len(logins)):
                await asyncio.sleep(0.05)
            for _ in range(size.faults):
                since = await asyncio.to_thread(nemesis.crash, server)
                row.add("faults")
                outages.over(since)
            for login in logins:
                while True:
                    with contextlib.suppress(Unavailable):
                        await phones.scan(login.scan_code, subject="a", shown_as="a")
                        break
                    row.add("unavailable")
                    await asyncio.sleep(0.05)
                scanned[login.login_id] = monotonic()
            await asyncio.gather(*waiting)
            for changed, seen in seen_at:
                row.recovered(outages.since(changed, seen))

    def are_held(qr: AsyncQRLogin, count: int) -> bool:
        """Whether so many waits have read their login. Before, an outage ends them."""
        return len(qr._watches) == count and all(each._read_at for each in qr._watches)

    with nemesis.kept_redis() as server:
        asyncio.run(scenario(server))
    return row


SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario(
        "D1",
        "no fault; redeems of one login race, each with its own op",
        no_fault,
        (*REDIS, *SQL, "SQLite", "the tutorial's"),
        Size(12, racers=16),
        Size(150, racers=16),
        Size(2000, racers=64, seconds=300),
    ),
    Scenario(
        "D2",
        "the server is killed (`kill -9`) and starts again, with its file (`appendfsync always`)",
        killed,
        (*WITH_NAIVE, *SQL),
        Size(30, 1),
        Size(150, 3),
        Size(5000, 50, seconds=300),
    ),
    Scenario(
        "D2 no file",
        "the server is killed, and what it has not copied is lost: with each durability",
        killed_without_file,
        ("no file, none", "a file, aof(1, 0, 3000)", "a replica, wait(1, 3000)"),
        Size(60),
        Size(60),
        Size(400),
    ),
    Scenario(
        "D3",
        "over HTTP, two workers and one Redis: workers are killed, reloaded or replaced",
        workers_end,
        tuple(workers.SERVERS),
        Size(4, 1),
        Size(30, 2, seconds=90),
        Size(500, 100, seconds=400),
    ),
    Scenario(
        "D4",
        "Sentinel promotes a replica whose link was cut 0.5 s before",
        failed_over,
        ("Sentinel, none",),
        Size(30),
        Size(30),
        Size(300),
    ),
    Scenario(
        "D5",
        "the same, and each answer waits until a replica has it",
        failed_over,
        ("Sentinel, wait(1, 200)",),
        Size(30),
        Size(30),
        Size(300),
    ),
    Scenario(
        "D7",
        "the server is stopped (SIGSTOP) for a while; SQLite: another process locks the file",
        stopped,
        (*WITH_NAIVE, *SQL, "SQLite", "SQLite, asyncio"),
        Size(20, 1, longest=0.4),
        Size(100, 3, longest=3),
        Size(2000, 40, seconds=400, longest=20),
    ),
    Scenario(
        "D8",
        "each of these strikes 2 % of all requests: " + ", ".join(VERBS),
        struck_by_verbs,
        (*WITH_NAIVE, *SQL),
        Size(8, 5, longest=0.2),
        Size(60, 40, longest=0.5),
        Size(5000, 5000, seconds=400, longest=2),
    ),
    Scenario(
        "D9",
        "the connections that listen are killed every 100 ms",
        deaf,
        REDIS,
        Size(20, 3),
        Size(200, 20),
        Size(5000, 500, seconds=300),
    ),
    Scenario(
        "D9 silence",
        "no notification ever arrives, and each waiting login is read again every second",
        never_subscribed,
        REDIS,
        Size(10),
        Size(60),
        Size(1000, seconds=300),
    ),
    Scenario(
        "D10",
        "SCRIPT FLUSH every 10 ms",
        flushed,
        REDIS,
        Size(20, 10),
        Size(200, 100),
        Size(2000, 2000, seconds=300),
    ),
    Scenario(
        "D11",
        "CLIENT KILL of all connections every 50 ms, and sometimes CLIENT PAUSE",
        disconnected,
        WITH_NAIVE,
        Size(15, 5, longest=0.2),
        Size(150, 40, longest=1),
        Size(2000, 500, seconds=300, longest=1),
    ),
    Scenario(
        "D11 READONLY",
        "the server is demoted to a replica for a while, and refuses to write",
        read_only,
        WITH_NAIVE,
        Size(15, 2, longest=0.3),
        Size(150, 5, longest=1),
        Size(2000, 100, seconds=300, longest=2),
    ),
    Scenario(
        "D12",
        "the server reaches maxmemory, with `noeviction`",
        full,
        WITH_NAIVE,
        Size(15, 3),
        Size(150, 15),
        Size(2000, 300, seconds=300),
    ),
    Scenario(
        "D12 lru",
        "the server reaches maxmemory, with `allkeys-lru`: logins vanish",
        evicted,
        REDIS,
        Size(15, 3),
        Size(150, 15),
        Size(2000, 300, seconds=300),
    ),
    Scenario(
        "D13",
        "the store's clock is set forward and back by up to 10 s",
        stepped,
        ("Redis", "SQLite"),
        Size(15, 5),
        Size(150, 30),
        Size(2000, 500, seconds=300),
    ),
    Scenario(
        "D14",
        "callers are cancelled in the middle of a call (the logins are calls)",
        disconnect_storm,
        ("Redis, asyncio",),
        Size(500),
        Size(5000),
        Size(100_000, seconds=600),
    ),
    Scenario(
        "D15",
        "Cluster: slots move while logins are under way, and masters are killed and start again",
        sharded,
        ("Cluster", "Cluster, asyncio"),
        Size(20, 2),
        Size(150, 6),
        Size(1000, 60, seconds=400),
    ),
    Scenario(
        "D16",
        "the link to the server is down for a while (in a network namespace): packets are lost",
        partitioned,
        (*WITH_NAIVE, *SQL),
        Size(15, 1, longest=0.4),
        Size(100, 2, longest=3),
        Size(1000, 40, seconds=400, longest=20),
    ),
    Scenario(
        "D18",
        "processes of the last release and of this version share one Redis",
        versions_share,
        ("Redis",),
        Size(10),
        Size(100),
        Size(1000),
    ),
    Scenario(
        "D18 keys",
        "processes are replaced, each time with the next ring of keys",
        keys_rotate,
        ("Redis", "SQLite"),
        Size(30, 1),
        Size(200, 4),
        Size(1000, 50, seconds=300),
    ),
    Scenario(
        "D19",
        "browsers wait in one process while the server is killed; then each login is scanned",
        parked,
        ("Redis, asyncio",),
        Size(100, 1),
        Size(1000, 1),
        Size(8000, 3),
    ),
    Scenario(
        "D20",
        "the server is stopped for good",
        gone,
        (*REDIS, *SQL),
        Size(1),
        Size(3),
        Size(5),
    ),
)


#: What is not in the table, and why.
ELSEWHERE: Final[Mapping[str, str]] = {
    "D6": "a ledger beside Redis: `SQLStore` has taken its place (D1, D2, D7, D8, D16)",
    "D17": "a day of logins: no test runs for that long",
}
