"""The checker accepts what one record could have answered, and rejects what it could not."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count, permutations
from math import inf
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qrlogin.clock import monotonic, now_ms
from qrlogin.core import Core
from qrlogin.errors import QRLoginError
from qrlogin.operation import Done, Operation
from qrlogin.policy import STANDARD
from qrlogin.step import Command, Record, Verdict, step
from qrlogin.stores import MemoryStore
from tests.application import KEY, URI
from tests.faults.linear import Call, TooComplex, check
from tests.stores.naive import NaiveStore

NOW = 4_102_444_800_000
CORE = Core(
    secret_keys=[KEY],
    verification_uri=URI,
    audience=None,
    policy=replace(STANDARD, limits=None),
)


class History:
    """A history that a test writes: each call takes from one second to the next."""

    def __init__(self) -> None:
        self.record: Record = {}
        self.calls: list[Call] = []
        self._seconds = count()
        self.begun = self.ask(CORE.begin())
        self.device = CORE.read_device_code(self.begun.device_code)

    def apply(self, command: Command, *, keep: bool = True, record: Record | None = None) -> Call:
        """Call the store. With `keep=False` it loses what the call wrote.

        :param command: what to apply.
        :param keep: whether the store keeps the change.
        :param record: what the store believes; None: what it has kept.
        """
        at = next(self._seconds)
        outcome = step(self.record if record is None else record, command, NOW + 1000 * at)
        if keep:
            self.record = outcome.reply.record
        self.calls.append(Call(command, at, at + 0.5, outcome.reply))
        return self.calls[-1]

    def ask(self, operation: Operation[Any], **how: Any) -> Any:
        reply = self.apply(operation.command, **how).reply
        assert reply is not None
        meant = operation.resume(reply)
        assert isinstance(meant, Done)
        return meant.result

    def scan(self, who: str = "alice") -> Operation[Any]:
        return CORE.scan(self.begun.scan_code, subject=who, shown_as=who)

    def confirm(self) -> Operation[Any]:
        return CORE.confirm(self.begun.scan_code, subject="alice")

    def deny(self) -> Operation[Any]:
        return CORE.deny(self.begun.scan_code, subject="alice")

    def status(self) -> Operation[Any]:
        return CORE.status(self.device)

    def redeem(self) -> Operation[Any]:
        return CORE.redeem(self.device, acknowledged=self.record["approval"])

    def confirmed(self) -> "History":
        self.ask(self.scan())
        self.ask(self.confirm())
        return self

    def lost(self, at: int) -> None:
        """The caller of this call got no answer."""
        self.calls[at] = replace(self.calls[at], returned=inf, reply=None)


def assert_impossible(history: History, last: str) -> None:
    """Also if the store may send commands again."""
    for resent in (False, True):
        finding = check(history.calls, resent=resent)
        assert finding is not None
        assert last in str(finding)
        assert " differs in " in str(finding)
        assert str(KEY) not in str(finding)


# What is possible


def test_one_call_after_the_other_is_possible() -> None:
    history = History().confirmed()
    history.ask(history.redeem())
    history.ask(history.status())
    assert check(history.calls) is None
    assert check(history.calls, resent=False) is None


def test_calls_at_the_same_time_may_have_happened_in_any_order() -> None:
    history = History()
    at = len(history.calls)
    history.ask(history.status())
    history.ask(history.scan())
    history.apply(history.scan("bob").command)
    history.ask(history.status())
    history.calls[at:] = [replace(call, called=10, returned=20) for call in history.calls[at:]]
    for order in permutations(history.calls):
        assert check(order, resent=False) is None


@pytest.mark.parametrize("happens", ["never", "later"])
def test_a_call_without_an_answer_may_have_happened_later_or_never(happens: str) -> None:
    history = History()
    history.ask(history.scan())
    confirm = history.confirm()
    history.calls.append(Call(confirm.command, 2.5))
    history.ask(history.status())
    history.ask(history.status())
    if happens == "later":
        history.ask(confirm)
        history.lost(-1)  # the same command took effect long after its caller had given up
        history.calls.pop()
        history.ask(history.redeem())
    assert check(history.calls, resent=False) is None


def test_a_command_whose_first_reply_was_lost_is_answered_as_repeated() -> None:
    history = History()
    scan = history.scan()
    history.ask(scan)
    history.calls.pop()
    history.ask(scan)
    assert history.calls[-1].reply is not None
    assert history.calls[-1].reply.verdict is Verdict.REPEATED
    assert check(history.calls) is None
    assert check(history.calls, resent=False) is not None


def test_a_copy_of_a_request_may_arrive_late() -> None:
    """A release that arrives once more after the next scan gives the login back again."""
    history = History()
    history.ask(history.scan())
    release = CORE.release(history.begun.scan_code, subject="alice")
    history.ask(release)
    history.ask(history.scan())
    history.ask(release)
    history.calls.pop()
    history.ask(history.status())
    assert check(history.calls) is None
    assert check(history.calls, resent=False) is not None


def test_a_store_that_evicts_may_lose_a_record_at_any_time() -> None:
    history = History().confirmed()
    history.record = {}
    history.apply(history.status().command)
    assert check(history.calls, forgets=True) is None
    assert check(history.calls) is not None


# What is not


def test_a_lost_update_is_impossible() -> None:
    """An approval was answered, and the login is still scanned afterwards."""
    history = History()
    history.ask(history.scan())
    history.ask(history.confirm(), keep=False)
    history.ask(history.status())
    assert_impossible(history, "status: applied")


def test_two_calls_that_both_change_one_version_are_impossible() -> None:
    """A deny and a confirm read the same record, and each writes its own."""
    history = History()
    history.ask(history.scan())
    before = history.record
    history.ask(history.deny())
    history.ask(history.confirm(), record=before)
    assert_impossible(history, "confirm: applied")


def test_a_resurrection_is_impossible() -> None:
    """A login was redeemed, and is confirmed again."""
    history = History().confirmed()
    confirmed = history.record
    history.ask(history.redeem())
    history.record = confirmed
    history.ask(history.status())
    assert_impossible(history, "status: applied")


def test_a_record_that_was_lost_and_is_back_is_impossible() -> None:
    history = History().confirmed()
    confirmed, history.record = history.record, {}
    history.apply(history.status().command)
    history.record = confirmed
    history.ask(history.status())
    assert check(history.calls) is not None
    assert check(history.calls, resent=False, forgets=True) is not None


@pytest.mark.parametrize("overlap", [False, True])
def test_a_double_redeem_is_impossible(overlap: bool) -> None:
    history = History().confirmed()
    confirmed = history.record
    first, second = history.redeem(), history.redeem()
    history.ask(first)
    history.ask(second, record=confirmed)
    if overlap:
        history.calls[-2:] = [replace(call, called=50, returned=60) for call in history.calls[-2:]]
    assert_impossible(history, "redeem: applied")


def test_a_stale_read_is_impossible() -> None:
    """A status is asked after the approval was answered, and does not show it."""
    history = History()
    history.ask(history.scan())
    scanned = history.record
    history.ask(history.confirm())
    history.ask(history.status(), record=scanned, keep=False)
    assert_impossible(history, "status: applied")
    # While the approval is under way, the same answer is right.
    history.calls[-1] = replace(history.calls[-1], called=history.calls[-2].called)
    assert check(history.calls, resent=False) is None


def test_an_answer_that_the_table_does_not_give_is_impossible() -> None:
    history = History().confirmed()
    history.ask(history.redeem())
    wrong = history.calls[-1].reply
    assert wrong is not None
    for other in (
        replace(wrong, verdict=Verdict.REFUSED),
        replace(wrong, record={**wrong.record, "subject": "bob"}),
        replace(wrong, now=wrong.now + 600_000),
    ):
        history.calls[-1] = replace(history.calls[-1], reply=other)
        assert_impossible(history, "redeem")


# Both, at random


def rows_of(history: History) -> dict[str, Callable[[], Operation[Any]]]:
    code = history.begun.scan_code
    return {
        "scan": history.scan,
        "rival": lambda: history.scan("bob"),
        "confirm": history.confirm,
        "deny": history.deny,
        "release": lambda: CORE.release(code, subject="alice"),
        "status": history.status,
        "cancel": lambda: CORE.cancel(history.device),
        "redeem": lambda: CORE.redeem(
            history.device, acknowledged=history.record.get("approval") or "x" * 43
        ),
    }


#: A machine that is busy draws slowly, and that is no fault of the test.
AT_ANY_LOAD = settings(suppress_health_check=[HealthCheck.too_slow])
NAMES = sorted(["scan", "rival", "confirm", "deny", "release", "status", "cancel", "redeem"])


@AT_ANY_LOAD
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.floats(0, 3), st.floats(0, 3), st.integers(0, 9)),
        max_size=12,
    )
)
def test_every_history_of_one_record_is_possible_however_its_calls_overlap(
    asked: list[tuple[str, float, float, int]],
) -> None:
    history = History()
    for name, before, after, chance in asked:
        call = history.apply(rows_of(history)[name]().command)
        early, late = call.called - before, call.returned + after
        history.calls[-1] = replace(call, called=max(0.9, early), returned=late)
        if chance == 0:
            history.lost(-1)
    assert check(history.calls) is None


@AT_ANY_LOAD
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8), st.integers(0, 9))
def test_a_history_without_one_of_its_changes_is_impossible(names: list[str], which: int) -> None:
    """Each answer carries the version of the record, so a later answer shows the gap."""
    history = History()
    for name in ["scan", "confirm", *names]:
        history.apply(rows_of(history)[name]().command)
    history.ask(history.status())
    changing = [
        at
        for at, call in enumerate(history.calls[:-1])
        if call.reply is not None and call.reply.verdict is Verdict.APPLIED and call.command.row.to
    ]
    del history.calls[changing[which % len(changing)]]
    assert check(history.calls, resent=False) is not None


def at_once(store: Any, command: Sequence[Command]) -> list[Call]:
    start = threading.Barrier(len(command))

    def one(each: Command) -> Call:
        start.wait(30)
        called = monotonic()
        reply = store.apply(each)
        return Call(each, called, monotonic(), reply)

    with ThreadPoolExecutor(len(command)) as threads:
        return [*threads.map(one, command)]


def race(store: Any) -> bool:
    """Sixteen redeems of one login in the same instant: whether the history is possible."""
    calls = list[Call]()

    def ask(operation: Operation[Any]) -> Any:
        called = monotonic()
        reply = store.apply(operation.command)
        calls.append(Call(operation.command, called, monotonic(), reply))
        meant = operation.resume(reply)
        assert isinstance(meant, Done)
        return meant.result

    begun = ask(CORE.begin())
    device = CORE.read_device_code(begun.device_code)
    ask(CORE.scan(begun.scan_code, subject="alice", shown_as="A"))
    ask(CORE.confirm(begun.scan_code, subject="alice"))
    tag = ask(CORE.status(device)).scanned_by.tag
    calls += at_once(store, [CORE.redeem(device, acknowledged=tag).command for _ in range(16)])
    return check(calls, resent=False) is None


def test_the_checker_finds_the_races_of_the_store_that_tutorials_write() -> None:
    naive, right = NaiveStore(now=now_ms, forgiving=True), MemoryStore()
    assert not all(race(naive) for _ in range(5))
    assert all(race(right) for _ in range(5))


def test_a_search_that_is_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.linear.MOST_STATES", 0)
    history = History()
    with pytest.raises(TooComplex):
        check(history.calls)


def test_the_errors_of_a_refusal_do_not_matter_to_the_checker() -> None:
    history = History()
    with pytest.raises(QRLoginError):
        history.ask(history.confirm())
    assert check(history.calls) is None
