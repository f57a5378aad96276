"""What a Redis store does with the messages of its subscription, and how it notices its silence.

It reads no connection itself and does not import redis, so both Redis stores use it as it is.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from qrlogin.clock import monotonic
from qrlogin.stores.listeners import AsyncListeners, Listeners
from qrlogin.stores.outages import OutageLog, attempt_seconds, pause_seconds
from qrlogin.stores.redis_calls import BUCKETS, as_text

#: Seconds without a message after which a PING is sent.
SILENCE_SECONDS = 0.5
#: Seconds without an answer to the PING after which the subscription is dead. With the time for two
#: attempts to make a new one, a browser hears of a change within two seconds after it died.
ANSWER_SECONDS = 0.75
#: Seconds to wait for one message. The thread that subscribes sees after each that the store was
#: closed.
TICK_SECONDS = 0.25

# After a (re)subscription, every login that has a listener is read again, a few at a time.
# Thousands of reads at once would keep the server and this process busy for seconds.
#: How many listeners are notified at a time: fewer than a store that blocks has connections, and so
#: many that the event loop of an asyncio store runs them within 10 ms.
BATCH: Final = 20
#: Seconds between two batches, in a store that blocks.
BLOCKING_PAUSE: Final = 0.01
#: The same in an asyncio store: it sends the reads of several batches in one pipeline.
PIPELINED_PAUSE: Final = 0.002
#: Once so many calls wait for the server, one listener is notified at a time.
_MANY_CALLS: Final = 100


class Subscription:
    """Notifies the listeners of a store of what its subscription receives.

    :param listeners: the store's registry.
    :param outages: where it says that notifications fail or work.
    :param longest: seconds that an attempt to subscribe may take, also after many have failed.
    :param pause: seconds between two batches of listeners after a (re)subscription.
    :param renew: is called when the connection was open on this side only: others may be, too.
    """

    def __init__(
        self,
        listeners: Listeners | AsyncListeners,
        outages: OutageLog,
        longest: float = 2.0,
        pause: float = BLOCKING_PAUSE,
        *,
        renew: Callable[[], None] = lambda: None,
    ) -> None:
        self._listeners, self._outages, self._pause = listeners, outages, pause
        self._renew = renew
        listeners.reliable = False  # a forked child has its parent's, but not its subscription
        self._failures = 0
        self._silent_seconds, self._pinged = 0.0, False
        self._began, self._confirmed = monotonic(), False
        self._took = 0.0  # seconds until the last PING or subscription was answered, at most 1
        self._longest = self._seconds = longest
        #: Listeners that have not been notified since the subscription was made.
        self._unnotified = deque[Any]()
        self._next_batch_at = 0.0

    def begin(self) -> float:
        """Begin an attempt to subscribe. Returns how many seconds it may take, and the confirmation
        as many.
        """
        self._silent_seconds, self._pinged = 0.0, False
        self._began, self._confirmed = monotonic(), False
        self._seconds = min(self._longest, attempt_seconds(self._failures, self._took))
        return self._seconds

    @property
    def timeout(self) -> float:
        """Seconds to wait for the next message."""
        return self._pause if self._unnotified else TICK_SECONDS

    def receive(self, message: Mapping[str, Any] | None, running_calls: int = 0) -> None:
        """Notify the listeners that this message concerns, and the next few after a
        (re)subscription.

        :param message: as redis-py returns it; None: no message arrived within `timeout`.
        :param running_calls: how many calls wait for the server. The more they are, the fewer
            listeners are notified.
        """
        if message is None:
            # Counted and not measured: a process that was suspended has not waited for a message in
            # that time.
            self._silent_seconds += self.timeout
        else:
            if self._pinged:
                self._took = min(1.0, self._silent_seconds + TICK_SECONDS)
            self._silent_seconds, self._pinged = 0.0, False
            if message["type"] == "message":
                self._listeners.notify(as_text(message["data"]).partition(" ")[0])
            elif message["type"] == "subscribe" and message["data"] == BUCKETS:  # the last channel
                self._failures, self._confirmed = 0, True
                self._took = min(1.0, monotonic() - self._began)
                self._outages.works("notifications")
                self._listeners.reliable = True  # first: what a wait misses now is read again below
                self._unnotified = deque(self._listeners.oldest_first())
        if self._unnotified and monotonic() >= self._next_batch_at:
            most = max(1, min(BATCH, _MANY_CALLS - running_calls))
            for _ in range(min(len(self._unnotified), most)):
                self._unnotified.popleft().notify()
            self._next_batch_at = monotonic() + self._pause

    def needs_ping(self) -> bool:
        """Whether to send a PING now.

        Raises ConnectionError if the subscription is not confirmed, or if the last PING was not
        answered: the connection is open on this side only.
        """
        if not self._confirmed:
            if self._silent_seconds >= self._seconds:
                raise ConnectionError("the subscription is not confirmed")
            return False
        answers_in = max(ANSWER_SECONDS, 2 * self._took)
        if self._silent_seconds < (answers_in if self._pinged else SILENCE_SECONDS):
            return False
        if self._pinged:
            self._renew()
            raise ConnectionError("the subscription does not answer")
        self._silent_seconds, self._pinged = 0.0, True
        return True

    def pause_after(self, error: Exception) -> float:
        """Seconds until the next attempt to subscribe: longer after each failure, at most 1, and at
        random.

        :param error: why the last attempt or the last subscription ended.
        """
        self._listeners.reliable = False
        self._unnotified.clear()  # the next subscription notifies them all
        self._outages.failed("notifications", error)
        self._failures += 1
        return pause_seconds(self._failures, 0.0 if self._confirmed else monotonic() - self._began)
