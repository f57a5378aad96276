"""What a process has reported already: the events that it has emitted, so that an operation that is
run again emits none twice, and the forged records that are in its log.
"""

from typing import Any, Final
from weakref import WeakKeyDictionary

from qrlogin.answers import Event
from qrlogin.operation import Operation

#: Forged records that are remembered. Another program can write any number of them.
_MOST_FORGED: Final = 1000


class ForgedRecords:
    """The records that failed their seal. A browser that polls such a record would otherwise fill
    the log.
    """

    def __init__(self) -> None:
        self._noted: set[str] = set()

    def add(self, record_id: str) -> bool:
        """Whether this record is new here. After a thousand records, all are forgotten."""
        if record_id in self._noted:
            return False
        if len(self._noted) >= _MOST_FORGED:
            self._noted.clear()
        self._noted.add(record_id)
        return True


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
