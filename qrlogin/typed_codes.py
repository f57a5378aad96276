"""Codes that people type (user_codes): how eight letters lead to a login, and what guessing costs.

Eight letters repeat sooner or later, and a login_id never must: every seal rests on it. So the
letters lead to a small record of their own, the name record. It names the login, is sealed like a
login, and ends with it. `begin` writes it before the login itself (`name_login`).

Letters can be guessed, so each account has a budget of wrong guesses (RFC 8628 section 5.1): one
more record, which a store keeps like a login and which ends with its time to live.

A scan (`scan_by_letters`) takes these steps, each one command:

1. Pay one guess. If the budget is spent, raise `TooManyGuesses`.
2. Look the letters up under the first of `secret_keys`. No record: try the next key.
3. Check the seal of the name record; then scan the login that it names. If no key has a record,
   scan a login that does not exist: so the duration does not tell a code that no login has from
   a code that is refused.
4. If the login exists and the scan succeeds, give the guess back.

The payment comes first, so a hundred guesses at once are no more than a hundred in a row.

Confirm, deny and release (`decide_by_letters`) act for the account that has scanned already. Other
accounts learn nothing from any code, so the payment comes last, and only for a wrong code:

1. If the account has made twenty budgets of wrong decisions, raise `TooManyGuesses`: it costs one
   command, and no look-up.
2. Look the letters up, as in step 2 above.
3. Check the seal of the name record; then carry the decision out.
4. If there was no such login for this account, pay one guess, and raise `UnknownLogin` or
   `TooManyGuesses`.

So the account that holds a login can refuse it, although it mistyped another code several times.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Final, NoReturn, TypeVar

from qrlogin import codes, seals
from qrlogin.codes import NewCodes, ScanCode
from qrlogin.errors import RecordForged, TooManyGuesses, Unavailable, UnknownLogin
from qrlogin.keys import Key, equal_in_constant_time
from qrlogin.operation import Operation
from qrlogin.reply_checks import SUCCEEDED
from qrlogin.step import Command, Reply
from qrlogin.table import ABSENT, ANY, NEVER, Count, Row

T = TypeVar("T")

# The rows of these records. `table.py` says how to read a row.

NAMING: Final = "naming"  # the state of a name record

NAME: Final = Row(
    "name",
    sources=MappingProxyType({ABSENT: NEVER}),
    to=NAMING,
    repeats=(ANY,),
    repeats_if=("names",),
    writes=("names", "name_seal"),
)
LOOK_UP: Final = Row("look up", sources=MappingProxyType({ANY: NEVER}), reads=True)

COUNTING: Final = "counting"  # the states of a budget: there are guesses left,
SPENT: Final = "spent"  # or there are none,
CLOSED: Final = "closed"  # or the account has gone on for so long that nothing is looked up for it

#: After how many budgets of wrong decisions nothing is looked up any more.
_PATIENCE: Final = 20


@cache
def guess(budget: int) -> Row:
    """The row that takes one of `budget` guesses; refused when no guess is left."""
    return Row(
        f"guess of {budget}",
        sources=MappingProxyType({ABSENT: NEVER, COUNTING: NEVER}),
        to=COUNTING,
        repeats=(ANY,),
        repeats_if=("mark",),
        count=Count("guesses", budget, SPENT),
    )


@cache
def guess_on(closed_at: int) -> Row:
    """The row that counts a wrong decision of an account that has no guess left, until it has made
    `closed_at` in all.
    """
    return Row(
        f"guess on of {closed_at}",
        sources=MappingProxyType({SPENT: NEVER}),
        to=SPENT,
        repeats=(ANY,),
        repeats_if=("mark",),
        count=Count("guesses", closed_at, CLOSED),
    )


MAY_GUESS: Final = Row(
    "may guess",
    sources=MappingProxyType({ABSENT: NEVER, COUNTING: NEVER, SPENT: NEVER}),
    reads=True,
)

_NO_LIMIT: Final = 10**9  # a count that no budget reaches

GUESSED_RIGHT: Final = Row(
    "guessed right",
    sources=MappingProxyType({COUNTING: NEVER, SPENT: NEVER}),
    to=COUNTING,
    repeats=(ANY,),
    repeats_if=("mark",),
    count=Count("guesses", _NO_LIMIT, COUNTING, by=-1),
)


@dataclass(frozen=True, slots=True)
class GuessBudget:
    """How many wrong guesses one account may make."""

    record_id: str = field(repr=False)
    """Where the store counts them."""
    guesses: int
    window: int
    """Seconds from the first guess until all are forgiven."""

    def pay(self) -> Command:
        """Take one guess."""
        return self._count(guess(self.guesses))

    def give_back(self) -> Command:
        """Return the guess that was paid."""
        return self._count(GUESSED_RIGHT)

    def pay_on(self) -> Command:
        """Count a wrong decision although no guess is left."""
        return self._count(guess_on(_PATIENCE * self.guesses))

    def check(self) -> Command:
        """Ask whether codes are still looked up for this account."""
        return Command(self.record_id, MAY_GUESS, codes.new_mark())

    def _count(self, row: Row) -> Command:
        mark = codes.new_mark()
        return Command(self.record_id, row, mark, {"mark": mark}, ttl_ms=self.window * 1000)


def name_login(
    key: Key,
    new: NewCodes,
    beginning: Operation[T],
    draw_again: Callable[[], Operation[T]] | None,
) -> Operation[T]:
    """Reserve the letters of a user_code for a new login, then begin it.

    :param key: seals the name record.
    :param new: the login_id, the user_code and the id of its name record.
    :param beginning: begins the login; the name record lives as long as its record.
    :param draw_again: begins with other letters if these are taken. None: raise `Unavailable`.
    """
    seal = seals.name_seal(key, new.name_record_id, new.login_id)
    values = {"names": new.login_id, "name_seal": seal}
    mark, begin = codes.new_mark(), beginning.command

    def interpret(reply: Reply) -> Operation[T]:
        if reply.verdict in SUCCEEDED:
            return beginning
        if draw_again is None:
            raise Unavailable("every new user_code is already in use: begin again")
        return draw_again()

    command = Command(
        new.name_record_id, NAME, mark, values, ttl_ms=begin.ttl_ms, beginner=begin.beginner
    )
    return Operation(command, interpret)


def scan_by_letters(
    readings: Sequence[ScanCode], scan: Callable[[ScanCode], Operation[T]], budget: GuessBudget
) -> Operation[T]:
    """The operations of a scan with a typed code, as the module's docstring numbers them.

    :param readings: the code as each of `secret_keys` reads it, the signing one first.
    :param scan: the scan of the login whose code it is given.
    :param budget: the guesses of the account that scans.
    """

    def scan_and_give_back(code: ScanCode) -> Operation[T]:
        scanning = scan(code)

        def interpret(reply: Reply) -> Operation[T]:
            result = scanning.interpret(reply)
            return Operation(budget.give_back(), lambda _: result)

        return replace(scanning, interpret=interpret)

    looking = _look_up(readings, scan_and_give_back)

    def look_if_paid(reply: Reply) -> Operation[T]:
        if reply.verdict not in SUCCEEDED:
            raise TooManyGuesses(budget.window)
        return looking

    return Operation(budget.pay(), look_if_paid)


def decide_by_letters(
    readings: Sequence[ScanCode], decide: Callable[[ScanCode], Operation[T]], budget: GuessBudget
) -> Operation[T]:
    """The operations of a decision with a typed code, as the module's docstring numbers them.

    :param readings: the code as each of `secret_keys` reads it, the signing one first.
    :param decide: the decision about the login whose code it is given.
    :param budget: the guesses of the account that decides.
    """
    payment, late_payment = budget.pay(), budget.pay_on()

    def decide_or_pay(code: ScanCode) -> Operation[T]:
        deciding = decide(code)

        def interpret(reply: Reply) -> T | Operation[T]:
            # A wrong code is paid for before it is refused, and the payment is an operation of its
            # own. So the error is kept, and `refuse` raises it in that operation.
            try:
                return deciding.interpret(reply)
            except UnknownLogin as error:
                wrong = error

            def refuse(_: Reply) -> NoReturn:
                raise TooManyGuesses(budget.window)

            def refuse_or_pay(paid: Reply) -> Operation[T]:
                if paid.verdict in SUCCEEDED:
                    raise wrong
                return Operation(late_payment, refuse)

            return Operation(payment, refuse_or_pay)

        return replace(deciding, interpret=interpret)

    looking = _look_up(readings, decide_or_pay)

    def look_if_open(reply: Reply) -> Operation[T]:
        if reply.verdict not in SUCCEEDED:
            raise TooManyGuesses(budget.window)
        return looking

    return Operation(budget.check(), look_if_open)


def _look_up(readings: Sequence[ScanCode], act: Callable[[ScanCode], Operation[T]]) -> Operation[T]:
    """Look a name record up under one key after the other, and act on the login that it names."""
    code, *others = readings
    looking_on = _look_up(others, act) if others else None

    def interpret(reply: Reply) -> Operation[T]:
        if not reply.record:
            # If no key is left, act on a new id, which no login has. So a code that no login has
            # takes as many commands as one that is refused.
            return looking_on or act(replace(code, login_id=codes.new_login_id()))
        record_id, login_id = code.login_id, reply.record.get("names", "")
        seal = seals.name_seal(code.key, record_id, login_id)
        if not equal_in_constant_time(reply.record.get("name_seal", ""), seal):
            raise RecordForged(
                "the login that a typed code names does not carry the seal of this application"
            )
        return act(replace(code, login_id=login_id))

    return Operation(Command(code.login_id, LOOK_UP, codes.new_mark()), interpret)
