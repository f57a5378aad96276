"""Stores: in memory, in Redis, or your own. `RedisStore` is found on first use, so that redis is imported only by who has it."""

from typing import TYPE_CHECKING

from qrlogin.stores.memory import AsyncMemoryStore, MemoryStore
from qrlogin.stores.protocol import AsyncListener, AsyncStore, Listener, Store
from qrlogin.stores.wakeups import AsyncWakeups, Wakeups

if TYPE_CHECKING:
    from qrlogin.stores.redis import AsyncRedisStore, RedisStore

__all__ = [
    "AsyncListener",
    "AsyncMemoryStore",
    "AsyncRedisStore",
    "AsyncStore",
    "AsyncWakeups",
    "Listener",
    "MemoryStore",
    "RedisStore",
    "Store",
    "Wakeups",
]


def __getattr__(name: str) -> object:
    if name not in ("RedisStore", "AsyncRedisStore"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from qrlogin.stores import redis
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise ImportError(f"{name} needs the redis client: pip install 'qrlogin[redis]'") from error
    return getattr(redis, name)
