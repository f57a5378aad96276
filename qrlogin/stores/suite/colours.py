"""Two colours of store, one suite: how a test, which is a thread that blocks, talks to a store that blocks or is awaited."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Protocol, TypeVar, cast

from qrlogin.aio import AsyncQRLogin
from qrlogin.core import Operation
from qrlogin.errors import QRLoginError
from qrlogin.login import QRLogin
from qrlogin.stores.protocol import AsyncStore, Store

T = TypeVar("T")

#: Seconds after which what should have happened at once will not happen any more. Nothing is measured by it, but it has to be
#: shorter than LIMIT, or a wait that was never woken would come back in time and bring the news all the same.
PATIENCE: Final = 15.0
LIMIT: Final = 25.0

MakeStore = Callable[[], Any]
Options = dict[str, Any]  # of QRLogin
Ran = Callable[[str], None]  # is told the login_id each time that the store was asked


class Colour(Protocol):
    """What a world has to know of its store's colour."""

    def open(self, make: MakeStore, options: Options, ran: Ran) -> tuple[QRLogin, Store]:
        """A new store and the shell over it, both with blocking methods."""
        ...

    def at_once(self, calls: Sequence[tuple[QRLogin, Operation[Any]]]) -> list[Any]:
        """All the calls let go in the same instant: answers or errors, in their order."""
        ...

    def alive(self) -> int:
        """How many threads and tasks there are that are not the suite's own."""
        ...

    def close(self) -> None: ...


class Blocking:
    """The store blocks: calls are plain calls, and what happens at once happens in threads."""

    def open(self, make: MakeStore, options: Options, ran: Ran) -> tuple[QRLogin, Store]:
        store: Store = make()
        return _QRLogin(store, ran, options), store

    def at_once(self, calls: Sequence[tuple[QRLogin, Operation[Any]]]) -> list[Any]:
        start = threading.Barrier(len(calls))

        def one(desk: QRLogin, operation: Operation[Any]) -> Any:
            start.wait(PATIENCE)
            return _caught(partial(desk.run, operation))

        with ThreadPoolExecutor(len(calls)) as threads:
            return [
                future.result(PATIENCE) for future in [threads.submit(one, *call) for call in calls]
            ]

    def alive(self) -> int:
        return _threads()

    def close(self) -> None:
        pass


class Awaited:
    """The store is awaited: an event loop in a thread of its own, and what happens at once happens in its tasks."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # It looks host names up in threads, which stay: they are none that a store has left behind.
        self._loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="suite-names"))
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="suite-loop", daemon=True
        )
        self._thread.start()

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call it inside the loop, await what it returns if that can be awaited, and block until then."""

        async def inside() -> Any:
            result = function(*args, **options)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(LIMIT + PATIENCE)

    def open(self, make: MakeStore, options: Options, ran: Ran) -> tuple[QRLogin, Store]:
        store: AsyncStore = self.call(make)
        desk = _AsyncQRLogin(store, ran, options)
        return cast(QRLogin, _Face(desk, self.call)), cast(Store, _Face(store, self.call))

    def at_once(self, calls: Sequence[tuple[QRLogin, Operation[Any]]]) -> list[Any]:
        async def all_of_them() -> list[Any]:
            return await asyncio.gather(
                *(_awaited_caught(self.shell(desk).run(operation)) for desk, operation in calls)
            )

        return cast(list[Any], self.call(all_of_them))

    @staticmethod
    def shell(desk: QRLogin) -> AsyncQRLogin:
        """The one that is awaited, for use inside the loop."""
        shell: AsyncQRLogin = cast(_Face, desk).behind
        return shell

    def alive(self) -> int:
        return _threads() + len(asyncio.all_tasks(self._loop))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


def _threads() -> int:
    return sum(not thread.name.startswith("suite") for thread in threading.enumerate())


class _Face:
    """Something awaited, from outside of its loop: the same names, blocking."""

    def __init__(self, behind: Any, call: Callable[..., Any]) -> None:
        self.behind, self._call = behind, call

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.behind, name)
        return partial(self._call, attribute) if callable(attribute) else attribute


class _QRLogin(QRLogin):
    """The real shell; it tells when it has asked the store."""

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
