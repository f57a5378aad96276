"""How the address of a store begins, for each kind of store that has one, and what an address of
Redis or Valkey says.

It does not import redis, so that an address is refused also where redis is not installed.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlencode

_SERVERS: Final = ("redis://", "rediss://", "valkey://", "valkeys://")
_SOCKETS: Final = ("unix://", "redis+unix://", "valkey+unix://")
REDIS_SCHEMES: Final = (
    *_SERVERS,
    *_SOCKETS,
    *(
        address.replace("://", f"+{kind}://")
        for kind in ("sentinel", "cluster")
        for address in _SERVERS
    ),
)
SQLITE: Final = "sqlite:///"
SQL_SCHEMES: Final = (SQLITE, "postgresql://", "postgres://")

#: The default ports of a Sentinel and of a server.
_PORTS: Final = {"sentinel": 26379, "cluster": 6379}
#: A host or an IPv6 address in brackets, and a port.
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:/?#@,\s]+)(?::([0-9]{1,5}))?")
_SENTINELS_OWN: Final = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True)
class RedisAddress:
    """What an address of Redis or Valkey says."""

    kind: Literal["server", "sentinel", "cluster"]
    url: str = field(repr=False)
    """The address of one server as redis-py reads it, with every option that it knows. Behind
    Sentinel and in a Cluster its host is the first of `hosts`."""
    hosts: tuple[tuple[str, int], ...] = ()
    """The Sentinels, or nodes of the Cluster, as host and port."""
    service: str = ""
    """What the Sentinels call the master."""
    sentinel_options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """The user and the password of the Sentinels themselves: `username`, `password`."""


def read_redis_address(address: str) -> RedisAddress:
    """What this address says. Raises ValueError, whose text quotes nothing of the address.

    :param address: begins with one of `REDIS_SCHEMES`.
    """
    scheme, separator, rest = address.partition("://")
    name, _, kind = scheme.lower().partition("+")
    if not separator or f"{scheme.lower()}://" not in REDIS_SCHEMES:
        raise ValueError("an address of Redis begins with redis://, rediss:// or unix://")
    if "unix" in (name, kind):
        return RedisAddress("server", f"unix://{rest}")
    scheme = "rediss" if name in ("rediss", "valkeys") else "redis"
    if kind not in ("sentinel", "cluster"):
        return RedisAddress("server", f"{scheme}://{rest}")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    user, at, listed = authority.rpartition("@")
    hosts = tuple(_host(one, _PORTS[kind]) for one in listed.split(","))
    service, _, database = path.partition("/")
    if kind == "cluster":
        service, database = "", path
        if database not in ("", "0"):
            raise ValueError("a Cluster has no databases beside 0")
    elif not service:
        raise ValueError("an address of Sentinel names its service: redis+sentinel://host/service")
    if database and not database.isdecimal():
        raise ValueError("a database is a number")
    options = parse_qsl(query, keep_blank_values=True)
    own = tuple((key.partition("_")[2], text) for key, text in options if key in _SENTINELS_OWN)
    kept = urlencode([(key, text) for key, text in options if key not in _SENTINELS_OWN])
    host, port = hosts[0]
    first = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    url = f"{scheme}://{user}{at}{first}/{database or 0}" + (f"?{kept}" if kept else "")
    found: Literal["sentinel", "cluster"] = "cluster" if kind == "cluster" else "sentinel"
    return RedisAddress(found, url, hosts, unquote(service), own)


def _host(text: str, port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if not found or int(found[2] or port) > 65535:
        raise ValueError("name hosts as host:port,host:port; in a password write %2F for a slash")
    return found[1].strip("[]"), int(found[2] or port)


def sqlite_hint(address: object) -> str:
    """What to add to the error for an address that was refused: how many slashes SQLite needs, if
    it begins with `sqlite:`; else "".
    """
    if isinstance(address, str) and address.startswith("sqlite:"):
        return ". sqlite needs three slashes, and four before an absolute path"
    return ""
