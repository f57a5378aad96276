"""Prometheus metrics: `pip install 'qrlogin[prometheus]'`.

    from qrlogin.contrib.prometheus import Metrics

    Metrics().observe(endpoint)

The metrics are in prometheus_client's registry, so what exports yours exports these. No label holds
a code, a user or an address, and the values of each label are a fixed set. docs/observability.md
lists the metrics.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakSet

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from qrlogin.answers import Event
from qrlogin.clock import monotonic
from qrlogin.contrib.observing import Observer
from qrlogin.errors import QRLoginError
from qrlogin.wire.slots import WaitSlots

__all__ = ["Metrics"]

#: Seconds that people take. The last ones are the longest windows of a policy.
_PEOPLE: Final = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 90, 120, 180, 300)
#: Seconds that a store takes.
_STORE: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics(Observer):
    """Counts what an endpoint and its logins do. Make one for each process, and let it observe all
    endpoints.

    With several worker processes, set up prometheus_client's multiprocess mode; the metrics need
    nothing else for it.

    :param registry: where the metrics are; prometheus_client's default. Two `Metrics` cannot be in
        the same one: ValueError.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__()
        self._slots = WeakSet[WaitSlots]()
        self._events = Counter(
            "qrlogin_events", "Changes of logins, by event.", ["event"], registry=registry
        )
        self._to_scan = Histogram(
            "qrlogin_time_to_scan_seconds",
            "From the begin of a login to the scan of its code.",
            buckets=_PEOPLE,
            registry=registry,
        )
        self._to_decide = Histogram(
            "qrlogin_time_to_decide_seconds",
            "From the scan to the decision on the phone, by event.",
            ["event"],
            buckets=_PEOPLE,
            registry=registry,
        )
        self._to_collect = Histogram(
            "qrlogin_time_to_collect_seconds",
            "From the approval on the phone to the login in the browser.",
            buckets=_PEOPLE,
            registry=registry,
        )
        self._store = Histogram(
            "qrlogin_store_seconds",
            "What one command to the store took, by command.",
            ["command"],
            buckets=_STORE,
            registry=registry,
        )
        self._store_errors = Counter(
            "qrlogin_store_errors",
            "Commands that the store did not answer, by command.",
            ["command"],
            registry=registry,
        )
        self._refusals = Counter(
            "qrlogin_refusals",
            "Requests that were refused, by side and by the reason that the client received.",
            ["side", "reason"],
            registry=registry,
        )
        self._waiting = Gauge(
            "qrlogin_waiting",
            "Browsers that wait now: requests that are held.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._most_waiting = Gauge(
            "qrlogin_waiting_limit",
            "How many browsers may wait at a time (max_waiting).",
            multiprocess_mode="livesum",
            registry=registry,
        )

    def serving(self, slots: WaitSlots) -> None:
        """Count the requests that are held in these slots."""
        self._slots.add(slots)
        self._most_waiting.set(sum(each.max_waiting for each in self._slots))
        self._count_waiting()

    def event(self, event: Event) -> None:
        """Count an event, and how long its step took."""
        self._events.labels(event.name).inc()
        if event.step_ms is None:
            return
        seconds = event.step_ms / 1000
        if event.name == "scanned":
            self._to_scan.observe(seconds)
        elif event.name in ("confirmed", "denied", "released"):
            self._to_decide.labels(event.name).observe(seconds)
        elif event.name == "redeemed":
            self._to_collect.observe(seconds)

    @contextmanager
    def command(self, name: str) -> Iterator[Callable[[str], object]]:
        """Measure a command to the store."""
        begun = monotonic()

        def answered(_: str) -> None:
            self._store.labels(name).observe(monotonic() - begun)

        try:
            yield answered
        except Exception:
            self._store_errors.labels(name).inc()
            raise
        # Also while a request is held: its first command follows when it has its slot.
        self._count_waiting()

    @contextmanager
    def request(self, side: str, method: str, route: str) -> Iterator[Callable[[int], object]]:
        """Count the held requests when this request is over.

        :param side: as of `Observer`.
        :param method: as of `Observer`.
        :param route: as of `Observer`.
        """
        try:
            yield lambda status: None
        finally:
            self._count_waiting()

    def refusal(self, side: str, error: QRLoginError) -> None:
        """Count a refusal by its reason."""
        self._refusals.labels(side, error.wire_code).inc()

    def _count_waiting(self) -> None:
        # Set and not counted: a slot may be given back inside a garbage collection, where the locks
        # of prometheus_client must not be taken.
        self._waiting.set(sum(each.taken for each in self._slots))
