"""Logins under faults, at small size, and the table of the last run.

`make faults` plays them at a larger size and prints the table.
"""

import re
import shutil
import threading
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from qrlogin.clock import monotonic, now_ms
from qrlogin.step import Command, Record, Reply, Verdict, step
from qrlogin.stores.listeners import Listeners, LocalListener
from qrlogin.table import TABLE
from tests.faults import __main__ as command
from tests.faults import crowd, report
from tests.faults.proxy import VERBS, VerbProxy
from tests.faults.rows import WRONGS, NotHere, Row, percentile
from tests.faults.scenarios import ELSEWHERE, REDIS, SCENARIOS, STORES, Scenario, Size
from tests.tables import for_each_row

SEED = 7
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
#: What `make test` plays; `make matrix` plays the rest.
KEPT = {(name, store) for name in ("D1", "D2", "D7", "D8", "D10", "D11") for store in REDIS}
KEPT.add(("D18 keys", "Redis"))
PAIRS = [
    pytest.param(
        scenario.name,
        store,
        marks=[] if (scenario.name, store) in KEPT else [pytest.mark.matrix],
        id=f"{scenario.name} {store}",
    )
    for scenario in SCENARIOS
    for store in scenario.stores
    if not STORES[store].naive
]


def small(name: str, store: str) -> Row:
    scenario = BY_NAME[name]
    try:
        return scenario.play(STORES[store], scenario.small, SEED)
    except NotHere as why:  # such as no network namespace: no package would bring it
        pytest.skip(f"{name}, {store}: {why}")


@pytest.mark.parametrize(("name", "store"), PAIRS)
def test_under_this_fault_nothing_is_doubled_lost_or_late(name: str, store: str) -> None:
    row = small(name, store)
    print(row.as_figures())
    assert row.clean, row.failures
    assert row.logins > 0
    assert row.faults > 0 or name == "D1"


def test_the_tutorials_store_is_caught_by_the_same_crowd() -> None:
    """A harness in which nothing ever fails proves nothing."""
    row = small("D1", "the tutorial's")
    assert row.doubles > 0
    assert row.impossible > 0


class BadStore:
    """A store in memory that is right but for one fault.

    :param forgets: the row whose changes it answers and does not keep.
    :param raises: the row at which it raises an error that is not qrlogin's.
    """

    def __init__(self, *, forgets: str = "", raises: str = "") -> None:
        self._forgets, self._raises = forgets, raises
        self._records = dict[str, Record]()
        self._lock, self._listeners = threading.Lock(), Listeners()

    def apply(self, command: Command) -> Reply:
        if command.row.name == self._raises:
            raise KeyError("as a tutorial's would")
        with self._lock:
            outcome = step(self._records.get(command.login_id, {}), command, now_ms())
            if command.row.name != self._forgets:
                self._records[command.login_id] = outcome.reply.record
        self._listeners.notify(command.login_id)
        return outcome.reply

    def listen(self, login_id: str) -> LocalListener:
        return self._listeners.listen(login_id)

    def close(self) -> None:
        self._listeners.close()


@for_each_row(
    "fault, counted",
    [
        ({}, set()),
        ({"forgets": "confirm"}, {"impossible", "stuck"}),
        ({"forgets": "deny"}, {"impossible", "undone"}),
        ({"forgets": "redeem"}, {"impossible", "doubles"}),
        ({"raises": "redeem"}, {"untyped", "stuck"}),
    ],
)
def test_the_crowd_notices_what_is_wrong_with_a_store(
    fault: dict[str, str], counted: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "HOLD", 0.05)
    monkeypatch.setattr(crowd, "ENDS", {"approved": 5, "denied after yes": 5})
    row, store = Row("D1", "a store", SEED), BadStore(**fault)
    patience = 0.2 if fault else crowd.PATIENCE
    with crowd.Crowd(row, lambda: store, patience=patience) as people:
        people.play(lambda: row.logins >= 10)
    assert counted <= row.wrong.keys(), row.failures
    assert not row.wrong or fault


@for_each_row("resent_after, wrong", [(60.0, {"impossible"}), (0.0, set())])
def test_a_command_may_happen_twice_only_if_its_answer_took_long(
    resent_after: float, wrong: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a fault. A store sends a command again whose reply does not come."""

    class Twice(BadStore):
        def apply(self, command: Command) -> Reply:
            if command.row.name == "confirm":
                super().apply(command)
            return super().apply(command)

    monkeypatch.setattr(crowd, "RESENT", resent_after)
    monkeypatch.setattr(crowd, "ENDS", {"approved": 1})
    row, store = Row("D1", "a store", SEED), Twice()
    with crowd.Crowd(row, lambda: store, resent=False) as people:
        people.play(lambda: row.logins >= 3)
    assert row.wrong.keys() == wrong, row.failures


def test_a_call_that_takes_longer_than_its_budget_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "BUDGET", 0.0)
    row, store = Row("D1", "a store"), BadStore()
    with crowd.Crowd(row, lambda: store) as people:
        people.play(lambda: row.logins >= 1)
    assert row.wrong.keys() == {"late"}


def test_a_call_is_in_the_history_of_its_login_before_it_is_answered() -> None:
    """A browser whose login vanished leaves while its phone still scans it."""
    histories = crowd.Histories(Row("of a test", "memory", 1))
    scan = Command("login", TABLE["scan"], "mark")
    call = histories.called(scan)
    assert [each.reply for each in histories.pop("login")] == [None]
    histories.answered(call, Reply("login", "mark", Verdict.FORBIDDEN, 0, {}))
    assert not histories.pop("login")
    histories.close()


def test_a_process_knows_how_long_it_had_no_turn() -> None:
    """A call that waited for a processor is not late: the store cannot give it one."""
    starvation = crowd.Starvation()
    began = monotonic()
    sum(range(20_000_000))  # one instruction for the interpreter: no other thread runs meanwhile
    busy = monotonic() - began
    sleep(3 * starvation.BEAT)
    starvation.stop()
    ended = monotonic()
    assert busy - 2 * starvation.BEAT < starvation.between(began, ended) <= ended - began
    assert starvation.between(ended + 1, ended + 2) == 0


def test_a_browser_is_late_from_the_moment_at_which_the_store_could_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may see a change before the nemesis knows that the outage is over."""
    monkeypatch.setattr(crowd, "monotonic", lambda: 9.0)
    outages = crowd.Outages()
    outages.over(since=8.0)
    seconds = [
        outages.since(changed, seen)
        for changed, seen in ((1.0, 3.0), (1.0, 8.5), (1.0, 9.5), (9.2, 9.5))
    ]
    assert seconds == pytest.approx([2.0, 0.5, 0.5, 0.3])


# The verbs of the proxy


@pytest.fixture
def client(redis_url: str, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with VerbProxy(
        redis.Redis.from_url(redis_url).get_connection_kwargs()["port"], {}, longest_delay=0.1
    ) as proxy:
        request.node.proxy = proxy
        with redis.Redis(
            port=proxy.port,
            socket_timeout=0.3,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=True,
        ) as through:
            yield through


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_does_what_it_says(
    verb: str, redis_url: str, client: redis.Redis, request: pytest.FixtureRequest
) -> None:
    proxy: VerbProxy = request.node.proxy
    key, direct = f"verb:{verb}", redis.Redis.from_url(redis_url)
    direct.delete(key)
    client.ping()
    count = f"return redis.call('INCR', '{key}')"
    proxy.chances = {verb: 1.0}
    try:
        answered = client.eval(count, 0) == 1
    except (redis.ConnectionError, redis.TimeoutError):
        answered = False
    proxy.chances = {}
    assert answered == (verb in ("duplicate", "delay"))
    arrived = {"drop request": 0, "black hole": 0, "duplicate": 2}.get(verb, 1)
    # The server may read a request after the client has read a reset, or the first of two answers.
    ends = monotonic() + 5
    while int(direct.get(key) or 0) < arrived and monotonic() < ends:
        sleep(0.01)
    assert int(direct.get(key) or 0) == arrived
    assert proxy.struck == {verb: 1}


# The table


def test_the_docs_show_the_table_of_the_last_run() -> None:
    assert report.main(["--check"]) == 0, "run python -m tests.faults.report"


def test_each_fault_is_in_the_table_or_named_with_the_reason_why_not() -> None:
    shown = report.text(report.read())
    assert set(re.findall(r"\bD\d+\b", shown)) == {f"D{number}" for number in range(1, 21)}
    assert not {*ELSEWHERE} & {row["fault"] for row in report.read()["rows"]}


def test_the_table_shows_the_tutorials_store_beside_ours() -> None:
    rows = report.read()["rows"]
    naive = [row for row in rows if row["store"] == "the tutorial's"]
    assert sum(row["doubles"] for row in naive) > 0
    assert {row["fault"] for row in naive} >= {"D1", "D2", "D7", "D8", "D11"}


def test_what_went_wrong_is_bold_unless_it_cannot_but_happen() -> None:
    row = deepcopy(report.read()["rows"][0])
    row |= {"doubles": 3, "lost": 2, "expects": ["lost"]}
    cells = report.cells(row)
    assert cells[report.HEAD.index("doubles")] == "**3**"
    assert cells[report.HEAD.index("lost")] == "2"


def test_a_row_is_clean_unless_something_went_wrong_that_must_not() -> None:
    row = Row("D1", "a store", expects=frozenset({"lost"}))
    row.add("lost", "as always")
    assert row.clean
    for number, name in enumerate(set(WRONGS) - {"lost"}, 1):
        row.add(name, f"number {number}")
        assert len(row.wrong) == number


@for_each_row(
    "values, part, expected",
    [
        ([], 0.5, 0.0),
        ([3.0], 0.99, 3.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(each) for each in range(100)], 0.99, 99.0),
        ([3.0, 1.0, 2.0], 1.0, 3.0),
    ],
)
def test_a_percentile_is_a_value_of_the_run(
    values: list[float], part: float, expected: float
) -> None:
    assert percentile(values, part) == expected


# The command


def test_a_scenario_that_fails_itself_does_not_end_the_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Row:
        raise RuntimeError("the server does not answer")

    broken = replace(BY_NAME["D1"], play=fail, stores=("Redis", "SQLite"))
    monkeypatch.setattr(command, "SCENARIOS", (broken,))
    assert command.main(["--small"]) == 1
    printed = capsys.readouterr().out
    for store in broken.stores:
        why = "the scenario itself failed: RuntimeError: the server does not answer"
        assert f"D1, {store}: untyped: {why}" in printed


def test_the_command_plays_the_faults_that_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    played = list[tuple[str, str, Size, int]]()

    def play(scenario: Scenario, store: str, size: Size, seed: int) -> Row:
        name = scenario.name
        played.append((name, store, size, seed))
        row = Row(name, store, seed, logins=5)
        row.add("doubles", "two sessions", times=int(store == "SQLite"))
        return row

    monkeypatch.setattr(command, "play", play)
    assert command.main(["D11", "--long", "--seed", "9", "--store", "Redis"]) == 0
    assert played == [(name, "Redis", BY_NAME[name].long, 9) for name in ("D11", "D11 READONLY")]
    assert command.main(["D1", "--store", "SQLite"]) == 1
    printed = capsys.readouterr().out
    assert "doubles: two sessions" in printed
    assert "SOMETHING WENT WRONG" in printed
    with pytest.raises(SystemExit):
        command.main(["D99"])


def test_a_run_is_continued_where_it_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is in the page as soon as it is played, and says its own size."""
    for name in ("PAGE", "FIGURES"):
        copied = shutil.copy(getattr(report, name), tmp_path)
        monkeypatch.setattr(report, name, Path(copied))
    played = list[str]()

    def play(scenario: Scenario, store: str, size: Size, seed: int) -> Row | str:
        played.append(store)
        if store == "SQLite":
            return "no disk"
        logins = 0 if store == "PostgreSQL" else 1234
        return Row(scenario.name, store, seed, logins=logins, faults=7)

    monkeypatch.setattr(command, "play", play)
    run = ["D7", "--long", "--seed", "99", "--write", "--jobs", "1"]
    stores = BY_NAME["D7"].stores
    assert command.main([*run, "--minutes", "-1"]) == 0
    assert played == []
    assert f"{len(stores)} rows were not played" in capsys.readouterr().out
    assert command.main([*run, "--store", "Redis", "PostgreSQL", "SQLite"]) == 0
    page = report.PAGE.read_text("utf-8")
    assert "| Redis | release | 1 234 | 7 |" in page
    assert "- D7, Redis: 1 234 of 2 000 logins, 7 of 40 faults, in 0 s" in page
    assert "- D7, SQLite: no disk" in page
    assert command.main([*run, "--continue"]) == 0
    again = [store for store in stores if store != "Redis"]  # the others have no login
    assert played == ["Redis", "PostgreSQL", "SQLite", *again]
    kept = [report.key(row) for row in report.read()["rows"]]
    assert len(kept) == len({*kept})
