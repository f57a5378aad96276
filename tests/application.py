"""What the tests of the core share: a clock, an application, and two people with phones."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol, TypeVar

from qrlogin import STANDARD, AsyncQRLogin, Begun, MemoryStore, Policy, QRLogin, seals
from qrlogin.codes import DeviceCode
from qrlogin.operation import Done, Operation
from qrlogin.step import Command, Record, Reply
from qrlogin.table import State

T = TypeVar("T")
#: Seconds until a login of STANDARD can no longer be scanned, and until its signed end.
TO_SCAN = STANDARD.lifetime + STANDARD.late_window
TO_END = TO_SCAN + STANDARD.decide_window + STANDARD.redeem_window
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
URI = "https://example.com/qr"
NOON = 1_800_000_000_000  # when the clock of a test starts, in milliseconds
ALICE, BOB = "alice", "bob"
SHOWN = {ALICE: "A•••e", BOB: "B•b"}
NAMES = {ALICE: "alice@example.com", BOB: "bob@example.com"}
#: For tests of the login itself: an allowance is one more command. The limits have their own tests.
UNLIMITED = replace(STANDARD, limits=None)
OP, OTHER_OP = "op-0123456789abcdef", "op-fedcba9876543210"


@dataclass
class Clock:
    """The clock of a store, in milliseconds. It moves only when a test sets it."""

    ms: int = NOON

    def __call__(self) -> int:
        return self.ms


class Untouched:
    """A store that must not be called: each call fails the test."""

    def apply(self, command: Command) -> NoReturn:
        raise AssertionError(f"the store was asked to {command.row.name}")

    def listen(self, login_id: str) -> NoReturn:
        raise AssertionError("the store was asked to listen")

    def close(self) -> None:
        pass


class Peeking(MemoryStore):
    """A memory store whose records a test can read and forge."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(now=clock)
        self.commands: deque[Command] = deque(maxlen=1000)  # the latest
        self.replies: deque[Reply] = deque(maxlen=1000)

    def apply(self, command: Command) -> Reply:
        self.commands.append(command)
        reply = super().apply(command)
        self.replies.append(reply)
        return reply

    def record(self, login_id: str) -> Record:
        return dict(self._records._records.get(login_id, {}))

    def forge(self, login_id: str, record: Record | None) -> None:
        """Replaces a record, as an attacker with access to the store could. None deletes it."""
        if record is None:
            self._records._records.pop(login_id, None)
        else:
            self._records._records[login_id] = record


@dataclass
class App:
    """One application with its store and its clock, and shorthands for what its people do."""

    policy: Policy = UNLIMITED
    keys: tuple[bytes | str, ...] = (KEY,)
    audience: str | None = None
    clock: Clock = field(default_factory=Clock)
    store: Peeking = field(init=False)
    qr: QRLogin = field(init=False)

    def __post_init__(self) -> None:
        self.store = Peeking(self.clock)
        self.qr = self.another(*self.keys)

    def another(self, *keys: bytes | str) -> QRLogin:
        """A second process of the same application, on the same store."""
        return QRLogin(
            self.store,
            secret_keys=keys or self.keys,
            verification_uri=URI,
            audience=self.audience,
            policy=self.policy,
        )

    def begin(self, **context: str) -> Begun:
        return self.qr.begin(context=context or {"browser": "Firefox on Linux"})

    def scan(self, begun: Begun, who: str = ALICE) -> str:
        """`who` scans the current code. Returns the tag for the browser to acknowledge."""
        code = self.qr.status(begun.device_code).scan_code
        self.qr.scan(code, subject=who, shown_as=SHOWN[who])
        return self.tag(begun)

    def digits(self, begun: Begun) -> str:
        """The match code that the browser shows."""
        return self.qr.status(begun.device_code).match_code

    def wrong_digits(self, begun: Begun, tries: int, who: str = ALICE) -> list[str]:
        """Three digits each that are not the match code of this account, and all different."""
        device = self.device(begun)
        claim = seals.claim(device.key, device.login_id, who, "")
        right = int(seals.match_code(device.key, device.login_id, claim, 3))
        return [f"{(right + step) % 1000:03}" for step in range(1, tries + 1)]

    def device(self, begun: Begun) -> DeviceCode:
        """The device_code of the login, parsed."""
        return self.qr.core.read_device_code(begun.device_code)

    def tag(self, begun: Begun) -> str:
        seen = self.qr.status(begun.device_code)
        assert seen.scanned_by is not None
        return seen.scanned_by.tag

    def reach(self, state: State, who: str = ALICE) -> tuple[Begun, str]:
        """A login in this state, and the tag to acknowledge ("" if it was not scanned)."""
        begun, tag = self.begin(), ""
        if state is State.EXPIRED:
            self.clock.ms += (self.policy.lifetime + self.policy.late_window) * 1000
        if state in (State.SCANNED, State.CONFIRMED, State.REDEEMED, State.DENIED):
            tag = self.scan(begun, who)
        if state in (State.CONFIRMED, State.REDEEMED):
            self.qr.confirm(begun.scan_code, subject=who, name=NAMES[who])
            tag = self.tag(begun)
        if state is State.REDEEMED:
            self.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
        if state is State.DENIED:
            self.qr.deny(begun.scan_code, subject=who)
        if state is State.CANCELLED:
            self.qr.cancel(begun.device_code)
        return begun, tag


def answer_of(operation: Operation[T], reply: Reply) -> T:
    """The answer of an operation of one command. Raises what the reply means."""
    step = operation.resume(reply)
    assert isinstance(step, Done), "another operation follows"
    return step.result


def confirmed(app: App, *, ask_browser: bool = False, user_code: bool = False) -> tuple[Begun, str]:
    """A login that Alice approved, and its ticket. The list of commands is empty after it."""
    begun = app.qr.begin(ask_browser=ask_browser, user_code=user_code)
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    app.qr.confirm(begun.scan_code, subject=ALICE)
    ticket = app.qr.status(begun.device_code).ticket
    events(app)
    return begun, ticket


def events(app: App) -> list[str]:
    """The events of the commands that reached the store since the last call."""
    asked = [command.row.name for command in app.store.commands]
    app.store.commands.clear()
    return asked


# Both shells, for operations of several commands: the shells send one after the other


class Run(Protocol[T]):
    def __call__(self, app: App, operation: Operation[T]) -> T: ...


def blocking(app: App, operation: Operation[T]) -> T:
    return app.qr.run(operation)


def awaited(app: App, operation: Operation[T]) -> T:
    qr = AsyncQRLogin(Awaited(app.store), secret_keys=[KEY], verification_uri=URI)
    return asyncio.run(qr.run(operation))


class Awaited:
    """A memory store with an awaitable interface."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def apply(self, command: Command) -> Reply:
        return self._store.apply(command)

    def listen(self, login_id: str) -> NoReturn:
        raise AssertionError("the tests of the core do not wait")

    async def close(self) -> None:
        pass


def operations(app: App, begun: Begun, tag: str) -> Iterator[tuple[State, Operation[object]]]:
    """Each operation, with a state from which it applies."""
    core, code = app.qr.core, begun.scan_code
    yield State.PENDING, core.scan(code, subject=ALICE, shown_as=SHOWN[ALICE])
    yield State.SCANNED, core.release(code, subject=ALICE)
    yield State.SCANNED, core.confirm(code, subject=ALICE)
    yield State.SCANNED, core.deny(code, subject=ALICE)
    yield State.CONFIRMED, core.deny(code, subject=ALICE)
    for state in (State.PENDING, State.SCANNED, State.CONFIRMED):
        yield state, core.cancel(app.device(begun))
    yield State.CONFIRMED, core.redeem(app.device(begun), acknowledged=tag)
    yield State.CONFIRMED, core.redeem(app.device(begun), acknowledged=tag, op=OP)
