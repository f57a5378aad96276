"""The small world in which a store is tried: its clock, its people, and `QRLogin` over it, blocking whatever the store's colour.

Everything goes through the real shells, `QRLogin` or `AsyncQRLogin`, and through the store's `apply`; nothing looks inside.
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
from qrlogin.keys import new_key
from qrlogin.operation import Done, Operation
from qrlogin.policy import STANDARD
from qrlogin.step import Command, Reply
from qrlogin.stores.suite.colours import LIMIT, PATIENCE, Colour

T = TypeVar("T")


class Clock:
    """What the store is given as `now`: milliseconds since 1970. It stands still until a test moves it."""

    def __init__(self) -> None:
        self.ms = now_ms()

    def __call__(self) -> int:
        return self.ms


class Login:
    """One login, told from outside. Each call is an operation first: `World.run` carries it out, once or again."""

    def __init__(self, world: "World", begun: Begun) -> None:
        self._world, self._core, self.begun = world, world.core, begun
        self.scan_code = begun.scan_code
        self._device = world.core.read_device_code(begun.device_code)

    # What its two people may do

    def status(self) -> Operation[Status]:
        return self._core.status(self._device)

    def cancel(self) -> Operation[Status]:
        return self._core.cancel(self._device)

    def redeem(self, tag: str, op: str | None = None) -> Operation[Redeemed]:
        return self._core.redeem(self._device, acknowledged=tag, op=op)

    def scan(self, who: str, phone: str = "") -> Operation[Scanned]:
        return self._core.scan(self.scan_code, subject=who, shown_as=who, phone=phone)

    def release(self, who: str) -> Operation[Status]:
        return self._core.release(self.scan_code, subject=who)

    def confirm(self, who: str) -> Operation[Status]:
        return self._core.confirm(self.scan_code, subject=who)

    def deny(self, who: str) -> Operation[Status]:
        return self._core.deny(self.scan_code, subject=who)

    # How it goes, with alice for the phone's owner

    def call(self, event: str) -> Operation[Any]:
        if event == "cancel":
            return self.cancel()
        if event == "redeem":
            return self.redeem(self.tag(), op=new_op())
        operation: Operation[Any] = getattr(self, event)("alice")
        return operation

    def walk(self, *events: str) -> None:
        for event in events:
            self._world.run(self.call(event))

    def seen(self) -> Status:
        return self._world.run(self.status())

    def tag(self) -> str:
        """What the browser sends back when its person said "yes, that is me"."""
        scanned_by = self.seen().scanned_by
        assert scanned_by is not None, "nobody has scanned"
        return scanned_by.tag


def new_op() -> str:
    """What a browser's page makes for each click on "continue"."""
    return new_secret()


def answer_of(operation: Operation[T], reply: Reply) -> T:
    """The answer of an operation of one command. Raises what the reply means."""
    step = operation.resume(reply)
    assert isinstance(step, Done), "another operation follows"
    return step.answer


class World:
    """A store, or two views of a shared one, with a `QRLogin` over each: `qr`, and `elsewhere` as in another process."""

    def __init__(
        self, colour: Colour, make_store: Callable[[Callable[[], int]], Any], *, shared: bool
    ) -> None:
        self.clock = Clock()
        self.colour = colour
        self._asked: dict[str, threading.Event] = {}
        self.ran: Counter[str] = (
            Counter()
        )  # by login: operations that were carried out, and their answers read
        self._waiting = ThreadPoolExecutor(256, thread_name_prefix="suite")
        policy = replace(STANDARD, user_codes=True)
        options = {
            "secret_keys": [new_key()],
            "verification_uri": "https://login.example/qr",
            "policy": policy,
        }
        opened = [
            colour.open(partial(make_store, self.clock), options, self._ran)
            for _ in range(1 + shared)
        ]
        (self.qr, self.store), (self.elsewhere, _) = opened[0], opened[-1]
        self._desks = [desk for desk, _ in opened]
        self.core = self.qr.core

    def close_stores(self) -> None:
        for desk in self._desks:
            desk.close()

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
        self.clock.ms += ms

    def at_once(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """All of them, let go in the same instant, by turns from here and from elsewhere: answers or errors, in their order."""
        return self.colour.at_once(
            [(self._desks[i % len(self._desks)], one) for i, one in enumerate(operations)]
        )

    def park(
        self, login: Login, *, after: int | None = None, timeout: float = LIMIT
    ) -> "Future[Status]":
        """A browser's wait. When this returns, it has seen the present state and has heard all that came after."""
        asked = self._asked[login.begun.login_id] = threading.Event()
        parked = self._waiting.submit(
            self.qr.wait, login.begun.device_code, after=after, timeout=timeout
        )
        parked.add_done_callback(lambda _: asked.set())
        assert asked.wait(PATIENCE), "a wait did not even read the login"
        return parked

    def _ran(self, login_id: str) -> None:
        self.ran[login_id] += 1
        if asked := self._asked.get(login_id):
            asked.set()
