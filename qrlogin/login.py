"""`QRLogin`: the whole protocol for code that blocks. `aio.py` has the same names, awaited; a test keeps the two alike.

Nothing is decided here. Each method asks the core for an operation, has the store apply its command in one round trip, and
returns what the core makes of the reply. `wait` is the one method that may take more than one.
"""

import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Self, TypeVar

from qrlogin.answers import Begun, Redeemed, Scanned, Status
from qrlogin.clock import monotonic
from qrlogin.core import Core, Operation
from qrlogin.errors import Misconfigured, RecordForged
from qrlogin.policy import STANDARD, Policy
from qrlogin.replies import is_news, patience
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
    ) -> None:
        if isinstance(store, type) or not callable(getattr(store, "apply", None)):
            raise Misconfigured("store must be a store, such as MemoryStore() or RedisStore.from_url(...)")
        if inspect.iscoroutinefunction(store.apply):
            raise Misconfigured("this store is awaited: use AsyncQRLogin with it, or the store's blocking twin here")
        self._store = store
        self.core = Core(secret_keys=secret_keys, verification_uri=verification_uri, audience=audience, policy=policy)

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
        return self.run(self.core.begin(context=context, lifetime=lifetime, ask_browser=ask_browser, user_code=user_code))

    def status(self, device_code: str) -> Status:
        """Where the login stands, with the current scan_code while it is pending. Changes nothing."""
        return self.run(self.core.status(device_code))

    def wait(self, device_code: str, *, after: int | State | None = None, timeout: float = 25) -> Status:
        """`status`, held until there is news: another version than `after`, another state (None: than pending), or an end.

        Returns after `timeout` seconds at the latest, earlier when the scan_code rotates or the login expires. Raises
        `Superseded` when a newer wait for the same login takes over.
        """
        login_id = self.core.device(device_code).login_id
        with self._store.listen(login_id) as listener:
            seen = self.status(device_code)
            ends = monotonic() + patience(seen, timeout)
            while not is_news(seen, after) and (left := ends - monotonic()) > 0 and listener.wait(left):
                seen = self.status(device_code)
            return seen

    def scan(self, code: str, *, subject: str, shown_as: str = "", phone: str = "") -> Scanned:
        """The phone read the code. Show the person what comes back, and ask.

        `subject` is your id of the phone's signed-in user; `shown_as` is how the browser names them in its question
        ("M•••a"); `phone` tells several phones of one account apart, if you care. The first account to scan holds the login.
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
        return self.run(self.core.cancel(device_code))

    def redeem(self, device_code: str, *, acknowledged: str = "", op: str | None = None) -> Redeemed:
        """Collect the subject, once, and start the application's own session for it.

        `acknowledged` is `scanned_by.tag` of the person whom the browser was shown and accepted. `op`, 128 random bits made
        per click and kept until answered, lets a lost answer be asked for again for 30 s; without it the second call is refused.
        """
        return self.run(self.core.redeem(device_code, acknowledged=acknowledged, op=op))

    def run(self, operation: Operation[T]) -> T:
        """Carry one operation out: one command in one round trip, but for the few that need another after it."""
        try:
            reply = self._store.apply(operation.command)
            while following := operation.next(reply):
                operation, reply = following, self._store.apply(following.command)
            return operation.finish(reply)
        except RecordForged:
            log.error("login %s: its record fails its seal; somebody else writes to the store", operation.command.login_id)
            raise

    def close(self) -> None:
        """End every parked wait at once and close the store."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
