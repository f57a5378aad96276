"""The event loop to which the connections and the threads of an asyncio store belong."""

import asyncio

from qrlogin.errors import Misconfigured


class OneLoop:
    """The event loop that uses a store first.

    :param store: the name of the store's class, for the error.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self.loop: asyncio.AbstractEventLoop | None = None
        """None before the first use."""

    def check(self) -> asyncio.AbstractEventLoop:
        """Returns the running loop. Raises `Misconfigured` if another one used the store first."""
        loop = asyncio.get_running_loop()
        if self.loop is None:
            self.loop = loop
        elif self.loop is not loop:
            raise Misconfigured(
                f"this {self._store} is used in a second event loop, but its connections belong to "
                "the first: make the store and its AsyncQRLogin in the loop that uses them, in "
                "the lifespan or in an async fixture. In tests, use `with TestClient(app)`, or "
                "one asyncio.run() for all calls"
            )
        return loop
