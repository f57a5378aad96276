"""What a failover and a crash undo, with a durability and without one.

Both functions return what users met: `none` shows the figure of a Redis that answers before its
replica or its disk has the write, and a durability shows 0. `unavailable` is its price: those calls
were not answered at first, and the same call again decided them.
"""

import asyncio
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from qrlogin import AsyncQRLogin, QRLogin, QRLoginError, RecordLost, State, Unavailable
from qrlogin.operation import Operation
from qrlogin.stores import AsyncRedisStore, Durability, RedisStore
from qrlogin.stores.suite.colours import PATIENCE
from tests.application import KEY, UNLIMITED, URI
from tests.servers import LOOPBACK, RedisServer, redis_binary, valkey_binary
from tests.stores.clusters import (
    READY_SECONDS,
    cut_link,
    lose_patience,
    sentinels,
    wait_for_replicas,
)

T = TypeVar("T")
#: Kills the server, sets the event, and returns when logins can go on.
KillAndRecover = Callable[[threading.Event], None]
OPTIONS: Any = {"secret_keys": [KEY], "verification_uri": URI, "policy": UNLIMITED}
#: Seconds from the cut of the link to the death of the master.
CUT_SECONDS = 0.5
WORKERS = 8
#: How many approvals wait for their browsers when the server is killed, at least.
WAITING = 3


@dataclass
class Counts:
    """What became of the logins of one run."""

    logins: int = 0
    doubled: int = 0
    """Redeems that were answered, and another redeem of the same login was answered afterwards."""
    lost_approvals: int = 0
    """Approvals that were answered, and that no browser can redeem afterwards."""
    undone_denials: int = 0
    """Refusals that were answered, and the login can be approved again afterwards."""
    unavailable: int = 0
    """Calls that were not answered at first."""


def sentinel_failover(durability: Durability, logins: int, seed: int = 1) -> Counts:
    """The link to the replica is cut, users go on for half a second, the master is killed, and
    Sentinel promotes the replica. A third of the logins is approved in that time, a third is
    denied, and a third is redeemed.

    :param durability: of the store.
    :param logins: how many, a multiple of 3.
    :param seed: of the instants at which users act.
    """
    with sentinels() as (addresses, master):
        with redis.Redis(port=master.port, decode_responses=True) as client:
            replica = int(client.info("replication")["slave0"]["port"])
        return asyncio.run(_fail_over(durability, logins, seed, addresses, master, replica))


async def _fail_over(
    durability: Durability,
    logins: int,
    seed: int,
    addresses: list[tuple[str, int]],
    master: RedisServer,
    replica: int,
) -> Counts:
    options: Any = {"socket_timeout": PATIENCE}
    service: Any = AsyncSentinel(addresses, sentinel_kwargs=options, **options)  # type: ignore[no-untyped-call]
    client = service.master_for("logins")
    qr = AsyncQRLogin(AsyncRedisStore(client, timeout=PATIENCE, durability=durability), **OPTIONS)
    counts, instants = Counts(logins), random.Random(seed)
    begun = [await qr.begin() for _ in range(logins)]
    confirmed, denied, redeemed = begun[::3], begun[1::3], begun[2::3]
    core, tags = qr.core, dict[str, str]()
    calls = dict[str, Operation[Any]]()
    for one in begun:
        await qr.scan(one.scan_code, subject="42", shown_as="M•••a")
    for one in redeemed:
        await _insisted(qr, core.confirm(one.scan_code, subject="42"))
        seen = await qr.status(one.device_code)
        assert seen.scanned_by is not None
        tags[one.login_id] = tag = seen.scanned_by.tag
        device = core.read_device_code(one.device_code)
        calls[one.login_id] = core.redeem(device, acknowledged=tag, op="first-" + one.login_id)
    for one in confirmed:
        calls[one.login_id] = core.confirm(one.scan_code, subject="42")
    for one in denied:
        calls[one.login_id] = core.deny(one.scan_code, subject="42")
    with redis.Redis(port=master.port) as direct, direct.pipeline(transaction=False) as pipeline:
        pipeline.set("everything before this", "has reached the replica", ex=60)
        pipeline.execute_command("WAIT", 1, int(PATIENCE * 1000))
        assert pipeline.execute()[1] == 1

    answered = set[str]()

    async def act(login_id: str, at: float) -> None:
        await asyncio.sleep(at)
        try:
            await qr.run(calls[login_id])
        except Unavailable:
            counts.unavailable += 1
        else:
            answered.add(login_id)

    cut_link(replica)
    acts = [
        asyncio.create_task(act(login_id, instants.uniform(0, 0.6 * CUT_SECONDS)))
        for login_id in calls
    ]
    await asyncio.sleep(CUT_SECONDS)
    master.process.kill()
    lose_patience(addresses)
    await asyncio.gather(*acts)
    await _until_master(replica)

    with ExitStack() as stack:
        if durability:  # Sentinel would attach the old master once it is back
            where = ("--replicaof", LOOPBACK, str(replica))
            stack.enter_context(RedisServer(redis_binary(), *where))
            await asyncio.to_thread(wait_for_replicas, replica)
        for login_id in calls.keys() - answered:
            await _insisted(qr, calls[login_id])
        store = RedisStore.from_url(f"redis://{LOOPBACK}:{replica}/0", timeout=PATIENCE)
        with QRLogin(store, **OPTIONS) as later:
            for one in redeemed:
                tag, op = tags[one.login_id], "other-" + one.login_id
                counts.doubled += _works(
                    lambda one=one, tag=tag, op=op: later.redeem(  # type: ignore[misc]
                        one.device_code, acknowledged=tag, op=op
                    )
                )
            for one in confirmed:
                counts.lost_approvals += later.status(one.device_code).state is not State.CONFIRMED
            for one in denied:
                counts.undone_denials += later.status(one.device_code).state is not State.DENIED
    await qr.close()
    await client.aclose()
    for each in service.sentinels:
        await each.aclose()
    return counts


async def _until_master(port: int) -> None:
    give_up = time.monotonic() + READY_SECONDS
    with redis.Redis(port=port, decode_responses=True) as client:
        while client.info("replication")["role"] != "master":
            assert time.monotonic() < give_up, "Sentinel has promoted no replica"
            await asyncio.sleep(0.05)


async def _insisted(qr: AsyncQRLogin, call: Operation[T]) -> T:
    """The answer of a call that is repeated while it is unavailable."""
    give_up = time.monotonic() + READY_SECONDS
    while True:
        try:
            return await qr.run(call)
        except Unavailable:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.05)


def _works(call: Callable[[], object]) -> bool:
    try:
        call()
    except QRLoginError:
        return False
    return True


def kill_without_persistence(durability: Durability, logins: int, seed: int = 1) -> Counts:
    """Users log in, and in the middle of it the server is killed with `kill -9`. It saves nothing
    to disk, except for a durability that asks for its append-only file. Without a durability it
    starts again, empty; with that file, it reads it; and with a replica, Sentinel promotes that.

    :param durability: of the store.
    :param logins: how many, at least 24.
    :param seed: of how long users take.
    """
    counts, paces, lock = Counts(logins), random.Random(seed), threading.Lock()
    with _server(durability) as (client, kill_and_recover):
        qr = QRLogin(RedisStore(client, timeout=PATIENCE, durability=durability), **OPTIONS)
        approved, killed = threading.Semaphore(0), threading.Event()

        def add(field: str) -> None:
            with lock:
                setattr(counts, field, getattr(counts, field) + 1)

        def insisted(call: Operation[T]) -> T:
            give_up = time.monotonic() + READY_SECONDS
            while True:
                try:
                    return qr.run(call)
                except Unavailable:
                    add("unavailable")
                    if time.monotonic() > give_up:
                        raise
                    time.sleep(0.05)

        def log_in(number: int) -> None:
            core, is_approved = qr.core, False
            while True:
                try:
                    begun = insisted(core.begin())
                    insisted(core.scan(begun.scan_code, subject="42", shown_as="M•••a"))
                    insisted(core.confirm(begun.scan_code, subject="42"))
                    is_approved = True
                    device = core.read_device_code(begun.device_code)
                    # The browser asks "continue as …?". Every third user takes long.
                    if number % 3 == 0 and number > logins // 2 and not killed.is_set():
                        approved.release()
                        killed.wait(READY_SECONDS)
                    time.sleep(paces.uniform(0, 0.05))
                    seen = insisted(core.status(device)).scanned_by
                    assert seen is not None
                    insisted(core.redeem(device, acknowledged=seen.tag, op="op-" + "0" * 20))
                    return
                except RecordLost:  # the user has to scan another code
                    if is_approved:
                        add("lost_approvals")
                        return

        with ThreadPoolExecutor(WORKERS) as users:
            running = [users.submit(log_in, number) for number in range(logins)]
            for _ in range(WAITING):
                assert approved.acquire(timeout=READY_SECONDS)
            kill_and_recover(killed)
            for one in running:
                one.result(READY_SECONDS)
        qr.close()
    return counts


@contextmanager
def _server(
    durability: Durability,
) -> Iterator[tuple[redis.Redis, KillAndRecover]]:
    """A client of a server that suits the durability, and what kills the server and waits until
    logins can go on.
    """
    options: Any = {"socket_timeout": PATIENCE, "retry": Retry(NoBackoff(), 0)}
    with ExitStack() as stack:
        if durability.replicas:
            addresses, master = stack.enter_context(sentinels())
            with redis.Redis(port=master.port, decode_responses=True) as direct:
                replica = int(direct.info("replication")["slave0"]["port"])
            service: Any = Sentinel(addresses, sentinel_kwargs=options, **options)  # type: ignore[no-untyped-call]
            client = stack.enter_context(service.master_for("logins"))

            def fail_over(killed: threading.Event) -> None:
                master.process.kill()
                killed.set()
                lose_patience(addresses)
                asyncio.run(_until_master(replica))
                where = ("--replicaof", LOOPBACK, str(replica))
                stack.enter_context(RedisServer(redis_binary(), *where))
                wait_for_replicas(replica)

            yield client, fail_over
            return
        file = ["--appendonly", "yes"] if durability.local else []
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="qrlogin-aof-"))
        binary = valkey_binary() if durability.local else redis_binary()
        server = stack.enter_context(RedisServer(binary, "--dir", folder, *file))

        def restart(killed: threading.Event) -> None:
            server.process.kill()
            server.process.wait()
            killed.set()
            server.stop()
            server.start()

        yield stack.enter_context(redis.Redis(port=server.port, **options)), restart
