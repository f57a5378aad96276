"""`AsyncQRLogin`: `login.py`, awaited. The same names and signatures; a test keeps the two alike.

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
    ) -> None:
        if isinstance(store, type) or not callable(getattr(store, "apply", None)):
            raise Misconfigured("store must be a store, such as AsyncMemoryStore() or AsyncRedisStore.from_url(...)")
        if not inspect.iscoroutinefunction(store.apply):
            raise Misconfigured("this store blocks: use QRLogin with it, or the store's awaited twin here")
        self._store = store
        self.core = Core(secret_keys=secret_keys, verification_uri=verification_uri, audience=audience, policy=policy)

    async def begin(
        self,
        *,
        context: Mapping[str, str] | None = None,
        lifetime: int | None = None,
        ask_browser: bool = True,
        user_code: bool = False,
    ) -> Begun:
        """Begin a login for one browser."""
        return await self.run(self.core.begin(context=context, lifetime=lifetime, ask_browser=ask_browser, user_code=user_code))

    async def status(self, device_code: str) -> Status:
        """Where the login stands, with the current scan_code while it is pending. Changes nothing."""
        return await self.run(self.core.status(device_code))

    async def wait(self, device_code: str, *, after: int | State | None = None, timeout: float = 25) -> Status:
        """`status`, held until there is news: another version than `after`, another state (None: than pending), or an end."""
        login_id = self.core.device(device_code).login_id
        async with self._store.listen(login_id) as listener:
            seen = await self.status(device_code)
            ends = monotonic() + patience(seen, timeout)
            while not is_news(seen, after) and (left := ends - monotonic()) > 0 and await listener.wait(left):
                seen = await self.status(device_code)
            return seen

    async def scan(self, code: str, *, subject: str, shown_as: str = "", phone: str = "") -> Scanned:
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
        return await self.run(self.core.cancel(device_code))

    async def redeem(self, device_code: str, *, acknowledged: str = "", op: str | None = None) -> Redeemed:
        """Collect the subject, once, and start the application's own session for it."""
        return await self.run(self.core.redeem(device_code, acknowledged=acknowledged, op=op))

    async def run(self, operation: Operation[T]) -> T:
        """Carry one operation out: one command in one round trip, but for the few that need another after it."""
        try:
            reply = await self._store.apply(operation.command)
            while following := operation.next(reply):
                operation, reply = following, await self._store.apply(following.command)
            return operation.finish(reply)
        except RecordForged:
            log.error("login %s: its record fails its seal; somebody else writes to the store", operation.command.login_id)
            raise

    async def close(self) -> None:
        """End every parked wait at once and close the store."""
        await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
