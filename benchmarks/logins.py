"""What a login costs: server CPU per login and per poll, what Redis does for it, and races."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import redis as client

from benchmarks.contestants import EVERY, Constant, Contestant, log_in, started
from benchmarks.figures import Figures, ratio, spread
from benchmarks.machine import Redis, cpu, say, seconds_left
from benchmarks.wire import Line

#: What is compared with what: ours, the other, the bar and the moonshot of the ratio.
GOALS: Sequence[tuple[str, str, float, float | None]] = (
    ("ours, bare ASGI", "the tutorial", 0.12, 0.07),
    ("ours, bare ASGI", "oidc-provider", 0.8, 0.4),
    ("ours, FastAPI", "the tutorial", 0.18, 0.10),
    ("ours, FastAPI", "oidc-provider", 1.2, 0.6),
    ("ours, Flask", "the tutorial", 0.28, 0.20),
    ("ours, Flask", "Authlib", 1.0, 0.55),
    ("ours, Django", "django-oauth-toolkit", 0.45, 0.27),
    ("ours, bare ASGI, no QR", "oidc-provider", 0.6, None),
    ("ours, Flask, no QR", "Authlib", 0.7, None),
    ("ours, Django, no QR", "django-oauth-toolkit", 0.4, None),
    ("the FastAPI example", "the tutorial", 0.18, 0.10),
    ("the Flask example", "the tutorial", 0.28, 0.20),
    ("the Django example", "django-oauth-toolkit", 0.45, 0.27),
)
POLLS = 20
WINDOW_SECONDS = 0.35


class Account:
    """What Redis did between two looks: commands, reads of a socket, and its CPU."""

    def __init__(self, redis: Redis) -> None:
        self._pids = redis.pids
        self._client: Any = client.Redis(port=redis.port)

    def look(self) -> tuple[float, float, float]:
        counted = self._client.info("commandstats")
        calls = sum(each["calls"] for name, each in counted.items() if "info" not in name)
        reads = self._client.info("stats")["total_reads_processed"]
        return calls, reads, cpu(self._pids)

    def clear(self, url: str) -> None:
        """Empties a database. The allowances of an account and an address are there as well."""
        found: Any = client.Redis.from_url(url)
        found.flushdb()
        found.close()


def window(one: Contestant, logins: int) -> float:
    """Server CPU per login, in milliseconds."""
    before = cpu(one.pids)
    for _ in range(logins):
        log_in(one.flow, one.line)
    return (cpu(one.pids) - before) / logins * 1e3


def poll_window(one: Contestant) -> float:
    """Server CPU of one more pending poll, in milliseconds."""
    assert one.polls is not None
    login = one.polls.begin(one.line)
    one.polls.poll(one.line, login)
    before = cpu(one.pids)
    for _ in range(POLLS):
        one.polls.poll(one.line, login)
    return (cpu(one.pids) - before) / POLLS * 1e3


@dataclass
class Turns:
    """One server and its windows."""

    one: Contestant
    size: int
    """Logins in a window."""
    logins: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)
    stores: list[list[float]] = field(default_factory=list)

    @classmethod
    def warmed(cls, one: Contestant, account: Account, *, quick: bool) -> Self:
        """Logs in until the server is warm. Node gets faster for some hundred requests."""
        if one.redis:
            account.clear(one.redis)
        began = time.perf_counter()
        least = (10 if quick else 40) if one.redis else (20 if quick else 200)
        for _ in range(least):
            log_in(one.flow, one.line)
        each = (time.perf_counter() - began) / least
        return cls(one, min(40, max(8, int((0.15 if quick else WINDOW_SECONDS) / each))))

    def take(self, account: Account) -> None:
        """One window of logins, and one of polls."""
        one = self.one
        if one.redis:
            account.clear(one.redis)
        for _ in range(2):  # the caches of the core are full of the server before
            log_in(one.flow, one.line)
        before = account.look()
        spent = window(one, self.size)
        if one.redis:
            store = [new - old for old, new in zip(before, account.look(), strict=True)]
            store[1] -= 2  # of the look itself
            self.stores.append([each / self.size for each in store])
        if one.polls:
            self.polls.append(poll_window(one))
        self.logins.append(spent)

    def figures(self) -> Figures:
        found: Figures = {"login": spread(self.logins), "requests": self.one.flow.requests}
        if self.polls:
            found["poll"] = spread(self.polls)
        if self.stores:
            commands, reads, spent = map(min, zip(*self.stores, strict=True))
            found |= {"commands": commands, "reads": reads, "redis_us": spent * 1e6}
        return found


def costs(redis: Redis, absent: dict[str, str], *, quick: bool) -> Figures:
    """All servers in turn, in rounds; then the races, on the same servers.

    A server that fails on the way is left out of all that follows, and the table gives the reason.
    """
    with started([name for name in EVERY if name not in absent], redis, absent) as running:
        account = Account(redis)
        turns: dict[str, Turns] = {}

        def attempt(name: str, work: Callable[[], None]) -> None:
            try:
                work()
            except Exception as error:
                turns.pop(name, None)
                absent[name] = f"{type(error).__name__}: {error}"[:200]
                say(f"  {name} failed: {absent[name]}")

        def warm(name: str) -> None:
            turns[name] = Turns.warmed(running[name], account, quick=quick)

        say(f"  warming {len(running)} servers")
        for name in running:
            attempt(name, partial(warm, name))
        ends = time.monotonic() + (15 if quick else 190)
        rounds = 0
        while rounds < 3 or (time.monotonic() < ends and rounds < 40):
            rounds += 1
            for name, each in list(turns.items()):
                attempt(name, partial(each.take, account))
            if rounds % 5 == 0:
                say(f"  {rounds} rounds of {len(turns)} servers")
        figures: Figures = {"rounds": rounds, "ratios": [], "races": {}}
        figures["servers"] = {name: each.figures() for name, each in turns.items()}
        for ours, other, bar, moonshot in GOALS:
            if ours in turns and other in turns:
                both = ratio(turns[ours].logins, turns[other].logins)
                goal = {"bar": bar, "moonshot": moonshot}
                figures["ratios"].append({"ours": ours, "other": other, **both, **goal})

        def race(name: str) -> None:
            trials, seconds = _trials(name, quick=quick)
            figures["races"][name] = races(running[name], account, trials, seconds)

        for name in list(turns):
            collects = not isinstance(running[name].flow, Constant)
            if collects and (name in ("ours, bare ASGI", *_RACED) or not quick):
                attempt(name, partial(race, name))
        return figures


_RACED = ("the tutorial", "oidc-provider", "better-auth", "Authlib", "django-oauth-toolkit")


def _trials(name: str, *, quick: bool) -> tuple[int, float]:
    """How many races, and the seconds after which no more begin."""
    if name == "ours, bare ASGI":
        return (100, 10) if quick else (10_000, 240)
    return (10, 4) if quick else (100, 20)


def races(one: Contestant, account: Account, trials: int, seconds: float) -> Figures:
    """Eight requests that collect one approval at the same moment, each over its own connection.

    A double is a trial in which more than one of them got a session.
    """
    say(f"  {trials} races against {one.name}")
    eight = [Line(one.port) for _ in range(8)]
    done = doubles = lost = 0
    statuses: dict[str, int] = {}
    seconds = min(seconds, seconds_left() - 240)  # the other sections need that long
    sent_at, ends = 0.0, time.monotonic() + seconds
    while done < trials and time.monotonic() < ends:
        if one.redis and done % 40 == 0:
            account.clear(one.redis)
        login = one.flow.begin(one.line)
        one.flow.approve(one.line, login)
        if time.monotonic() - sent_at > 0.5:  # servers close idle connections
            for line in eight:
                line.close()
        asked = [one.flow.collecting(login) for _ in eight]
        for line, sent in zip(eight, asked, strict=True):
            line.send(sent)
        got, sent_at = 0, time.monotonic()
        for line in eight:
            answer = line.read()
            got += answer.status == 200
            statuses[str(answer.status)] = statuses.get(str(answer.status), 0) + 1
        done, doubles, lost = done + 1, doubles + (got > 1), lost + (got == 0)
    for line in eight:
        line.close()
    return {"trials": done, "doubles": doubles, "lost": lost, "answers": statuses}
