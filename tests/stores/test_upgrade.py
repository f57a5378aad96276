"""Processes of other versions share a store with those of this one, while they are replaced.

A version that keeps records in another format has another `RECORD_FORMAT`. What it has written
stays as it is, byte for byte.

The version before keeps a record as a hash, and one script carries out every command. A login that
it began goes on in both. A login that this version began is unavailable there for a moment: its
browser asks again, and another process answers.
"""

import itertools
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from qrlogin import (
    STANDARD,
    AlreadyRedeemed,
    LoginError,
    QRLogin,
    TooManyBegins,
    TooManyGuesses,
    Unavailable,
    UnknownLogin,
)
from qrlogin.limits import Limits
from qrlogin.reply_checks import RECORD_FORMAT
from qrlogin.step import Command, Reply, Verdict
from qrlogin.stores import RedisStore
from qrlogin.stores.redis_calls import RedisCalls, as_text
from qrlogin.stores.sql import SQLStore
from qrlogin.table import State
from tests.application import KEY, URI
from tests.stores import record_table

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


# Records in another format


@dataclass
class Two:
    """Two processes over one store, of which one writes another format, and what the store keeps.

    Both formats differ in their number only, and that is enough: a process must not go by the rest
    of what it cannot read.
    """

    ours: QRLogin
    theirs: QRLogin
    kept: Callable[[str], object]
    """What the store keeps of a login, as it is there."""
    use: pytest.MonkeyPatch

    def as_theirs(self, call: Callable[[], Any]) -> Any:
        """Make a call as their version makes it."""
        with self.use.context() as patch:
            for module in ("core", "commands", "reply_checks"):
                patch.setattr(f"qrlogin.{module}.RECORD_FORMAT", "5")
            return call()


def _in_redis(url: str, prefix: str) -> Callable[[str], object]:
    client, calls = redis.Redis.from_url(url), RedisCalls(prefix, None)

    def kept(login_id: str) -> object:
        key = f"{calls.channel(login_id)}:{login_id}"
        return client.get(key), client.expiretime(key)

    return kept


def _in_file(path: Path) -> Callable[[str], object]:
    def kept(login_id: str) -> object:
        with sqlite3.connect(path) as connection:
            found = connection.execute(
                "SELECT * FROM qrlogin_logins WHERE login_id = ?", [login_id]
            )
            return found.fetchone()

    return kept


@pytest.fixture(params=["Redis", "SQLite"])
def two(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Two]:
    prefix, path = f"{uuid.uuid4().hex}:", tmp_path / "logins.db"
    stores: list[Any]
    if request.param == "Redis":
        url = request.getfixturevalue("redis_url")
        stores = [RedisStore.from_url(url, prefix=prefix) for _ in range(2)]
        kept = _in_redis(url, prefix)
    else:
        stores = [SQLStore(f"sqlite:///{path}") for _ in range(2)]
        kept = _in_file(path)
    ours, theirs = (
        QRLogin(
            store,
            secret_keys=[KEY],
            verification_uri=URI,
            policy=replace(POLICY, match_digits=2, limits=None),
        )
        for store in stores
    )
    with ours, theirs:
        yield Two(ours, theirs, kept, monkeypatch)


@pytest.mark.parametrize("last", ["begin", "scan", "confirm", "redeem", "deny", "cancel"])
def test_a_record_in_another_format_stays_as_it_is_and_the_answer_is_unavailable(
    two: Two, last: str
) -> None:
    """In every state, whatever is asked. Their version then ends the login as if none had asked."""
    ours, theirs, their = two.ours, two.theirs, two.as_theirs
    begun = their(theirs.begin)
    code, device_code, op = begun.scan_code, begun.device_code, "0123456789abcdef"
    tag, digits = "x" * 43, ""
    if last not in ("begin", "cancel"):
        their(lambda: theirs.scan(code, subject="alice", shown_as="A"))
        digits = their(lambda: theirs.status(device_code)).match_code
    if last in ("confirm", "redeem"):
        their(lambda: theirs.confirm(code, subject="alice", match_code=digits))
        tag = their(lambda: theirs.status(device_code)).scanned_by.tag
    if last == "redeem":
        their(lambda: theirs.redeem(device_code, acknowledged=tag, op=op))
    if last == "deny":
        their(lambda: theirs.deny(code, subject="alice"))
    if last == "cancel":
        their(lambda: theirs.cancel(device_code))
    right, wrong = digits or "00", f"{(int(digits or 0) + 1) % 100:02}"
    calls: list[Callable[[], object]] = [
        lambda: ours.status(device_code),
        lambda: ours.wait(device_code, timeout=0.01),
        lambda: ours.land(code),
        lambda: ours.look(code, subject="alice"),
        lambda: ours.scan(code, subject="alice", shown_as="A"),
        lambda: ours.scan(code, subject="bob", shown_as="B"),
        lambda: ours.confirm(code, subject="alice", match_code=right),
        lambda: ours.confirm(code, subject="alice", match_code=wrong),
        lambda: ours.confirm(code, subject="alice"),
        lambda: ours.outcome(code, subject="alice"),
        lambda: ours.release(code, subject="alice"),
        lambda: ours.deny(code, subject="alice"),
        lambda: ours.redeem(device_code, acknowledged=tag, op=op),
        lambda: ours.redeem(device_code, acknowledged=tag, op="another" + op),
        lambda: ours.cancel(device_code),
    ]
    before = two.kept(begun.login_id)
    for number, call in enumerate(calls):
        with pytest.raises(Unavailable, match="another version of qrlogin wrote the record"):
            call()
        assert two.kept(begun.login_id) == before, number
    if last == "confirm":
        assert their(lambda: theirs.redeem(device_code, acknowledged=tag)).subject == "alice"


def test_no_poll_of_a_device_changes_a_record_in_another_format(two: Two) -> None:
    """A poll writes when it came, and "collect" redeems."""
    begun = two.as_theirs(lambda: two.theirs.begin(ask_browser=False))
    for _ in range(2):
        before = two.kept(begun.login_id)
        with pytest.raises(Unavailable):
            two.ours.redeem(begun.device_code)
        assert two.kept(begun.login_id) == before
        two.as_theirs(lambda: two.theirs.scan(begun.scan_code, subject="alice", shown_as="A"))


# What releases have written

_INSERT: Final = "INSERT INTO qrlogin_logins (login_id, record, garbage_at) VALUES (?, ?, ?)"


def test_there_are_records_of_every_format_that_a_release_had() -> None:
    """The first is that of this version. Later ones are added, and none is written again."""
    assert RECORD_FORMAT in record_table.kept()


@pytest.mark.parametrize(
    "release",
    [pytest.param(each, id=f"format {name}") for name, each in record_table.kept().items()],
)
@pytest.mark.parametrize("place", ["Redis", "SQLite"])
def test_a_login_that_a_release_wrote_goes_on_or_stays_as_it_is(
    release: list[dict[str, Any]], place: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    prefix, path = f"{uuid.uuid4().hex}:", tmp_path / "logins.db"
    store: Any
    if place == "Redis":
        url = request.getfixturevalue("redis_url")
        store, kept = (
            RedisStore.from_url(url, prefix=prefix, now=lambda: record_table.NOW),
            _in_redis(url, prefix),
        )
    else:
        store, kept = SQLStore(f"sqlite:///{path}", now=lambda: record_table.NOW), _in_file(path)
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
        qr.begin()  # makes the table
        for login in release:
            if place == "Redis":
                client, calls = redis.Redis.from_url(url), RedisCalls(prefix, None)
                key = f"{calls.channel(login['login_id'])}:{login['login_id']}"
                client.set(key, json.dumps(login["record"], ensure_ascii=False))
            else:
                with sqlite3.connect(path) as connection:
                    row = (login["login_id"], json.dumps(login["record"]), None)
                    connection.execute(_INSERT, row)
            if login["record"]["v"] == RECORD_FORMAT:
                _go_on(qr, login)
                continue
            before = kept(login["login_id"])
            with pytest.raises(Unavailable):
                _go_on(qr, login)
            with pytest.raises(Unavailable):
                qr.cancel(login["device_code"])
            assert kept(login["login_id"]) == before


def _go_on(qr: QRLogin, login: dict[str, Any]) -> None:
    """Play the rest of a login that is in this state."""
    state, device_code, op = login["state"], login["device_code"], record_table.OP
    seen = qr.status(device_code)
    assert seen.state == state
    if state in ("denied", "cancelled"):
        with pytest.raises(LoginError):
            qr.redeem(device_code, acknowledged="x" * 43)
        return
    if state == "pending":
        scanned = qr.scan(login["scan_code"], subject="alice", shown_as="A•••e")
        assert scanned.context["browser"] == "Firefox ✓"
    qr.confirm(login["scan_code"], subject="alice", name="alice@example.com")
    seen = qr.status(device_code)
    assert seen.scanned_by is not None
    assert not login["tag"] or seen.scanned_by.tag == login["tag"]
    redeemed = qr.redeem(device_code, acknowledged=seen.scanned_by.tag, op=op)
    assert (redeemed.subject, redeemed.name) == ("alice", "alice@example.com")
    assert redeemed.replayed == (state == "redeemed")
