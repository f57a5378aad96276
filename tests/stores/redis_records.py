"""Records as Redis keeps them, read and written past the library."""

import json
from collections.abc import Mapping
from typing import Any

import redis

from qrlogin.stores.redis_calls import as_text
from qrlogin.stores.redis_script import RowScripts
from tests.cases import ROWS


def load_scripts(url: str) -> None:
    """Load the script of every row, so that no call is answered NOSCRIPT: a test that loses a reply
    means that of the command.
    """
    with redis.Redis.from_url(url) as client:
        for scripts in map(RowScripts.of, ROWS):
            client.script_load(scripts.beginning.text)
            client.script_load(scripts.under_way.text)


def record_at(client: Any, key: str | bytes) -> dict[str, str]:
    """The record of this key; empty if there is none."""
    is_hash = as_text(client.type(key)) == "hash"
    return read_record(client.hgetall(key) if is_hash else client.get(key))


def as_text_of(record: Mapping[str, str]) -> bytes:
    """The value of the key of a record."""
    return json.dumps(dict(record), ensure_ascii=False).encode("utf-8", "surrogateescape")


def as_hash(record: Mapping[str, str]) -> dict[bytes, bytes]:
    """The hash of a record, as versions before this one keep it."""
    return {_as_bytes(name): _as_bytes(value) for name, value in record.items()}


def read_record(kept: Any) -> dict[str, str]:
    """A record, from the answer to GET or HGETALL; empty if there is none."""
    if isinstance(kept, Mapping):
        return {as_text(name): as_text(value) for name, value in kept.items()}
    read: dict[str, str] = json.loads(as_text(kept)) if kept else {}
    return read


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
