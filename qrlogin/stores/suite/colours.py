"""How a test, which is a thread that blocks, calls a store of either colour: one that blocks, or
one that is awaited.
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Protocol, TypeVar, cast

from qrlogin.aio import AsyncQRLogin
from qrlogin.errors import QRLoginError
from qrlogin.login import QRLogin
from qrlogin.operation import Operation
from qrlogin.stores.protocol import AsyncStore, Store

T = TypeVar("T")

#: Seconds after which the suite gives up on what should happen at once. Nothing is measured by it.
#: It has to be shorter than LIMIT: else a wait that was never notified would time out early enough,
#: and bring the news after all.
PATIENCE: Final = 15.0

#: Seconds after which a wait times out.
LIMIT: Final = 25.0

MakeStore = Callable[[], Any]
Options = dict[str, Any]  # of QRLogin
Ran = Callable[[str], None]  # is called with the login_id after each operation


class Colour(Protocol):
    """What `World` needs to know of its store's colour."""

    def open(self, make: MakeStore, options: Options, ran: Ran) -> tuple[QRLogin, Store]:
        """A new store and a `QRLogin` over it, both with blocking methods.

        :param make: returns the store.
        :param options: arguments of `QRLogin`.
        :param ran: is called with the login_id after each operation.
        """
        ...

    def at_once(self, calls: Sequence[tuple[QRLogin, Operation[Any]]]) -> list[Any]:
        """Make all calls in the same instant. Returns answers or errors, in their order."""
        ...

    def alive(self) -> int:
        """How many threads and tasks there are besides those of the suite."""
        ...

    def close(self) -> None: ...


class Blocking:
    """The store blocks. Calls are plain calls, and simultaneous calls are made in threads."""

    def open(self, make: MakeStore, options: Options, ran: Ran) -> tuple[QRLogin, Store]:
        store: Store = make()
        return _QRLogin(store, ran, options), store

    def at_once(self, calls: Sequence[tuple[QRLogin, Operation[Any]]]) -> list[Any]:
        start = threading.Barrier(len(calls))

        def run(shell: QRLogin, operation: Operation[Any]) -> Any:
            start.wait(PATIENCE)
            return _caught(partial(shell.run, operation))

        with ThreadPoolExecutor(len(calls)) as threads:
            return [
                future.result(PATIENCE) for future in [threads.submit(run, *call) for call in calls]
            ]

    def alive(self) -> int:
        return _threads()

    def close(self) -> None:
        pass


class Awaited:
    """The store is awaited, in an event loop in its own thread. Simultaneous calls are tasks."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # The loop looks host names up in threads that stay. With this name, `alive` does not count
        # them.
        self._loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="suite-names"))
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="suite-loop", daemon=True
        )
        self._thread.start()

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function in the loop, await its result if that is awaitable, and return it."""

        async def inside() -> Any:
            result = function(*args, **options)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(LIMIT + PATIENCE)

    def open(self, make: MakeStore, options: Options, ran: Ran) -> tuple[QRLogin, Store]:
        store: AsyncStore = self.call(make)
        shell = _AsyncQRLogin(store, ran, options)
        return (
            cast(QRLogin, _BlockingProxy(shell, self.call)),
            cast(Store, _BlockingProxy(store, self.call)),
        )

    def at_once(self, calls: Sequence[tuple[QRLogin, Operation[Any]]]) -> list[Any]:
        async def gather() -> list[Any]:
            return await asyncio.gather(
                *(_awaited_caught(self.shell(shell).run(operation)) for shell, operation in calls)
            )

        return cast(list[Any], self.call(gather))

    @staticmethod
    def shell(qr: QRLogin) -> AsyncQRLogin:
        """The `AsyncQRLogin` behind a `QRLogin` that `open` returned, for use inside the loop."""
        shell: AsyncQRLogin = cast(_BlockingProxy, qr).awaited
        return shell

    def alive(self) -> int:
        return _threads() + self.tasks()

    def tasks(self) -> int:
        """How many tasks there are. Threads do not count, because a pool of them may grow."""
        return len(asyncio.all_tasks(self._loop))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


def _threads() -> int:
    return sum(not thread.name.startswith("suite") for thread in threading.enumerate())


class _BlockingProxy:
    """An awaited object whose methods block instead, for use outside of its loop."""

    def __init__(self, awaited: Any, call: Callable[..., Any]) -> None:
        self.awaited, self._call = awaited, call

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.awaited, name)
        return partial(self._call, attribute) if callable(attribute) else attribute


class _QRLogin(QRLogin):
    """The real shell. It calls `ran` after each operation."""

    def __init__(self, store: Store, ran: Ran, options: Options) -> None:
        super().__init__(store, **options)
        self._ran = ran

    def run(self, operation: Operation[T]) -> T:
        try:
            return super().run(operation)
        finally:
            self._ran(operation.command.login_id)


class _AsyncQRLogin(AsyncQRLogin):
    def __init__(self, store: AsyncStore, ran: Ran, options: Options) -> None:
        super().__init__(store, **options)
        self._ran = ran

    async def run(self, operation: Operation[T]) -> T:
        try:
            return await super().run(operation)
        finally:
            self._ran(operation.command.login_id)


def _caught(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except QRLoginError as error:
        return error


async def _awaited_caught(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except QRLoginError as error:
        return error
