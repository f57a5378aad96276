"""Logins in Redis 7.0 or newer, or Valkey: plain, behind Sentinel or in a Cluster.

All processes of an application share them. A command is one EVALSHA of `step.lua` on one key;
deadlines go by the server's clock. Changes are published, and one subscribed connection per store
receives them, however many browsers wait. What is published while that connection is down is lost.
So every login with a listener is read again after each (re)subscription, a few at a time. While the
subscription works, nothing is read on a timer; while it does not, each such login is, slowly.

No error of redis-py leaves this module: each becomes `Unavailable`, which names the kind of error
and not the address. `redis_calls.py` spells commands, `redis_client.py` sets redis-py up,
`redis_pipeline.py` sends what many tasks ask at once together,
`outages.py` logs outages, and `redis_subscription.py` reads messages. None of them knows a
state, a code or a secret.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final, Self

from redis import Redis, RedisCluster
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Reply
from qrlogin.stores.listeners import AsyncListeners, AsyncLocalListener, Listeners, LocalListener
from qrlogin.stores.outages import OutageLog
from qrlogin.stores.redis_calls import RedisCalls, read_reply
from qrlogin.stores.redis_client import LOST, check_client, describe, open_async_pool, open_pool
from qrlogin.stores.redis_pipeline import CommandPipeline
from qrlogin.stores.redis_subscription import PIPELINED_BATCH, TICK_SECONDS, Subscription

#: How many messages of a burst the asyncio store reads before it lets other tasks run.
_MESSAGES_AT_ONCE: Final = 20


class RedisStore:
    """A `Store` in Redis: `RedisStore.from_url("redis://…")`, or with a client of your own.

    Your own client may be any that redis-py makes: `Redis`, `Sentinel(...).master_for(...)`,
    `RedisCluster`. It keeps its own timeouts and retries (redis-py's defaults can take a minute to
    give up), and you close it yourself.

    :param client: a client of redis-py that blocks.
    :param prefix: begins every key and channel: 1 to 64 printable ASCII characters without spaces
        and braces.
    :param reread: seconds after which a waiting browser's login is read again while the
        subscription does not work. While it works, no login is read on a timer.
    :param now: replaces the server's clock, in milliseconds since 1970: for tests.
    :raises Misconfigured: for an argument that cannot work.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        now: Callable[[], int] | None = None,
    ) -> None:
        check_client(client, blocks=True)
        self._client: Any = client  # redis-py has types for few of its methods
        self._own = False  # whether the client was made here
        self._calls = RedisCalls(prefix, now)
        self._listeners = Listeners(reread=reread)
        self._outages = OutageLog("Redis", describe, lambda: self._listeners.closed)
        self._subscriber: threading.Thread | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        timeout: float = 1.0,
        max_connections: int = 50,
        now: Callable[[], int] | None = None,
    ) -> Self:
        """A store with connections of its own.

        A call that fails is sent once more, so a dead server costs about twice `timeout` before
        `Unavailable` is raised.

        :param url: `redis://`, `rediss://` or `unix://`. Options in the URL win over the arguments.
        :param prefix: begins every key and channel: 1 to 64 printable ASCII characters without
            spaces and braces.
        :param reread: seconds after which a waiting browser's login is read again while the
            subscription does not work. While it works, only a stream reads on a timer: at every
            second heartbeat, in case a message was lost.
        :param timeout: seconds for each round trip, and for a free connection.
        :param max_connections: at least 2: one of them holds the subscription.
        :param now: replaces the server's clock, in milliseconds since 1970: for tests.
        :raises Misconfigured: for an argument that cannot work.
        """
        pool = open_pool(url, timeout, max_connections)
        store = cls(Redis.from_pool(pool), prefix=prefix, reread=reread, now=now)
        store._own = True
        return store

    def apply(self, command: Command) -> Reply:
        """As `Store.apply`. Raises `Unavailable`."""
        try:
            try:
                raw = self._evaluate(command)
            except LOST:
                if not self._own:  # the application has chosen its client's retries itself
                    raise
                raw = self._evaluate(command)  # harmless: a command cannot take effect twice
        except OutOfMemoryError as error:
            raise _full(self._outages, error) from error
        except (RedisError, OSError, ValueError) as error:
            # ValueError: the application's own client could not decode what it read.
            raise self._outages.unavailable(error) from error
        except AttributeError as error:
            # redis-py raises it if its connection is closed while it reads.
            if not self._closing.is_set():
                raise
            raise self._outages.unavailable(error) from error
        self._outages.answered(command)
        return read_reply(raw)

    def _evaluate(self, command: Command) -> object:
        script, arguments = self._calls.script(command), self._calls.arguments(command)
        try:
            try:
                return self._client.execute_command("EVALSHA", script.sha, *arguments)
            except NoScriptError:  # the server restarted, failed over or was flushed
                return self._client.execute_command("EVAL", script.text, *arguments)
        except ResponseError as error:
            if not self._calls.must_do_without_flags(script, error):
                raise
        return self._evaluate(command)

    def listen(self, login_id: str) -> LocalListener:
        """As `Store.listen`. The first call starts the thread that subscribes."""
        listener = self._listeners.listen(login_id)
        with self._lock:
            # In a forked child, the parent's thread is not alive.
            alive = self._subscriber is not None and self._subscriber.is_alive()
            if not alive and not self._closing.is_set():
                self._subscriber = threading.Thread(
                    target=self._subscribe, name="qrlogin-notifications", daemon=True
                )
                self._subscriber.start()
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
        if self._own:
            self._client.close()

    def _subscribe(self) -> None:
        subscription = Subscription(self._listeners, self._outages)
        while not self._closing.is_set():
            try:
                with self._client.pubsub() as pubsub:
                    pubsub.subscribe(*self._calls.channels)
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
    :param now: as for `RedisStore`.
    """

    def __init__(
        self,
        client: AsyncRedis | AsyncRedisCluster,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        now: Callable[[], int] | None = None,
    ) -> None:
        check_client(client, blocks=False)
        self._client: Any = client
        self._own = False  # whether the client was made here
        self._calls = RedisCalls(prefix, now)
        self._listeners = AsyncListeners(reread=reread)
        self._outages = OutageLog("Redis", describe, lambda: self._listeners.closed)
        self._subscriber: asyncio.Task[None] | None = None
        self._pipeline = CommandPipeline(client, self._calls)
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        timeout: float = 1.0,
        max_connections: int = 50,
        now: Callable[[], int] | None = None,
    ) -> Self:
        """A store with connections of its own; all arguments as in `RedisStore.from_url`.

        Its commands do not pass through redis-py's `execute_command`. To trace them there, give the
        store a client of your own.

        :param url: `redis://`, `rediss://` or `unix://`.
        :param prefix: begins every key and channel.
        :param reread: seconds after which a waiting browser's login is read again while the
            subscription does not work.
        :param timeout: seconds for each round trip, and for a free connection.
        :param max_connections: at least 2.
        :param now: replaces the server's clock, in milliseconds since 1970: for tests.
        :raises Misconfigured: for an argument that cannot work.
        """
        pool = open_async_pool(url, timeout, max_connections)
        store = cls(AsyncRedis.from_pool(pool), prefix=prefix, reread=reread, now=now)
        store._own = True
        store._pipeline.own_client(pool.timeout or timeout)
        return store

    async def apply(self, command: Command) -> Reply:
        """As `AsyncStore.apply`. Raises `Unavailable`."""
        # The pipeline has tasks of its own, so redis-py never sees a caller cancelled: it would
        # have to drop the connection each time.
        self._check_loop()
        raw = await self._pipeline.send(command)
        if isinstance(raw, Exception):
            raise self._failure(raw) from raw
        self._outages.answered(command)
        return read_reply(raw)

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, OutOfMemoryError):
            return _full(self._outages, error)
        if isinstance(error, (RedisError, OSError, ValueError)):
            # ValueError: the application's own client could not decode what it read.
            return self._outages.unavailable(error)
        return error

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise Misconfigured(
                "this AsyncRedisStore is used in a second event loop, but its connections belong "
                "to the first: make the store and its AsyncQRLogin in the loop that uses them, in "
                "the lifespan or in an async fixture. In tests, use `with TestClient(app)`, or "
                "one asyncio.run() for all calls"
            )

    def listen(self, login_id: str) -> AsyncLocalListener:
        """As `AsyncStore.listen`. The first call starts the task that subscribes."""
        self._check_loop()
        listener = self._listeners.listen(login_id)
        if not self._listeners.closed and (self._subscriber is None or self._subscriber.done()):
            self._subscriber = asyncio.create_task(self._subscribe(), name="qrlogin-notifications")
        return listener

    async def close(self) -> None:
        """As `AsyncStore.close`. A client that the application passed stays open."""
        self._listeners.close()
        if self._loop not in (None, asyncio.get_running_loop()):
            return  # the connections ended with their loop, and no other loop can close them
        while self._subscriber and not self._subscriber.done():
            self._subscriber.cancel()  # in a loop, because redis-py may swallow a cancellation
            await asyncio.wait({self._subscriber}, timeout=TICK_SECONDS)
        if self._own:
            await self._pipeline.drain()
            await self._client.aclose()

    async def _subscribe(self) -> None:
        subscription = Subscription(self._listeners, self._outages, PIPELINED_BATCH)
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(*self._calls.channels)
                    received = 0
                    while True:
                        message = await pubsub.get_message(timeout=subscription.timeout)
                        subscription.receive(message, running_calls=len(self._pipeline))
                        if subscription.needs_ping():
                            await pubsub.ping()
                        # redis-py returns messages that it has read already without a pause, and
                        # in a burst no other task would run.
                        received = 0 if message is None else received + 1
                        if received % _MESSAGES_AT_ONCE == 0:
                            await asyncio.sleep(0)
            except Exception as error:  # whatever it is: browsers are waiting, so subscribe again
                if self._loop is not None and self._loop.is_closed():
                    return  # this coroutine is collected after its loop, and no browser waits
                await asyncio.sleep(subscription.pause_after(error))
            finally:
                self._listeners.reliable = False  # also if this task was cancelled


def _full(outages: OutageLog, error: Exception) -> Unavailable:
    """Record that no login can begin because the server is full; return the error to raise."""
    outages.failed("new logins", error)
    return Unavailable(
        "Redis is full: it has reached its maxmemory. No login can begin until some have ended, "
        "and those under way go on"
    )
