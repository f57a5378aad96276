"""What a store is. Any object with these three methods is one; it needs no base class.

A store decides nothing. `apply` runs `qrlogin.step.step` (or `step.lua`, which means the same) on
one record, in one atomic step, with the store's own clock. `listen` returns a listener, which is
notified when its login may have changed.

A notification is only a hint. One too many costs a read. A lost one delays news until the listener
times out, and never loses a login. `qrlogin.stores.suite` proves that a store keeps these promises.
"""

from typing import Protocol, Self

from qrlogin.step import Command, Reply


class Listener(Protocol):
    """Is notified when one login may have changed. `Store.listen` returns it; use it with `with`.

    It is notified of every change that is made after `listen` has returned. So read the login after
    `listen`, not before.

    It may have an attribute `timed_out`: True if the last `wait` ended because its time was over,
    and the store is sure that the login has not changed. A held status then ends without one more
    read. A listener without it still works, as does an `AsyncListener`.
    """

    def wait(self, seconds: float) -> bool:
        """Block until the login may have changed.

        Only one thread waits on a listener at a time. A notification that arrives between two calls
        is not lost: the next call returns at once. An early return without a change is allowed.

        :param seconds: return after so many seconds at the latest.
        :returns: True: read the login again. False: the listener was ended or the store was closed,
            so do not wait again.
        :raises Superseded: a newer listener of the same login has replaced this one.
        """
        ...

    def end(self) -> None:
        """Let `wait` return False: at once if a thread is waiting, and in every later call.

        It raises nothing. It may be called from any thread and more than once. A server that stops
        calls it, so that it need not wait for browsers, and a disconnect monitor calls it for a
        browser that has disconnected.

        A listener without this method still works, but then a server that stops waits until `wait`
        times out.
        """
        ...

    def __enter__(self) -> Self:
        """Returns this listener."""
        ...

    def __exit__(self, *_: object) -> None:
        """Stop listening. May run in any thread.

        The garbage collector may call it, at any line of any thread, when a server drops a stream.
        So it must not wait for a lock.
        """
        ...


class Store(Protocol):
    """Keeps logins for code that blocks. Threads may call every method, also at the same time."""

    def apply(self, command: Command) -> Reply:
        """Apply one command to one record, in one atomic step and one round trip.

        Read the record of `command.login_id` (`{}` if it is absent), call `qrlogin.step.step` with
        it and the time, and write `Outcome.changes`. No other command for this login_id may come
        between the read and the write. If the record is born here, it lives for `command.ttl_ms`
        milliseconds; later commands do not change that. If `Outcome.notify` is set, notify the
        listeners of this login in all processes.

        :param command: what to apply. The same command may arrive twice; `step` recognises that by
            the record.
        :returns: `Outcome.reply`, unchanged.
        :raises Unavailable: the store could not decide, or the reply was lost. The command may have
            taken effect; the caller may send the same command again. No other exception may leave a
            store that works.
        """
        ...

    def listen(self, login_id: str) -> Listener:
        """Return a new listener of this login, which supersedes an older one of the same login in
        this process.

        It does not block, and it also works when the server is unreachable or the store is closed:
        `wait` then times out or returns False. The login need not exist.

        :param login_id: the login to listen to.
        :raises Unavailable: nothing could notify the listener, because the system gives this
            process no thread.
        """
        ...

    def close(self) -> None:
        """Let `wait` of every listener return False at once, and close what the store opened
        itself.

        May be called more than once and from any thread. Listeners that are made later return False
        from `wait`.
        """
        ...


class AsyncListener(Protocol):
    """`Listener` for asyncio.

    All of it belongs to one event loop, also `end`: from another thread, use
    `loop.call_soon_threadsafe(listener.end)`.
    """

    async def wait(self, seconds: float) -> bool:
        """As `Listener.wait`. It may be cancelled at any await, and then leaves nothing behind."""
        ...

    def end(self) -> None:
        """As `Listener.end`, but only in the listener's event loop."""
        ...

    async def __aenter__(self) -> Self:
        """Returns this listener."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Stop listening. As in `Listener.__exit__`, do not wait for a lock here."""
        ...


class AsyncStore(Protocol):
    """`Store` for asyncio. It belongs to the event loop that uses it."""

    async def apply(self, command: Command) -> Reply:
        """As `Store.apply`. If the caller is cancelled, the command may or may not have taken
        effect.

        :param command: what to apply.
        :raises Unavailable: as in `Store.apply`.
        """
        ...

    def listen(self, login_id: str) -> AsyncListener:
        """As `Store.listen`, and not awaited either.

        :param login_id: the login to listen to.
        """
        ...

    async def close(self) -> None:
        """As `Store.close`."""
        ...
