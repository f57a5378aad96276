"""People who log in while a store fails: whole logins, from many threads, and what they saw.

Each login has a browser that waits and redeems, and a phone that scans and decides, in two
processes as far as the store can see. A call that is `Unavailable` is made again, as pages and
phones do. Everything that callers see is kept as a history of the login, for the checker.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import inf
from random import Random
from time import sleep
from typing import Any, Final, Self, TypeVar

from qrlogin.answers import Begun, Redeemed, Status
from qrlogin.clock import monotonic
from qrlogin.codes import new_secret
from qrlogin.errors import (
    AlreadyScanned,
    Denied,
    Expired,
    LoginError,
    QRLoginError,
    Unavailable,
)
from qrlogin.login import QRLogin
from qrlogin.operation import Operation
from qrlogin.policy import Policy
from qrlogin.step import Command, Reply
from qrlogin.stores.suite.colours import Awaited, Blocking
from qrlogin.table import State
from tests.application import KEY, URI
from tests.faults.linear import Call, TooComplex, check
from tests.faults.rows import Row

T = TypeVar("T")

#: Seconds that a call of a store may take. The promise is two; a busy machine adds to it.
BUDGET: Final = 2.0 + 1.0
#: Seconds after which a store sends a command again: half of its time, and less for a busy machine.
RESENT: Final = 0.9
#: Seconds for which a caller asks again.
PATIENCE: Final = 60.0
HOLD: Final = 5.0  # seconds of one wait
#: The windows are long, so that no fault of a run outlasts them.
POLICY: Final = Policy(
    lifetime=150,
    late_window=100,
    decide_window=150,
    redeem_window=100,
    replay_window=100,
    rotation=150,
    rotation_grace=80,
    limits=None,
    known_browser=False,
)
#: Seconds in which no login can expire, also if the store's clock is set forward meanwhile.
SHORTEST: Final = POLICY.redeem_window - 15
OPTIONS: Final[dict[str, Any]] = {"secret_keys": [KEY], "verification_uri": URI, "policy": POLICY}
#: What becomes of a login, and how often.
ENDS: Final = {"approved": 84, "denied": 5, "denied after yes": 3, "cancelled": 5, "left": 3}
ENDED: Final = (State.CONFIRMED, State.REDEEMED, State.DENIED, State.CANCELLED, State.EXPIRED)


class Stuck(Exception):
    """A caller has asked again for as long as it has patience."""


class Starvation:
    """How long this process waited for a processor, from a thread that wakes up late with it."""

    BEAT: Final = 0.05

    def __init__(self) -> None:
        self._late, self._stop = list[tuple[float, float]](), threading.Event()
        self._thread = threading.Thread(target=self._run, name="starvation", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due = monotonic() + self.BEAT
        while not self._stop.wait(max(0.0, due - monotonic())):
            now = monotonic()
            self._late.append((now, now - due))
            due = now + self.BEAT

    def between(self, called: float, ended: float) -> float:
        """Seconds of this time in which no thread got its turn."""
        return sum(
            min(late, at - called) for at, late in self._late if called < at < ended + self.BEAT
        )

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class Histories:
    """The calls of every login that is under way, and what is wrong with single calls."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._calls = defaultdict[str, list[Call]](list)
        self._slow, self._starvation = list[tuple[str, float, float]](), Starvation()

    def called(self, command: Command) -> Call:
        """A call begins. A browser may see what it does, and leave, before it is answered."""
        call = Call(command, monotonic())
        self._calls[command.login_id].append(call)
        return call

    def answered(self, call: Call, reply: Reply) -> None:
        self._note_time(call)
        calls = self._calls.get(call.command.login_id, [])
        if call in calls:  # and not of a login that is over
            calls[calls.index(call)] = replace(call, returned=monotonic(), reply=reply)

    def failed(self, call: Call, error: BaseException | None) -> None:
        """A call raised, or was cancelled (None): it may have happened, now or later."""
        self._note_time(call)
        if isinstance(error, Unavailable):
            self._row.add("unavailable")
        elif error is not None:
            name = type(error).__name__
            self._row.add("untyped", f"{call.command.row.name} raised {name}: {error}")

    def _note_time(self, call: Call) -> None:
        if (now := monotonic()) - call.called > BUDGET:
            self._slow.append((call.command.row.name, call.called, now))

    def pop(self, login_id: str) -> Sequence[Call]:
        return self._calls.pop(login_id, [])

    def close(self) -> None:
        """Count the calls that were late, without the time in which this process had no turn."""
        self._starvation.stop()
        for name, called, ended in self._slow:
            took = ended - called
            if took - self._starvation.between(called, ended) > BUDGET:
                self._row.add("late", f"{name} took {took:.2f} s")


class RecordedStore:
    """A store whose calls are kept."""

    def __init__(self, store: Any, histories: Histories) -> None:
        self.store, self._histories = store, histories

    def apply(self, command: Command) -> Reply:
        call = self._histories.called(command)
        try:
            reply: Reply = self.store.apply(command)
        except Exception as error:
            self._histories.failed(call, error)
            raise
        self._histories.answered(call, reply)
        return reply

    def listen(self, login_id: str) -> Any:
        return self.store.listen(login_id)

    def close(self) -> None:
        self.store.close()


class AsyncRecordedStore:
    """`RecordedStore` for asyncio."""

    def __init__(self, store: Any, histories: Histories) -> None:
        self.store, self._histories = store, histories

    async def apply(self, command: Command) -> Reply:
        call = self._histories.called(command)
        try:
            reply: Reply = await self.store.apply(command)
        except Exception as error:
            self._histories.failed(call, error)
            raise
        except BaseException:
            self._histories.failed(call, None)
            raise
        self._histories.answered(call, reply)
        return reply

    def listen(self, login_id: str) -> Any:
        return self.store.listen(login_id)

    async def close(self) -> None:
        await self.store.close()


@dataclass
class Outages:
    """When the store has answered again, for the time that browsers need from then on."""

    ended: list[float] = field(default_factory=list)

    def over(self, since: float | None = None) -> None:
        """The store has just answered.

        :param since: from when it could have; None: from now.
        """
        self.ended += [monotonic() if since is None else since, monotonic()]

    def since(self, changed: float, seen: float) -> float:
        """Seconds from a change, or from the last end of an outage before it was seen."""
        begins = max((at for at in [*self.ended, changed] if at <= seen), default=seen)
        return max(0.0, seen - begins)


@dataclass
class Played:
    """One login, and what is known of it."""

    begun: Begun
    people: tuple[str, ...]
    end: str
    answered: dict[State, float] = field(default_factory=dict)
    """When a change was answered to the one who made it."""
    confirms: set[str] = field(default_factory=set)
    """Who has tried to confirm."""


class Crowd:
    """Logs people in through two processes, until it has done enough.

    :param row: where it counts.
    :param make_store: returns a new store; called once for each process.
    :param awaited: whether the store is for asyncio.
    :param outages: when the store has answered again.
    :param lanes: how many logins are under way at a time.
    :param racers: how many redeems of one login are sent at the same time, each with its own op.
    :param resent: whether the store or the network may carry out a command twice. A store does so
        in any case if the first reply takes too long.
    :param forgets: whether the store may lose records.
    :param patience: seconds for which a caller asks again.
    """

    def __init__(
        self,
        row: Row,
        make_store: Callable[[], Any],
        *,
        awaited: bool = False,
        outages: Outages | None = None,
        lanes: int = 8,
        racers: int = 2,
        resent: bool = True,
        forgets: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        self._patience = patience
        self.row, self._outages = row, outages or Outages()
        self._lanes, self._racers = lanes, racers
        self._resent, self._forgets = resent, forgets
        self._histories = Histories(row)
        self.colour = Awaited() if awaited else Blocking()
        wrapped = AsyncRecordedStore if awaited else RecordedStore
        self.recorded = lambda: wrapped(make_store(), self._histories)
        self.shells: list[QRLogin] = [
            self.colour.open(self.recorded, dict(OPTIONS), lambda _: None)[0] for _ in range(2)
        ]
        self._threads = ThreadPoolExecutor(lanes * (3 + racers), "crowd")
        #: When a change was answered, and when its browser saw it.
        self._seen = list[tuple[float, float]]()
        #: The seeds of the logins that are under way.
        self.under_way: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        self._histories.close()
        # Only now is the end of each outage known.
        for changed, seen in self._seen:
            self.row.recovered(self._outages.since(changed, seen))
        for shell in self.shells:
            shell.close()
        self.colour.close()

    def play(self, is_enough: Callable[[], bool]) -> None:
        """Play logins until `is_enough`, and those under way to their end."""
        draw = Random(self.row.seed)
        seeds = iter(lambda: draw.getrandbits(32), -1)
        lock = threading.Lock()

        def lane() -> None:
            while not is_enough():
                with lock:
                    seed = next(seeds)
                    self.under_way.add(seed)
                self._login(Random(seed))
                with lock:
                    self.under_way.discard(seed)

        for each in [self._threads.submit(lane) for _ in range(self._lanes)]:
            each.result()

    # One login

    def _login(self, draw: Random) -> None:
        both = (f"p{draw.getrandbits(40):x}", f"q{draw.getrandbits(40):x}")
        people = both if draw.random() < 0.1 else both[:1]
        (end,) = draw.choices([*ENDS], [*ENDS.values()])
        at_desk, on_phone = draw.sample(self.shells, 2)
        login_id, began = "", monotonic()
        try:
            beginning = at_desk.core.begin(context={"browser": "Firefox"})
            login_id = beginning.command.login_id
            begun = self._persist(at_desk, lambda: beginning, draw)
            played = Played(begun, people, end)
            phones = [
                self._threads.submit(self._phone, on_phone, played, who, Random(draw.random()))
                for who in people
            ]
            seen = self._follow(at_desk, played, draw, phones)
            for phone in phones:
                phone.result()
            self._end(at_desk, on_phone, played, seen, draw)
        except Stuck as error:
            self.row.add("stuck", str(error))
        except LoginError as error:
            self._refused(error, began, f"{type(error).__name__} before a decision: {error}")
        self.row.add("logins")
        self._check(login_id)

    def _phone(self, shell: QRLogin, played: Played, who: str, draw: Random) -> None:
        core, code = shell.core, played.begun.scan_code
        try:
            scanning = core.scan(code, subject=who, shown_as=who)
            self._persist(shell, lambda: scanning, draw)
            played.answered.setdefault(State.SCANNED, monotonic())
            if played.end == "left":
                return
            sleep(draw.random() * 0.02)
            if played.end in ("approved", "denied after yes"):
                played.confirms.add(who)
                self._persist(shell, lambda: core.confirm(code, subject=who), draw)
                played.answered.setdefault(State.CONFIRMED, monotonic())
            if played.end in ("denied", "denied after yes"):
                self._persist(shell, lambda: core.deny(code, subject=who), draw)
                played.answered.setdefault(State.DENIED, monotonic())
        except (LoginError, Stuck) as error:
            # The other phone was faster, or the browser has cancelled.
            is_over = len(played.people) > 1 and isinstance(error, (AlreadyScanned, Denied))
            if not (is_over or played.end == "cancelled"):
                raise

    def _refused(self, error: object, since: float, why: str) -> None:
        """Count a login that came to nothing: an outage was longer than its windows, or it is
        lost.
        """
        is_late = isinstance(error, Expired) and monotonic() - since > SHORTEST
        self.row.add("expired" if is_late else "lost", "" if is_late else why)

    def _follow(
        self, shell: QRLogin, played: Played, draw: Random, phones: "list[Future[None]]"
    ) -> Status:
        """What a browser does until there is a decision."""
        known, state = played.begun.version, State.PENDING
        ends = monotonic() + self._patience
        wanted: tuple[State, ...] = ENDED
        if played.end == "denied after yes":
            wanted = tuple(each for each in ENDED if each is not State.CONFIRMED)
        elif played.end in ("left", "cancelled"):
            wanted = (*ENDED, State.SCANNED)
        while True:
            asked = monotonic()
            seen = self._wait(shell, played.begun, known, draw)
            if seen.state is not state:
                changed = played.answered.get(seen.state, monotonic())
                self._seen.append((changed, monotonic()))
            known, state = seen.version, seen.state
            # A denial was answered before this was asked: whatever it shows, it is over.
            if state in wanted or asked > played.answered.get(State.DENIED, inf):
                return seen
            for phone in phones:
                if phone.done():
                    phone.result()  # raises why no decision will come
            if monotonic() > ends:
                raise Stuck(f"a browser saw no decision; the login is {state}")

    def _wait(self, shell: QRLogin, begun: Begun, known: int, draw: Random) -> Status:
        return self._again(
            lambda: shell.wait(begun.device_code, after=known, timeout=HOLD), draw, "wait"
        )

    def _end(
        self, desk: QRLogin, phone: QRLogin, played: Played, seen: Status, draw: Random
    ) -> None:
        device = desk.core.read_device_code(played.begun.device_code)
        tag = seen.scanned_by.tag if seen.scanned_by else "x" * 43
        if played.end == "cancelled":
            self._persist(desk, lambda: desk.core.cancel(device), draw)
        approved = played.end == "approved"
        racers = self._racers if approved else 1
        ops = [new_secret() for _ in range(racers)]
        start = threading.Barrier(racers)

        def redeem(shell: QRLogin, op: str, draw: Random) -> Redeemed | LoginError:
            start.wait(PATIENCE)
            try:
                return self._persist(
                    shell, lambda: shell.core.redeem(device, acknowledged=tag, op=op), draw
                )
            except LoginError as error:
                return error

        pending = [
            self._threads.submit(redeem, (desk, phone)[at % 2], op, Random(draw.random()))
            for at, op in enumerate(ops)
        ]
        got = [each.result() for each in pending]
        won = {op: each for op, each in zip(ops, got, strict=True) if isinstance(each, Redeemed)}
        if draw.random() < 0.2:  # a copy of the page, later: it must get nothing
            op = new_secret()
            start = threading.Barrier(1)
            late = redeem(phone, op, draw)
            if isinstance(late, Redeemed):
                won[op] = late
            for known, first in [*won.items()][:1]:
                again = redeem(desk, known, draw)
                if not isinstance(again, Redeemed) or again.subject != first.subject:
                    self.row.add("lost", f"the same redeem again: {type(again).__name__}")
        self._judge(played, [*won.values()], got, approved=approved)

    def _judge(
        self, played: Played, won: Sequence[Redeemed], got: Sequence[object], *, approved: bool
    ) -> None:
        if len(won) > 1:
            self.row.add("doubles", f"{len(won)} redeems succeeded", times=1)
        for each in won:
            right = each.subject in played.confirms and each.login_id == played.begun.login_id
            if not right:
                self.row.add("wrong_user", f"{each.subject} did not confirm this login")
        if won and not approved:
            self.row.add("undone", f"a login that was {played.end} was redeemed")
        if approved and not won:
            errors = sorted({type(each).__name__ for each in got})
            if answered := played.answered.get(State.CONFIRMED):
                why = f"the redeem of an approval: {', '.join(errors)}"
                self._refused(got[0], answered, why)

    def _check(self, login_id: str) -> None:
        calls = self._histories.pop(login_id)
        resent = self._resent or any(call.returned - call.called > RESENT for call in calls)
        try:
            finding = check(calls, resent=resent, forgets=self._forgets)
        except TooComplex:
            self.row.add("impossible", "the search was too long")
            return
        if finding:
            self.row.add("impossible", str(finding))

    # Callers who ask again

    def _persist(self, shell: QRLogin, make: Callable[[], Operation[T]], draw: Random) -> T:
        """Run an operation until there is an answer: sometimes the same one again, as a retry
        inside a request does, and sometimes a new one, as a page does.
        """
        operation = make()

        def once() -> T:
            nonlocal operation
            current = operation
            if draw.random() < 0.5:
                operation = make()
            return shell.run(current)

        return self._again(once, draw, operation.command.row.name)

    def _again(self, call: Callable[[], T], draw: Random, what: str) -> T:
        ends = monotonic() + self._patience
        while True:
            try:
                return call()
            except Unavailable:
                pass
            except QRLoginError:
                raise
            except Exception as error:
                if isinstance(error, TimeoutError):
                    self.row.add("stuck", f"{what} did not return")
                # Counted where the store raised it.
            if monotonic() > ends:
                raise Stuck(what)
            sleep(draw.uniform(0.02, 0.1))
