"""Stores: in memory, in Redis, or your own.

`RedisStore` and `AsyncRedisStore` are imported on first use, so that an application without redis
can import this package.
"""

from typing import TYPE_CHECKING, Final

from qrlogin.absent import absent_name
from qrlogin.errors import Misconfigured
from qrlogin.stores.listeners import AsyncListeners, Listeners
from qrlogin.stores.memory import AsyncMemoryStore, MemoryStore
from qrlogin.stores.protocol import AsyncListener, AsyncStore, Listener, Store

if TYPE_CHECKING:
    from qrlogin.stores.redis import AsyncRedisStore, RedisStore

__all__ = [
    "AsyncListener",
    "AsyncListeners",
    "AsyncMemoryStore",
    "AsyncRedisStore",
    "AsyncStore",
    "Listener",
    "Listeners",
    "MemoryStore",
    "RedisStore",
    "Store",
    "open_async_store",
    "open_store",
]

_REDIS_SCHEMES: Final = ("redis://", "rediss://", "unix://")


def open_store(address: str) -> Store:
    """The store that a setting names: `memory`, or Redis at `redis://…`, `rediss://…` or `unix://…`.

    Close it, or the `QRLogin` that uses it. Raises `Misconfigured` for another address, and
    ImportError if the redis client is not installed.
    """
    if address == "memory":
        return MemoryStore()
    _check_address(address)
    from qrlogin.stores import RedisStore

    return RedisStore.from_url(address)


def open_async_store(address: str) -> AsyncStore:
    """As `open_store`, for `AsyncQRLogin`."""
    if address == "memory":
        return AsyncMemoryStore()
    _check_address(address)
    from qrlogin.stores import AsyncRedisStore

    return AsyncRedisStore.from_url(address)


def _check_address(address: object) -> None:
    if not isinstance(address, str) or not address.startswith(_REDIS_SCHEMES):
        # The message does not quote the address, which may hold a password.
        raise Misconfigured(
            "a store is memory, or an address such as redis://127.0.0.1:6379/0 "
            "(or rediss://, or unix://) of Redis or Valkey. For Sentinel and Cluster, "
            "pass a client to RedisStore"
        )


if not TYPE_CHECKING:  # a type checker would believe that the package has any name

    def __getattr__(name: str) -> object:
        if name not in ("RedisStore", "AsyncRedisStore"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            from qrlogin.stores import redis
        except ModuleNotFoundError as error:
            if error.name != "redis":
                raise
            raise absent_name(
                f"{name} needs the redis client: pip install 'qrlogin[redis]'"
            ) from error
        return getattr(redis, name)
