"""The store that every tutorial writes, in Redis: get, check, set.

It checks all that ours checks, by `step`. But another caller can come between its get and its set,
a call that is sent again after a lost reply is a second call, and the client's errors leave it.
"""

import json
from dataclasses import replace
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from qrlogin.clock import now_ms
from qrlogin.step import Command, Reply, step
from qrlogin.stores.listeners import Listeners, LocalListener

POLL_SECONDS = 0.1  # a tutorial's page polls; it gets no notifications


class NaiveRedisStore:
    """A `Store`, as far as one can see.

    :param url: of a Redis.
    """

    def __init__(self, url: str) -> None:
        # With time-outs, which a tutorial does not set either: without them its callers hang.
        self._client: Any = redis.Redis.from_url(
            url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        self._listeners = Listeners(reread=POLL_SECONDS)

    def apply(self, command: Command) -> Reply:
        key = f"naive:{command.login_id}"
        record = json.loads(self._client.get(key) or "{}")
        once = replace(command, row=replace(command.row, repeats=()))
        outcome = step(record, once, now_ms())
        if outcome.changes:
            text = json.dumps(dict(outcome.reply.record))
            self._client.set(key, text, px=command.ttl_ms, keepttl=command.ttl_ms is None)
        if outcome.notify:
            self._listeners.notify(command.login_id)
        return outcome.reply

    def listen(self, login_id: str) -> LocalListener:
        return self._listeners.listen(login_id)

    def close(self) -> None:
        self._listeners.close()
        self._client.close()
