"""What a test of the suite works with: a clock, logins, and `QRLogin` over the store.

All methods block, also over an asyncio store. Everything goes through the real shells, `QRLogin` or
`AsyncQRLogin`, and through the store's `apply`. Nothing looks inside the store.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from qrlogin.answers import Begun, Redeemed, Scanned, Status
from qrlogin.clock import now_ms
from qrlogin.codes import new_secret
from qrlogin.core import Core
from qrlogin.keys import new_key
from qrlogin.login import QRLogin
from qrlogin.operation import Done, Operation
from qrlogin.policy import STANDARD
from qrlogin.step import Command, Reply
from qrlogin.stores.protocol import Store
from qrlogin.stores.suite.colours import LIMIT, PATIENCE, Colour

T = TypeVar("T")


class Clock:
    """The `now` of the store: milliseconds since 1970. It does not move until a test moves it."""

    def __init__(self) -> None:
        self.ms: int = now_ms()

    def __call__(self) -> int:
        return self.ms


class Login:
    """One login, and the calls of its browser and its phones.

    Most methods return an `Operation`. `World.run` carries it out, once or repeatedly.
    """

    def __init__(self, world: "World", begun: Begun) -> None:
        self._world, self._core = world, world.core
        self.begun: Begun = begun
        self.scan_code: str = begun.scan_code
        self.landing: str = ""
        self._device = world.core.read_device_code(begun.device_code)

    # Calls, as operations

    def status(self) -> Operation[Status]:
        return self._core.status(self._device)

    def cancel(self) -> Operation[Status]:
        return self._core.cancel(self._device)

    def redeem(self, tag: str, op: str | None = None) -> Operation[Redeemed]:
        return self._core.redeem(self._device, acknowledged=tag, op=op)

    def look(self, who: str) -> Operation[Scanned]:
        return self._core.look(self.scan_code, subject=who, landing=self.landing)

    def scan(self, who: str, phone: str = "") -> Operation[Scanned]:
        return self._core.scan(
            self.scan_code, subject=who, shown_as=who, phone=phone, landing=self.landing
        )

    def outcome(self, who: str) -> Operation[Status]:
        return self._core.outcome(self.scan_code, subject=who)

    def release(self, who: str) -> Operation[Status]:
        return self._core.release(self.scan_code, subject=who)

    def confirm(self, who: str) -> Operation[Status]:
        return self._core.confirm(self.scan_code, subject=who)

    def deny(self, who: str) -> Operation[Status]:
        return self._core.deny(self.scan_code, subject=who)

    # Calls that are made at once; the account on the phone is alice

    def call(self, event: str) -> Operation[Any]:
        """The operation of this name, with a new op if it is a redeem."""
        if event == "cancel":
            return self.cancel()
        if event == "redeem":
            return self.redeem(self.tag(), op=new_op())
        operation: Operation[Any] = getattr(self, event)("alice")
        return operation

    def walk(self, *events: str) -> None:
        """Carry out the operations of these names, in order."""
        for event in events:
            self._world.run(self.call(event))

    def land(self) -> None:
        """Open the page of the scan code: from now on, the phone may scan it later."""
        self.landing = self._world.run(self._core.land(self.scan_code)).token

    def seen(self) -> Status:
        """The status, as the browser reads it now."""
        return self._world.run(self.status())

    def tag(self) -> str:
        """What the browser sends back after "continue as …?" was confirmed."""
        scanned_by = self.seen().scanned_by
        assert scanned_by is not None, "the login was not scanned"
        return scanned_by.tag


def new_op() -> str:
    """A new op: the browser's page makes one for each click on "continue"."""
    return new_secret()


def answer_of(operation: Operation[T], reply: Reply) -> T:
    """The answer of an operation of one command. Raises what the reply means."""
    step = operation.resume(reply)
    assert isinstance(step, Done), "another operation follows"
    return step.result


class World:
    """A store with a `QRLogin` over it, `qr`.

    `elsewhere` is a second `QRLogin`, as in another process, over a second store that sees the same
    records. For a store that is not shared, it is `qr`.

    :param colour: runs the store: `Blocking()` or `Awaited()`.
    :param make_store: returns a new store that goes by the clock that it receives.
    :param shared: whether two stores see the same records.
    """

    def __init__(
        self, colour: Colour, make_store: Callable[[Callable[[], int]], Any], *, shared: bool
    ) -> None:
        self.clock: Clock = Clock()
        self.colour = colour
        self._first_read: dict[str, threading.Event] = {}
        #: By login: how many operations were carried out.
        self.ran: Counter[str] = Counter()
        self._waiting = ThreadPoolExecutor(256, thread_name_prefix="suite")
        # Without limits: the suite begins and scans far more than people do.
        policy = replace(STANDARD, user_codes=True, limits=None)
        options = {
            "secret_keys": [new_key()],
            "verification_uri": "https://login.example/qr",
            "policy": policy,
        }
        opened = [
            colour.open(partial(make_store, self.clock), options, self._ran)
            for _ in range(1 + shared)
        ]
        self.qr: QRLogin = opened[0][0]
        self.store: Store = opened[0][1]
        self.elsewhere: QRLogin = opened[-1][0]
        self._shells = [shell for shell, _ in opened]
        self.core: Core = self.qr.core

    def close_stores(self) -> None:
        """Close every store, and keep what the suite itself needs."""
        for shell in self._shells:
            shell.close()

    def close(self) -> None:
        self.close_stores()
        self._waiting.shutdown()
        self.colour.close()

    def begin(self) -> Login:
        return Login(self, self.qr.begin(context={"browser": "Firefox on Linux"}))

    def run(self, operation: Operation[T]) -> T:
        return self.qr.run(operation)

    def play(self, *operations: Operation[Any]) -> None:
        for operation in operations:
            self.run(operation)

    def apply(self, command: Command) -> Reply:
        return self.store.apply(command)

    def pass_ms(self, ms: int) -> None:
        """Let the store's clock advance."""
        self.clock.ms += ms

    def at_once(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Carry out all operations in the same instant, from here and from elsewhere in turn.

        Returns their answers or errors, in the order of the operations.
        """
        shells = self._shells
        return self.colour.at_once(
            [(shells[i % len(shells)], operation) for i, operation in enumerate(operations)]
        )

    def start_wait(
        self, login: Login, *, after: int | None = None, timeout: float = LIMIT
    ) -> "Future[Status]":
        """Start a browser's wait in the background. When this returns, it has read the login once.

        :param login: the login to wait for.
        :param after: the version that the browser has seen; None: the login is pending.
        :param timeout: seconds.
        """
        read = self._first_read[login.begun.login_id] = threading.Event()
        waiting = self._waiting.submit(
            self.qr.wait, login.begun.device_code, after=after, timeout=timeout
        )
        waiting.add_done_callback(lambda _: read.set())
        assert read.wait(PATIENCE), "a wait did not read the login"
        return waiting

    def _ran(self, login_id: str) -> None:
        self.ran[login_id] += 1
        if read := self._first_read.get(login_id):
            read.set()
