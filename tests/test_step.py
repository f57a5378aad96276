"""Python, Lua on a real Redis and the oracle decide every case of a row alike.

No case is random: `cases.py` lists all that can matter to the step. Each case must give the same
verdict, reply, record, notification and key lifetime.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import fakeredis
import pytest
import redis

import qrlogin
from qrlogin.allowances import REFILLING
from qrlogin.step import BROKEN, Command, Verdict, number, step
from qrlogin.stores.redis_calls import RedisCalls, as_text, read_reply
from qrlogin.stores.redis_script import SCRIPT, RowScripts
from qrlogin.table import TABLE, State
from qrlogin.typed_codes import CLOSED, COUNTING, SPENT
from tests import oracle
from tests.cases import KEEP, NO_NUMBERS, NOW, NUMBERS, ROWS, Case, cases
from tests.security_rows import counted, row
from tests.stores.redis_records import as_hash, as_text_of, read_record
from tests.tables import in_matrix

LIVES = NOW + 10**9  # the expiry of an existing key, which no row may change
BATCH = 500


@dataclass(frozen=True)
class Seen:
    """All effects of an interpreter on one login, and its reply."""

    verdict: str
    echo: tuple[str, str]
    now: int
    replied: Mapping[str, str]  # the record in the reply
    kept: Mapping[str, str]  # the record in the store afterwards
    announced: str | None
    life: int | None  # the TTL of a new key or the expiry of an existing one; None: no key


def login_id(index: int) -> str:
    return f"login-{index:017}"


def in_python(listed: Sequence[Case]) -> list[Seen]:
    seen = []
    for index, case in enumerate(listed):
        command = replace(case.command, login_id=login_id(index))
        outcome = step(MappingProxyType(dict(case.record)), command, case.clock)
        reply = outcome.reply
        kept = {**case.record, **outcome.changes}
        born = not case.record and outcome.reply.verdict is Verdict.APPLIED
        seen.append(
            Seen(
                verdict=reply.verdict,
                echo=(reply.login_id, reply.mark),
                now=reply.now,
                replied=reply.record,
                kept=kept,
                announced=f"{reply.login_id} {kept['version']}" if outcome.notify else None,
                life=command.ttl_ms if born else LIVES if case.record else None,
            )
        )
    return seen


def by_the_oracle(listed: Sequence[Case]) -> list[Seen]:
    seen = []
    for index, case in enumerate(listed):
        command = case.command
        asked = oracle.Asked(
            case.record, command.values, command.mark, command.durations, command.deadline_ms, 0
        )
        expected = oracle.expected(command.row.name, asked, case.clock)
        seen.append(
            Seen(
                verdict=expected.verdict,
                echo=(login_id(index), command.mark),
                now=expected.now,
                replied=expected.record,
                kept=expected.record,
                announced=f"{login_id(index)} {expected.record['version']}"
                if expected.announced
                else None,
                life=command.ttl_ms if expected.born else LIVES if case.record else None,
            )
        )
    return seen


def in_lua(
    client: Any, listed: Sequence[Case], *, hashes: bool = False, durable: bool = False
) -> list[Seen]:
    """Encode with the store's own encoder. A batch is one pipeline and its notifications.

    :param hashes: the records are hashes, as a process of an older version makes them.
    :param durable: with the scripts of a store that has a durability.
    """
    clock = NOW
    calls = RedisCalls(f"qrl-test-{uuid.uuid4().hex}:", lambda: clock)
    shas = {
        row.name: client.script_load(RowScripts.of(row, durable=durable).beginning.text)
        for row in {case.command.row.name: case.command.row for case in listed}.values()
    }
    seen: list[Seen] = []
    with client.pubsub() as ear:
        ear.subscribe(*calls.channels)
        for first in range(0, len(listed), BATCH):
            batch = listed[first : first + BATCH]
            pipe = client.pipeline(transaction=False)
            keys = []
            for index, case in enumerate(batch, first):
                clock = case.clock
                arguments = calls.arguments(replace(case.command, login_id=login_id(index)))
                keys.append(key := str(arguments[1]))
                if case.record and hashes:
                    pipe.hset(key, mapping=as_hash(case.record))
                elif case.record:
                    pipe.set(key, as_text_of(case.record))
                if case.record:
                    pipe.pexpireat(key, LIVES)
                pipe.execute_command("EVALSHA", shas[case.command.row.name], *arguments)
                # A row that counts begins a hash.
                is_hash = hashes if case.record else case.command.row.count
                pipe.hgetall(key) if is_hash else pipe.get(key)
                pipe.pexpiretime(key)
            pipe.publish(calls.channels[0], "end of batch")
            pipe.unlink(*keys)
            earliest = _milliseconds(client.time())
            answers: Iterator[Any] = iter(pipe.execute())
            latest = _milliseconds(client.time())
            heard = dict(_heard(ear))
            for index, case in enumerate(batch, first):
                if case.record:
                    next(answers), next(answers)
                reply, kept, ends = read_reply(next(answers)), next(answers), next(answers)
                ttl_ms = case.command.ttl_ms
                if ttl_ms is not None and earliest + ttl_ms <= ends <= latest + ttl_ms:
                    ends = ttl_ms
                seen.append(
                    Seen(
                        verdict=reply.verdict,
                        echo=(reply.login_id, reply.mark),
                        now=reply.now,
                        replied=reply.record,
                        kept=read_record(kept),
                        announced=heard.pop(login_id(index), None),
                        life=ends if ends > 0 else None,
                    )
                )
            assert not heard, "a notification without a case"
    return seen


def _heard(ear: Any) -> Iterator[tuple[str, str]]:
    while True:
        message = ear.get_message(timeout=10)
        assert message is not None, "the announcements stopped"
        if message["type"] == "message":
            text = as_text(message["data"])
            if text == "end of batch":
                return
            yield text.partition(" ")[0], text


@pytest.fixture(scope="module")
def listed() -> list[Case]:
    return list(cases())


@pytest.fixture(scope="module")
def wanted(listed: list[Case]) -> list[Seen]:
    return in_python(listed)


def agree(listed: Sequence[Case], wanted: Sequence[Seen], seen: Sequence[Seen]) -> None:
    differing = [
        f"{case.about}\n" + "\n".join(_differences(want, got))
        for case, want, got in zip(listed, wanted, seen, strict=True)
        if want != got
    ]
    if differing:
        pytest.fail(
            f"{len(differing)} of {len(listed)} cases differ:\n" + "\n".join(differing[:5]),
            pytrace=False,
        )


def _differences(want: Seen, got: Seen) -> Iterator[str]:
    for one in fields(Seen):
        wanted, found = getattr(want, one.name), getattr(got, one.name)
        if wanted != found:
            yield f"  {one.name}: wanted {wanted!r}\n  {' ' * len(one.name)}  but    {found!r}"


def test_there_are_as_many_cases_as_the_docs_say(
    listed: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{len(listed)} cases of {len(ROWS)} rows", end=" ")
    counted("cases of the step", len(listed))
    assert len({case.about for case in listed}) == len(listed)
    assert {case.command.row.name for case in listed} == {row.name for row in ROWS}


def test_the_cases_reach_every_verdict_that_a_row_can_give(
    listed: list[Case], wanted: list[Seen]
) -> None:
    reached = {
        (case.command.row.name, str(one.verdict)) for case, one in zip(listed, wanted, strict=True)
    }
    for row in ROWS:
        can = {"applied"}
        can |= {"forbidden"} if row.proves or row.guards else set()
        can |= {"repeated"} if row.repeats else set()
        can |= {"refused"} if not row.reads and row.name != "reserve" else set()
        can |= {"expired"} if any(row.sources.values()) else set()
        can |= {"slow"} if row.paces or (row.count and row.count.every_ms) else set()
        missing = {(row.name, verdict) for verdict in can} - reached
        assert not missing


def test_python_decides_every_case_as_the_oracle_does(
    listed: list[Case], wanted: list[Seen]
) -> None:
    agree(listed, by_the_oracle(listed), wanted)


def test_lua_without_a_server_decides_a_sample_as_python_does(listed: list[Case]) -> None:
    """For `make check`: fakeredis runs the script in another Lua. The proof is the next test."""
    # fakeredis's own cjson is Python's json, which reads no other bytes than UTF-8.
    sample = [case for case in listed[::50] if "bytes that are no text" not in case.about]
    agree(sample, in_python(sample), in_lua(fakeredis.FakeRedis(), sample))


@row(403)
@pytest.mark.long
def test_lua_on_a_real_redis_decides_every_case_as_python_does(
    listed: list[Case], wanted: list[Seen], redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        agree(listed, wanted, in_lua(client, listed))


#: Every tenth case, of every row; `make matrix` runs them all.
EACH_TENTH_OR_ALL = pytest.mark.parametrize("every", [10, *in_matrix([1])])


@pytest.mark.long
@EACH_TENTH_OR_ALL
def test_lua_decides_about_a_hash_as_about_a_text(
    listed: list[Case], redis_url: str, every: int
) -> None:
    """Every row goes on with a record that a process of an older version began, as a hash."""
    sample = listed[::every]
    assert {case.command.row.name for case in sample} == {row.name for row in ROWS}
    with redis.Redis.from_url(redis_url) as client:
        agree(sample, in_python(sample), in_lua(client, sample, hashes=True))


@pytest.mark.long
@EACH_TENTH_OR_ALL
def test_lua_that_writes_an_unchanged_record_again_decides_as_python_does(
    listed: list[Case], redis_url: str, every: int
) -> None:
    """A store with a durability has these scripts."""
    sample = [case for case in listed if case.command.row.durable][::every]
    with redis.Redis.from_url(redis_url) as client:
        for hashes in (False, True):
            agree(sample, in_python(sample), in_lua(client, sample, hashes=hashes, durable=True))


@pytest.mark.parametrize("changed_at", ["", str(NOW)])
def test_without_a_given_time_lua_asks_the_server_and_never_goes_back(
    changed_at: str, redis_url: str
) -> None:
    prefix = f"qrl-test-{uuid.uuid4().hex}:"
    with redis.Redis.from_url(redis_url) as client:
        command = Command("login", TABLE["status"], "m", {"device_digest": "D"})
        arguments = RedisCalls(prefix, None).arguments(command)
        record = {"state": "pending", "device_digest": "D", "changed_at": changed_at}
        client.set(str(arguments[1]), as_text_of(record))
        earliest = _milliseconds(client.time())
        script = RowScripts.of(command.row).beginning
        reply = read_reply(client.execute_command("EVAL", script.text, *arguments))
        latest = _milliseconds(client.time())
        client.unlink(str(arguments[1]))
    assert reply.verdict is Verdict.APPLIED
    if changed_at:
        assert reply.now == NOW
    else:
        assert earliest <= reply.now <= latest


def _milliseconds(time: tuple[int, int]) -> int:
    return time[0] * 1000 + time[1] // 1000


def test_a_number_is_1_to_15_ascii_digits_and_nothing_else() -> None:
    assert [number(text) for text in NUMBERS] == [0, 1, 1, 999_999_999_999_999]
    assert {number(text) for text in NO_NUMBERS} == {None}


def test_without_a_slack_a_poll_is_early_until_its_interval_is_over() -> None:
    """And with one, until that is left of it."""
    for slack in ({}, {"pace_slack": 1000}):
        durations = {"pace": 5000, **slack}
        command = Command("login", TABLE["collect"], "m", {"device_digest": "D"}, durations)
        for early in (1, 0):
            polled = NOW - 5000 + early + slack.get("pace_slack", 0)
            record = {"state": "pending", "device_digest": "D", "pace_at": str(polled)}
            case = Case(f"early by {early} ms", record, command, NOW)
            for decide in (in_python, lambda listed: in_lua(fakeredis.FakeRedis(), listed)):
                assert decide([case])[0].verdict == ("slow" if early else "refused")


def test_a_field_without_a_value_is_written_as_an_empty_text() -> None:
    """Such as `needs`, for which `begin` brings no value."""
    begin = TABLE["begin"]
    case = Case(
        "no value", {}, Command("login", begin, "m", {"device_digest": "D"}, ttl_ms=KEEP), NOW
    )
    for decide in (in_python, lambda listed: in_lua(fakeredis.FakeRedis(), listed)):
        (seen,) = decide([case])
        assert {seen.kept[name] for name in begin.writes} == {"", "D"}


@row(403)
def test_a_refused_command_changes_nothing(listed: list[Case], wanted: list[Seen]) -> None:
    for case, one in zip(listed, wanted, strict=True):
        if one.verdict != "applied" and not (
            case.command.row.paces and one.verdict in ("refused", "slow")
        ):
            assert one.kept == case.record, case.about
            assert one.announced is None, case.about


def test_a_repeated_command_returns_the_same_record(listed: list[Case], wanted: list[Seen]) -> None:
    """A resent command, at once or long after, is a repeat and changes nothing."""
    applied = 0
    for case, one in zip(listed, wanted, strict=True):
        row, command = case.command.row, replace(case.command, login_id=one.echo[0])
        if (
            one.verdict != "applied"
            or not row.repeats
            or row.reads
            or not all(command.values.get(name) for name in row.repeats_if)
        ):
            continue
        later: tuple[int, ...] = (one.now, one.now + 10**8)
        if row.repeats_until:
            ends = number(one.kept[row.repeats_until])
            later = (
                (one.now,) if ends is not None and one.now < ends else ()
            )  # a window of no length has nothing to repeat
        for clock in later:
            again = step(one.kept, command, clock)
            assert (again.reply.verdict, again.changes, again.notify) == (
                Verdict.REPEATED,
                {},
                False,
            ), case.about
            assert again.reply.record == one.kept
        applied += 1
    assert applied > 1000


def test_the_step_knows_no_event_and_no_state_by_name() -> None:
    """With other names the table works the same, so an older process runs a newer process's row."""
    python = Path(qrlogin.__file__).with_name("step.py").read_text("utf-8")
    for name in {*TABLE, *(str(state) for state in State), CLOSED, COUNTING, REFILLING, SPENT} - {
        "expired"
    }:  # which is also a verdict
        assert f'"{name}"' not in python
        assert f"'{name}'" not in SCRIPT
    assert BROKEN not in {str(state) for state in State}
