"""Logins in Redis 7.0 or newer, or Valkey: plain, behind Sentinel or in a Cluster.

All processes of an application share them. A command is one EVALSHA of `step.lua` on one key;
deadlines go by the server's clock. Changes are published, and one subscribed connection per store
receives them, however many browsers wait. What is published while that connection is down is lost.
So every login with a listener is read again after each (re)subscription, a few at a time. While the
subscription works, nothing is read on a timer; while it does not, each such login is, slowly.

No error of a client leaves this module: whatever it raises becomes `Unavailable`, which names the
kind of error and not the address. `redis_calls.py` spells commands, `redis_client.py` sets redis-py
up, `redis_call_time.py` ends calls in time, `redis_cluster.py` finds the node of a Cluster,
`redis_pipeline.py` sends what many tasks ask at once together, `redis_durable.py` waits for copies,
`server_checks.py` looks at the server, `outages.py` logs outages, and `redis_subscription.py` reads
messages. None of them knows a state, a code or a secret.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self

from redis import Redis, RedisCluster
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

from qrlogin.errors import Unavailable
from qrlogin.step import Command, Reply
from qrlogin.stores.durability import NONE, Durability, Shortfall, from_address, releases
from qrlogin.stores.listeners import AsyncListeners, AsyncLocalListener, Listeners, LocalListener
from qrlogin.stores.one_loop import OneLoop
from qrlogin.stores.outages import OutageLog
from qrlogin.stores.redis_call_time import CallTime, ForeignClient
from qrlogin.stores.redis_calls import RedisCalls, check_answers, read_reply
from qrlogin.stores.redis_client import (
    Target,
    check_client,
    check_durability,
    check_timeout,
    describe,
    is_lost,
    sentinels_of,
)
from qrlogin.stores.redis_cluster import AsyncClusterClient, ClusterClient
from qrlogin.stores.redis_durable import ConfirmingPipeline, send_confirmed
from qrlogin.stores.redis_pipeline import CommandPipeline
from qrlogin.stores.redis_subscription import PIPELINED_PAUSE, TICK_SECONDS, Subscription
from qrlogin.stores.server_checks import FirstLook

#: How many messages of a burst the asyncio store reads before it lets other tasks run.
_MESSAGES_AT_ONCE: Final = 20


class RedisStore:
    """A `Store` in Redis: `RedisStore.from_url("redis://…")`, or with a client of your own.

    Your own client may be any that redis-py makes: `Redis`, `Sentinel(...).master_for(...)`,
    `RedisCluster`. The store makes connections of its own to the same servers, with the same user,
    password and TLS, but with its own time-outs. It leaves your client as it is, and you close it.
    A client of another class is used itself, and each call over it runs in a thread.

    :param client: a client of redis-py that blocks.
    :param prefix: begins every key and channel: 1 to 64 printable ASCII characters without spaces
        and braces.
    :param reread: seconds after which a waiting browser's login is read again while the
        subscription does not work. While it works, no login is read on a timer.
    :param timeout: seconds that one call takes at most, with everything that it waits for: the
        lookup of the host's name, connections, TLS, Sentinels, replies.
    :param durability: how many copies must have an approval, a refusal or a redeem before it is
        answered, such as `Durability.wait(replicas=1, ms=500)`.
    :param now: replaces the server's clock, in milliseconds since 1970: for tests.
    :raises Misconfigured: for an argument that cannot work.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        timeout: float = 2.0,
        durability: Durability = NONE,
        now: Callable[[], int] | None = None,
    ) -> None:
        if not isinstance(client, Target):
            check_client(client, blocks=True)
        found = client if isinstance(client, Target) else Target.of(client, blocks=True)
        self._time = CallTime(check_timeout(timeout))
        check_durability(durability, found, self._time.seconds)
        self._own = found is not None  # whether its connections are the store's
        self._client: Any = (
            found.open(self._time, blocks=True) if found else ForeignClient(client, self._time)
        )
        self._calls = RedisCalls(prefix, now, durable=bool(durability))
        self._durability = durability
        self._listeners = Listeners(reread=reread)
        self._outages = OutageLog("Redis", describe, lambda: self._listeners.closed)
        self._subscriber: threading.Thread | None = None
        self._look = FirstLook(durability, is_cluster=isinstance(self._client, ClusterClient))
        self._look.is_due = self._own
        self._looker: threading.Thread | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        timeout: float = 2.0,
        max_connections: int = 50,
        durability: Durability = NONE,
        now: Callable[[], int] | None = None,
    ) -> Self:
        """A store at an address. It connects at the first call.

        A call that fails is sent once more in its time, so a reply is waited for half of `timeout`.

        :param url: `redis://`, `rediss://` or `unix://`; `redis+sentinel://HOST:PORT,…/SERVICE`;
            `redis+cluster://HOST:PORT,…`. The same with `valkey` in place of `redis`. Options in
            the URL win over the arguments.
        :param prefix: begins every key and channel: 1 to 64 printable ASCII characters without
            spaces and braces.
        :param reread: seconds after which a waiting browser's login is read again while the
            subscription does not work. While it works, only a stream reads on a timer: at every
            second heartbeat, in case a message was lost.
        :param timeout: seconds that one call takes at most, with everything that it waits for.
        :param max_connections: to each server, at least 2: one of them holds the subscription. With
            a durability, at least 3.
        :param durability: as for the class. The URL may name it: `redis://…?durability=wait(1,500)`.
        :param now: replaces the server's clock, in milliseconds since 1970: for tests.
        :raises Misconfigured: for an argument that cannot work.
        """
        target, options = _located(url, timeout, max_connections, durability, blocks=True)
        return cls(target, prefix=prefix, reread=reread, now=now, **options)

    def apply(self, command: Command) -> Reply:
        """As `Store.apply`. Raises `Unavailable`."""
        try:
            raw = self._time.spend(lambda: self._send(command))
        except OutOfMemoryError as error:
            raise _full(self._outages, error) from error
        except Exception as error:
            # Whatever it is: an AttributeError of redis-py means a lost connection, too.
            raise self._outages.unavailable(error) from error
        if self._look.is_due:
            self._start_look()
        return _released(command, raw, self._outages)

    def _start_look(self) -> None:
        """Look at the server, in a thread: no login waits for it, and none fails by it."""
        with self._lock:
            if self._look.is_due and not self._closing.is_set():
                self._look.is_due = False
                self._looker = threading.Thread(
                    target=self._look_at_server, name="qrlogin-first-look", daemon=True
                )
                with suppress(RuntimeError):  # there is no thread to be had
                    self._looker.start()

    def _look_at_server(self) -> None:
        with suppress(Exception):
            self._look.log(self._time.spend(self._client.info))

    def _send(self, command: Command) -> object:
        try:
            return self._evaluate(command)
        except Exception as error:
            if not self._own or not is_lost(error):
                raise
            self._time.renew_after(error)
        return self._evaluate(command)

    def _evaluate(self, command: Command) -> object:
        script, arguments = self._calls.script(command), self._calls.arguments(command)
        send = self._client.execute_command
        if self._durability and command.row.durable:
            send = self._send_confirmed
        try:
            try:
                answer = send("EVALSHA", script.sha, *arguments)
            except NoScriptError:  # the server restarted, failed over or was flushed
                answer = send("EVAL", script.text, *arguments)
        except ResponseError as error:
            if not self._calls.must_do_without_flags(script, error):
                raise
            return self._evaluate(command)
        if not isinstance(answer, Shortfall):
            check_answers([("EVALSHA", script.sha, *arguments)], [answer])
        return answer

    def _send_confirmed(self, *words: str | bytes | int) -> object:
        return send_confirmed(self._client, self._durability, words)

    def listen(self, login_id: str) -> LocalListener:
        """As `Store.listen`. The first call starts the thread that subscribes.

        Raises `Unavailable` if the system gives this process no thread: nothing would notify the
        listener.
        """
        listener = self._listeners.listen(login_id)
        with self._lock:
            # In a forked child, the parent's thread is not alive.
            alive = self._subscriber is not None and self._subscriber.is_alive()
            if not alive and not self._closing.is_set():
                subscriber = threading.Thread(
                    target=self._subscribe, name="qrlogin-notifications", daemon=True
                )
                try:
                    subscriber.start()
                except RuntimeError as error:
                    listener.remove()
                    raise self._outages.unavailable(error) from error
                self._subscriber = subscriber
        return listener

    def close(self) -> None:
        """As `Store.close`. A client that the application passed stays open."""
        self._listeners.close()
        with self._lock:
            self._closing.set()
        if self._subscriber:
            # It is a daemon thread, so one that hangs on a dead server does not keep the process
            # alive.
            self._subscriber.join(1)
        if self._looker and self._looker.is_alive():
            self._looker.join(1)
        if self._own:
            for client in (self._client, *sentinels_of(self._client)):
                with suppress(Exception):  # a call that runs may disconnect the same connection
                    client.close()

    def _subscribe(self) -> None:
        subscription = Subscription(
            self._listeners, self._outages, self._time.seconds, renew=self._time.renew
        )
        while not self._closing.is_set():
            try:
                seconds = subscription.begin()
                with self._client.pubsub() as pubsub:
                    self._time.spend(lambda: pubsub.subscribe(*self._calls.channels), seconds)
                    while not self._closing.is_set():
                        subscription.receive(pubsub.get_message(timeout=subscription.timeout))
                        if subscription.needs_ping():
                            pubsub.ping()
            except Exception as error:  # whatever it is: browsers are waiting, so subscribe again
                self._closing.wait(subscription.pause_after(error))


class AsyncRedisStore:
    """`RedisStore` for asyncio, over the clients of `redis.asyncio`. It belongs to the event loop
    that uses it first. In another one, `apply` and `listen` raise `Misconfigured`.

    :param client: a client of `redis.asyncio`.
    :param prefix: as for `RedisStore`.
    :param reread: as for `RedisStore`.
    :param timeout: as for `RedisStore`.
    :param durability: as for `RedisStore`.
    :param now: as for `RedisStore`.
    """

    def __init__(
        self,
        client: AsyncRedis | AsyncRedisCluster,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        timeout: float = 2.0,
        durability: Durability = NONE,
        now: Callable[[], int] | None = None,
    ) -> None:
        if not isinstance(client, Target):
            check_client(client, blocks=False)
        found = client if isinstance(client, Target) else Target.of(client, blocks=False)
        self._time = CallTime(check_timeout(timeout))
        check_durability(durability, found, self._time.seconds)
        self._own = found is not None  # whether its connections are the store's
        self._client: Any = found.open(self._time, blocks=False) if found else client
        self._calls = RedisCalls(prefix, now, durable=bool(durability))
        self._durability = durability
        self._listeners = AsyncListeners(reread=reread)
        self._outages = OutageLog("Redis", describe, lambda: self._listeners.closed)
        self._subscriber: asyncio.Task[None] | None = None
        self._pipeline = CommandPipeline(
            self._client,
            self._calls,
            self._time,
            resends=self._own,
            spare=int(bool(durability)),
        )
        #: Apart, so that a read does not wait until other calls have their copies.
        self._confirming = ConfirmingPipeline(
            self._client, self._calls, self._time, durability, resends=self._own
        )
        self._look = FirstLook(durability, is_cluster=isinstance(self._client, AsyncClusterClient))
        self._look.is_due = self._own
        self._looker: asyncio.Task[None] | None = None
        self._one_loop = OneLoop("AsyncRedisStore")

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        timeout: float = 2.0,
        max_connections: int = 50,
        durability: Durability = NONE,
        now: Callable[[], int] | None = None,
    ) -> Self:
        """A store at an address; all arguments as in `RedisStore.from_url`.

        :param url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `redis+cluster://`; the
            same with `valkey`.
        :param prefix: begins every key and channel.
        :param reread: seconds after which a waiting browser's login is read again while the
            subscription does not work.
        :param timeout: seconds that one call takes at most, with everything that it waits for.
        :param max_connections: to each server, at least 2; with a durability, at least 3.
        :param durability: as for the class.
        :param now: replaces the server's clock, in milliseconds since 1970: for tests.
        :raises Misconfigured: for an argument that cannot work.
        """
        target, options = _located(url, timeout, max_connections, durability, blocks=False)
        return cls(target, prefix=prefix, reread=reread, now=now, **options)

    async def apply(self, command: Command) -> Reply:
        """As `AsyncStore.apply`. Raises `Unavailable`."""
        # The pipeline has tasks of its own, so redis-py never sees a caller cancelled: it would
        # have to drop the connection each time.
        self._one_loop.check()
        is_confirmed = self._durability and command.row.durable
        raw = await (self._confirming if is_confirmed else self._pipeline).send(command)
        if isinstance(raw, Exception) and not isinstance(raw, Shortfall):
            raise self._failure(raw) from raw
        if self._look.is_due:
            self._look.is_due = False
            self._looker = asyncio.create_task(self._look_at_server(), name="qrlogin-first-look")
        return _released(command, raw, self._outages)

    async def _look_at_server(self) -> None:
        with suppress(Exception):
            async with asyncio.timeout(self._time.seconds):
                self._look.log(await self._client.info())

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, OutOfMemoryError):
            return _full(self._outages, error)
        # Whatever it is: an AttributeError of redis-py means a lost connection, too.
        return self._outages.unavailable(error)

    def listen(self, login_id: str) -> AsyncLocalListener:
        """As `AsyncStore.listen`. The first call starts the task that subscribes."""
        self._one_loop.check()
        listener = self._listeners.listen(login_id)
        if not self._listeners.closed and (self._subscriber is None or self._subscriber.done()):
            self._subscriber = asyncio.create_task(self._subscribe(), name="qrlogin-notifications")
        return listener

    async def close(self) -> None:
        """As `AsyncStore.close`. A client that the application passed stays open."""
        self._listeners.close()
        if self._one_loop.loop not in (None, asyncio.get_running_loop()):
            return  # the connections ended with their loop, and no other loop can close them
        while self._subscriber and not self._subscriber.done():
            self._subscriber.cancel()  # in a loop, because redis-py may swallow a cancellation
            await asyncio.wait({self._subscriber}, timeout=TICK_SECONDS)
        if self._looker and not self._looker.done():
            self._looker.cancel()
            await asyncio.wait({self._looker}, timeout=TICK_SECONDS)
        if self._own:
            await self._pipeline.drain()
            await self._confirming.drain()
            for client in (self._client, *sentinels_of(self._client)):
                with suppress(Exception):  # as in RedisStore
                    await client.aclose()

    async def _subscribe(self) -> None:
        seconds = self._time.seconds
        subscription = Subscription(
            self._listeners, self._outages, seconds, PIPELINED_PAUSE, renew=self._time.renew
        )
        while True:
            try:
                limit = subscription.begin()
                async with self._client.pubsub() as pubsub:
                    async with asyncio.timeout(limit):
                        await pubsub.subscribe(*self._calls.channels)
                    received = 0
                    while True:
                        async with asyncio.timeout(subscription.timeout + seconds):
                            message = await pubsub.get_message(timeout=subscription.timeout)
                        running = len(self._pipeline) + len(self._confirming)
                        subscription.receive(message, running_calls=running)
                        if subscription.needs_ping():
                            await pubsub.ping()
                        # redis-py returns messages that it has read already without a pause, and
                        # in a burst no other task would run.
                        received = 0 if message is None else received + 1
                        if received % _MESSAGES_AT_ONCE == 0:
                            await asyncio.sleep(0)
            except Exception as error:  # whatever it is: browsers are waiting, so subscribe again
                if (loop := self._one_loop.loop) and loop.is_closed():
                    return  # this coroutine is collected after its loop, and no browser waits
                await asyncio.sleep(subscription.pause_after(error))
            finally:
                self._listeners.reliable = False  # also if this task was cancelled


def _located(
    url: str, timeout: float, max_connections: int, durability: Durability, *, blocks: bool
) -> tuple[Any, dict[str, Any]]:
    """The servers at an address, which a store takes in place of a client, and what the address
    says of its other arguments. The parameters are those of `RedisStore.from_url`.
    """
    check_timeout(timeout)
    url, durability = from_address(url, durability)
    target, seconds = Target.at(url, max_connections, blocks=blocks)
    return target, {"timeout": seconds or timeout, "durability": durability}


def _released(command: Command, raw: object, outages: OutageLog) -> Reply:
    """The reply, if it may be released: a `Shortfall` raises `Unavailable`, unless no user relies
    on that answer.
    """
    if not isinstance(raw, Shortfall):
        outages.answered(command)
        return read_reply(raw)
    outages.works("calls")
    reply = read_reply(raw.answer)
    if not releases(command, reply):
        return reply
    missing = outages.failed("durable answers", raw)
    raise Unavailable(
        f"the store has the write, and too few copies: {missing}. The same call again finds out "
        "whether they have it"
    ) from raw


def _full(outages: OutageLog, error: Exception) -> Unavailable:
    """Record that no login can begin because the server is full; return the error to raise."""
    outages.failed("new logins", error)
    return Unavailable(
        "Redis is full: it has reached its maxmemory. No login can begin until some have ended, "
        "and those under way go on"
    )
