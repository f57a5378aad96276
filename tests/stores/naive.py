"""The store that every tutorial writes: get, check, set. It is what the tests are there to catch.

It knows the table, checks every proof and every deadline, notifies listeners, and deletes records.
But it does not decide in one step (`locked` mends that), it does not expect a resent command
(`forgiving` mends that), and every command with a time to live sets it.
"""

import json
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from qrlogin.clock import now_ms
from qrlogin.step import Command, Record, Reply, step
from qrlogin.stores.listeners import Listeners, LocalListener

AWAY_SECONDS = 0.0003  # between the check and the set: a round trip to a server on the same machine
POLL_SECONDS = 0.1  # a tutorial's page polls; another process gets no notifications


class NaiveStore:
    """In memory."""

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
            record = self._get(command.login_id, now)
            outcome = step(record, replace(command, row=row), now)
            if outcome.changes:
                self._set(command.login_id, outcome.reply.record, command.ttl_ms, now)
        if outcome.notify:
            self._listeners.notify(command.login_id)
        return outcome.reply

    def _get(self, login_id: str, now: int) -> Record:
        record, until = self._records.get(login_id, ({}, 0))
        return record if now < until else {}

    def _set(self, login_id: str, record: Record, ttl_ms: int | None, now: int) -> None:
        """Without a time to live, the record is kept for as long as before."""
        until = self._records[login_id][1] if ttl_ms is None else now + ttl_ms
        time.sleep(AWAY_SECONDS)
        self._records[login_id] = record, until

    def listen(self, login_id: str) -> LocalListener:
        return self._listeners.listen(login_id)

    def close(self) -> None:
        self._listeners.close()


class NaiveRedisStore(NaiveStore):
    """In Redis. The errors of its client leave it.

    :param url: of a Redis.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._listeners = Listeners(reread=POLL_SECONDS)
        # With time-outs, which a tutorial does not set either: without them its callers hang.
        self._client: Any = redis.Redis.from_url(
            url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )

    def _get(self, login_id: str, now: int) -> Record:
        found: Record = json.loads(self._client.get(f"naive:{login_id}") or "{}")
        return found

    def _set(self, login_id: str, record: Record, ttl_ms: int | None, now: int) -> None:
        text = json.dumps(dict(record))
        self._client.set(f"naive:{login_id}", text, px=ttl_ms, keepttl=ttl_ms is None)

    def close(self) -> None:
        super().close()
        self._client.close()
