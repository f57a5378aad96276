"""Each server and file that an address of a store can name, started on loopback in seconds."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import (
    LOOPBACK,
    PostgresServer,
    RedisServer,
    free_port,
    redis_binary,
    valkey_binary,
)
from tests.stores.clusters import cluster, sentinels


@contextmanager
def plain() -> Iterator[str]:
    with RedisServer(redis_binary()) as server:
        yield server.url


@contextmanager
def valkey() -> Iterator[str]:
    with RedisServer(valkey_binary()) as server:
        yield server.url.replace("redis://", "valkey://")


class _TlsServer(RedisServer):
    """It speaks TLS at `tls_port`, and the tests' own questions at its other port."""

    def __init__(self, tls_port: int, pem: Path) -> None:
        self.tls_port = tls_port
        tls = ["--tls-port", str(tls_port), "--tls-auth-clients", "no"]
        files = ["--tls-cert-file", f"{pem}.crt", "--tls-key-file", str(pem)]
        super().__init__(redis_binary(), *tls, *files)


@contextmanager
def certificate() -> Iterator[Path]:
    """The key of a certificate for loopback; the certificate itself has the suffix `.crt`."""
    with TemporaryDirectory(prefix="qrlogin-tls-") as folder:
        pem = Path(folder, "key.pem")
        names = ["-subj", "/CN=localhost", "-addext", f"subjectAltName=IP:{LOOPBACK}"]
        kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        files = ["-keyout", str(pem), "-out", f"{pem}.crt"]
        subprocess.run(
            ["openssl", "req", *kind, *names, *files], check=True, capture_output=True, timeout=60
        )
        yield pem


@contextmanager
def tls() -> Iterator[str]:
    with certificate() as pem, _TlsServer(free_port(), pem) as server:
        yield f"rediss://{LOOPBACK}:{server.tls_port}/0?ssl_ca_certs={pem}.crt"


@contextmanager
def unix_socket() -> Iterator[str]:
    with TemporaryDirectory(prefix="qrlogin-unix-") as folder:
        path = f"{folder}/redis.sock"
        with RedisServer(redis_binary(), "--unixsocket", path, "--unixsocketperm", "700"):
            yield f"unix://{path}?db=3"


@contextmanager
def behind_sentinel() -> Iterator[str]:
    with sentinels() as (addresses, _):
        yield f"redis+sentinel://{listed(addresses)}/logins/2"


@contextmanager
def in_cluster() -> Iterator[str]:
    with cluster() as nodes:
        yield f"redis+cluster://{listed([(LOOPBACK, node.port) for node in nodes[:2]])}"


@contextmanager
def postgres() -> Iterator[str]:
    with PostgresServer() as server:
        yield server.url


@contextmanager
def sqlite() -> Iterator[str]:
    with TemporaryDirectory(prefix="qrlogin-sqlite-") as folder:
        yield f"sqlite:///{folder}/logins.db"


def listed(addresses: list[tuple[str, int]]) -> str:
    """Hosts and ports as an address has them."""
    return ",".join(f"{host}:{port}" for host, port in addresses)


DEPLOYMENTS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "Redis": plain,
    "TLS": tls,
    "Unix socket": unix_socket,
    "Sentinel": behind_sentinel,
    "Cluster": in_cluster,
    "Valkey": valkey,
}

#: Those, and the SQL databases.
STORES = {**DEPLOYMENTS, "PostgreSQL": postgres, "SQLite": sqlite}
