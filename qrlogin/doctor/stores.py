"""Looks at a store: what its server says of itself, and a whole login of its own."""

import os
import socket
import ssl
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from secrets import token_bytes
from statistics import median
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from qrlogin.clock import monotonic, now_ms
from qrlogin.errors import Misconfigured, QRLoginError, Unavailable
from qrlogin.findings import Finding, Level, ok, problem, warning
from qrlogin.login import QRLogin
from qrlogin.stores import Store, open_store
from qrlogin.stores.addresses import read_redis_address
from qrlogin.stores.durability import NONE, from_address
from qrlogin.stores.server_checks import clock_finding, redis_findings

_PATIENCE_SECONDS: Final = 4.0
_SUBSCRIBING_SECONDS: Final = 0.5
_SLOW_MS: Final = 20
_TRIES: Final = 20
_URI: Final = "https://doctor.invalid/qr"


def look_at_store(address: str) -> Iterator[Finding]:
    """Look at the server of a store, then log in over it.

    :param address: as `open_store` takes it.
    """
    try:
        first, second = open_store(address), open_store(address)
    except (Misconfigured, ImportError) as error:
        yield problem("store", str(error), "correct the address, or install what it needs")
        return
    if address == "memory":
        yield warning(
            "store",
            "memory is for one process, and forgets every login when it restarts",
            "for several processes set redis://…, postgresql://… or sqlite:///…",
        )
        return
    reached = True
    for finding in _server(address):
        yield finding
        reached = reached and (finding.about, finding.level) != ("connection", Level.PROBLEM)
    if reached:
        yield from _login(first, second, _rights(address))
    first.close()
    second.close()


def _server(address: str) -> Iterator[Finding]:
    if address.startswith("sqlite"):
        return _sqlite(address)
    return _postgres(address) if address.startswith("postgres") else _redis(address)


def _rights(address: str) -> str:
    if address.startswith("sqlite"):
        return "give qrlogin a file of its own, in a folder where this user may write"
    return "does the user of this address have every right?"


def _login(first: Store, second: Store, rights: str) -> Iterator[Finding]:
    """A whole login: its browser is at one store, its phone at the other, as in two processes.

    :param first: the store of the browser.
    :param second: the store of the phone.
    :param rights: what to do if the store refuses a call.
    """
    options: dict[str, Any] = {"secret_keys": [token_bytes(32)], "verification_uri": _URI}
    qr, other = QRLogin(first, **options), QRLogin(second, **options)
    try:
        begun = qr.begin()
        spent = [_timed(lambda: qr.status(begun.device_code)) for _ in range(_TRIES)]
        heard = _heard(qr, other, begun.device_code, begun.scan_code)
        other.confirm(begun.scan_code, subject="doctor")
        tag = qr.status(begun.device_code).scanned_by
        qr.redeem(begun.device_code, acknowledged=tag.tag if tag else "", op="doctor-" + "0" * 32)
    except Unavailable as error:
        yield problem("login", f"it fails: {error}", rights)
        return
    except QRLoginError as error:
        yield problem(
            "login",
            f"it fails: {type(error).__name__}: {error}",
            "does something remove or change records, such as eviction?",
        )
        return
    yield ok("login", "a whole login works, and ends")
    ms = median(spent) * 1000
    if ms > _SLOW_MS:
        yield warning(
            "latency",
            f"{ms:.0f} ms for a call",
            "put the store near the application; a login makes eight calls",
        )
    else:
        yield ok("latency", f"{ms:.1f} ms for a call")
    if heard is None:
        yield problem(
            "notifications",
            f"the news of a scan does not arrive within {_PATIENCE_SECONDS / 2:.1f} s",
            "may the user SUBSCRIBE and PUBLISH (Redis), or LISTEN without a pooler in transaction "
            "mode (PostgreSQL)?",
        )
    else:
        yield ok("notifications", f"the news of a scan arrives after {heard * 1000:.0f} ms")


def _heard(qr: QRLogin, other: QRLogin, device_code: str, scan_code: str) -> float | None:
    """Seconds from a scan until a waiting browser hears of it; None if it does not."""
    ended = threading.Event()

    def wait() -> None:
        qr.wait(device_code, timeout=_PATIENCE_SECONDS)
        ended.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    ended.wait(_SUBSCRIBING_SECONDS)
    began = monotonic()
    other.scan(scan_code, subject="doctor", shown_as="doctor")
    heard = ended.wait(_PATIENCE_SECONDS / 2)
    seconds = monotonic() - began
    thread.join(_PATIENCE_SECONDS)
    return seconds if heard else None


def _timed(call: Any) -> float:
    began = monotonic()
    call()
    return monotonic() - began


# Redis


def _redis(address: str) -> Iterator[Finding]:
    from redis.exceptions import RedisError

    from qrlogin.stores.redis_call_time import CallTime
    from qrlogin.stores.redis_client import Target, sentinels_of
    from qrlogin.stores.redis_cluster import ClusterClient

    address, durability = from_address(address, NONE)
    target, _ = Target.at(address, 2, blocks=True)
    call_time = CallTime(_PATIENCE_SECONDS)
    client = target.open(call_time, blocks=True)  # as `RedisStore.from_url` connects
    in_cluster = isinstance(client, ClusterClient)
    try:
        servers = call_time.spend(client.masters) if in_cluster else {"": client}
        for server in servers.values():
            call_time.spend(server.ping)
    except (RedisError, OSError, ValueError) as error:
        yield _redis_unreachable(address, error)
        return
    yield ok("connection", f"{len(servers)} servers answer" if in_cluster else "the server answers")
    findings_of = partial(redis_findings, durability=durability, is_cluster=in_cluster)
    for name, server in servers.items():
        for finding in call_time.spend(partial(_redis_server_at, server, findings_of)):
            yield replace(finding, about=f"{finding.about} {name}".strip())
    for each in (client, *sentinels_of(client)):
        each.close()


def _redis_server_at(
    client: Any, findings_of: Callable[[Mapping[str, Any]], Iterator[Finding]]
) -> list[Finding]:
    from redis.exceptions import RedisError

    try:
        info: Mapping[str, Any] = client.info()
    except RedisError as error:
        seen = f"it does not say what it is ({type(error).__name__})"
        return [warning("server", seen, "to let the doctor look, allow this user INFO")]
    found = [*findings_of(info)]
    try:
        now = client.time()
    except RedisError:
        seen, rights = "this user may not run TIME", "give it the rights in docs/stores.md"
        return [*found, warning("clock", seen, rights)]
    return [*found, clock_finding(now[0] * 1000 + now[1] // 1000, now_ms())]


def _redis_unreachable(address: str, error: Exception) -> Finding:
    from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
    from redis.sentinel import MasterNotFoundError

    causes = _causes(error)
    if any(isinstance(each, AuthenticationError) for each in causes) or "WRONGPASS" in str(error):
        return problem(
            "connection",
            "the password or the user is wrong or missing",
            "correct them in the address (redis://user:password@…)",
        )
    if isinstance(error, MasterNotFoundError):
        return problem(
            "connection",
            "no Sentinel answers, or none knows a master of this name that is alive",
            "check the hosts, and the service after the slash; a password of the Sentinels' own is "
            "?sentinel_password=…",
        )
    if "cluster support disabled" in str(error):
        return problem("connection", "this server is in no Cluster", "use redis:// for it")
    if isinstance(error, NoPermissionError):
        return problem(
            "connection",
            "this user may not PING, or ask a Cluster for its slots",
            "give it the rights in docs/stores.md",
        )
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return problem(
            "connection",
            "the certificate of the server is not trusted",
            "pass ssl_ca_certs=… in the address",
        )
    if any(isinstance(each, ssl.SSLError) for each in causes) or (
        address.startswith(("rediss", "valkeys")) and _listens(address)
    ):
        return problem("connection", "the server does not speak TLS", "use redis:// for it")
    if any(isinstance(each, socket.gaierror) for each in causes):
        return problem("connection", "its host name is not known here", "correct the address")
    if any(isinstance(each, ConnectionRefusedError) for each in causes):
        return problem("connection", "nothing listens there", "start the server; check the port")
    if address.startswith("unix://"):
        return problem(
            "connection",
            "nothing listens at this socket",
            "check the path, and that this user may open it",
        )
    if isinstance(error, ResponseError):
        return problem("connection", f"it answers: {error}", "read the server's log")
    is_plain = not address.startswith(("rediss", "valkeys"))
    if "closed by server" in str(error) and is_plain:
        return problem(
            "connection",
            "the server closes the connection at once",
            "if it speaks TLS, use rediss://; else it may have reached maxclients",
        )
    return problem(
        "connection", f"no answer ({type(error).__name__})", "check the network and a firewall"
    )


def _listens(address: str) -> bool:
    """Whether a server accepts the connection, which then does not answer in TLS."""
    parts = urlsplit(read_redis_address(address).url)
    try:
        with socket.create_connection(
            (parts.hostname or "", parts.port or 6379), timeout=_PATIENCE_SECONDS
        ):
            return True
    except OSError:
        return False


def _causes(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


# SQL


def _sqlite(address: str) -> Iterator[Finding]:
    path = unquote(address.removeprefix("sqlite:///"))
    if not os.path.exists(path):
        yield ok("connection", "the file does not exist yet; it is created")
        return
    yield ok("connection", "the file exists")
    if os.stat(path).st_mode & (stat.S_IROTH | stat.S_IWOTH):
        yield warning(
            "file", "every user of this machine can read it", "chmod 600, and its folder 700"
        )


#: What to say if the error of a connection has these words.
_POSTGRES_ERRORS: Final = {
    "refused": "nothing listens there",
    "resolve host": "its host name is not known here",
    "password authentication failed": "the password or the user is wrong",
    "no password supplied": "the password is missing",
    "no pg_hba.conf entry": "its pg_hba.conf refuses this user from here",
    "does not exist": "its user or its database does not exist",
    "SSL": "TLS is used on one side only (sslmode=…)",
    "timeout": "no answer in time",
    "too many clients": "the server has no free connection",
}


def _postgres(address: str) -> Iterator[Finding]:
    import psycopg

    try:
        with psycopg.connect(address, connect_timeout=int(_PATIENCE_SECONDS)) as server:
            asked = now_ms()
            found = server.execute(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, "
                "current_setting('server_version'), current_setting('synchronous_commit'), "
                "pg_is_in_recovery()"
            ).fetchone()
    except psycopg.Error as error:
        # Its text is not shown: of an address that is misspelled, it may quote the password.
        seen = next((seen for part, seen in _POSTGRES_ERRORS.items() if part in str(error)), "")
        yield problem(
            "connection",
            seen or f"no connection ({type(error).__name__})",
            "correct the address (postgresql://user:password@host/database), or start the server",
        )
        return
    yield ok("connection", "the server answers")
    if found is None:
        return
    clock, version, commits, standby = found
    yield ok("server", f"PostgreSQL {version}")
    if standby:
        yield problem("server", "this is a standby, which accepts no writes", "give its primary")
    if commits == "off":
        yield warning(
            "persistence",
            "synchronous_commit is off: a crash loses what it had acknowledged",
            "set it on for this user: ALTER ROLE … SET synchronous_commit = on",
        )
    else:
        yield ok("persistence", "what was answered survives a crash")
    yield clock_finding(clock, asked)
