"""The store that every tutorial writes: get, check, set. It is what the suite is there to catch.

It knows the table, checks every proof and every deadline, notifies listeners, and deletes records.
But it does not decide in one step (`locked` mends that), it does not expect a resent command
(`forgiving` mends that), and every command with a time to live sets it.
"""

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

from qrlogin.clock import now_ms
from qrlogin.step import Command, Record, Reply, step
from qrlogin.stores.listeners import Listeners, LocalListener

AWAY_SECONDS = 0.0003  # between the check and the set: a round trip to a server on the same machine


class NaiveStore:
    def __init__(
        self, *, now: Callable[[], int] = now_ms, locked: bool = False, forgiving: bool = False
    ) -> None:
        self._now, self._forgiving = now, forgiving
        self._lock = threading.Lock() if locked else nullcontext()
        self._records: dict[str, tuple[Record, int]] = {}  # and until when each is kept
        self._listeners = Listeners()

    def apply(self, command: Command) -> Reply:
        row = command.row if self._forgiving else replace(command.row, repeats=())
        with self._lock:
            now = self._now()
            record, until = self._get(command.login_id, now)
            outcome = step(record, replace(command, row=row), now)
            if outcome.changes:
                self._set(
                    command.login_id,
                    outcome.reply.record,
                    until if command.ttl_ms is None else now + command.ttl_ms,
                )
        if outcome.notify:
            self._listeners.notify(command.login_id)
        return outcome.reply

    def _get(self, login_id: str, now: int) -> tuple[Record, int]:
        record, until = self._records.get(login_id, ({}, 0))
        return (record, until) if now < until else ({}, 0)

    def _set(self, login_id: str, record: Record, until: int) -> None:
        time.sleep(AWAY_SECONDS)
        self._records[login_id] = record, until

    def listen(self, login_id: str) -> LocalListener:
        return self._listeners.listen(login_id)

    def close(self) -> None:
        self._listeners.close()
