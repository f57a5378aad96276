"""MemoryStore passes the suite, limits how many records it holds, and drops them in slices."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

import qrlogin.clock
from qrlogin import (
    STANDARD,
    Begun,
    Expired,
    LoginError,
    MemoryStore,
    Misconfigured,
    QRLogin,
    RecordLost,
    State,
    TooManyGuesses,
    Unavailable,
    UnknownLogin,
)
from qrlogin.stores.suite import StoreSuite
from tests.application import ALICE, KEY, SHOWN, UNLIMITED, URI, Clock
from tests.security_rows import row
from tests.tables import for_each_row


class TestMemoryStore(StoreSuite):
    def make_store(self, now: Callable[[], int]) -> MemoryStore:
        return MemoryStore(now=now)


@row(27)
def test_a_full_store_refuses_to_begin_and_serves_the_logins_it_has() -> None:
    clock = Clock()
    store = MemoryStore(capacity=2, now=clock)
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
        first, _ = qr.begin(), qr.begin()
        with pytest.raises(Unavailable, match="full: it holds 2 records"):
            qr.begin()
        qr.scan(first.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        clock.ms += 3_600_000  # both records are past their time to live
        assert qr.begin().state == "pending"


def test_a_capacity_below_one_record_is_refused() -> None:
    with pytest.raises(Misconfigured, match="capacity must be at least 1"):
        MemoryStore(capacity=0)


def test_records_that_end_at_once_are_dropped_a_few_at_a_time() -> None:
    """A million of them kept the lock for 11 s. A record that is not dropped yet is absent."""
    clock = Clock()
    store = MemoryStore(capacity=1000, now=clock)
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=UNLIMITED) as qr:
        logins = [qr.begin() for _ in range(1000)]
        clock.ms += 3_600_000
        last = logins[-1]  # the last to be dropped
        assert qr.status(last.device_code).state is State.EXPIRED
        with pytest.raises(Expired):
            qr.scan(last.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        held = len(store._records._records)
        assert 700 <= held < 1000
        for dropped in range(1, 5):
            qr.begin()
            assert len(store._records._records) == held - 100 * dropped + dropped
        for _ in range(20):
            qr.begin()
        assert len(store._records._records) == len(store._records._ends._at) == 24


def test_a_record_that_is_made_again_is_not_dropped_with_the_old_one() -> None:
    """The wrong guesses of an account are such a record: its id is always the same."""
    clock = Clock()
    policy = replace(STANDARD, user_codes=True, guess_window=60)
    store = MemoryStore(now=clock)
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=policy) as qr:

        def guess() -> None:
            with pytest.raises(UnknownLogin):
                qr.scan("BCDF-GHJK", subject=ALICE, shown_as=SHOWN[ALICE])

        for _ in range(300):  # in front of the guesses when all of them have ended
            qr.begin()
        clock.ms += 200_000
        for _ in range(policy.guesses):
            guess()
        clock.ms += 70_000
        for _ in range(policy.guesses):  # the window is over, so all of them count anew
            guess()
        for _ in range(10):
            qr.begin()
        with pytest.raises(TooManyGuesses):
            qr.scan("BCDF-GHJK", subject=ALICE, shown_as=SHOWN[ALICE])


@for_each_row("back", [2, 3600, 10 * 365 * 86_400])
def test_a_wall_clock_that_is_set_back_keeps_no_login_alive(back: int) -> None:
    wall, steady = [1_800_000_000], [5000]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time_ns", lambda: wall[0] * 1_000_000_000)
        patch.setattr(qrlogin.clock, "_steady_ns", lambda: steady[0] * 1_000_000_000)

        def pass_seconds(seconds: int, *, wall_moves: int | None = None) -> None:
            steady[0] += seconds
            wall[0] += seconds if wall_moves is None else wall_moves

        with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
            begun = qr.begin()
            pass_seconds(30, wall_moves=30 - back)
            seen = qr.status(begun.device_code)
            assert (seen.expires_in, seen.scan_code != begun.scan_code) == (190, True)
            pass_seconds(30)
            assert qr.status(begun.device_code).expires_in == 160
            pass_seconds(30, wall_moves=30 + back)  # it is put right again
            assert qr.status(begun.device_code).expires_in == 130
            pass_seconds(130)
            assert qr.status(begun.device_code).state is State.EXPIRED
            late = qr.begin()
            pass_seconds(0, wall_moves=3600)  # set forward: indistinguishable from a long sleep
            assert qr.status(late.device_code).state is State.EXPIRED


# A flood


def begin_at(qr: QRLogin, address: str, count: int) -> list[Begun]:
    return [qr.begin(context={"address": address} if address else {}) for _ in range(count)]


@for_each_row("address", ["192.0.2.7", ""])
def test_a_flood_keeps_no_honest_browser_out_and_ends_no_login_under_way(address: str) -> None:
    """10 000 anonymous begins locked the store for 240 s, and every honest browser out."""
    clock = Clock()
    store = MemoryStore(capacity=100, now=clock)
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=UNLIMITED) as qr:
        waiting, scanned = begin_at(qr, "198.51.100.7", 2)
        qr.status(waiting.device_code)
        qr.scan(scanned.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        oldest = begin_at(qr, address, 98)[0]
        with pytest.raises(Unavailable, match="the memory store is full"):
            qr.begin(context={"address": "203.0.113.7"})  # all others may still be asked for
        clock.ms += 10_000
        honest = begin_at(qr, "203.0.113.7", 40)
        for login in honest:
            assert qr.status(login.device_code).state is State.PENDING
        if address:  # an address makes no room for itself
            with pytest.raises(Unavailable):
                begin_at(qr, address, 1)
        else:
            begin_at(qr, address, 20)
        for login in (waiting, *honest):
            assert qr.status(login.device_code).state is State.PENDING
        assert qr.confirm(scanned.scan_code, subject=ALICE).state is State.CONFIRMED
        with pytest.raises(RecordLost):
            qr.status(oldest.device_code)
        assert len(store._records._records) == 100


def test_the_address_with_most_logins_gives_way_first() -> None:
    clock = Clock()
    store = MemoryStore(capacity=30, now=clock)
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=UNLIMITED) as qr:
        few, many = begin_at(qr, "192.0.2.1", 10), begin_at(qr, "192.0.2.2", 20)
        clock.ms += 10_000
        begin_at(qr, "192.0.2.3", 9)
        for login in few:
            assert qr.status(login.device_code).state is State.PENDING
        for login in many[:9]:
            with pytest.raises(RecordLost):
                qr.status(login.device_code)


def test_the_counts_of_accounts_take_no_room_from_logins() -> None:
    """Five accounts that only tried to scan filled a store of six."""
    policy = replace(STANDARD, user_codes=True)
    store = MemoryStore(capacity=6, now=Clock())
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=policy) as qr:
        first = qr.begin(context={"address": "192.0.2.1"})
        for number in range(20):
            for code in (first.scan_code, "BCDF-GHJK"):
                with suppress(LoginError):
                    qr.scan(code, subject=f"account {number}", shown_as="A")
        begin_at(qr, "", 5)
        with pytest.raises(Unavailable):
            begin_at(qr, "", 1)


def test_a_login_that_gives_way_takes_its_typed_code_with_it() -> None:
    """The records of the letters stayed, filled the store, and kept honest browsers out."""
    clock = Clock()
    store = MemoryStore(capacity=20, now=clock)
    policy = replace(UNLIMITED, user_codes=True)
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=policy) as qr:
        for _ in range(10):
            qr.begin(user_code=True, context={"address": "192.0.2.1"})
        clock.ms += 10_000
        honest = [
            qr.begin(user_code=True, context={"address": f"198.51.100.{number}"})
            for number in range(8)
        ]
        for login in honest:
            assert qr.look(login.user_code, subject=ALICE).state is State.PENDING
        held = store._records
        assert len(held._records) - len(held._accounts) == 20
        clock.ms += 3_600_000
        begin_at(qr, "", 1)
        assert len(held._records) == len(held._ends._at) == 1
        assert held._named == {}


def test_a_flood_that_lasts_leaves_no_trace_of_what_it_began() -> None:
    clock = Clock()
    store = MemoryStore(capacity=50, now=clock)
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
        for number in range(3000):
            begin_at(qr, f"10.0.{number // 250}.{number % 250}" if number % 2 else "", 1)
            clock.ms += 300
        held = store._records
        assert len(held._records) - len(held._counters) == 50
        assert len(held._counters) <= 50
        assert len(held._ends._at) == len(held._records)
        assert len(held._idle._unripe) <= 100
        clock.ms += 3_600_000
        for _ in range(10):
            begin_at(qr, "", 1)
        assert len(held._records) == len(held._ends._at) == len(held._idle._beginners) == 10


# How much one call does


def lines_run(call: Callable[[], object]) -> int:
    """How many lines of Python this call runs: a figure that no load of a machine changes."""
    lines = 0

    def count(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


def full_store(size: int) -> tuple[QRLogin, Clock]:
    """A full store. Each login is of an address of its own, and no browser waits for one."""
    clock = Clock()
    store = MemoryStore(capacity=size, now=clock)
    qr = QRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=UNLIMITED)
    for number in range(size):
        begin_at(qr, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1)
    return qr, clock


def _begins_after_all_ended(qr: QRLogin, clock: Clock) -> Iterator[Callable[[], object]]:
    clock.ms += 3_600_000
    for _ in range(50):
        yield lambda: begin_at(qr, "", 1)


def _begins_that_find_room(qr: QRLogin, clock: Clock) -> Iterator[Callable[[], object]]:
    clock.ms += 20_000
    for number in range(140):
        clock.ms += 100
        yield lambda number=number: begin_at(qr, f"192.0.{number >> 8}.{number & 255}", 1)  # type: ignore[misc]


def _begins_that_are_refused(qr: QRLogin, clock: Clock) -> Iterator[Callable[[], object]]:
    def begin() -> None:
        with suppress(Unavailable):
            begin_at(qr, "192.0.2.7", 1)

    for _ in range(50):
        yield begin


@for_each_row("calls", [_begins_after_all_ended, _begins_that_find_room, _begins_that_are_refused])
def test_no_call_takes_longer_because_the_store_holds_more(
    calls: Callable[[QRLogin, Clock], Iterator[Callable[[], object]]],
) -> None:
    """A begin looked at each address that had begun a login, and now and then at each record."""
    slowest = [
        max(lines_run(call) for call in calls(*full_store(size)))
        for size in (150, 600)  # both are more than one call may look at
    ]
    assert slowest[1] < 1.5 * slowest[0]
    assert slowest[0] < 8000
