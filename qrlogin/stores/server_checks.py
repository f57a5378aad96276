"""What a Redis says of itself, and what that means for logins: eviction, version, persistence,
replicas, clock.

A Redis store looks once, after its first answer, and logs what it finds. `python -m qrlogin doctor`
prints the same findings. This module opens no connection and does not import redis.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from qrlogin.clock import now_ms
from qrlogin.findings import Finding, Level, ok, problem, warning
from qrlogin.stores.durability import Durability
from qrlogin.stores.outages import log

_CLOCK_MS: Final = 2000
_NUMBERS: Final = re.compile(r"[0-9]+")

#: What a server answers to INFO, as redis-py reads it.
Info = Mapping[str, Any]


def redis_findings(
    info: Info, durability: Durability, *, is_cluster: bool = False
) -> Iterator[Finding]:
    """What INFO of a server means for logins. Nothing is said of what INFO leaves out, as that of
    some managed servers does.

    :param info: what the server answered to INFO.
    :param durability: of the store.
    :param is_cluster: whether the store has the client of a Cluster.
    """
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version") or "")
    if version and _numbers(version) < (7,):
        yield warning(
            "server",
            f"{name} {version}: when it is full, logins under way fail, too",
            "use Redis 7.0 or newer, or Valkey",
        )
    elif version:
        yield ok("server", f"{name} {version}")
    # Valkey says here which Redis it began as: its first version as 7.2.4.
    if version and durability.kind == "aof" and _numbers(info["redis_version"]) < (7, 2):
        yield problem(
            "durability",
            f"{durability} needs WAITAOF, which {name} {version} has not",
            "use Redis 7.2 or newer, or Valkey; or Durability.wait, which needs a replica",
        )
    if info.get("cluster_enabled") and not is_cluster:
        yield problem(
            "server",
            "this is one node of a Cluster",
            "name the Cluster: redis+cluster://HOST:PORT in place of redis://HOST:PORT",
        )
    if info.get("role") == "slave":
        yield problem("server", "this is a replica, which accepts no writes", "give its master")
    yield from _replicas(info, durability)
    yield from _memory(info)
    yield from _persistence(info, durability)


def _replicas(info: Info, durability: Durability) -> Iterator[Finding]:
    replicas = info.get("connected_slaves")
    if replicas is None:
        return
    if replicas < durability.replicas:
        yield problem(
            "durability",
            f"{durability} needs {durability.replicas} replica{'s' * (durability.replicas > 1)}, "
            f"and the server has {replicas}: no login can be approved",
            "connect more replicas, or ask for fewer",
        )
    elif durability.replicas:
        yield ok("replicas", f"{replicas}, of which {durability.replicas} confirm each approval")
    elif replicas:
        yield warning(
            "replicas",
            f"{replicas} replicas: a failover can lose or repeat what was written "
            "in its last moment",
            "for logins that must not be lost, set a durability (docs/stores.md), or use SQLStore",
        )


def _memory(info: Info) -> Iterator[Finding]:
    policy, most = info.get("maxmemory_policy"), info.get("maxmemory")
    if policy is None:
        return
    if most and policy != "noeviction":
        yield problem(
            "memory",
            f"maxmemory-policy is {policy}: when it is full, logins vanish at any moment",
            "set maxmemory-policy noeviction, or give qrlogin a Redis of its own",
        )
    elif most and info.get("used_memory", 0) > 0.8 * most:
        yield warning(
            "memory",
            "more than 80 % of maxmemory is used",
            "raise maxmemory: when it is full, no login begins",
        )
    else:
        yield ok("memory", "nothing is evicted")


def _persistence(info: Info, durability: Durability) -> Iterator[Finding]:
    file = info.get("aof_enabled")
    if file is None:
        return
    if file:
        yield ok("persistence", "an append-only file: a restart loses a second at most")
    elif durability.local:
        yield problem(
            "durability",
            f"{durability} needs an append-only file, and there is none: no login can be approved",
            "set appendonly yes",
        )
    elif durability.replicas:
        yield warning(
            "persistence",
            "there is no append-only file: if the master restarts before a replica takes over, it "
            "is empty, and so are its replicas then",
            "set appendonly yes, or let nothing restart the master by itself",
        )
    else:
        yield warning(
            "persistence",
            "there is no append-only file: a restart loses the logins under way",
            "if that matters, set appendonly yes; users can also simply scan again",
        )


def clock_finding(server_ms: int, here_ms: int) -> Finding:
    """Whether the clocks of the server and of this machine agree.

    :param server_ms: the server's, in milliseconds since 1970.
    :param here_ms: this machine's, at the same time.
    """
    ahead = server_ms - here_ms
    if abs(ahead) > _CLOCK_MS:
        return warning(
            "clock",
            f"the server's is {abs(ahead) / 1000:.0f} s {'ahead of' if ahead > 0 else 'behind'} "
            "this machine's",
            "let NTP set both; logins go by the server's, and the sessions after them by yours",
        )
    return ok("clock", "the server's and this machine's agree")


class FirstLook:
    """Looks at the server of a store once, after its first answer.

    It is only a look: an error, or a server that does not answer INFO, is no reason to say
    anything, because calls and the doctor say it better.

    :param durability: of the store.
    :param is_cluster: whether the store has the client of a Cluster.
    """

    def __init__(self, durability: Durability, *, is_cluster: bool) -> None:
        self._durability, self._is_cluster = durability, is_cluster
        self.is_due = True
        """Whether to look after the next answer. The caller sets it to False before it looks."""

    def log(self, answer: Any) -> None:
        """Log what the server's answer means: a problem as a warning, and what matters on some days
        as information.

        :param answer: to INFO, as redis-py reads it; of a Cluster, perhaps one by node.
        """
        infos = [answer] if "redis_version" in answer else list(answer.values())
        found = dict[Finding, None]()  # the nodes of a Cluster are alike, and say the same
        for info in infos:
            looked_at = redis_findings(info, self._durability, is_cluster=self._is_cluster)
            found |= dict.fromkeys(looked_at)
            if "server_time_usec" in info:
                found[clock_finding(int(info["server_time_usec"]) // 1000, now_ms())] = None
        for each in found:
            if each.level is not Level.OK:
                say = log.warning if each.level is Level.PROBLEM else log.info
                say("Redis: %s: %s. Fix: %s", each.about, each.seen, each.fix)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBERS.findall(version)))
