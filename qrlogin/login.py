"""`QRLogin`: the whole protocol for code that blocks. `aio.py` has the same names, awaited; a test keeps the two alike.

Nothing is decided here. Each method asks the core for an operation, has the store apply its command in one round trip, and
returns what the core makes of the reply. `wait` is the one method that may take more than one.
"""

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeVar

from qrlogin.answers import Begun, Event, Redeemed, Scanned, Status
from qrlogin.arguments import ShownAs, check_on_event
from qrlogin.clock import monotonic
from qrlogin.codes import DeviceCode
from qrlogin.core import Core
from qrlogin.emitted import EmittedEvents
from qrlogin.errors import Misconfigured, RecordForged, RecordLost
from qrlogin.news import is_news, wait_limit
from qrlogin.operation import Done, Operation
from qrlogin.policy import STANDARD, Policy
from qrlogin.stores.protocol import Store
from qrlogin.table import State

T = TypeVar("T")
log = logging.getLogger("qrlogin")


class QRLogin:
    """Lets a person log a browser in by scanning a QR code with a phone that is signed in already.

    The browser's side begins, waits and redeems with its device_code; the phone's side scans and confirms with the scan_code
    from the picture. The application keeps its users and its sessions: `redeem` hands it the subject, once.

    `secret_keys` is a ring: the first signs, all verify; `python -m qrlogin keygen` makes one. `verification_uri` is the page
    that opens when an ordinary camera reads the code. `audience` keeps applications that share keys apart; it defaults to the
    host of `verification_uri`. Raises `Misconfigured`, saying what to change, for anything unsafe.

    `on_event` is called with an `Event` for each change that a call here has made, before that call returns; let it be quick. If
    it raises, that is logged, and the login goes on. The same changes are logged to "qrlogin" at INFO, with no person in them.

    Every method raises `Unavailable` when the store does not answer; the same call again is then safe. Calls with a code
    raise `InvalidCode` when it was not minted here, and another `LoginError` when the login refuses.
    """

    def __init__(
        self,
        store: Store,
        *,
        secret_keys: Sequence[str | bytes],
        verification_uri: str,
        audience: str | None = None,
        policy: Policy = STANDARD,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        if isinstance(store, type) or not callable(getattr(store, "apply", None)):
            raise Misconfigured(
                "store must be a store, such as MemoryStore() or RedisStore.from_url(...)"
            )
        if inspect.iscoroutinefunction(store.apply):
            raise Misconfigured(
                "this store is awaited: use AsyncQRLogin with it, or the store's blocking twin here"
            )
        check_on_event(on_event, awaited=False)
        self._store, self._on_event, self._emitted = store, on_event, EmittedEvents()
        self.core = Core(
            secret_keys=secret_keys,
            verification_uri=verification_uri,
            audience=audience,
            policy=policy,
        )
        self._draining = False
        self._watches = set[
            Watch
        ]()  # without a lock: a finalizer may end a watch, in any thread, at any line

    def begin(
        self,
        *,
        context: Mapping[str, str] | None = None,
        lifetime: int | None = None,
        ask_browser: bool = True,
        user_code: bool = False,
    ) -> Begun:
        """Begin a login for one browser.

        `context` are facts about that browser, frozen now and shown to the person before confirming (at most 400 bytes).
        `lifetime` in seconds overrides the policy's, up to 600. With `ask_browser=False` nobody at the browser is asked
        "continue as …?": for devices without a keyboard, and easier to abuse. `user_code` adds a code to type.
        """
        return self.run(
            self.core.begin(
                context=context, lifetime=lifetime, ask_browser=ask_browser, user_code=user_code
            )
        )

    def status(self, device_code: str) -> Status:
        """Where the login stands, with the current scan_code while it is pending. Changes nothing."""
        return self.run(self.core.status(self.core.read_device_code(device_code)))

    def wait(
        self, device_code: str, *, after: int | State | None = None, timeout: float = 25
    ) -> Status:
        """`status`, held until there is news: another version than `after`, another state (None: than pending), or an end.

        Returns after `timeout` seconds at the latest, earlier when the scan_code rotates or the login expires. Raises
        `Superseded` when a newer wait for the same login takes over.
        """
        with Watch(self, self.core.read_device_code(device_code)) as watch:
            return watch.wait(after=after, timeout=timeout)

    def scan(self, code: str, *, subject: str, shown_as: ShownAs = ..., phone: str = "") -> Scanned:
        """The phone read the code. Show the person what comes back, and ask.

        `subject` is your id of the phone's signed-in user. `shown_as` is how the browser names them in
        its question ("M•••a"): it is cleaned, and cut at 200 bytes. Pass "" for a person without a name.
        `phone` tells several phones of one account apart, if you care. The first account to scan holds
        the login.
        """
        return self.run(self.core.scan(code, subject=subject, shown_as=shown_as, phone=phone))

    def release(self, code: str, *, subject: str, phone: str = "") -> Status:
        """Not now: the code may be scanned again, by anybody."""
        return self.run(self.core.release(code, subject=subject, phone=phone))

    def confirm(self, code: str, *, subject: str, phone: str = "") -> Status:
        """The person who scanned approves. Never call this without a person's deliberate act."""
        return self.run(self.core.confirm(code, subject=subject, phone=phone))

    def deny(self, code: str, *, subject: str, phone: str = "") -> Status:
        """The person who scanned refuses. Final, and wins over a confirm that was not redeemed yet."""
        return self.run(self.core.deny(code, subject=subject, phone=phone))

    def cancel(self, device_code: str) -> Status:
        """The browser gives up, or says "that is not me". Final."""
        return self.run(self.core.cancel(self.core.read_device_code(device_code)))

    def redeem(
        self, device_code: str, *, acknowledged: str = "", op: str | None = None
    ) -> Redeemed:
        """Collect the subject, once, and start the application's own session for it.

        `acknowledged` is `scanned_by.tag` of the person whom the browser was shown and accepted. `op`, 128 random bits made
        per click and kept until answered, lets a lost answer be asked for again for 30 s; without it the second call is refused.
        """
        device = self.core.read_device_code(device_code)
        return self.run(self.core.redeem(device, acknowledged=acknowledged, op=op))

    def run(self, operation: Operation[T]) -> T:
        """Run one operation, and each operation that follows from it.

        TODO
        """
        current, listening = operation, self._listening
        try:
            while True:
                step = current.resume(self._store.apply(current.command), with_event=listening)
                if step.event and self._emitted.add(operation, step.event):
                    self._emit(step.event)
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

    @property
    def _listening(self) -> bool:
        return self._on_event is not None or log.isEnabledFor(logging.INFO)

    def _emit(self, event: Event) -> None:
        log.info("login %s %s (version %d)", event.login_id, event.name, event.version)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # the change has happened, so the call must not fail
            log.exception(
                "login %s: on_event failed for %r; the login goes on", event.login_id, event.name
            )

    @property
    def draining(self) -> bool:
        """Whether nothing is held here any more, because this process is to end."""
        return self._draining

    def drain(self) -> None:
        """End every parked wait and stream at once, with what there is, and hold none from here on; all else goes on.

        For a server that is told to stop: it would wait for the requests that wait for a phone. `wire.drain_on_signals` calls it.
        After it `wait` returns at once, so a loop of waits of your own has to look at `draining`, or it spins.
        """
        self._draining = True  # first: a watch that comes after the copy sees this before it waits
        for watch in [*self._watches]:
            watch.end()

    def close(self) -> None:
        """End every parked wait at once and close the store."""
        self.drain()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Watch:
    """One browser that waits for one login, from here to `close`, over as many waits as it takes: what a stream is made of.

    The newest watch of a login takes over, and the older raises `Superseded`. `end`, from any thread, lets the wait return.
    """

    __slots__ = ("_device", "_ended", "_listener", "_qr")  # there are thousands

    def __init__(self, qr: QRLogin, device: DeviceCode) -> None:
        self._qr, self._device, self._ended = qr, device, False
        self._listener = qr._store.listen(device.login_id)

    def wait(
        self, *, after: int | State | None, timeout: float, seen: Status | None = None
    ) -> Status:
        """As `QRLogin.wait`. `seen` spares the first look: what this watch was told last."""
        seen = seen or self._read()
        ends = monotonic() + wait_limit(seen, timeout)
        while (
            not (self.ended or is_news(seen, after))
            and (left := ends - monotonic()) > 0
            and self._listener.wait(left)
        ):
            seen = self._read()
        return seen

    def _read(self) -> Status:
        return self._qr.run(self._qr.core.status(self._device))

    @property
    def ended(self) -> bool:
        return self._ended or self._qr.draining

    def end(self) -> None:
        self._ended = True
        if end := getattr(self._listener, "end", None):  # a store of somebody's own may lack it
            end()

    def __enter__(self) -> Self:
        self._listener.__enter__()
        self._qr._watches.add(self)
        return self

    def __exit__(self, *error: object) -> None:
        self._qr._watches.discard(self)
        self._listener.__exit__(*error)
