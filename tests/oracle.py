"""The protocol once more: an oracle that shares no line with `table.py`, `step.py` or `step.lua`.

Two interpreters that agree may both be wrong. So each event is written here as one would explain
it, with an idea of numbers and deadlines of its own. It imports nothing of qrlogin.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

Text = Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """The expected result of a call: a verdict, and what is written beside the common fields."""

    verdict: str
    writes: Text | None = None  # None: nothing is written
    to: str | None = None  # None: the state stays
    announced: bool = True
    marked: bool = True  # mark, changed_at and version are written, too


REPEATED, REFUSED, EXPIRED, FORBIDDEN = (
    Outcome("repeated"),
    Outcome("refused"),
    Outcome("expired"),
    Outcome("forbidden"),
)


@dataclass(frozen=True)
class Asked:
    """One call: the record in the store, the values of the command, and the time of the store."""

    record: Text
    values: Text
    mark: str
    durations: Mapping[str, int]
    deadline_ms: int | None
    now: int

    @property
    def state(self) -> str:
        return self.record.get("state", "") if self.record else "absent"

    def proves(self, name: str) -> bool:
        return self.values.get(name, "") != "" and self.record.get(name, "") == self.values[name]

    def violates(self, name: str) -> bool:
        return self.record.get(name, "") not in ("", self.values.get(name, ""))

    def late(self, name: str) -> bool:
        return self.now >= (digits(self.record.get(name, "")) or 0)

    @property
    def code_is_late(self) -> bool:
        return self.deadline_ms is not None and self.deadline_ms <= self.now

    def too_late(self, name: str) -> bool:
        return self.late(name) or self.code_is_late

    def texts(self, *names: str) -> dict[str, str]:
        return {name: self.values.get(name, "") for name in names}

    def times(self, *names: str) -> dict[str, str]:
        return {name: str(self.now + self.durations.get(name, 0)) for name in names}

    def time_after(self, window: str) -> str:
        """The instant at which a window ends that starts now and whose length is in the record."""
        return str(self.now + (digits(self.record.get(window, "")) or 0))


def digits(text: str) -> int | None:
    if not 1 <= len(text) <= 15 or set(text) - set("0123456789"):
        return None
    return int(text)


_DEADLINES = {"pending": "scan_by", "scanned": "decide_by", "confirmed": "redeem_by"}


def begin(it: Asked) -> Outcome:
    if it.state == "absent":
        if it.code_is_late:
            return EXPIRED
        writes = it.texts(
            "v", "device_digest", "context", "needs", "only_for", "known", "begin_seal"
        )
        writes |= it.texts("decide_ms", "redeem_ms")
        times = it.times("begun_at", "shown_until", "scan_by")
        return Outcome("applied", writes | times, "pending")
    return REPEATED if it.proves("device_digest") else REFUSED


def status(it: Asked) -> Outcome:
    if not it.proves("device_digest"):
        return FORBIDDEN
    return EXPIRED if it.code_is_late else Outcome("applied")


def land(it: Asked) -> Outcome:
    if it.state != "pending":
        return REFUSED
    return EXPIRED if it.too_late("scan_by") else Outcome("applied")


def look(it: Asked) -> Outcome:
    if it.state in ("scanned", "confirmed", "redeemed") and it.proves("claim"):
        return REPEATED
    return FORBIDDEN if it.violates("only_for") else land(it)


def scan(it: Asked) -> Outcome:
    if look(it) is not REPEATED and it.violates("v"):
        return FORBIDDEN
    if look(it).verdict != "applied":
        return look(it)
    writes = it.texts("claim", "shown_as", "scanner_seal") | it.times("scanned_at")
    return Outcome("applied", writes | {"decide_by": it.time_after("decide_ms")}, "scanned")


def outcome(it: Asked) -> Outcome:
    if not it.proves("claim"):
        return FORBIDDEN
    return EXPIRED if it.code_is_late else Outcome("applied")


def release(it: Asked) -> Outcome:
    if not it.proves("claim"):
        return FORBIDDEN
    if it.state == "pending":
        return REPEATED
    if it.violates("v"):
        return FORBIDDEN
    if it.state != "scanned":
        return REFUSED
    return EXPIRED if it.too_late("decide_by") else Outcome("applied", {}, "pending")


def confirm(it: Asked) -> Outcome:
    if not it.proves("claim"):
        return FORBIDDEN
    if it.state in ("confirmed", "redeemed"):
        return REPEATED
    if it.violates("v") or it.violates("needs"):
        return FORBIDDEN
    if it.state != "scanned":
        return REFUSED
    if it.too_late("decide_by"):
        return EXPIRED
    writes = it.texts("subject", "name", "met", "facts", "approval") | it.times("confirmed_at")
    return Outcome("applied", writes | {"redeem_by": it.time_after("redeem_ms")}, "confirmed")


def miss(it: Asked) -> Outcome:
    """Wrong digits: counted once, however often they are sent. The third ones deny the login."""
    if not it.proves("claim"):
        return FORBIDDEN
    if it.state in ("scanned", "denied") and it.proves("missed"):
        return REPEATED
    if it.violates("v"):
        return FORBIDDEN
    if it.state != "scanned":
        return REFUSED
    if it.too_late("decide_by"):
        return EXPIRED
    counted = _counted(it, "denied")
    return replace(counted, writes={**(counted.writes or {}), **it.texts("missed")})


def deny(it: Asked) -> Outcome:
    if not it.proves("claim"):
        return FORBIDDEN
    if it.state == "denied":
        return REPEATED
    if it.violates("v"):
        return FORBIDDEN
    if it.state not in ("scanned", "confirmed"):
        return REFUSED
    return EXPIRED if it.too_late(_DEADLINES[it.state]) else Outcome("applied", {}, "denied")


def cancel(it: Asked) -> Outcome:
    if not it.proves("device_digest"):
        return FORBIDDEN
    if it.state == "cancelled":
        return REPEATED
    if it.violates("v"):
        return FORBIDDEN
    if it.state not in ("pending", "scanned", "confirmed"):
        return REFUSED
    return EXPIRED if it.too_late(_DEADLINES[it.state]) else Outcome("applied", {}, "cancelled")


def redeem(it: Asked) -> Outcome:
    return _collected(it) if it.proves("device_digest") and it.proves("approval") else FORBIDDEN


def _collected(it: Asked) -> Outcome:
    if it.state == "redeemed" and it.proves("redeem_mark") and not it.late("replay_by"):
        return REPEATED
    if it.violates("v"):
        return FORBIDDEN
    if it.state != "confirmed":
        return REFUSED
    if it.too_late("redeem_by"):
        return EXPIRED
    return Outcome(
        "applied", it.texts("redeem_mark") | it.times("replay_by", "redeemed_at"), "redeemed"
    )


def collect(it: Asked) -> Outcome:
    """RFC 8628 section 3.5. The first poll is free. An early poll makes the interval longer."""
    if not it.proves("device_digest"):
        return FORBIDDEN
    outcome = _collected(it)
    if (
        outcome is not REFUSED
        or it.state not in ("pending", "scanned")
        or it.record.get("pace_mark") == it.mark
    ):
        return outcome
    last, interval = (
        digits(it.record.get("pace_at", "")),
        digits(it.record.get("pace_ms", "")) or it.durations.get("pace", 0),
    )
    kept = last is None or it.now + it.durations.get("pace_slack", 0) >= last + interval
    if kept:
        return Outcome(
            "refused",
            {"pace_at": str(it.now), "pace_ms": str(interval), "pace_mark": it.mark},
            marked=False,
        )
    longer = str(interval + it.durations.get("pace_step", 0))
    return Outcome("slow", {"pace_ms": longer, "pace_mark": it.mark}, marked=False)


# Guesses of typed codes: a record that only counts


def guess(budget: int, it: Asked) -> Outcome:
    """Takes one of `budget` guesses. The last one is still granted; after it there are none."""
    if it.record and it.proves("mark"):
        return REPEATED
    if it.state not in ("absent", "counting"):
        return REFUSED
    if it.code_is_late:
        return EXPIRED
    taken = (digits(it.record.get("guesses", "")) or 0) + 1
    left = budget - taken
    return Outcome(
        "applied", {"guesses": str(taken)}, "counting" if left > 0 else "spent", announced=left < 1
    )


def guessed_right(it: Asked) -> Outcome:
    """Gives one guess back. The budget is never exceeded."""
    if it.record and it.proves("mark"):
        return REPEATED
    if it.state not in ("counting", "spent"):
        return REFUSED
    if it.code_is_late:
        return EXPIRED
    taken = max(1, digits(it.record.get("guesses", "")) or 0) - 1
    return Outcome("applied", {"guesses": str(taken)}, "counting", announced=taken >= 10**9)


def guess_on(budget: int, it: Asked) -> Outcome:
    """Counts the wrong decisions of an account without guesses, until nothing is looked up."""
    if it.record and it.proves("mark"):
        return REPEATED
    if it.state != "spent":
        return REFUSED
    if it.code_is_late:
        return EXPIRED
    taken = (digits(it.record.get("guesses", "")) or 0) + 1
    closed = taken >= budget
    return Outcome(
        "applied", {"guesses": str(taken)}, "closed" if closed else "spent", announced=closed
    )


def may_guess(it: Asked) -> Outcome:
    if it.state not in ("absent", "counting", "spent"):
        return REFUSED
    return EXPIRED if it.code_is_late else Outcome("applied")


# What an address or an account may do at once, and how it refills


def take(most: int, every: int, it: Asked) -> Outcome:
    """What was taken comes back, one in `every` ms. What is not there is not granted."""
    if it.record and it.proves("mark"):
        return REPEATED
    if it.state not in ("absent", "refilling"):
        return REFUSED
    if it.code_is_late:
        return EXPIRED
    missing_ms = max(0, (digits(it.record.get("refilled_at", "")) or 0) - it.now)
    if missing_ms > (most - 1) * every:
        return Outcome("slow")
    refilled_at = str(it.now + missing_ms + every)
    return Outcome("applied", {"refilled_at": refilled_at}, "refilling", announced=False)


# Which login a typed code belongs to: written once, in a record of its own


def name(it: Asked) -> Outcome:
    if it.record:
        return REPEATED if it.proves("names") else REFUSED
    return (
        EXPIRED if it.code_is_late else Outcome("applied", it.texts("names", "name_seal"), "naming")
    )


def look_up(it: Asked) -> Outcome:
    if not it.record:
        return REFUSED
    return EXPIRED if it.code_is_late else Outcome("applied")


# Rows that the protocol may need later: the step must support them without a change


def misread(it: Asked) -> Outcome:
    if not (it.proves("device_digest") and it.proves("scanner_seal")):
        return FORBIDDEN
    if it.state in ("scanned", "confirmed", "cancelled") and it.record.get("mark") == it.mark:
        return REPEATED
    if it.state not in ("scanned", "confirmed"):
        return REFUSED
    return EXPIRED if it.too_late(_DEADLINES[it.state]) else _counted(it, "cancelled")


def _counted(it: Asked, third: str) -> Outcome:
    misses = (digits(it.record.get("misses", "")) or 0) + 1
    return Outcome(
        "applied", {"misses": str(misses)}, third if misses > 2 else None, announced=misses > 2
    )


def rename(it: Asked) -> Outcome:
    if not it.record:
        return REFUSED
    return EXPIRED if it.code_is_late else Outcome("applied", it.texts("shown_as"))


def reserve(it: Asked) -> Outcome:
    if it.record:
        return REPEATED
    return EXPIRED if it.code_is_late else Outcome("applied", {}, "pending")


_LOGIN = (
    *(begin, status, land, look, scan, release, confirm, miss, outcome),
    *(deny, cancel, redeem, collect),
)
_EVENTS = (*_LOGIN, guessed_right, may_guess, name, look_up, misread, rename, reserve)
EVENTS: Mapping[str, Callable[[Asked], Outcome]] = {
    **{each.__name__.replace("_", " "): each for each in _EVENTS},
    **{f"guess of {budget}": partial(guess, budget) for budget in (1, 3)},
    "guess on of 4": partial(guess_on, 4),
    **{
        f"take one of {most}, {every} ms each": partial(take, most, every)
        for most, every in ((1, 1000), (3, 5000))
    },
}


@dataclass(frozen=True)
class Expected:
    verdict: str
    now: int
    record: Text
    announced: bool
    born: bool  # only a new record gets the time to live of the command; it never changes


def expected(event: str, asked: Asked, clock: int) -> Expected:
    """What the store must answer and keep.

    `asked.now` is ignored: the time is the later one of the clock and the last change.
    """
    record = asked.record
    now = max(clock, digits(record.get("changed_at", "")) or 0)
    outcome = EVENTS[event](
        Asked(record, asked.values, asked.mark, asked.durations, asked.deadline_ms, now)
    )
    if outcome.writes is None:
        return Expected(outcome.verdict, now, record, announced=False, born=False)
    after = {**record, **outcome.writes}
    if outcome.to is not None:
        after["state"] = outcome.to
    if outcome.marked:
        version = digits(record.get("version", "")) or 0
        after |= {"mark": asked.mark, "changed_at": str(now), "version": str(version + 1)}
    # A record that is born has no listener.
    announced = outcome.marked and outcome.announced and bool(record)
    return Expected(outcome.verdict, now, after, announced=announced, born=not record)
