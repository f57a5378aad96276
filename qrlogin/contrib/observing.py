"""`Observer`: sees what happens, and changes nothing. Metrics and traces are observers.

    from qrlogin.contrib.prometheus import Metrics

    Metrics().observe(endpoint)

Write one of your own for another system: override what it needs. `observe` replaces a few
attributes of the endpoint and of its `QRLogin`, so an application without an observer runs no line
of this module. Several observers may observe the same endpoint.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Final
from weakref import WeakSet

from qrlogin.aio import AsyncQRLogin
from qrlogin.answers import Event
from qrlogin.errors import BadRequest, QRLoginError
from qrlogin.login import QRLogin
from qrlogin.step import Command, Reply
from qrlogin.stores.protocol import AsyncStore, Store
from qrlogin.wire.endpoint import AsyncEndpoint, Endpoint
from qrlogin.wire.message import METHODS, Request, Response
from qrlogin.wire.routes import match
from qrlogin.wire.slots import WaitSlots
from qrlogin.wire.unrouted import UnroutedLog

__all__ = ["Observer"]

Observed = Endpoint | AsyncEndpoint | QRLogin | AsyncQRLogin

#: The label of a method that HTTP does not define. A client may send any text.
OTHER: Final = "_OTHER"

log: Final = logging.getLogger("qrlogin")


def _ignore(_: object) -> None:
    pass


class Observer:
    """Sees each event, each command to the store, each request and each refusal.

    Every method does nothing here. Override those that you need. They run while a browser or a
    phone waits, in any thread, so they must be quick. What they raise is logged, each kind of error
    once, and the login goes on.

    No argument holds a code, a key or an address. An `Event` names the user: do not pass its
    `subject`, `shown_as`, `phone` and `context` on to what keeps them for long.
    """

    def __init__(self) -> None:
        self._observed = WeakSet[Observed]()

    def observe(self, *observed: Observed) -> None:
        """Observe these endpoints and their logins. A `QRLogin` alone has no requests.

        Call it before the first request. An object that is given again is observed once.
        """
        for each in observed:
            if each in self._observed:
                continue
            self._observed.add(each)
            if isinstance(each, Endpoint | AsyncEndpoint):
                self.serving(each._slots)
                _observe_endpoint(each, _Guarded(self))
                self.observe(each.qr)
            elif isinstance(each, QRLogin):
                each._store = _ObservedStore(each._store, _Guarded(self))
                each._on_event = _with_event(each._on_event, _Guarded(self))
            else:
                each._store = _AsyncObservedStore(each._store, _Guarded(self))
                each._on_event = _with_async_event(each._on_event, _Guarded(self))

    def serving(self, slots: WaitSlots) -> None:
        """An endpoint is observed that has these slots. `slots.taken` is how many requests it holds
        now. Endpoints may share them.
        """

    def event(self, event: Event) -> None:
        """A login has changed."""

    def command(self, name: str) -> AbstractContextManager[Callable[[str], object]]:
        """Surrounds one command to the store, such as "scan".

        The function that it yields is called with the store's answer in one word (`Verdict`). It is
        not called if the store does not answer: then `Unavailable` leaves the context.
        """
        return nullcontext(_ignore)

    def request(
        self, side: str, method: str, route: str
    ) -> AbstractContextManager[Callable[[int], object]]:
        """Surrounds one request to an endpoint, held ones for as long as they are held. The rest of
        a stream, and websockets, are not in it.

        The function that it yields is called with the status of the response.

        :param side: "browser" or "phone".
        :param method: as HTTP defines it, or "_OTHER".
        :param route: the path of the route, such as "{login_id}/redeem"; "" if no route has the
            path of the request.
        """
        return nullcontext(_ignore)

    def refusal(self, side: str, error: QRLoginError) -> None:
        """A request was refused, inside its `request`. `error.wire_code` is one of a fixed set.

        `side` is "browser" or "phone".
        """


class _Guarded:
    """An observer whose errors are logged and not raised: metrics that fail, as with a full disk,
    are no reason to refuse a login.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._logged: set[type[Exception]] = set()

    def event(self, event: Event) -> None:
        try:
            self._observer.event(event)
        except Exception as error:
            self.failed(error)

    def refusal(self, side: str, refused: QRLoginError) -> None:
        try:
            self._observer.refusal(side, refused)
        except Exception as error:
            self.failed(error)

    def command(self, name: str) -> "_Surrounded":
        return _Surrounded(self, lambda: self._observer.command(name))

    def request(self, side: str, method: str, route: str) -> "_Surrounded":
        return _Surrounded(self, lambda: self._observer.request(side, method, route))

    def failed(self, error: Exception) -> None:
        if type(error) not in self._logged:
            self._logged.add(type(error))
            log.error("%s failed; logins go on", type(self._observer).__name__, exc_info=error)


class _Surrounded:
    """A context that an observer makes. It neither raises nor hides anything of its own."""

    __slots__ = ("_answered", "_context", "_guarded", "_make")

    def __init__(
        self, guarded: _Guarded, make: Callable[[], AbstractContextManager[Callable[[Any], object]]]
    ) -> None:
        self._guarded, self._make = guarded, make
        self._answered: Callable[[Any], object] = _ignore
        self._context: AbstractContextManager[Any] | None = None

    def __enter__(self) -> Callable[[Any], object]:
        try:
            context = self._make()
            self._answered = context.__enter__()
            self._context = context
        except Exception as error:
            self._guarded.failed(error)
        return self._answer

    def _answer(self, said: object) -> None:
        try:
            self._answered(said)
        except Exception as error:
            self._guarded.failed(error)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._context is None:
            return
        try:
            self._context.__exit__(kind, raised, trace)
        except Exception as error:
            if error is not raised:
                self._guarded.failed(error)


class _ObservedStore:
    """A store, and an observer of its commands."""

    def __init__(self, store: Store, observer: _Guarded) -> None:
        self._store, self._observer = store, observer
        self.listen, self.close = store.listen, store.close

    def apply(self, command: Command) -> Reply:
        with self._observer.command(command.row.name) as answered:
            reply = self._store.apply(command)
            answered(reply.verdict)
            return reply

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)  # what a store has beyond the protocol


class _AsyncObservedStore:
    """`_ObservedStore` for asyncio."""

    def __init__(self, store: AsyncStore, observer: _Guarded) -> None:
        self._store, self._observer = store, observer
        self.listen, self.close = store.listen, store.close

    async def apply(self, command: Command) -> Reply:
        with self._observer.command(command.row.name) as answered:
            reply = await self._store.apply(command)
            answered(reply.verdict)
            return reply

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _with_event(
    on_event: Callable[[Event], None] | None, observer: _Guarded
) -> Callable[[Event], None]:
    """Calls the application's function first, and the observer even if that one raises."""

    def both(event: Event) -> None:
        try:
            if on_event is not None:
                on_event(event)
        finally:
            observer.event(event)

    return both


def _with_async_event(
    on_event: Callable[[Event], Awaitable[None]] | None, observer: _Guarded
) -> Callable[[Event], Awaitable[None]]:
    async def both(event: Event) -> None:
        try:
            if on_event is not None:
                await on_event(event)
        finally:
            observer.event(event)

    return both


class _ObservedRefusals(UnroutedLog):
    """Is notified of every refusal of an endpoint, and writes what the endpoint's log writes."""

    def __init__(self, inner: UnroutedLog, observer: _Guarded) -> None:
        self._inner, self._observer = inner, observer

    def note(self, error: QRLoginError, request: Request, side: str) -> None:
        self._observer.refusal(side, error)
        self._inner.note(error, request, side)


def _observe_endpoint(endpoint: Endpoint | AsyncEndpoint, observer: _Guarded) -> None:
    endpoint._unrouted = _ObservedRefusals(endpoint._unrouted, observer)

    def requesting(request: Request, side: str) -> _Surrounded:
        dialect = endpoint.dialect
        routes = dialect.phone_routes if side == "phone" else dialect.browser_routes
        method = request.method if request.method in METHODS else OTHER
        try:
            route = match(routes, request)[0].path
        except BadRequest:
            route = ""
        return observer.request(side, method, route)

    if isinstance(endpoint, Endpoint):
        answer = endpoint._respond

        def respond(request: Request, read: Any, side: str, *person: Any) -> Response:
            with requesting(request, side) as answered:
                response = answer(request, read, side, *person)
                answered(response.status)
                return response

        vars(endpoint)["_respond"] = respond
    else:
        awaited_answer = endpoint._respond

        async def awaited(request: Request, read: Any, side: str, *person: Any) -> Response:
            with requesting(request, side) as answered:
                response = await awaited_answer(request, read, side, *person)
                answered(response.status)
                return response

        vars(endpoint)["_respond"] = awaited
