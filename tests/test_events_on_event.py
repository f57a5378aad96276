"""Events go to a callback of the right colour, which cannot break a login, and to the log."""

import asyncio
import gc
import logging
from functools import partial
from typing import Any

import pytest

from qrlogin import (
    AsyncMemoryStore,
    AsyncQRLogin,
    Begun,
    Event,
    MemoryStore,
    Misconfigured,
    QRLogin,
    State,
)
from qrlogin.keys import Key
from qrlogin.operation import Operation
from qrlogin.step import Command, Reply
from qrlogin.stores.suite.colours import PATIENCE
from tests.application import ALICE, BOB, KEY, OP, SHOWN, URI, App, Awaited
from tests.security_rows import row


class Trouble(Exception):
    pass


def test_a_callback_that_fails_does_not_break_the_login(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise Trouble("the mail server is down")

    async def awaited(event: Event) -> None:
        broken(event)

    app = App()
    app.qr = QRLogin(app.store, secret_keys=[KEY], verification_uri=URI, on_event=broken)
    begun, tag = app.reach(State.CONFIRMED)
    assert app.qr.redeem(begun.device_code, acknowledged=tag).subject == ALICE
    twin = AsyncQRLogin(
        Awaited(app.store), secret_keys=[KEY], verification_uri=URI, on_event=awaited
    )
    assert asyncio.run(twin.begin()).state is State.PENDING
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.args and record.args[1] for record in failures] == [  # type: ignore[index]
        "begun",
        "scanned",
        "confirmed",
        "redeemed",
        "begun",
    ]
    assert all(record.exc_info and record.exc_info[0] is Trouble for record in failures)
    for secret in (ALICE, SHOWN[ALICE], begun.device_code, begun.scan_code):
        assert secret not in caplog.text


def test_a_callback_that_fails_is_not_called_again() -> None:
    called = list[str]()

    def broken(event: Event) -> None:
        called.append(event.name)
        raise Trouble

    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, on_event=broken)
    operation = qr.core.begin()
    for _ in range(2):
        qr.run(operation)
    assert called == ["begun"]


def test_a_reply_is_interpreted_once_with_a_listener_too(monkeypatch: pytest.MonkeyPatch) -> None:
    app, asked, sealed = App(), list[Event](), list[str]()
    begun, tag = app.reach(State.CONFIRMED)
    qr = QRLogin(app.store, secret_keys=[KEY], verification_uri=URI, on_event=asked.append)
    genuine = Key.mac

    def mac(key: Key, purpose: str, *parts: str) -> str:
        sealed.append(purpose)
        return genuine(key, purpose, *parts)

    monkeypatch.setattr(Key, "mac", mac)
    qr.redeem(begun.device_code, acknowledged=tag)
    assert [event.name for event in asked] == ["redeemed"]
    assert sealed.count("confirm") == 1, "the seal of the approval was checked more than once"


def test_the_events_of_an_operation_are_forgotten_with_it() -> None:
    asked = list[Event]()
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, on_event=asked.append)
    operation = qr.core.begin()
    for _ in range(2):
        qr.run(operation)
    assert (len(asked), len(qr._emitted._by_operation)) == (1, 1)
    del operation
    gc.collect()
    assert len(qr._emitted._by_operation) == 0


def test_keyboard_interrupt_and_cancellation_are_not_swallowed() -> None:
    def interrupted(event: Event) -> None:
        raise KeyboardInterrupt

    async def cancelled(event: Event) -> None:
        raise asyncio.CancelledError

    with pytest.raises(KeyboardInterrupt):
        QRLogin(
            MemoryStore(), secret_keys=[KEY], verification_uri=URI, on_event=interrupted
        ).begin()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(
            AsyncQRLogin(
                AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI, on_event=cancelled
            ).begin()
        )


@pytest.mark.parametrize("where", ["in the store", "on the way back", "in the callback"])
def test_a_cancelled_call_that_changed_the_login_emits_one_event(where: str) -> None:
    """A browser disconnects, its server cancels the redeem, and the browser repeats it."""

    class Slow(AsyncMemoryStore):
        async def apply(self, command: Command) -> Reply:
            await pause("in the store")
            reply = await super().apply(command)
            await pause("on the way back")
            return reply

    async def listener(event: Event) -> None:
        await pause("in the callback")
        names.append(event.name)

    async def pause(here: str) -> None:
        if cancelling and where == here:
            reached.set()
            await asyncio.sleep(0.05)

    async def story() -> None:
        async with AsyncQRLogin(
            Slow(), secret_keys=[KEY], verification_uri=URI, on_event=listener
        ) as qr:
            begun = await qr.begin()
            await qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
            await qr.confirm(begun.scan_code, subject=ALICE)
            scanned_by = (await qr.status(begun.device_code)).scanned_by
            assert scanned_by
            cancelling.append(True)
            redeem = partial(qr.redeem, begun.device_code, acknowledged=scanned_by.tag, op=OP)
            call = asyncio.create_task(redeem())
            await reached.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            cancelling.clear()
            if where != "in the store":
                assert (await redeem()).replayed
        assert names == ["begun", "scanned", "confirmed", "redeemed"]  # close() waited for it
        assert asyncio.all_tasks() == {asyncio.current_task()}

    names, cancelling, reached = list[str](), list[bool](), asyncio.Event()
    asyncio.run(story())


def test_a_callback_may_close_the_application() -> None:
    async def listener(event: Event) -> None:
        await qr.close()

    qr = AsyncQRLogin(
        AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI, on_event=listener
    )
    asyncio.run(asyncio.wait_for(qr.begin(), 20))


def test_a_callback_may_use_the_application() -> None:
    """The callback runs outside of every lock: here it cancels what the wrong account scanned."""
    begun = list[Begun]()

    def listener(event: Event) -> None:
        if event.name == "scanned":
            qr.cancel(begun[0].device_code)

    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, on_event=listener)
    begun.append(qr.begin())
    qr.scan(begun[0].scan_code, subject=BOB, shown_as=SHOWN[BOB])
    assert qr.status(begun[0].device_code).state is State.CANCELLED


async def awaited_listener(event: Event) -> None:
    pass


class AwaitedListener:
    async def __call__(self, event: Event) -> None:
        pass


def test_a_callback_of_the_wrong_colour_is_refused() -> None:
    qr = partial(QRLogin, MemoryStore(), secret_keys=[KEY], verification_uri=URI)
    twin = partial(AsyncQRLogin, AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)
    awaited: list[Any] = [
        awaited_listener,
        AwaitedListener(),
        AwaitedListener().__call__,
        partial(awaited_listener),
    ]
    blocking: list[Any] = [list[Event]().append, print, lambda event: None, partial(print)]
    for each in awaited:
        twin(on_event=each)
        with pytest.raises(Misconfigured, match="write it with def, or use AsyncQRLogin"):
            qr(on_event=each)
    for each in blocking:
        qr(on_event=each)
        with pytest.raises(Misconfigured, match="write it with async def, or use QRLogin"):
            twin(on_event=each)
    nothing: Any = "log"
    for make in (qr, twin):
        make(on_event=None)
        with pytest.raises(Misconfigured, match="a function of one argument"):
            make(on_event=nothing)


# The log


@row(461)
def test_the_log_has_one_line_for_each_event_and_names_no_person(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App()
    with caplog.at_level(logging.INFO, "qrlogin"):
        begun, tag = app.reach(State.CONFIRMED)
        for _ in range(2):
            app.qr.redeem(begun.device_code, acknowledged=tag, op=OP)
    steps = enumerate(("begun", "scanned", "confirmed", "redeemed"), 1)
    assert caplog.messages == [
        f"login {begun.login_id} {name} (version {version})" for version, name in steps
    ]
    assert {record.name for record in caplog.records} == {"qrlogin"}


def test_without_a_callback_no_event_is_built(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a callback and above INFO no event is made, and none of its seals is checked."""
    asked = list[bool]()
    genuine = Operation.resume

    def resume(operation: Operation[Any], reply: Reply, *, with_event: bool = True) -> Any:
        asked.append(with_event)
        step = genuine(operation, reply, with_event=with_event)
        assert step.event is None
        return step

    monkeypatch.setattr(Operation, "resume", resume)
    with caplog.at_level(logging.WARNING, "qrlogin"):
        QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI).begin()
        asyncio.run(
            AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI).begin()
        )
    assert asked == [False, False]


def test_a_refused_call_that_was_cancelled_leaves_no_unretrieved_error() -> None:
    """asyncio logs the exception of a task that no one retrieves, when the task is collected."""
    unretrieved = list[dict[str, Any]]()

    async def on_event(event: Event) -> None:
        pass

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: unretrieved.append(what))
        store = AsyncMemoryStore()
        qr = AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI, on_event=on_event)
        begun, apply = await qr.begin(), store.apply

        async def slow_apply(command: Command) -> Reply:
            await asyncio.sleep(0.01)
            return await apply(command)

        store.apply = slow_apply  # type: ignore[method-assign]
        call = asyncio.create_task(qr.confirm(begun.scan_code, subject=ALICE))
        await asyncio.sleep(0)
        call.cancel()
        await qr.close()
        await asyncio.gather(call, return_exceptions=True)
        gc.collect()

    asyncio.run(main())
    gc.collect()
    assert unretrieved == []


def test_several_on_event_callbacks_may_close_at_once() -> None:
    """Each waits for the events of the other calls, but not for one that closes, too."""

    async def main() -> None:
        together = asyncio.Barrier(3)

        async def on_event(event: Event) -> None:
            await together.wait()
            if event.name == "cancelled":
                await asyncio.create_task(qr.close())  # as asyncio.wait_for of Python 3.11 does
            await qr.close()

        qr = AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)
        logins = [await qr.begin() for _ in range(3)]
        qr._on_event = on_event
        calls = [
            qr.scan(logins[0].scan_code, subject=ALICE, shown_as="A"),
            qr.scan(logins[1].scan_code, subject=ALICE, shown_as="A"),
            qr.cancel(logins[2].device_code),
        ]
        await asyncio.wait_for(asyncio.gather(*calls), PATIENCE)

    asyncio.run(main())


def test_close_waits_for_the_events_of_calls_that_do_not_close() -> None:
    async def main() -> None:
        emitted = list[str]()

        async def on_event(event: Event) -> None:
            await asyncio.sleep(0.05)
            emitted.append(event.name)

        qr = AsyncQRLogin(
            AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI, on_event=on_event
        )
        calls = [asyncio.create_task(qr.begin()) for _ in range(2)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await qr.close()
        assert emitted == ["begun", "begun"]

    asyncio.run(main())
