"""Processes of the version before share a server with those of this one, while they are replaced.

That version keeps a record as a hash, and one script carries out every command. A login that it
began goes on in both. A login that this version began is unavailable there for a moment: its
browser asks again, and another process answers.
"""

import itertools
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from qrlogin import (
    STANDARD,
    AlreadyRedeemed,
    QRLogin,
    TooManyBegins,
    TooManyGuesses,
    Unavailable,
    UnknownLogin,
)
from qrlogin.limits import Limits
from qrlogin.step import Command, Reply, Verdict
from qrlogin.stores import RedisStore
from qrlogin.stores.redis_calls import RedisCalls, as_text
from qrlogin.table import State
from tests.application import KEY, URI

SCRIPT: Final = Path(__file__).with_name("step_of_hashes.lua").read_text("utf-8")
#: What is taken comes back after a minute.
LIMITS: Final = replace(STANDARD.limits or Limits(), begins=4, begins_per_minute=1)
POLICY: Final = replace(STANDARD, user_codes=True, limits=LIMITS)


class StoreOfHashes:
    """The store of the version before, without notifications."""

    def __init__(self, url: str, prefix: str) -> None:
        self._client: Any = redis.Redis.from_url(url)
        self._calls = RedisCalls(prefix, None)

    def apply(self, command: Command) -> Reply:
        channel, row = self._calls.channel(command.login_id), command.row
        columns = {column.name: getattr(row, column.name) for column in fields(row)}
        columns |= {"sources": dict(row.sources), "starts": dict(row.starts)}
        columns["count"] = asdict(row.count) if row.count else None
        asked = {
            "login_id": command.login_id,
            "mark": command.mark,
            "values": dict(command.values),
            "durations": dict(command.durations),
            "deadline_ms": command.deadline_ms,
            "ttl_ms": command.ttl_ms,
            "row": _without_none(columns),
        }
        try:
            login_id, mark, verdict, now, flat = self._client.eval(
                SCRIPT,
                1,
                f"{channel}:{command.login_id}",
                json.dumps(_without_none(asked)),
                channel,
                "",
            )
        except redis.RedisError as error:
            raise Unavailable(str(error)) from error
        texts = [as_text(text) for text in flat]
        record = dict(zip(texts[::2], texts[1::2], strict=True))
        return Reply(as_text(login_id), as_text(mark), Verdict(as_text(verdict)), int(now), record)

    def listen(self, login_id: str) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        self._client.close()


def _without_none(texts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in texts.items() if value is not None}


@pytest.fixture
def old_and_new(redis_url: str) -> Iterator[tuple[QRLogin, QRLogin]]:
    prefix = f"{uuid.uuid4().hex}:"
    stores = StoreOfHashes(redis_url, prefix), RedisStore.from_url(redis_url, prefix=prefix)
    old, new = (
        QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=POLICY) for store in stores
    )
    with old, new:
        yield old, new


def walk(begins: QRLogin, scans: QRLogin, confirms: QRLogin, redeems: QRLogin) -> list[State]:
    """One login, each step in a process. Returns the states that its browser reads."""
    begun = begins.begin(context={"address": "192.0.2.7"})
    states = [scans.status(begun.device_code).state]
    scans.scan(begun.scan_code, subject="alice", shown_as="A")
    states.append(confirms.status(begun.device_code).state)
    confirms.confirm(begun.scan_code, subject="alice", name="alice@example.com")
    seen = redeems.status(begun.device_code)
    assert seen.scanned_by is not None
    op, tag = "0123456789abcdef", seen.scanned_by.tag
    redeemed = [
        each.redeem(begun.device_code, acknowledged=tag, op=op) for each in (redeems, confirms)
    ]
    assert [each.replayed for each in redeemed] == [False, True]
    with pytest.raises(AlreadyRedeemed):
        confirms.redeem(begun.device_code, acknowledged=tag, op="another" + op)
    return [*states, seen.state]


@pytest.mark.parametrize("steps", [*itertools.product((0, 1), repeat=3)])
def test_a_login_that_an_older_process_began_goes_on_in_both(
    old_and_new: tuple[QRLogin, QRLogin], steps: tuple[int, ...]
) -> None:
    states = walk(old_and_new[0], *(old_and_new[step] for step in steps))
    assert states == [State.PENDING, State.SCANNED, State.CONFIRMED]


def test_an_older_process_cannot_read_a_new_login_and_does_it_no_harm(
    old_and_new: tuple[QRLogin, QRLogin],
) -> None:
    old, new = old_and_new
    begun = new.begin()
    for ask in (
        lambda: old.status(begun.device_code),
        lambda: old.scan(begun.scan_code, subject="alice", shown_as="A"),
        lambda: old.cancel(begun.device_code),
    ):
        with pytest.raises(Unavailable):
            ask()
    assert walk(new, new, new, new) == [State.PENDING, State.SCANNED, State.CONFIRMED]
    assert new.status(begun.device_code).state is State.PENDING


@pytest.mark.parametrize("first", [0, 1])
def test_both_take_from_one_allowance(old_and_new: tuple[QRLogin, QRLogin], first: int) -> None:
    """So an upgrade grants no address more begins, and refuses none."""
    for number in range(LIMITS.begins):
        old_and_new[(first + number) % 2].begin(context={"address": "198.51.100.9"})
    for each in old_and_new:
        with pytest.raises(TooManyBegins):
            each.begin(context={"address": "198.51.100.9"})


@pytest.mark.parametrize("first", [0, 1])
def test_both_count_the_wrong_guesses_of_an_account(
    old_and_new: tuple[QRLogin, QRLogin], first: int
) -> None:
    for number in range(POLICY.guesses):
        with pytest.raises(UnknownLogin):
            old_and_new[(first + number) % 2].scan("WDJB-MJHT", subject="mallory", shown_as="M")
    for each in old_and_new:
        with pytest.raises(TooManyGuesses):
            each.scan("WDJB-MJHT", subject="mallory", shown_as="M")
