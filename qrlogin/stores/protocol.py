"""What a store is: one atomic `apply`, and a way to be woken. Anything with these three methods will do.

A store decides nothing. `apply` runs `qrlogin.step.step` (or `step.lua`, which means the same) on one record, atomically, with
its own clock. `listen` gives something to wait on; a wake-up is a hint that the login may have changed, so a spare one costs a
read and a missing one costs until the next timer, never a login. `qrlogin.stores.suite` proves a store.
"""

from typing import Protocol, Self

from qrlogin.step import Command, Reply


class Listener(Protocol):
    """One parked wait. It hears from the moment it exists, so read the login after `listen`, never before."""

    def wait(self, seconds: float) -> bool:
        """Return when the login may have changed, or after `seconds`, or earlier. False: the store is closing, do not wait on.

        Raises `Superseded` when a newer listener of the same login has taken over.
        """
        ...

    def end(self) -> None:
        """Let `wait` return False: at once where it is held, and whenever it is called after that. From any thread.

        Without this method a listener still works; a wait of its own then goes on to its end when the server is to stop.
        """
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Store(Protocol):
    """Keeps logins for code that blocks. Safe to share between threads."""

    def apply(self, command: Command) -> Reply:
        """Apply one command atomically, in one round trip. Raises `Unavailable` when the outcome is unknown."""
        ...

    def listen(self, login_id: str) -> Listener: ...

    def close(self) -> None:
        """End every parked wait at once and let go of what the store opened itself. Closing twice is fine."""
        ...


class AsyncListener(Protocol):
    """`Listener`, awaited. All of it belongs to one event loop, `end` too: from a thread, `loop.call_soon_threadsafe`."""

    async def wait(self, seconds: float) -> bool: ...
    def end(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_: object) -> None: ...


class AsyncStore(Protocol):
    """`Store`, awaited. Belongs to one event loop."""

    async def apply(self, command: Command) -> Reply: ...

    def listen(self, login_id: str) -> AsyncListener: ...

    async def close(self) -> None: ...
