"""What the Redis stores ask of redis-py: connection pools that give up in time, and a check of the
application's own client.
"""

import inspect
from typing import Any, Final, TypeVar

from redis import BlockingConnectionPool
from redis.asyncio import BlockingConnectionPool as AsyncBlockingConnectionPool
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from qrlogin.errors import Misconfigured
from qrlogin.stores.durability import Durability, Shortfall
from qrlogin.stores.outages import LOST_CONNECTION

#: The errors after which the outcome of a call is unknown. The same call again finds out.
LOST: Final = (RedisConnectionError, RedisTimeoutError, OSError)

#: How many connections a store with a durability needs.
_LEAST_CONNECTIONS: Final = 3
#: So many that no application has a thread or task for each.
_MANY_CONNECTIONS: Final = 20

Pool = TypeVar("Pool", BlockingConnectionPool, AsyncBlockingConnectionPool)


def check_client(client: object, durability: object, *, blocks: bool) -> None:
    """Raises `Misconfigured` unless this is a client of redis-py that blocks if it should, and that
    waits long enough for its durability.

    :param client: what the application passed.
    :param durability: what must be confirmed before an answer.
    :param blocks: True for `RedisStore`, False for `AsyncRedisStore`.
    """
    execute = getattr(client, "execute_command", None)
    if execute is None or not hasattr(client, "pubsub"):
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
    if not isinstance(durability, Durability):
        raise Misconfigured("durability must be a Durability, such as Durability.wait(replicas=1)")
    if durability and not hasattr(client, "pipeline"):
        raise Misconfigured(f"a durability needs pipelines, which {type(client).__name__} has not")
    pool = getattr(client, "connection_pool", None)
    if durability and getattr(pool, "max_connections", _LEAST_CONNECTIONS) < _LEAST_CONNECTIONS:
        raise Misconfigured(
            f"with a durability, max_connections must be at least {_LEAST_CONNECTIONS}: one of "
            "them holds the subscription, and one waits for copies"
        )
    durability.check_timeout(getattr(pool, "connection_kwargs", {}).get("socket_timeout"))


def has_spare_connection(client: object) -> bool:
    """Whether one more command at a time takes no connection from calls: the client waits for a
    free one, or has many.
    """
    pool: Any = getattr(client, "connection_pool", None)
    waits = isinstance(pool, (BlockingConnectionPool, AsyncBlockingConnectionPool))
    return pool is None or waits or pool.max_connections >= _MANY_CONNECTIONS


def describe(error: Exception) -> tuple[str, str]:
    """What `OutageLog` may show of an error, and its kind."""
    if isinstance(error, Shortfall):
        return str(error), "Shortfall"
    shown = type(error).__name__
    if isinstance(error, ResponseError):
        # The first word is the server's own code, such as OOM, READONLY or NOPERM.
        word = str(error).partition(" ")[0]
        shown += f": {word}" if word.isupper() else ""
    return shown, LOST_CONNECTION if isinstance(error, LOST) else shown


def open_pool(url: str, timeout: float, max_connections: int) -> BlockingConnectionPool:
    """A pool for `RedisStore.from_url`. It connects on first use. Raises `Misconfigured`.

    :param url: `redis://`, `rediss://` or `unix://`. Its options win over the other arguments.
    :param timeout: seconds for each round trip, and for a free connection.
    :param max_connections: at least 2, because one of them holds the subscription.
    """
    return _pool(BlockingConnectionPool, url, timeout, max_connections, Retry(NoBackoff(), 0))


def open_async_pool(url: str, timeout: float, max_connections: int) -> AsyncBlockingConnectionPool:
    """As `open_pool`, for `AsyncRedisStore.from_url`.

    :param url: as in `open_pool`.
    :param timeout: as in `open_pool`.
    :param max_connections: as in `open_pool`.
    """
    retry = AsyncRetry(NoBackoff(), 0)
    return _pool(AsyncBlockingConnectionPool, url, timeout, max_connections, retry)


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
            # With 3, redis-py 8.1 no longer checks that a pooled connection has no unread reply.
            protocol=2,
        )
        # Connects nowhere, but raises for an option of the URL that does not exist.
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, AttributeError, RedisError):
        # Not "from error": the text of redis-py's error may quote a part of the password.
        raise Misconfigured(
            "the URL must be redis://, rediss:// or unix:// with options that redis-py knows"
        ) from None
    if pool.max_connections < 2:  # the URL can set it, too
        raise Misconfigured(
            "max_connections must be at least 2: one of them holds the subscription"
        )
    return pool
