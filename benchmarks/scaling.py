"""What a site of a given size needs: a model from the measured costs, and its tables.

It is arithmetic: no program is started. The costs are those of benchmarks/figures.json, so `make
bench` renews the tables of docs/scaling.md. `benchmarks/simulate.py` compares the model with a real
server, and its last run is in benchmarks/simulated.json.
"""

import json
from dataclasses import dataclass
from math import ceil, exp
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Figures
from benchmarks.report import number, table

SIMULATED = Path(__file__).with_name("simulated.json")
OURS: Final = "ours, bare ASGI"

#: Seconds for which a poll is held. Its code rotates then.
HOLD: Final = 25
#: Calls of Redis for a login, for a login that nobody scans, and for a held poll.
CALLS_PER_LOGIN, CALLS_PER_BEGIN, CALLS_PER_POLL = 8, 2, 2
#: Messages to every process for each login: it is scanned, confirmed and redeemed.
NEWS_PER_LOGIN: Final = 3
#: Seconds for which Redis keeps a login, and an allowance that nothing uses.
KEPT: Final = 480
#: Bytes in Redis for a login that was begun, with the allowance of its address, and for one that
#: was confirmed, with that of its account: docs/deploy.md. A test measures both.
BEGUN_BYTES, CONFIRMED_BYTES = 1000, 2000
#: Bytes on the wire for a held poll and for a login, both directions, without TLS.
POLL_BYTES, LOGIN_BYTES = 1500, 12_000
#: Connections of a process to each server of Redis: three pipelines, a call alone, one to listen.
REDIS_CONNECTIONS: Final = 5
#: How much of a core may be used at the busiest moment.
USED: Final = 0.5
#: Ports that one address has for connections to one other address and port.
PORTS: Final = 28_000


@dataclass(frozen=True)
class Costs:
    """Microseconds of CPU and kilobytes, as `make bench` measured them."""

    login_us: float
    """A login of six requests, with a picture and with all limits."""
    poll_us: float
    """A poll that is held, and answered after its time."""
    waiting_kb: float
    """A browser that waits."""
    call_us: float
    """One call of Redis, in Redis."""

    @classmethod
    def of(cls, figures: Figures) -> "Costs":
        """The costs of a run of `make bench`."""
        ours, parked = figures["costs"]["servers"][OURS], figures["parked"][OURS]
        crowd = figures["crowd"][OURS]
        limits = float(figures["scripts"]["limits"].rsplit(None, 1)[-1])
        percent = crowd["core_percent"] - parked["idle_percent"]
        return cls(
            login_us=ours["login"]["median"] * 1000 * limits,
            poll_us=percent / 100 * 1e6 / crowd["answers_per_s"],
            waiting_kb=parked["kb"],
            call_us=ours["redis_us"] / ours["reads"],
        )


@dataclass(frozen=True)
class Load:
    """What people do at the busiest moment."""

    logins_per_second: float
    waiting: int
    """Browsers that show a code."""
    lifetime: int = 120
    """Seconds for which a code is shown. Then the browser begins another login."""
    late_window: int = 100
    """Seconds after that for which it follows the old login, too, as a phone may have read its
    code.
    """

    @property
    def begins(self) -> float:
        """Logins that begin in a second. Each page begins one when it is opened, and another when
        its code has been shown for `lifetime`. Phones scan at random, so a page is left open for
        longer the more of them there are for each login.
        """
        scanned_in_time = 1 - exp(-self.logins_per_second * self.lifetime / self.waiting)
        return self.logins_per_second / scanned_in_time

    @property
    def renewals(self) -> float:
        """Those of them that follow a login which nobody scanned."""
        return self.begins - self.logins_per_second

    @property
    def held(self) -> float:
        """Requests that are held at a time."""
        return self.waiting + self.renewals * self.late_window

    @property
    def polls(self) -> float:
        """Held polls that end in a second without news. A login has two more, with news."""
        return self.held / HOLD


@dataclass(frozen=True)
class Needs:
    """What a site of this load uses."""

    calls: float
    """Calls of Redis in a second."""
    cores: float
    """Of the application."""
    redis_cores: float
    memory_mb: float
    """Of the application: for the browsers."""
    redis_mb: float
    megabits: float
    """In a second, towards the browsers and back."""

    @property
    def processes(self) -> int:
        """Workers of the application, each with a core of its own."""
        return ceil(self.cores / USED)

    @property
    def masters(self) -> int:
        """Servers of Redis, each with a core of its own."""
        return ceil(self.redis_cores / USED)


def needs(load: Load, costs: Costs) -> Needs:
    """What this load uses, by the model."""
    logins, renewals = load.logins_per_second, load.renewals
    calls = logins * CALLS_PER_LOGIN + renewals * CALLS_PER_BEGIN + load.polls * CALLS_PER_POLL
    # A begin alone costs about a sixth of a login: it is one of its six requests.
    cpu_us = logins * costs.login_us + renewals * costs.login_us / 6 + load.polls * costs.poll_us
    kept = KEPT * (load.begins * BEGUN_BYTES + logins * (CONFIRMED_BYTES - BEGUN_BYTES))
    sent = load.polls * POLL_BYTES + logins * LOGIN_BYTES + renewals * LOGIN_BYTES / 6
    return Needs(
        calls=calls,
        cores=cpu_us / 1e6,
        redis_cores=calls * costs.call_us / 1e6,
        memory_mb=load.held * costs.waiting_kb / 1000,
        redis_mb=kept / 1e6,
        megabits=sent * 8 / 1e6,
    )


#: Sites, from one process to a Cluster: their names, logins an hour, and waiting browsers.
SITES: Final = (
    ("an office", 200, 50),
    ("a shop", 5_000, 500),
    ("a large site", 100_000, 10_000),
    ("a country", 1_000_000, 100_000),
    ("a country, pages left open", 1_000_000, 1_000_000),
)


def _whole(value: float) -> str:
    return number(value) if value >= 1000 else str(ceil(value))


def costs_table(costs: Costs) -> str:
    """What one login and one waiting browser cost."""
    open_app = costs.poll_us / HOLD + costs.login_us / 6 / 120
    open_redis = costs.call_us * (CALLS_PER_POLL / HOLD + CALLS_PER_BEGIN / 120)

    def redis(calls: int) -> str:
        return f"{calls} calls, {number(calls * costs.call_us)} µs"

    rows = [
        (
            "a login: six requests, with a picture and all limits",
            f"{number(costs.login_us)} µs",
            redis(CALLS_PER_LOGIN),
        ),
        ("a held poll, every 25 s", f"{number(costs.poll_us)} µs", redis(CALLS_PER_POLL)),
        (
            "a page that is left open, each second",
            f"{number(open_app)} µs",
            f"{number(open_redis)} µs",
        ),
        (
            "memory of a held request, and of its login",
            f"{number(costs.waiting_kb)} KB",
            f"{BEGUN_BYTES // 1000} KB",
        ),
    ]
    return table(("", "the application", "Redis"), rows)


def sites_table(costs: Costs) -> str:
    """What sites of several sizes need."""
    columns = []
    for _, hourly, waiting in SITES:
        need = needs(load := Load(hourly / 3600, waiting), costs)
        connections = need.processes * REDIS_CONNECTIONS
        columns.append(
            (
                number(hourly), number(waiting), number(load.held),
                number(load.begins), number(load.polls),
                number(need.cores), _whole(need.processes), number(need.memory_mb),
                number(load.held / need.processes), _whole(load.held / PORTS),
                number(need.megabits), number(need.calls), number(need.redis_cores),
                _whole(need.masters), number(need.redis_mb), number(connections),
                number(hourly / 3600 * NEWS_PER_LOGIN * need.processes),
            )
        )  # fmt: skip
    names = (
        "logins an hour", "open pages", "held requests",
        "begins a second", "polls answered a second",
        "cores used by the application", "processes, each half busy", "MB for held requests",
        "held requests per process (`max_waiting`, open files)",
        "addresses of a proxy, or ports of the application", "Mbit/s to browsers and back",
        "calls of Redis a second", "cores used by Redis", "Redis masters, each half busy",
        "MB in Redis", "connections to each Redis", "notifications a second, to all processes",
    )  # fmt: skip
    rows = [(name, *row) for name, row in zip(names, zip(*columns, strict=True), strict=True)]
    return table(("", *(name for name, _, _ in SITES)), rows)


def simulated_table(run: dict[str, Any], costs: Costs) -> str:
    """The model beside a real server, as the last simulation measured it."""
    rows = [
        (name, number(predicted), number(measured), f"{(measured / predicted - 1) * 100:+.0f} %")
        for name, predicted, measured in compare(run, costs)
    ]
    return table(("", "model", "measured", "difference"), rows)


def compare(run: dict[str, Any], costs: Costs) -> list[tuple[str, float, float]]:
    """Each quantity, as the model says and as it was measured.

    :param run: what `simulate.py` measured.
    :param costs: of the model.
    """
    load = Load(run["logins_per_second"], run["waiting"], run["lifetime"], run["late_window"])
    need = needs(load, costs)
    found, confirmed = run["found"], load.logins_per_second / load.begins
    in_redis = BEGUN_BYTES + (CONFIRMED_BYTES - BEGUN_BYTES) * confirmed
    return [
        ("begins a second", load.begins, found["begins"]),
        ("polls answered a second", load.polls + 2 * load.logins_per_second, found["polls"]),
        ("calls of Redis a second", need.calls, found["calls"]),
        ("the application, % of a core", need.cores * 100, found["app_percent"]),
        ("Redis, % of a core", need.redis_cores * 100, found["redis_percent"]),
        ("MB for held requests", need.memory_mb, found["memory_mb"]),
        ("bytes in Redis for each begin", in_redis, found["redis_bytes"]),
        ("open files of the process", load.held + REDIS_CONNECTIONS, found["files"]),
        ("kbit/s to browsers and back", need.megabits * 1000, found["megabits"] * 1000),
    ]


def text(figures: Figures) -> str:
    """The tables of docs/scaling.md."""
    costs, run = Costs.of(figures), json.loads(SIMULATED.read_text("utf-8"))
    how = (
        f"{number(run['waiting'])} pages are open at one process for {run['seconds']:g} s, and "
        f"{run['logins_per_second']:g} log in each second; a code is shown for "
        f"{run['lifetime']} s, and followed for {run['late_window']} s more. Measured on "
        f"{run['date']}, {run['machine']}."
    )
    return "\n\n".join(
        [
            "### What one costs", costs_table(costs),
            "### What a site needs", sites_table(costs),
            "### The model beside a real server", how, simulated_table(run, costs),
        ]
    )  # fmt: skip
