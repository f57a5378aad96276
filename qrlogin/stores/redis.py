"""Logins in Redis 7.0 or newer, or Valkey: plain, behind Sentinel or in a Cluster, shared by all processes of an application.

One operation is one EVALSHA of `step.lua` on one key; deadlines go by the server's clock. Waiting browsers are woken by
pub/sub: one subscribed connection per store, however many wait. What is published while that connection is down is lost, so
every wait re-reads after each (re)subscription, a few at a time, and on a slow timer besides.

This is the only module that imports redis, and no error of redis leaves it: all become `Unavailable`, which names the kind of
error and nothing of the address. It knows keys, channels and connections; it knows no state, no code and no secret.
"""

import asyncio
import inspect
import json
import logging
import random
import re
import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, Self, TypeVar

from redis import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio import BlockingConnectionPool as AsyncBlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from qrlogin.clock import monotonic
from qrlogin.errors import Misconfigured, Unavailable
from qrlogin.step import Command, Reply, Verdict
from qrlogin.stores.listeners import AsyncListeners, AsyncLocalListener, Listeners, LocalListener
from qrlogin.table import Row

BUCKETS: Final = 64  # never change it: processes of different versions share the keys
SILENCE_SECONDS = 1.0  # a subscription that says nothing for so long is asked; when it keeps silent as long again, it is dead
QUIET_SECONDS = 10.0  # between two warnings of the same kind, when the server comes and goes
_TICK_SECONDS = 0.25  # for how long a subscriber listens at a time; its thread sees after each that it is to end
_AT_ONCE: Final = 20  # calls at a time after a resubscription: well below the connections that a store opens by default,
_PACE_SECONDS: Final = 0.01  # and the pause between, so that waits of thousands do not time out for want of a connection
_PREFIX = re.compile(
    r"[!-z|~]{1,64}"
)  # printable ASCII without the braces, which mark the part of a key that Cluster hashes

SCRIPT: Final = files("qrlogin").joinpath("step.lua").read_text(encoding="utf-8")
_SHA: Final = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_LOST: Final = (
    RedisConnectionError,
    RedisTimeoutError,
    OSError,
)  # the outcome is unknown: worth asking again

log = logging.getLogger("qrlogin")
Pool = TypeVar("Pool", BlockingConnectionPool, AsyncBlockingConnectionPool)


class RedisStore:
    """A store in Redis, for code that blocks: `RedisStore.from_url("redis://…")`, or with a client of your own.

    Your own client may be any that redis-py makes: `Redis`, `Sentinel(...).master_for(...)`, `RedisCluster`. It keeps its own
    timeouts and retries (redis-py's defaults can take a minute to give up), and closing it stays your business.

    `prefix` begins every key and channel. `reread` is after how many seconds a parked wait looks for itself, in case its
    wake-up was lost. `now` replaces the server's clock, in milliseconds: for tests.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        now: Callable[[], int] | None = None,
    ) -> None:
        _check_client(client, blocks=True)
        self._client: Any = client  # redis-py types its methods only here and there
        self._own = False
        self._calls = _Calls(prefix, now)
        self._listeners = Listeners(reread=reread)
        self._reach = _Reach(self._listeners)
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
        """With connections of its own to `redis://`, `rediss://` or `unix://`.

        Each round trip, and waiting for one of `max_connections`, may take `timeout` seconds and is tried once more, so a dead
        server costs about twice that and then raises `Unavailable`. Options in the URL win.
        """
        pool = _pool(BlockingConnectionPool, url, timeout, max_connections, Retry(NoBackoff(), 0))
        store = cls(Redis.from_pool(pool), prefix=prefix, reread=reread, now=now)
        store._own = True
        return store

    def apply(self, command: Command) -> Reply:
        arguments = self._calls.arguments(command)
        try:
            try:
                raw = self._evaluate(arguments)
            except _LOST:
                if not self._own:  # the application has set up its client's retries itself
                    raise
                raw = self._evaluate(
                    arguments
                )  # the same command again is a repeat: it cannot be done twice
        except (
            RedisError,
            OSError,
            ValueError,
        ) as error:  # ValueError: a client of yours cannot decode what it read
            raise self._reach.unavailable(error) from error
        except (
            AttributeError
        ) as error:  # what redis-py says when its connection is closed while it reads
            if not self._closing.is_set():
                raise
            raise self._reach.unavailable(error) from error
        self._reach.found("calls")
        return _reply(raw)

    def _evaluate(self, arguments: tuple[str | bytes | int, ...]) -> object:
        try:
            return self._client.execute_command("EVALSHA", _SHA, *arguments)
        except NoScriptError:  # the server restarted, failed over or was flushed
            return self._client.execute_command("EVAL", SCRIPT, *arguments)

    def listen(self, login_id: str) -> LocalListener:
        waiter = self._listeners.listen(login_id)
        with self._lock:
            if not self._closing.is_set() and not (
                self._subscriber and self._subscriber.is_alive()
            ):  # dead in a forked child
                self._subscriber = threading.Thread(
                    target=self._subscribe, name="qrlogin-notifications", daemon=True
                )
                self._subscriber.start()
        return waiter

    def close(self) -> None:
        self._listeners.close()
        with self._lock:
            self._closing.set()
        if self._subscriber:
            self._subscriber.join(
                1
            )  # it is a daemon: one that hangs on a dead server keeps nobody up
        if self._own:
            self._client.close()

    def _subscribe(self) -> None:
        subscription = _Subscription(self._listeners, self._reach)
        while not self._closing.is_set():
            try:
                with self._client.pubsub() as pubsub:
                    pubsub.subscribe(*self._calls.channels)
                    while not self._closing.is_set():
                        subscription.take(pubsub.get_message(timeout=subscription.listens))
                        if subscription.asks():
                            pubsub.ping()
            except Exception as error:  # whatever went wrong, browsers wait: try again
                self._closing.wait(subscription.pause(error))


class AsyncRedisStore:
    """`RedisStore`, awaited, over the clients of `redis.asyncio`. It belongs to the event loop that uses it."""

    def __init__(
        self,
        client: AsyncRedis | AsyncRedisCluster,
        *,
        prefix: str = "qrlogin:",
        reread: float = 30.0,
        now: Callable[[], int] | None = None,
    ) -> None:
        _check_client(client, blocks=False)
        self._client: Any = client
        self._own = False
        self._calls = _Calls(prefix, now)
        self._listeners = AsyncListeners(reread=reread)
        self._reach = _Reach(self._listeners)
        self._subscriber: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[Reply]] = set()  # asyncio itself holds tasks weakly

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
        """With connections of its own, as in `RedisStore.from_url`."""
        pool = _pool(
            AsyncBlockingConnectionPool, url, timeout, max_connections, AsyncRetry(NoBackoff(), 0)
        )
        store = cls(AsyncRedis.from_pool(pool), prefix=prefix, reread=reread, now=now)
        store._own = True
        return store

    async def apply(self, command: Command) -> Reply:
        # In a task of its own, so that redis-py never sees its caller cancelled: it would have to drop the connection each
        # time, and asyncio.wait_for of Python 3.11, which it uses, may swallow the cancellation altogether.
        call = asyncio.create_task(self._apply(command))
        self._running.add(call)
        call.add_done_callback(self._ran)
        return await asyncio.shield(call)

    def _ran(self, call: asyncio.Task[Reply]) -> None:
        self._running.discard(call)
        if not call.cancelled():
            call.exception()  # looked at, also when nobody waits for it any more

    async def _apply(self, command: Command) -> Reply:
        arguments = self._calls.arguments(command)
        try:
            try:
                raw = await self._evaluate(arguments)
            except _LOST:
                if not self._own:
                    raise
                raw = await self._evaluate(arguments)
        except (RedisError, OSError, ValueError) as error:
            raise self._reach.unavailable(error) from error
        self._reach.found("calls")
        return _reply(raw)

    async def _evaluate(self, arguments: tuple[str | bytes | int, ...]) -> object:
        try:
            return await self._client.execute_command("EVALSHA", _SHA, *arguments)
        except NoScriptError:
            return await self._client.execute_command("EVAL", SCRIPT, *arguments)

    def listen(self, login_id: str) -> AsyncLocalListener:
        waiter = self._listeners.listen(login_id)
        if not self._listeners.closed and (self._subscriber is None or self._subscriber.done()):
            self._subscriber = asyncio.create_task(self._subscribe(), name="qrlogin-notifications")
        return waiter

    async def close(self) -> None:
        self._listeners.close()
        while self._subscriber and not self._subscriber.done():
            self._subscriber.cancel()
            await asyncio.wait(
                {self._subscriber}, timeout=_TICK_SECONDS
            )  # and again, if that one was swallowed
        if self._own:
            if self._running:
                await asyncio.wait(self._running)
            await self._client.aclose()

    async def _subscribe(self) -> None:
        subscription = _Subscription(self._listeners, self._reach)
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(*self._calls.channels)
                    while True:
                        subscription.take(
                            await pubsub.get_message(timeout=subscription.listens),
                            len(self._running),
                        )
                        if subscription.asks():
                            await pubsub.ping()
            except Exception as error:
                await asyncio.sleep(subscription.pause(error))


class _Calls:
    """How a command is spelled for the server: key, channel, JSON. Without colour."""

    def __init__(self, prefix: str, now: Callable[[], int] | None) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise Misconfigured(
                "prefix must be 1 to 64 printable ASCII characters without spaces and braces, such as 'qrlogin:'"
            )
        self._now = now
        # Exact names, not a pattern: every PUBLISH on the server, ours or not, is held against every pattern, an ACL grants a
        # pattern only when it is spelled the very same, and a prefix may contain what a pattern would take for a wildcard.
        self.channels = [f"{prefix}{{b{bucket:02}}}" for bucket in range(BUCKETS)]
        self._rows: dict[str, tuple[Row, str]] = {}

    def channel(self, login_id: str) -> str:
        return self.channels[zlib.crc32(login_id.encode()) % BUCKETS]

    def arguments(self, command: Command) -> tuple[str | bytes | int, ...]:
        channel = self.channel(command.login_id)
        now = "" if self._now is None else str(self._now())
        return 1, f"{channel}:{command.login_id}", self._json(command), channel, now

    def _json(self, command: Command) -> bytes:
        kept = self._rows.get(command.row.event)
        if (
            kept is None or kept[0] is not command.row
        ):  # rows are constants: spelling one takes longer than all the rest
            kept = self._rows[command.row.event] = command.row, _row_json(command.row)
        rest = {
            "login_id": command.login_id,
            "mark": command.mark,
            "values": dict(command.values),
            "durations": dict(command.durations),
            "deadline_ms": command.deadline_ms,
            "ttl_ms": command.ttl_ms,
        }
        # What is None is left out: in the script, null would count as true.
        text = _to_json({name: value for name, value in rest.items() if value is not None})
        return f'{text[:-1]},"row":{kept[1]}}}'.encode("utf-8", "surrogateescape")


def _row_json(row: Row) -> str:
    spelled = {column.name: getattr(row, column.name) for column in fields(row)}
    spelled["sources"] = dict(row.sources)
    spelled["count"] = asdict(row.count) if row.count else None
    return _to_json({name: value for name, value in spelled.items() if value is not None})


def _reply(raw: Any) -> Reply:
    """The script's answer, from a client that decodes replies or from one that does not."""
    try:
        login_id, mark, verdict, now, flat = raw
        texts = [_text(one) for one in flat]
        record = dict(zip(texts[::2], texts[1::2], strict=True))
        return Reply(_text(login_id), _text(mark), Verdict(_text(verdict)), int(now), record)
    except (TypeError, ValueError) as error:
        raise Unavailable("the store answered what this version of qrlogin cannot read") from error


def _text(raw: str | bytes) -> str:
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw


def _check_client(client: object, *, blocks: bool) -> None:
    execute = getattr(client, "execute_command", None)
    if execute is None or not hasattr(client, "pubsub"):
        raise Misconfigured(
            f"a client of redis-py that can subscribe is needed, not {type(client).__name__}; or use from_url()"
        )
    if inspect.iscoroutinefunction(execute) is blocks:
        raise Misconfigured(
            "this client is awaited: give it to AsyncRedisStore"
            if blocks
            else "this client blocks: give it to RedisStore"
        )


def _pool(kind: type[Pool], url: str, timeout: float, max_connections: int, retry: object) -> Pool:
    if not timeout > 0:
        raise Misconfigured("timeout must be a number of seconds above 0")
    try:
        pool = kind.from_url(
            url,
            max_connections=max_connections,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=retry,
            protocol=2,  # with 3, redis-py 8.1 stops checking that a pooled connection has no unread reply
        )
        pool.connection_class(
            **pool.connection_kwargs
        )  # connects nowhere; says whether the URL's options exist
    except (ValueError, TypeError, AttributeError, RedisError):
        # not "from error": what redis-py says may quote a part of the password
        raise Misconfigured(
            "the URL must be redis://, rediss:// or unix:// with options that redis-py knows"
        ) from None
    if pool.max_connections < 2:  # as the URL may say, too
        raise Misconfigured("max_connections must be at least 2: one of them listens for wake-ups")
    return pool


class _Reach:
    """Whether Redis answers: the log says once that it does not, and once that it does again. For calls and wake-ups together."""

    def __init__(self, listeners: Listeners | AsyncListeners) -> None:
        self._listeners = listeners
        self._down: dict[
            str, str
        ] = {}  # "calls" or "wake-ups": the kind of the last error, if the last try failed
        self._said: set[str] = set()  # the kinds in _down that the log has
        self._said_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(f"the store did not answer ({self.lost('calls', error)})")

    def lost(self, what: str, error: Exception) -> str:
        """Returns what may be said of the error: neither an address nor a password."""
        said = type(error).__name__
        if isinstance(
            error, ResponseError
        ):  # such as OOM, READONLY, NOPERM: the server's own word for it
            word = str(error).partition(" ")[0]
            said += f": {word}" if word.isupper() else ""
        kind = "lost" if isinstance(error, _LOST) else said
        with self._lock:
            self._down[what] = kind
            self._said &= set(self._down.values())
            quiet = monotonic() < self._said_at.get(kind, -QUIET_SECONDS) + QUIET_SECONDS
            if self._listeners.closed or kind in self._said or quiet:
                return said
            self._said.add(kind)
            self._said_at[kind] = monotonic()
        log.warning(
            "Redis does not serve %s (%s): until it does, logins fail or news reaches browsers late. "
            "Check that the server runs, its address, its password, what its user may do, and its load",
            what,
            said,
        )
        return said

    def found(self, what: str) -> None:
        if what not in self._down:
            return
        with self._lock:
            self._down.pop(what, None)
            back = self._said - set(self._down.values())
            self._said -= back
        if back:
            log.info("Redis answers again")


class _Subscription:
    """What a subscriber does with what it hears, and how it knows that it hears at all. Without colour."""

    def __init__(self, listeners: Listeners | AsyncListeners, reach: _Reach) -> None:
        self._listeners, self._reach = listeners, reach
        self._failures = 0
        self._silence, self._asked = 0.0, False
        self._unread = deque[
            Any
        ]()  # waiters that have not re-read since the subscription came back
        self._next = 0.0

    @property
    def listens(self) -> float:
        """How many seconds to wait for the next message."""
        return _PACE_SECONDS if self._unread else _TICK_SECONDS

    def take(self, message: Mapping[str, Any] | None, busy: int = 0) -> None:
        """`busy`: how many calls are under way."""
        if message is None:
            self._silence += (
                self.listens
            )  # not by the clock: a process that was held up itself has not listened
        else:
            self._silence, self._asked = 0.0, False
            if message["type"] == "message":
                self._listeners.notify(_text(message["data"]).partition(" ")[0])
            elif (
                message["type"] == "subscribe" and message["data"] == BUCKETS
            ):  # that was the last of the channels
                self._failures = 0
                self._reach.found("wake-ups")
                self._unread = deque(self._listeners.oldest_first())
        if self._unread and monotonic() >= self._next:
            for _ in range(min(len(self._unread), max(1, _AT_ONCE - busy))):
                self._unread.popleft().notify()
            self._next = monotonic() + _PACE_SECONDS

    def asks(self) -> bool:
        """Whether to send a PING now. Raises when the last one was not answered: the connection is open on this side only."""
        if self._silence < SILENCE_SECONDS:
            return False
        if self._asked:
            raise RedisConnectionError("the subscription fell silent")
        self._silence, self._asked = 0.0, True
        return True

    def pause(self, error: Exception) -> float:
        """Seconds until the next attempt to subscribe: more after each failure, and never the same in two processes."""
        self._reach.lost("wake-ups", error)
        self._failures += 1
        self._silence, self._asked = 0.0, False
        return min(2.0, 0.05 * 2.0 ** min(self._failures, 6)) * random.uniform(0.5, 1.0)  # noqa: S311 - to spread, not to hide
