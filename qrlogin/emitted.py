"""Which events a process has emitted, so that an operation that is run again emits none twice."""

from typing import Any
from weakref import WeakKeyDictionary

from qrlogin.answers import Event
from qrlogin.operation import Operation


class EmittedEvents:
    """The events of the operations that still exist. An operation that is gone cannot be run again,
    so its events are forgotten.

    It takes no lock: `setdefault` is atomic, so of several threads that run the same operation
    exactly one finds its own event.
    """

    def __init__(self) -> None:
        self._by_operation = WeakKeyDictionary[Operation[Any], dict[tuple[str, int], Event]]()

    def add(self, operation: Operation[Any], event: Event) -> bool:
        """Whether `operation` emits this event for the first time. It may emit several: a scan that
        comes again after a release is another change, with another version.

        :param operation: the one that the application runs, not one that follows from it.
        :param event: what it is about to emit.
        """
        emitted = self._by_operation.setdefault(operation, {})
        return emitted.setdefault((event.login_id, event.version), event) is event
