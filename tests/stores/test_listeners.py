"""The registry notifies, forgets and limits listeners in ways that the suite cannot observe."""

import asyncio
import threading

import pytest

from qrlogin.clock import monotonic
from qrlogin.errors import Misconfigured, Superseded
from qrlogin.stores import AsyncListeners, Listeners
from qrlogin.stores.suite.colours import PATIENCE

SOON, NEVER = 0.001, 60.0


def test_a_closed_listener_leaves_the_registry() -> None:
    listeners = Listeners()
    with listeners.listen("a") as older, listeners.listen("b"):
        with listeners.listen("a"):
            assert len(listeners) == 2
            with pytest.raises(Superseded):
                older.wait(NEVER)
        assert len(listeners) == 1
    assert len(listeners) == 0


def test_a_closed_listener_leaves_the_awaited_registry() -> None:
    async def scenario() -> None:
        listeners = AsyncListeners()
        async with listeners.listen("a") as older, listeners.listen("b"):
            async with listeners.listen("a"):
                assert len(listeners) == 2
                with pytest.raises(Superseded):
                    await older.wait(NEVER)
            assert len(listeners) == 1
        assert len(listeners) == 0

    asyncio.run(scenario())


def test_a_notification_between_two_waits_is_not_lost() -> None:
    listeners = Listeners()
    with listeners.listen("a") as listener:
        listeners.notify("a")
        listeners.notify("b")
        assert listener.wait(NEVER)
        listeners.notify_all()
        assert listener.wait(NEVER)
        assert listener.wait(SOON)


def test_a_notification_while_a_wait_times_out_is_for_the_next_wait() -> None:
    listeners = Listeners(reread=NEVER)
    listeners.reliable = True
    with listeners.listen("a") as listener:

        class Late(threading.Event):
            """The notification arrives when the wait has timed out and has not returned yet."""

            def wait(self, timeout: float | None = None) -> bool:
                notified = super().wait(timeout)
                self.set()
                return notified

        listener._flag = Late()
        assert listener.wait(SOON)
        assert listener.timed_out
        assert listener.wait(1)
        assert not listener.timed_out


def test_a_listener_of_a_closed_registry_does_not_wait() -> None:
    listeners, returned = Listeners(), list[bool]()
    listeners.close()
    with listeners.listen("a") as listener:
        thread = threading.Thread(
            target=lambda: returned.append(listener.wait(2 * PATIENCE)), daemon=True
        )
        thread.start()
        thread.join(PATIENCE)
        assert returned == [False]


def test_the_timer_of_a_wait_varies_at_random() -> None:
    listeners = Listeners(reread=0.02)
    took = []
    with listeners.listen("a") as listener:
        for _ in range(20):
            started = monotonic()
            assert listener.wait(NEVER)
            took.append(monotonic() - started)
    assert min(took) >= 0.02 * 0.75
    assert len({round(seconds, 4) for seconds in took}) > 5


def test_the_timer_does_not_lengthen_a_shorter_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    listeners, asked = Listeners(reread=NEVER), list[float]()
    with listeners.listen("a") as listener:
        monkeypatch.setattr(listener, "_flag", threading.Event())
        monkeypatch.setattr(listener._flag, "wait", asked.append)
        listener.wait(0.5)
    assert asked == [0.5]


@pytest.mark.parametrize("reread", [0, -1, float("nan")])
def test_a_reread_that_is_not_above_zero_is_refused(reread: float) -> None:
    with pytest.raises(Misconfigured, match="reread must be a number of seconds above 0"):
        Listeners(reread=reread)
