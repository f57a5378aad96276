"""`AsyncQRLogin`: `login.py`, awaited. The same names and signatures; a test compares the two.

Nothing is decided here. Each method asks the core for an operation, has the store apply its command
in one round trip, and returns what the reply means. `wait` may take more than one.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from math import inf
from typing import Any, Final, Self, TypeVar

from qrlogin.answers import Begun, Event, Landing, Redeemed, Scanned, Status
from qrlogin.arguments import ShownAs, check_on_event
from qrlogin.clock import monotonic
from qrlogin.codes import DeviceCode
from qrlogin.core import Core
from qrlogin.emitted import EmittedEvents, ForgedRecords
from qrlogin.errors import Misconfigured, RecordForged, RecordLost, Unavailable
from qrlogin.news import Known, aged, is_news, known, timed_out, unavailable_pause, wait_limit
from qrlogin.operation import Done, Next, Operation
from qrlogin.policy import STANDARD, Policy
from qrlogin.stores.protocol import AsyncStore
from qrlogin.table import State

T = TypeVar("T")
log: Final = logging.getLogger("qrlogin")

#: Inside `on_event`: what `AsyncQRLogin.close` waits for before it closes the store. A task that
#: `on_event` starts inherits it.
_emissions: Final = ContextVar[tuple[asyncio.Event, ...]]("qrlogin_emissions", default=())

#: How many watches `drain` ends in one turn of the event loop. Each answers its browser then.
_ENDED_AT_ONCE: Final = 20


class AsyncQRLogin:
    """Lets a person log a browser in by scanning a QR code with a phone that is already signed in.

    The browser's side begins, waits and redeems, with its device_code. The phone's side scans and
    confirms, with the scan_code from the picture. The application keeps its users and its sessions:
    `redeem` returns the subject, once.

    Every method raises `Unavailable` when the store does not answer; it is then safe to call it
    again. A method that takes a code raises `InvalidCode` if this application did not make the
    code, and another `LoginError` if the login does not allow the call. The constructor raises
    `Misconfigured`, and says what to change, for anything unsafe.

    Use it in one event loop only. Over `AsyncMemoryStore` several loops may use it in turn, as in
    tests; over `AsyncRedisStore` that raises `Misconfigured`.

    :param store: where logins are kept, such as `AsyncMemoryStore()` or
        `AsyncRedisStore.from_url(...)`.
    :param secret_keys: a ring of keys: the first signs, all of them verify. `python -m qrlogin
        keygen` makes one.
    :param verification_uri: the full address of the page that an ordinary camera opens when it
        reads the QR code.
    :param audience: keeps applications apart that share keys. None: the host of `verification_uri`.
    :param policy: lifetimes, and what people are asked: `STANDARD`, `STRICT` or your own `Policy`.
    :param on_event: is awaited with an `Event` for each change that a call here makes, before the
        call returns, so let it be quick. An exception in it is logged, and the login goes on. The
        same changes are logged to "qrlogin" at INFO, with no person in them.
    """

    core: Core
    """Makes the operations that `run` runs, and reads codes without asking the store."""

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
            raise Misconfigured("this store blocks: use QRLogin, or pass its asyncio twin here")
        check_on_event(on_event, awaited=True)
        self._store, self._on_event, self._emitted = store, on_event, EmittedEvents()
        self._forged = ForgedRecords()
        self.core = Core(
            secret_keys=secret_keys,
            verification_uri=verification_uri,
            audience=audience,
            policy=policy,
        )
        self._draining = False
        self._watches = set[AsyncWatch]()
        #: Each is set when its task is over, or when its `on_event` closes.
        self._emitting = dict[asyncio.Task[Any], asyncio.Event]()

    async def begin(
        self,
        *,
        context: Mapping[str, str] | None = None,
        lifetime: int | None = None,
        ask_browser: bool = True,
        user_code: bool = False,
        subject: str | None = None,
    ) -> Begun:
        """Begin a login for one browser.

        Show the picture of `verification_uri_complete`, and keep `device_code` where only this
        browser has it. Returns the new login; raises `BadArgument` for arguments out of range, and
        `TooManyBegins` if the context has an `address` that has begun too many (`Policy.limits`).

        :param context: facts about the browser ("browser", "system", "place" or your own), fixed
            now and shown on the phone before the person confirms. Values are cleaned; beyond 400
            bytes in all, the longest ones are cut.
        :param lifetime: seconds for which the code is shown. None: the policy's. With the policy's
            windows, 600 at most.
        :param ask_browser: False skips the browser's question "continue as …?", for devices without
            a keyboard. Such logins are easier to abuse.
        :param user_code: also make a code to type, if the policy allows `user_codes`.
        :param subject: your id of the only account that can scan it, such as the user of this
            browser's session who has to approve once more. To any other account its code is
            unknown. None: any account can scan it. Take it from your session, never from a request.
        """
        return await self.run(
            self.core.begin(
                context=context,
                lifetime=lifetime,
                ask_browser=ask_browser,
                user_code=user_code,
                subject=subject,
            )
        )

    async def status(self, device_code: str) -> Status:
        """Return the status of a login, with the current scan_code while it is pending.

        Changes nothing. It returns `State.EXPIRED` for a login that is over and forgotten. Raises
        `NotYours` if another browser began the login, and `RecordLost` if the store has lost it.

        :param device_code: what `begin` returned to this browser.
        """
        return await self.run(self.core.status(self.core.read_device_code(device_code)))

    async def wait(
        self, device_code: str, *, after: int | State | None = None, timeout: float = 25
    ) -> Status:
        """Return the status as soon as there is news, and after `timeout` at the latest.

        News is a version other than `after`, a state other than `after`, or the end of the login.
        It returns earlier when the scan_code rotates or the login expires, and at once while the
        process is `draining`. Raises what `status` raises, and `Superseded` when a newer wait for
        the same login takes over.

        :param device_code: what `begin` returned to this browser.
        :param after: the version or the state that the browser knows. None: it knows that the login
            is pending.
        :param timeout: in seconds.
        """
        async with AsyncWatch(self, self.core.read_device_code(device_code)) as watch:
            return await watch.wait(after=after, timeout=timeout)

    async def land(self, code: str) -> Landing:
        """Let the browser that opened the page of this rotating code scan its login for as long as
        the login can be scanned. So its user can sign in first.

        Call it when the page behind `verification_uri` is opened, whoever opens it, and keep
        `Landing.token` in an HttpOnly cookie of that browser. Changes nothing. Raises `Expired` if
        the code is too old by now, and `InvalidCode` for a fixed or typed code, which needs none.

        :param code: the address that was opened, or the code at its end.
        """
        return await self.run(self.core.land(code))

    async def look(self, code: str, *, subject: str, phone: str = "", landing: str = "") -> Scanned:
        """Return what `scan` would return, without taking the login. Changes nothing.

        So a page can show its user at once what there is to approve. Then call `scan` and `confirm`
        for "yes", `scan` and `deny` for "no", with the `landing` of what this returns. Raises what
        `scan` raises, and `Expired` when less than 20 seconds are left to scan.

        :param code: the text that the camera read, or the user_code that the person typed.
        :param subject: your id of the user who is signed in on the phone.
        :param phone: distinguishes several phones of one account, if that matters to you.
        :param landing: `Landing.token` of this browser, if it has one.
        """
        return await self.run(self.core.look(code, subject=subject, phone=phone, landing=landing))

    async def scan(
        self,
        code: str,
        *,
        subject: str,
        shown_as: ShownAs = ...,
        phone: str = "",
        landing: str = "",
    ) -> Scanned:
        """Take a login for the account of the phone that scanned its code.

        The first account to scan takes the login, and from then on its user has the policy's
        `decide_window` to decide. Show the returned context, and ask whether to confirm. Raises
        `AlreadyScanned` if another account has taken the login, `Expired` if the code or the login
        is too old, `UnknownLogin` if no login has this code, `TooManyGuesses` after several wrong
        typed codes, and `TooManyScans` for an account beyond `Policy.limits`.

        :param code: the text that the camera read, or the user_code that the person typed.
        :param subject: your id of the user who is signed in on the phone.
        :param shown_as: how the browser names that user in its question ("M•••a"): it is cleaned,
            and cut at 200 bytes. "" for a person without a name. Required, unless the policy's
            `names_scanner` is off.
        :param phone: distinguishes several phones of one account, if that matters to you.
        :param landing: `Landing.token` of this browser, if it has one: then the code may be older.
        """
        return await self.run(
            self.core.scan(code, subject=subject, shown_as=shown_as, phone=phone, landing=landing)
        )

    async def release(self, code: str, *, subject: str, phone: str = "") -> Status:
        """Give a scanned login back, undecided: any account can scan its code again.

        Raises `NotYours` if another account or phone scanned it, and `WrongState` if it is
        confirmed already.

        :param code: the same code as in `scan`. It may be too old to scan by now.
        :param subject: your id of the user who is signed in on the phone.
        :param phone: what you passed to `scan`.
        """
        return await self.run(self.core.release(code, subject=subject, phone=phone))

    async def confirm(
        self,
        code: str,
        *,
        subject: str,
        phone: str = "",
        name: str = "",
        assurance: str = "",
        match_code: str = "",
    ) -> Status:
        """Approve a login that this account has scanned.

        Call it only for a deliberate act of the person: a tap on a button, never the scan itself.
        It can be called again: a repeat changes nothing and returns the same, and `name` and
        `assurance` stay those of the first call, also if the repeat passes others. Raises
        `NotYours` if another account or phone scanned the login, `MatchCodeNeeded` if it needs a
        `match_code`, `WrongMatchCode` for a wrong one (the third denies the login), and `Expired`,
        `Denied` or `Cancelled` if it is over.

        :param code: the same code as in `scan`. It may be too old to scan by now.
        :param subject: your id of the user who is signed in on the phone.
        :param phone: what you passed to `scan`. The redeem returns it.
        :param name: the account's full, unique name, such as its mail address. The browser asks
            "continue as …?" with it. "": it asks with `shown_as`, which other accounts may have.
        :param assurance: what this approval met beyond the phone's session, in your own words, such
            as "passkey". At most 64 printable ASCII characters. The redeem returns it.
        :param match_code: the digits that the user read in the browser and typed on the phone, if
            `Scanned.match_digits` asks for them.
        """
        return await self.run(
            self.core.confirm(
                code,
                subject=subject,
                phone=phone,
                name=name,
                assurance=assurance,
                match_code=match_code,
            )
        )

    async def deny(self, code: str, *, subject: str, phone: str = "") -> Status:
        """Deny a login that this account has scanned. Final.

        It also undoes a confirm, as long as the browser has not redeemed. Raises `NotYours` if
        another account or phone scanned the login, and `AlreadyRedeemed`, `Expired` or `Cancelled`
        if it is over.

        :param code: the same code as in `scan`. It may be too old to scan by now.
        :param subject: your id of the user who is signed in on the phone.
        :param phone: what you passed to `scan`.
        """
        return await self.run(self.core.deny(code, subject=subject, phone=phone))

    async def outcome(self, code: str, *, subject: str, phone: str = "") -> Status:
        """Return what became of a login that this account has scanned, for the phone's page.

        Its state is `REDEEMED` once the browser is logged in, and `EXPIRED` if the browser never
        collected the approval. Changes nothing. Raises `NotYours` if another account or phone
        scanned the login.

        :param code: the same code as in `scan`. It may be too old to scan by now.
        :param subject: your id of the user who is signed in on the phone.
        :param phone: what you passed to `scan`.
        """
        return await self.run(self.core.outcome(code, subject=subject, phone=phone))

    async def cancel(self, device_code: str) -> Status:
        """End a login from its browser: the user gave up, or said "that is not me". Final.

        It can be called again. Raises `AlreadyRedeemed`, `Expired` or `Denied` if the login is over
        already.

        :param device_code: what `begin` returned to this browser.
        """
        return await self.run(self.core.cancel(self.core.read_device_code(device_code)))

    async def redeem(
        self, device_code: str, *, acknowledged: str | None = None, op: str | None = None
    ) -> Redeemed:
        """Return the subject of a confirmed login, once.

        Start the application's own session for `subject`, afresh. Raises `WrongState` until the
        phone has confirmed, `ScannerChanged` if another account scanned since the browser's user
        was asked, and `AlreadyRedeemed`, `Denied`, `Cancelled` or `Expired` if the login is over.
        Raises `TooFast` for a poll that comes too early, if `ask_browser` was False.

        :param device_code: what `begin` returned to this browser.
        :param acknowledged: `scanned_by.tag` of the status that the browser showed when its user
            accepted "continue as …?". `BadArgument` if it is missing, unless the login was begun
            with `ask_browser=False`.
        :param op: 128 random bits or more, made once per click and kept until there is an answer.
            The same `op` returns the same answer again, for 30 seconds unless the policy says
            otherwise: so a lost answer loses no login. Without it, a second call is refused.
        """
        device = self.core.read_device_code(device_code)
        return await self.run(self.core.redeem(device, acknowledged=acknowledged, op=op))

    async def run(self, operation: Operation[T]) -> T:
        """Run one operation of `core`, and those that follow from it, and return its result.

        Each is one command in one round trip. The other methods are shorthands for it: use it for
        what only `core` offers, such as `core.redeem_by_ticket`. Raises what the operation raises.

        An operation can be run again after `Unavailable`: a change that the store has made already
        is not made again, and its event is not emitted here again.

        :param operation: what a method of `core` returned.
        """
        current = operation
        try:
            while True:
                step = await self._take_step(operation, current)
                if isinstance(step, Done):
                    return step.result
                current = step.operation
        except RecordLost as error:
            log.warning("login %s: %s", current.command.login_id, error)
            raise
        except RecordForged as error:
            # "record", because the one that a typed code leads to is not a login's.
            record_id = current.command.login_id
            log.log(
                logging.ERROR if self._forged.add(record_id) else logging.DEBUG,
                "record %s fails its seal: %s; another program writes to the store",
                record_id,
                error,
            )
            raise

    async def _take_step(self, asked: Operation[T], current: Operation[T]) -> Done[T] | Next[T]:
        """Send the command of `current`, which is `asked` or follows from it."""
        if current.to_event is None or not self._is_listening:
            reply = await self._store.apply(current.command)
            return current.resume(reply, with_event=False)
        # A server may cancel the call of a browser that disconnected. The store applies the command
        # all the same, so a task outlives the call, and emits the event.
        emitted = asyncio.Event()
        task = asyncio.create_task(self._apply_and_emit(asked, current, emitted))
        self._emitting[task] = emitted
        task.add_done_callback(self._step_ended)
        await asyncio.wait((task,))  # unlike `shield`, it logs no refusal of a cancelled call
        return task.result()

    def _step_ended(self, task: asyncio.Task[Any]) -> None:
        self._emitting.pop(task).set()
        if not task.cancelled():
            task.exception()  # retrieved here, or asyncio logs the refusal of a cancelled call

    async def _apply_and_emit(
        self, asked: Operation[T], current: Operation[T], emitted: asyncio.Event
    ) -> Done[T] | Next[T]:
        # For this task, and for those that it starts.
        outer = [each for each in _emissions.get() if not each.is_set()]
        _emissions.set((*outer, emitted))
        step = current.resume(await self._store.apply(current.command))
        if step.event and self._emitted.add(asked, step.event):
            await self._emit(step.event)
        return step

    @property
    def _is_listening(self) -> bool:
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

    async def ready(self) -> bool:
        """Whether this process can serve logins: the store answers one read, and nothing drains.

        It takes as long as the store's time-out at most, and raises nothing. A load balancer's
        health check calls it: see `qrlogin.contrib.health`.
        """
        if self._draining:
            return False
        try:
            await self.run(self.core.ping())
        except Unavailable:
            return False
        return True

    @property
    def draining(self) -> bool:
        """Whether `drain` was called. Waits then return at once, because the process will stop."""
        return self._draining

    async def drain(self) -> None:
        """End all held waits and streams now, with their current status; hold no new ones.

        Other calls keep working. A server that was asked to stop waits for its open requests, and
        these wait for a phone: `wire.drain_on_signals` calls this in time. `wait` then returns at
        once, so a loop around it must check `draining`.
        """
        self._draining = True  # first: a watch that comes after the copy sees this before it waits
        for number, watch in enumerate([*self._watches], 1):
            watch.end()
            if number % _ENDED_AT_ONCE == 0:  # phones are answered in between
                await asyncio.sleep(0)

    async def close(self) -> None:
        """End all held waits and streams, as `drain` does, and close the store.

        It waits until the events of cancelled calls are emitted.
        """
        await self.drain()
        loop = asyncio.get_running_loop()
        # A task of another loop, which ended before its tasks did, never ends.
        emitting = {emitted for task, emitted in self._emitting.items() if task.get_loop() is loop}
        # An `on_event` that closes does not wait for itself, nor for another one that closes.
        for own in emitting.intersection(_emissions.get()):
            own.set()
        for emitted in emitting:
            await emitted.wait()
        await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncWatch:
    """Follows one login for one browser, over any number of waits. Use it in an `async with`.

    The newest watch of a login takes over: an older one raises `Superseded` from `wait`.

    While the store does not answer, `wait` goes on and reads again later. It raises `Unavailable`
    if its first read fails, and at its end if the status that it read last is outdated by then.

    :param qr: reads the login, and ends this watch when it drains.
    :param device: the browser's device_code, read.
    :param wait_disconnect: returns when the browser disconnects, which ends this watch. None: the
        server does not show that.
    """

    # There are thousands.
    __slots__ = (
        *("_device", "_ended", "_leaving", "_listener", "_qr", "_read_at", "_skipped", "_unread"),
        "_wait_disconnect",
    )

    def __init__(
        self,
        qr: AsyncQRLogin,
        device: DeviceCode,
        wait_disconnect: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._wait_disconnect = wait_disconnect
        self._leaving: asyncio.Future[None] | None = None
        self._qr, self._device, self._ended = qr, device, False
        self._read_at = 0.0  # the instant of the last read
        self._unread = False  # whether a read has failed since: there may be news
        self._skipped = False  # whether `wait` has returned without a read since
        self._listener = qr._store.listen(device.login_id)

    async def wait(self, *, after: Known, timeout: float, status: Status | None = None) -> Status:
        """Wait as `AsyncQRLogin.wait` does.

        :param after: the version or the state that the browser knows. None: pending. FROM_NOW: it
            does not say.
        :param timeout: in seconds.
        :param status: the status that this watch returned last. It saves the first read, and the
            last one of every second wait if nothing has changed.
        """
        kept = status  # it may be returned without another read
        status = status or await self._read()
        after = known(status, after)
        ends = monotonic() + timeout
        # No notification comes when its code rotates or when it expires.
        outdated_at = self._read_at + wait_limit(status, inf)
        wakes_at = 0.0 if self._unread else min(ends, outdated_at)
        while not (self.ended or is_news(status, after)) and (now := monotonic()) < ends:
            if not await self._listener.wait(max(0, wakes_at - now)):
                break
            now = monotonic()
            if (
                kept is not None
                and not (self._unread or self._skipped)
                and ends <= min(now, outdated_at)
                and timed_out(self._listener)
            ):
                self._skipped = True  # not twice in a row: a notification can be lost
                break
            try:
                status = await self._read()
            except Unavailable:  # an answer now would make thousands of browsers come back at once
                self._unread = True
                wakes_at = min(ends, now + unavailable_pause())
                continue
            if now >= outdated_at:
                break
            wakes_at = min(ends, outdated_at)
        if self._unread and status is not kept:  # a stream does not send again what it has kept
            return aged(status, monotonic() - self._read_at)
        return status

    async def _read(self) -> Status:
        status = await self._qr.run(self._qr.core.status(self._device))
        self._read_at, self._unread, self._skipped = monotonic(), False, False
        return status

    @property
    def ended(self) -> bool:
        """Whether `end` was called, or everything drains."""
        return self._ended or self._qr.draining

    def end(self) -> None:
        """Let `wait` return now, with the status that it read last. Call it in the event loop."""
        self._ended = True
        if end := getattr(self._listener, "end", None):  # other stores may lack it
            end()

    async def __aenter__(self) -> Self:
        await self._listener.__aenter__()
        self._qr._watches.add(self)
        # ASGI says that a browser disconnected only to a task that awaits it. So this is the one
        # task that a held request has beside its own.
        if self._wait_disconnect is not None:
            self._leaving = asyncio.ensure_future(self._wait_disconnect())
            self._leaving.add_done_callback(self._left)
        return self

    def _left(self, leaving: "asyncio.Future[None]") -> None:
        if not leaving.cancelled():
            leaving.exception()  # retrieved: a connection that broke means the same
            self.end()

    async def __aexit__(self, *error: object) -> None:
        try:
            if self._leaving is not None:
                self._leaving.cancel()
                await asyncio.wait((self._leaving,))
        finally:
            self._qr._watches.discard(self)
            await self._listener.__aexit__(*error)
