"""`AsyncQRLogin`: `login.py`, awaited. The same names and signatures; a test keeps the two alike.

Nothing is decided here. Each method asks the core for an operation, has the store apply its command in one round trip, and
returns what the core makes of the reply. `wait` is the one method that may take more than one.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from qrlogin.answers import Begun, Event, Redeemed, Scanned, Status
from qrlogin.arguments import ShownAs, check_on_event
from qrlogin.clock import monotonic
from qrlogin.codes import DeviceCode
from qrlogin.core import Core
from qrlogin.emitted import EmittedEvents
from qrlogin.errors import Misconfigured, RecordForged, RecordLost
from qrlogin.news import is_news, wait_limit
from qrlogin.operation import Done, Next, Operation
from qrlogin.policy import STANDARD, Policy
from qrlogin.stores.protocol import AsyncStore
from qrlogin.table import State

T = TypeVar("T")
log = logging.getLogger("qrlogin")


class AsyncQRLogin:
    """`QRLogin`, awaited: its docstrings hold here too. It belongs to the event loop that uses it."""

    def __init__(
        self,
        store: AsyncStore,
        *,
        secret_keys: Sequence[str | bytes],
        verification_uri: str,
        audience: str | None = None,
        policy: Policy = STANDARD,
        on_event: Callable[[Event], Awaitable[None]] | None = None,
    ) -> None:
        if isinstance(store, type) or not callable(getattr(store, "apply", None)):
            raise Misconfigured(
                "store must be a store, such as AsyncMemoryStore() or AsyncRedisStore.from_url(...)"
            )
        if not inspect.iscoroutinefunction(store.apply):
            raise Misconfigured(
                "this store blocks: use QRLogin with it, or the store's awaited twin here"
            )
        check_on_event(on_event, awaited=True)
        self._store, self._on_event, self._emitted = store, on_event, EmittedEvents()
        self.core = Core(
            secret_keys=secret_keys,
            verification_uri=verification_uri,
            audience=audience,
            policy=policy,
        )
        self._draining = False
        self._watches, self._emitting = set[AsyncWatch](), set[asyncio.Task[Any]]()

    async def begin(
        self,
        *,
        context: Mapping[str, str] | None = None,
        lifetime: int | None = None,
        ask_browser: bool = True,
        user_code: bool = False,
    ) -> Begun:
        """Begin a login for one browser."""
        return await self.run(
            self.core.begin(
                context=context, lifetime=lifetime, ask_browser=ask_browser, user_code=user_code
            )
        )

    async def status(self, device_code: str) -> Status:
        """Where the login stands, with the current scan_code while it is pending. Changes nothing."""
        return await self.run(self.core.status(self.core.read_device_code(device_code)))

    async def wait(
        self, device_code: str, *, after: int | State | None = None, timeout: float = 25
    ) -> Status:
        """`status`, held until there is news: another version than `after`, another state (None: than pending), or an end."""
        async with AsyncWatch(self, self.core.read_device_code(device_code)) as watch:
            return await watch.wait(after=after, timeout=timeout)

    async def scan(
        self, code: str, *, subject: str, shown_as: ShownAs = ..., phone: str = ""
    ) -> Scanned:
        """The phone read the code. Show the person what comes back, and ask."""
        return await self.run(self.core.scan(code, subject=subject, shown_as=shown_as, phone=phone))

    async def release(self, code: str, *, subject: str, phone: str = "") -> Status:
        """Not now: the code may be scanned again, by anybody."""
        return await self.run(self.core.release(code, subject=subject, phone=phone))

    async def confirm(self, code: str, *, subject: str, phone: str = "") -> Status:
        """The person who scanned approves. Never call this without a person's deliberate act."""
        return await self.run(self.core.confirm(code, subject=subject, phone=phone))

    async def deny(self, code: str, *, subject: str, phone: str = "") -> Status:
        """The person who scanned refuses. Final, and wins over a confirm that was not redeemed yet."""
        return await self.run(self.core.deny(code, subject=subject, phone=phone))

    async def cancel(self, device_code: str) -> Status:
        """The browser gives up, or says "that is not me". Final."""
        return await self.run(self.core.cancel(self.core.read_device_code(device_code)))

    async def redeem(
        self, device_code: str, *, acknowledged: str = "", op: str | None = None
    ) -> Redeemed:
        """Collect the subject, once, and start the application's own session for it."""
        device = self.core.read_device_code(device_code)
        return await self.run(self.core.redeem(device, acknowledged=acknowledged, op=op))

    async def run(self, operation: Operation[T]) -> T:
        """Run one operation, and each operation that follows from it.

        TODO
        """
        current = operation
        try:
            while True:
                step = await self._step(operation, current)
                if isinstance(step, Done):
                    return step.answer
                current = step.operation
        except RecordLost as error:
            log.warning("login %s: %s", current.command.login_id, error)
            raise
        except RecordForged:
            log.error(
                "login %s: its record fails its seal; another program writes to the store",
                current.command.login_id,
            )
            raise

    async def _step(self, asked: Operation[T], current: Operation[T]) -> Done[T] | Next[T]:
        if current.to_event is None or not self._listening:
            reply = await self._store.apply(current.command)
            return current.resume(reply, with_event=False)
        # A server may cancel the call of a browser that disconnected. The store applies the command
        # all the same, so the task outlives the call, and emits the event.
        task = asyncio.create_task(self._apply_and_emit(asked, current))
        self._emitting.add(task)
        task.add_done_callback(self._emitting.discard)
        return await asyncio.shield(task)

    async def _apply_and_emit(
        self, asked: Operation[T], current: Operation[T]
    ) -> Done[T] | Next[T]:
        step = current.resume(await self._store.apply(current.command))
        if step.event and self._emitted.add(asked, step.event):
            await self._emit(step.event)
        return step

    @property
    def _listening(self) -> bool:
        return self._on_event is not None or log.isEnabledFor(logging.INFO)

    async def _emit(self, event: Event) -> None:
        log.info("login %s %s (version %d)", event.login_id, event.name, event.version)
        if self._on_event is None:
            return
        try:
            await self._on_event(event)
        except Exception:  # the change has happened, so the call must not fail
            log.exception(
                "login %s: on_event failed for %r; the login goes on", event.login_id, event.name
            )

    @property
    def draining(self) -> bool:
        """Whether nothing is held here any more, because this process is to end."""
        return self._draining

    async def drain(self) -> None:
        """End every parked wait and stream at once, with what there is, and hold none from here on; all else goes on."""
        self._draining = True
        for watch in [*self._watches]:
            watch.end()

    async def close(self) -> None:
        """End every parked wait at once and close the store."""
        await self.drain()
        if telling := self._emitting - {asyncio.current_task()}:  # on_event itself may close
            await asyncio.wait(telling)
        await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncWatch:
    """`Watch`, awaited."""

    __slots__ = ("_device", "_ended", "_listener", "_qr")  # there are thousands

    def __init__(self, qr: AsyncQRLogin, device: DeviceCode) -> None:
        self._qr, self._device, self._ended = qr, device, False
        self._listener = qr._store.listen(device.login_id)

    async def wait(
        self, *, after: int | State | None, timeout: float, seen: Status | None = None
    ) -> Status:
        """As `AsyncQRLogin.wait`. `seen` spares the first look: what this watch was told last."""
        seen = seen or await self._read()
        ends = monotonic() + wait_limit(seen, timeout)
        while (
            not (self.ended or is_news(seen, after))
            and (left := ends - monotonic()) > 0
            and await self._listener.wait(left)
        ):
            seen = await self._read()
        return seen

    async def _read(self) -> Status:
        return await self._qr.run(self._qr.core.status(self._device))

    @property
    def ended(self) -> bool:
        return self._ended or self._qr.draining

    def end(self) -> None:
        self._ended = True
        if end := getattr(self._listener, "end", None):
            end()

    async def __aenter__(self) -> Self:
        await self._listener.__aenter__()
        self._qr._watches.add(self)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._qr._watches.discard(self)
        await self._listener.__aexit__(*error)
