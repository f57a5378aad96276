"""Stores of logins: in memory, in Redis, in an SQL database, or your own.

Those that are not in memory are imported on first use, so that an application without redis can
import this package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from qrlogin.absent import absent_name
from qrlogin.errors import Misconfigured
from qrlogin.stores.addresses import REDIS_SCHEMES, SQL_SCHEMES, sqlite_hint
from qrlogin.stores.durability import Durability
from qrlogin.stores.listeners import AsyncListeners, Listeners
from qrlogin.stores.memory import AsyncMemoryStore, MemoryStore
from qrlogin.stores.protocol import AsyncListener, AsyncStore, Listener, Store

if TYPE_CHECKING:
    from qrlogin.stores.redis import AsyncRedisStore, RedisStore
    from qrlogin.stores.sql import AsyncSQLStore, SQLStore

__all__ = [
    "AsyncListener",
    "AsyncListeners",
    "AsyncMemoryStore",
    "AsyncRedisStore",
    "AsyncSQLStore",
    "AsyncStore",
    "Durability",
    "Listener",
    "Listeners",
    "MemoryStore",
    "RedisStore",
    "SQLStore",
    "Store",
    "open_async_store",
    "open_store",
]

_LAZY: Final = {
    "AsyncRedisStore": "redis",
    "RedisStore": "redis",
    "AsyncSQLStore": "sql",
    "SQLStore": "sql",
}


def open_store(address: str) -> Store:
    """The store that a setting names: `memory`; Redis or Valkey at `redis://…`, `rediss://…`,
    `unix://…`, `redis+sentinel://…` or `redis+cluster://…`; or a database at `postgresql://…` or
    `sqlite:///…`.

    Close it, or the `QRLogin` that uses it. Raises `Misconfigured` for another address, and
    ImportError if the client library is not installed.
    """
    if address == "memory":
        return MemoryStore()
    if _names_database(address):
        from qrlogin.stores import SQLStore

        return SQLStore(address)
    from qrlogin.stores import RedisStore

    return RedisStore.from_url(address)


def open_async_store(address: str) -> AsyncStore:
    """As `open_store`, for `AsyncQRLogin`."""
    if address == "memory":
        return AsyncMemoryStore()
    if _names_database(address):
        from qrlogin.stores import AsyncSQLStore

        return AsyncSQLStore(address)
    from qrlogin.stores import AsyncRedisStore

    return AsyncRedisStore.from_url(address)


def _names_database(address: object) -> bool:
    """Whether it names a database, and not Redis. Raises `Misconfigured` if it names neither."""
    if isinstance(address, str) and address.startswith(SQL_SCHEMES):
        return True
    if not isinstance(address, str) or not address.lower().startswith(REDIS_SCHEMES):
        # The message does not quote the address, which may hold a password.
        raise Misconfigured(
            "a store is memory, or an address such as redis://127.0.0.1:6379/0 "
            "(or rediss://, unix://, redis+sentinel://, redis+cluster://) of Redis or Valkey, "
            "postgresql://user@host/database, or sqlite:///logins.db" + sqlite_hint(address)
        )
    return False


if not TYPE_CHECKING:  # a type checker would believe that the package has any name

    def __getattr__(name: str) -> object:
        module = _LAZY.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            found = import_module(f"qrlogin.stores.{module}")
        except ModuleNotFoundError as error:
            if error.name != "redis":
                raise
            raise absent_name(
                f"{name} needs the redis client: pip install 'qrlogin[redis]'"
            ) from error
        return getattr(found, name)
