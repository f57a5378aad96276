"""What the Redis stores ask of redis-py: a client with connections of the store's own, from an
address or from the application's client.

The application's client is only read: its address, its password and its TLS. Its time-outs and
retries are its own; those of the store are a `CallTime`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import TIMEOUT_MAX
from typing import Any, Final, Self

from redis import Redis, RedisCluster, asyncio, connection, sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from qrlogin.errors import Misconfigured
from qrlogin.stores.addresses import read_redis_address
from qrlogin.stores.durability import Durability, Shortfall
from qrlogin.stores.outages import LOST_CONNECTION
from qrlogin.stores.redis_call_time import (
    AsyncPool,
    AsyncSentinelPool,
    BoundedPool,
    BoundedSentinelPool,
    CallTime,
    NotSent,
    bounded,
    renewed,
)
from qrlogin.stores.redis_cluster import AsyncClusterClient, ClusterClient, Node, SlotMap

#: The errors that mean that the server cannot be reached.
LOST: Final = (RedisConnectionError, RedisTimeoutError, NotSent, OSError)

#: Options of a connection that belong to the application's client, and begin so.
_NOT_OURS: Final = (
    "cache",
    "connection_pool",
    "event_dispatcher",
    "health_check",
    "himport",
    "lib_",
    "maint",
    "orig_",
    "oss_",
    "parser_class",
    "retry",
)
#: What redis-py puts into every connection to a node of a Cluster, for its own client.
_OF_CLUSTER: Final = ("host", "port", "redis_connect_func", "response_callbacks")
#: Connections to one server, if the application's client may have more.
_MOST: Final = 50
#: One Sentinel that does not answer takes so much of a call's time, and the next one is asked.
_SENTINELS_SHARE: Final = 0.5
#: Not to be sent: redis-py's own name and version, which the server only displays, cost each
#: connection two round trips.
_NAMELESS: Final = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(connection.AbstractConnection).parameters
    else {"lib_name": None, "lib_version": None}
)


@dataclass(frozen=True)
class _Colour:
    """The classes of redis-py that block, or those for asyncio."""

    client: Any
    cluster: Any
    connection: Any
    tls: Any
    parse_url: Any
    retry: Any
    sentinel: Any
    managed: Any
    managed_tls: Any
    pool: Callable[..., Any]
    sentinel_pool: Callable[..., Any]
    adapted: Callable[[type, CallTime], type]
    cluster_client: Any


_BLOCKING: Final = _Colour(
    client=Redis,
    cluster=RedisCluster,
    connection=connection.Connection,
    tls=connection.SSLConnection,
    parse_url=connection.parse_url,
    retry=Retry,
    sentinel=sentinel.Sentinel,
    managed=sentinel.SentinelManagedConnection,
    managed_tls=sentinel.SentinelManagedSSLConnection,
    pool=BoundedPool,
    sentinel_pool=BoundedSentinelPool,
    adapted=bounded,
    cluster_client=ClusterClient,
)
_AWAITED: Final = _Colour(
    client=asyncio.Redis,
    cluster=asyncio.RedisCluster,
    connection=asyncio.connection.Connection,
    tls=asyncio.connection.SSLConnection,
    parse_url=asyncio.connection.parse_url,
    retry=AsyncRetry,
    sentinel=asyncio.sentinel.Sentinel,
    managed=asyncio.sentinel.SentinelManagedConnection,
    managed_tls=asyncio.sentinel.SentinelManagedSSLConnection,
    pool=AsyncPool,
    sentinel_pool=AsyncSentinelPool,
    adapted=renewed,
    cluster_client=AsyncClusterClient,
)
#: How many connections a store with a durability needs.
_LEAST_CONNECTIONS: Final = 3


def check_client(client: object, *, blocks: bool) -> None:
    """Raises `Misconfigured` unless this is a client of redis-py, and blocks if it should.

    :param client: what the application passed.
    :param blocks: True for `RedisStore`, False for `AsyncRedisStore`.
    """
    if type(client).__module__.partition(".")[0] == "valkey":
        raise Misconfigured(
            "a store needs a client of redis-py, not of valkey-py; or use from_url('valkey://…')"
        )
    execute = getattr(client, "execute_command", None)
    is_cluster = isinstance(client, asyncio.RedisCluster)  # redis-py 6 cannot subscribe with it
    if execute is None or not (hasattr(client, "pubsub") or is_cluster):
        raise Misconfigured(
            "a store needs a client of redis-py that can subscribe, "
            f"not {type(client).__name__}; or use from_url()"
        )
    if inspect.iscoroutinefunction(execute) is blocks:
        raise Misconfigured(
            "this client is awaited: give it to AsyncRedisStore"
            if blocks
            else "this client blocks: give it to RedisStore"
        )


def check_timeout(timeout: object) -> float:
    """The seconds that a call may take. Raises `Misconfigured` unless they are above 0."""
    if not isinstance(timeout, (int, float)) or not 0 < timeout < TIMEOUT_MAX:
        raise Misconfigured("timeout must be a number of seconds above 0")
    return timeout


def describe(error: Exception) -> tuple[str, str]:
    """What `OutageLog` may show of an error, and its kind."""
    if isinstance(error, Shortfall):
        return str(error), "Shortfall"
    shown = "TimeoutError" if isinstance(error, NotSent) else type(error).__name__
    if isinstance(error, ResponseError):
        # The first word is the server's own code, such as OOM, READONLY or NOPERM.
        word = str(error).partition(" ")[0]
        shown += f": {word}" if word.isupper() else ""
    return shown, LOST_CONNECTION if isinstance(error, LOST) else shown


def is_lost(error: Exception) -> bool:
    """Whether a call with this error may have reached the server, or would if it is sent again. It
    is harmless to send it again: a command cannot take effect twice.

    READONLY is the answer of a master that was demoted. Its address may lead to the new one.
    """
    return isinstance(error, ReadOnlyError) or not isinstance(
        error, (ResponseError, DataError, UnicodeError)
    )


@dataclass(frozen=True)
class Target:
    """The servers of a store, and how to connect to them."""

    options: Mapping[str, Any] = field(repr=False)
    """Of each connection, as redis-py calls them."""
    connection_class: type
    max_connections: int
    sentinels: tuple[tuple[type, Mapping[str, Any]], ...] = field(default=(), repr=False)
    """The class and the options of the connections to each Sentinel, if Sentinels name the server.
    """
    service: str = ""
    is_master: bool = True
    min_other_sentinels: int = 0
    force_master_ip: str | None = None
    nodes: tuple[Node, ...] = ()
    """Some nodes, if it is a Cluster."""
    remap: Callable[[Node], Node] | None = None

    @classmethod
    def at(cls, url: str, max_connections: int, *, blocks: bool) -> tuple[Self, float | None]:
        """The servers at an address, and the seconds that it gives a call, if it says so. Raises
        `Misconfigured`.

        :param url: as `RedisStore.from_url` takes it. Its options win over the other arguments.
        :param max_connections: at least 2, because one of them holds the subscription.
        :param blocks: whether the store does.
        """
        colour = _BLOCKING if blocks else _AWAITED
        try:
            address = read_redis_address(url)
            options: dict[str, Any] = {**colour.parse_url(address.url)}
            kind = options.pop("connection_class", colour.connection)
            most = int(options.pop("max_connections", max_connections))
            seconds, each = options.pop("timeout", None), options.pop("socket_timeout", None)
            if seconds is None and each is not None:
                seconds = 2 * each  # for the call, and to send it once more
            if seconds is not None:
                check_timeout(seconds)
            kind(**options)  # connects nowhere, but raises for an option that does not exist
        except (ValueError, TypeError, AttributeError, RedisError, Misconfigured):
            # Not "from error": the text of redis-py's error may quote a part of the password.
            raise Misconfigured(
                "the URL must be redis://, rediss:// or unix:// with options that redis-py knows, "
                "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or redis+cluster://HOST:PORT"
            ) from None
        if most < 2:  # the URL can set it, too
            raise Misconfigured(
                "max_connections must be at least 2: one of them holds the subscription"
            )
        if address.kind == "server":
            return cls(options, kind, most), seconds
        elsewhere = _but(options, "host", "port")
        if address.kind == "cluster":
            return cls(elsewhere, kind, most, nodes=address.hosts), seconds
        own = {
            **_but(elsewhere, "db", "username", "password", "client_name"),
            **dict(address.sentinel_options),
        }
        sentinels = tuple(
            (kind, {**own, "host": host, "port": port}) for host, port in address.hosts
        )
        managed = colour.managed_tls if kind is colour.tls else colour.managed
        return cls(elsewhere, managed, most, sentinels, address.service), seconds

    @classmethod
    def of(cls, client: Any, *, blocks: bool) -> Self | None:
        """The servers of the application's client; None if it is not redis-py's own.

        :param client: what the application passed.
        :param blocks: whether it does.
        """
        colour = _BLOCKING if blocks else _AWAITED
        if isinstance(client, colour.cluster):
            manager = client.nodes_manager
            options = dict(manager.connection_kwargs)
            kind = colour.tls if options.pop("ssl", False) else colour.connection
            kind = options.pop("connection_class", kind)
            most = _limited(options.pop("max_connections", _MOST))
            known = [*manager.nodes_cache.values(), *manager.startup_nodes.values()]
            nodes = dict.fromkeys((node.host, int(node.port)) for node in known)
            return cls(
                _but(options, *_OF_CLUSTER),
                kind,
                most,
                nodes=(*nodes,),
                remap=manager.address_remap,
            )
        if not isinstance(client, colour.client):
            return None
        pool = client.connection_pool
        options, kind = pool.connection_kwargs, pool.connection_class
        most = _limited(pool.max_connections)
        manager = getattr(pool, "sentinel_manager", None)
        if manager is None:
            return cls(dict(options), kind, most)
        return cls(
            _but(options, "host", "port"),
            kind,
            most,
            sentinels=tuple(
                (
                    each.connection_pool.connection_class,
                    dict(each.connection_pool.connection_kwargs),
                )
                for each in manager.sentinels
            ),
            service=pool.service_name,
            is_master=pool.is_master,
            min_other_sentinels=manager.min_other_sentinels,
            force_master_ip=getattr(manager, "_force_master_ip", None),
        )

    def open(self, call_time: CallTime, *, blocks: bool) -> Any:
        """A client of redis-py, or one of a Cluster, that connects on first use.

        :param call_time: of the store.
        :param blocks: whether the store does.
        """
        colour = _BLOCKING if blocks else _AWAITED

        def arguments(kind: type, options: Mapping[str, Any], seconds: float) -> dict[str, Any]:
            return {
                **{key: value for key, value in options.items() if not key.startswith(_NOT_OURS)},
                **_NAMELESS,
                "call_time": call_time,
                "connection_class": colour.adapted(kind, call_time),
                "max_connections": self.max_connections,
                "socket_timeout": seconds / 2,
                "socket_connect_timeout": seconds,
                "retry": colour.retry(NoBackoff(), 0),
                "encoding": "utf-8",
                "encoding_errors": "strict",
                "decode_responses": False,
                # With 3, redis-py 8.1 no longer checks that a pooled connection has no unread
                # reply, and a wrong password can pass.
                "protocol": 2,
            }

        def server(
            kind: type, options: Mapping[str, Any], seconds: float = call_time.seconds
        ) -> Any:
            return colour.client.from_pool(colour.pool(**arguments(kind, options, seconds)))

        def node(at: Node) -> Any:
            return server(self.connection_class, {**self.options, "host": at[0], "port": at[1]})

        if self.nodes:
            return colour.cluster_client(SlotMap(self.nodes, self.remap), node, call_time)
        if not self.sentinels:
            return server(self.connection_class, self.options)
        manager = colour.sentinel([], self.min_other_sentinels)
        share = _SENTINELS_SHARE * call_time.seconds
        manager._force_master_ip = self.force_master_ip
        manager.sentinels = [server(kind, options, share) for kind, options in self.sentinels]
        pool = colour.sentinel_pool(
            service_name=self.service,
            sentinel_manager=manager,
            is_master=self.is_master,
            **arguments(self.connection_class, self.options, call_time.seconds),
        )
        return colour.client.from_pool(pool)


def _limited(most: int) -> int:
    """How many connections a store has in place of a client that may have so many: two at least,
    because the subscription holds one.
    """
    return max(2, min(most, _MOST))


def _but(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The options without these."""
    return {key: value for key, value in options.items() if key not in names}


def sentinels_of(client: Any) -> list[Any]:
    """The clients of the Sentinels of a client that `Target.open` made, which its `close` leaves
    open.
    """
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return [*manager.sentinels] if manager else []


def check_durability(durability: object, target: Target | None, seconds: float) -> None:
    """Raises `Misconfigured` unless the connections of a store can wait for its copies.

    :param durability: what must be confirmed before an answer.
    :param target: of the store; None for a client that is not redis-py's own.
    :param seconds: that a call may take. A reply is waited for half of them.
    """
    if not isinstance(durability, Durability):
        raise Misconfigured("durability must be a Durability, such as Durability.wait(replicas=1)")
    if not durability:
        return
    if target is None:
        raise Misconfigured("a durability needs a client of redis-py's own classes, or from_url()")
    if target.max_connections < _LEAST_CONNECTIONS:
        raise Misconfigured(
            f"with a durability, max_connections must be at least {_LEAST_CONNECTIONS}: one of "
            "them holds the subscription, and one waits for copies"
        )
    durability.check_timeout(seconds / 2)
