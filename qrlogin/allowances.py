"""Allowances: what an address or an account may do at once, and how it comes back.

An allowance is one more record in the store, with one row, which takes one from it (`take`). What
was taken comes back evenly with time. So a caller that is slowed down waits for one to come back,
and not for the end of a window.

Taking is a command of its own, before the command of the login: a command changes one record, in
one atomic step, and the two records may be on two servers of a Cluster. A refusal only reads.

**Turns.** Behind one address there may be a flood and fifty people, and their first requests look
alike. So a browser that is refused gets a turn: a text that only this application makes, kept in a
cookie. With its turn it takes from another allowance of that address, one of `LANES`, which a flood
of first requests cannot touch. All lanes together get back as much as the address itself. A flood
that keeps its cookie uses up one lane.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Final, TypeVar

from qrlogin import codes, seals
from qrlogin.errors import TooFast, TooManyBegins, TooManyScans
from qrlogin.keys import Key, equal_in_constant_time
from qrlogin.limits import Limits
from qrlogin.operation import Operation
from qrlogin.reply_checks import SUCCEEDED
from qrlogin.step import Command, Reply, number
from qrlogin.table import ABSENT, ANY, NEVER, Count, Row

T = TypeVar("T")

REFILLING: Final = "refilling"  # the state of an allowance
_FIELD: Final = "refilled_at"

LANES: Final = 64
"""How many allowances the browsers with a turn share, for each address."""
LANE_AT_ONCE: Final = 8
"""How many begins one lane grants at once: fifty browsers never draw one lane nine times."""

TURN_SECONDS: Final = 60
"""For how long a browser keeps its turn. A browser whose turn does not help gets another then."""

_TURN: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")

#: A record outlives the time in which it refills, because its time to live counts from its birth:
#: when it ends, the allowance is full early.
_LIVES: Final = 4
_MINUTE_MS: Final = 60_000


@cache
def take(at_once: int, every_ms: int) -> Row:
    """The row that takes one of `at_once`, which come back one in `every_ms` milliseconds. It is
    slow when none is left.
    """
    return Row(
        f"take one of {at_once}, {every_ms} ms each",
        sources=MappingProxyType({ABSENT: NEVER, REFILLING: NEVER}),
        to=REFILLING,
        repeats=(ANY,),
        repeats_if=("mark",),
        count=Count(_FIELD, at_once, REFILLING, every_ms=every_ms),
    )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one address or one account may do at once, and how it comes back."""

    record_id: str = field(repr=False)
    """Where the store counts it."""
    at_once: int
    every_ms: int
    """Milliseconds until one comes back."""
    beginner: str | None = field(default=None, repr=False)
    """`Command.beginner` of its command: a store that is full grants no begin."""

    def before(self, operation: Operation[T], refusal: Callable[[int], TooFast]) -> Operation[T]:
        """Take one, then run `operation`. If none is left, raise the error that `refusal` makes of
        the seconds to wait.
        """

        def interpret(reply: Reply) -> Operation[T]:
            if reply.verdict in SUCCEEDED:
                return operation
            raise refusal(self._seconds_to_wait(reply))

        row, mark = take(self.at_once, self.every_ms), codes.new_mark()
        lives = _LIVES * self.at_once * self.every_ms + _MINUTE_MS
        command = Command(
            self.record_id, row, mark, {"mark": mark}, ttl_ms=lives, beginner=self.beginner
        )
        return Operation(command, interpret)

    def _seconds_to_wait(self, reply: Reply) -> int:
        refilled_at = number(reply.record.get(_FIELD)) or 0
        free_at = refilled_at - (self.at_once - 1) * self.every_ms
        whole = self.at_once * self.every_ms  # never more, whatever the record holds
        return -(-min(max(free_at - reply.now, 1), whole) // 1000)


def new_turn(key: Key, network: str) -> str:
    """A turn for a browser in this network. It names no browser and no login."""
    drawn = codes.new_login_id()
    return f"{drawn}.{seals.turn(key, network, drawn)}"


def lane_of(key: Key, network: str, turn: str) -> str:
    """The lane of a turn, from "0" on. "" for a text that is no turn of this network.

    :param key: the key that signs now. A turn of an older one is no turn; its browser gets another.
    :param network: as `network_of` returns it.
    :param turn: what the browser sent.
    """
    found = _TURN.fullmatch(turn)
    if not found:
        return ""
    drawn, mac = found.groups()
    if not equal_in_constant_time(mac, seals.turn(key, network, drawn)):
        return ""
    return str(seals.first_byte(mac) % LANES)  # of the MAC, because no client can choose it


def limit_begin(
    limits: Limits, key: Key, network: str, turn: str, begin: Operation[T]
) -> Operation[T]:
    """Begin a login if the allowance of its address grants it. Else raise `TooManyBegins`.

    :param limits: how much is granted.
    :param key: names the records of the allowances.
    :param network: as `network_of` returns it.
    :param turn: the turn that the browser sent; "" for none.
    :param begin: the operation that begins. Its `Command.beginner` names the address's allowance.
    """
    beginner = begin.command.beginner or ""
    lane = lane_of(key, network, turn)
    at_once, every_ms = limits.begins, _MINUTE_MS // limits.begins_per_minute or 1
    if lane:
        record_id = seals.begins_record_id(key, network, lane)
        allowance = Allowance(record_id, LANE_AT_ONCE, every_ms * LANES, beginner)
    else:
        allowance = Allowance(beginner, at_once, every_ms, beginner)

    def refusal(seconds: int) -> TooManyBegins:
        if lane:
            # Without its turn, which ends by then, the browser may be served sooner than its lane.
            return TooManyBegins(min(seconds, TURN_SECONDS))
        return TooManyBegins(seconds, turn=new_turn(key, network))

    return allowance.before(begin, refusal)


def limit_scan(limits: Limits, key: Key, subject: str, scan: Operation[T]) -> Operation[T]:
    """Scan a login if the allowance of its account grants it. Else raise `TooManyScans`.

    :param limits: how much is granted.
    :param key: names the record of the allowance.
    :param subject: the application's id of the account.
    :param scan: the operation that scans.
    """
    record_id = seals.scans_record_id(key, subject)
    every_ms = _MINUTE_MS // limits.scans_per_minute or 1
    return Allowance(record_id, limits.scans, every_ms).before(scan, TooManyScans)
